# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks by people with a token: within their limits, and above them."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

from .attack import attack
from .wire import Connection, Target, frame, request

_number = itertools.count()


def event(name: str, body: Any, ack: int | None = None) -> bytes:
    """The frame of an event."""
    return frame(f"42{'' if ack is None else ack}" + json.dumps([name, body], separators=(",", ":")))


def change(project: str, size: int, ack: int | None = 1) -> bytes:
    """A change under a new id."""
    return event("change", {"project": project, "id": f"c{next(_number)}", "data": "x" * size}, ack)


async def _member(target: Target, user: str, project: str, reads: bool = True) -> Connection:
    connection = await target.websocket(user=user)
    await connection.send(event("join", {"project": project}, 0))
    await connection.until(lambda received: b"430[" in received)
    connection.received.clear()
    if not reads:
        connection.transport.pause_reading()
    return connection


async def _flood(target: Target, user: str, data: bytes, connections: int = 1, project: str = "mine") -> None:
    async def one() -> None:
        connection = await _member(target, user, project)
        while target.sent < target.enough:
            await connection.send(data)

    await target.again_and_again(connections, one)


async def _write(target: Target, user: str, size: int, project: str, pause: float) -> None:
    """Changes of that size with a pause between them."""
    connection = await _member(target, user, project)
    for number in itertools.count(1):
        await connection.send(change(project, size, number))
        await asyncio.sleep(pause)


@attack("E1: one editor, changes of 250 kB, never above the number that is allowed", editor=True, short=True)
async def big_changes(target: Target) -> None:
    await target.at_once(1, lambda: _write(target, "eve0", 250_000, "mine", 0.005))


@attack("E1: the same by four editors", editor=True)
async def big_changes_by_four(target: Target) -> None:
    users = iter(range(4))
    await target.at_once(4, lambda: _write(target, f"eve{next(users)}", 250_000, "mine", 0.005))


@attack("E1: twenty editors with 200 bytes each", editor=True)
async def small_changes_by_twenty(target: Target) -> None:
    users = iter(range(20))
    await target.at_once(20, lambda: _write(target, f"eve{next(users)}", 200, "mine", 0.005))


@attack("E1: the same in a project for each", editor=True)
async def projects_without_end(target: Target) -> None:
    async def one() -> None:
        connection = await target.websocket(user=f"owner{next(users)}")
        for number in itertools.count():
            project = f"p{next(_number)}"
            await connection.send(event("join", {"project": project}, number))
            await connection.send(change(project, 200, None) + event("leave", {"project": project}, None))
            await asyncio.sleep(0.05)

    users = iter(range(20))
    await target.at_once(20, one)


@attack("S3: joins of a project without a right to it", editor=True, short=True)
async def forbidden_joins(target: Target) -> None:
    await _flood(target, "eve0", event("join", {"project": "secret"}, 5) * 1000)


@attack("S3: the same without asking for an answer", editor=True)
async def forbidden_joins_unasked(target: Target) -> None:
    await _flood(target, "eve0", event("join", {"project": "secret"}) * 1000)


@attack("S3: presence above its rate", editor=True, short=True)
async def presence(target: Target) -> None:
    await _flood(target, "eve0", event("presence", {"project": "mine", "state": {"x": 1}}) * 1000)


@attack("S3: presence above its rate, with an answer asked for, by five in the good client's project", editor=True)
async def presence_beside(target: Target) -> None:
    data = event("presence", {"project": "good", "state": "x" * 3000}, 7) * 100
    users = iter(range(5))
    await target.at_once(5, lambda: _flood(target, f"guest{next(users)}", data, project="good"))


@attack("S3: one change, again and again", editor=True, short=True)
async def repeated_change(target: Target) -> None:
    await _flood(target, "eve0", event("change", {"project": "mine", "id": "same", "data": 1}, 5) * 1000)


@attack("S3: changes above their rate", editor=True)
async def changes_above(target: Target) -> None:
    await _flood(target, "eve0", b"".join(change("mine", 20) for _ in range(1000)))


