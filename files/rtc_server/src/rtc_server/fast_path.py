# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a change straight from the text of its packet, in the form in which most clients write it.

A server has most of its work with changes. The fast path parses a packet once, by pattern, and passes the data on as
they are instead of decoding and encoding them. A packet in any other form takes the general path (handlers.py), which
gives the same answers and explains what is wrong.
"""

from __future__ import annotations

import re

from .contract import MAX_DEPTH, MAX_ID
from .strict_json import JSON, count_bytes, is_deeper

_CHANGE = re.compile(  # an event of the main namespace
    r'42([1-9][0-9]{0,14}|0|)\["change",\{"project":"([^"\\\x00-\x1f]+)","id":"([ !#-\[\]-~]+)","data":'
)
_SINCE = re.compile(r',"since":(0|[1-9][0-9]{0,14})\}\]')  # as clients/ write it, which name it in every change
_scan = JSON.scan


# A change as its packet has it: the number of the acknowledgement (None: none was asked for); project and id, neither
# of which needs an escape in JSON; data, as JSON text on one line; their bytes; the revision after which it was
# sent first, if it says so. A plain tuple, as most packets are changes.
PlainChange = tuple[int | None, str, str, str, int, int | None]


def parse_change(packet: str, limit: int) -> PlainChange | None:
    """The change in a packet; None when the packet has another form, is no JSON, or its data take more than ``limit``
    bytes or are nested too deep."""
    match = _CHANGE.match(packet)
    if match is None:
        return None
    start = match.end()
    if len(packet) - start - 2 > limit or not packet.endswith("}]"):  # known before its JSON is looked at, which costs
        return None
    try:
        _, end = _scan(packet, start)
    except (ValueError, StopIteration, RecursionError):
        return None
    since: int | None = None
    if end + 2 != len(packet):
        named = _SINCE.fullmatch(packet, end)
        if named is None:
            return None
        since = int(named[1])
    data = packet[start:end]
    size = len(data) if data.isascii() else count_bytes(data)  # nearly always without another call
    if size > limit or "\n" in data or (size > 2 * MAX_DEPTH and is_deeper(data, MAX_DEPTH)):
        return None
    number, project, id = match.groups()
    return None if len(id) > MAX_ID else (int(number) if number else None, project, id, data, size, since)
