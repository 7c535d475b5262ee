# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes as a client sends them, without a library that would keep to the protocol: HTTP, WebSocket, TLS, sessions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from typing import Any

_KEPT = 1 << 16  # of what was received and not looked at: the last bytes are kept
_UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


class Ended(Exception):
    """The server hung up, or refused."""


def frame(body: str | bytes, opcode: int = 1, final: bool = True) -> bytes:
    """A client's WebSocket frame (RFC 6455, 5.2), with the mask 0, which leaves the body as it is."""
    data = body.encode() if isinstance(body, str) else body
    size = len(data)
    if size < 126:
        head = bytes((0x80 | size,))
    elif size < 1 << 16:
        head = bytes((0x80 | 126,)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | 127,)) + size.to_bytes(8, "big")
    return bytes(((0x80 if final else 0) | opcode,)) + head + b"\0\0\0\0" + data


def request(method: str, path: str, headers: str = "", body: bytes | None = None, length: int | None = None) -> bytes:
    """An HTTP/1.1 request. ``headers``: whole lines. ``length``: what Content-Length says where that is not true."""
    if body is not None:
        headers += f"Content-Length: {len(body) if length is None else length}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + (body or b"")


class Connection(asyncio.Protocol):
    """One connection. What it receives is kept for whoever asks for it, up to a bound."""

    def __init__(self, count: Callable[[int], None]) -> None:
        self._count = count  # is told how many bytes are sent
        self.received = bytearray()
        self.keeps_all = False
        self.ended = asyncio.Event()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) > 2 * _KEPT and not self.keeps_all:
            del self.received[:-_KEPT]
        self._news.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._news.set()
        self._writable.set()

    async def send(self, data: bytes) -> None:
        """Send, and wait until most of it is on its way. Raises Ended."""
        if self.ended.is_set():
            raise Ended
        self.transport.write(data)
        self._count(len(data))
        await self._writable.wait()
        await asyncio.sleep(0)

    async def until(self, found: Callable[[bytearray], Any]) -> Any:
        """Wait for something in what is received. Raises Ended."""
        while not (value := found(self.received)):
            if self.ended.is_set():
                raise Ended
            self._news.clear()
            await self._news.wait()
        return value

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        """Send one request; status and body of its answer. Raises Ended."""
        self.received.clear()
        await self.send(data)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        """The next answer that has a length. Raises Ended."""

        def whole(received: bytearray) -> tuple[int, bytes] | None:
            head, end, rest = bytes(received).partition(b"\r\n\r\n")
            if not end:
                return None
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"), 0
            )
            if len(rest) < length:
                return None
            del received[: len(head) + 4 + length]
            return int(head[9:12]), rest[:length]

        found: tuple[int, bytes] = await self.until(whole)
        return found

    def abort(self) -> None:
        """Hang up without a word."""
        self.transport.abort()


class Polling:
    """An Engine.IO session over polling, on one connection for its polls and one for its posts."""

    def __init__(self, target: Target, sid: str, revision: int, connection: Connection) -> None:
        self.path = f"{target.path}?EIO={revision}&transport=polling&sid={sid}"
        self.sid = sid
        self.revision = revision
        self.connection = connection
        self._target = target
        self._polls: Connection | None = None

    def post_head(self, length: int, headers: str = "") -> bytes:
        """The head of a POST."""
        return request("POST", self.path, f"{headers}Content-Length: {length}\r\n")

    async def post(self, body: bytes, headers: str = "Content-Type: text/plain;charset=UTF-8\r\n") -> tuple[int, bytes]:
        """POST and its answer. Raises Ended."""
        return await self.connection.ask(request("POST", self.path, headers, body))

    async def poll(self) -> tuple[int, bytes]:
        """GET on a connection of its own, and its answer. Raises Ended."""
        if self._polls is None or self._polls.ended.is_set():
            self._polls = await self._target.open()
        return await self._polls.ask(request("GET", self.path))


