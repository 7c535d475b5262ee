# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A relay on stock python-socketio with aiohttp: ``relay.py PORT``."""

from __future__ import annotations

import asyncio
import sys

import socketio
from aiohttp import web

sio = socketio.AsyncServer(async_mode="aiohttp")
rooms: dict[str, str] = {}


@sio.event
async def join(sid: str, room: str) -> str:
    await sio.enter_room(sid, room)
    rooms[sid] = room
    return "ok"


@sio.event
async def msg(sid: str, data: object) -> None:
    await sio.emit("msg", data, room=rooms[sid], skip_sid=sid)


@sio.event
async def disconnect(sid: str, _reason: str) -> None:
    rooms.pop(sid, None)


app = web.Application()
sio.attach(app)
try:
    import uvloop

    loop = uvloop.new_event_loop()
except ImportError:
    loop = asyncio.new_event_loop()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=loop)
