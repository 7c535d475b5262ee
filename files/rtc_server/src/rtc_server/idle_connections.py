# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closing idle connections: each holds a file descriptor, and aiohttp would wait for a request for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class IdleConnections:
    """Closes connections on which no whole request came within ``patience`` to twice as many seconds.

    A WebSocket is not among them: its connection has been taken over from aiohttp.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._used: set[asyncio.BaseProtocol] = set()  # a request has come
        self._idle: set[web.RequestHandler] = set()  # at the last check
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, server: web.Server) -> None:
        """Check every ``patience`` seconds, until :meth:`end`."""
        loop = asyncio.get_running_loop()

        def check() -> None:
            self._close_idle(server)
            self._timer = loop.call_later(self._patience, check)

        self._timer = loop.call_later(self._patience, check)

    def end(self) -> None:
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that a request has come on this connection."""
        protocol = request.protocol
        self._used.add(protocol)
        try:
            return await handler(request)
        finally:
            if protocol.transport is None:  # a WebSocket's now, or lost
                self._used.discard(protocol)

    def _close_idle(self, server: web.Server) -> None:
        connections = set(server.connections)
        self._used &= connections
        idle = connections - self._used
        overdue = idle & self._idle
        for protocol in overdue:
            protocol.force_close()
        if overdue:
            logger.info("%d idle connections closed", len(overdue))
        self._idle = idle
