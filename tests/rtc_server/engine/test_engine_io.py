# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Engine.IO protocol, revisions 4 and 3, clause by clause, error answers and timeouts included.

Sources: the protocol documents of revisions 4 and 3 (sections "Handshake", "Heartbeat", "Transports", "Upgrade",
"Packet encoding", "Payload encoding") and, for error answers, what the reference server says.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest
from eio_support import BOTH, Echo, Web, WsClient, encode_payload, serving

# --- Handshake --------------------------------------------------------------------------------------


@BOTH
async def test_polling_handshake(web: Web, eio_version: int) -> None:
    status, text = await web.get(f"EIO={eio_version}&transport=polling")
    assert status == 200
    if eio_version == 3:
        length, _, text = text.partition(":")
        assert int(length) == len(text)
    assert text[0] == "0"
    opened = json.loads(text[1:])
    assert opened == {
        "sid": opened["sid"],
        "upgrades": ["websocket"],
        "pingInterval": 20000,
        "pingTimeout": 20000,
        "maxPayload": 1000000,
    }
    assert len(opened["sid"]) >= 20


@BOTH
async def test_websocket_handshake(web: Web, eio_version: int) -> None:
    wire = await web.ws(f"EIO={eio_version}&transport=websocket")
    assert wire.opened["upgrades"] == [] and wire.opened["sid"] in web.engine.sessions


@BOTH
async def test_session_ids_end_in_the_label_of_the_server(eio_version: int) -> None:
    """A proxy in front of several servers finds the one of a session by it, so a client has to give it back whole."""
    async with serving(Echo(label="1f0a6b2c", ping_interval=20, ping_timeout=20)) as web:
        _status, text = await web.get(f"EIO={eio_version}&transport=polling")
        polling = json.loads(text[text.index("{") :])["sid"]
        wire = await web.ws(f"EIO={eio_version}&transport=websocket")
        for sid in (polling, wire.opened["sid"]):
            assert re.fullmatch(r"[A-Za-z0-9_-]{20}\.1f0a6b2c", sid), "120 bits that nobody guesses, then the label"
            assert sid in web.engine.sessions
        assert (await web.get(f"EIO={eio_version}&transport=polling&sid={polling.partition('.')[0]}"))[0] == 400
        upgraded = await web.ws(f"EIO={eio_version}&transport=websocket&sid={polling}")
        await upgraded.send("2probe")
        assert await upgraded.take() == "3probe"


BAD_HANDSHAKES = [
    ("EIO=4", 400, 0),
    ("EIO=4&transport=carrier", 400, 0),
    ("transport=polling", 400, 5),
    ("EIO=5&transport=polling", 400, 5),
    ("EIO=abc&transport=polling", 400, 5),
    ("EIO=2&transport=polling", 400, 5),
    ("EIO=4&transport=polling&sid=unknown", 400, 1),
    ("EIO=4&transport=websocket", 400, 3),
    ("EIO=4&transport=polling&j=0", 400, 3),
    ("EIO=3&transport=polling&j=0", 400, 3),
]


@pytest.mark.parametrize(("query", "status", "code"), BAD_HANDSHAKES)
async def test_bad_handshakes(web: Web, query: str, status: int, code: int) -> None:
    got, text = await web.get(query)
    assert (got, json.loads(text)["code"]) == (status, code)


async def test_a_handshake_is_a_get(web: Web) -> None:
    for method in ("POST", "PUT", "DELETE"):
        async with web.http.request(method, web.base + "?EIO=4&transport=polling") as answer:
            assert answer.status == 400 and (await answer.json())["code"] == 2


