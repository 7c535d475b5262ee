# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one request ends, and what comes behind it."""

from __future__ import annotations

import asyncio

from aiohttp import web

END_OF_HEAD = b"\r\n\r\n"
PIPELINED_BYTES = 4 << 10  # behind a request without body: nobody sends the next one so early, but early frames come
_LEFTOVER_BYTES = 8 << 20  # of a body that nobody wants
_SIP = 0.05  # seconds after each piece of it, a quarter of a megabyte at most
_BODILESS = (b"GET ", b"HEAD", b"OPTI")


def is_pipeline(data: bytes) -> bool:
    """Whether more follows a request without body than may: aiohttp would make objects of all of it at once."""
    if len(data) <= PIPELINED_BYTES or data[:4] not in _BODILESS:
        return False
    end = data.find(END_OF_HEAD)
    return 0 <= end < len(data) - PIPELINED_BYTES


def find_leftover(request: web.Request, waiting: int = 0) -> int:
    """How many bytes of its body are still to come, as far as can be told and as many as are waited for; ``waiting``
    have come and were not handed to aiohttp."""
    if request.content.is_eof():
        return 0
    length = request.content_length
    if length is None:  # in chunks
        return _LEFTOVER_BYTES
    return max(0, min(length - request.content.total_bytes - waiting, _LEFTOVER_BYTES))


class Leftover:
    """What is left of a body whose request was answered, so many bytes. To hang up on it would take the answer away
    (RFC 9112, section 9.6), so it is dropped first, slowly, as clients that behave have little of it."""

    __slots__ = ("_left", "_transport", "waiting")

    def __init__(self, transport: asyncio.Transport, left: int) -> None:
        self._transport = transport
        self._left = left
        self.waiting = 0

    def take(self, data: bytes) -> None:
        """Bytes of it came."""
        self._left -= len(data)
        if self._left <= 0:
            self._transport.close()
        else:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(_SIP, self._go_on)

    def _go_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """The client sends nothing more, and the connection ends by itself."""

    def stop(self) -> bytes:
        """The connection is over. Returns what was kept."""
        return b""
