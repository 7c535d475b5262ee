# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WebSockets over real sockets, with and without TLS, on asyncio's loop and on uvloop: messages, the end, and what is
left behind. The handshake: test_websocket_handshake.py."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from typing import Any

import aiohttp.web
import pytest
from eio_support import PATIENCE, Echo
from ws_connections_support import OPEN, PLAIN, Hall, hall_of, handshake, until
from ws_support import BINARY, CONTINUATION, PING, TEXT, Frame, close, frame, text

from rtc_server.engine import Session

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


# --- messages and control frames --------------------------------------------------------------------------


async def test_echo_byte_by_byte_and_in_parts(hall: Hall) -> None:
    raw = await hall.enter()
    stream = (
        frame(TEXT, b"4he", fin=False)
        + frame(PING, b"?")
        + frame(CONTINUATION, "llo €".encode())
        + frame(BINARY, b"\1" * 70_000)
    )
    for at in range(60):
        raw.say(stream[at : at + 1])
        await raw.writer.drain()
        await asyncio.sleep(0)
    raw.say(stream[60:])
    got = [await raw.frame() for _ in range(3)]
    assert got == [Frame(0x8A, b"?"), Frame(0x81, "4hello €".encode()), Frame(0x82, b"\1" * 70_000)]


FAILURES = [
    (frame(TEXT, b"4x", mask=None) + bytes(9), 1002),
    (frame(TEXT, b"4x", reserved=4), 1002),
    (frame(3), 1002),
    (frame(11), 1002),
    (frame(PING, b"x", fin=False), 1002),
    (frame(PING, b"x" * 126), 1002),
    (frame(CONTINUATION, b"x"), 1002),
    (frame(TEXT, b"4a", fin=False) + text("4b"), 1002),
    (frame(TEXT, b"4\xff"), 1007),
    (frame(BINARY, bytes(100_001)), 1009),
    (frame(BINARY, bytes(60_000), fin=False) + frame(CONTINUATION, bytes(60_000)), 1009),
    (close(1005), 1002),
    (close(999), 1002),
    (frame(8, b"\x03"), 1002),
    (close(1000, b"\xff"), 1007),
    (close(4321, b"bye"), 4321),
    (close(None), 1000),
]


@pytest.mark.parametrize(("bytes_", "code"), FAILURES)
async def test_what_ends_a_connection(hall: Hall, bytes_: bytes, code: int) -> None:
    raw = await hall.enter()
    raw.say(text("4before") + bytes_)
    got = await raw.frame()
    if got.first != 0x88:
        assert got == Frame(0x81, b"4before")
        got = await raw.frame()
    assert got.code == code and await raw.gone()


