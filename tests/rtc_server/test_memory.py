# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When memory is given back: soon where the server has time, and not while it serves many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rtc_memory import MemoryClient, MemoryServer

from rtc_server import memory

CLOSED, OPEN = 1000, 10


class Process:
    """What the process tells of itself. A machine with other work gives little time to a server that has much to do."""

    def __init__(self) -> None:
        self.resident = 100 << 20
        self.is_busy = False
        self._computed, self._before = 0.0, time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic()

    def thread_time(self) -> float:
        now = time.monotonic()
        self._computed += now - self._before if self.is_busy else 0.0
        self._before = now
        return self._computed


class Watched(memory.Memory):
    """Memory that looks often, and counts."""

    looked = given_back = 0

    def _look(self) -> None:
        super()._look()
        self.looked += 1

    def give_back(self) -> None:
        super().give_back()
        self.given_back += 1


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    told = Process()
    monkeypatch.setattr(memory, "_EVERY", 0.01)
    monkeypatch.setattr(memory, "time", told)
    monkeypatch.setattr(memory, "read_resident", lambda: told.resident)
    return told


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_busy_server_puts_it_off(process: Process) -> None:
    one = Watched(lambda: CLOSED, lambda: OPEN)
    process.is_busy = True
    one.begin()
    process.resident += memory._GROWN + 1
    await wait_until(lambda: one.looked >= 5)
    assert not one.given_back
    process.is_busy = False
    await wait_until(lambda: one.given_back > 0)
    one.end()


async def test_a_busy_server_that_grows_much_does_not_put_it_off(process: Process) -> None:
    one = Watched(lambda: CLOSED, lambda: OPEN)
    process.is_busy = True
    one.begin()
    process.resident += memory._PRESSING + 1
    await wait_until(lambda: one.given_back > 0)
    one.end()


async def test_a_server_that_has_not_grown_keeps_it(process: Process) -> None:
    one = Watched(lambda: CLOSED, lambda: OPEN)
    one.begin()
    await wait_until(lambda: one.looked >= 5)
    assert not one.given_back
    one.end()


async def test_a_server_that_nobody_has_left_keeps_it(process: Process) -> None:
    one = Watched(lambda: 0, lambda: OPEN)
    one.begin()
    process.resident += memory._PRESSING + 1
    await wait_until(lambda: one.looked >= 5)
    assert not one.given_back
    one.end()


async def test_nothing_stays_of_projects_that_nobody_ever_entered(tmp_path: Path) -> None:
    """Somebody asks for a project, and is gone before it is loaded. Then one comes who stays, and leaves."""
    server = MemoryServer(tmp_path)
    await server.start()
    service = server.service
    for number in range(20):
        ann = MemoryClient(server, "ann", "ws4")
        await ann.connect()
        asked = asyncio.ensure_future(ann.request("join", {"project": f"p{number}"}))
        await asyncio.sleep(0)
        ann.session.close("transport close")
        await asked
    for project in list(service.projects.loaded.values()):
        service.projects.release(project)  # as it is some seconds later
    assert not service.projects.loaded and not service.namespace().rooms
    bob = MemoryClient(server, "bob", "ws4")
    await bob.connect()
    await bob.request("join", {"project": "p0"})
    assert list(service.namespace().rooms) == ["p0"]
    await bob.request("leave", {"project": "p0"})
    assert not service.namespace().rooms
    await server.stop()
