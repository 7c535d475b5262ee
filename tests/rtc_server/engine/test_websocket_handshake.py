# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The opening handshake of WebSockets over real sockets, with and without TLS, on asyncio's loop and on uvloop."""

from __future__ import annotations

import base64

import pytest
from ws_connections_support import ACCEPT, KEY, ONCE, PLAIN, Hall, handshake
from ws_support import Frame, text

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


# --- section 4: the opening handshake ------------------------------------------------------------------


async def test_the_example_of_the_rfc(hall: Hall) -> None:
    raw = await hall.enter()
    lines = raw.head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert {line.lower() for line in lines[1:3]} == {b"upgrade: websocket", b"connection: upgrade"}
    assert b"Sec-WebSocket-Accept: " + ACCEPT in lines
    assert b"extensions" not in raw.head.lower() and b"sec-websocket-protocol" not in raw.head.lower()


@ONCE
@PLAIN
@pytest.mark.parametrize(
    "change",
    [
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": ""},
        {"Sec_WebSocket_Key": "short"},
        {"Sec_WebSocket_Key": KEY[:-1]},
        {"Sec_WebSocket_Key": base64.b64encode(bytes(15)).decode()},
        {"Sec_WebSocket_Key": base64.b64encode(bytes(17)).decode()},
        {"Sec_WebSocket_Key": "*" + KEY[1:]},
        {"Sec_WebSocket_Key": "é" + KEY[1:]},
        {"Sec_WebSocket_Version": None},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Version": "14"},
        {"Sec_WebSocket_Version": "x"},
        {"method": "POST"},
        {"method": "PUT"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Connection": "notupgrade"},
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Upgrade": "websockets"},
    ],
    ids=str,
)
async def test_what_is_no_handshake(hall: Hall, change: dict[str, str | None]) -> None:
    raw = await hall.dial()
    raw.say(handshake(**change))  # type: ignore[arg-type]
    assert await raw.answered() == 400 and hall.engine.sessions == {}


@PLAIN
@pytest.mark.parametrize(
    "change",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "UPGRADE"},
        {"Upgrade": "WebSocket"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec_WebSocket_Protocol": "chat, superchat"},
    ],
)
async def test_what_browsers_and_proxies_make_of_it(hall: Hall, change: dict[str, str]) -> None:
    raw = await hall.dial()
    raw.say(handshake(**change))
    assert await raw.answered() == 101
    assert b"extensions" not in raw.head.lower() and b"sec-websocket-protocol" not in raw.head.lower()


async def test_a_refused_handshake_leaves_the_connection_to_http(hall: Hall) -> None:
    raw = await hall.dial()
    raw.say(handshake(Sec_WebSocket_Version="8"))
    assert await raw.answered() == 400
    await raw.reader.readuntil(b"}")
    raw.say(handshake())
    assert await raw.answered() == 101


@pytest.mark.parametrize("later", [0, 5])
async def test_frames_sent_together_with_the_handshake(hall: Hall, later: int) -> None:
    """Section 4.1 forbids it; they are not lost all the same, nor out of order."""
    sent = [f"4{i}" + "x" * (i * 50) for i in range(40)]
    stream = b"".join(map(text, sent))
    raw = await hall.enter(also=stream[: len(stream) - later])
    raw.say(stream[len(stream) - later :])
    assert [(await raw.frame()).payload.decode() for _ in sent] == sent


async def test_more_with_the_handshake_than_aiohttp_reads_ahead(hall: Hall) -> None:
    sent = ["4" + "x" * 60_000] * 10
    raw = await hall.enter(also=b"".join(map(text, sent)))
    assert [(await raw.frame()).payload.decode() for _ in sent] == sent


async def test_requests_before_the_handshake_on_the_same_connection(hall: Hall) -> None:
    raw = await hall.dial()
    ordinary = b"GET /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n"
    raw.say(ordinary * 2 + handshake() + text("4hello"))
    for _ in range(2):
        assert await raw.answered() == 400
        await raw.reader.readuntil(b"}")
    assert await raw.answered() == 101
    assert (await raw.frame()).payload[:1] == b"0" and await raw.frame() == Frame(0x81, b"4hello")
