# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal that keeps nothing: a project is what its members have in memory, and ends with the last of them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

from ..histogram import Histogram
from .base import Change, Compact, Figures, Head, JournalLimits, OnOutcomes, Outcome, Snapshot, Submission


class FleetingJournal:
    """Gives revisions, at most ``most_changes`` in each project."""

    retry_after = 0.0
    fault: str | None = None
    is_disk_full = False
    alive = True

    def __init__(self, most_changes: int) -> None:
        self._most_changes = most_changes

    def measure(self) -> Figures:
        """Nothing waits, and what was done is no load that anybody plans for."""
        return Figures("fleeting", Histogram(), 0, 0, 0)

    def set_limits(self, limits: JournalLimits) -> None:
        """There are none on a disk."""

    def begin(self, find_delivered: Callable[[str], tuple[str, int] | None], on_outcomes: OnOutcomes) -> None:
        """In place of :meth:`start`. ``find_delivered`` tells epoch and last revision of a loaded project: nobody else
        counts them."""
        self._find_delivered, self._on_outcomes = find_delivered, on_outcomes

    async def start(self, on_outcomes: OnOutcomes) -> None:
        """There is nothing to open."""

    def submit(self, request: Submission | Compact) -> bool:
        asyncio.get_running_loop().call_soon(self._finish, request)
        return True

    def _finish(self, request: Submission | Compact) -> None:
        found = self._find_delivered(request.project)
        outcome = Outcome(request, time=int(time.time() * 1000))
        if found is None or isinstance(request, Compact):
            outcome.code, outcome.message = "unavailable", "the project is gone"
        elif found[1] >= self._most_changes:
            outcome.code, outcome.message = "quota", f"the project has {self._most_changes} changes already"
        else:
            outcome.revision = found[1] + 1
        self._on_outcomes([outcome])

    async def read_head(self, project: str) -> Head:
        """Each time another history."""
        return Head(secrets.token_hex(8), 0, 0, 0)

    async def read_changes(self, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
        return []

    async def read_snapshot(self, project: str) -> Snapshot | None:
        return None

    async def wait_idle(self) -> None:
        """What is submitted has its outcome in the same turn."""

    async def close(self) -> None:
        """There is nothing to keep."""