@pytest.mark.parametrize(
    ("bytes_", "code"), [(frame(3), 1002), (frame(TEXT, b"\xff"), 1007), (close(4321), 4321), (text("nonsense"), 1000)]
)
async def test_what_ends_an_upgrade_leaves_polling_alone(hall: Hall, bytes_: bytes, code: int) -> None:
    raw = await hall.dial()
    raw.say(b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await raw.answered() == 200
    await raw.reader.readuntil(b"}")
    (session,) = hall.engine.sessions.values()
    raw.say(handshake(f"{OPEN}&sid={session.id}") + text("2probe") + bytes_)
    assert await raw.answered() == 101
    assert await raw.frame() == Frame(0x81, b"3probe")
    assert await raw.closed() == code and await raw.gone()
    assert not session.closed and not session.upgrading and session.transport == "polling"
    session.close("test over")


async def test_a_handshake_with_a_body(hall: Hall) -> None:
    """Nothing of aiohttp waits for the body."""
    raw = await hall.dial()
    raw.say(handshake(Content_Length="100"))
    assert await raw.answered() == 101
    raw.say(text("4x"))
    assert (await raw.frame()).payload[:1] == b"0" and await raw.frame() == Frame(0x81, b"4x")
    await until(lambda: not handlers())


async def test_pings_of_a_client_that_does_not_read_take_no_more_than_they_may(hall: Hall) -> None:
    hall.engine.linger = PATIENCE  # it may take a while to read all that was held back
    raw = await hall.enter(buffer=4096)
    assert raw.session.ws is not None
    out = raw.session.ws.transport
    seen: list[Any] = []
    hall.engine.on_message = lambda _session, packet: seen.append(packet)  # type: ignore[method-assign,assignment]
    out.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    most = 0
    for _ in range(400):
        raw.say(frame(PING, b"x" * 125) * 200)  # 10 MB in all
        await raw.writer.drain()
        most = max(most, raw.session.backlog)
    raw.say(text("4done"))
    await until(lambda: seen == ["4done"])
    assert 32 << 10 < max(most, raw.session.backlog) < 80 << 10
    await until(lambda: raw.reader._buffer)  # type: ignore[attr-defined]
    raw.say(text("1"))  # it reads again: everything is in its order
    code = await raw.closed()
    assert code == 1000


# --- section 7: the end -----------------------------------------------------------------------------------


async def test_the_server_closes_and_the_client_answers(hall: Hall) -> None:
    raw = await hall.enter()
    raw.session.send("4last")
    raw.session.close("enough")
    assert await raw.frame() == Frame(0x81, b"4last")
    assert await raw.closed() == 1000
    raw.say(close(1000))
    assert await raw.gone()


async def test_a_client_that_never_answers_our_close(hall: Hall) -> None:
    raw = await hall.enter()
    raw.session.close("enough")
    assert await raw.closed() == 1000 and await raw.gone()


async def test_a_client_that_talks_on_after_our_close(hall: Hall) -> None:
    raw = await hall.enter()
    raw.session.close("enough")
    assert await raw.closed() == 1000
    with contextlib.suppress(ConnectionError):
        while not raw.reader.at_eof():
            raw.say(text("4x" * 100) * 10, frame(PING))
            await raw.writer.drain()
            await asyncio.sleep(0)
    assert await raw.gone()


async def test_the_client_hangs_up(hall: Hall) -> None:
    for how in ("close", "abort"):
        raw = await hall.enter()
        raw.say(text("4x"))
        await raw.frame()
        getattr(raw.writer.transport, how)()
        await until(lambda: not hall.engine.sessions)


@PLAIN  # TLS knows no half of an end
async def test_the_client_ends_its_half(hall: Hall) -> None:
    raw = await hall.enter()
    raw.say(text("4x")[:-1])
    raw.writer.write_eof()
    assert await raw.gone()


async def test_no_data_follow_our_answer_to_a_close(hall: Hall) -> None:
    """Also when the client has not taken yet what was before it, so that the connection stays for a while."""
    hall.engine.linger = PATIENCE
    raw = await hall.enter(buffer=4096)
    session = raw.session
    assert session.ws is not None
    out = session.ws.transport
    await until(lambda: session.send("4" + "x" * 50_000) or out.get_write_buffer_size())
    raw.say(close(1000))
    await until(lambda: session.closed)
    session.send("4never")
    assert await raw.closed() == 1000
    assert await raw.reader.read() == b"" and await raw.gone()


# --- handlers that are awaited ------------------------------------------------------------------------------


class Careful(Echo):
    """Handles messages one at a time, each when it is allowed to."""

    def __init__(self) -> None:
        super().__init__(max_payload=100_000)
        self.gate = asyncio.Event()
        self.began: list[Any] = []
        self.done: list[Any] = []

    def on_message(self, session: Session, packet: Any) -> Any:
        self.began.append(packet)
        assert len(self.began) == len(self.done) + 1
        return self._handle(packet)

    async def _handle(self, packet: Any) -> None:
        await self.gate.wait()
        self.done.append(packet)


async def test_reading_pauses_while_messages_wait_for_a_handler(kind: str, contexts: Any) -> None:
    engine = Careful()
    async with hall_of(engine, kind, contexts) as hall:
        raw = await hall.enter()
        ws = raw.session.ws
        assert ws is not None
        sent = [f"4{i}" + "x" * 90_000 for i in range(100)]
        raw.say(*[frame(TEXT, message.encode(), mask=bytes(4)) for message in sent])
        await until(lambda: ws._paused)
        for _ in range(100):  # turns in which more could be read
            await asyncio.sleep(0)
        assert len(ws._rest) < (256 << 10) + 100_000 + (512 << 10)
        assert engine.began == sent[:1] and engine.done == []
        engine.gate.set()
        await until(lambda: len(engine.done) == len(sent))
        assert engine.done == sent and not ws._paused


async def test_messages_wait_until_the_session_is_open(kind: str, contexts: Any) -> None:
    """Those that came with the handshake, and those that come later."""

    class Gated(Careful):
        def on_open(self, session: Session) -> Any:
            return self.gate.wait()

    engine = Gated()
    async with hall_of(engine, kind, contexts) as hall:
        raw = await hall.enter(also=text("4a") + text("4b"))
        raw.say(text("4c") + frame(PING, b"seen"))
        await until(lambda: raw.session.ws is not None and len(raw.session.ws._rest) > 20)
        assert engine.began == []
        engine.gate.set()
        assert await raw.frame() == Frame(0x8A, b"seen")
        await until(lambda: len(engine.done) == 3)
        assert engine.done == ["4a", "4b", "4c"]


async def test_a_client_that_goes_while_its_message_is_handled(kind: str, contexts: Any) -> None:
    engine = Careful()
    async with hall_of(engine, kind, contexts) as hall:
        raw = await hall.enter()
        raw.say(text("4a") + text("4b"))
        await until(lambda: engine.began)
        raw.writer.transport.abort()
        await until(lambda: not engine.sessions)
        engine.gate.set()
        await until(lambda: engine.done)
        assert engine.began == ["4a"]


# --- what is left in aiohttp -----------------------------------------------------------------------------------


def handlers() -> list[str]:
    """Tasks of aiohttp."""
    return [name for task in asyncio.all_tasks() if "RequestHandler" in (name := repr(task.get_coro()))]


@pytest.mark.parametrize("cancellation", [True, False])
async def test_nothing_of_aiohttp_stays_with_an_open_connection(kind: str, contexts: Any, cancellation: bool) -> None:
    async with hall_of(Echo(), kind, contexts, handler_cancellation=cancellation) as hall:
        clients = [await hall.enter() for _ in range(5)]
        server = hall.web.runner.server
        await until(lambda: server is not None and server.connections == [] and not handlers())
        gc.collect()
        requests = [o for o in gc.get_objects() if isinstance(o, aiohttp.web.BaseRequest)]
        assert len(requests) <= 1, requests  # the last one, at most
        del requests
        for raw in clients:
            raw.say(text("4still here"))
            assert await raw.frame() == Frame(0x81, b"4still here")


@pytest.mark.parametrize("cancellation", [True, False])
async def test_the_server_ends_with_open_connections(kind: str, contexts: Any, cancellation: bool) -> None:
    async with hall_of(Echo(), kind, contexts, handler_cancellation=cancellation) as hall:
        clients = [await hall.enter() for _ in range(5)]
        raw = await hall.dial()  # and one that was not upgraded
        raw.say(b"GET /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await raw.answered() == 400
        await hall.web.runner.cleanup()
        for client in clients:
            assert await client.closed() == 1000
            client.say(close(1000))
            assert await client.gone()
        assert handlers() == []


@pytest.mark.parametrize("cancellation", [True, False])
async def test_clients_that_hang_up_during_their_handshake(kind: str, contexts: Any, cancellation: bool) -> None:
    async with hall_of(Echo(), kind, contexts, handler_cancellation=cancellation) as hall:
        for turns in range(6):
            raw = await hall.dial()
            raw.say(handshake() + text("4x"))
            await raw.writer.drain()
            for _ in range(turns):
                await asyncio.sleep(0)
            raw.writer.transport.abort()
        raw = await hall.enter()
        await until(lambda: list(hall.engine.sessions.values()) == [raw.session])
        await until(lambda: not handlers())
