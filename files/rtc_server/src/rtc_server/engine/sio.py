# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket.IO on the engine: namespaces, sockets, acknowledgements, rooms.

The RTC server registers handlers by :meth:`Namespace.on_deferred` and sends JSON text that is made once. The general
interface, :meth:`Namespace.on`, :meth:`Socket.emit` and :meth:`Socket.join`, is what the servers of the conformance
tests need, no more.
"""

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
from .errors import ConnectRefused, ProtocolError
from .hub import Hub, PreparedMessage, Room
from .server import Engine
from .session import Session

logger = logging.getLogger(__name__)

Handler = Callable[..., Any]

_CONNECT = eio.MESSAGE + sio.CONNECT


def guard(function: Callable[..., Any], *args: Any) -> Any:
    """Call application code that must not end a session by raising."""
    try:
        return function(*args)
    except Exception:
        logger.exception("hook failed")
        return None


Authorize = Callable[["Socket", dict[str, Any]], Awaitable[None] | None]


class Socket:
    """A client in one namespace."""

    __slots__ = ("_acks", "_next_ack", "app", "connected", "id", "namespace", "session")

    def __init__(self, sid: str, namespace: Namespace, session: Session) -> None:
        self.id = sid
        self.namespace = namespace
        self.session = session
        self.app: Any = None  # what the application keeps here
        self.connected = False
        self._acks: dict[int, Callable[..., Any]] = {}
        self._next_ack = 0

    def send_packet(self, kind: str, data: Any = None, id: int | None = None) -> None:
        """Queue one packet of this namespace; nothing before CONNECT is answered, nor after the end."""
        if not self.connected:
            return
        hub, codec = self.namespace.hub, self.namespace.codec
        hub.send(self.session, PreparedMessage(codec.encode(kind, self.namespace.name, data, id)))

    def send_text(self, body: str) -> None:
        """Queue an event whose argument list is JSON text already: ``["name",…]``."""
        if self.connected:
            self.namespace.hub.send(self.session, self.namespace.prepare(body))

    def answer_text(self, number: int, body: str) -> None:
        """Queue an acknowledgement whose argument list is JSON text already."""
        if self.connected:
            packet = f"43{self.namespace.prefix}{number}{body}"
            self.namespace.hub.send(self.session, PreparedMessage((packet,)))

    def emit(self, event: str, *args: Any, ack: Callable[..., Any] | None = None) -> None:
        """Send an event; ``ack(*answer)`` is called with what the client answers. For the conformance tests'
        servers."""
        number = None
        if ack is not None:
            number = self._next_ack
            self._next_ack += 1
            self._acks[number] = ack
        self.send_packet(sio.EVENT, [event, *args], number)

    def acknowledged(self, number: int, answer: list[Any]) -> None:
        """An ACK came; unknown numbers (late, or made up) are ignored."""
        callback = self._acks.pop(number, None)
        if callback is not None:
            callback(*answer)

    def join(self, room: str) -> None:
        """Enter a room: from now on, what is published there reaches this client. For the conformance tests'
        servers."""
        self.namespace.hub.join(self.namespace.room(room), self.session)

    def disconnect(self, reason: str = "server disconnect") -> None:
        """Send DISCONNECT for this namespace; the connection stays."""
        if self.connected:
            self.send_packet(sio.DISCONNECT)
            self.namespace.drop(self, reason)

    def ended(self) -> None:
        """Namespace: nothing more comes from this client."""
        self.connected = False
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
        # For the main namespace: makes a client's function that handles event packets of a WebSocket by their text, or
        # returns False to leave them to the handlers.
        self.fast_path: Callable[[Socket], Callable[[str], bool]] | None = None
        self.authorize: Authorize | None = None
        self.on_connect: Callable[[Socket], Any] | None = None
        self.on_disconnect: Callable[[Socket, str], Any] | None = None
        self.on_slow: Callable[[Socket], str | None] | None = None
        self.on_last: Callable[[Session], None] | None = None  # a session has left its last namespace, and stays

    def on(self, event: str) -> Callable[[Handler], Handler]:
        """Register ``handler(socket, *args)``; what it returns is the acknowledgement. For the conformance tests'
        servers."""

        def register(handler: Handler) -> Handler:
            self.handlers[event] = handler
            return handler

        return register

    def on_deferred(self, event: str, handler: Handler) -> None:
        """Register ``handler(socket, number, args)`` that answers by itself, now or later.

        ``number`` is what :meth:`Socket.answer_text` wants, None when no acknowledgement was asked for.
        """
        self.deferred[event] = handler

    def prepare(self, body: str, volatile: bool = False) -> PreparedMessage:
        """An event whose argument list is JSON text already. A volatile one may be dropped for a slow client."""
        return PreparedMessage((f"42{self.prefix}{body}",), volatile)

    def room(self, name: str) -> Room:
        """The room of that name, made when missing. It is listed once somebody is in it: what nobody ever enters must
        not stay."""
        return self.rooms.get(name) or Room(name, self.rooms)

    def drop(self, socket: Socket, reason: str) -> None:
        """Forget a socket and notify the application."""
        if not socket.connected:
            return
        socket.ended()
        self.sockets.pop(socket.id, None)
        client: _Client = socket.session.app
        client.sockets.pop(self.name, None)
        if self.name == "/":
            client.fast_path = socket.session.fast_path = None
        for room in [r for r in socket.session.rooms if r.index is self.rooms]:
            self.hub.leave(room, socket.session)
        if self.on_disconnect is not None:
            result = guard(self.on_disconnect, socket, reason)
            if inspect.isawaitable(result):
                socket.session.engine.spawn(result)
            else:
                socket.app = None  # which knows the socket, too: both go at once
        if not client.sockets:
            socket.session.admitted = False
            if socket.session.ws is not None:
                socket.session.ws.limit = socket.session.engine.stranger_payload
            if self.on_last is not None and not socket.session.closed:
                self.on_last(socket.session)


class _Client:
    """What Socket.IO keeps for one session."""

    __slots__ = ("decoder", "fast_path", "refusals", "sockets", "timer", "was_admitted")

    def __init__(self, decoder: sio.Decoder) -> None:
        self.sockets: dict[str, Socket] = {}
        self.decoder = decoder
        self.fast_path: Callable[[str], bool] | None = None  # of the main namespace
        self.timer: asyncio.TimerHandle | None = None
        self.refusals = 0
        self.was_admitted = False


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
        self.connect_attempts = connect_attempts  # refused CONNECTs, with which a session is closed
        self.codec = sio.Codec(json)
        self.namespaces: dict[str, Namespace] = {}

    def namespace(self, name: str = "/") -> Namespace:
        """The namespace of that name, made when missing; clients reach only those made."""
        found = self.namespaces.get(name)
        if found is None:
            found = self.namespaces[name] = Namespace(name, self.hub, self.codec)
            found.on_last = self.expect_connect
        return found

    # --- Engine -----------------------------------------------------------------------------

    def on_open(self, session: Session) -> Awaitable[None] | None:
        client = session.app = _Client(sio.Decoder(self.codec, self.max_payload))
        self.expect_connect(session)
        if session.eio_version == 3:  # older dialect: the main namespace is joined without asking
            return self._connect(session, client, "/", session.handshake.query)
        return None

    def on_message(self, session: Session, packet: eio.Packet) -> Awaitable[None] | None:
        client: _Client = session.app
        decoder = client.decoder
        if isinstance(packet, str) and packet[:2] == "42":
            at = packet.find("[", 2, 18)
            digits = packet[2:at]
            if session.admitted and (at == 2 or (at > 0 and digits.isdecimal() and digits.isascii())):
                number = int(digits) if digits else None
                main = client.sockets.get("/")
                args = decoder.decode_plain_event(packet, at)
                return None if main is None else self._handle_event(main, args, number)
        if not session.admitted and packet[:2] != _CONNECT:
            if not client.was_admitted:
                raise ProtocolError("another packet than CONNECT of a client that is not connected")
            return None  # it may cross our DISCONNECT on its way: not an error of the client
        decoded = decoder.decode_text(packet) if isinstance(packet, str) else decoder.decode_binary(packet)
        # Between a packet and its attachments nothing else may come: the fast path would not know.
        session.fast_path = client.fast_path if decoder.waiting is None else None
        if decoded is None:
            return None
        kind, name, number, data = decoded
        socket = client.sockets.get(name)
        if kind == sio.EVENT:
            return None if socket is None else self._handle_event(socket, data, number)
        if kind == sio.ACK:
            if socket is not None and number is not None:
                guard(socket.acknowledged, number, data)
        elif kind == sio.DISCONNECT:
            if socket is not None:
                socket.namespace.drop(socket, "client disconnect")
        elif session.eio_version == 3:
            name, _, query = name.partition("?")
            if name != "/":  # already joined
                return self._connect(session, client, name, dict(parse_qsl(query)))
        elif socket is not None:
            raise ProtocolError("namespace joined twice")
        else:
            return self._connect(session, client, name, data or {})
        return None

    def on_slow(self, session: Session, backlog: int) -> None:
        """Close a slow client, with the final message that the application has for it."""
        client: _Client | None = session.app
        for socket in list(client.sockets.values()) if client is not None else ():
            if socket.namespace.on_slow is not None:
                body = guard(socket.namespace.on_slow, socket)
                if body is not None:
                    session.close("slow consumer", final_message=socket.namespace.prepare(body))
                    return
        session.close("slow consumer")

    def on_close(self, session: Session) -> None:
        client: _Client | None = session.app
        if client is not None:
            if client.timer is not None:
                client.timer.cancel()
            for socket in list(client.sockets.values()):
                socket.namespace.drop(socket, session.reason)
            session.app = None  # what it holds goes at once, and not with the next collection

    # --- packets ----------------------------------------------------------------------------

    def expect_connect(self, session: Session) -> None:
        """A session without a socket, new or left, ends after ``connect_timeout`` seconds, whatever it sends."""
        client: _Client = session.app

        def give_up() -> None:
            if not client.sockets:
                session.close("no CONNECT")

        if client.timer is not None:
            client.timer.cancel()
        client.timer = self.loop.call_later(self.connect_timeout, give_up)

    async def _connect(self, session: Session, client: _Client, name: str, auth: dict[str, Any]) -> None:
        """CONNECT: the hook decides, then the answer, then the application's first events."""
        try:
            socket = await self._admit_socket(session, name, auth)
        except ConnectRefused as refusal:
            self._refuse_connect(session, client, name, refusal)
            return
        if session.closed:
            return
        if client.timer is not None:
            client.timer.cancel()
            client.timer = None
        namespace = socket.namespace
        socket.connected = True
        namespace.sockets[socket.id] = client.sockets[name] = socket
        session.admitted = client.was_admitted = True
        if session.ws is not None:
            session.ws.limit = self.max_payload
        if name == "/" and namespace.fast_path is not None:
            client.fast_path = session.fast_path = namespace.fast_path(socket)
        socket.send_packet(sio.CONNECT, None if session.eio_version == 3 else {"sid": socket.id})
        if session.ws is not None:
            self.hub.deliver_to(session)
            session.ws.rest()
        if namespace.on_connect is not None:
            result = guard(namespace.on_connect, socket)
            if inspect.isawaitable(result):
                await result

    async def _admit_socket(self, session: Session, name: str, auth: dict[str, Any]) -> Socket:
        """A socket for a client that the namespace's hook lets in. Raises ConnectRefused."""
        namespace = self.namespaces.get(name)
        if namespace is None:
            raise ConnectRefused("Invalid namespace")
        socket = Socket(_make_socket_id(session, name), namespace, session)
        if namespace.authorize is None:
            return socket
        try:
            waiting = namespace.authorize(socket, auth)
            if waiting is not None:
                await asyncio.wait_for(waiting, self.handler_timeout)
        except ConnectRefused:
            raise
        except Exception as exc:
            logger.exception("authorize hook failed")
            raise ConnectRefused("Internal error") from exc
        return socket

    def _refuse_connect(self, session: Session, client: _Client, name: str, refusal: ConnectRefused) -> None:
        """Answer CONNECT_ERROR, and close the session of a client that is refused again and again."""
        error: Any = {"message": refusal.message}
        if refusal.data is not None:
            error["data"] = refusal.data
        if session.eio_version == 3:  # ERROR of the older dialect: any JSON
            error = refusal.message if refusal.data is None else refusal.data
        self.hub.send(session, PreparedMessage(self.codec.encode(sio.CONNECT_ERROR, name, error)))
        client.refusals += 1
        if client.refusals >= self.connect_attempts:
            session.close("too many refused CONNECTs")

    def _handle_event(self, socket: Socket, args: list[Any], number: int | None) -> Awaitable[None] | None:
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
            return self._await_handler(socket, answer, number)
        except Exception:
            logger.exception("handler of %r failed", name)
        return None

    async def _await_handler(self, socket: Socket, waiting: Awaitable[Any], number: int | None) -> None:
        """The client's next packets wait for this one, but not for ever."""
        try:
            answer = await asyncio.wait_for(waiting, self.handler_timeout)
        except asyncio.TimeoutError:
            logger.error("a handler took longer than %g s: its session is closed", self.handler_timeout)
            socket.session.close("handler timeout")
        except Exception:
            logger.exception("handler failed")
        else:
            if number is not None:
                self._answer(socket, number, answer)

    @staticmethod
    def _answer(socket: Socket, number: int, answer: Any) -> None:
        if socket.connected:
            values = list(answer) if isinstance(answer, tuple) else [] if answer is None else [answer]
            socket.send_packet(sio.ACK, values, number)


def _make_socket_id(session: Session, namespace: str) -> str:
    """In the older dialect a client derives the id from its session's, in Socket.IO 5 it is random."""
    if session.eio_version == 4:
        return secrets.token_urlsafe(15)
    return session.id if namespace == "/" else f"{namespace}#{session.id}"
