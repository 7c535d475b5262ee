# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open every state of a recording, in several processes that share nothing.

Each process enumerates all states (that is cheap), and opens those whose content's hash falls to it: so equal ones meet in one process.
"""

from __future__ import annotations

import os
import pickle
import random
import re
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from . import journal_driver as jd
from .check import Problem, check, expected
from .disk import Data, Disk, Files, Name, Size
from .record import JOURNAL, Recording
from .states import Builder, Limits, State, states
from .trace import Op, marks

PROCESSES = 1 if "PYTEST_XDIST_WORKER" in os.environ else max(1, min(2, os.cpu_count() or 1))
_RUBBISH = bytes(range(1, 251)) * 132  # for SQLite's shared memory, which no one is to believe after a crash
_SECONDS = 120  # that opening one state may take, on a machine that is busy
_T = TypeVar("_T")


@dataclass
class Failure:
    """A state that is not as it must be: where the crash was, in words, and what is wrong then."""

    scenario: str
    where: str
    missing: int  # pending items that did not arrive, whole
    problems: list[Problem]
    state: State

    @property
    def kind(self) -> str:
        """The worst of its problems."""
        kinds = {problem.kind for problem in self.problems}
        return next(kind for kind in (*_WORST, *kinds) if kind in kinds)


_WORST = ("lost", "doubled", "disordered", "altered", "refuses")


@dataclass
class Report:
    """Figures of an exploration."""

    enumerated: int = 0  # states, also equal ones
    distinct: int = 0
    opened: int = 0
    seconds: float = 0.0
    cpu: float = 0.0  # seconds of all processes together
    kinds: Counter[str] = field(default_factory=Counter)  # of opened states
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add up what was found beside this."""
        self.enumerated += other.enumerated
        self.distinct += other.distinct
        self.opened += other.opened
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.kinds += other.kinds
        self.failures += other.failures

    def failed(self, kind: str) -> int:
        """States that fail so."""
        return sum(failure.kind == kind for failure in self.failures)


def explore(recording: Recording, limits: Limits, directory: Path, most: int | None = None) -> Report:
    """Open the states of a recording, at most so many, in directories below that one (which best is in memory)."""
    report = Report()
    begun = time.monotonic()
    for part in in_processes(lambda number: _part(recording, limits, directory, most, number)):
        report.add(part)
    report.seconds = time.monotonic() - begun
    return report


def in_processes(work: Callable[[int], _T], count: int = PROCESSES) -> list[_T]:
    """Call it with 0, 1, ... in a forked process each. Raises RuntimeError with the traceback of one that failed."""
    pipes = []
    for number in range(count):
        inward, outward = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(inward)
                try:
                    answer: tuple[bool, Any] = True, work(number)
                except BaseException:
                    answer = False, traceback.format_exc()
                with os.fdopen(outward, "wb") as out:
                    pickle.dump(answer, out)
                status = 0
            finally:
                os._exit(status)
        os.close(outward)
        pipes.append((child, inward))
    found: list[_T] = []
    result: Any
    for child, inward in pipes:
        with os.fdopen(inward, "rb") as into:
            raw = into.read()
        _, status = os.waitpid(child, 0)
        if status or not raw:
            raise RuntimeError(f"a process that opened states died: status {status}")
        good, result = pickle.loads(raw)
        if not good:
            raise RuntimeError(result)
        found.append(result)
    return found


