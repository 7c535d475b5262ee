# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hanging up on those who connect and ask for nothing: each holds a file descriptor, and aiohttp waits for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Silence:
    """Ends connections that have not made a whole request ``patience`` to twice that many seconds after they came.

    A WebSocket is none of them: its connection has been taken over from aiohttp.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._heard: set[asyncio.BaseProtocol] = set()
        self._silent: set[web.RequestHandler] = set()  # already when it was looked the last time
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, server: web.Server) -> None:
        """Look now and then, until :meth:`end`."""
        loop = asyncio.get_running_loop()

        def look() -> None:
            self._look(server)
            self._timer = loop.call_later(self._patience, look)

        self._timer = loop.call_later(self._patience, look)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that somebody asked for something."""
        protocol = request.protocol
        self._heard.add(protocol)
        try:
            return await handler(request)
        finally:
            if protocol.transport is None:  # a WebSocket's now, or lost
                self._heard.discard(protocol)

    def _look(self, server: web.Server) -> None:
        now = set(server.connections)
        self._heard &= now
        silent = now - self._heard
        for protocol in silent & self._silent:
            protocol.force_close()
        if silent & self._silent:
            log.info("%d connections ended that asked for nothing", len(silent & self._silent))
        self._silent = silent
