# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients without a token that do not behave, and what the tests of them share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from rtc_support import PATIENCE, Client, Server, eventually, token

HOST = b" HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(text: str) -> bytes:
    """A masked text frame of fewer than 65,536 bytes."""
    data = text.encode()
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


class Raw:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, tls: Any = None, host: str = "127.0.0.1") -> Raw:
        name = "localhost" if tls is not None else None
        return cls(*await asyncio.open_connection(host, port, ssl=tls, server_hostname=name))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def get(self, path: str) -> str:
        """The body of the answer to a GET; the connection stays."""
        self.send(b"GET " + path.encode() + HOST + b"\r\n")
        return await self.answer()

    async def answer(self) -> str:
        """The body of an answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        size = re.search(rb"(?i)content-length: (\d+)", head)
        return (await self.reader.readexactly(int(size[1]) if size else 0)).decode()

    async def handshake(self, revision: int = 4, query: str = "") -> str:
        """A session over polling; its path."""
        body = await self.get(f"/socket.io/?EIO={revision}&transport=polling{query}")
        found = re.search('"sid":"([^"]+)"', body)
        assert found, body
        return f"/socket.io/?EIO={revision}&transport=polling&sid={found[1]}"

    async def websocket(self, query: str = "EIO=4") -> None:
        """Become a WebSocket."""
        self.send(b"GET /socket.io/?transport=websocket&" + query.encode() + UPGRADE)
        await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)

    async def ended(self) -> None:
        """Wait until the server has hung up. What it still sends is not looked at."""
        with contextlib.suppress(OSError):
            while await asyncio.wait_for(self.reader.read(1 << 16), PATIENCE):
                pass

    def close(self) -> None:
        self.writer.transport.abort()

    def has_ended(self) -> bool:
        """Whether the server has hung up."""
        return self.reader.at_eof() or self.writer.is_closing() or self.reader.exception() is not None


def descriptors(server: Server) -> int:
    """Open in the server's process."""
    assert server.process is not None
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def resident(server: Server) -> int:
    """Megabytes in memory."""
    assert server.process is not None
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096 >> 20


@contextlib.asynccontextmanager
async def colleagues(server: Server, transports: Iterable[str] = ("websocket", "polling")) -> AsyncIterator[None]:
    """Two who have shown a token; at the end both must be there still."""
    inside = []
    for number, transport in enumerate(transports):
        client = await Client.open(server.url, transport)
        await client.connect(token(f"colleague {number}"))
        inside.append(client)
    yield
    for client in inside:
        assert (await client.ask("join", {"project": "p"}))["ok"]
        await client.close()


async def newcomer(server: Server, **options: Any) -> None:
    """Somebody with a token gets in."""
    client = await Client.open(server.url, **options)
    await client.connect(token("newcomer"))
    assert (await client.ask("join", {"project": "p"}))["ok"]
    await client.close()


async def back_to(server: Server, before: int) -> None:
    """Wait until the server has as many descriptors as before."""
    await eventually(lambda: descriptors(server) <= before, f"{before} descriptors again")


def small_socket(port: int) -> socket.socket:
    """A connection whose client reads nothing and whose buffers are small."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock
