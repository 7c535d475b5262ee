# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing without a token lives long, whatever stage it has reached."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from rtc_support import Client, Closed, Server, Site, eventually, running, token
from strangers_support import HOST, Raw, back_to, colleagues, descriptors, frame, resident, small_socket

SECONDS = {"connect_seconds": 1.0}
LOOPS = ["asyncio", "uvloop"]


@pytest.fixture(params=LOOPS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server in a process of its own, with short deadlines, on either event loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    server = Server(tmp_path, server={"loop": request.param}, limits={**SECONDS, "pending_per_address": 1000})
    server.start()
    yield server
    server.kill()


async def trickle(raw: Raw, data: bytes) -> None:
    """Send it byte by byte, too slowly, for ever."""
    with contextlib.suppress(OSError):
        for byte in data:
            raw.send(bytes((byte,)))
            await asyncio.sleep(0.05)
            if raw.has_ended():
                return


Attack = Callable[[Raw], Awaitable[object]]
POST = b" HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: "


async def half_second_request(raw: Raw) -> None:
    await raw.get("/healthz")
    raw.send(b"GET /healthz" + HOST)


async def withheld_body(raw: Raw, revision: int = 4) -> None:
    path = await raw.handshake(revision)
    raw.send(b"POST " + path.encode() + POST + b"9000\r\n\r\n40{")


async def withheld_body_chunked(raw: Raw) -> None:
    path = await raw.handshake()
    raw.send(b"POST " + path.encode() + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\n40{\r\n")


async def trickled_body(raw: Raw) -> None:
    path = await raw.handshake()
    raw.send(b"POST " + path.encode() + POST + b"9000\r\n\r\n")
    await trickle(raw, b"x" * 9000)


async def poll_of_a_session(raw: Raw, revision: int = 4, query: str = "") -> None:
    path = await raw.handshake(revision, query)
    raw.send(b"GET " + path.encode() + HOST + b"\r\n")


async def upgrade(raw: Raw, *packets: str) -> None:
    """A second connection to a session over polling."""
    path = await raw.handshake()
    await raw.websocket(path.partition("?")[2].replace("transport=polling", ""))
    for packet in packets:
        raw.send(frame(packet))


async def websocket(raw: Raw, query: str = "EIO=4", *packets: str) -> None:
    await raw.websocket(query)
    for packet in packets:
        raw.send(frame(packet))


async def pings_forever(raw: Raw) -> None:
    await raw.websocket("EIO=3&token=wrong")
    await trickle_frames(raw, "2")


async def trickle_frames(raw: Raw, packet: str) -> None:
    with contextlib.suppress(OSError):
        while not raw.has_ended():
            raw.send(frame(packet))
            await asyncio.sleep(0.05)


async def pipeline(raw: Raw) -> None:
    path = await raw.handshake()
    raw.send((b"GET " + path.encode() + HOST + b"\r\n") * 200)


ATTACKS: dict[str, Attack] = {
    "nothing": lambda raw: asyncio.sleep(0),
    "a byte": lambda raw: asyncio.sleep(0, raw.send(b"G")),
    "half a head": lambda raw: asyncio.sleep(0, raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")),
    "a head byte by byte": lambda raw: trickle(raw, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000),
    "a request and then nothing": lambda raw: raw.get("/healthz"),
    "half a second request": half_second_request,
    "a wrong path with a body": lambda raw: asyncio.sleep(0, raw.send(b"POST /x" + POST + b"9\r\n\r\nx")),
    "a handshake": lambda raw: raw.handshake(),
    "an older handshake": lambda raw: raw.handshake(3),
    "an older handshake with a wrong token": lambda raw: raw.handshake(3, "&token=wrong"),
    "a poll": poll_of_a_session,
    "an older poll": lambda raw: poll_of_a_session(raw, 3, "&token=wrong"),
    "polls at once": pipeline,
    "a body that does not come": withheld_body,
    "an older body that does not come": lambda raw: withheld_body(raw, 3),
    "a chunk that does not come": withheld_body_chunked,
    "a body byte by byte": trickled_body,
    "an upgrade without a probe": upgrade,
    "a probe without an upgrade": lambda raw: upgrade(raw, "2probe"),
    "an upgrade without CONNECT": lambda raw: upgrade(raw, "2probe", "5"),
    "a WebSocket": websocket,
    "an older WebSocket": lambda raw: websocket(raw, "EIO=3"),
    "an older WebSocket with a wrong token": lambda raw: websocket(raw, "EIO=3&token=wrong"),
    "an older WebSocket that pings": pings_forever,
    "half a frame": lambda raw: websocket(raw, "EIO=4", "40{"),
    "a refused CONNECT": lambda raw: websocket(raw, "EIO=4", '40{"token":"wrong"}'),
    "the right token, and DISCONNECT": lambda raw: websocket(raw, "EIO=4", '40{"token":"' + token() + '"}', "41"),
    "an older one, and DISCONNECT": lambda raw: websocket(raw, f"EIO=3&token={token()}", "41"),
}


async def test_every_stage_has_a_deadline(server: Server) -> None:
    """Everything at once, five times, while two colleagues stay."""
    async with colleagues(server):
        await asyncio.sleep(0.05)
        before = descriptors(server)
        raws = {(name, i): await Raw.open(server.port) for name in ATTACKS for i in range(5)}
        attacks = [asyncio.ensure_future(ATTACKS[name](raw)) for (name, _), raw in raws.items()]
        ends = [asyncio.wait_for(raw.ended(), 20) for raw in raws.values()]
        done = await asyncio.gather(
            *attacks, *[attack_then(e, a) for a, e in zip(attacks, ends)], return_exceptions=True
        )
        late = {name for (name, _), end in zip(raws, done[len(attacks) :]) if isinstance(end, TimeoutError)}
        assert late == set()
        # on a very busy machine an attack is ended before it got as far as it wanted
        assert [
            a for a in done[: len(attacks)] if isinstance(a, Exception) and not isinstance(a, (OSError, EOFError))
        ] == []
        await back_to(server, before)
        for raw in raws.values():
            raw.close()
    assert "Traceback" not in server.log.read_text()


async def attack_then(end: Awaitable[None], attack: asyncio.Future[object]) -> None:
    """Nobody else reads while the attack still reads answers."""
    with contextlib.suppress(Exception):
        await asyncio.wait_for(asyncio.shield(attack), 20)
    await end


async def test_answers_that_nobody_reads(server: Server) -> None:
    before = descriptors(server)
    socks = [small_socket(server.port) for _ in range(3)]
    for sock in socks:
        with contextlib.suppress(OSError):  # as many requests as the server takes
            while sock.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 100):
                await asyncio.sleep(0)
    await back_to(server, before)
    for sock in socks:
        sock.close()


async def test_withheld_bodies_do_not_outlive_their_session(server: Server) -> None:
    """A refused token would leave the session with nothing to do, too."""
    before, memory = descriptors(server), resident(server)
    raws = []
    for _ in range(60):
        raw = await Raw.open(server.port)
        raws.append(raw)
        path = await raw.handshake()
        raw.send(b"POST " + path.encode() + POST + b"999000\r\n\r\n" + b"4" * 990_000)
    await back_to(server, before)
    assert resident(server) < memory + 100
    for raw in raws:
        raw.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_tls_is_agreed_on_in_time(tmp_path: Path, loop: str, certificate: tuple[Path, Path]) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    crt, key = map(str, certificate)
    server = Server(tmp_path, server={"loop": loop}, limits=SECONDS, tls={"certificate": crt, "key": key})
    server.start()
    try:
        before = descriptors(server)
        context = ssl.create_default_context(cafile=crt)
        raws = [await Raw.open(server.port) for _ in range(9)]
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
        hello = outgoing.read()
        for raw in raws[3:6]:
            raw.send(hello[:50])
        for raw in raws[6:9]:
            raw.send(hello)  # and never the client's Finished
        inside = [await Raw.open(server.port, context) for _ in range(6)]
        for raw in inside[2:]:
            await raw.get("/healthz")
        for raw in inside[4:]:
            raw.send(b"GET /hea")
        await asyncio.gather(*[raw.ended() for raw in raws + inside])
        await back_to(server, before)
        for raw in raws + inside:
            raw.close()
    finally:
        server.kill()
    assert "Traceback" not in server.log.read_text()


# --- sessions, which are not seen from outside ----------------------------------------------------


@pytest.fixture
async def site(tmp_path: Path) -> object:
    """A server in this process, with short deadlines."""
    async with running(tmp_path, limits=SECONDS) as site:
        yield site


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("revision", [3, 4])
async def test_sessions_without_a_socket_end(site: Site, transport: str, revision: int) -> None:
    ann = await site.connect()
    silent = await Client.open(site.url, transport, revision)
    refused = await Client.open(site.url, transport, revision, query="&token=wrong")
    with contextlib.suppress(Closed):
        await refused.connect("wrong")
    query = f"&token={token('bob')}" if revision == 3 else ""
    left = await Client.open(site.url, transport, revision, query=query)
    await left.connect(token("bob"))
    await left.send("41")
    for client in (silent, refused, left):
        await client.closed.wait()
    await eventually(lambda: set(site.service.sessions) == {ann.sid})
    assert len(site.service.pending) == 0
    assert (await ann.ask("join", {"project": "p"}))["ok"]


async def test_who_comes_back_into_the_namespace_stays(site: Site) -> None:
    ann = await site.connect()
    session = site.service.sessions[ann.sid]
    await ann.send("41")
    await eventually(lambda: session in site.service.pending)
    ann.other.clear()
    await ann.connect(token())
    assert session not in site.service.pending
    late = await Client.open(site.url)
    await late.closed.wait()
    assert (await ann.ask("join", {"project": "p"}))["ok"]


async def test_clients_with_a_token_keep_their_connections(site: Site) -> None:
    """Over polling, and after an upgrade, for longer than strangers may."""
    ann, bob = await site.connect(transport="polling"), await site.connect(token("bob"), transport="polling")
    await bob.upgrade()
    old = await Client.open(site.url, "polling", 3, query=f"&token={token('old')}")
    await old.connect(token("old"))
    peers = site.door.peers
    await eventually(lambda: len(peers.strangers) == 0)
    for _ in range(3):
        stranger = await Client.open(site.url)
        await stranger.closed.wait()
    for client in (ann, bob, old):
        assert not client.closed.is_set()
        assert (await client.ask("join", {"project": "p"}))["ok"]
