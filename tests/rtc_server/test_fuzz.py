# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile input: frames, payloads, tokens, HTTP. No crash, no growth, nothing of another project.

Inputs are made from good ones by mutation (so that they get past the first check), from a fixed seed that is
printed on failure. ``RTC_FUZZ`` sets how many of each kind (400; more for the long form).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rtc_figures import FIGURES
from rtc_support import Client, Closed, Server, token

COUNT = int(os.environ.get("RTC_FUZZ", "400"))
SEED = int(os.environ.get("RTC_FUZZ_SEED", "20170601"))
SECRET_DATA = "what only members of the secret project may know"

PACKETS = [
    '40{"token":"x"}',
    "41",
    "1",
    "2",
    "3",
    "5",
    "6",
    "2probe",
    '421["join",{"project":"secret","since":0}]',
    '422["join",{"project":"mine","since":0,"epoch":null}]',
    '423["change",{"project":"secret","id":"f","data":[1,{"a":null}]}]',
    '424["change",{"project":"mine","id":"f","data":"x"}]',
    '42["presence",{"project":"secret","state":{"x":1.5e3}}]',
    '425["history",{"project":"secret","since":0,"limit":10}]',
    '426["snapshot",{"project":"secret","revision":1,"data":1}]',
    '42["snapshot",{"project":"mine"}]',
    '427["leave",{"project":"secret"}]',
    '451-["change",{"_placeholder":true,"num":0}]',
    "430[1]",
    '43/x,1["y"]',
    "40/secret,{}",
    '42/secret,["join",{"project":"secret"}]',
    "41/x,",
]
PIECES = [
    "",
    "[",
    "]",
    "{",
    "}",
    '"',
    ",",
    ":",
    "\\",
    "\x00",
    "\x1e",
    "-1",
    "1e999",
    "NaN",
    "null",
    "9" * 400,
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "é",
    "😀",
    "[" * 3000,
    '{"a":' * 500,
    "secret",
    "mine",
    "*",
    "__proto__",
    "%s%n",
    "../..",
    "\u2028",
]


def mutated(source: random.Random, text: str) -> str:
    """The text with a few things cut, doubled, exchanged or put in."""
    for _ in range(source.randint(0, 4)):
        at, to = sorted((source.randint(0, len(text)), source.randint(0, len(text))))
        way = source.randrange(4)
        if way == 0:
            text = text[:at] + text[to:]
        elif way == 1:
            text = text[:to] + text[at:to] + text[to:]
        elif way == 2:
            text = text[:at] + source.choice(PIECES) + text[at:]
        else:
            text = text[:at] + chr(source.choice([source.randrange(128), source.randrange(0x2FFF)])) + text[at + 1 :]
    return text[:20_000]


