# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks by connections: how many, how long, and requests over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket

from .attack import attack
from .wire import Connection, Ended, Target, frame, request

MEGABYTE = 999_000
HEALTH = request("GET", "/healthz")


async def _hold(target: Target, number: int, begin: bytes, drop: bytes = b"", tls: bool | None = None) -> None:
    """So many connections that begin, and then go on with a little now and then."""

    async def one() -> None:
        connection = await target.open(tls=tls)
        await connection.send(begin)
        while drop:
            await asyncio.sleep(0.3)
            await connection.send(drop)

    await target.at_once(target.some(number), one)


async def _pinging(target: Target, connection: Connection) -> None:
    """Revision 3: the client pings."""
    while True:
        await connection.send(frame("2"))
        await asyncio.sleep(0.3)


@attack("S4: Engine.IO 3 with a token that is refused, pinging on", short=True)
async def refused_revision_3(target: Target) -> None:
    async def one() -> None:
        await _pinging(target, await target.websocket(3, "no-token"))

    await target.at_once(target.some(150), one)


@attack("S4: Engine.IO 3 without a token, polling on")
async def polling_revision_3(target: Target) -> None:
    async def one() -> None:
        session = await target.session(3)
        while True:
            for status, _ in (await session.post(b"1:2"), await session.poll()):
                if status != 200:
                    raise Ended(status)
            await asyncio.sleep(0.1)

    await target.at_once(target.some(100), one)


@attack("S4: Engine.IO 4 that answers pings and never CONNECTs")
async def never_connect(target: Target) -> None:
    async def one() -> None:
        connection = await target.websocket()
        while True:
            await connection.send(frame("3"))
            await asyncio.sleep(0.3)

    await target.at_once(target.some(150), one)


@attack("S4: as many sessions as there may be, from one address", files=400)
async def as_many_sessions(target: Target) -> None:
    await target.at_once(600, target.websocket)


@attack("S5: one request, then silence", short=True, files=400)
async def heard_once(target: Target) -> None:
    async def one() -> None:
        connection = await target.open()
        await connection.ask(HEALTH)

    await target.at_once(600, one)


@attack("S5: one request, then half of a second one, byte by byte", files=400)
async def half_a_second(target: Target) -> None:
    async def one() -> None:
        connection = await target.open()
        await connection.ask(HEALTH)
        await connection.send(b"GET /healthz HTTP/1.1\r\nX: ")
        while True:
            await asyncio.sleep(0.3)
            await connection.send(b"x")

    await target.at_once(600, one)


@attack("S5: connections that say nothing", files=400)
async def silent(target: Target) -> None:
    await _hold(target, 600, b"")


@attack("S5: slow heads", files=400)
async def slow_heads(target: Target) -> None:
    await _hold(target, 600, b"GET /socket.io/ HTTP/1.1\r\nHost: x\r\nX: ", b"x")


@attack("S5: half-open TLS: nothing, and the first bytes of a hello", tls=True, short=True, files=400)
async def half_open_tls(target: Target) -> None:
    await asyncio.gather(_hold(target, 300, b"", tls=False), _hold(target, 300, b"\x16\x03\x01\x02\x00\x01", tls=False))


@attack("S5: a TLS hello, byte by byte, and what is not TLS", tls=True)
async def slow_tls(target: Target) -> None:
    await asyncio.gather(
        _hold(target, 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0", tls=False),
        _hold(target, 100, HEALTH, tls=False),
    )


@attack("S5: TLS handshakes, one after another", tls=True)
async def tls_handshakes(target: Target) -> None:
    async def one() -> None:
        connection = await target.open()
        target.sent += 1000
        connection.abort()

    await target.again_and_again(4, one)


@attack("S5: connections that come and go")
async def connect_and_go(target: Target) -> None:
    async def one() -> None:
        connection = await target.open()
        target.sent += 1000
        connection.abort()

    await target.again_and_again(8, one)


@attack("S5: sent half, then the sending side closed")
async def half_closed(target: Target) -> None:
    async def one() -> None:
        connection = await target.open(tls=False)
        await connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(OSError):
            connection.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)

    await target.at_once(target.some(200), one)


@attack("S6: POSTs of 999,000 bytes whose last 9,000 never come", short=True)
async def withheld_bodies(target: Target) -> None:
    async def one() -> None:
        session = await target.session()
        await session.connection.send(session.post_head(MEGABYTE) + bytes(MEGABYTE - 9000))

    await target.at_once(target.some(150), one)


@attack("S6: the same, a byte now and then")
async def slow_bodies(target: Target) -> None:
    async def one() -> None:
        session = await target.session(3)
        await session.connection.send(session.post_head(MEGABYTE) + bytes(MEGABYTE - 9000))
        while True:
            await asyncio.sleep(0.3)
            await session.connection.send(b"x")

    await target.at_once(target.some(150), one)


