# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one request ends, and what comes behind it."""

from __future__ import annotations

from aiohttp import web

END_OF_HEAD = b"\r\n\r\n"
PIPELINED_BYTES = 4 << 10  # behind a request without body: nobody sends the next one so early, but early frames come
_BODILESS = (b"GET ", b"HEAD", b"OPTI")


def is_pipeline(data: bytes) -> bool:
    """Whether more follows a request without body than may: aiohttp would make objects of all of it at once."""
    if len(data) <= PIPELINED_BYTES or data[:4] not in _BODILESS:
        return False
    end = data.find(END_OF_HEAD)
    return 0 <= end < len(data) - PIPELINED_BYTES


def has_leftover(request: web.Request) -> bool:
    """Whether bytes of its body are still to come."""
    return not request.content.is_eof()
