# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The budget of a turn: no flood makes a turn longer, nobody waits for ever, and what is closed is given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import struct
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from eio_support import Echo, serving, socket_server

from rtc_server.engine import Engine
from rtc_server.engine.turns import LARGE, PACKET_COST, TURN_BUDGET, Turns

LOOPS = pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
LARGEST = 100_000


def run(kind: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine in a loop of that kind."""
    if kind == "asyncio":
        return asyncio.run(work())  # type: ignore[arg-type]
    return pytest.importorskip("uvloop").run(work())


@contextlib.asynccontextmanager
async def serve_engine(engine: Engine) -> AsyncIterator[tuple[Engine, int]]:
    """The engine, and its port."""
    async with serving(engine) as web:
        yield engine, int(web.base.rpartition(":")[2].partition("/")[0])


def frame(text: bytes, opcode: int = 1) -> bytes:
    """A small masked frame; the mask is zeros."""
    assert len(text) < 126
    return struct.pack("!BB", 0x80 | opcode, 0x80 | len(text)) + b"\0\0\0\0" + text


class Flood:
    """A WebSocket by hand, which writes what no library would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, query: str = "EIO=4&transport=websocket") -> Flood:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)


async def echo_times(http: aiohttp.ClientSession, url: str, number: int) -> int:
    """Echoes that a good client gets."""
    async with http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket") as ws:
        await ws.receive_str()
        for at in range(number):
            await ws.send_str(f"4{at}")
            while (got := await ws.receive_str()) != f"4{at}":
                assert got == "2"
        return number


class Mark:
    """What lives as long as what knows it."""


FLOODS = {
    "pings of WebSocket": frame(b"", 9),
    "noop packets": frame(b"6"),
    "pongs": frame(b"3"),
    "messages": frame(b"4"),
    "large messages": struct.pack("!BBH", 0x81, 0x80 | 126, 60_000) + b"\0\0\0\0" + b"4" * 60_000,
}


