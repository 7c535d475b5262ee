# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short way for a change as most clients write it: found in the packet's text, and its data not encoded anew.

What is not exactly so, or not permitted, goes the long way (requests.py), which gives the same answers and says what is wrong.
A server has most of its work here, so one function does it, and what it needs it has at hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .auth import EDIT
from .connection import Connection
from .engine import Socket
from .journal import Submission
from .project import Project
from .strict_json import JSON
from .wire import MAX_ID, Refusal

_CHANGE = re.compile(  # an event of the main namespace
    r'42([1-9][0-9]{0,14}|0|)\["change",\{"project":"([^"\\\x00-\x1f]+)","id":"([ !#-\[\]-~]+)","data":'
)
_end = JSON.end


def plain_change(packet: str, limit: int) -> tuple[int | None, str, str, str] | None:
    """Number of the acknowledgement, project, id and data; None when it has another shape, is no JSON, or the data are
    longer than ``limit`` bytes."""
    match = _CHANGE.match(packet)
    if match is None:
        return None
    start = match.end()
    try:
        end = _end(packet, start)
    except (ValueError, RecursionError):
        return None
    if end + 2 != len(packet) or packet[end:] != "}]":
        return None
    data = packet[start:end]
    if (len(data) if data.isascii() else len(data.encode())) > limit or "\n" in data:
        return None
    number, project, id = match.groups()
    return None if len(id) > MAX_ID else (int(number) if number else None, project, id, data)


def changes_of(
    socket: Socket,
    limit: int,
    spend: Callable[[Connection], None],
    submit: Callable[[Project, Submission], None],
    refuse: Callable[[Socket, str, int | None, Refusal], None],
) -> Callable[[str], bool]:
    """What takes that client's changes, a packet at a time, and leaves others alone: then it returns False."""
    connection: Connection = socket.app
    members = connection.members
    user, whose = connection.identity.user, f'","user":{connection.user_text}'

    def change(packet: str) -> bool:
        plain = plain_change(packet, limit)
        if plain is None:
            return False
        number, name, id, data = plain
        member = members.get(name)
        if member is None or member.right != EDIT:
            return False
        project = member.project
        try:
            spend(connection)
            submit(project, Submission(name, id, user, data, f'"id":"{id}{whose}', (socket, project, number)))
        except Refusal as refusal:
            refuse(socket, "change", number, refusal)
        return True

    return change
