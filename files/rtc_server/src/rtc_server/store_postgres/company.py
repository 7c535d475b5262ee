# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members, presence and numbers of connections at the other servers of a store. Nothing of this is kept: a server that
is not heard of for the length of its lease is gone, and its members with it.

Notices may get lost (a connection that broke, too many that wait), and PostgreSQL sends equal ones of a transaction
once. So those that must not be missed are numbered, and the numbers go on with each heartbeat: who finds a gap asks,
and is told everything anew. Releases before this did not know the kinds ``c`` and ``a``, and pass over them.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..strict_json import count_bytes, dumps
from .audience import Audience
from .neighbour import Neighbour, digest_user, iterate_pages

logger = logging.getLogger(__name__)

LEASE = 10.0  # seconds
ASK_AGAIN = 2.0  # seconds
MOST_BYTES = 7_900  # of a notice: PostgreSQL takes 7,999 ("NOTIFY")
MOST_WAITING = 2_000  # messages; then the oldest goes: presence is replaced by the next, of a member others find a gap


class Company:
    """The other servers, as this one hears them."""

    def __init__(self, audience: Audience, clock: Callable[[], float]) -> None:
        self.node = secrets.token_hex(6)
        self.keys: Sequence[str] = ()  # fingerprints of the keys of tokens
        self._audience = audience
        self._clock = clock
        self._others: dict[str, Neighbour] = {}
        self._number = 0  # of the next message that has one
        self._outgoing: deque[str] = deque()
        self._users: dict[str, int] = {}  # connections here, by digests
        self._changed: set[str] = set()  # of these, what was not told yet
        self._tell_all = False
        self.heard_self = clock()

    # --- to others ------------------------------------------------------------------------------

    def take_outgoing(self) -> list[str]:
        """Payloads of notices to be sent."""
        found, self._outgoing = list(self._outgoing), deque()
        if self._tell_all:
            self._tell_all = False
            return found + self._make_everything()
        return found + (self._make_counts() if self._changed else [])

    def take_heartbeat(self) -> list[str]:
        """What is to be sent every second; where others are, with a number that shows gaps."""
        beat = [f"h {self.node}"]
        if not self._others:
            return beat
        waiting = self.take_outgoing()
        return beat + waiting + self._make_counts()

    @property
    def is_waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._outgoing or self._tell_all or self._changed)

    def _format(self, kind: str, **fields: Any) -> str:
        return f"{kind} {dumps({'node': self.node, **fields})}"

    def _count_up(self) -> int:
        self._number += 1
        return self._number - 1

    def _send(self, payload: str) -> None:
        if count_bytes(payload) > MOST_BYTES:
            return  # volatile, and too long for a notice
        if len(self._outgoing) >= MOST_WAITING:
            self._outgoing.popleft()
        self._outgoing.append(payload)

    def _make_member(self, project: str, id: str, **text: str) -> str:
        return self._format("m", n=self._count_up(), project=project, id=id, **text)

    def announce(self, project: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        """Own members came and went."""
        if self._others:
            self._tell(project, joined, left)

    def _tell(self, project: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        for id, text in joined:
            self._send(self._make_member(project, id, text=text))
        for id in left:
            self._send(self._make_member(project, id))

    def _make_counts(self) -> list[str]:
        """Connections of users that changed, or none: then others see at least that nothing is missing."""
        changed, self._changed = self._changed, set()
        pages = iterate_pages({user: self._users.get(user, 0) for user in changed})
        return [self._format("c", n=self._count_up(), users=page) for page in pages]

    def _make_everything(self) -> list[str]:
        self._changed = set()
        found = [self._format("c", n=self._count_up(), users={}, anew=True, keys=list(self.keys))]
        for project in self._audience.list_loaded():
            for id, text in self._audience.list_own_members(project):
                payload = self._make_member(project, id, text=text)
                if count_bytes(payload) <= MOST_BYTES:
                    found.append(payload)
        pages = list(iterate_pages(self._users))
        for at, page in enumerate(pages):
            end = {"whole": True} if at == len(pages) - 1 else {}
            found.append(self._format("c", n=self._count_up(), users=page, **end))
        return found

    def ask(self, project: str) -> None:
        """A project was loaded here: who is in it elsewhere?"""
        if self._others:
            self._send(self._format("q", project=project))

    def publish(self, project: str, body: str) -> None:
        """Presence of an own member."""
        if self._others:
            self._send(self._format("p", project=project, body=body))

    def count_others(self) -> int:
        """The other servers that are heard."""
        return len(self._others)

    # --- connections ------------------------------------------------------------------------------

    def note_connections(self, user: str, number: int) -> None:
        """So many has that user here now."""
        key = digest_user(user)
        if number > 0:
            self._users[key] = number
        else:
            self._users.pop(key, None)
        if self._others:
            self._changed.add(key)

    def count_elsewhere(self, user: str) -> tuple[int, int]:
        """Connections at the other servers: of that user, of all."""
        key, others = digest_user(user), self._others.values()
        return sum([other.count(key) for other in others]), sum([other.connections for other in others])

    # --- from others ------------------------------------------------------------------------------

    def hear(self, kind: str, text: str) -> None:
        """A notice of another server, or of this one."""
        if kind == "h":
            self._meet(text)
        elif kind == "b":
            self._part(text)
        else:
            try:
                message = json.loads(text)
                if message["node"] != self.node:
                    self._take(kind, message)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                logger.warning("a notice that cannot be read: %.100r", text)

    def _take(self, kind: str, message: dict[str, Any]) -> None:
        other = self._meet(message["node"])
        if other is None:
            return
        if kind == "q":
            self._tell(message["project"], self._audience.list_own_members(message["project"]), ())
        elif kind == "p":
            self._audience.pass_presence(message["project"], str(message["body"]))
        elif kind == "a":
            self._tell_all |= message["of"] == self.node
        elif kind in ("m", "c"):
            anew = bool(message.get("anew"))
            if not other.follows(message.get("n"), anew):
                self._ask_for_all(message["node"], other)
            if kind == "m":
                self._note_guest(other, message["project"], str(message["id"]), message.get("text"))
                return
            other.note_users({str(user): int(number) for user, number in message["users"].items()})
            if anew:
                self._compare_keys(message["node"], message["keys"])
            if message.get("whole"):
                for project, gone in other.take_stale().items():
                    self._audience.set_guests(project, (), gone)

    def _meet(self, node: str) -> Neighbour | None:
        """The server that was heard; None when it is this one."""
        now = self._clock()
        if node == self.node:
            self.heard_self = now
            return None
        other = self._others.get(node)
        if other is None:  # it may have been cut off: both say again who is here
            logger.info("another server of this store: %s", node)
            other = self._others[node] = Neighbour(now)
            self._tell_all = True
        other.heard = now
        return other

    def _ask_for_all(self, node: str, other: Neighbour) -> None:
        if self._clock() - other.asked >= ASK_AGAIN or not other.asked:
            other.asked = self._clock()
            self._send(self._format("a", of=node))

    def _compare_keys(self, node: str, keys: Iterable[str]) -> None:
        if self.keys and not set(self.keys) & set(keys):
            logger.error(
                "another server of this store (%s) takes other tokens: what lets a client in at one is refused at the"
                " other. token.keys, token.algorithm and token.audience have to be the same at all", node,
            )  # fmt: skip

    def _note_guest(self, other: Neighbour, project: str, id: str, text: str | None) -> None:
        if text is None:
            other.leave(project, id)
            self._audience.set_guests(project, (), (id,))
        else:
            other.enter(project, id)
            self._audience.set_guests(project, ((id, text),), ())

    def _part(self, node: str) -> None:
        other = self._others.pop(node, None)
        if other is not None:
            for project, ids in other.guests.items():
                self._audience.set_guests(project, (), ids)

    def begin_hearing(self) -> None:
        """From now on the others can be heard (again): whoever was not heard meanwhile has a whole lease."""
        self.heard_self = self._clock()
        for other in self._others.values():
            other.heard = self.heard_self

    def expire(self) -> None:
        """Forget servers whose lease has ended, and their members."""
        now = self._clock()
        for node in [node for node, other in self._others.items() if now - other.heard > LEASE]:
            logger.warning("another server of this store was not heard of for %g s: %s", LEASE, node)
            self._part(node)
