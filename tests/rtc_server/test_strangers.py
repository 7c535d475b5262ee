# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strangers in great numbers: limits, who makes room, and that those with a token always get in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtc_support import Client, Closed, Server, Site, eventually, running, token
from strangers_support import HOST, Raw, colleagues, descriptors, newcomer

from rtc_server.capacity import ASIDE, plan_capacity
from rtc_server.engine.errors import violations
from rtc_server.strangers import PROXY, Strangers, group_of

LOOPS = ["asyncio", "uvloop"]


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


# --- the rules, by themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1:2:3", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_what_counts_as_one_address(address: str, group: str) -> None:
    assert group_of(address) == group


def test_the_oldest_of_an_address_makes_room_once_it_had_its_time() -> None:
    clock = Clock()
    strangers = Strangers[int](2, 100, 2.0, clock)
    for number in range(3):
        assert strangers.find_surplus("a") is None  # too few, or too new
        strangers.add(number, "a")
    assert strangers.find_surplus("b") is None
    assert strangers.find_all_surplus() == []
    clock.now = 2.0
    assert strangers.find_surplus("a") == 0
    assert strangers.find_all_surplus() == [0]
    strangers.discard(0)
    assert strangers.find_surplus("a") == 1  # one more would be three
    assert strangers.find_all_surplus() == []


def test_who_gets_further_has_its_time_anew() -> None:
    clock = Clock()
    strangers = Strangers[str](2, 100, 2.0, clock)
    for name in ("silent", "prompt"):
        strangers.add(name, "a")
    clock.now = 1.9
    strangers.touch("silent")
    strangers.touch("nobody")
    assert strangers.find_oldest() == "prompt"
    clock.now = 2.0
    assert strangers.find_surplus("a") == "prompt"
    strangers.touch("prompt")
    assert strangers.find_surplus("a") is None and strangers.find_oldest() == "silent"


def test_altogether_the_busiest_address_makes_room() -> None:
    strangers = Strangers[str](100, 4, 2.0, Clock())
    for name in ("a1", "b1", "b2", "c1"):
        strangers.add(name, name[0])
    assert strangers.is_full() and strangers.find_oldest() == "b1"
    strangers.discard("b1")
    assert not strangers.is_full() and strangers.find_oldest() == "a1"
    strangers.add("a1", "c")  # the proxy's connection turns out to be of another
    assert strangers.find_oldest() == "c1"


def test_a_proxy_is_not_one_address() -> None:
    clock = Clock()
    strangers = Strangers[int](1, 100, 0.0, clock)
    for number in range(5):
        strangers.add(number, PROXY)
    assert strangers.find_surplus(PROXY) is None and strangers.find_all_surplus() == []
    assert strangers.find_oldest() == 0


@given(st.lists(st.tuples(st.integers(0, 15), st.sampled_from(["a", "b", "c", PROXY, None]))))
def test_counts_are_right_whatever_happens(steps: list[tuple[int, str | None]]) -> None:
    """Compared with counting anew."""
    strangers = Strangers[int](3, 8, 0.0, Clock())
    groups: dict[int, str] = {}
    for item, group in steps:
        if group is None:
            strangers.discard(item)
            groups.pop(item, None)
        else:
            strangers.add(item, group)
            groups[item] = group
        sizes = {g: list(groups.values()).count(g) for g in groups.values()}
        oldest = strangers.find_oldest()
        assert len(strangers) == len(groups)
        assert oldest is None if not groups else sizes[groups[oldest]] == max(sizes.values())  # type: ignore[index]
        surplus = [groups[i] for i in strangers.find_all_surplus()]
        assert {g: surplus.count(g) for g in surplus} == {g: n - 3 for g, n in sizes.items() if n > 3 and g != PROXY}


@pytest.mark.parametrize(
    ("descriptors", "expected"),
    [(1 << 30, (24_000, 4_000, 10_000)), (65_536, (24_000, 4_000, 10_000)), (1_024, (908, 908, 795))],
)
def test_connections_fit_into_the_descriptors(descriptors: int, expected: tuple[int, int, int]) -> None:
    assert plan_capacity(descriptors, 20, 10_000, 4_000) == expected