def resident(server: Server) -> int:
    assert server.process is not None
    statm = Path(f"/proc/{server.process.pid}/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


@contextlib.asynccontextmanager
async def unharmed(server: Server) -> Any:
    """A member works on in the secret project while the block attacks; then the server is looked at."""
    member = await Client.open(server.url)
    await member.connect(token("ann", {"secret": "edit"}))
    assert (await member.ask("join", {"project": "secret"}))["ok"]
    revision = (await member.ask("change", {"project": "secret", "id": "before", "data": SECRET_DATA}))["revision"]
    before = resident(server)
    yield
    try:
        answer = await member.ask("change", {"project": "secret", "id": "after", "data": SECRET_DATA})
        assert answer == {"ok": True, "revision": revision + 1}, "somebody else wrote to the project"
        assert all(b["user"] == "ann" for b in member.of("change")) and member.of("presence") == []
        assert (await asyncio.to_thread(server.health, "readyz"))[0] == 200
        assert resident(server) - before < 60 << 20, "memory grew"
    except BaseException:
        FIGURES["crashes"] += 1
        raise
    log = server.log.read_text()
    assert "Traceback" not in log and SECRET_DATA not in log, log[-3000:]
    await member.close()


def harmless(answer: str) -> None:
    assert SECRET_DATA not in answer, f"seed {SEED}: the secret is out: {answer}"


async def attacker(server: Server, source: random.Random, revision: int, transport: str, bearer: str) -> Client:
    client = await Client.open(server.url, transport, revision, f"&token={bearer}" if revision == 3 else "")
    client.check_contract = False
    with contextlib.suppress(Closed):
        if source.random() < 0.8:
            await client.connect(bearer)
    return client


@pytest.mark.parametrize(
    ("transport", "revision"), [("websocket", 4), ("websocket", 3), ("polling", 4), ("polling", 3)]
)
async def test_packets(server: Server, transport: str, revision: int) -> None:
    source = random.Random(f"{SEED} {transport} {revision}")
    bearer = token("eve", {"mine": "edit"})
    async with unharmed(server):
        client: Client | None = None
        for _ in range(COUNT):
            if client is None or client.closed.is_set():
                if client is not None:
                    await client.close()
                client = await attacker(server, source, revision, transport, bearer)
            packet = mutated(source, source.choice(PACKETS))
            with contextlib.suppress(Closed, aiohttp.ClientError, OSError, UnicodeEncodeError):
                if transport == "websocket" and source.random() < 0.1:
                    assert client._ws is not None
                    await client._ws.send_bytes(packet.encode("utf-8", "surrogatepass"))
                elif transport == "polling" and source.random() < 0.5:
                    async with client._http.post(
                        client._where(), data=packet.encode("utf-8", "surrogatepass")
                    ) as answer:
                        harmless(await answer.text())
                else:
                    await client.send(packet)
            FIGURES["inputs fuzzed"] += 1
            harmless(json.dumps(client.events) + json.dumps(client.other))
            client.events.clear()
            client.other.clear()
        assert client is not None
        await client.close()


async def test_websocket_frames(server: Server) -> None:
    """Bytes below the protocol: lengths, opcodes, reserved bits, fragments, nonsense."""
    source = random.Random(SEED)
    async with unharmed(server):
        for _ in range(COUNT // 4):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
                b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            for _ in range(source.randint(1, 4)):
                body = mutated(source, source.choice(PACKETS)).encode("utf-8", "surrogatepass")[:100]
                length = source.choice([len(body), source.randrange(128)])
                writer.write(
                    bytes((source.choice([0x81, 0x82, 0x80, 0x01, source.randrange(256)]), 0x80 | length))
                    + b"\0\0\0\0"
                    + body
                )
                FIGURES["inputs fuzzed"] += 1
            with contextlib.suppress(OSError):
                writer.write_eof()
                harmless((await asyncio.wait_for(reader.read(), 20)).decode("latin-1"))
            writer.close()


async def test_http(server: Server) -> None:
    """Methods, paths, queries, headers, bodies."""
    source = random.Random(SEED)
    good = (
        "GET /socket.io/?EIO=4&transport=polling&sid=x&token=y HTTP/1.1\r\nHost: x\r\n"
        "Origin: https://x\r\nX-Forwarded-For: 1.2.3.4\r\n"
    )
    async with unharmed(server):
        for _ in range(COUNT // 4):
            text = mutated(source, good) + source.choice(
                ["\r\n", "Content-Length: 5\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"]
            )
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            with contextlib.suppress(OSError):
                writer.write(text.encode("utf-8", "surrogatepass"))
                writer.write_eof()
                harmless((await asyncio.wait_for(reader.read(), 20)).decode("latin-1"))
            writer.close()
            FIGURES["inputs fuzzed"] += 1


async def test_tokens(server: Server) -> None:
    """No mutation of a token lets anybody in; what lets in is what was signed."""
    source = random.Random(SEED)
    bearer = token("eve", {"mine": "view"})
    async with unharmed(server):
        for _ in range(COUNT // 4):
            text = mutated(source, bearer)
            client = await Client.open(server.url)
            try:
                await client.connect(text)
            except Closed as exc:
                harmless(str(exc))
            else:
                head, body, _ = text.split(".")
                assert (head, body) == tuple(bearer.split(".")[:2]), f"seed {SEED}: let in by {text!r}"
            await client.close()
            FIGURES["inputs fuzzed"] += 1


async def test_sessions_do_not_pile_up(server: Server) -> None:
    """Connections that end in every way leave nothing behind."""
    for i in range(40):
        client = await attacker(server, random.Random(i), 4, "websocket", token("eve", {"mine": "edit"}))
        with contextlib.suppress(Closed):
            await client.send('421["join",{"project":"mine"}]', *([] if i % 2 else ["4broken"]))
        await client.close()
    member = await Client.open(server.url)
    await member.connect(token("ann"))

    async def alone() -> bool:
        joined = await member.ask("join", {"project": "mine"})
        return joined["ok"] and len(joined["members"]) == 1

    for _ in range(200):
        if await alone():
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("members that are gone are still there")
