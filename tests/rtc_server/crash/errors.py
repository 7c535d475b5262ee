# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that fail, one after the other: the journal says so, and when the cause is gone it serves again without help.

Runs in a process that has the shim preloaded: python -m crash.errors LIMIT DIRECTORY RESULT
"""

from __future__ import annotations

import errno
import importlib
import itertools
import os
import pickle
import random
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rtc_server.journal import JournalError

from . import journal_driver as jd
from .check import Problem, compare, expected
from .disk import Disk, Files
from .explore import PROCESSES, Failure, Report, in_processes, open_state
from .journal_driver import RefusedError
from .record import JOURNAL
from .scenarios import BLOCK, Request, Script
from .states import Builder, State
from .trace import Call, Mode, Op, Shim, marks, read

_ATTEMPTS = 30  # of a client that sends again, after the cause is gone
_LASTS = 3  # steps of the scenario during which a lasting cause lasts


@dataclass(frozen=True)
class Case:
    """The n-th call of a kind fails; ``lasting``: the later ones, too, until the cause is gone."""

    op: Op
    nth: int
    error: int
    mode: Mode
    lasting: bool

    def __str__(self) -> str:
        how = {Mode.BEFORE: "", Mode.AFTER: " after it was done", Mode.SHORT: " after half of it"}[self.mode]
        which = "and later ones fail" if self.lasting else "fails"
        return f"{self.op.name.lower()} number {self.nth} {which}{how}: {errno.errorcode[self.error]}"


KINDS: dict[Op, list[tuple[int, Mode]]] = {
    Op.OPEN: [(code, Mode.BEFORE) for code in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.ENOENT, errno.EMFILE)],
    Op.WRITE: [
        (errno.ENOSPC, Mode.BEFORE),
        (errno.ENOSPC, Mode.SHORT),
        (errno.EIO, Mode.BEFORE),
        (errno.EIO, Mode.AFTER),
        (errno.EROFS, Mode.BEFORE),
    ],
    Op.TRUNCATE: [(errno.EIO, Mode.BEFORE), (errno.ENOSPC, Mode.BEFORE)],
    Op.SYNC: [(errno.EIO, Mode.BEFORE), (errno.EIO, Mode.AFTER), (errno.ENOSPC, Mode.BEFORE)],
    Op.UNLINK: [(code, Mode.BEFORE) for code in (errno.EIO, errno.EROFS, errno.ENOENT)],
    Op.RENAME: [(errno.EIO, Mode.BEFORE), (errno.ENOSPC, Mode.BEFORE), (errno.EIO, Mode.AFTER)],
    Op.LINK: [(errno.EIO, Mode.BEFORE)],
    Op.ALLOCATE: [(errno.ENOSPC, Mode.BEFORE)],
}

Step = Callable[["Faulty"], None]


class Faulty(Script):
    """A script whose steps may be refused. What was refused is sent again, as clients do."""

    def __init__(self, path: Path, shim: Shim) -> None:
        super().__init__(path, shim.mark)
        self.shim = shim
        self.strict = False
        self.waiting: list[Request] = []
        self.is_open = False  # a server runs on it
        self.fault = ""

    def ensure_open(self) -> bool:
        """Start the server's journal if it is down; one with a fault tries again. Whether it takes changes."""
        try:
            if not self.is_open:
                self.is_open = True
                self.open()
            else:
                self.driver.probe()
                self.driver.require()
        except RefusedError as exc:
            self.fault = str(exc)
            return False
        return True

    def send(self, *requests: Request) -> None:
        """Submit what waits and this."""
        self.waiting += requests
        if not self.is_open and not self.ensure_open():
            return
        batch, self.waiting = self.waiting, []
        self.waiting = [outcome.request for outcome in self.commit(*batch) if outcome.code]

    def stop(self) -> None:
        """Stop the server."""
        if self.is_open:
            self.driver.stop()
            self.is_open = False

    def rest(self, steps: int = 10**6) -> None:
        """Time without requests."""
        if self.is_open:
            self.driver.rest(steps)


def steps() -> Iterator[Step]:
    """A journal's life in small, with every kind of call in it."""
    yield lambda s: s.send(s.change(), s.change("q"))
    yield lambda s: s.send(s.change(size=2 * BLOCK))
    yield lambda s: s.rest()
    yield lambda s: s.send(*(s.change("pq"[n % 2], 700) for n in range(12)))
    yield lambda s: s.rest(2)
    yield lambda s: s.send(s.change())
    yield lambda s: s.rest(1)
    yield lambda s: s.send(s.change("r"))
    yield lambda s: s.rest()
    yield lambda s: s.send(jd.compaction("p", max(1, s.revisions.get("p", 1)), '"s"', 3)) if not s.waiting else None
    yield lambda s: s.rest(2)
    yield lambda s: s.send(s.change())
    yield lambda s: s.stop()
    yield lambda s: s.send(s.change())
    yield lambda s: s.rest()
    yield lambda s: s.send(s.change("q", 900))
    yield lambda s: s.stop()


