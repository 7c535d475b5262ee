# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks by what is in packets: frames of a WebSocket, bodies of polling requests."""

from __future__ import annotations

import asyncio

from .attack import attack
from .wire import Connection, Target, frame

NESTED = '451-["x"' + ("," + "[" * 900 + "]" * 900) * 550 + "]"  # a megabyte that takes 45 when it is decoded
MEGABYTE = 999_000


async def _flood(target: Target, data: bytes, connections: int = 1, revision: int = 4, user: str = "") -> None:
    """The same bytes on WebSockets, as fast as they are taken."""

    async def one() -> None:
        connection = await target.websocket(revision, user)
        while target.sent < target.enough:
            await connection.send(data)

    await target.again_and_again(connections, one)


async def _post(target: Target, body: str, revision: int = 4, at_once: int = 16) -> None:
    data = body.encode()

    async def one() -> None:
        session = await target.session(revision)
        await session.post(data)

    await target.again_and_again(target.some(at_once), one)


@attack("S1: an event of nested arrays whose attachment never comes, on many sessions", short=True)
async def nested_waiting(target: Target) -> None:
    data = frame(NESTED)
    connections: list[Connection] = []

    async def one() -> None:
        connection = await target.websocket()
        connections.append(connection)
        await connection.send(data)

    while target.sent < target.enough:
        await target.at_once(target.some(30), one)


@attack("S1: the same, each session hung up before the next")
async def nested_hung_up(target: Target) -> None:
    async def one() -> None:
        connection = await target.websocket()
        await connection.send(frame(NESTED))
        await asyncio.sleep(0.01)
        connection.abort()

    await target.again_and_again(1, one)


@attack("S1: the same in an event without attachment, and in revision 3")
async def nested_event(target: Target) -> None:
    event = frame("42" + NESTED[4:])
    await asyncio.gather(_flood(target, event), _flood(target, event, revision=3))


@attack("S1: the same over polling")
async def nested_posted(target: Target) -> None:
    await _post(target, NESTED)


@attack("S1: the same as the payload of CONNECT, and in CONNECTs of other namespaces")
async def nested_connect(target: Target) -> None:
    connect = "40" + '{"token":' + NESTED[7:] + "}"

    async def one() -> None:
        connection = await target.websocket()
        for text in (connect.replace("40", "40/x,", 1), connect):
            await connection.send(frame(text))

    await target.again_and_again(target.some(10), one)


@attack("S1: an event that waits for a thousand attachments, which come one by one")
async def attachments(target: Target) -> None:
    places = ",".join(f'{{"_placeholder":true,"num":{n}}}' for n in range(1000))
    event = frame(f'451000-["x",{places}]')

    async def one() -> None:
        connection = await target.websocket()
        await connection.send(event)
        for _ in range(999):
            await connection.send(frame(bytes(990), opcode=2))

    await target.again_and_again(target.some(10), one)


@attack("S1: fragments of a message that never ends")
async def fragments(target: Target) -> None:
    async def one() -> None:
        connection = await target.websocket()
        await connection.send(frame('42["x","', final=False))
        for _ in range(990):
            await connection.send(frame("x" * 1000, opcode=0, final=False))

    await target.at_once(target.some(200), one)


@attack("S1: fragments of no bytes")
async def empty_fragments(target: Target) -> None:
    await _flood(target, frame("4", final=False) + frame("", opcode=0, final=False) * 5000)


@attack("S1: a head that promises a megabyte, which comes but for its last byte, on many WebSockets")
async def unfinished_frames(target: Target) -> None:
    data = frame("4" * MEGABYTE)[:-1]

    async def one() -> None:
        await (await target.websocket()).send(data)

    await target.at_once(target.some(200), one)


