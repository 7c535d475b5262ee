# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP long-polling of the Engine.IO protocol, revisions 4 and 3; the sources are named in test_engine_io.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from eio_support import BOTH, Echo, Web, encode_payload, serving


@BOTH
async def test_polling_echo(web: Web, eio_version: int) -> None:
    query = await web.open(eio_version)
    assert await web.post(query, encode_payload(eio_version, "4hello €", "4😀")) == (200, "ok")
    assert await web.get(query) == (200, encode_payload(eio_version, "4hello €", "4😀"))


@BOTH
async def test_a_poll_waits_for_something_to_say(web: Web, eio_version: int) -> None:
    query = await web.open(eio_version)
    poll = asyncio.ensure_future(web.get(query))
    while web.engine.sessions[query[-20:]].poll is None:
        await asyncio.sleep(0.001)
    await web.post(query, encode_payload(eio_version, "4now"))
    assert await poll == (200, encode_payload(eio_version, "4now"))


async def test_polling_binary_4(web: Web) -> None:
    query = await web.open()
    assert await web.post(query, "4a\x1ebAQIDBA==\x1e4b") == (200, "ok")
    assert await web.get(query) == (200, "4a\x1ebAQIDBA==\x1e4b")


async def test_polling_binary_3(web: Web) -> None:
    query = await web.open(3)
    binary = b"\x00\x02\xff4a\x01\x05\xff\x04\x01\x02\x03\x04"
    octets = {"Content-Type": "application/octet-stream"}
    assert await web.post(query, binary, headers=octets) == (200, "ok")
    async with web.http.get(f"{web.base}?{query}") as answer:
        assert answer.content_type == "application/octet-stream"
        assert await answer.read() == binary
    # with b64=1 the client wants no binary answers
    _, text = await web.get("EIO=3&transport=polling&b64=1")
    query = f"EIO=3&transport=polling&b64=1&sid={json.loads(text[text.index('{') :])['sid']}"
    await web.post(query, "2:4a10:b4AQIDBA==")
    assert await web.get(query) == (200, "2:4a10:b4AQIDBA==")


BAD_PAYLOADS = [
    (4, "abc"),
    (4, ""),
    (4, "4a\x1e"),
    (4, "4a\x1ex"),
    (4, "b!!"),
    (4, "bA"),
    (4, b"\xff\xfe"),
    (4, "2"),
    (4, "0"),
    (4, "7"),
    (3, "abc"),
    (3, ""),
    (3, "3:4a"),
    (3, "1:"),
    (3, "x:4a"),
    (3, ":"),
    (3, "99999999999:4a"),
    (3, "1:9"),
    (3, "2:b1"),
    (3, "1:3"),
    (3, b"\x00\x01"),
    (3, b"\x00\x01\xff9"),
    (3, b"\x01\x02\xff\x05\x01"),
    (3, b"\x00\x09\x09\xff4"),
]


@pytest.mark.parametrize(("eio_version", "body"), BAD_PAYLOADS)
async def test_bad_payloads_close_the_session(web: Web, eio_version: int, body: str | bytes) -> None:
    query = await web.open(eio_version)
    kind = "application/octet-stream" if isinstance(body, bytes) and eio_version == 3 else "text/plain"
    status, _ = await web.post(query, body, headers={"Content-Type": kind})
    assert status == 400
    assert (await web.get(query))[0] == 400 and web.engine.sessions == {}


@BOTH
async def test_two_polls_at_once_close_the_session(web: Web, eio_version: int) -> None:
    query = await web.open(eio_version)
    first = asyncio.ensure_future(web.get(query))
    while web.engine.sessions[query[-20:]].poll is None:
        await asyncio.sleep(0.001)
    assert (await web.get(query))[0] == 400
    assert await first == (200, encode_payload(eio_version, "1"))
    assert (await web.get(query))[0] == 400


async def test_two_posts_at_once_close_the_session(web: Web) -> None:
    query = await web.open()
    more = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"4a"
        await more.wait()
        yield b"b"

    first = asyncio.ensure_future(web.http.post(f"{web.base}?{query}", data=slowly()))
    while not web.engine.sessions[query[-20:]].posting:
        await asyncio.sleep(0.001)
    assert (await web.post(query, "4x"))[0] == 400
    more.set()
    await first
    assert web.engine.sessions == {}


async def test_a_burst_in_one_payload_is_taken_whole(web: Web) -> None:
    web.http.headers["User-Agent"] = "a browser"
    query = await web.open()
    sent = [f"4{i}" for i in range(5000)]
    assert await web.post(query, "\x1e".join(sent)) == (200, "ok")
    assert await web.get(query) == (200, "\x1e".join(sent))


async def test_clients_of_python_get_so_many_packets_as_they_take(web: Web) -> None:
    web.http.headers["User-Agent"] = "Python/3.11 aiohttp/3.14"
    query = await web.open()
    await web.post(query, "\x1e".join(f"4{i}" for i in range(40)))
    got: list[str] = []
    while len(got) < 40:
        packets = (await web.get(query))[1].split("\x1e")
        assert len(packets) <= 16
        got += packets
    assert got == [f"4{i}" for i in range(40)]


async def test_a_lost_poll_is_noticed(web: Web) -> None:
    query = await web.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(web.base.split(":")[2].split("/")[0]))
    writer.write(f"GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await writer.drain()
    while web.engine.sessions[query[-20:]].poll is None:
        await asyncio.sleep(0.001)
    writer.close()
    while web.engine.sessions:
        await asyncio.sleep(0.001)
    assert reader is not None


async def test_a_payload_that_does_not_come_to_its_end(web: Web) -> None:
    query = await web.open()  # with a long heartbeat, or the session might end on a busy machine before the POST comes
    web.engine.ping_interval, web.engine.ping_timeout = 0.05, 0.05
    host, _, rest = web.base.removeprefix("http://").partition("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"POST /{rest}?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4half".encode())
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert web.engine.sessions == {}
    writer.close()


async def test_a_payload_over_the_limit() -> None:
    async with serving(Echo(max_payload=1000)) as web:
        query = await web.open()
        assert (await web.post(query, "4" + "x" * 999))[0] == 200
        assert (await web.post(query, "4" + "x" * 1000))[0] == 413

        async def chunks() -> AsyncIterator[bytes]:  # without Content-Length
            for _ in range(11):
                yield b"x" * 100

        query = await web.open()
        async with web.http.post(f"{web.base}?{query}", data=chunks()) as answer:
            assert answer.status == 413
        wire = await web.ws()
        await wire.send("4" + "x" * 1001)
        assert await wire.closes() and web.engine.sessions == {}
