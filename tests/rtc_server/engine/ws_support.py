# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a client byte for byte, the reading of a server's, and a transport that only notes what is done with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from rtc_server.engine.errors import ProtocolError
from rtc_server.engine.turns import Turns
from rtc_server.engine.websocket import WebSocket

if sys.version_info >= (3, 11):
    patience = asyncio.timeout
else:  # aiohttp brings it there
    import async_timeout

    patience = async_timeout.timeout

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
# Close codes that a client may send (RFC 6455 sections 7.4.1, 7.4.2).
VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
MASK = b"\x37\xfa\x21\x3d"  # of the examples in RFC 6455 section 5.7


def unmask_slowly(mask: bytes, data: bytes) -> bytes:
    """Section 5.3 word by word."""
    return bytes(octet ^ mask[i % 4] for i, octet in enumerate(data))


def frame(kind: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0, mask: bytes | None = MASK) -> bytes:
    """A client's frame (section 5.2); ``reserved``: RSV1 to RSV3 as three bits."""
    first = (0x80 if fin else 0) | reserved << 4 | kind
    masked = 0 if mask is None else 0x80
    size = len(payload)
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 1 << 16:
        head = bytes((first, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, masked | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + (unmask_slowly(mask, payload) if any(mask) else payload)


def text(message: str) -> bytes:
    return frame(TEXT, message.encode())


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


class Frame(NamedTuple):
    """What a server sent: first byte (FIN and opcode), payload."""

    first: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of a close frame."""
        assert self.first == 0x80 | CLOSE, self
        return int.from_bytes(self.payload[:2], "big")


def split(data: bytes) -> list[Frame]:
    """The frames of a server: none masked, all whole, lengths in the shortest form."""
    found: list[Frame] = []
    at = 0
    while at < len(data):
        first, size = data[at], data[at + 1]
        assert size < 128, "a server must not mask"
        at += 2
        if size > 125:
            width = 2 if size == 126 else 8
            size = int.from_bytes(data[at : at + width], "big")
            assert size > (125 if width == 2 else 0xFFFF), "not the shortest form of a length"
            at += width
        assert at + size <= len(data), "half a frame"
        found.append(Frame(first, data[at : at + size]))
        at += size
    return found


class NoteTransport:
    """A transport without a socket."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.buffered_amount = 0  # bytes that the peer has not taken
        self.closed = self.aborted = self.paused = False
        self.pauses = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.buffered_amount

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True
        self.pauses += 1

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class NoteLoop:
    """Timers that run when a test says so."""

    def __init__(self) -> None:
        self.timers: list[NoteTimer] = []
        self.soon: list[Callable[..., Any]] = []

    def call_soon(self, function: Callable[..., Any]) -> None:
        self.soon.append(function)

    def run_soon(self) -> None:
        """Turns of the loop until nothing is left to do."""
        while self.soon:
            self.soon.pop(0)()

    def call_later(self, delay: float, function: Callable[..., Any]) -> NoteTimer:
        self.timers.append(NoteTimer(delay, function))
        return self.timers[-1]


class NoteTimer:
    def __init__(self, delay: float, function: Callable[..., Any]) -> None:
        self.delay, self.run, self.cancelled = delay, function, False

    def cancel(self) -> None:
        self.cancelled = True


class Taker:
    """A receiver that keeps what it is given. ``busy``: how many turns of the loop the handling of a message takes."""

    def __init__(self, busy: Callable[[str | bytes], int] = lambda _message: 0) -> None:
        self.messages: list[str | bytes] = []
        self.handled: list[str | bytes] = []
        self.errors: list[ProtocolError] = []
        self.losses = 0
        self.working = False
        self._busy = busy

    def received(self, message: str | bytes) -> Awaitable[None] | None:
        assert not self.working, "a message while another is handled"
        assert not self.losses, "a message after the end"
        self.messages.append(message)
        turns = self._busy(message)
        if turns:
            self.working = True
            return self._work(message, turns)
        self.handled.append(message)
        return None

    async def _work(self, message: str | bytes, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        self.handled.append(message)
        self.working = False

    def failed(self, error: ProtocolError) -> None:
        self.errors.append(error)

    def lost(self) -> None:
        self.losses += 1


class Alone:
    """A WebSocket without a socket, its transport and its receiver."""

    def __init__(self, limit: int = 1000, taker: Taker | None = None, loop: Any = None) -> None:
        self.loop = NoteLoop()
        self.transport = NoteTransport()
        self.taker = taker or Taker()
        self.turns = Turns(loop or self.loop)  # type: ignore[arg-type]
        self.ws = WebSocket(loop or self.loop, self.taker, limit, 7.0, self.turns)  # type: ignore[arg-type]
        self.ws.transport = self.transport  # type: ignore[assignment]

    def feed(self, *pieces: bytes) -> Alone:
        """As an event loop does: nothing is read after the transport was closed."""
        for piece in pieces:
            if piece and not self.transport.is_closing():
                self.ws.data_received(piece)
                self.loop.run_soon()
        return self

    @property
    def messages(self) -> list[str | bytes]:
        return self.taker.messages

    @property
    def sent(self) -> list[Frame]:
        return split(bytes(self.transport.written))

    @property
    def code(self) -> int | None:
        """Of our close frame, which nothing may follow."""
        frames = self.sent
        assert not [f for f in frames[:-1] if f.first == 0x88], "something after a close frame"
        return frames[-1].code if frames and frames[-1].first == 0x88 else None

    def failed_with(self, code: int) -> bool:
        """The connection was failed (section 7.1.7)."""
        assert (self.code, self.transport.closed, self.taker.losses > 0) == (code, True, True), (
            self.sent,
            self.transport.closed,
        )
        return True
