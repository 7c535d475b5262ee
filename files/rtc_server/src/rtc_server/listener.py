# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepting connections, and ending those that are too slow or too many.

Every connection is accepted here and known here until its end. Neither aiohttp nor the event loops would do: they have
no limits, an accepted connection is unknown to them until TLS is agreed, and without descriptors uvloop drops newcomers
silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, cast

from aiohttp import web

from .capacity import Capacity
from .rarely import Rarely
from .strangers import PROXY, Strangers, group_of

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEAD_BYTES = 64 << 10  # of a request without body; aiohttp alone would take megabytes
_END_OF_HEAD = b"\r\n\r\n"
_ACCEPTS_PER_TURN = 32
_ORDERLY = 1.0  # seconds that an end takes which is said before
_PAUSE = 0.1  # seconds without accepting when there are no descriptors
_PROXY_SECONDS = 90.0  # between two requests of a trusted proxy: longer than nginx keeps a connection (60)
_ANY_IPV4 = "0.0.0.0"  # noqa: S104  # only where the configuration says so
_OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class SessionLike(Protocol):
    """What a session tells about itself."""

    closed: bool
    admitted: bool  # it has shown a token


class Times(NamedTuple):
    """Seconds."""

    stranger: float  # for each stage of a connection without token: TLS, a request's head, its body, the answer
    client: float  # for a request, and between two, of a client with a token


class Peer(asyncio.Protocol):
    """One accepted connection: HTTP, until a WebSocket takes it over. It hands everything on to aiohttp, which is asked
    for a handler with the first byte only, so that silence costs little.

    ``deadline`` is when its present stage has to be over (in seconds of the loop's clock). The stages of HTTP are: TLS,
    the request's head, its handling (with its body), then its answer and the next head, and so on.
    """

    __slots__ = (
        "_busy",
        "_end",
        "_head_ended",
        "_held",
        "_http",
        "_is_proxy",
        "_listener",
        "_most",
        "_session",
        "counted",
        "deadline",
        "group",
        "transport",
    )

    def __init__(self, listener: Listener, is_proxy: bool, group: str) -> None:
        self._listener = listener
        self.group = group  # of addresses; a proxy's changes with its requests
        self._is_proxy = is_proxy
        self._http: web.RequestHandler[Any] | None = None
        self._session: SessionLike | None = None  # whose request it has, or had last
        self._busy = False  # a request is being handled
        self._held = 0  # bytes that came in this stage, and may be in memory still
        self.counted = 0  # of them: those that count as a stranger's
        self._most = _HEAD_BYTES  # of them; 0 for a body, which the engine limits
        self._head_ended = False
        self._end = b""  # of what came, in which an end of the head may have begun
        # While TLS is agreed on: the socket and the task that waits for it.
        self.transport: asyncio.Transport | tuple[socket.socket, asyncio.Future[Any]] | None = None
        self.deadline = listener.now() + listener.times.stranger

    # --- the connection, as asyncio.Protocol has it -------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # ended meanwhile
            cast(asyncio.Transport, transport).abort()
            return
        self.transport = cast(asyncio.Transport, transport)
        self.deadline = self._listener.now() + self._listener.times.stranger

    def data_received(self, data: bytes) -> None:
        if not self._held and not self._busy:  # a head begins
            self.deadline = min(self.deadline, self._listener.now() + self._listener.times.stranger)
        size = len(data)
        self._held += size
        if self._most and not self._head_ended:
            self._head_ended = _END_OF_HEAD in data or _END_OF_HEAD in self._end + data[:3]
            self._end = data[-3:]
            if self._held > self._most and (self._busy or not self._head_ended):
                self.end()
                return
        self._listener.hold(self, size)
        if self.transport is None:  # ended just now
            return
        if self._http is None:
            self._http = self._listener.make_handler()
            self._http.connection_made(cast(asyncio.Transport, self.transport))
        self._http.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._http is None else self._http.eof_received()

    def pause_writing(self) -> None:
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        if self._http is not None:
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._http is not None:
            self._http.connection_lost(exc)
        self.lost()

    # --- its stages ---------------------------------------------------------------------------

    def begin(self, request: web.Request) -> None:
        """A request's head is whole."""
        if self.transport is None:
            return
        listener = self._listener
        self._busy = True
        self._set_stage(0 if request.body_exists else _HEAD_BYTES, listener.times.stranger)
        if self._is_proxy:
            self.group = group_of(listener.address_of(request))
            listener.refile(self)

    def serve(self, session: SessionLike) -> None:
        """The request is one of that session."""
        self._session = session
        if session.admitted:
            self.admitted()

    def finish(self) -> None:
        """It was handled. Now its answer has to be read, and the next head to come."""
        self._busy = False
        if self.transport is None:
            return
        times = self._listener.times
        seconds = times.stranger
        if self._is_clients():
            seconds = times.client
        elif self._is_proxy:
            seconds = _PROXY_SECONDS
            self.group = PROXY
            self._listener.refile(self)
        else:
            self._listener.watch(self)
        self._set_stage(_HEAD_BYTES, seconds)

    def taken_over(self) -> None:
        """A WebSocket has it now. If its session shows no token, the session ends before this is overdue, in an orderly
        way."""
        self._http = None
        self._busy = False
        self._set_stage(0, self._listener.times.stranger + _ORDERLY)
        if self._is_clients():
            self.admitted()

    def admitted(self) -> None:
        """Its session has shown a token."""
        listener = self._listener
        self.deadline = listener.now() + listener.times.client
        listener.release(self)
        listener.strangers.discard(self)
        if self._http is None:  # a WebSocket: its session has a heartbeat
            listener.watched.discard(self)

    def dismissed(self) -> None:
        """Its session, over WebSocket, has left what the token admitted it to."""
        self.deadline = self._listener.now() + self._listener.times.stranger + _ORDERLY
        if self.transport is not None:
            self._listener.watch(self)

    def _is_clients(self) -> bool:
        session = self._session
        return session is not None and session.admitted and not session.closed

    def _set_stage(self, most: int, seconds: float) -> None:
        self._listener.release(self)
        self._held = 0
        self._most = most
        self._head_ended = False
        self._end = b""
        self.deadline = self._listener.now() + seconds

    # --- its end ------------------------------------------------------------------------------

    def check(self, now: float) -> bool:
        """End it when it is overdue; whether it is."""
        session = self._session
        if session is not None and session.closed:
            if self._busy:  # a body that never ends, an answer that is not read
                self.deadline = min(self.deadline, now + _ORDERLY)
        elif self in self._listener.strangers and self._is_clients():
            self.admitted()
        if now < self.deadline:
            return False
        self.end()
        return True

    def is_idle(self) -> bool:
        """Whether it waits between two requests."""
        return self._http is not None and not self._busy

    def end(self) -> None:
        """Hang up, whatever waits to be sent."""
        transport, self.transport = self.transport, None
        if isinstance(transport, tuple):
            sock, task = transport
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # cancelling alone does not end TLS before Python 3.11
            task.cancel()
        elif transport is not None:
            transport.abort()
        self.lost()

    def lost(self) -> None:
        """The connection is over, or as good as that."""
        self.transport = None
        self._listener.forget(self)