class Target:
    """A server to be attacked, and all connections to it that this process has."""

    path = "/socket.io/"

    def __init__(self, port: int, tls: bool, tokens: dict[str, str], scale: float, megabytes: float) -> None:
        self.port = port
        self.tls = tls
        self.tokens = tokens  # by user
        self.scale = scale
        self.enough = round(megabytes * 1e6)  # bytes to be sent by floods
        self.sent = 0
        self.opened = 0
        self.refused = 0
        self._open: list[Connection] = []
        self._context = ssl._create_unverified_context()

    def some(self, number: int) -> int:
        """That number, or fewer in a run of the short form."""
        return max(1, round(number * self.scale))

    def _count(self, size: int) -> None:
        self.sent += size

    async def open(self, reads: bool = True, tls: bool | None = None) -> Connection:
        """A connection. ``reads``: whether it takes what the server sends. ``tls``: False leaves the handshake out.
        Raises Ended."""
        sock = socket.socket()
        if not reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        context = self._context if (self.tls if tls is None else tls) else None
        try:
            await loop.sock_connect(sock, ("127.0.0.1", self.port))
            _, connection = await loop.create_connection(
                lambda: Connection(self._count),
                sock=sock,
                ssl=context,
                server_hostname="localhost" if context else None,
            )
        except OSError as exc:
            sock.close()
            self.refused += 1
            raise Ended from exc
        self._open.append(connection)
        self.opened += 1
        if not reads:
            connection.transport.pause_reading()
        return connection

    async def websocket(
        self, revision: int = 4, user: str = "", reads: bool = True, sid: str = "", headers: str = ""
    ) -> Connection:
        """A WebSocket, with CONNECT of a user who has a token. Raises Ended."""
        connection = await self.open()
        query = f"?EIO={revision}&transport=websocket" + (f"&sid={sid}" if sid else "")
        if revision == 3 and user:
            query += f"&token={self.tokens.get(user, user)}"
        connection.transport.write(request("GET", self.path + query, _UPGRADE + headers))
        head = await connection.until(lambda received: b"\r\n\r\n" in received and bytes(received[:20]))
        if b" 101 " not in head:
            self.refused += 1
            raise Ended(head)
        if user and revision == 4:
            connection.transport.write(frame("40" + json.dumps({"token": self.tokens[user]})))
        if user:
            await connection.until(lambda received: b"40" in received[100:] or b"44" in received[100:])
        if not reads:
            connection.transport.pause_reading()
        return connection

    async def session(self, revision: int = 4, user: str = "") -> Polling:
        """A session over polling, with CONNECT of a user who has a token. Raises Ended."""
        connection = await self.open()
        query = f"?EIO={revision}&transport=polling"
        if revision == 3 and user:
            query += f"&token={self.tokens.get(user, user)}"
        status, body = await connection.ask(request("GET", self.path + query))
        if status != 200:
            self.refused += 1
            raise Ended(status)
        sid = json.loads(body[body.index(b"{") : body.index(b"}") + 1])["sid"]
        polling = Polling(self, sid, revision, connection)
        if user and revision == 4:
            await polling.post(("40" + json.dumps({"token": self.tokens[user]})).encode())
        return polling

    async def at_once(self, number: int, work: Callable[[], Any]) -> None:
        """So many of the same beside each other; one that the server ends is over."""

        async def one() -> None:
            with contextlib.suppress(Ended):
                await work()

        await asyncio.gather(*[one() for _ in range(number)])

    async def again_and_again(self, number: int, work: Callable[[], Any]) -> None:
        """So many beside each other, each anew when it is over, until enough is sent or the time is over."""

        async def one() -> None:
            while self.sent < self.enough:
                before = self.refused
                with contextlib.suppress(Ended):
                    await work()
                await asyncio.sleep(0.01 if self.refused > before else 0)

        await asyncio.gather(*[one() for _ in range(number)])

    def left(self) -> int:
        """Connections that the server has not ended."""
        return sum(not connection.ended.is_set() for connection in self._open)

    def hang_up(self) -> None:
        """End all connections without a word."""
        for connection in self._open:
            connection.abort()
