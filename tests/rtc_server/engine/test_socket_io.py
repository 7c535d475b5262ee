# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Socket.IO protocol, revision 5 (over Engine.IO 4) and its older dialect (over Engine.IO 3), clause by clause.

Source: the protocol document of revision 5 ("Connection to a namespace", "Sending and receiving data",
"Acknowledgement", "Disconnection from a namespace", "Packet encoding"), and its history for the older dialect.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from eio_support import Web, WsClient, publish, serving, socket_server


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """A Socket.IO server with the namespaces / and /custom."""
    async with serving(socket_server(ping_interval=20, ping_timeout=20)) as web:
        yield web


async def connected(web: Web, eio_version: int = 4) -> WsClient:
    """A WebSocket that has joined the main namespace."""
    wire = await web.ws(f"EIO={eio_version}&transport=websocket")
    if eio_version == 4:
        await wire.send("40")
    assert (await wire.take())[:2] == "40"
    assert await wire.take() == '42["hello","/"]'
    return wire


# --- Connection to a namespace ----------------------------------------------------------------------


async def test_connect_to_the_main_namespace(web: Web) -> None:
    wire = await web.ws()
    await wire.send("40")
    answer = await wire.take()
    assert answer[:2] == "40" and set(json.loads(answer[2:])) == {"sid"}
    assert json.loads(answer[2:])["sid"] != wire.opened["sid"]  # whoever knows that one can write for the client
    assert await wire.take() == '42["hello","/"]'  # not before the answer


async def test_connect_with_a_payload(web: Web) -> None:
    wire = await web.ws()
    await wire.send('40{"refuse":true}')
    assert await wire.take() == '44{"message":"refused","data":{"why":"asked for"}}'
    await wire.send('40{"token":"123"}')
    assert (await wire.take())[:2] == "40"


async def test_connect_to_a_custom_namespace(web: Web) -> None:
    wire = await web.ws()
    for packet in ("40/custom,", '40/custom,{"token":"abc"}', "40/custom"):
        await wire.send(packet)
        answer = await wire.take()
        assert answer.startswith('40/custom,{"sid":"')
        assert await wire.take() == '42/custom,["hello","/custom"]'
        await wire.send("41/custom,")


async def test_connect_to_an_unknown_namespace(web: Web) -> None:
    wire = await web.ws()
    await wire.send("40/random")
    assert await wire.take() == '44/random,{"message":"Invalid namespace"}'


async def test_connect_twice_is_an_error(web: Web) -> None:
    wire = await connected(web)
    await wire.send("40")
    assert await wire.closes()


async def test_who_does_not_connect_in_time_is_closed() -> None:
    async with serving(socket_server(connect_timeout=0.1)) as web:
        wire = await web.ws()
        assert await wire.closes() and web.engine.sessions == {}


async def test_too_many_refused_connects_close() -> None:
    async with serving(socket_server(connect_attempts=3)) as web:
        wire = await web.ws()
        await wire.send('40{"refuse":true}', "40/random", '40/custom,{"refuse":true}')
        assert await wire.closes()


async def test_several_namespaces_on_one_connection(web: Web) -> None:
    wire = await connected(web)
    await wire.send("40/custom,")
    assert (await wire.take()).startswith("40/custom,")
    assert await wire.take() == '42/custom,["hello","/custom"]'
    await wire.send('42/custom,["message",1]', '42["message",2]')
    assert [await wire.take(), await wire.take()] == ['42/custom,["message-back",1]', '42["message-back",2]']


# --- Sending and receiving data, acknowledgement ------------------------------------------------------


async def test_plain_text(web: Web) -> None:
    wire = await connected(web)
    await wire.send('42["message",1,"2",{"3":[true]}]')
    assert await wire.take() == '42["message-back",1,"2",{"3":[true]}]'