class Listener:
    """The listening sockets, and all connections that came through them.

    ``make_handler``: aiohttp's server, which makes a protocol for each connection; ``address_of``: whom a request of a
    proxy is for; ``is_proxy``: whether an address is a trusted proxy's.
    """

    def __init__(
        self,
        times: Times,
        capacity: Callable[[], Capacity],
        each: int,
        held_bytes: int,
        address_of: Callable[[web.Request], str],
        is_proxy: Callable[[str], bool],
        rarely: Rarely,
    ) -> None:
        self.times = times
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._capacity = capacity
        self._sockets, total, _ = capacity()
        self.strangers = Strangers[Peer](each, total, times.stranger / 5, self.now)
        self.watched: set[Peer] = set()  # all but WebSockets of those who have shown a token
        self._peers: set[Peer] = set()
        self._held_bytes = held_bytes  # most that strangers may have sent and the server not handled
        self._held = 0
        self.address_of = address_of
        self._is_proxy = is_proxy
        self._rarely = rarely
        self._listening: list[socket.socket] = []
        self._tls: ssl.SSLContext | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- listening ----------------------------------------------------------------------------

    def begin(self, make_handler: Callable[[], web.RequestHandler[Any]], tls: ssl.SSLContext | None) -> None:
        """Accept connections of the sockets that :meth:`listen` has made."""
        self.make_handler = make_handler
        self._tls = tls
        for sock in self._listening:
            self._loop.add_reader(sock.fileno(), self._accept, sock)
        self._sweep()

    def listen(self, address: str, port: int) -> None:
        """Listen on an address. ``::`` is all of both families; it is two sockets, as one for both would show IPv4
        addresses in the form of IPv6. Raises OSError."""
        for name in (_ANY_IPV4, "::") if address == "::" else (address,):
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

    def stop(self) -> None:
        """Accept nothing more."""
        for sock in self._listening:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._listening.clear()

    def end(self) -> None:
        """Hang up on everybody."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
        for peer in list(self._peers):
            peer.end()

    # --- accepting ----------------------------------------------------------------------------

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as exc:
                if exc.errno not in _OUT_OF:  # of that connection; accept(2) says to go on
                    continue
                self._rarely.log(
                    logger, logging.ERROR, "accept",
                    "connections cannot be accepted: %s; raise LimitNOFILE= of the unit, or lower limits.connections "
                    "and limits.pending (%d connections are open)", exc.strerror, len(self._peers),
                )  # fmt: skip
                self._evict()
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(_PAUSE, self._accept_again, listening)
                return
            self._welcome(sock, address[0])

    def _accept_again(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _welcome(self, sock: socket.socket, address: str) -> None:
        is_proxy = self._is_proxy(address)
        group = PROXY if is_proxy else group_of(address)
        self._make_room(group)
        if len(self._peers) >= self._sockets and not self._evict():
            self._rarely.log(
                logger, logging.WARNING, "full",
                "clients with tokens have all %d connections, and newcomers are refused; raise limits.connections and "
                "LimitNOFILE= of the unit", len(self._peers),
            )  # fmt: skip
            sock.close()
            return
        sock.setblocking(False)
        peer = Peer(self, is_proxy, group)
        self._peers.add(peer)
        self.watched.add(peer)
        self.strangers.add(peer, group)
        options = {} if self._tls is None else {"ssl": self._tls, "ssl_handshake_timeout": self.times.stranger}
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: peer, sock, **options))  # type: ignore[arg-type]
        peer.transport = (sock, task)

        def done(task: asyncio.Future[Any]) -> None:
            if task.cancelled() or task.exception() is not None:  # TLS failed, or it took too long
                sock.close()
                peer.lost()

        task.add_done_callback(done)

    # --- making room --------------------------------------------------------------------------

    def _make_room(self, group: str) -> None:
        """Before a stranger comes."""
        surplus = self.strangers.find_surplus(group)
        if surplus is not None:
            self._tell_surplus(group)
            surplus.end()
        elif self.strangers.is_full():
            self._tell_full()
            self._evict()

    def _tell_surplus(self, group: str) -> None:
        self._rarely.log(
            logger, logging.WARNING, "surplus",
            "%s has %d connections without a token: the oldest make room for new ones (limits.pending_per_address)",
            group, self.strangers.each,
        )  # fmt: skip

    def _tell_full(self) -> None:
        self._rarely.log(
            logger, logging.WARNING, "strangers",
            "%d connections are without a token: the oldest make room for new ones (limits.pending, LimitNOFILE= of "
            "the unit)", len(self.strangers),
        )  # fmt: skip

    def _evict(self) -> bool:
        """Hang up on somebody who can do without the connection: a stranger, or else who waits between two requests.
        False when there is nobody."""
        while (stranger := self.strangers.find_oldest()) is not None:
            if not stranger.check(self.now()) and stranger not in self.strangers:
                continue  # it has shown a token meanwhile
            stranger.end()
            return True
        for peer in self.watched:
            if peer.is_idle():
                peer.end()
                return True
        return False

    def watch(self, peer: Peer) -> None:
        """A connection is a stranger's, or is so again."""
        self.watched.add(peer)
        self.strangers.add(peer, peer.group)

    def refile(self, peer: Peer) -> None:
        """A proxy's connection has a request of another client, or none any more."""
        surplus = self.strangers.find_surplus(peer.group)
        if surplus is not None and surplus is not peer:
            self._tell_surplus(peer.group)
            surplus.end()
        self.strangers.add(peer, peer.group)

    # --- bytes --------------------------------------------------------------------------------

    def hold(self, peer: Peer, size: int) -> None:
        """Bytes came from a connection. If strangers have sent too many that were not handled yet, those go who have
        sent most."""
        if peer not in self.strangers:
            return
        peer.counted += size
        self._held += size
        if self._held <= self._held_bytes:
            return
        self._rarely.log(
            logger, logging.WARNING, "bytes",
            "requests without a token fill limits.pending_bytes (%d): the largest are ended", self._held_bytes,
        )  # fmt: skip
        for largest in sorted(self.watched, key=lambda p: p.counted, reverse=True):
            if self._held <= self._held_bytes * 3 // 4:
                break
            largest.end()

    def release(self, peer: Peer) -> None:
        """They were handled, or are a client's with a token."""
        self._held -= peer.counted
        peer.counted = 0

    def forget(self, peer: Peer) -> None:
        """The connection is over."""
        self.release(peer)
        self.strangers.discard(peer)
        self._peers.discard(peer)
        self.watched.discard(peer)

    # --- deadlines ----------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Look at all connections that have a deadline: one timer instead of thousands."""
        capacity = self._capacity()
        self._sockets, self.strangers.total, _ = capacity
        now = self.now()
        overdue = sum([peer.check(now) for peer in list(self.watched)])
        if overdue:
            self._rarely.log(logger, logging.INFO, "overdue", "%d idle or slow connections closed", overdue)
        surplus = self.strangers.find_all_surplus()
        if surplus:
            self._tell_surplus("an address")
            for peer in surplus:
                peer.end()
        while len(self.strangers) > self.strangers.total:
            self._tell_full()
            self._evict()
        self._timer = self._loop.call_later(min(1.0, max(0.02, self.times.stranger / 5)), self._sweep)

    # --- for the application ------------------------------------------------------------------

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note a request's beginning and end, and that a WebSocket takes its connection over."""
        transport = request.transport
        peer = peer_of(request)
        if peer is None or transport is None:
            return await handler(request)
        peer.begin(request)
        try:
            return await handler(request)
        finally:
            protocol = transport.get_protocol()
            if protocol is None or protocol is peer:
                peer.finish()
            else:
                cast(Any, protocol).peer = peer
                peer.taken_over()


def peer_of(request: web.BaseRequest) -> Peer | None:
    """The connection that a request came through; None when it was not accepted by a :class:`Listener`."""
    protocol = None if request.transport is None else request.transport.get_protocol()
    return protocol if isinstance(protocol, Peer) else None