@LOOPS
@pytest.mark.parametrize("name", FLOODS)
def test_no_turn_handles_more_than_its_budget(kind: str, name: str) -> None:
    """Eight connections send megabytes at once; a good client goes on between."""

    async def work() -> tuple[int, int]:
        async with serve_engine(Echo(max_payload=LARGEST, buffer_limit=1 << 30)) as (engine, port):
            floods = [await Flood.open(port) for _ in range(8)]
            bytes_each = 60_000 if len(FLOODS[name]) < 10 else 1_000_000
            for flood in floods:
                flood.writer.write(FLOODS[name] * (bytes_each // len(FLOODS[name])))
            async with aiohttp.ClientSession() as http:
                got = await echo_times(http, f"http://127.0.0.1:{port}", 20)
            for flood in floods:
                flood.writer.transport.abort()
            return engine.turns.most, got

    most, got = run(kind, work)
    assert got == 20
    assert PACKET_COST < most <= TURN_BUDGET + PACKET_COST + LARGEST


@LOOPS
def test_a_payload_of_small_packets_is_handled_in_many_turns(kind: str) -> None:
    async def work() -> tuple[int, int, int]:
        async with serve_engine(Echo(max_payload=LARGEST)) as (engine, port):
            url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling"
            async with aiohttp.ClientSession() as http:
                async with http.get(url) as answer:
                    sid = json.loads((await answer.text())[1:])["sid"]
                body = "\x1e".join(["4"] * 9_000)
                async with http.post(f"{url}&sid={sid}", data=body) as answer:
                    status = answer.status
                async with http.get(f"{url}&sid={sid}") as answer:
                    echoes = (await answer.text()).count("4")
            return engine.turns.most, status, echoes

    most, status, echoes = run(kind, work)
    assert status == 200 and echoes > 0
    assert most <= TURN_BUDGET + PACKET_COST


@pytest.mark.parametrize("body", ["\x1e".join(["3"] * 10_001), "1:3" * 10_001])
async def test_a_payload_of_too_many_packets_is_refused(body: str) -> None:
    async with serve_engine(Echo()) as (engine, port):
        version = 3 if body[0] == "1" else 4
        url = f"http://127.0.0.1:{port}/socket.io/?EIO={version}&transport=polling"
        async with aiohttp.ClientSession() as http:
            await (await http.get(url)).read()
            (sid,) = engine.sessions
            async with http.post(f"{url}&sid={sid}", data=body) as answer:
                assert answer.status == 400
        assert engine.sessions == {}


def test_readers_take_turns() -> None:
    """Each of a thousand gets a share, and the one that came last waits for one round."""

    async def work() -> list[int]:
        turns, order, left = Turns(), [], dict.fromkeys(range(1000), 3)

        def read(number: int) -> None:
            share = turns.take_share()
            assert share > 0
            order.append(number)
            turns.spend(min(share, 8 * PACKET_COST))
            left[number] -= 1
            if left[number]:
                turns.wait(lambda: read(number))

        turns.spend(TURN_BUDGET)
        for number in left:
            assert turns.take_share() <= 0
            turns.wait(lambda number=number: read(number))
        while any(left.values()):
            await asyncio.sleep(0)
        assert turns.most <= TURN_BUDGET + 8 * PACKET_COST
        return order

    order = asyncio.run(work())
    assert order == [*range(1000)] * 3


@LOOPS
def test_small_packets_do_not_wait_for_large_ones(kind: str) -> None:
    """Of large ones a turn has one, and none while the last one's pause lasts; small ones are in each turn."""

    async def work() -> list[str]:
        turns, order = Turns(), []

        def read_large() -> None:
            assert turns.take_share() > 0 and turns.is_for_large
            turns.spend(1_000_000)
            time.sleep(0.03)  # as long as its JSON takes
            order.append("large")

        def read_small(left: int) -> None:
            assert not turns.is_for_large
            turns.spend(PACKET_COST)
            order.append("small")
            if left:
                turns.wait(lambda: read_small(left - 1))

        for _ in range(3):
            turns.wait(read_large, LARGE + 1)
        turns.wait(lambda: read_small(5))
        while order.count("large") < 3:
            await asyncio.sleep(0)
        assert turns.most <= TURN_BUDGET + 1_000_000
        return order

    assert run(kind, work) == ["small", "large", *["small"] * 5, "large", "large"]


@LOOPS
def test_large_packets_do_not_wait_for_ever(kind: str) -> None:
    """Small ones take whole turns, without end."""

    async def work() -> None:
        turns, called = Turns(), []

        def read_small() -> None:
            turns.spend(TURN_BUDGET)
            turns.wait(read_small)

        turns.wait(read_small)
        for number in range(3):
            turns.wait(lambda number=number: (turns.spend(LARGE), called.append(number)), LARGE + 1)
        for _ in range(30):
            await asyncio.sleep(0)
        assert called == [0, 1, 2]

    run(kind, work)


@LOOPS
def test_a_large_frame_takes_its_turn_behind_small_ones(kind: str) -> None:
    """Four connections send large messages only; every message arrives, and small ones are in between."""

    async def work() -> tuple[int, int]:
        seen: list[int] = []

        class Note(Engine):
            def on_message(self, session: Any, packet: Any) -> None:
                assert len(packet) <= LARGE or self.turns.is_for_large
                seen.append(len(packet))
                session.send("4" if len(packet) > LARGE else packet)

        async with serve_engine(Note(max_payload=2 * LARGE)) as (_, port):
            floods = [await Flood.open(port) for _ in range(4)]
            size = LARGE + 10
            for flood in floods:
                flood.writer.write((struct.pack("!BBQ", 0x81, 0x80 | 127, size) + b"\0\0\0\0" + b"4" * size) * 10)
            async with aiohttp.ClientSession() as http:
                got = await echo_times(http, f"http://127.0.0.1:{port}", 20)
            while sum(one > LARGE for one in seen) < 40:
                await asyncio.sleep(0.01)
            for flood in floods:
                flood.writer.transport.abort()
            return got, len(seen)

    assert run(kind, work) == (20, 60)


@LOOPS
@pytest.mark.parametrize("server", ["engine", "sockets"])
@pytest.mark.parametrize("end", ["client", "server"])
def test_a_closed_session_is_given_back_at_once(kind: str, server: str, end: str) -> None:
    """Without the garbage collector, which runs rarely in a server that has been frozen."""

    async def work() -> None:
        engine: Engine = Echo() if server == "engine" else socket_server()
        async with serve_engine(engine) as (_, port):
            gc.collect()
            gc.disable()
            try:
                flood = await Flood.open(port)
                (session,) = engine.sessions.values()
                mark = Mark()
                gone = weakref.ref(mark)
                session.handshake.query["mark"] = mark  # type: ignore[assignment]
                del mark
                if server == "sockets":
                    flood.writer.write(frame(b"40"))
                    while not session.admitted:
                        await asyncio.sleep(0.01)
                    flood.writer.write(frame(b'451-["x",[[[[]]]]]'))
                if end == "client":
                    flood.writer.transport.abort()
                else:
                    session.close("enough")
                del session
                for _ in range(1000):
                    if gone() is None:
                        return
                    await asyncio.sleep(0.01)
                raise AssertionError([type(one) for one in gc.get_objects() if type(one).__name__ == "Session"])
            finally:
                gc.enable()

    run(kind, work)
