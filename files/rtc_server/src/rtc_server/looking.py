# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at what may hang, as a disk does: in a thread, and once however many ask. Each look that hangs would keep a
thread, and there are few of them, which names and certificates need, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

PATIENCE = 2.0  # seconds; the other figures are wanted most of all when a disk hangs

Config = TypeVar("Config")
Found = TypeVar("Found")


class Looking(Generic[Config, Found]):
    """Looks by ``work``, which may block."""

    def __init__(self, work: Callable[[Config], Found]) -> None:
        self._work = work
        self._asked: asyncio.Future[Found] | None = None

    async def look(self, config: Config) -> Found | None:
        """What is found; None where that takes too long: who asks later gets it."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().run_in_executor(None, self._work, config)
        asked = self._asked
        await asyncio.wait([asked], timeout=PATIENCE)
        if not asked.done():
            return None
        if self._asked is asked:
            self._asked = None
        return asked.result()
