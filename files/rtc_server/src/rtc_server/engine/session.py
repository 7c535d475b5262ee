# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Engine.IO session: its transport, its outgoing buffer, its heartbeat, its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from . import eio_codec as eio
from .errors import ProtocolError, violations
from .hub import Hub, Numbered, PreparedMessage, Room, join_frames
from .websocket import WebSocket

logger = logging.getLogger(__name__)

_PING = PreparedMessage((eio.PING,))
_PONG = PreparedMessage((eio.PONG,))

_LATE = 0.1  # seconds: a heartbeat timer later than this means that the loop stalled

# Between two counts, ``slow_bytes`` is only added to, although clients read meanwhile. So a sum over the limit means
# nothing before the next count; a sum of twice the limit stops delivery at once, because memory must stay bounded.
_UNCOUNTED_FACTOR = 2


class Handshake(NamedTuple):
    """What is kept of the request that opened a session (not the request itself, which would hold its connection)."""

    query: dict[str, str]
    remote: str  # the client's address
    origin: str | None
    user_agent: str


class SessionOwner(Protocol):
    """What a session needs of the engine that created it."""

    loop: asyncio.AbstractEventLoop
    hub: Hub
    ping_interval: float  # seconds, as are the other times
    ping_timeout: float
    upgrade_timeout: float
    linger: float  # that a closed session has to take what was written to it
    max_payload: int  # bytes of a message
    stranger_payload: int  # of one whose client was not admitted
    buffer_limit: int  # bytes that may wait for one client
    volatile_limit: int  # bytes with which no volatile message is added
    total_buffer_limit: int  # bytes that may wait for all slow clients together
    slow_bytes: int  # that wait for slow clients: counted now and then, added to in between

    def on_message(self, session: Session, packet: eio.Packet) -> Awaitable[None] | None: ...

    def on_slow(self, session: Session, backlog: int) -> None: ...

    def poll_limit(self, handshake: Handshake) -> int: ...

    def track_slow(self, session: Session) -> None: ...

    def spawn(self, work: Awaitable[Any]) -> None: ...

    def forget(self, session: Session) -> None: ...


