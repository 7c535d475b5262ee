# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one turn of the event loop may handle of what clients have sent, so that nobody holds up the others.

A loop hands over whatever has arrived, megabytes of small packets at once. Here every reader asks before it handles
packets, and stops when its share is used up; what is left waits in a queue for the next turns, a share of each reader
after another. A turn ends when the loop gets to look at its sockets again.

A large packet takes a turn for itself, as its JSON may take a hundred milliseconds. So large ones wait in a queue of
their own, behind all small ones but not for ever, and pause for as long as the last one took. What is small goes the
whole way through the server in such a pause, and so waits for one of them at most, however many send much.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

PACKET_COST = 1024  # of a packet, beside its bytes: to handle one takes as long as to decode about so many bytes
TURN_BUDGET = 512 * PACKET_COST  # cost of what is handled in a turn: some milliseconds
_LEAST_SHARE = 8 * PACKET_COST  # of a reader, however many there are
LARGE = 64 << 10  # bytes of a packet that waits behind smaller ones
_PATIENCE = 4  # turns in which small ones leave nothing for those
_LONG = 0.01  # seconds that one of those may take without a pause


class Turns:
    """The budget of the turns. A *reader* is called when it is its turn, and handles up to :meth:`take_share`."""

    __slots__ = (
        "_large",
        "_left",
        "_loop",
        "_passed_over",
        "_pausing",
        "_readers",
        "_running",
        "_scheduled",
        "_share",
        "is_for_large",
        "most",
        "used",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._readers: deque[Callable[[], None]] = deque()
        self._large: deque[Callable[[], None]] = deque()  # those that have a large packet next
        self._passed_over = 0  # turns, one after another, in which none of those was called
        self._pausing = False  # none of them is called
        self.is_for_large = False  # the reader that is called now may handle a large packet
        self._left = TURN_BUDGET
        self._share = TURN_BUDGET
        self._running = False  # a reader of the queue
        self._scheduled = False
        self.used = 0  # in this turn
        self.most = 0  # cost of what was handled in one turn, ever

    def take_share(self) -> int:
        """What the reader may handle now; 0 or less: it has to wait in the queue (:meth:`wait`)."""
        if self._running:
            return min(self._share, self._left)
        return 0 if self._readers else self._left

    def spend(self, cost: int) -> None:
        """So much was handled, which may be more than the share by one packet."""
        self._left -= cost
        self.used += cost
        if not self._scheduled:
            self._schedule()

    def wait(self, reader: Callable[[], None], size: int = 0) -> None:
        """Call a reader in one of the next turns, after those that wait already. ``size``: bytes of its next packet."""
        (self._large if size > LARGE else self._readers).append(reader)
        if not self._scheduled:
            self._schedule()

    async def wait_share(self, size: int) -> int:
        """The share of a coroutine: set aside, and given back by :meth:`settle`. ``size``: bytes that it has to handle
        altogether."""
        share = self.take_share()
        if share <= 0 or size > LARGE:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

            def wake() -> None:
                if not future.done():
                    future.set_result(self._set_aside(self.take_share()))

            self.wait(wake, size)
            return await future
        return self._set_aside(min(share, TURN_BUDGET // 4))

    def pause_large(self, took: float) -> None:
        """A large packet took so many seconds."""
        if took > _LONG and not self._pausing:
            self._pausing = True
            (self._loop or asyncio.get_running_loop()).call_later(took, self._end_pause)

    def _end_pause(self) -> None:
        self._pausing = False
        if self._large and not self._scheduled:
            self._schedule()

    def settle(self, share: int, cost: int) -> None:
        """A coroutine has spent so much of the share that was set aside for it."""
        self._left += share
        self.spend(cost)

    def _set_aside(self, share: int) -> int:
        self._left -= share
        return share

    def _schedule(self) -> None:
        self._scheduled = True
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        if self.used > self.most:
            self.most = self.used
        self.used = 0
        self._left = TURN_BUDGET
        self._scheduled = False
        large = 0 if self._pausing else len(self._large)
        number = len(self._readers) + large
        if not number:
            return
        self._share = max(_LEAST_SHARE, TURN_BUDGET // number)
        self._running = True
        self._passed_over = self._passed_over + 1 if large else 0
        try:
            if self._passed_over > _PATIENCE:
                self._call_large(1)
            readers = self._readers
            number = len(readers)
            while number and self._left > 0:
                number -= 1
                readers.popleft()()
            self._call_large(large)
        finally:
            self._running = False
        if not self._scheduled:
            self._schedule()

    def _call_large(self, most: int) -> None:
        """Call so many of those with large packets, as long as something is left of the turn."""
        self.is_for_large = True
        try:
            while most and self._left > 0 and not self._pausing:
                most -= 1
                self._passed_over = 0
                began = time.perf_counter()
                self._large.popleft()()
                self.pause_large(time.perf_counter() - began)
        finally:
            self.is_for_large = False