@attack("S3: requests that are not as the contract says", editor=True)
async def malformed(target: Target) -> None:
    bad = (event("join", {"project": 1}, 1), event("change", {}, 2), event("history", [], 3), frame('42["nothing",1]'))
    await _flood(target, "eve0", b"".join(bad) * 300)


@attack("S3: a megabyte that is too large for a change, again and again", editor=True)
async def too_large(target: Target) -> None:
    await _flood(target, "eve0", change("mine", 900_000))


@attack("S3: history and joins, as fast as they are answered", editor=True)
async def reads(target: Target) -> None:
    first = await _member(target, "eve0", "mine")
    for _ in range(10):
        await first.send(change("mine", 200_000))
    data = event("history", {"project": "mine", "since": 0}, 5) * 50 + event("join", {"project": "mine"}, 6) * 50
    await _flood(target, "eve1", data)


@attack("S3: snapshots of 900 kB", editor=True)
async def snapshots(target: Target) -> None:
    async def one() -> None:
        connection = await _member(target, "eve0", "mine")
        for number in itertools.count(1):
            await connection.send(change("mine", 10, number))
            await connection.send(event("snapshot", {"project": "mine", "revision": number, "data": "x" * 890_000}, 5))
            await asyncio.sleep(0.05)

    await target.at_once(1, one)


@attack("S3: events of a megabyte of nested arrays, with a token", editor=True)
async def nested_inside(target: Target) -> None:
    nested = "[" * 900 + "]" * 900
    data = frame('425["change",{"project":"mine","id":"n","data":[' + ",".join([nested] * 130) + "]}]")
    await _flood(target, "eve0", data)


@attack("S3: the same, and a megabyte of numbers, by eight", editor=True)
async def costly_json(target: Target) -> None:
    numbers = ",".join(["1.5"] * 240_000)
    data = frame('42["presence",{"project":"mine","state":[' + numbers + "]}]")
    nested = ",".join(["[" * 900 + "]" * 900] * 520)
    data += frame('425["change",{"project":"mine","id":"n","data":[' + nested + "]}]")
    await _flood(target, "eve0", data, connections=8)


@attack("S3: pings and pongs of twenty with a token", editor=True)
async def pongs_inside(target: Target) -> None:
    users = iter(range(20))
    data = frame(b"", opcode=9) * 2000 + frame("3") * 2000
    await target.at_once(20, lambda: _flood(target, f"eve{next(users)}", data))


@attack("E1: members of the good client's project that never read", editor=True)
async def never_reading(target: Target) -> None:
    users = iter(range(1000))
    await target.at_once(target.some(40), lambda: _member(target, f"guest{next(users) % 20}", "good", reads=False))


@attack("E1: history of a megabyte, asked for again and again and never read", editor=True)
async def unread_history(target: Target) -> None:
    first = await _member(target, "eve0", "mine")
    for number in range(8):
        await first.send(change("mine", 200_000, number))
    await first.until(lambda received: b"437[" in received)

    async def one() -> None:
        connection = await _member(target, f"eve{next(users) % 20}", "mine", reads=False)
        while True:  # within the rate of reads
            await connection.send(event("history", {"project": "mine", "since": 0}, 5))
            await asyncio.sleep(0.06)

    users = iter(range(1000))
    await target.at_once(target.some(40), one)


@attack("E1: members who join and leave the good client's project", editor=True)
async def joins_and_leaves(target: Target) -> None:
    data = event("join", {"project": "good", "since": 0}, 5) + event("leave", {"project": "good"}, 6)
    users = iter(range(20))
    await target.at_once(20, lambda: _flood(target, f"guest{next(users)}", data * 20, project="good"))


@attack("E1: a member's POSTs of many events (EIO 4 and 3)", editor=True)
async def posted_events(target: Target) -> None:
    async def one() -> None:
        session = await target.session(4, "eve0")
        packet = '425["change",{"project":"mine","id":"same","data":1}]'
        await session.post("\x1e".join([packet] * 18_000).encode())
        await (await target.open()).ask(request("GET", session.path))

    await target.again_and_again(target.some(8), one)
