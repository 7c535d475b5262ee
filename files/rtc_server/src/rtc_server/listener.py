# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepting connections.

Neither aiohttp nor the event loops would do: they have no limits, an accepted connection is unknown to them until TLS
is agreed on, and without descriptors uvloop drops newcomers silently.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from . import sockets
from .peers import Peers
from .rarely import Rarely

logger = logging.getLogger(__name__)

_ACCEPTS_PER_TURN = 32
_PAUSE = 0.1  # seconds without accepting when there are no descriptors
_OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_OUT = (
    "connections cannot be accepted: %s; raise LimitNOFILE= of the unit, or lower limits.connections and "
    "limits.pending (%d connections are open)"
)


class Listener:
    """The listening sockets. Who comes through them is one of ``peers``."""

    def __init__(self, peers: Peers, rarely: Rarely) -> None:
        self._peers = peers
        self._rarely = rarely
        self._loop = asyncio.get_running_loop()
        self._listening: list[socket.socket] = []
        self._are_given = False
        self._tls: ssl.SSLContext | None = None

    def listen(self, address: str, port: int) -> None:
        """Listen on an address, with its sockets as :func:`sockets.list_places` has them. Raises OSError."""
        for name, _port in sockets.list_places(address, port):
            family = socket.AF_INET6 if ":" in name else socket.AF_INET
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as exc:
                if family != socket.AF_INET6 or not self._listening:
                    raise
                logger.warning("no IPv6 here (%s): listening on IPv4 addresses only", exc.strerror)
                continue
            self._listening.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((name, port))
            sock.listen(1024)

    def adopt(self, given: Sequence[socket.socket]) -> None:
        """Take listening sockets that another process holds, too."""
        self._listening += given
        self._are_given = True
        for sock in given:
            sock.setblocking(False)

    def begin(self, tls: ssl.SSLContext | None) -> None:
        """Accept connections."""
        self._tls = tls
        for sock in self._listening:
            self._loop.add_reader(sock.fileno(), self._accept, sock)

    def leave(self) -> None:
        """Leave newcomers to the next process, where it gets the same sockets: they wait, and nobody is refused."""
        if self._are_given:
            self.stop()

    def stop(self) -> None:
        """Accept nothing more. A socket that another process holds, too, goes on listening."""
        for sock in self._listening:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._listening.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                if exc.errno not in _OUT_OF:  # of that connection; accept(2) says to go on
                    continue
                self._rarely.log(logger, logging.ERROR, "accept", _OUT, exc.strerror, len(self._peers))
                self._peers.evict()
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(_PAUSE, self._accept_again, listening)
                return
            self._welcome(sock, address[0])

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _welcome(self, sock: socket.socket, address: str) -> None:
        peer = self._peers.add(address)
        sock.setblocking(False)
        options: dict[str, Any] = {}
        if self._tls is not None:  # the time is that of the latest reload
            options = {"ssl": self._tls, "ssl_handshake_timeout": self._peers.times.stranger}
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: peer, sock, **options))
        peer.transport = (sock, task)

        def done(task: asyncio.Future[Any]) -> None:
            if task.cancelled() or task.exception() is not None:  # TLS failed, or it took too long
                sock.close()
                peer.lost()

        task.add_done_callback(done)