async def test_binary(web: Web) -> None:
    wire = await connected(web)
    await wire.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"\1\2\3", b"\4\5\6")
    assert await wire.take() == '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    assert [await wire.take(), await wire.take()] == [b"\1\2\3", b"\4\5\6"]


async def test_acknowledgements(web: Web) -> None:
    wire = await connected(web)
    await wire.send('42456["answer",1,"2",{"3":[false]}]')
    assert await wire.take() == '43456[1,"2",{"3":[false]}]'
    await wire.send('421["answer"]')
    assert await wire.take() == "431[]"


async def test_binary_acknowledgement(web: Web) -> None:
    wire = await connected(web)
    await wire.send('452-789["answer",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]', b"\1", b"\2")
    assert await wire.take() == '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    assert [await wire.take(), await wire.take()] == [b"\1", b"\2"]


async def test_the_server_asks_and_the_client_acknowledges(web: Web) -> None:
    wire = await connected(web)
    await wire.send('42["ask-me"]')
    assert await wire.take() == '420["question",1]'
    await wire.send("439999[1]", "430[41]", "430[42]")  # unknown and repeated numbers are ignored
    assert await wire.take() == '42["told",41]'
    await wire.send('421["answer"]')
    assert await wire.take() == "431[]"


async def test_unknown_events_and_namespaces_are_ignored(web: Web) -> None:
    wire = await connected(web)
    await wire.send('42["nobody",1]', '42/custom,["message",1]', '421["answer",2]')
    assert await wire.take() == "431[2]"


BAD = [
    "4abc",
    "4",
    "47",
    "42{}",
    '42""',
    "42abc",
    "42",
    "42[]",
    "42[1]",
    '42["connect"]',
    '42["disconnect",1]',
    "43",
    "43abc",
    "431abc",
    "431{}",
    '45["x"]',
    "451",
    '421-["x"]',
    "44{}",
    '42["message",NaN]',
    '42["message","\x00"]',
]


@pytest.mark.parametrize("packet", BAD)
async def test_bad_packets_close_the_session(web: Web, packet: str) -> None:
    wire, other = await connected(web), await connected(web)
    await wire.send(packet)
    assert await wire.closes()
    await other.send('421["answer"]')
    assert await other.take() == "431[]"


@pytest.mark.parametrize("kind", ["text", "binary"])
async def test_attachments_out_of_place_close_the_session(web: Web, kind: str) -> None:
    wire = await connected(web)
    if kind == "text":
        await wire.send('451-["message",{"_placeholder":true,"num":0}]', '42["message"]')
    else:
        await wire.send(b"\1")
    assert await wire.closes()


# --- Disconnection -----------------------------------------------------------------------------------


async def test_the_client_leaves_a_namespace(web: Web) -> None:
    wire = await connected(web)
    await wire.send("41", '421["answer"]')  # not heard any more
    await wire.send("40")
    assert (await wire.take())[:2] == "40"


async def test_the_server_disconnects_from_a_namespace(web: Web) -> None:
    wire = await connected(web)
    await wire.send("40/custom,")
    assert [(await wire.take())[:9], await wire.take()] == ["40/custom", '42/custom,["hello","/custom"]']
    await wire.send('42["leave-me"]')
    assert await wire.take() == "41"
    await wire.send('42/custom,1["answer"]')
    assert await wire.take() == "43/custom,1[]"


async def test_the_end_of_a_session_is_told() -> None:
    server = socket_server()
    told: list[tuple[str, str]] = []
    async with serving(server) as web:
        for name in ("/", "/custom"):
            server.namespace(name).on_disconnect = lambda s, reason: told.append((s.namespace.name, reason))
        wire = await connected(web)
        await wire.send("40/custom,")
        await wire.take()
        await wire.send("1")
        assert await wire.closes()
        assert sorted(told) == [("/", "client closed"), ("/custom", "client closed")]
        assert all(not n.sockets and not n.rooms for n in server.namespaces.values())


# --- handlers ----------------------------------------------------------------------------------------


