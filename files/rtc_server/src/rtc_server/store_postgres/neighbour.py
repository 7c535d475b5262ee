# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another server of the store, as this one hears it: its members, and how many connections each user has there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

_USERS = 250  # in one message


@lru_cache(maxsize=4096)
def digest_user(user: str) -> str:
    """What stands for a user in messages: of one length, whatever the name is."""
    return hashlib.blake2b(user.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def iterate_pages(users: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Counts by users in pieces that fit into a message; one at least, which may be empty."""
    items = list(users.items())
    for start in range(0, max(1, len(items)), _USERS):
        yield dict(items[start : start + _USERS])


class Neighbour:
    """What is known of it. Its messages are numbered: after a gap it is asked to tell everything again."""

    def __init__(self, heard: float) -> None:
        self.heard = heard  # when last
        self.asked = 0.0  # when last
        self.guests: dict[str, set[str]] = {}  # by project: ids of its members
        self.connections = 0
        self._users: dict[str, int] = {}  # by digests
        self._next = -1  # number of its next message; -1: nothing is known yet
        self._told: set[tuple[str, str]] | None = None  # members, while it tells everything

    def count(self, user: str) -> int:
        """Connections of a user (a digest) there."""
        return self._users.get(user, 0)

    def follows(self, number: int | None, anew: bool) -> bool:
        """Whether nothing is missing before that message. One without a number is of a release that has none."""
        if anew:
            self._users, self.connections, self._told = {}, 0, set()
        elif number is not None and number != self._next:
            self._told = None  # something of it may be missing
            return False
        if number is not None:
            self._next = number + 1
        return True

    def note_users(self, users: Mapping[str, int]) -> None:
        """Connections of these users now."""
        for user, number in users.items():
            self.connections += number - self._users.pop(user, 0)
            if number > 0:
                self._users[user] = number

    def enter(self, project: str, id: str) -> None:
        """A member is there."""
        self.guests.setdefault(project, set()).add(id)
        if self._told is not None:
            self._told.add((project, id))

    def leave(self, project: str, id: str) -> None:
        """It is not any more."""
        found = self.guests.get(project)
        if found is not None:
            found.discard(id)
            if not found:
                del self.guests[project]

    def take_stale(self) -> dict[str, set[str]]:
        """Everything was told: members, by project, that were not among it."""
        told, self._told = self._told, None
        if told is None:
            return {}
        stale = {
            project: gone
            for project, ids in self.guests.items()
            if (gone := {id for id in ids if (project, id) not in told})
        }
        for project, gone in stale.items():
            for id in gone:
                self.leave(project, id)
        return stale
