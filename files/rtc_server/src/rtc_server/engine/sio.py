# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket.IO on the engine: namespaces, sockets, acknowledgements, rooms."""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from . import eio_codec as eio
from . import sio_codec as sio
from .errors import ConnectRefused, ProtocolError, SocketClosed
from .hub import Hub, Parcel, Room
from .server import Engine
from .session import Session

log = logging.getLogger(__name__)

Handler = Callable[..., Any]


def guard(function: Callable[..., Any], *args: Any) -> Any:
    """Call application code that must not end a session by raising."""
    try:
        return function(*args)
    except Exception:
        log.exception("hook failed")
        return None


Authorize = Callable[["Socket", dict[str, Any]], Awaitable[None] | None]


class Socket:
    """A client in one namespace."""

    __slots__ = ("_acks", "_calls", "_next_ack", "app", "connected", "id", "namespace", "session")

    def __init__(self, sid: str, namespace: Namespace, session: Session) -> None:
        self.id = sid
        self.namespace = namespace
        self.session = session
        self.app: Any = None  # what the application keeps here
        self.connected = False
        self._acks: dict[int, Callable[..., Any]] = {}
        self._calls: set[asyncio.Future[list[Any]]] = set()
        self._next_ack = 0

    def send_packet(self, kind: str, data: Any = None, id: int | None = None) -> None:
        """Queue one packet of this namespace; nothing before CONNECT is answered, nor after the end."""
        if not self.connected:
            return
        hub, codec = self.namespace.hub, self.namespace.codec
        hub.send(self.session, Parcel(codec.encode(kind, self.namespace.name, data, id)))

    def send_text(self, body: str) -> None:
        """Queue an event whose argument list is JSON text already: ``["name",…]``."""
        if self.connected:
            self.namespace.hub.send(self.session, self.namespace.parcel(body))

    def answer_text(self, number: int, body: str) -> None:
        """Queue an acknowledgement whose argument list is JSON text already."""
        if self.connected:
            packet = f"43{self.namespace.prefix}{number}{body}"
            self.namespace.hub.send(self.session, Parcel((packet,)))

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event; ``ack(*answer)`` is called with what the client answers."""
        number = None
        if ack is not None:
            number = self._next_ack
            self._next_ack += 1
            self._acks[number] = ack
        self.send_packet(sio.EVENT, [event, *args], number)

    async def call(self, event: str, *args: Any, timeout: float = 10.0) -> list[Any]:
        """Send an event and wait for the answer. Never inside a handler of the same client:
        its packets are handled one after another, the answer would wait for the handler."""
        answer: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

        def take(*values: Any) -> None:
            if not answer.done():
                answer.set_result(list(values))

        number = self._next_ack
        self.emit(event, *args, ack=take)
        self._calls.add(answer)
        try:
            return await asyncio.wait_for(answer, timeout)
        finally:
            self._calls.discard(answer)
            self._acks.pop(number, None)

    def acknowledged(self, number: int, answer: list[Any]) -> None:
        """An ACK came; unknown numbers (late, or made up) are ignored."""
        callback = self._acks.pop(number, None)
        if callback is not None:
            callback(*answer)

    def join(self, room: str) -> None:
        """Enter a room: from now on, what is published there reaches this client."""
        self.namespace.hub.join(self.namespace.room(room), self.session)

    def leave(self, room: str) -> None:
        """Leave a room."""
        found = self.namespace.rooms.get(room)
        if found is not None:
            self.namespace.hub.leave(found, self.session)

    def disconnect(self, reason: str = "server disconnect") -> None:
        """Send DISCONNECT for this namespace; the connection stays."""
        if self.connected:
            self.send_packet(sio.DISCONNECT)
            self.namespace.drop(self, reason)

    def ended(self) -> None:
        """Namespace: nothing more comes from this client."""
        self.connected = False
        for answer in self._calls:
            if not answer.done():
                answer.set_exception(SocketClosed(self.id))
        self._acks.clear()


class Namespace:
    """Handlers, sockets and rooms under one name."""

    def __init__(self, name: str, hub: Hub, codec: sio.Codec) -> None:
        self.name = name
        self.prefix = "" if name == "/" else name + ","
        self.hub = hub
        self.codec = codec
        self.sockets: dict[str, Socket] = {}
        self.rooms: dict[str, Room] = {}
        self.handlers: dict[str, Handler] = {}
        self.deferred: dict[str, Handler] = {}
        # For the main namespace: makes what takes a client's packets by their text; with False they go to the handlers.
        self.quick: Callable[[Socket], Callable[[str], bool]] | None = None
        self.authorize: Authorize | None = None
        self.on_connect: Callable[[Socket], Any] | None = None
        self.on_disconnect: Callable[[Socket, str], Any] | None = None
        self.on_slow: Callable[[Socket], str | None] | None = None

    def on(self, event: str) -> Callable[[Handler], Handler]:
        """Register ``handler(socket, *args)``; what it returns is the acknowledgement."""

        def register(handler: Handler) -> Handler:
            self.handlers[event] = handler
            return handler

        return register

    def on_deferred(self, event: str, handler: Handler) -> None:
        """Register ``handler(socket, number, args)`` that answers by itself, now or later.

        ``number`` is what :meth:`Socket.answer_text` wants, None when no acknowledgement was asked for.
        """
        self.deferred[event] = handler

    def parcel(self, body: str, volatile: bool = False) -> Parcel:
        """An event whose argument list is JSON text already."""
        return Parcel((f"42{self.prefix}{body}",), volatile)

    def room(self, name: str) -> Room:
        """The room of that name, made when missing."""
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = Room(name, self.rooms)
        return room

    def emit_to_room(
        self, room: str, event: str, *args: Any, skip: Socket | None = None, volatile: bool = False
    ) -> None:
        """Publish to a room's members. ``volatile``: may be dropped for a member that reads too slowly."""
        target = self.rooms.get(room)
        if target is not None:
            packets = self.codec.event(self.name, [event, *args])
            self.hub.publish(target, Parcel(packets, volatile), None if skip is None else skip.session)

    def drop(self, socket: Socket, reason: str) -> None:
        """Forget a socket and tell the application."""
        if not socket.connected:
            return
        socket.ended()
        self.sockets.pop(socket.id, None)
        client: _Client = socket.session.app
        client.sockets.pop(self.name, None)
        if self.name == "/":
            client.quick = None
        for room in [r for r in socket.session.rooms if r.index is self.rooms]:
            self.hub.leave(room, socket.session)
        if self.on_disconnect is not None:
            result = guard(self.on_disconnect, socket, reason)
            if inspect.isawaitable(result):
                socket.session.engine.spawn(result)