class Session:
    """A client, whichever transport it is on."""

    __slots__ = (
        "_awaiting_pong",
        "_deadline",
        "_delivery_stopped",
        "_due",
        "_last_seen",
        "_next_ping",
        "_poll_request",
        "_timer",
        "admitted",
        "app",
        "base64_only",
        "buffer",
        "buffered",
        "closed",
        "eio_version",
        "engine",
        "fast_path",
        "handshake",
        "id",
        "leaving",
        "own",
        "poll",
        "poll_limit",
        "posting",
        "probed",
        "reason",
        "rooms",
        "upgrading",
        "ws",
    )

    def __init__(
        self, engine: SessionOwner, sid: str, eio_version: int, base64_only: bool, handshake: Handshake
    ) -> None:
        self.id = sid
        self.eio_version = eio_version
        self.base64_only = base64_only
        self.poll_limit = engine.poll_limit(handshake)
        self.engine = engine
        self.app: Any = None  # what the layer above keeps here
        # Takes a text packet from a WebSocket, or returns False to leave it to the layer above.
        self.fast_path: Callable[[str], bool] | None = None
        self.handshake = handshake
        self.admitted = False  # the layer above has let the client in
        self.closed = False
        self.reason = ""
        self.leaving = ""  # why it ends with its next poll
        self.own: list[Numbered] = []  # hub: sends of this turn
        self.rooms: dict[Room, None] = {}
        self.ws: WebSocket | None = None
        self.poll: asyncio.Future[None] | None = None
        self._poll_request: web.BaseRequest | None = None
        self.posting = False
        self.upgrading = False  # a second transport is open
        self.probed = False  # it has been probed: polls end at once
        self.buffer: list[eio.Packet] = []  # for the next poll
        self.buffered = 0
        self._delivery_stopped = False
        self._last_seen = engine.loop.time()
        self._awaiting_pong = False
        self._next_ping = self._last_seen + engine.ping_interval
        self._deadline = self._next_ping + engine.ping_timeout
        self._arm(self._next_ping if eio_version == 4 else self._deadline)

    @property
    def transport(self) -> str:
        """The transport in use, by its protocol name."""
        return "polling" if self.ws is None else "websocket"

    # --- sending ----------------------------------------------------------------------------

    def send(self, *packets: eio.Packet) -> None:
        """Queue whole packets (text with type digit, or binary) for the end of this turn."""
        self.engine.hub.send(self, PreparedMessage(packets))

    @property
    def backlog(self) -> int:
        """Bytes accepted for this client that the kernel has not taken yet."""
        return self.buffered if self.ws is None else self.ws.buffered_amount

    def write(self, frames: bytes) -> bool:
        """Hub: write one batch; False when it cannot go straight out and :meth:`deliver` is to decide."""
        ws = self.ws
        if ws is None or ws.blocked or self.closed or self._delivery_stopped:
            return False
        ws.transport.write(frames)
        return True

    def deliver(self, messages: Collection[PreparedMessage], frames: bytes | None) -> None:
        """Hub: hand one batch to the transport (``frames`` is its encoding, when that is known)."""
        if self.closed or self._delivery_stopped:
            return
        ws = self.ws
        if ws is None:
            self._buffer_for_poll(messages)
        elif not ws.blocked:
            ws.transport.write(join_frames(messages, self.eio_version) if frames is None else frames)
        else:
            self._write_to_slow(ws, messages, frames)

    def _write_to_slow(self, ws: WebSocket, messages: Collection[PreparedMessage], frames: bytes | None) -> None:
        """Write to a client that reads slower than it is written to, or stop delivery when too much waits already."""
        engine = self.engine
        if ws.resting:
            ws.write(join_frames(messages, self.eio_version) if frames is None else frames)
            return
        backlog = ws.buffered_amount
        engine.track_slow(self)
        if backlog > engine.volatile_limit:
            kept = [message for message in messages if not message.volatile]
            if len(kept) != len(messages):
                messages, frames = kept, None
        if frames is None:
            frames = join_frames(messages, self.eio_version)
        engine.slow_bytes += len(frames)
        own_limit_reached = backlog + len(frames) > engine.buffer_limit
        total_limit_reached = engine.slow_bytes > _UNCOUNTED_FACTOR * engine.total_buffer_limit
        if own_limit_reached or total_limit_reached:
            self._stop_delivery(backlog)
        else:
            ws.write(frames)

    def _buffer_for_poll(self, messages: Collection[PreparedMessage]) -> None:
        if self.buffered:
            self.engine.track_slow(self)
        if self.buffered > self.engine.volatile_limit:
            messages = [message for message in messages if not message.volatile]
        size = sum([len(message.frame4) for message in messages])
        if self.buffered and self.buffered + size > self.engine.buffer_limit:
            self._stop_delivery(self.buffered)
            return
        for message in messages:
            self.buffer += message.packets
        self.buffered += size
        self._wake_poll()

    def cut_off(self) -> None:
        """Engine: slow clients have reached their total limit, and this one holds the most of it."""
        if self.closed and self.ws is not None:
            self.ws.transport.abort()  # it had its time to read
        elif not self._delivery_stopped and not self.closed:
            self._stop_delivery(self.backlog)

    def _stop_delivery(self, backlog: int) -> None:
        """Deliver nothing more, as data must not follow a gap, and have the client closed."""
        self._delivery_stopped = True
        self.engine.loop.call_soon(self.engine.on_slow, self, backlog)

    # --- polling ----------------------------------------------------------------------------

    def _wake_poll(self) -> None:
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(None)

    def is_poll_lost(self) -> bool:
        """Whether the connection of the pending poll is gone."""
        return self._poll_request is not None and self._poll_request.transport is None

    def drain(self) -> eio.Packet:
        """The payload of a poll answer; a NOOP packet when nothing is buffered."""
        packets, self.buffer, self.buffered = self.buffer or [eio.NOOP], [], 0
        most = self.poll_limit
        if 0 < most < len(packets):
            packets, self.buffer = packets[:most], packets[most:]
            self.buffered = sum([len(p) for p in self.buffer])
        if self.eio_version == 4:
            return eio.encode_payload_v4(packets)
        return eio.encode_payload_v3(packets, base64_only=self.base64_only)

    async def wait_poll(self, request: web.BaseRequest) -> eio.Packet:
        """The payload that answers a GET: what is buffered, or else what comes next."""
        if not self.buffer and not self.probed and not self.closed:
            self.poll, self._poll_request = self.engine.loop.create_future(), request
            try:
                await self.poll
            except asyncio.CancelledError:  # with the runner's handler_cancellation: the client hung up
                self.poll = self._poll_request = None
                self.close("transport error")
                raise
            self.poll = self._poll_request = None
        if self.leaving and not 0 < self.poll_limit <= len(self.buffer):
            self.close(self.leaving)
        return self.drain()

    # --- transports -------------------------------------------------------------------------

    def attach(self, ws: WebSocket) -> None:
        """Make a WebSocket the transport and move the polling buffer over to it."""
        self.ws = ws
        if self.admitted:
            ws.limit = self.engine.max_payload
        self.upgrading = self.probed = False
        packets, self.buffer, self.buffered = self.buffer, [], 0
        if packets:
            ws.write(b"".join([eio.encode_packet_frame(p, self.eio_version) for p in packets]))
        self._wake_poll()
        if self.leaving:
            self.close(self.leaving)

    def begin_probe(self) -> None:
        """The probe arrived: end the pending poll ("Upgrade": the noop packet)."""
        self.probed = True
        self._wake_poll()

    # --- receiving --------------------------------------------------------------------------

    def received(self, message: eio.Packet) -> Awaitable[None] | None:
        """WebSocket: a packet. A violation of the protocol ends the session."""
        try:
            if message.__class__ is str:
                fast_path = self.fast_path
                if fast_path is not None and not self.closed and fast_path(message):
                    return None
            elif self.eio_version == 3:
                message = eio.strip_type(message)  # type: ignore[arg-type]  # bytes
            return self.feed(message)
        except ProtocolError as exc:
            self.failed(exc)
        return None

    def failed(self, error: ProtocolError) -> None:
        """End the session of a client that broke the protocol."""
        violations.log(logger, logging.INFO, str(error), "session %s: %s", self.id, error)
        self.close("parse error")

    def lost(self) -> None:
        """WebSocket: the connection is over."""
        self.close("transport close")

    def feed(self, packet: eio.Packet) -> Awaitable[None] | None:
        """Handle one packet of the client; an awaitable when the layer above has to wait."""
        if self.closed:
            return None
        if packet.__class__ is not str:
            return self.engine.on_message(self, packet)
        kind = packet[:1]
        if kind == eio.MESSAGE:
            return self.engine.on_message(self, packet)
        self._last_seen = self.engine.loop.time()
        if kind == eio.PONG and self.eio_version == 4:
            self._handle_pong()
        elif kind == eio.PING and self.eio_version == 3:
            self.engine.hub.send(self, _PONG if packet == eio.PING else PreparedMessage((eio.PONG + str(packet[1:]),)))
        elif kind == eio.CLOSE:
            self.close("client closed", eio.NOOP)
        elif kind not in eio.TYPES or kind in (eio.OPEN, eio.PING, eio.PONG):
            raise ProtocolError("unexpected packet")
        return None

    # --- heartbeat --------------------------------------------------------------------------

    def is_expired(self) -> bool:
        """Whether the heartbeat is overdue now, even if its timer has not run yet."""
        now = self.engine.loop.time()
        if self.eio_version == 4:
            return now >= self._deadline
        return now >= self._last_seen + self.engine.ping_interval + self.engine.ping_timeout

    def _arm(self, when: float) -> None:
        self._due = when
        self._timer = self.engine.loop.call_at(when, self._check_heartbeat)

    def _check_heartbeat(self) -> None:
        """Ping in version 4 ("Heartbeat"); in version 3 the client pings. End the session when it is overdue."""
        now = self.engine.loop.time()
        late = now - self._due
        if self.is_poll_lost():
            self.close("transport error")
        elif late > _LATE:  # what came while the loop stalled has not been read yet
            self._deadline += late
            self._last_seen += late
            self._arm(now + _LATE)
        elif self.is_expired():
            self.close("ping timeout")
        elif self.eio_version == 3:
            self._arm(self._last_seen + self.engine.ping_interval + self.engine.ping_timeout)
        elif self._awaiting_pong:
            self._arm(self._deadline)
        elif now < self._next_ping:
            self._arm(self._next_ping)
        else:
            self._awaiting_pong = True
            self.engine.hub.send(self, _PING)
            self._arm(self._deadline)

    def _handle_pong(self) -> None:
        if not self._awaiting_pong:
            return
        self._awaiting_pong = False
        self._next_ping = self._last_seen + self.engine.ping_interval
        self._deadline = self._next_ping + self.engine.ping_timeout
        if self._next_ping < self._due:  # interval shorter than timeout
            self._timer.cancel()
            self._arm(self._next_ping)

    # --- end --------------------------------------------------------------------------------

    def close(self, reason: str, poll_answer: str = eio.CLOSE, final_message: PreparedMessage | None = None) -> None:
        """End the session: what is queued goes out first, then ``final_message``.

        A client that does not read gets ``engine.linger`` seconds to take what is written already.
        """
        if self.closed:
            return
        lost = self.ws is not None and self.ws.over
        if not self._delivery_stopped and not lost:
            self.engine.hub.deliver_and_leave(self)
        self.closed, self.reason = True, reason
        self._timer.cancel()
        self.engine.hub.deliver_and_leave(self)
        if self.ws is None:
            if final_message is not None:
                self.buffer += final_message.packets
            self.buffer.append(poll_answer)
            self._wake_poll()
        if self.ws is not None and not lost:
            if final_message is not None:
                self.ws.write(join_frames((final_message,), self.eio_version))
            self.engine.spawn(self._close_when_read(self.ws))
        self.engine.forget(self)

    def leave(self, reason: str) -> None:
        """End the session once its client has been given what waits for it: one that is between two polls with the
        next of them, for which it has ``engine.linger`` seconds."""
        if self.ws is not None or self.poll is not None:
            self.close(reason)
        elif not self.closed and not self.leaving:
            self.leaving = reason
            self.engine.spawn(self._close_when_polled())

    async def _close_when_polled(self) -> None:
        loop = self.engine.loop
        give_up = loop.time() + self.engine.linger
        while not self.closed and loop.time() < give_up:
            await asyncio.sleep(0.05)
        self.close(self.leaving)

    async def _close_when_read(self, ws: WebSocket) -> None:
        loop = self.engine.loop
        give_up = loop.time() + self.engine.linger
        if ws.buffered_amount:
            self.engine.track_slow(self)
        while ws.buffered_amount and loop.time() < give_up:
            await asyncio.sleep(0.05)
        if ws.buffered_amount:
            ws.transport.abort()
        else:
            ws.close()


