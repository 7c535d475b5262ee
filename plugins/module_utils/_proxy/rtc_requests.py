# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a client of RTC asks with, whatever proxy it asks (Engine.IO 4, Socket.IO 5)."""

from __future__ import annotations

PATH = "/socket.io/"
# Method and transport: polling, which is asked by GET and sent to by POST, and last a WebSocket.
KINDS = (("GET", "polling"), ("POST", "polling"), ("GET", "websocket"))

# Without them no WebSocket is opened (RFC 6455, 4.1).
HANDSHAKE = ("sec-websocket-key", "sec-websocket-version")
# By which RTC lets pages of another port read its answers; browsers take it once.
SHARING = "access-control-allow-origin"
# A page has about five connections, and other people may come from the same address: a limit below is soon reached.
FEW_CONNECTIONS = 10


def make_query(transport: str) -> str:
    """What stands behind the question mark."""
    return f"EIO=4&transport={transport}"
