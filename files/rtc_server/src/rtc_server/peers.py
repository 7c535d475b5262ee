# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All accepted connections: what stage each has reached, when that has to be over, and who makes room for others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol, cast

from aiohttp import web

from .capacity import Capacity
from .engine.takeover import find_protocol
from .engine.turns import Turns
from .heads import END_OF_HEAD, PIPELINED_BYTES, Leftover, find_leftover, is_pipeline
from .rarely import Rarely
from .slices import Slices
from .strangers import PROXY, Strangers, group_of

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEAD_BYTES = 64 << 10  # of a request without body; aiohttp alone would take megabytes
_REQUESTS = 100  # over one connection without a token
_RESERVE = 8  # connections for newcomers, /readyz among them, beside those that clients with a token may have
_ORDERLY = 1.0  # seconds that an end takes which is said before
_PROXY_SECONDS = 90.0  # between two requests of a trusted proxy: longer than nginx keeps a connection (60)


# What runs out, and what to do.
_SURPLUS = "%s has %d connections without a token: the oldest make room for new ones (limits.pending_per_address)"
_FULL = (
    "%d connections are without a token: the oldest make room for new ones (limits.pending, LimitNOFILE= of the unit)"
)
_TAKEN = (
    "clients with tokens have nearly all of %d connections: those make room on which there is no request "
    "(limits.connections, LimitNOFILE= of the unit)"
)
_TOO_MANY_BYTES = "requests without a token fill limits.pending_bytes (%d): the largest are ended"
_OVERDUE = "%d idle or slow connections closed"


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
        "_input",
        "_is_proxy",
        "_most",
        "_peers",
        "_requests",
        "_session",
        "counted",
        "deadline",
        "group",
        "is_over",
        "transport",
    )

    def __init__(self, peers: Peers, is_proxy: bool, group: str) -> None:
        self._peers = peers
        self.group = group  # of addresses; a proxy's changes with its requests
        self._is_proxy = is_proxy
        self._http: web.RequestHandler | None = None
        self._input: Slices | Leftover | None = None  # of that
        self._session: SessionLike | None = None  # whose request it has, or had last
        self._busy = False  # a request is being handled
        self._requests = 0
        self.is_over = False
        self._held = 0  # bytes that came in this stage, and may be in memory still
        self.counted = 0  # of them: those that count as a stranger's
        self._most = _HEAD_BYTES  # of them; 0 for a body, which the engine limits
        self._head_ended = False
        self._end = b""  # of what came, in which an end of the head may have begun
        # While TLS is agreed on: the socket and the task that waits for it.
        self.transport: asyncio.Transport | tuple[socket.socket, asyncio.Future[Any]] | None = None
        self.deadline = peers.now() + peers.times.stranger

    # --- the connection, as asyncio.Protocol has it -------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:  # ended meanwhile
            cast(asyncio.Transport, transport).abort()
            return
        self.transport = cast(asyncio.Transport, transport)
        self.deadline = self._peers.now() + self._peers.times.stranger

    def data_received(self, data: bytes) -> None:
        if not self._held and not self._busy:  # a head begins
            self.deadline = min(self.deadline, self._peers.now() + self._peers.times.stranger)
        size = len(data)
        self._held += size
        if self._most and not self._head_ended:
            self._head_ended = END_OF_HEAD in data or END_OF_HEAD in self._end + data[:3]
            self._end = data[-3:]
            if (self._held > self._most and (self._busy or not self._head_ended)) or is_pipeline(data):
                self.end()
                return
        self._peers.hold(self, size)
        if self.transport is None:  # ended just now
            return
        if self._input is None:
            transport = cast(asyncio.Transport, self.transport)
            self._http = self._peers.make_handler()
            self._http.connection_made(transport)
            self._input = Slices(self._peers.turns, self._http, transport)
        self._input.take(data)

    def eof_received(self) -> None:
        if self._input is not None:
            self._input.end()

    def pause_writing(self) -> None:
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        if self._http is not None:
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        http, self._http = self._http, None
        if self._input is not None:
            self._input.stop()
            self._input = None
        if http is not None:
            http.connection_lost(exc)
        self.lost()

    # --- its stages ---------------------------------------------------------------------------

    def begin(self, request: web.Request) -> None:
        """A request's head is whole."""
        if self.transport is None:
            return
        peers = self._peers
        self._busy = True
        self._requests += 1
        peers.strangers.touch(self)
        self._set_stage(0 if request.body_exists else PIPELINED_BYTES, peers.times.stranger)
        if self._is_proxy:
            self.group = group_of(peers.address_of(request))
            peers.refile(self)

    def serve(self, session: SessionLike) -> None:
        """The request is one of that session."""
        self._session = session
        if session.admitted:
            self.admitted()

    def finish(self, request: web.Request) -> None:
        """It was handled. Now its answer has to be read, and the next head to come; or what is left of its body: that
        is dropped."""
        self._busy = False
        if self.transport is None:
            return
        times = self._peers.times
        seconds = times.stranger
        if self._is_clients():
            seconds = times.client
        elif self._is_proxy:
            seconds = _PROXY_SECONDS
            self.group = PROXY
            self._peers.refile(self)
        else:
            self._peers.watch(self)
        leftover = 0 if self._input is None else find_leftover(request, self._input.waiting)
        if leftover and self._input is not None:
            self._input.stop()
            self._input = Leftover(cast(asyncio.Transport, self.transport), leftover)
            self._set_stage(0, times.stranger)
        else:
            self._set_stage(_HEAD_BYTES, seconds)

    def taken_over(self, protocol: asyncio.Protocol) -> None:
        """A WebSocket has it now. If its session shows no token, the session ends before this is overdue, in an orderly
        way."""
        self._http = None
        if self._input is not None:
            rest = self._input.stop()
            self._input = None
            if rest:
                protocol.data_received(rest)
        self._busy = False
        self._peers.strangers.touch(self)
        self._set_stage(0, self._peers.times.stranger + _ORDERLY)
        if self._is_clients():
            self.admitted()

    def admitted(self) -> None:
        """Its session has shown a token."""
        peers = self._peers
        self.deadline = peers.now() + peers.times.client
        peers.release(self)
        peers.strangers.discard(self)
        if self._http is None:  # a WebSocket: its session has a heartbeat
            peers.watched.discard(self)

    def dismissed(self) -> None:
        """Its session, over WebSocket, has left what the token admitted it to."""
        self.deadline = self._peers.now() + self._peers.times.stranger + _ORDERLY
        if self.transport is not None:
            self._peers.watch(self)

    def _is_clients(self) -> bool:
        session = self._session
        return session is not None and session.admitted and not session.closed

    def _set_stage(self, most: int, seconds: float) -> None:
        self._peers.release(self)
        self._held = 0
        self._most = most
        self._head_ended = False
        self._end = b""
        self.deadline = self._peers.now() + seconds

    # --- its end ------------------------------------------------------------------------------

    def check(self, now: float) -> bool:
        """End it when it is overdue; whether it is."""
        session = self._session
        if session is not None and session.closed:
            # When busy: a body that never ends, or an answer that is not read.
            self.deadline = min(self.deadline, now + (_ORDERLY if self._busy else self._peers.times.stranger))
            self._peers.watch(self)
        elif self in self._peers.strangers and self._is_clients():
            self.admitted()
        if now < self.deadline:
            return False
        self.end()
        return True

    def is_last(self, request: web.Request) -> bool:
        """Whether no other may follow: a body is still to come that the answer did not wait for, or a stranger has had
        as many requests as one connection may. Thousands may be sent ahead in one go."""
        has_asked_enough = self._requests >= _REQUESTS and not self._is_proxy and self in self._peers.strangers
        return has_asked_enough or find_leftover(request) > 0

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
        self.transport = self._session = None
        if not self.is_over:
            self.is_over = True
            self._peers.forget(self)