class Probe:
    """A WebSocket that asks to become a session's transport ("Upgrade"): 2probe, 3probe, noop to the poll, 5."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ws: WebSocket | None = None
        self._packets = 0

    def begin(self, ws: WebSocket) -> None:
        """Wait for the client's probe, but not for ever."""
        engine = self._session.engine
        self._ws = ws
        self._session.upgrading = True
        self._timer = engine.loop.call_later(engine.upgrade_timeout, self._stop)

    def received(self, message: eio.Packet) -> None:
        """Accept a probe or two and then the upgrade, nothing else."""
        session, ws = self._session, self._ws
        if ws is None:
            return
        self._packets += 1
        if message == eio.PING + "probe" and self._packets < 3 and not session.closed:
            ws.write(eio.encode_frame(b"3probe"))
            session.begin_probe()
        elif message == eio.UPGRADE and session.probed and not session.closed:
            self._ws = None
            self._timer.cancel()
            ws.receiver = session
            session.attach(ws)
        else:
            self._stop()

    def failed(self, error: ProtocolError) -> None:
        """Never called: :meth:`received` returns nothing to await."""

    def lost(self) -> None:
        """The client hung up; it goes on with polling."""
        self._stop()

    def _stop(self) -> None:
        ws, self._ws = self._ws, None
        if ws is not None:
            self._timer.cancel()
            self._session.upgrading = self._session.probed = False
            ws.close()
