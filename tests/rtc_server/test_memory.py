# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When memory is given back: soon where the server has time, and not while it serves many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from rtc_server import memory

CLOSED, OPEN = 1000, 10


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[memory.Memory, list[float]]:
    """Memory of a process that has grown, looking often; and when it was given back."""
    monkeypatch.setattr(memory, "_EVERY", 0.05)
    monkeypatch.setattr(memory, "_GROWN", 0)
    times: list[float] = []

    class Watched(memory.Memory):
        def give_back(self) -> None:
            super().give_back()
            times.append(time.monotonic())

    return Watched(lambda: CLOSED, lambda: OPEN), times


async def compute_until(condition: Callable[[], bool]) -> None:
    """Keep the loop busy, with turns as short as those of a server under load."""
    while not condition():
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0)


async def test_a_busy_server_puts_it_off(watched: tuple[memory.Memory, list[float]]) -> None:
    one, times = watched
    one.begin()
    ballast = b"x" * (4 << 20)
    looks = time.monotonic() + 0.5
    await compute_until(lambda: time.monotonic() > looks)
    assert not times
    while not times:  # nothing to do any more
        await asyncio.sleep(0.01)
    one.end()
    assert len(ballast) == 4 << 20


async def test_a_busy_server_that_grows_much_does_not_put_it_off(
    watched: tuple[memory.Memory, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, times = watched
    monkeypatch.setattr(memory, "_PRESSING", 1 << 20)
    one.begin()
    ballast = b"x" * (8 << 20)
    await compute_until(lambda: bool(times))
    one.end()
    assert len(ballast) == 8 << 20