@attack("S2: a megabyte of pongs in one POST (EIO 4)", short=True)
async def tiny_pongs(target: Target) -> None:
    await _post(target, "3\x1e" * (MEGABYTE // 2) + "3")


@attack("S2: a megabyte of events in one POST (EIO 4)", short=True)
async def tiny_events(target: Target) -> None:
    await _post(target, '42["x"]\x1e' * (MEGABYTE // 8) + "3")


@attack("S2: a megabyte of pings in one POST (EIO 3)")
async def tiny_pings_3(target: Target) -> None:
    await _post(target, "1:2" * (MEGABYTE // 3), revision=3)


@attack("S2: the same with one character outside of the BMP (EIO 3)", short=True)
async def tiny_astral_3(target: Target) -> None:
    await _post(target, "1:2" * (MEGABYTE // 3 - 10) + "3:4😀", revision=3)


@attack("S2: tiny packets of the binary encoding (EIO 3)")
async def tiny_binary_3(target: Target) -> None:
    body = b"\0\1\xff2" * (MEGABYTE // 4)

    async def one() -> None:
        session = await target.session(3)
        await session.post(body, "Content-Type: application/octet-stream\r\n")

    await target.again_and_again(target.some(16), one)


@attack("S2: a megabyte of binary packets as base64 (EIO 4)")
async def tiny_base64(target: Target) -> None:
    await _post(target, "bAAAA\x1e" * (MEGABYTE // 6) + "3")


@attack("S2: lengths of a hundred digits, lengths that are too long, empty packets")
async def odd_lengths(target: Target) -> None:
    for body in ("9" * MEGABYTE, "0:" * (MEGABYTE // 2), "1" * 100 + ":2", "1:2" * 1000 + "99999:2"):
        for _ in range(target.some(20)):
            await target.at_once(1, lambda body=body: _one_post(target, body, 3))
    await _post(target, "\x1e" * MEGABYTE)


async def _one_post(target: Target, body: str, revision: int) -> None:
    await (await target.session(revision)).post(body.encode())


@attack("S2: a POST of small packets whose chunks trickle")
async def trickled_post(target: Target) -> None:
    chunk = b'42["x"]\x1e' * 100
    data = f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"

    async def one() -> None:
        session = await target.session()
        await session.connection.send(session.post_head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        while True:
            await session.connection.send(data)
            await asyncio.sleep(0.02)

    await target.at_once(target.some(50), one)


@attack("S3: WebSocket pings without a body", short=True)
async def ws_pings(target: Target) -> None:
    await _flood(target, frame(b"", opcode=9) * 5000)


@attack("S3: WebSocket pongs without a body")
async def ws_pongs(target: Target) -> None:
    await _flood(target, frame(b"", opcode=10) * 5000)


@attack("S3: Engine.IO pongs", short=True)
async def eio_pongs(target: Target) -> None:
    await _flood(target, frame("3") * 5000)


@attack("S3: Engine.IO pings of revision 3")
async def eio_pings_3(target: Target) -> None:
    await _flood(target, frame("2") * 5000, revision=3)


@attack("S3: unknown events before CONNECT")
async def unknown_events(target: Target) -> None:
    await _flood(target, frame('42["x"]') * 3000)


@attack("S3: answers to what was never asked")
async def unasked_answers(target: Target) -> None:
    await _flood(target, frame("43999[]") * 3000)


@attack("S3: CONNECTs to namespaces that do not exist, and DISCONNECTs")
async def namespaces(target: Target) -> None:
    data = b"".join(frame(f"40/n{n},") + frame(f"41/n{n},") for n in range(1000))
    await _flood(target, data, connections=target.some(5))


@attack("S3: CONNECTs to the main namespace with made-up tokens, anew and anew")
async def refused_tokens(target: Target) -> None:
    head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    await _flood(target, frame(f'40{{"token":"{head}.{"A" * 3000}.{"B" * 43}"}}') * 50, connections=target.some(10))


@attack("S3: frames that break the protocol, from a new connection each time")
async def broken_frames(target: Target) -> None:
    for data in (b"\xff" * 1000, frame(b"\xff\xfe"), frame("", opcode=3), frame("x" * 126, opcode=9)):
        await target.at_once(target.some(100), lambda data=data: _send_one(target, data))


async def _send_one(target: Target, data: bytes) -> None:
    await (await target.websocket()).send(data)


@attack("S3: a member's frames, one byte in each segment")
async def byte_by_byte(target: Target) -> None:
    async def one() -> None:
        connection = await target.websocket()
        connection.transport.get_extra_info("socket").setsockopt(6, 1, 1)  # TCP_NODELAY
        for byte in frame("3") * 10_000:
            await connection.send(bytes((byte,)))

    await target.at_once(target.some(20), one)