@given(st.integers(0, 100_000), st.integers(1, 20_000), st.integers(1, 20_000))
def test_descriptors_never_run_out(descriptors: int, connections: int, pending: int) -> None:
    plan = plan_capacity(descriptors, 20, connections, pending)
    assert 0 <= plan.sockets <= max(0, descriptors - 20 - ASIDE)
    assert plan.sessions <= connections and plan.strangers <= pending
    assert plan.strangers <= plan.sockets and (plan.sessions < plan.sockets or plan.sockets < 8)


# --- real ones, in this process -------------------------------------------------------------------


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A server that lets two strangers of an address wait."""
    async with running(tmp_path, limits={"pending_per_address": 2, "connect_seconds": 2.0}) as site:
        yield site


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_the_oldest_sessions_of_an_address_make_room(site: Site, transport: str) -> None:
    inside = [await site.connect(token(f"u{i}"), transport=transport) for i in range(4)]
    silent = [await Client.open(site.url, transport) for _ in range(6)]
    for client in silent[:4]:
        await client.closed.wait()
    await eventually(lambda: len(site.service.pending) <= 2)
    await site.connect(token("late"))
    for client in inside:
        assert (await client.ask("join", {"project": "p"}))["ok"]


async def test_all_sessions_taken_by_strangers_of_many_addresses(tmp_path: Path) -> None:
    """They make room even while they are new, and a session that has shown a token never does."""
    limits = {"connections": 8, "pending": 8, "pending_per_address": 1000}
    async with running(tmp_path, limits=limits, server={"trusted_proxies": ["127.0.0.1"]}) as site:
        inside = [await site.connect(token(f"u{i}")) for i in range(3)]
        for number in range(30):
            await Client.open(site.url, "polling", headers={"X-Forwarded-For": f"192.0.2.{number}"})
        assert len(site.service.sessions) == 8
        for number in range(3, 8):
            inside.append(await site.connect(token(f"u{number}"), headers={"X-Forwarded-For": "198.51.100.1"}))
        with pytest.raises(Closed, match="503"):
            await Client.open(site.url, "polling")
        assert not any(client.closed.is_set() for client in inside)


async def test_a_trusted_proxy_may_have_many_connections(tmp_path: Path) -> None:
    """They count for whom they are, and for nobody between two requests."""
    limits = {"pending_per_address": 3, "connect_seconds": 0.5}
    async with running(tmp_path, limits=limits, server={"trusted_proxies": ["127.0.0.1"]}) as site:
        raws = []
        for number in range(20):  # each asks at once: on a busy machine twenty take longer than a stranger has
            raws.append(raw := await Raw.open(site.config.server.port))
            raw.send(b"GET /healthz" + HOST + b"X-Forwarded-For: 192.0.2.%d\r\n\r\n" % number)
            await raw.answer()
        for _ in range(2):  # longer than a stranger's connection would live
            silent = await Client.open(site.url, headers={"X-Forwarded-For": "198.51.100.1"})
            await silent.closed.wait()
        assert not any(raw.has_ended() for raw in raws)
        for raw in raws:
            raw.send(b"GET /healthz" + HOST + b"X-Forwarded-For: 192.0.2.1\r\n")  # and no end
        for raw in raws:
            await raw.ended()
            raw.close()


async def test_bytes_of_strangers_are_limited_altogether(tmp_path: Path) -> None:
    limits = {"pending_bytes": 100_000, "pending_per_address": 1000}
    async with running(tmp_path, limits=limits) as site:
        port, peers = site.config.server.port, site.door.peers
        small = [await Raw.open(port) for _ in range(5)]
        for raw in small:
            raw.send(b"GET /healthz" + HOST)
        large = [await Raw.open(port) for _ in range(8)]
        for raw in large:
            raw.send(b"GET /healthz" + HOST + b"X: " + b"y" * 30_000)
        await eventually(lambda: sum(raw.has_ended() for raw in large) >= 5)
        assert peers._held <= 100_000
        assert not any(raw.has_ended() for raw in small)
        for raw in small:
            raw.send(b"\r\n")
            assert '"ok"' in await raw.answer()
        ann = await site.connect(transport="polling")
        assert (await ann.ask("join", {"project": "p"}))["ok"]
        for raw in small + large:
            raw.close()
        await eventually(lambda: not peers.strangers or peers._held == 0)
        assert peers._held == 0


async def test_a_head_is_limited(site: Site) -> None:
    raw = await Raw.open(site.config.server.port)
    raw.send(b"GET /healthz" + HOST)
    with contextlib.suppress(OSError):
        for number in range(100):
            raw.send(b"X%d: %s\r\n" % (number, b"y" * 7000))
            await raw.writer.drain()
    await raw.ended()


async def test_requests_sent_ahead_by_the_thousand(site: Site) -> None:
    raw = await Raw.open(site.config.server.port)
    raw.send((b"GET /healthz" + HOST + b"\r\n") * 20_000)
    await raw.ended()
    raw.close()
    few = await Raw.open(site.config.server.port)
    few.send((b"GET /healthz" + HOST + b"\r\n") * 50)
    for _ in range(50):
        assert '"ok"' in await few.answer()
    few.close()


async def test_a_body_may_come_with_its_head_or_in_parts(site: Site) -> None:
    """The limit of heads does not hit it, wherever the pieces end."""
    ann = await site.connect(transport="polling")
    path = f"/socket.io/?EIO=4&transport=polling&sid={ann.sid}".encode()
    body = b"\x1e".join([b'42["presence",{"project":"p","state":"%s"}]' % (b"x" * 3000)] * 60)
    request = b"POST " + path + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    end = request.index(b"\r\n\r\n")
    for cut in (0, end, end + 1, end + 2, end + 3, end + 4, 100_000):
        raw = await Raw.open(site.config.server.port)
        raw.send(request[:cut])
        await asyncio.sleep(0.02)
        raw.send(request[cut:])
        assert await raw.answer() == "ok"
        raw.close()


async def test_refused_tokens_are_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(4):
        client = await Client.open(site.url)
        with contextlib.suppress(Closed):
            await client.connect("a-secret-that-is-not-for-logs")
    lines = [r.getMessage() for r in caplog.records if "token was refused" in r.getMessage()]
    assert lines == ["a token was refused: 127.0.0.1: token_invalid"]
    assert "a-secret" not in caplog.text


async def test_broken_protocols_fill_no_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Each kind of violation once a minute, whoever and however many bring it."""
    caplog.set_level(logging.INFO, "rtc_server")
    violations._said.clear()
    for _ in range(5):
        for packet in ("9", "4x", "42[", "x" * 20_000):
            client = await Client.open(site.url)
            await client.send(packet)
            await client.closed.wait()
        poller = await Client.open(site.url, "polling")
        with contextlib.suppress(Closed):
            await poller.send("4x")
        await poller.close()
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("rtc_server.engine")]
    assert 1 <= len(lines) == len({line.partition(": ")[2] for line in lines})