async def test_a_handler_that_fails_ends_nothing(web: Web) -> None:
    wire = await connected(web)
    await wire.send('421["failing"]', '422["answer",1,2,3]', '423["leave-me",1]', '424["answer"]')
    assert [await wire.take(), await wire.take()] == ["432[1,2,3]", "434[]"]


async def test_a_handler_that_takes_too_long_ends_its_session() -> None:
    async with serving(socket_server(handler_timeout=0.1)) as web:
        wire, other = await connected(web), await connected(web)
        await wire.send('421["slow"]')
        await other.send('421["answer"]')
        assert await other.take() == "431[]"
        assert await wire.closes()


# --- the older dialect -------------------------------------------------------------------------------


async def test_the_main_namespace_is_joined_without_asking(web: Web) -> None:
    wire = await web.ws("EIO=3&transport=websocket")
    assert [await wire.take(), await wire.take()] == ["40", '42["hello","/"]']
    await wire.send('42["message",1]', '427["answer",2]')
    assert [await wire.take(), await wire.take()] == ['42["message-back",1]', "437[2]"]


async def test_older_refusals_are_any_json(web: Web) -> None:
    wire = await web.ws("EIO=3&transport=websocket&refuse=1")
    assert await wire.take() == '44{"why":"asked for"}'
    await wire.send("40/random")
    assert await wire.take() == '44/random,"Invalid namespace"'


async def test_older_namespaces_carry_their_query_in_the_name(web: Web) -> None:
    wire = await connected(web, 3)
    await wire.send("40/custom?refuse=1")
    assert await wire.take() == '44/custom,{"why":"asked for"}'
    await wire.send("40/custom?x=1")
    assert [await wire.take(), await wire.take()] == ["40/custom,", '42/custom,["hello","/custom"]']
    sids = [next(iter(n.sockets)) for n in web.engine.namespaces.values()]  # type: ignore[attr-defined]
    assert sids == [wire.opened["sid"], f"/custom#{wire.opened['sid']}"]  # how these clients reckon their id


async def test_older_binary(web: Web) -> None:
    wire = await connected(web, 3)
    await wire.send('451-["message",{"_placeholder":true,"num":0}]', b"\4\1\2")
    assert [await wire.take(), await wire.take()] == ['451-["message-back",{"_placeholder":true,"num":0}]', b"\4\1\2"]


async def test_both_dialects_in_one_room(web: Web) -> None:
    new, old = await connected(web), await connected(web, 3)
    polling = await web.open(3)
    assert await web.get(polling) == (200, '2:4015:42["hello","/"]')
    namespace = web.engine.namespace("/")  # type: ignore[attr-defined]
    for socket in namespace.sockets.values():
        socket.join("room")
    for i in range(3):
        publish(namespace, "room", "news", i, b"\xff", "€😀")
    for wire, binary in ((new, b"\xff"), (old, b"\4\xff")):
        for i in range(3):
            text = await wire.take()
            assert text[:4] == "451-" and json.loads(text[4:]) == ["news", i, {"_placeholder": True, "num": 0}, "€😀"]
            assert await wire.take() == binary
    async with web.http.get(f"{web.base}?{polling}") as answer:
        body = await answer.read()
    assert body.count(b"\x01\x02\xff\x04\xff") == 3


async def test_frames_are_shared_and_there_is_one_write_a_turn(web: Web) -> None:
    wires = [await connected(web) for _ in range(10)]
    namespace = web.engine.namespace("/")  # type: ignore[attr-defined]
    for socket in namespace.sockets.values():
        socket.join("room")
    await asyncio.sleep(0.02)
    hub = web.engine.hub
    before, turns = hub.writes, hub.turns
    for i in range(100):
        publish(namespace, "room", "n", i)
    for wire in wires:
        got: list[Any] = [await wire.take() for _ in range(100)]
        assert got == [f'42["n",{i}]' for i in range(100)]
    assert hub.writes - before == 10 and hub.turns - turns == 1
