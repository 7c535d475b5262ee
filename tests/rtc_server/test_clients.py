# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of clients/ under kills, restarts, upgrades and expired tokens: three people with each, over WebSocket,
polling and the upgrade, edit one project at once. Lost 0, doubled 0, one order for all."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from rtc_people import People
from rtc_support import SOURCE, Server
from rtc_writers import account
from test_real_clients import node as javascript  # the fixture

from rtc_server import __version__

__all__ = ["javascript"]
BURST = {"limits": {"changes_burst": 1_000_000, "change_bytes_burst": 1 << 30}}


@pytest.fixture
def server(tmp_path: Path) -> Any:
    server = Server(tmp_path, **BURST)
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.kill()


def agree(server: Server, people: People) -> None:
    """After all have ended: the journal has what each was told, once, in the order in which each saw it."""
    assert all(person.refused == {} for person in people.all), [str(person) for person in people.all]
    assert server.stop() == 0
    account(server, people.all)


async def test_a_server_that_is_killed(server: Server, javascript: Path) -> None:
    async with People(server.url, javascript) as people:
        for _ in range(3):
            await people.progress()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await people.progress()
    assert all(person.count_connections() >= 4 for person in people.all)
    agree(server, people)


async def test_a_restart_and_who_comes_back_when(tmp_path: Path, javascript: Path) -> None:
    """Each waits as long as the server told it, and those times are spread."""
    server = Server(tmp_path, server={"drain_seconds": 3}, **BURST)
    await asyncio.to_thread(server.start)
    async with People(server.url, javascript) as people:
        await people.progress()
        assert await asyncio.to_thread(server.stop) == 0
        await asyncio.to_thread(server.start)
        await people.progress()
    told = []
    for person in people.all:
        status, waited = person.list_returns()[0]
        if status.reason == "lost" and person.user.endswith("poll"):
            continue  # it was between two polls when the server went, which could not tell it anything
        # Timers of JavaScript count whole milliseconds, by a clock of their own.
        assert status.reason == "restart" and status.seconds >= 1 and waited > status.seconds - 0.002, person.user
        told.append(status.seconds)
    assert len(told) >= 4 and len(set(told)) == len(told) and max(told) - min(told) > 0.5
    agree(server, people)


async def test_an_upgrade(server: Server, javascript: Path, tmp_path: Path) -> None:
    newer = tmp_path / "next"
    shutil.copytree(SOURCE, newer, ignore=shutil.ignore_patterns("__pycache__"))
    version = newer / "rtc_server/__init__.py"
    version.write_text(version.read_text().replace(__version__, "99.0.0"))
    async with People(server.url, javascript) as people:
        await people.progress()
        assert await asyncio.to_thread(server.stop) == 0
        server.source = newer
        await asyncio.to_thread(server.start)
        assert server.health("healthz")[1]["version"] == "99.0.0"
        await people.progress()
    agree(server, people)


async def test_tokens_that_expire(tmp_path: Path, javascript: Path) -> None:
    server = Server(tmp_path, token={"leeway": 0}, **BURST)
    await asyncio.to_thread(server.start)
    async with People(server.url, javascript, seconds=2) as people:
        while not all(person.count_connections() >= 3 for person in people.all):
            await people.progress(1)
        await people.progress()
    for person in people.all:  # one that is between two polls at that moment learns it when it comes back
        assert person.user.endswith("poll") or person.list_returns()[0][0].reason == "token_expired", str(person)
    agree(server, people)
