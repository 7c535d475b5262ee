# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of WebSocket (RFC 6455), without extensions, on a connection taken over from aiohttp.

aiohttp reads the request. From the answer on, the transport is ours: a message goes from the socket to its receiver
without a task, a queue or a future between, and a connection that idles holds neither request nor handler.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
from collections import deque
from collections.abc import Awaitable
from typing import Protocol

from aiohttp import hdrs, web

from .errors import ProtocolError

log = logging.getLogger(__name__)

NORMAL, PROTOCOL, NOT_UTF8, TOO_BIG = 1000, 1002, 1007, 1009  # RFC 6455 section 7.4.1
_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))  # that a client may send

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A  # first byte: FIN and opcode
_NOTHING = bytearray()  # shared by all who wait for nothing: it is never added to
_OWED = 64 << 10  # bytes that a client leaves unread, after which its pings are not answered
_AHEAD = 256 << 10  # bytes that come while a message is handled, after which reading pauses


class Receiver(Protocol):
    """Who is told what a client says."""

    def received(self, message: str | bytes) -> Awaitable[None] | None:
        """A message. While what is returned is awaited, no other message is handed over."""

    def failed(self, error: ProtocolError) -> None:
        """What was awaited says that the client broke the protocol."""

    def lost(self) -> None:
        """The connection is over, or about to end: nothing more is sent or handed over. May be told twice."""


def accept_key(request: web.BaseRequest) -> bytes | None:
    """What answers the request's key (section 4.2.2); None when it is no opening handshake of version 13,
    or when the client has hung up already."""
    key = request.headers.get(hdrs.SEC_WEBSOCKET_KEY, "")
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            return None
    except (binascii.Error, ValueError):
        return None
    if request.headers.get(hdrs.SEC_WEBSOCKET_VERSION) != "13" or request.method != hdrs.METH_GET:
        return None
    tokens = ",".join(request.headers.getall(hdrs.CONNECTION, ())).lower().split(",")
    if "upgrade" not in [token.strip() for token in tokens]:
        return None
    if (
        request.transport is None or request.transport.is_closing()
    ):  # TLS may have the end on its way to aiohttp already
        return None
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest())


def slow_unmask(data: bytes, mask: bytes) -> bytes:
    """Section 5.3, as one operation on long integers."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


try:
    from websockets.speedups import apply_mask as unmask  # the same in C
except ImportError:
    unmask = slow_unmask  # type: ignore[assignment]  # it takes bytes only, and gets nothing else


def _answer_to(payload: bytes) -> int:
    """The code of our close frame after a client's with that payload (sections 5.5.1, 7.4, 8.1)."""
    if not payload:
        return NORMAL
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CODES or 3000 <= code < 5000):
        return PROTOCOL
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    return code


class _Early:
    """Takes what a client sent without waiting for the answer to its handshake (RFC 6455 section 4.1 forbids it)."""

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._ws._rest = bytearray(data)
        return False, b""

    def feed_eof(self) -> None:
        pass


