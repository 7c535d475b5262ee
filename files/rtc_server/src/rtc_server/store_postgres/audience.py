# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shared store tells the projects of its server, besides the outcomes of requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from ..journal.base import Change


class Audience(Protocol):
    """The projects that this server has loaded. All is called on the event loop, and returns at once."""

    def list_loaded(self) -> list[str]:
        """The names of all that are loaded."""

    def find_delivered(self, project: str) -> tuple[str, int] | None:
        """Epoch and last delivered revision. None: it is not loaded; if it is being loaded, its head is read anew."""

    def deliver(self, project: str, changes: Sequence[Change]) -> None:
        """Changes that another server kept, in order and without a gap; those delivered already are left out."""

    def renew(self, project: str, why: str) -> None:
        """What was delivered cannot be continued: members start over from the store."""

    def note_snapshot(self, project: str, base: int, revision: int) -> None:
        """A snapshot of that revision is there, and changes up to the base are gone."""

    def list_own_members(self, project: str) -> list[tuple[str, str]]:
        """Ids of this server's own members, with their JSON texts."""

    def set_guests(self, project: str, joined: Iterable[tuple[str, str]], left: Iterable[str]) -> None:
        """Members at other servers came and went."""

    def pass_presence(self, project: str, body: str) -> None:
        """An event that a member at another server sends to the others."""
