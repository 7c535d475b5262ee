# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Socket.IO 5 (and 4) server engine for aiohttp: exact protocol, one write for each client and turn."""

from .errors import ConnectRefused, ProtocolError
from .hub import Hub, PreparedMessage, Room
from .server import Engine
from .session import Session
from .sio import Namespace, Socket, SocketServer
from .sio_codec import EventArgs, Json

__all__ = [
    "ConnectRefused",
    "Engine",
    "EventArgs",
    "Hub",
    "Json",
    "Namespace",
    "PreparedMessage",
    "ProtocolError",
    "Room",
    "Session",
    "Socket",
    "SocketServer",
]