@pytest.mark.parametrize(
    "query", ["transport=websocket", "EIO=9&transport=websocket", "EIO=4&transport=polling", "EIO=4"]
)
async def test_bad_websocket_handshakes(web: Web, query: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await web.http.ws_connect(f"{web.base}?{query}")
    assert caught.value.status == 400


async def test_only_the_revisions_that_are_offered() -> None:
    async with serving(Echo(eio_versions=(4,))) as web:
        assert (await web.get("EIO=3&transport=polling"))[0] == 400
        assert (await web.get("EIO=4&transport=polling"))[0] == 200


# --- WebSocket ----------------------------------------------------------------------------------------


async def test_websocket_echo_4(web: Web) -> None:
    wire = await web.ws()
    await wire.send("4hello €😀", b"\1\2\3")
    assert [await wire.take(), await wire.take()] == ["4hello €😀", b"\1\2\3"]


async def test_websocket_echo_3(web: Web) -> None:
    wire = await web.ws("EIO=3&transport=websocket")
    await wire.send("4hello €😀", b"\4\1\2\3")
    assert [await wire.take(), await wire.take()] == ["4hello €😀", b"\4\1\2\3"]


@pytest.mark.parametrize("packet", ["abc", "", "9", "0", "2", "2probe", b""])
async def test_bad_packets_close_4(web: Web, packet: str | bytes) -> None:
    wire = await web.ws()
    if packet == b"":
        packet = "7x"
    await wire.send(packet)
    assert await wire.closes() and web.engine.sessions == {}


@pytest.mark.parametrize("packet", ["abc", "", "9", "0", "3", b"\1x", b""])
async def test_bad_packets_close_3(web: Web, packet: str | bytes) -> None:
    wire = await web.ws("EIO=3&transport=websocket")
    await wire.send(packet)
    assert await wire.closes() and web.engine.sessions == {}


async def test_text_that_is_not_utf_8_closes(web: Web) -> None:
    wire = await web.ws()
    await wire.ws._writer.send_frame(b"4\xff", aiohttp.WSMsgType.TEXT)
    assert await wire.closes()


async def test_compression_is_not_offered(web: Web) -> None:
    wire = await web.ws(compress=15)
    assert wire.ws.compress == 0


async def test_a_websocket_session_has_no_polling(web: Web) -> None:
    wire = await web.ws()
    query = f"EIO=4&transport=polling&sid={wire.opened['sid']}"
    assert (await web.get(query))[0] == 400
    assert (await web.post(query, "4x"))[0] == 400
    await wire.send("4still here")
    assert await wire.take() == "4still here"


# --- closing -----------------------------------------------------------------------------------------


@BOTH
async def test_close_packet_over_polling(web: Web, eio_version: int) -> None:
    query = await web.open(eio_version)
    poll = asyncio.ensure_future(web.get(query))
    while web.engine.sessions[query[-20:]].poll is None:
        await asyncio.sleep(0.001)
    assert await web.post(query, encode_payload(eio_version, "1")) == (200, "ok")
    assert await poll == (200, encode_payload(eio_version, "6"))
    assert (await web.get(query))[0] == 400


@BOTH
async def test_close_packet_over_websocket(web: Web, eio_version: int) -> None:
    wire = await web.ws(f"EIO={eio_version}&transport=websocket")
    await wire.send("1")
    assert await wire.closes() and web.engine.sessions == {}


async def test_what_was_said_before_closing_arrives(web: Web) -> None:
    wire = await web.ws()
    session = web.engine.sessions[wire.opened["sid"]]
    for i in range(100):
        session.send(f"4{i}")
    session.close("enough")
    assert [await wire.take() for _ in range(101)] == [*[f"4{i}" for i in range(100)], None]


# --- Heartbeat ---------------------------------------------------------------------------------------


async def test_heartbeat_4_over_websocket(impatient: Web) -> None:
    wire = await impatient.ws()
    wire.mute = True
    for _ in range(3):
        assert await wire.take() == "2"
        await wire.send("3")
    assert await wire.take() == "2"
    assert await wire.closes()  # no pong


async def test_heartbeat_4_over_polling(impatient: Web) -> None:
    query = await impatient.open()
    for _ in range(3):
        assert await impatient.get(query) == (200, "2")
        assert await impatient.post(query, "3") == (200, "ok")
    assert await impatient.get(query) == (200, "2")
    assert await impatient.get(query) == (200, "1")  # no pong: closed while polling
    assert (await impatient.get(query))[0] == 400


@pytest.mark.parametrize("packet", ["2", "2probe"])
async def test_heartbeat_3_over_websocket(impatient: Web, packet: str) -> None:
    wire = await impatient.ws("EIO=3&transport=websocket")
    wire.mute = True
    for _ in range(3):
        await wire.send(packet)
        assert await wire.take() == "3" + packet[1:]
    assert await wire.closes()  # no ping


async def test_heartbeat_3_over_polling(impatient: Web) -> None:
    query = await impatient.open(3)
    for _ in range(3):
        await impatient.post(query, "1:2")
        assert await impatient.get(query) == (200, "1:3")
    assert await impatient.get(query) == (200, "1:1")
    assert (await impatient.get(query))[0] == 400


@BOTH
async def test_a_session_nobody_takes_up_goes(impatient: Web, eio_version: int) -> None:
    await impatient.open(eio_version)
    while impatient.engine.sessions:
        await asyncio.sleep(0.01)


async def test_a_stall_of_the_server_is_not_the_clients_fault() -> None:
    import time

    async with serving(Echo(ping_interval=0.1, ping_timeout=1.0)) as web:
        wires = [await web.ws() for _ in range(5)]
        time.sleep(1.5)
        for _ in range(6):
            await asyncio.gather(*[w.send("4x") for w in wires])
            assert await asyncio.gather(*[w.take() for w in wires]) == ["4x"] * 5
            await asyncio.sleep(0.1)
        assert len(web.engine.sessions) == 5


# --- Upgrade -----------------------------------------------------------------------------------------


async def upgrade(web: Web, query: str) -> WsClient:
    wire = await web.ws(query.replace("polling", "websocket"))
    await wire.send("2probe")
    assert await wire.take() == "3probe"
    await wire.send("5")
    return wire


@BOTH
async def test_upgrade(web: Web, eio_version: int) -> None:
    query = await web.open(eio_version)
    poll = asyncio.ensure_future(web.get(query))
    while web.engine.sessions[query[-20:]].poll is None:
        await asyncio.sleep(0.001)
    wire = await web.ws(query.replace("polling", "websocket"))
    await wire.send("2probe")
    assert await wire.take() == "3probe"
    assert await poll == (200, encode_payload(eio_version, "6"))  # the pending poll ends with a noop
    assert await web.post(query, encode_payload(eio_version, "4sent while upgrading")) == (200, "ok")
    await wire.send("5")
    assert await wire.take() == "4sent while upgrading"  # nothing is lost on the way over
    await wire.send("4after")
    assert await wire.take() == "4after"
    assert (await web.get(query))[0] == 400
    assert (await web.post(query, encode_payload(eio_version, "4x")))[0] == 400


async def test_an_upgrade_that_stops_half_way_leaves_polling_alone(impatient: Web) -> None:
    for first in ("nonsense", "5", "3probe", None):
        query = await impatient.open()
        wire = await impatient.ws(query.replace("polling", "websocket"))
        if first is not None:
            await wire.send(first)
        assert await wire.closes()  # None: the time for it ran out
        while "2" in (got := await impatient.get(query))[1] or got == (200, "6"):
            await impatient.post(query, "3")
            await impatient.post(query, "4x")
        assert got[0] == 200 and got[1].startswith("4x")


async def test_a_second_websocket_for_a_session_is_closed(web: Web) -> None:
    query = await web.open()
    wire = await upgrade(web, query)
    second = await web.ws(query.replace("polling", "websocket"))
    assert await second.closes()
    await wire.send("4first")
    assert await wire.take() == "4first"
    direct = await web.ws()
    third = await web.ws(f"EIO=4&transport=websocket&sid={direct.opened['sid']}")
    assert await third.closes()
    await direct.send("4direct")
    assert await direct.take() == "4direct"


async def test_a_websocket_for_an_unknown_session_is_refused(web: Web) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await web.http.ws_connect(f"{web.base}?EIO=4&transport=websocket&sid=unknown")
    assert caught.value.status == 400


# --- Origins -----------------------------------------------------------------------------------------


async def test_origins() -> None:
    good, bad = {"Origin": "https://good.example"}, {"Origin": "https://bad.example"}
    async with serving(Echo(allowed_origins=["https://good.example"])) as web:
        url = f"{web.base}?EIO=4&transport=polling"
        async with web.http.get(url, headers=good) as answer:
            assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == good["Origin"]
            assert answer.headers["Vary"] == "Origin" and "Set-Cookie" not in answer.headers
            assert "Access-Control-Allow-Credentials" not in answer.headers
        for headers in (
            bad,
            {"Origin": "null"},
            {"Origin": "https://good.example.evil"},
            {"Origin": "http://good.example"},
        ):
            for method in ("GET", "POST", "OPTIONS"):
                async with web.http.request(method, url, headers=headers) as answer:
                    assert answer.status == 403 and "Access-Control-Allow-Origin" not in answer.headers
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await web.http.ws_connect(url.replace("polling", "websocket"), headers=headers)
            assert caught.value.status == 403
        async with web.http.options(url, headers=good) as answer:
            assert answer.status == 204 and "POST" in answer.headers["Access-Control-Allow-Methods"]
        own = web.base.removesuffix("/socket.io/")
        async with web.http.get(url, headers={"Origin": own}) as answer:
            assert answer.status == 200
        async with web.http.get(url) as answer:  # not from a page
            assert answer.status == 200 and "Access-Control-Allow-Origin" not in answer.headers


async def test_draining_lets_nobody_in(web: Web) -> None:
    wire = await web.ws()
    web.engine.draining = True
    async with web.http.get(f"{web.base}?EIO=4&transport=polling") as answer:
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    await wire.send("4x")
    assert await wire.take() == "4x"


async def test_pongs_and_messages_do_not_mix(web: Web) -> None:
    """WebSocket pings are answered at once, messages at the end of a turn: both under load."""
    wire = await web.ws()
    sent = 3000

    async def pings() -> None:
        for _ in range(300):
            await wire.ws.ping(b"x" * 100)

    async def messages() -> None:
        for i in range(sent):
            await wire.send(f"4{i}" + "y" * (i % 300))

    async def read() -> list[Any]:
        return [await wire.take() for _ in range(sent)]

    got, *_ = await asyncio.gather(read(), messages(), pings())
    assert got == [f"4{i}" + "y" * (i % 300) for i in range(sent)]
