# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RTC server with a journal that keeps nothing: what the journal costs is the difference. ``serve_ours.py CONFIG``

It is made here, behind the journal's interface, so that no configuration of the product can turn the journal off.
"""

from __future__ import annotations

import asyncio
import sys
import time

from rtc_server import app
from rtc_server.config import load
from rtc_server.journal import Change, Compact, Head, Outcome, Snapshot, Submission
from rtc_server.journal.base import OnOutcomes


class NoJournal:
    """Numbers changes and forgets them; who comes back is served from the projects' memory."""

    fault = None
    is_disk_full = False
    retry_after = 0.0
    alive = True

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}
        self._waiting: list[Outcome] = []

    async def start(self, on_outcomes: OnOutcomes) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_outcomes = on_outcomes

    def submit(self, request: Submission | Compact) -> bool:
        """The outcome comes at the end of the turn, as one batch with all others of it."""
        if not isinstance(request, Submission):
            return False
        revision = self._revisions[request.project] = self._revisions.get(request.project, 0) + 1
        if not self._waiting:
            self._loop.call_soon(self._done)
        self._waiting.append(Outcome(request, revision, int(time.time() * 1000)))
        return True

    def _done(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._on_outcomes(waiting)

    async def read_head(self, project: str) -> Head:
        return Head("no journal", self._revisions.get(project, 0), 0, 0)

    async def read_changes(self, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
        return []

    async def read_snapshot(self, project: str) -> Snapshot | None:
        return None

    async def wait_idle(self) -> None:
        return None

    async def close(self) -> None:
        return None


if __name__ == "__main__":
    sys.exit(app.run(load(sys.argv[1]), NoJournal()))
