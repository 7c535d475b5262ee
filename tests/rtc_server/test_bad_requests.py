# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that are no proper HTTP: a 4xx each, without a traceback, and what they said is not repeated."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtc_support import PATIENCE, Server
from strangers_support import Raw

SECRET = b"0123456789abcdef"
COOKIE = b"Cookie: session=" + SECRET

CODINGS = [
    (b"gzip", b"x" * 50),
    (b"gzip", gzip.compress(b"3" * 1000)[:-9]),
    (b"gzip", gzip.compress(bytes(10_000_000))),
    (b"deflate", b"\xff" * 50),
    (b"br", b"\xff" * 50),
    (b"zstd", b"\xff" * 50),
    (b"gzip, gzip", b"x"),
    (b"nothing known", b"x"),
]
BAD = [  # headers, body; what aiohttp refuses by itself
    (b"Content-Length: x", b"3"),
    (b"Content-Length: -1", b"3"),
    (b"Content-Length: +1", b"3"),
    (b"Content-Length: 1\r\nContent-Length: 2", b"33"),
    (b"Content-Length: " + b"9" * 5000, b"3"),
    (b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    (b"Transfer-Encoding: unknown", b"3"),
    (COOKIE + b"\0", b""),
    (COOKIE + b"\x01", b""),
    (COOKIE + b"\r\n " + SECRET, b""),
    (COOKIE + b"; " + b"x" * 41_000, b""),
    (SECRET, b""),
    (b"A : " + SECRET, b""),
    (COOKIE + b"\r\n" + b"\r\n".join(b"A%d: b" % n for n in range(1000)), b""),
]
CHUNKS = [
    b"zz\r\n3\r\n",
    b"-1\r\n",
    b"f" * 40 + b"\r\n",
    b"1\r\n333\r\n",
    b"1\r\n3X",
    b"1\r\n3\r\n0\r\nnothing\r\n\r\n",
]


@pytest.fixture(params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server that nothing may bring to say a word."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    server = Server(tmp_path, server={"loop": request.param}, limits={"pending_per_address": 1000})
    server.start()
    before = server.log.read_text()
    yield server
    said = server.log.read_text()[len(before) :]
    assert server.stop() == 0
    assert "Traceback" not in said and SECRET.decode() not in said


async def _paths(port: int) -> list[bytes]:
    """A path of each kind; sessions are new, as they end with what is wrong."""
    paths = [b"/healthz", b"/nothing", b"/socket.io/?EIO=4&transport=polling"]
    for revision in (3, 4):
        raw = await Raw.open(port)
        paths.append((await raw.handshake(revision)).encode())
        raw.writer.close()
    return paths


async def _ask(port: int, *pieces: bytes) -> bytes:
    """What is answered to bytes that come in these pieces; the connection may stay open."""
    for pause in (0.01, 0.1, 1.0):
        # What is sent after the server has hung up takes the answer away (RFC 9112, 9.6): then more slowly. It is an
        # end without an answer where writing was told of the reset before reading was.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            return await _ask_once(port, pause, *pieces)
    return await _ask_once(port, PATIENCE, *pieces)


async def _ask_once(port: int, pause: float, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.wait({reading}, timeout=pause)  # so that they are not read at once
            if reading.done():
                break
        head = await asyncio.wait_for(reading, PATIENCE)
        size = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        return head + await asyncio.wait_for(reader.readexactly(int(size[1]) if size else 0), PATIENCE)
    finally:
        reading.cancel()
        writer.transport.abort()


async def test_bodies_are_not_decompressed(server: Server) -> None:
    for coding, body in CODINGS:
        for path in await _paths(server.port):
            head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
            answer = await _ask(server.port, head % (path, coding, len(body)), body)
            assert b" 415 " in answer[:20] if b"sid=" in path else b" 40" in answer[:20], (path, coding, answer)


async def test_requests_that_are_no_proper_http(server: Server) -> None:
    for headers, body in BAD:
        for path in await _paths(server.port):
            answer = await _ask(server.port, b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % (path, headers), body)
            assert b" 400 " in answer[:20] and SECRET not in answer, (path, headers[:50], answer)


@pytest.mark.parametrize("at_once", [True, False])
async def test_chunks_that_are_none(server: Server, at_once: bool) -> None:
    for body in CHUNKS:
        for path in await _paths(server.port):
            head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path
            answer = await _ask(server.port, head + body) if at_once else await _ask(server.port, head, body)
            assert b" 40" in answer[:20], (path, body, answer)


async def test_lines_that_are_no_request(server: Server) -> None:
    for line in (b"GET / HTTP/9.9", b"get /healthz HTTP/1.1", b"GET /?token=\xff" + SECRET + b" HTTP/1.1", b"\x16\x03\x01",
                 b"GET http://[" + SECRET + b" HTTP/1.1", b"GET / HTTP/1.1 " + SECRET, SECRET):  # fmt: skip
        answer = await _ask(server.port, line + b"\r\nHost: x\r\n\r\n")
        assert b" 400 " in answer[:20] and SECRET not in answer, (line, answer)


async def test_an_applications_cookies_pass(server: Server) -> None:
    cookies = b"Host: x\r\nCookie: a=" + b"x" * 32_000 + b"\r\n"
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\n" + key
    for revision in (3, 4):
        path = b"GET /socket.io/?EIO=%d&transport=%b HTTP/1.1\r\n"
        assert b" 200 " in (await _ask(server.port, path % (revision, b"polling") + cookies + b"\r\n"))[:20]
        assert b" 101 " in (await _ask(server.port, path % (revision, b"websocket") + cookies + upgrade + b"\r\n"))[:20]
