# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of WebSocket (RFC 6455), without extensions, on a connection taken over from aiohttp.

aiohttp reads the request. From the answer on, the transport belongs to this module: a message goes from the socket to
its receiver without a task, a queue or a future between, and an idle connection holds neither request nor handler.
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

from .errors import ProtocolError, violations
from .takeover import take_over
from .turns import LARGE, PACKET_COST, Turns

logger = logging.getLogger(__name__)

# Close codes (RFC 6455 section 7.4.1), and those that a client may send.
NORMAL = 1000
PROTOCOL = 1002
NOT_UTF8 = 1007
TOO_BIG = 1009
_CLIENT_CODES = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))

# Opcodes (section 5.2). Plain numbers, as they are compared for every frame.
_CONTINUATION = 0x0
_TEXT = 0x1
_BINARY = 0x2
_CLOSE = 0x8
_PING = 0x9
_PONG = 0xA
_CONTROL = 0x8  # the bit that control frames have in their opcode
_OPCODES = frozenset((_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG))
_FIN = 0x80
_RESERVED = 0x70  # RSV1 to RSV3
_WHOLE_TEXT = _FIN | _TEXT
_MAX_CONTROL = 125  # bytes (section 5.5)
_NO_TEXT = "text that is not UTF-8"

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_NOTHING = bytearray()  # shared by all connections with nothing to keep; it is never added to
_PONG_LIMIT = 64 << 10  # unread bytes of a client with which its pings are not answered
_READ_AHEAD = 256 << 10  # bytes that may come, beside a message, before their turn; then reading pauses
_CHUNK = 32 << 10  # bytes of those that are looked at in one turn, or more when a frame is longer
_EVERYTHING = 1 << 62
_REST = 0.002  # seconds


class Receiver(Protocol):
    """Where the messages of a client go."""

    def received(self, message: str | bytes) -> Awaitable[None] | None:
        """A message. While the awaitable that this returns is awaited, no other message is handed over."""

    def failed(self, error: ProtocolError) -> None:
        """What was awaited found that the client violated the protocol."""

    def lost(self) -> None:
        """The connection is over, or about to end: nothing more is sent or handed over. May be called twice."""


class Peer(Protocol):
    """What whoever accepted the connection keeps of it."""

    def admitted(self) -> None:
        """Its session was admitted."""

    def dismissed(self) -> None:
        """Its session is not any more."""

    def lost(self) -> None:
        """It is over."""


_SMALLEST_HEADER = 6  # bytes of a client's frame: two, and the mask


def accept_key(request: web.BaseRequest) -> bytes | None:
    """The answer to the request's key (section 4.2.2); None when the request is no opening handshake of version 13, or
    the client has hung up already."""
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
    # TLS may know that the connection has ended before aiohttp does.
    if request.transport is None or request.transport.is_closing():
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


def _choose_close_code(payload: bytes) -> int:
    """The code of the close frame that answers a client's with that payload (sections 5.5.1, 7.4, 8.1)."""
    if not payload:
        return NORMAL
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _CLIENT_CODES or 3000 <= code < 5000):
        return PROTOCOL
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return NOT_UTF8
    return code


class _Nobody:
    """The receiver of a connection that is over."""

    def received(self, message: str | bytes) -> None:
        pass

    def failed(self, error: ProtocolError) -> None:
        pass

    def lost(self) -> None:
        pass


_NOBODY = _Nobody()


class WebSocket(asyncio.Protocol):
    """One connection. ``limit`` is the largest message in bytes, and may change; ``linger`` the seconds to wait for the
    client's close frame; ``turns`` say how much of what came may be handled at once."""

    __slots__ = (
        "_closing",
        "_fragmented",
        "_hang_up",
        "_held",
        "_held_bytes",
        "_is_full",
        "_linger",
        "_loop",
        "_need",
        "_parts",
        "_paused",
        "_queued",
        "_rest",
        "_size",
        "_timer",
        "_turns",
        "_waiting",
        "blocked",
        "limit",
        "over",
        "peer",
        "receiver",
        "resting",
        "transport",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, receiver: Receiver, limit: int, linger: float, turns: Turns
    ) -> None:
        self.receiver = receiver
        self.limit = limit
        self._loop = loop
        self._linger = linger
        self._turns = turns
        self._rest = _NOTHING  # read, and not yet a whole frame, or not yet its turn
        self._need = 0  # bytes of it that make the frame whole
        self._waiting: asyncio.Future[None] | None = None  # what the receiver is busy with
        self._queued = False  # for its turn
        self._paused = False
        # Of a fragmented message: its payload so far (one buffer, as parts may be of a byte each), its size as it
        # counts against the limit, and its opcode.
        self._parts = bytearray()
        self._size = 0
        self._fragmented = 0
        self._closing = False  # the server's close frame is on its way
        self.blocked = False  # what is written is held here, as the connection is full or rests
        self.resting = False
        self._is_full = False  # the kernel has not taken all that was written
        self._held: deque[bytes] | None = None
        self._held_bytes = 0
        self._hang_up = False  # once nothing is held
        self.over = False  # the connection is lost: its transport may not even be asked
        self._timer: asyncio.TimerHandle | None = None
        self.peer: Peer | None = None

    def take_over(self, request: web.Request, accept: bytes) -> None:
        """Answer the handshake. For aiohttp the connection is over, and it goes on here; the handler has to return at
        once."""
        self.transport = take_over(request, self, self._keep_early)
        self.transport.set_write_buffer_limits(high=1)  # with 0 asyncio's TLS takes nothing for something
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if self._rest:
            self._loop.call_soon(self._resume)

    def _keep_early(self, data: bytes) -> None:
        self._rest = bytearray(data)

    @property
    def buffered_amount(self) -> int:
        """Bytes written that the kernel has not taken yet (as ``bufferedAmount`` of the browsers' WebSocket)."""
        try:
            return 0 if self.over else self.transport.get_write_buffer_size() + self._held_bytes
        except AttributeError:  # TLS of asyncio before Python 3.11, in the turn in which the connection ends
            return 0

    # --- writing ----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send whole frames. A transport may copy what it cannot send at once. So while it is blocked, frames are held
        here, where slow clients share one buffer."""
        if not self.blocked:
            self.transport.write(data)
        elif not self.over:
            if self._held is None:
                self._held = deque()
            self._held.append(data)
            self._held_bytes += len(data)

    def rest(self) -> None:
        """Hold back what is written in the next moment. Clients that begin to listen once they have read an answer
        would lose what comes with it in one piece."""
        self.resting = self.blocked = True
        self._loop.call_later(_REST, self._end_rest)

    def _end_rest(self) -> None:
        self.resting = False
        if not self._is_full:
            self._let_out()

    def pause_writing(self) -> None:
        """Transport: it holds bytes that the kernel has not taken."""
        self.blocked = self._is_full = True

    def resume_writing(self) -> None:
        """Transport: the kernel has taken everything."""
        self._is_full = False
        if not self.resting:
            self._let_out()

    def _let_out(self) -> None:
        """Write what was held."""
        self.blocked = False
        while self._held and not self.blocked:
            data = self._held.popleft()
            self._held_bytes -= len(data)
            self.transport.write(data)
        if self._hang_up and not self._held:
            self._loop.call_soon(self.transport.close)  # closed right here, asyncio would end it twice

    # --- the end ----------------------------------------------------------------------------

    def close(self, code: int = NORMAL) -> None:
        """Send a close frame and wait ``linger`` seconds for the client's, or for the end of the connection (section
        7.1)."""
        if not self._closing:
            self._closing = True
            self._send_close(code)

    def _send_close(self, code: int) -> None:
        self.write(bytes((_FIN | _CLOSE, 2)) + code.to_bytes(2, "big"))
        self._timer = self._loop.call_later(self._linger, self.transport.abort)

    def _answer_close(self, payload: bytes) -> None:
        """The client's close frame: answer it unless it is an answer itself."""
        if not self._closing:
            self._end_with(_choose_close_code(payload))
        self._close_transport()

    def _close_transport(self) -> None:
        if self._held:
            self._hang_up = True
        else:
            self.transport.close()

    def _end_with(self, code: int) -> None:
        """Send a close frame. The receiver learns of it before, as nothing may be sent after it (section 5.5.1)."""
        self._closing = True  # it may want to close, too
        self.receiver.lost()
        self._send_close(code)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._closing = self.over = True
        self._held = None
        self._rest = _NOTHING
        if self.peer is not None:
            self.peer.lost()
            self.peer = None
        self.receiver.lost()
        self.receiver = _NOBODY  # or the two would keep each other, and all that they hold, until a collection

    # --- reading ----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        rest = self._rest
        if rest:
            rest += data
            if self._waiting is None and not self._queued and len(rest) >= self._need:
                self._resume()
        elif self._waiting is None and not self._queued:
            used = self._read(data)
            if used < len(data):
                self._rest = bytearray(data[used:] if used else data)
        else:
            rest = self._rest = bytearray(data)
        if (self._waiting is not None or self._queued) and not self._paused and self._has_enough():
            self._paused = True
            self.transport.pause_reading()

    def _has_enough(self) -> bool:
        """Whether more has come than need be before what is there was handled."""
        return len(self._rest) > min(_READ_AHEAD, 4 * self.limit) + self.limit

    def _read(self, data: bytes) -> int:
        """Hand over the messages in whole frames, as many as are this connection's share of the turn. Returns the bytes
        that were used; of the rest, ``_need`` bytes are a whole frame, or may be."""
        turns = self._turns
        share = left = turns.take_share()
        at, end = 0, len(data)
        self._need = _SMALLEST_HEADER
        while end - at >= _SMALLEST_HEADER:
            # The header (section 5.2), read in place as every message has one: FIN, RSV, opcode; then mask, length.
            first, length, size = data[at], data[at + 1] - 0x80, _SMALLEST_HEADER
            if length < 0:  # it violates the protocol whatever follows: the rest of the header is not waited for
                return self._fail(PROTOCOL, "a frame without mask")
            if length > 125:
                size += 2 if length == 126 else 8
                if end - at < size:
                    self._need = size
                    break
                length = int.from_bytes(data[at + 2 : at + size - 4], "big")
            if first & _CONTROL:
                if length > _MAX_CONTROL:
                    return self._fail(PROTOCOL, "a control frame that is too long")
            elif self._size + length > self.limit:
                return self._fail(TOO_BIG, f"a message of more than {self.limit} bytes")
            start, need = at + size, size + length
            if end - at < need:
                self._need = need
                break
            if left <= 0 or (need > LARGE and not turns.is_for_large):
                self._need = need
                self._queued = True
                turns.wait(self._take_turn, need)
                break
            left -= need + PACKET_COST
            at += need
            payload = unmask(data[start:at], data[start - 4 : start])
            if first == _WHOLE_TEXT and not self._fragmented and not self._closing:  # by far the most frequent one
                try:
                    text = payload.decode()
                except UnicodeDecodeError:
                    return self._fail(NOT_UTF8, _NO_TEXT)
                waiting = self.receiver.received(text)
            else:
                waiting = self._handle_frame(first, payload)
            if waiting is not None:
                self._wait_for(waiting)
                break
        if left != share:
            turns.spend(share - left)
        return at

    def _handle_frame(self, first: int, payload: bytes) -> Awaitable[None] | None:
        """A frame by the first byte of its header: sections 5.4 (fragmentation) and 5.5 (control frames)."""
        fin, opcode = first >= _FIN, first & 0x0F
        if first & _RESERVED or opcode not in _OPCODES:
            self._fail(PROTOCOL, "reserved bits or opcode")
        elif opcode & _CONTROL:
            self._handle_control(fin, opcode, payload)
        elif (opcode == _CONTINUATION) != (self._fragmented != 0):
            self._fail(PROTOCOL, "a part of no message, or a message within another")
        elif fin and not self._fragmented:
            return self._hand_over(opcode, payload)
        else:
            self._fragmented = self._fragmented or opcode
            self._parts += payload
            self._size += len(payload) or 1  # so that empty parts do not go on for ever
            if fin:
                opcode, payload = self._fragmented, bytes(self._parts)
                self._parts, self._size, self._fragmented = bytearray(), 0, 0
                return self._hand_over(opcode, payload)
        return None

    def _handle_control(self, fin: bool, opcode: int, payload: bytes) -> None:
        if not fin:
            self._fail(PROTOCOL, "a control frame in parts")
        elif opcode == _CLOSE:
            self._answer_close(payload)
        elif opcode == _PING and not self._closing and self.buffered_amount < _PONG_LIMIT:
            self.write(bytes((_FIN | _PONG, len(payload))) + payload)

    def _hand_over(self, opcode: int, payload: bytes) -> Awaitable[None] | None:
        if self._closing:
            return None
        if opcode == _BINARY:
            return self.receiver.received(payload)
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self._fail(NOT_UTF8, _NO_TEXT)
            return None
        return self.receiver.received(text)

    def _fail(self, code: int, why: str) -> int:
        """Section 7.1.7: no more is read. Returns that everything was used."""
        if not self._closing:
            violations.log(logger, logging.INFO, why, "WebSocket: %s", why)
            self._end_with(code)
        self._close_transport()
        self._rest = _NOTHING
        return _EVERYTHING

    # --- waiting for the receiver -----------------------------------------------------------

    def wait(self, waiting: Awaitable[None]) -> None:
        """Hand over nothing before this is done."""
        self._wait_for(waiting)

    def _wait_for(self, waiting: Awaitable[None]) -> None:
        self._waiting = asyncio.ensure_future(waiting)
        self._waiting.add_done_callback(self._go_on)

    def _go_on(self, done: asyncio.Future[None]) -> None:
        self._waiting = None
        error = None if done.cancelled() else done.exception()
        if isinstance(error, ProtocolError):
            self.receiver.failed(error)
        elif error is not None:
            logger.error("a message's handler failed", exc_info=error)
        self._resume()

    def _take_turn(self) -> None:
        self._queued = False
        self._resume()

    def _resume(self) -> None:
        """Go on with what was read before its turn."""
        rest = self._rest
        if self._waiting is not None or self._queued:
            return
        if rest:
            size = max(self._need, _CHUNK)
            with memoryview(rest) as view:
                data = bytes(view[:size])
            used = self._read(data)
            if self._rest is rest:  # else the connection has ended meanwhile
                del rest[:used]
                if self._waiting is None and not self._queued and len(rest) >= self._need:
                    self._queued = True
                    self._turns.wait(self._take_turn, self._need)
        if self._paused and not self.over and not self.transport.is_closing():
            if len(self._rest) < self._need or not self._has_enough():
                self._paused = False
                self.transport.resume_reading()
