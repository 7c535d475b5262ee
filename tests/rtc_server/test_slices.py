# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of HTTP have turns, and arrive whole and in order wherever they are cut."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rtc_support import PATIENCE, Site, eventually, running, token
from strangers_support import HOST, UPGRADE, Raw, frame

from rtc_server import slices
from rtc_server.engine.turns import PACKET_COST, TURN_BUDGET


def one_byte_chunks(body: bytes) -> bytes:
    """The coding of a body with most calls of the parser for each byte."""
    return b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes aiohttp got at once."""
    sizes: list[int] = []
    original = web.RequestHandler.data_received

    def data_received(self: Any, data: bytes) -> None:
        sizes.append(len(data))
        original(self, data)

    monkeypatch.setattr(web.RequestHandler, "data_received", data_received)
    return sizes


async def test_chunks_of_one_byte_have_turns(tmp_path: Path, handed_over: list[int]) -> None:
    """Each of sixteen connections sends as much as a loop reads at once. A good client goes on between them."""
    async with running(tmp_path, limits={"connect_seconds": 300}) as site:  # a busy machine takes its time
        ann = await site.connect()
        assert (await ann.ask("join", {"project": "p"}))["ok"]
        paths = []
        for _ in range(16):
            raw = await Raw.open(site.config.server.port)
            paths.append((raw, (await raw.handshake()).encode()))
        for raw, path in paths:
            raw.send(b"POST " + path + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + one_byte_chunks(b"4" * 40_000))
        for number in range(5):
            assert (await ann.ask("change", {"project": "p", "id": str(number), "data": 1}))["ok"]
        for raw, _ in paths:
            assert json.loads(await raw.answer())["message"] == "Payload too large"
            raw.close()
        assert max(handed_over) <= slices._SLICE
        dense = slices._SLICE + PACKET_COST + slices._SLICE // 2 * slices._LINE_COST  # one slice beyond the budget
        assert TURN_BUDGET < site.service.turns.most <= TURN_BUDGET + dense


@pytest.mark.parametrize("coding", ["whole", "chunks of one byte", "chunks"])
async def test_a_body_arrives_whole(site: Site, coding: str) -> None:
    raw = await Raw.open(site.config.server.port)
    path = (await raw.handshake()).encode()
    connect = b"40" + json.dumps({"token": token(), "more": "x" * 3000}).encode()

    async def post(body: bytes) -> str:
        head = b"POST " + path + HOST
        if coding == "whole":
            raw.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        elif coding == "chunks":
            raw.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
        else:
            raw.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + one_byte_chunks(body))
        return await raw.answer()

    assert await post(connect) == "ok"
    assert (await raw.get(path.decode())).startswith('40{"sid"')
    assert await post(b'421["join",{"project":"p"}]') == "ok"
    assert (await raw.get(path.decode())).startswith('431[{"ok":true')
    data = "\n".join(f"{n}é" for n in range(20_000))
    change = json.dumps(["change", {"project": "p", "id": "1", "data": data}])
    assert await post(b"422" + change.encode()) == "ok"
    await eventually(lambda: site.service.projects.loaded["p"].revision == 1)
    raw.close()


@pytest.mark.parametrize("coding", ["whole", "chunks"])
async def test_an_answer_outlives_the_body_that_it_refuses(site: Site, coding: str) -> None:
    """To hang up on what is still on its way would take the answer away (RFC 9112, 9.6)."""
    for path in ("/socket.io/?EIO=4&transport=polling&sid=unknown", ""):
        raw = await Raw.open(site.config.server.port)
        head = b"POST " + (path or await raw.handshake()).encode() + HOST
        body = b"4" * 3_000_000
        if coding == "whole":
            request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        else:
            request = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        raw.send(request[:1_500_000])
        assert json.loads(await raw.answer())["code"] == (1 if path else 3)
        raw.send(request[1_500_000:])
        await raw.writer.drain()
        if coding == "whole":  # where chunks end is not looked for
            assert await asyncio.wait_for(raw.reader.read(), PATIENCE) == b""  # an end, and no reset
        raw.close()


async def test_what_is_left_of_a_body_has_an_end(site: Site) -> None:
    """Though its chunks hold what ends a head."""
    raw = await Raw.open(site.config.server.port)
    raw.send(b"POST /nothing" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10004\r\n\r\n\r\n" + b"4" * 65536 + b"\r\n"
    sent = 0
    with pytest.raises(ConnectionError):
        while sent < 100_000_000:
            raw.send(chunk)
            await raw.writer.drain()
            sent += len(chunk)
    await eventually(lambda: len(site.door.peers) == 0)


async def test_frames_behind_a_handshake_reach_the_websocket(site: Site) -> None:
    """Though clients have to wait for the answer: more than a slice, in one piece with it."""
    raw = await Raw.open(site.config.server.port)
    ping = b"\x89\x80" + bytes(4)
    connect = frame("40" + json.dumps({"token": token(), "more": "x" * 3000}))
    raw.send(
        b"GET /socket.io/?transport=websocket&EIO=4"
        + UPGRADE
        + ping * 100
        + connect
        + frame('421["join",{"project":"p"}]')
    )
    await asyncio.wait_for(raw.reader.readuntil(b'431[{"ok":true'), PATIENCE)
    raw.close()


async def test_who_hangs_up_in_between_is_forgotten(site: Site) -> None:
    for _ in range(5):
        raw = await Raw.open(site.config.server.port)
        raw.send(b"POST /healthz" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + one_byte_chunks(b"4" * 40_000))
        await asyncio.sleep(0.01)
        raw.close()
    await eventually(lambda: len(site.door.peers) == 0)
