# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What members see is what is kept, also when the disk fails in between: two members of a real service on a real journal.

Runs in a process that has the shim preloaded: python -m crash.members LIMIT DIRECTORY RESULT
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import pickle
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from rtc_memory import MemoryClient, MemoryServer

from . import journal_driver as jd
from .check import Problem
from .errors import KINDS, Case, Result
from .explore import PROCESSES, Report, in_processes
from .trace import Mode, Op, Shim

_CHANGES = 4
_OPS = (Op.WRITE, Op.SYNC)  # what a commit does
_ATTEMPTS = 60
_ALL = 10**9
_NONE = Case(Op.MARK, 1, 0, Mode.BEFORE, False)  # nothing fails


class Member:
    """A client that comes back and catches up."""

    def __init__(self, server: MemoryServer, user: str) -> None:
        self.server = server
        self.user = user
        self.seen: list[tuple[int, str]] = []
        self.wrong: list[str] = []

    async def join(self) -> None:
        """Connect and take what was missed. The server may be unable to answer: then again."""
        for _ in range(_ATTEMPTS):
            self.client = MemoryClient(self.server, self.user, "ws4")
            await self.client.connect()
            answer = await self.ask("join", {"project": "p", "since": len(self.seen)})
            if answer is not None and answer["ok"]:
                for change in answer["changes"]:
                    self._see(change)
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.user} cannot join")

    async def ask(self, event: str, body: Any) -> Any:
        """The answer, or None when the connection ended."""
        number = await self.client.request(event, body)
        for _ in range(2000):
            self.client.receive()
            if number in self.client.answers:
                return self.client.answers[number]
            if self.client.session.closed:
                return None
            await asyncio.sleep(0.001)
        raise AssertionError(f"no answer to {event}")

    async def settle(self) -> None:
        """Take what came; come back when sent away."""
        self.client.receive()
        events, self.client.events[:] = list(self.client.events), []
        for name, body in events:
            if name == "change":
                self._see(body)
        if self.client.session.closed:
            await self.join()

    def _see(self, change: Any) -> None:
        if change["revision"] != len(self.seen) + 1:
            self.wrong.append(f"{self.user} sees revision {change['revision']} after {len(self.seen)}")
        self.seen.append((change["revision"], change["id"]))


async def run(shim: Shim, place: Path, case: Case | None = None) -> tuple[list[str], bool]:
    """Two members, some changes of one, a failure. What is wrong then, and whether the failure came about."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    trace = place.with_suffix(".trace")
    trace.unlink(missing_ok=True)
    shim.start(place, trace)
    server = MemoryServer(place)
    await server.start()
    ann, bob = Member(server, "ann"), Member(server, "bob")
    await ann.join()
    await bob.join()
    fired, wrong = case is None, list[str]()
    if case is None:
        case = _NONE
    shim.arm(case.op, case.nth, case.error, case.mode, lasting=case.lasting)
    try:
        for number in range(_CHANGES):
            for attempt in range(_ATTEMPTS):
                answer = await ann.ask("change", {"project": "p", "id": f"c{number}", "data": "x" * 700})
                if answer is not None and answer["ok"]:
                    break
                fired |= shim.disarm() > 0
                await ann.settle()
                await asyncio.sleep(0.005 * attempt)
            else:
                return [f"change {number} is never taken: {answer}"], True
            wrong += await _compare(server, ann, bob)
            if number == 1:
                await asyncio.sleep(0.13)  # so long that it is filed
        fired |= shim.disarm() > 0
        return wrong, fired
    finally:
        shim.disarm()
        shim.stop()
        await server.kill()


async def _compare(server: MemoryServer, *members: Member) -> list[str]:
    """What they saw beside what is kept, at any moment at which nothing is under way."""
    await server.journal.wait_idle()
    for member in members:
        await member.settle()
    kept = [(c.revision, c.id) for c in await server.journal.read_changes("p", 0, _ALL, _ALL)]
    wrong = [text for member in members for text in member.wrong]
    return wrong + [f"{m.user} saw {len(m.seen)} of {len(kept)} kept changes" for m in members if m.seen != kept]


def sweep(shim: Shim, directory: Path, limit: int) -> Result:
    """Each call of a commit and each error, or so many of them (0: all)."""
    jd.hurry()
    total = Result(0, [], Report())
    counts = in_processes(lambda _number: _count(shim, directory / "count"), 1)[
        0
    ]  # a process of its own: there will be threads
    everything = [
        Case(op, nth, error, mode, lasting)
        for op in _OPS
        for nth in range(1, counts[op] + 1)
        for (error, mode), lasting in itertools.product(KINDS[op], (False, True))
    ]
    if limit and limit < len(everything):
        everything = random.Random(0).sample(everything, limit)
    for part in in_processes(lambda number: _part(shim, directory, everything, number)):
        total.cases += part.cases
        total.failures += part.failures
    return total


def _count(shim: Shim, place: Path) -> dict[Op, int]:
    wrong, _ = asyncio.run(run(shim, place))
    assert not wrong, wrong
    return {op: shim.count(op) for op in _OPS}


def _part(shim: Shim, directory: Path, everything: list[Case], number: int) -> Result:
    result = Result(0, [], Report())
    for case in everything[number::PROCESSES]:
        wrong, fired = asyncio.run(run(shim, directory / f"disk-{number}", case))
        result.cases += fired
        if wrong:
            result.failures.append((case, [Problem("members", text) for text in wrong]))
    return result


def main(limit: str, directory: str, result: str) -> None:
    """The program with the shim."""
    found = sweep(Shim(), Path(directory), int(limit))
    Path(result).write_bytes(pickle.dumps(found))
    os._exit(0)


if __name__ == "__main__":  # what is pickled is to be found under the module's own name
    importlib.import_module("crash.members").main(*sys.argv[1:])
