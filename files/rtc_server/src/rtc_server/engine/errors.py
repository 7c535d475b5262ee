# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exceptions shared by the codecs, the sessions and the Socket.IO layer, and how violations of protocols are logged."""

from __future__ import annotations

from typing import Any

from ..rarely import Rarely

# Each kind of them once a minute: anybody can connect and break a protocol, a thousand times a second.
violations = Rarely()


class ProtocolError(ValueError):
    """The peer violated the protocol; its session is closed."""


class BrokenBody(ConnectionError):
    """A request's body is not encoded as its head says (RFC 9112, 7.1), so nothing more can be read on its connection.

    A ConnectionError, as aiohttp logs no traceback of those.
    """


class ConnectRefused(Exception):
    """Raised by an authorize hook: answered with CONNECT_ERROR (Socket.IO 5, "Connection to a namespace")."""

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data
