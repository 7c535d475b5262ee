# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving memory back after a flood. What a closed connection held is free at once, but for some objects of aiohttp that
know each other, and the C library keeps what is free for itself: both would last for as long as the process.

To collect and to give back takes a tenth of a second with a thousand connections, in which nobody is served. So a
server that is busy puts it off, unless it has grown by so much that its limit of memory may come near.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import time
from collections.abc import Callable

_EVERY = 2.0  # seconds between two looks
_GROWN = 12 << 20  # bytes above the start from which it is worth it
_BUSY = 0.2  # of the time that the loop computes: more, and it is put off
_PRESSING = 128 << 20  # bytes more than after the last time: then it is not put off
_SHARE = 200  # it may take so small a part of the time
_PAGE = os.sysconf("SC_PAGE_SIZE")


def read_resident() -> int:
    """Bytes of the process in memory (proc(5), statm); 0 where that is unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _find_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim  # malloc_trim(3), of glibc
    except (OSError, AttributeError):
        return None


class Memory:
    """Looks now and then whether connections were closed that may have left something."""

    def __init__(self, count_closed: Callable[[], int], count_open: Callable[[], int]) -> None:
        """``count_closed``: connections closed since the start; ``count_open``: those that there are."""
        self._count_closed = count_closed
        self._count_open = count_open
        self._trim = _find_trim()
        self._closed = 0
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._start = 0  # bytes in memory then,
        self._left = 0  # and after the last time
        self._computed = self._looked = 0.0  # seconds that the loop has computed, and the time, at the last look

    def begin(self) -> None:
        """Look from now on, until :meth:`end`."""
        self._start = self._left = read_resident()
        self._is_busy()
        self._timer = asyncio.get_running_loop().call_later(_EVERY, self._look)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_EVERY, self._look)
        closed, is_busy = self._count_closed(), self._is_busy()
        if 10 * (closed - self._closed) < self._count_open() + 10 or time.monotonic() < self._not_before:
            return
        resident = read_resident()
        if resident > (self._left + _PRESSING if is_busy else self._start + _GROWN):
            self._closed = closed
            self.give_back()
            self._left = read_resident()

    def _is_busy(self) -> bool:
        """Whether the loop had much to do since the last look."""
        computed, now = time.thread_time(), time.monotonic()
        is_busy = computed - self._computed > _BUSY * (now - self._looked)
        self._computed, self._looked = computed, now
        return is_busy

    def give_back(self) -> None:
        """Free what is not used."""
        began = time.monotonic()
        gc.collect()
        if self._trim is not None:
            self._trim(0)
        now = time.monotonic()
        self._not_before = now + _SHARE * (now - began)
