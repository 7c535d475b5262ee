# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members that read too slowly, or never: they alone are hurt, and memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from rtc_memory import MemoryClient, MemoryServer
from rtc_support import Client, Server, eventually, running, token

SILENT = int(os.environ.get("RTC_SILENT", "150"))  # members that never read; the issue asks for 1,000


async def member(server: MemoryServer, user: str, kind: str = "ws4", **body: Any) -> MemoryClient:
    client = MemoryClient(server, user, kind)
    await client.connect()
    await client.request("join", {"project": "p", **body})
    while 1 not in client.answers:
        await asyncio.sleep(0.001)
        client.receive()
    return client


async def change(server: MemoryServer, client: MemoryClient, number: int, size: int = 1000) -> None:
    await client.request("change", {"project": "p", "id": f"c{number}", "data": "x" * size})
    await server.journal.wait_idle()
    await asyncio.sleep(0.006)


async def test_presence_is_dropped_first_then_the_member_goes_and_comes_back(tmp_path: Path) -> None:
    server = MemoryServer(tmp_path, buffer_bytes=100_000)
    await server.start()
    ann, slow, well = [await member(server, user) for user in ("ann", "slow", "well")]
    assert slow.pipe is not None and well.pipe is not None
    await change(server, ann, 1)
    slow.pipe.stuck = 70_000  # over the limit for volatile messages
    await ann.request("presence", {"project": "p", "state": 1})
    await change(server, ann, 2)
    for client in (slow, well):
        client.receive()
    assert [n for n, _ in slow.events if n != "members"] == ["change", "change"]
    assert [n for n, _ in well.events if n != "members"] == ["change", "presence", "change"]
    slow.pipe.stuck = 99_500
    await change(server, ann, 3)  # does not fit any more
    await change(server, ann, 4)
    slow.receive()
    assert slow.events[-1] == ("closing", {"reason": "slow", "retry_after": 0.0})
    assert [b["revision"] for n, b in slow.events if n == "change"] == [1, 2], "data after a gap"
    await eventually(lambda: slow.pipe.aborted)
    well.receive()
    assert [b["revision"] for n, b in well.events if n == "change"] == [1, 2, 3, 4]
    again = await member(server, "slow", since=2)
    assert [c["revision"] for c in again.answers[1]["changes"]] == [3, 4]
    await server.stop()


async def test_a_polling_member_that_does_not_poll_is_bounded_too(tmp_path: Path) -> None:
    server = MemoryServer(tmp_path, buffer_bytes=50_000)
    await server.start()
    ann, slow = await member(server, "ann"), await member(server, "slow", "poll4")
    for number in range(100):
        await change(server, ann, number)
    assert slow.session.closed and slow.session.reason == "slow consumer"
    ann.receive()
    assert len([1 for n, _ in ann.events if n == "change"]) == 100
    await server.stop()


async def test_the_shared_budget_cuts_those_who_hold_most(tmp_path: Path) -> None:
    server = MemoryServer(tmp_path, buffer_bytes=1_000_000, total_buffer_bytes=500_000)
    await server.start()
    ann = await member(server, "ann")
    slow = [await member(server, f"slow{i}") for i in range(4)]
    for client, stuck in zip(slow, (100_000, 150_000, 200_000, 300_000), strict=True):
        assert client.pipe is not None
        client.pipe.stuck = stuck
    await change(server, ann, 1)
    await eventually(lambda: slow[3].session.closed)
    assert [c.session.closed for c in slow] == [False, False, False, True]
    assert not ann.session.closed
    await server.stop()


async def test_a_big_message_does_not_cut_a_healthy_member(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"buffer_bytes": 10_000}) as site:
        ann, bob = await site.connect(token("ann")), await site.connect(token("bob"), transport="polling")
        for client in (ann, bob):
            await client.ask("join", {"project": "p"})
        assert (await ann.ask("change", {"project": "p", "id": "big", "data": "x" * 250_000}))["ok"]
        await bob.until(lambda: bob.of("change"))


def silent_member(server: Server, bearer: str) -> socket.socket:
    """A member with a small receive window that reads only until it has joined."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", server.port))
    sock.settimeout(20)
    sock.sendall(
        b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    seen = b""
    for text in ("40" + json.dumps({"token": bearer}), '420["join",{"project":"p"}]'):
        body = text.encode()
        head = bytes((0x81, 0x80 | 126)) + len(body).to_bytes(2, "big")
        sock.sendall(head + b"\0\0\0\0" + body)
    while b'430[{"ok":true' not in seen:
        data = sock.recv(4096)
        assert data, seen
        seen = seen[-100:] + data
    return sock


def resident(server: Server) -> int:
    """Bytes of memory that the server's process holds."""
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_memory_is_bounded_under_members_that_never_read(tmp_path: Path) -> None:
    limits = {
        "connections_per_user": 5000,
        "members_per_project": 5000,
        "reads_per_second": 10_000,
        "pending_per_address": 5000,
        "buffer_bytes": 1 << 20,
        "total_buffer_bytes": 16 << 20,
        "changes_burst": 100_000,
        "page_bytes": 10_000,
    }
    server = Server(tmp_path, limits=limits)
    server.start()
    sockets: list[socket.socket] = []
    try:
        bearer = token("silent")
        for _ in range(SILENT):
            sockets.append(await asyncio.to_thread(silent_member, server, bearer))
        ann = await Client.open(server.url)
        await ann.connect(token("ann"))
        ann.check_contract = False
        await ann.ask("join", {"project": "p"})
        before, most = resident(server), 0
        for batch in range(60):  # 60 x 40 kB for each member
            answers = [
                ann.asked("change", {"project": "p", "id": f"{batch}-{i}", "data": "x" * 10_000}) for i in range(4)
            ]
            for answer in answers:
                assert (await asyncio.wait_for(answer, 20))["ok"]
            most = max(most, resident(server) - before)
        assert [b["revision"] for b in ann.of("change")] == list(range(1, 241))
        # twice the budget, one turn's changes for each, and what any server takes under load
        bound = (32 << 20) + SILENT * 45_000 + (40 << 20)
        assert most < bound, f"{most >> 20} MiB for {SILENT} members"
        await ann.close()
    finally:
        for sock in sockets:
            sock.close()
        server.kill()