class Peers:
    """All accepted connections.

    ``capacity`` tells how many there may be, and may change its mind; ``each``: most strangers of one address;
    ``held_bytes``: most that strangers may have sent and the server not handled; ``address_of``: whom a request of a
    proxy is for; ``is_proxy``: whether an address is a trusted proxy's. ``make_handler`` is set before the first one is
    accepted: aiohttp's server, which makes a protocol for each connection.
    """

    make_handler: Callable[[], web.RequestHandler]

    def __init__(
        self,
        times: Times,
        capacity: Callable[[], Capacity],
        each: int,
        held_bytes: int,
        address_of: Callable[[web.Request], str],
        is_proxy: Callable[[str], bool],
        rarely: Rarely,
        turns: Turns,
    ) -> None:
        self.times = times
        self.turns = turns
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._capacity = capacity
        self._sockets, total, _ = capacity()
        self.strangers = Strangers[Peer](each, total, times.stranger / 5, self.now)
        self.watched: set[Peer] = set()  # all but WebSockets of those who have shown a token
        self._number = 0  # of all
        self.closed = 0  # since the start
        self.held_bytes = held_bytes
        self._held = 0
        self.address_of = address_of
        self._is_proxy = is_proxy
        self._rarely = rarely
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._number

    def begin(self, make_handler: Callable[[], web.RequestHandler]) -> None:
        """Look at deadlines from now on, until :meth:`end`."""
        self.make_handler = make_handler
        self._sweep()

    def end(self) -> None:
        """Hang up on everybody but WebSockets of clients with a token, which end with their sessions."""
        if self._timer is not None:
            self._timer.cancel()
        for peer in list(self.watched):
            peer.end()

    def add(self, address: str) -> Peer:
        """A connection from there was accepted; others may have to go for it."""
        is_proxy = self._is_proxy(address)
        group = PROXY if is_proxy else group_of(address)
        if not self._end_surplus(group) and self.strangers.is_full():
            self._tell_full()
            self.evict()
        if self._number >= self._sockets:
            if len(self.strangers) < _RESERVE:  # so many get in whatever those with a token have taken
                self._tell(_TAKEN, self._sockets)
                self._evict_idle()
            else:
                self.evict()
        peer = Peer(self, is_proxy, group)
        self._number += 1
        self.watch(peer)
        return peer

    def _sweep(self) -> None:
        """Look at all connections that have a deadline: one timer instead of thousands."""
        self._sockets, self.strangers.total, _ = self._capacity()
        now = self.now()
        overdue = sum([peer.check(now) for peer in list(self.watched)])
        if overdue:
            self._tell(_OVERDUE, overdue, level=logging.INFO)
        surplus = self.strangers.find_all_surplus()
        if surplus:
            self._tell_surplus("an address")
            for peer in surplus:
                peer.end()
        while len(self.strangers) > self.strangers.total:
            self._tell_full()
            self.evict()
        self._timer = self._loop.call_later(min(1.0, max(0.02, self.times.stranger / 5)), self._sweep)

    # --- making room --------------------------------------------------------------------------

    def _tell(self, message: str, *args: object, level: int = logging.WARNING) -> None:
        """What runs out, and what has an effect on it, once a minute."""
        self._rarely.log(logger, level, message, message, *args)

    def _tell_surplus(self, group: str) -> None:
        self._tell(_SURPLUS, group, self.strangers.each)

    def _tell_full(self) -> None:
        self._tell(_FULL, len(self.strangers))

    def _end_surplus(self, group: str) -> bool:
        """Hang up on the stranger of that group who has to go before one more comes; whether there was one."""
        while (peer := self.strangers.find_surplus(group)) is not None:
            if self._end_stranger(peer):
                self._tell_surplus(group)
                return True
        return False

    def evict(self) -> None:
        """Hang up on somebody who can do without the connection: a stranger, or else a client between two requests."""
        while (peer := self.strangers.find_oldest()) is not None:
            if self._end_stranger(peer):
                return
        self._evict_idle()

    def _end_stranger(self, peer: Peer) -> bool:
        """False when it has shown a token meanwhile: another of its client's connections has brought it."""
        peer.check(self.now())
        if not peer.is_over and peer not in self.strangers:
            return False
        peer.end()
        return True

    def _evict_idle(self) -> None:
        for peer in self.watched:
            if peer.is_idle() and peer not in self.strangers:
                peer.end()
                return

    def watch(self, peer: Peer) -> None:
        """A connection is a stranger's, or is so again."""
        self.watched.add(peer)
        self.strangers.add(peer, peer.group)

    def refile(self, peer: Peer) -> None:
        """A proxy's connection has a request of another client, or none any more."""
        self.strangers.discard(peer)
        self._end_surplus(peer.group)
        self.strangers.add(peer, peer.group)

    # --- bytes --------------------------------------------------------------------------------

    def hold(self, peer: Peer, size: int) -> None:
        """Bytes came from a connection. If strangers have sent too many that were not handled yet, those go who have
        sent most."""
        if peer not in self.strangers:
            return
        peer.counted += size
        self._held += size
        if self._held <= self.held_bytes:
            return
        self._tell(_TOO_MANY_BYTES, self.held_bytes)
        for largest in sorted(self.watched, key=lambda p: p.counted, reverse=True):
            if self._held <= self.held_bytes * 3 // 4:
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
        self._number -= 1
        self.closed += 1
        self.watched.discard(peer)

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
            response = await handler(request)
            if peer.is_last(request):
                response.force_close()
            return response
        except web.HTTPException as response:
            if peer.is_last(request):
                response.force_close()
            raise
        finally:
            protocol = find_protocol(transport)
            if protocol is None or protocol is peer:
                peer.finish(request)
            else:
                cast(Any, protocol).peer = peer
                peer.taken_over(cast(asyncio.Protocol, protocol))


def peer_of(request: web.BaseRequest) -> Peer | None:
    """The connection that a request came through; None when it was not accepted by a listener."""
    protocol = None if request.transport is None else find_protocol(request.transport)
    return protocol if isinstance(protocol, Peer) else None