# --- in a process of its own, on both loops -------------------------------------------------------


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """An event loop that is installed."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return str(request.param)


def start(directory: Path, loop: str, descriptors: int = 0, **limits: float) -> Server:
    """A server, perhaps with so many descriptors."""
    server = Server(directory, server={"loop": loop}, limits=limits)
    if descriptors:
        server.descriptors = descriptors
    server.start()
    return server


@contextlib.contextmanager
def crowd(server: Server, number: int, data: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections from this address, as fast as they can be opened."""
    socks: list[socket.socket] = []
    try:
        for _ in range(number):
            sock = socket.create_connection(("127.0.0.1", server.port))
            socks.append(sock)
            if data:
                with contextlib.suppress(OSError):
                    sock.send(data)
        yield socks
    finally:
        for sock in socks:
            sock.close()


@pytest.mark.parametrize("data", [b"", b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_descriptors_do_not_run_out(tmp_path: Path, loop: str, data: bytes) -> None:
    """Many more strangers than descriptors: whoever asks for health is answered, whoever has a token gets in."""
    server = start(tmp_path, loop, descriptors=256)
    try:
        async with colleagues(server):
            with contextlib.ExitStack() as stack:
                socks = await asyncio.to_thread(stack.enter_context, crowd(server, 1000, data))
                assert descriptors(server) < 256
                for name in ("healthz", "readyz"):
                    assert (await asyncio.to_thread(server.health, name))[0] == 200
                for transport in ("websocket", "polling"):
                    await newcomer(server, transport=transport)
                assert descriptors(server) < 256
                assert len(socks) == 1000
        log = server.log.read_text()
        assert "the process may open 256 files" in log and "LimitNOFILE=" in log
        assert log.count("the process may open 256 files") == 1
    finally:
        server.kill()


async def test_descriptors_that_run_out_nevertheless(tmp_path: Path, loop: str) -> None:
    """The limit of the running process is lowered below what is open: it is logged, and it serves on."""
    server = start(tmp_path, loop)
    assert server.process is not None
    try:
        async with colleagues(server):
            limit = descriptors(server) + 3
            with contextlib.ExitStack() as stack:
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
                await asyncio.to_thread(stack.enter_context, crowd(server, 100))
                await eventually(
                    lambda: "connections cannot be accepted: Too many open files" in server.log.read_text()
                )
                await eventually(lambda: server.health("readyz")[0] == 200)
        assert server.log.read_text().count("cannot be accepted") == 1
    finally:
        server.kill()


def test_too_few_descriptors_for_anything(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.descriptors = 64
    with pytest.raises(AssertionError, match=r"limits\.connections: the process may open 64 files.*LimitNOFILE"):
        server.start()


async def test_ten_thousand_strangers(tmp_path: Path, loop: str) -> None:
    """From one address, while colleagues behind the same address come, ask, and stay."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    number = min(10_000, hard // 2)
    server = start(tmp_path, loop, pending=20_000, pending_per_address=20_000, connect_seconds=60)
    try:
        async with colleagues(server):
            with contextlib.ExitStack() as stack:
                await asyncio.to_thread(stack.enter_context, crowd(server, number))
                await eventually(lambda: descriptors(server) > number)
                for name in ("healthz", "readyz"):
                    assert (await asyncio.to_thread(server.health, name))[0] == 200
                for transport in ("websocket", "polling"):
                    await newcomer(server, transport=transport)
    finally:
        server.kill()


FLOOD = """
import socket, sys, time
port = int(sys.argv[1])
request = (b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\\r\\nHost: x\\r\\nConnection: Upgrade\\r\\n"
           b"Upgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n")
kept = []
print("begun", flush=True)
while True:
    for _ in range(10):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.send(request)
        kept.append(sock)
    while len(kept) > 3000:
        kept.pop(0).close()
    time.sleep(0.02)
"""


async def test_a_colleague_far_away_gets_in_during_a_flood(tmp_path: Path, loop: str) -> None:
    """Hundreds of connections a second from the same address; the colleague takes 0.2 s for each step. More time than
    the default, as the tests' machine is slow, too."""
    server = start(tmp_path, loop, connect_seconds=30)
    flood = subprocess.Popen([sys.executable, "-c", FLOOD, str(server.port)], stdout=subprocess.PIPE)
    try:
        assert flood.stdout is not None
        await asyncio.to_thread(flood.stdout.readline)
        await eventually(lambda: descriptors(server) > 300)
        for transport in ("websocket", "polling"):
            client = await Client.open(server.url, transport)
            await asyncio.sleep(0.2)
            await client.connect(token("far"))
            await asyncio.sleep(0.2)
            assert (await client.ask("join", {"project": "p"}))["ok"]
            await client.close()
        assert flood.poll() is None
    finally:
        flood.kill()
        flood.wait()
        server.kill()


# --- addresses ------------------------------------------------------------------------------------


def reaches(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
@pytest.mark.parametrize(
    ("address", "ipv4", "ipv6"),
    [("::", True, True), ("0.0.0.0", True, False), ("::1", False, True), ("127.0.0.1", True, False)],
)
async def test_addresses_to_listen_on(tmp_path: Path, loop: str, address: str, ipv4: bool, ipv6: bool) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    server = Server(tmp_path, server={"loop": loop, "address": address})
    server.url = f"http://[::1]:{server.port}" if not ipv4 else server.url
    server.start()
    try:
        assert (reaches("127.0.0.1", server.port), reaches("::1", server.port)) == (ipv4, ipv6)
        for url in [f"http://127.0.0.1:{server.port}"] * ipv4 + [f"http://[::1]:{server.port}"] * ipv6:
            client = await Client.open(url)
            await client.connect(token())
            await client.close()
    finally:
        assert await asyncio.to_thread(server.stop) == 0