@attack("S6: bodies for /healthz, unknown paths and handshakes, withheld", short=True)
async def bodies_elsewhere(target: Target) -> None:
    async def one(path: str) -> None:
        connection = await target.open()
        await connection.send(request("POST", path, "", bytes(MEGABYTE - 9000), MEGABYTE))

    for path in ("/healthz", "/nothing", target.path + "?EIO=4&transport=polling", target.path):
        await target.at_once(target.some(40), lambda path=path: one(path))


@attack("S6: polls that overlap, posts that overlap")
async def overlapping(target: Target) -> None:
    async def one() -> None:
        session = await target.session()
        connections = [await target.open() for _ in range(6)]
        for connection in connections[:3]:
            await connection.send(request("GET", session.path))
        for connection in connections[3:]:
            await connection.send(session.post_head(100))

    await target.at_once(target.some(60), one)


@attack("S6: probes of an upgrade that are held open, and doubled")
async def held_probes(target: Target) -> None:
    async def one() -> None:
        session = await target.session()
        for _ in range(4):
            connection = await target.websocket(sid=session.sid)
            await connection.send(frame("2probe"))

    await target.at_once(target.some(60), one)


@attack("S6: polls that are never read")
async def unread_polls(target: Target) -> None:
    async def one() -> None:
        session = await target.session()
        connection = await target.open(reads=False)
        await connection.send(request("GET", session.path))

    await target.at_once(target.some(150), one)


@attack("S7: bodies that say gzip and are not; bombs; unknown encodings", short=True)
async def broken_encodings(target: Target) -> None:
    bomb = gzip.compress(bytes(50_000_000), 9)

    async def one() -> None:
        for encoding, body in (
            ("gzip", b"x" * 100), ("gzip", gzip.compress(b"3" * 1000)[:-9]), ("deflate", b"\xff" * 100),
            ("br", b"\xff" * 100), ("zstd", b"\xff" * 100), ("gzip", bomb), ("gzip, gzip", b"x"),
        ):  # fmt: skip
            with contextlib.suppress(Ended):
                session = await target.session()
                status, _ = await session.post(body, f"Content-Encoding: {encoding}\r\n")
                if status >= 500:
                    raise AssertionError(f"{encoding}: {status}")

    await target.at_once(target.some(20), one)


@attack("S7: cookies of 32 kB, and headers without end")
async def huge_headers(target: Target) -> None:
    async def one() -> None:
        cookies = (
            f"Cookie: a={'x' * 32_000}\r\n"  # a host's cookies go to every port, and the application takes so many
        )
        for path in ("/healthz", target.path + "?EIO=4&transport=polling"):
            status, _ = await (await target.open()).ask(request("GET", path, cookies))
            if status != 200:
                raise AssertionError(f"{path} with 32 kB of cookies: {status}")
        connection = await target.open()
        await connection.send(b"GET /healthz HTTP/1.1\r\n")
        for number in range(1000):
            await connection.send(f"X{number}: {'y' * 1000}\r\n".encode())

    await target.at_once(target.some(60), one)


@attack("S7: a line of a request, a header and a chunk's extension that never end")
async def endless_lines(target: Target) -> None:
    async def one(begin: bytes) -> None:
        connection = await target.open()
        await connection.send(begin)
        for _ in range(1000):
            await connection.send(b"x" * 10_000)

    for begin in (
        b"GET /", b"GET / HTTP/1.1\r\nHost: ",
        b"POST /socket.io/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"POST /socket.io/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ):  # fmt: skip
        await target.at_once(target.some(20), lambda begin=begin: one(begin))


@attack("HTTP: 10,000 requests in one pipeline", short=True)
async def pipeline(target: Target) -> None:
    async def one() -> None:
        connection = await target.open()
        await connection.send(HEALTH * target.some(10_000))

    await target.again_and_again(target.some(5), one)


@attack("HTTP: the same, and the answers are never read")
async def unread_pipeline(target: Target) -> None:
    async def one() -> None:
        connection = await target.open(reads=False)
        await connection.send(HEALTH * target.some(10_000))

    await target.at_once(target.some(20), one)


@attack("HTTP: 1.0 with keep-alive, unknown paths and methods, OPTIONS")
async def odd_requests(target: Target) -> None:
    async def one() -> None:
        connection = await target.open()
        for data in (
            b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            request("GET", "/" + "a/" * 1000),
            request("OPTIONS", target.path, "Origin: http://x\r\nAccess-Control-Request-Method: POST\r\n"),
            request("BREW", target.path + "?EIO=4&transport=polling"),
            request("GET", target.path + "?EIO=4&transport=polling&sid=" + "x" * 3000),
        ):
            await connection.send(data * 50)

    await target.again_and_again(target.some(10), one)


@attack("HTTP: handshakes over polling, as fast as they are answered")
async def handshakes(target: Target) -> None:
    async def one() -> None:
        await target.session()
        target.sent += 1000

    await target.again_and_again(8, one)


@attack("HTTP: chunks of one byte")
async def one_byte_chunks(target: Target) -> None:
    async def one() -> None:
        session = await target.session()
        head = session.post_head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        await session.connection.send(head)
        for _ in range(200):
            await session.connection.send(b"1\r\n3\r\n" * 1000)

    await target.again_and_again(target.some(10), one)