def _part(recording: Recording, limits: Limits, directory: Path, most: int | None, number: int) -> Report:
    jd.hurry()
    jd.small_limits()
    report = Report()
    begun = time.process_time()
    chosen = _mine(recording, limits, number, report)
    if most is not None and len(chosen) > most // PROCESSES:
        chosen = _sample(chosen, most // PROCESSES)
    place = directory / f"states-{number}"
    signal.signal(signal.SIGALRM, _too_long)
    for state, disk, files, said in _walk(recording, chosen):
        report.opened += 1
        report.kinds[state.kind] += 1
        problems = open_state(place, files, said)
        if problems:
            failure = Failure(
                recording.scenario, describe(disk, recording, state), _missing(disk, state), problems, state
            )
            report.failures.append(failure)
    report.cpu = time.process_time() - begun
    return report


def open_state(place: Path, files: Files, said: list[Any]) -> list[Problem]:
    """Put a crashed disk there and check the journal on it."""
    if place.exists():
        shutil.rmtree(place)
    place.mkdir()
    for name, data in files.items():
        (place / name).write_bytes(data)
    (place / (JOURNAL + "-shm")).write_bytes(_RUBBISH)
    signal.alarm(_SECONDS)
    try:
        return check(place / JOURNAL, expected(said))
    except Exception as exc:  # also what should not happen is a finding
        return [Problem("died", "".join(traceback.format_exception_only(exc)).strip())]
    finally:
        signal.alarm(0)


def _mine(recording: Recording, limits: Limits, number: int, report: Report) -> list[State]:
    """The states of this process, each content once: at the last moment at which a crash can leave it."""
    disk = Disk(recording.before)
    builder = Builder(disk)
    last: dict[bytes, State] = {}
    for state in states(disk, recording.calls, limits):
        signature = builder.signature(state)
        if signature[0] % PROCESSES == number:
            report.enumerated += 1
            last.pop(signature, None)
            last[signature] = state
    report.distinct = len(last)
    return list(last.values())


def _sample(chosen: list[State], most: int) -> list[State]:
    """Some of them: for one half torn writes, for the other of each kind about as many."""
    kinds: dict[str, list[State]] = {}
    for state in chosen:
        kinds.setdefault(state.kind, []).append(state)
    chance = random.Random(1)
    torn = kinds.pop("torn", [])
    kept = chance.sample(torn, min(len(torn), most // 2))
    for left, some in enumerate(sorted(kinds.values(), key=len), -len(kinds)):
        kept += chance.sample(some, min(len(some), (most - len(kept)) // -left))
    return kept


def _walk(recording: Recording, chosen: list[State]) -> Iterator[tuple[State, Disk, Files, list[Any]]]:
    """Those states with the disk at their moment, the content, and what had been said."""
    moments: dict[tuple[int, bool], list[State]] = {}
    for state in chosen:
        moments.setdefault((state.call, state.done), []).append(state)
    disk = Disk(recording.before)
    builder = Builder(disk)
    said: list[Any] = []
    for at, call in enumerate(recording.calls):
        disk.issue(call)
        for done in (False, True):
            if done:
                disk.complete(call)
                if call.op is Op.MARK:
                    said += marks([call])
            for state in moments.get((at, done), ()):
                yield state, disk, builder.files(state), said


def _missing(disk: Disk, state: State) -> int:
    return len(disk.pending) - state.mask.bit_count() + len(state.torn)


def describe(disk: Disk, recording: Recording, state: State) -> str:
    """A state in words: the call, and what of the pending things did not arrive."""
    call = recording.calls[state.call]
    names = {inode: path for path, inode in disk.live_names.items()}
    torn = {place: (mask, size) for place, mask, size in state.torn}
    lines = []
    for place, item in enumerate(disk.pending):
        if isinstance(item, Name):
            what = f"name {item.path}" + (" gone" if item.inode is None else "")
        elif isinstance(item, Size):
            what = f"{names.get(item.inode, 'deleted file')} to {item.size} bytes"
        elif isinstance(item, Data):
            what = f"{names.get(item.inode, 'deleted file')} {item.start}+{item.end - item.start}"
        if place in torn and state.mask >> place & 1:
            lines.append(f"{what}: only sectors {torn[place][0]:b} of {len(disk.pending[place].sectors)}")  # type: ignore[union-attr]
        elif not state.mask >> place & 1:
            lines.append(f"{what}: not")
    said = marks(recording.calls[: state.call])
    batches = sum("kept" in mark for mark in said)
    when = "after" if state.done else "in"
    return f"{when} call {state.call} ({call}), {batches} batches acknowledged; " + ("; ".join(lines) or "all arrived")


def grouped(failures: list[Failure]) -> list[tuple[str, int, Failure]]:
    """Failures of one kind and message together: what, how many, the smallest."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        first = next(problem for problem in failure.problems if problem.kind == failure.kind)
        text = re.sub(r"/\S*/", "", re.sub(r"\d+", "N", first.text))[:110]
        groups.setdefault(f"{failure.kind}: {text}", []).append(failure)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [(what, len(some), min(some, key=lambda f: (f.missing, f.state.call))) for what, some in ordered]


def _too_long(_number: int, _frame: object) -> None:
    raise TimeoutError(f"takes longer than {_SECONDS} seconds")
