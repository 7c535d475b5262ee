# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that write bytes to WebSockets of a real server, with and without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from eio_support import PATIENCE, Echo, Web, serving
from ws_support import Frame, patience

from rtc_server.engine import Session

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
OPEN = "/socket.io/?EIO=4&transport=websocket"
ONCE = pytest.mark.asyncio(loop_factories=["asyncio"])  # what cannot differ with the loop
PLAIN = pytest.mark.parametrize("kind", ["tcp"], indirect=True)  # what cannot differ with TLS


def handshake(path: str = OPEN, method: str = "GET", version: str = "1.1", **headers: str | None) -> bytes:
    """An opening handshake; a header given as None is left out."""
    lines = {
        "Host": "x",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[dict-item]
    return "\r\n".join(
        [f"{method} {path} HTTP/{version}", *[f"{n}: {v}" for n, v in lines.items() if v is not None], "\r\n"]
    ).encode()


async def until(condition: Callable[[], Any], what: str = "") -> None:
    async with patience(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


class Raw:
    """A client that says bytes."""

    def __init__(self, web: Web, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.web, self.reader, self.writer = web, reader, writer
        self.head = b""
        self.session: Session = None  # type: ignore[assignment]

    def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)

    async def answered(self) -> int:
        """The status of the answer to a request; ``head`` keeps it."""
        async with patience(PATIENCE):
            self.head = await self.reader.readuntil(b"\r\n\r\n")
        return int(self.head.split(b" ", 2)[1])

    async def frame(self) -> Frame:
        async with patience(PATIENCE):
            first, size = await self.reader.readexactly(2)
            assert size < 128
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            return Frame(first, await self.reader.readexactly(size))

    async def closed(self) -> int:
        """The code of the close frame; other frames before it are left out."""
        while (got := await self.frame()).first != 0x88:
            pass
        return got.code

    async def gone(self) -> bool:
        """The server has closed the connection, and has forgotten the session."""
        async with patience(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(1 << 16):
                    pass
        await until(lambda: self.session not in self.web.engine.sessions.values())
        return True


class Hall:
    """A server, with and without TLS, and its raw clients."""

    def __init__(self, web: Web, tls: ssl.SSLContext | None) -> None:
        self.web, self.tls = web, tls
        self.engine = web.engine
        self.clients: list[Raw] = []

    async def dial(self, buffer: int = 0) -> Raw:
        """Connect only. ``buffer``: how little the client's kernel takes that the client does not read."""
        sock = socket.socket()
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.web.runner.addresses[0][:2])
        streams = await asyncio.open_connection(
            sock=sock, limit=buffer or 1 << 16, ssl=self.tls, server_hostname="localhost" if self.tls else None
        )
        self.clients.append(Raw(self.web, *streams))
        return self.clients[-1]

    async def enter(self, *, also: bytes = b"", **options: Any) -> Raw:
        """A client whose session is open."""
        raw = await self.dial(**options)
        before = set(self.engine.sessions)
        raw.say(handshake() + also)
        assert await raw.answered() == 101
        assert (await raw.frame()).payload[:1] == b"0"
        (sid,) = set(self.engine.sessions) - before
        raw.session = self.engine.sessions[sid]
        return raw


class Watch(logging.Handler):
    """What asyncio and aiohttp complain about, also when an object is collected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing may be logged that is worth a warning, nor when what is left is collected."""
    watch = Watch()
    logging.getLogger().addHandler(watch)
    gc.collect(0)
    gc.freeze()  # what other tests left is not looked at
    try:
        yield
        gc.collect()
    finally:
        gc.unfreeze()
        logging.getLogger().removeHandler(watch)
    assert watch.said == []


@contextlib.asynccontextmanager
async def hall_of(engine: Echo, kind: str, contexts: Any, **options: Any) -> AsyncIterator[Hall]:
    server, client = contexts if kind == "tls" else (None, None)
    with quiet():
        async with serving(engine, tls=server, **options) as web:
            hall = Hall(web, client)
            try:
                yield hall
            finally:
                for raw in hall.clients:
                    raw.writer.transport.abort()
                await until(lambda: not engine.sessions)
                await asyncio.sleep(0)