def run(shim: Shim, place: Path, case: Case | None) -> tuple[list[Problem], bool]:
    """Play the life with that failure in a directory, traced beside it. What is wrong, and whether the failure came at all."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    trace = place.with_suffix(".trace")
    trace.unlink(missing_ok=True)
    shim.start(place, trace)
    if case is not None:
        shim.arm(case.op, case.nth, case.error, case.mode, lasting=case.lasting)
    script = Faulty(place / JOURNAL, shim)
    left = _LASTS if case is not None and case.lasting else 1
    try:
        for step in steps():
            step(script)
            if case is not None and left and shim.fired:
                left -= 1
                if not left:
                    shim.disarm()
                    _recover(script)
        fired = case is None or shim.fired > 0 or not left
        shim.disarm()
        _recover(script)
        return _judge(script, read(trace)), fired
    except (JournalError, sqlite3.Error, OSError, AssertionError, TypeError, ValueError, LookupError) as exc:
        return [Problem("died", f"{type(exc).__name__}: {exc}")], True
    finally:
        shim.disarm()
        script.driver.kill()
        shim.stop()


def _recover(script: Faulty) -> None:
    """The cause is gone: a server tries again each second, clients send again."""
    for attempt in range(_ATTEMPTS):
        if script.ensure_open():
            script.send()
            if not script.waiting:
                return
        time.sleep(0.0005 * attempt)


def _judge(script: Faulty, calls: list[Call]) -> list[Problem]:
    if script.waiting or not script.ensure_open():
        return [Problem("refuses", script.fault)]
    wanted = expected(marks(calls))
    found = compare(script.driver, wanted)
    script.driver.kill()
    found += [Problem("verify", text) for text in jd.verify_journal(script.path)]
    script.open()
    found += [Problem("unstable", f"{p.kind}: {p.text}") for p in compare(script.driver, wanted)]
    script.driver.stop()
    found += [Problem("verify", f"after a stop: {text}") for text in jd.verify_journal(script.path)]
    return found


def later_crashes(calls: list[Call], place: Path, case: Case) -> Report:
    """The power fails some time after the call failed: what could not be synced is as if it had never been written."""
    report = Report()
    disk = Disk({})
    builder = Builder(disk)
    last: dict[bytes, tuple[State, Files, int]] = {}
    failed, said = False, 0
    for at, call in enumerate(calls):
        disk.issue(call)
        disk.complete(call)
        failed |= bool(call.mode)
        said += call.op is Op.MARK
        if failed and call.op is Op.MARK and b'"kept"' in call.data:
            state = State(at, True, "nothing", 0)
            report.enumerated += 1
            signature = builder.signature(state)
            last.pop(signature, None)
            last[signature] = state, builder.files(state), said
    everything = marks(calls)
    report.distinct = len(last)
    for state, files, count in last.values():
        report.opened += 1
        problems = open_state(place, files, everything[:count])
        if problems:
            where = f"{case}; the power fails after call {state.call} ({calls[state.call]}), {state.kind} of the rest arrived"
            report.failures.append(Failure("errors", where, 0, problems, state))
    return report


# --- all cases --------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What became of the cases: how many came about, and which failed; and of the crashes after them."""

    cases: int
    failures: list[tuple[Case, list[Problem]]]
    crashes: Report


def cases(counts: dict[Op, int]) -> list[Case]:
    """Each call, each error."""
    return [
        Case(op, nth, error, mode, lasting)
        for op, kinds in KINDS.items()
        for nth in range(1, counts[op] + 1)
        for (error, mode), lasting in itertools.product(kinds, (False, True))
    ]


def sweep(shim: Shim, directory: Path, limit: int) -> Result:
    """All cases, or so many of them (0: all), in several processes."""
    jd.hurry()
    jd.small_limits()
    problems, _ = run(shim, directory / "count", None)
    assert not problems, problems
    everything = cases({op: shim.count(op) for op in KINDS})
    if limit and limit < len(everything):
        everything = random.Random(0).sample(everything, limit)
    total = Result(0, [], Report())
    for part in in_processes(lambda number: _part(shim, directory, everything, number)):
        total.cases += part.cases
        total.failures += part.failures
        total.crashes.add(part.crashes)
    return total


def _part(shim: Shim, directory: Path, everything: list[Case], number: int) -> Result:
    result = Result(0, [], Report())
    place = directory / f"disk-{number}"
    for case in everything[number::PROCESSES]:
        problems, fired = run(shim, place, case)
        result.cases += fired
        if problems:
            result.failures.append((case, problems))
        elif fired:
            result.crashes.add(later_crashes(read(place.with_suffix(".trace")), directory / f"crashed-{number}", case))
    return result


def main(limit: str, directory: str, result: str) -> None:
    """The program with the shim."""
    found = sweep(Shim(), Path(directory), int(limit))
    Path(result).write_bytes(pickle.dumps(found))
    os._exit(0)


if __name__ == "__main__":  # what is pickled is to be found under the module's own name
    importlib.import_module("crash.errors").main(*sys.argv[1:])