class _Client:
    """What Socket.IO keeps for one session."""

    __slots__ = ("decoder", "quick", "refusals", "sockets", "timer")

    def __init__(self, decoder: sio.Decoder) -> None:
        self.sockets: dict[str, Socket] = {}
        self.decoder = decoder
        self.quick: Callable[[str], bool] | None = None  # of the main namespace
        self.timer: asyncio.TimerHandle | None = None
        self.refusals = 0


class SocketServer(Engine):
    """The Socket.IO server; options are those of :class:`Engine`."""

    def __init__(
        self,
        *,
        json: sio.Json,
        connect_timeout: float = 45.0,
        handler_timeout: float = 30.0,
        connect_attempts: int = 10,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.connect_timeout = connect_timeout
        self.handler_timeout = handler_timeout  # seconds an awaited handler may hold up its client's packets
        self.connect_attempts = connect_attempts  # refused CONNECTs after which a session is closed
        self.codec = sio.Codec(json)
        self.namespaces: dict[str, Namespace] = {}

    def namespace(self, name: str = "/") -> Namespace:
        """The namespace of that name, made when missing; clients reach only those made."""
        found = self.namespaces.get(name)
        if found is None:
            found = self.namespaces[name] = Namespace(name, self.hub, self.codec)
        return found

    # --- Engine -----------------------------------------------------------------------------

    def on_open(self, session: Session) -> Awaitable[None] | None:
        client = session.app = _Client(sio.Decoder(self.codec, self.max_payload))
        if session.revision == 3:  # older dialect: the main namespace is joined without asking
            return self._connect(session, client, "/", session.handshake.query)
        self._expect_connect(session, client)
        return None

    def on_message(self, session: Session, packet: eio.Packet) -> Awaitable[None] | None:
        client: _Client = session.app
        decoder = client.decoder
        if isinstance(packet, str) and packet[:2] == "42":
            quick = client.quick
            if quick is not None and decoder.waiting is None and quick(packet):
                return None
            at = packet.find("[", 2, 18)
            digits = packet[2:at]
            if at == 2 or (at > 0 and digits.isdecimal() and digits.isascii()):
                number = int(digits) if digits else None
                main = client.sockets.get("/")
                args = decoder.plain_event(packet, at)
                return None if main is None else self._event(main, args, number)
        decoded = decoder.text(packet) if isinstance(packet, str) else decoder.binary(packet)
        if decoded is None:
            return None
        kind, name, number, data = decoded
        socket = client.sockets.get(name)
        if kind == sio.EVENT:
            # a packet may cross our DISCONNECT on its way: not an error of the client
            return None if socket is None else self._event(socket, data, number)
        if kind == sio.ACK:
            if socket is not None and number is not None:
                guard(socket.acknowledged, number, data)
        elif kind == sio.DISCONNECT:
            if socket is not None:
                socket.namespace.drop(socket, "client disconnect")
        elif session.revision == 3:
            name, _, query = name.partition("?")
            if name != "/":  # already joined
                return self._connect(session, client, name, dict(parse_qsl(query)))
        elif socket is not None:
            raise ProtocolError("namespace joined twice")
        else:
            return self._connect(session, client, name, data or {})
        return None

    def on_slow(self, session: Session, backlog: int) -> None:
        """Close a member that reads too slowly, with the last words its application has for it."""
        client: _Client | None = session.app
        for socket in list(client.sockets.values()) if client is not None else ():
            if socket.namespace.on_slow is not None:
                body = guard(socket.namespace.on_slow, socket)
                if body is not None:
                    session.close("slow consumer", farewell=socket.namespace.parcel(body))
                    return
        session.close("slow consumer")

    def on_close(self, session: Session) -> None:
        client: _Client | None = session.app
        if client is not None:
            if client.timer is not None:
                client.timer.cancel()
            for socket in list(client.sockets.values()):
                socket.namespace.drop(socket, session.reason)

    # --- packets ----------------------------------------------------------------------------

    def _expect_connect(self, session: Session, client: _Client) -> None:
        def late() -> None:
            if not client.sockets:
                session.close("no CONNECT")

        client.timer = self.loop.call_later(self.connect_timeout, late)

    async def _connect(self, session: Session, client: _Client, name: str, auth: dict[str, Any]) -> None:
        """CONNECT: the hook decides, then the answer, then the application's first events."""
        old = session.revision == 3
        namespace = self.namespaces.get(name)
        try:
            if namespace is None:
                raise ConnectRefused("Invalid namespace")
            sid = secrets.token_urlsafe(15) if not old else session.id if name == "/" else f"{name}#{session.id}"
            socket = Socket(sid, namespace, session)
            if namespace.authorize is not None:
                try:
                    waiting = namespace.authorize(socket, auth)
                    if waiting is not None:
                        await asyncio.wait_for(waiting, self.handler_timeout)
                except Exception as exc:
                    if isinstance(exc, ConnectRefused):
                        raise
                    log.exception("authorize hook failed")
                    raise ConnectRefused("Internal error") from exc
        except ConnectRefused as refusal:
            error: Any = {"message": refusal.message}
            if refusal.data is not None:
                error["data"] = refusal.data
            if old:  # ERROR of the older dialect: any JSON
                error = refusal.message if refusal.data is None else refusal.data
            self.hub.send(session, Parcel(self.codec.encode(sio.CONNECT_ERROR, name, error)))
            client.refusals += 1
            if client.refusals >= self.connect_attempts:
                session.close("too many refused CONNECTs")
            return
        if session.closed:
            return
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None
        socket.connected = True
        namespace.sockets[sid] = client.sockets[name] = socket
        if name == "/" and namespace.quick is not None:
            client.quick = namespace.quick(socket)
        socket.send_packet(sio.CONNECT, None if old else {"sid": sid})
        if namespace.on_connect is not None:
            result = guard(namespace.on_connect, socket)
            if inspect.isawaitable(result):
                await result

    def _event(self, socket: Socket, args: list[Any], number: int | None) -> Awaitable[None] | None:
        name = args[0]
        try:
            handler = socket.namespace.deferred.get(name)
            if handler is not None:
                answer = handler(socket, number, args)
                if answer is None:
                    return None
                number = None
            else:
                handler = socket.namespace.handlers.get(name)
                if handler is None:
                    return None
                args[0] = socket
                answer = handler(*args)
                if not inspect.isawaitable(answer):
                    if number is not None:
                        self._answer(socket, number, answer)
                    return None
            return self._event_async(socket, answer, number)
        except Exception:
            log.exception("handler of %r failed", name)
        return None

    async def _event_async(self, socket: Socket, waiting: Awaitable[Any], number: int | None) -> None:
        """The client's next packets wait for this one, but not for ever."""
        try:
            answer = await asyncio.wait_for(waiting, self.handler_timeout)
        except asyncio.TimeoutError:
            log.error("a handler took longer than %g s: its session is closed", self.handler_timeout)
            socket.session.close("handler timeout")
        except Exception:
            log.exception("handler failed")
        else:
            if number is not None:
                self._answer(socket, number, answer)

    @staticmethod
    def _answer(socket: Socket, number: int, answer: Any) -> None:
        if socket.connected:
            values = list(answer) if isinstance(answer, tuple) else [] if answer is None else [answer]
            socket.send_packet(sio.ACK, values, number)