class WebSocket(asyncio.Protocol):
    """One connection. ``limit``: largest message, in bytes; ``linger``: seconds to wait for the client's half of the end."""

    __slots__ = (
        "_closing",
        "_hang_up",
        "_held",
        "_held_bytes",
        "_kind",
        "_limit",
        "_linger",
        "_loop",
        "_need",
        "_parts",
        "_paused",
        "_rest",
        "_size",
        "_timer",
        "_waiting",
        "blocked",
        "over",
        "receiver",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, receiver: Receiver, limit: int, linger: float) -> None:
        self.receiver = receiver
        self._loop = loop
        self._limit = limit
        self._linger = linger
        self._rest = _NOTHING  # read, and not yet a whole frame, or not yet its turn
        self._need = 0  # bytes of it that make the frame whole
        self._waiting: asyncio.Future[None] | None = None  # what the receiver is busy with
        self._paused = False
        self._parts = (
            bytearray()
        )  # of a fragmented message: parts may be of a byte each, and an object for each costs more
        self._size = 0
        self._kind = 0  # opcode of the fragmented message
        self._closing = False  # our close frame is on its way
        self.blocked = False  # the kernel has not taken all that was written: what is written now is held here
        self._held: deque[bytes] | None = None
        self._held_bytes = 0
        self._hang_up = False  # once nothing is held
        self.over = False  # the connection is lost: its transport may not even be asked
        self._timer: asyncio.TimerHandle | None = None

    def take_over(self, request: web.Request, accept: bytes) -> None:
        """Answer the handshake; the connection is over for aiohttp, and goes on here. The handler has to return at once."""
        transport = request.transport
        assert transport is not None
        self.transport = transport
        old = request.protocol
        old.set_parser(_Early(self))  # type: ignore[arg-type]  # of a parser it calls only these methods
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=1)  # with 0 asyncio's TLS takes nothing for something
        old.transport = None  # or it would close it
        old.connection_lost(None)
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if self._rest:
            self._loop.call_soon(self._resume)

    @property
    def owed(self) -> int:
        """Bytes written that the kernel has not taken yet."""
        try:
            return 0 if self.over else self.transport.get_write_buffer_size() + self._held_bytes
        except AttributeError:  # TLS of asyncio before Python 3.11, in the turn in which the connection ends
            return 0

    # --- writing ----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send whole frames. A transport may copy what it cannot send at once; what is shared by many members is not held
        by its transport then, but here."""
        if not self.blocked:
            self.transport.write(data)
        elif not self.over:
            if self._held is None:
                self._held = deque()
            self._held.append(data)
            self._held_bytes += len(data)

    def pause_writing(self) -> None:
        """Transport: something is left."""
        self.blocked = True

    def resume_writing(self) -> None:
        """Transport: nothing is left."""
        self.blocked = False
        while self._held and not self.blocked:
            data = self._held.popleft()
            self._held_bytes -= len(data)
            self.transport.write(data)
        if self._hang_up and not self._held:
            self._loop.call_soon(self.transport.close)  # asyncio would end it twice if it were closed in here

    # --- the end ----------------------------------------------------------------------------

    def close(self, code: int = NORMAL) -> None:
        """Say good-bye and wait for the client to say it too, or to hang up; but not for long (section 7.1)."""
        if not self._closing:
            self._closing = True
            self._say(code)

    def _say(self, code: int) -> None:
        self.write(bytes((_CLOSE, 2)) + code.to_bytes(2, "big"))
        self._timer = self._loop.call_later(self._linger, self.transport.abort)

    def _answer_close(self, payload: bytes) -> None:
        """The client's half: if it was the first, ours follows."""
        if not self._closing:
            self._end(_answer_to(payload))
        self._close_transport()

    def _close_transport(self) -> None:
        if self._held:
            self._hang_up = True
        else:
            self.transport.close()

    def _end(self, code: int) -> None:
        """The receiver is told before our close frame goes out: nothing may be sent after it (section 5.5.1)."""
        self._closing = True  # it may want to close, too
        self.receiver.lost()
        self._say(code)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._closing = self.over = True
        self._held = None
        self._rest = _NOTHING
        self.receiver.lost()

    # --- reading ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        rest = self._rest
        if rest:
            rest += data
            if self._waiting is None and len(rest) >= self._need:
                self._resume()
        elif self._waiting is None:
            self._read(data)
        else:
            rest = self._rest = bytearray(data)
        if self._waiting is not None and len(rest) > _AHEAD + self._limit and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _read(self, data: bytes) -> None:
        """Hand over the whole frames; keep the rest, and how much it takes to be a frame: it may come byte by byte."""
        at, end, stop = 0, len(data), 0
        while end - at >= 6:  # two bytes, and the mask
            first, size = data[at], data[at + 1]
            start = at + 6
            if size < 128:
                return self._fail(PROTOCOL, "a frame without mask")
            size -= 128
            if size > 125:
                start += 2 if size == 126 else 8
                stop = start
                if stop > end:
                    break
                size = int.from_bytes(data[at + 2 : start - 4], "big")
            if self._size + size > self._limit and not (
                first & 8 and size < 126
            ):  # a control frame is no part of a message
                if first & 8:
                    return self._fail(PROTOCOL, "a control frame that is too long")
                return self._fail(TOO_BIG, f"a message of more than {self._limit} bytes")
            stop = start + size
            if stop > end:
                break
            payload = unmask(data[start:stop], data[start - 4 : start])
            at = stop
            if first == _TEXT and not self._kind:
                waiting = self._message(first & 15, payload)
            else:
                waiting = self._other(first, payload)
            if waiting is not None:
                self._rest = bytearray(data[at:])
                self._wait(waiting)
                return None
        if at < end:
            self._rest = bytearray(data[at:])
            self._need = max(stop, at + 6) - at
        return None

    def _other(self, first: int, payload: bytes) -> Awaitable[None] | None:
        """Everything but a text in one frame (sections 5.4, 5.5)."""
        kind = first & 15
        if first & 0x70 or kind not in (0, 1, 2, 8, 9, 10):
            self._fail(PROTOCOL, "reserved bits or opcode")
        elif kind >= 8:
            if first < 128 or len(payload) > 125:
                self._fail(PROTOCOL, "a control frame in parts, or too long")
            elif first == _CLOSE:
                self._answer_close(payload)
            elif first == _PING and not self._closing and self.owed < _OWED:
                self.write(bytes((_PONG, len(payload))) + payload)
        elif (kind == 0) == (self._kind == 0):
            self._fail(PROTOCOL, "a part of no message, or a message within another")
        else:
            self._kind = self._kind or kind
            self._parts += payload
            self._size += len(payload) or 1  # so that empty parts do not go on for ever
            if first >= 128:
                payload, kind = bytes(self._parts), self._kind
                self._parts, self._size, self._kind = bytearray(), 0, 0
                return self._message(kind, payload)
        return None

    def _message(self, kind: int, payload: bytes) -> Awaitable[None] | None:
        if self._closing:
            return None
        if kind == 2:
            return self.receiver.received(payload)
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._fail(NOT_UTF8, "text that is not UTF-8")
            return None
        return self.receiver.received(text)

    def _fail(self, code: int, why: str) -> None:
        """Section 7.1.7: no more is read."""
        if not self._closing:
            log.info("WebSocket: %s", why)
            self._end(code)
        self._close_transport()

    # --- waiting for the receiver -----------------------------------------------------------

    def wait(self, waiting: Awaitable[None]) -> None:
        """Hand over nothing before this is done."""
        self._wait(waiting)

    def _wait(self, waiting: Awaitable[None]) -> None:
        self._waiting = asyncio.ensure_future(waiting)
        self._waiting.add_done_callback(self._go_on)

    def _go_on(self, done: asyncio.Future[None]) -> None:
        self._waiting = None
        error = None if done.cancelled() else done.exception()
        if isinstance(error, ProtocolError):
            self.receiver.failed(error)
        elif error is not None:
            log.error("a message's handler failed", exc_info=error)
        if self._paused and not self.over and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()
        self._resume()

    def _resume(self) -> None:
        """Go on with what was read before its turn."""
        rest = self._rest
        if rest and self._waiting is None:
            self._rest = _NOTHING
            self._read(bytes(rest))
