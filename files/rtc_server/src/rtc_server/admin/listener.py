# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin's sockets. As for users, connections are accepted here: neither aiohttp nor the loops have limits, and
descriptors that are taken here are missing there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat

from aiohttp import web

MOST_CONNECTIONS = 32  # more, and the oldest one makes room
SECONDS = 20.0  # that a connection has: it is for one request
_SWEEP = 1.0
_PAUSE = 1.0  # seconds without accepting when there are no descriptors: those are for users


class AdminListener:
    """Serves an application at ``listen``: the path of a socket, or ``address:port``."""

    def __init__(self, listen: str, app: web.Application) -> None:
        self._listen = listen
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._transports: dict[asyncio.Transport, float] = {}  # oldest first: when each ends
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Listen. Raises OSError."""
        await self._runner.setup()
        try:
            self._socket = _bind(self._listen)
        except OSError:
            await self._runner.cleanup()
            raise
        self._loop.add_reader(self._socket.fileno(), self._accept)
        self._sweep()

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._timer is not None:
            self._timer.cancel()
        sock, self._socket = self._socket, None
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            sock.close()
            if self._listen.startswith("/"):
                with contextlib.suppress(OSError):
                    os.unlink(self._listen)
        for transport in self._transports:
            transport.abort()
        await self._runner.cleanup()

    def _accept(self) -> None:
        assert self._socket is not None
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.call_later(_PAUSE, self._accept_again, self._socket)
            return
        sock.setblocking(False)
        task = self._loop.create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening.fileno(), self._accept)

    async def _serve(self, sock: socket.socket) -> None:
        assert self._runner.server is not None
        self._forget_closed()
        if len(self._transports) >= MOST_CONNECTIONS:
            oldest = next(iter(self._transports))
            oldest.abort()
            del self._transports[oldest]
        try:
            transport, _ = await self._loop.connect_accepted_socket(self._runner.server, sock)
        except OSError:
            sock.close()
            return
        self._transports[transport] = self._loop.time() + SECONDS

    def _forget_closed(self) -> None:
        self._transports = {one: end for one, end in self._transports.items() if not one.is_closing()}

    def _sweep(self) -> None:
        self._forget_closed()
        now = self._loop.time()
        for transport, end in self._transports.items():
            if now >= end:
                transport.abort()
        self._timer = self._loop.call_later(_SWEEP, self._sweep)


def _bind(listen: str) -> socket.socket:
    """A socket that listens. Nobody can connect to one in the file system before its mode is set."""
    if listen.startswith("/"):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(listen).st_mode):  # of a process that was killed
                os.unlink(listen)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    else:
        sock = socket.socket(socket.AF_INET6 if listen.startswith("[") else socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if listen.startswith("/"):
            sock.bind(listen)
            os.chmod(listen, 0o600)
        else:
            address, _, port = listen.rpartition(":")
            sock.bind((address.strip("[]"), int(port)))
        sock.setblocking(False)
        sock.listen(16)
    except OSError:
        sock.close()
        raise
    return sock
