# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorded journals do: each state of the log and of SQLite's, in small.

A scenario says before each batch what it submits and after it what it was answered, by marks in the trace (check.py reads them).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtc_server.journal import Compact, Outcome, Submission

from . import journal_driver as jd
from .journal_driver import Driver

Mark = Callable[[Any], None]
Request = Submission | Compact
BLOCK = 4096


class Script:
    """A journal that is driven, and what is said about it."""

    def __init__(self, path: Path, mark: Mark) -> None:
        self.path = path
        self.mark = mark
        self.driver = Driver(path)
        self._numbers = itertools.count(1)
        self.revisions: dict[str, int] = {}
        self.prefix = "c"  # of ids
        self.strict = True  # nothing is refused

    def phase(self, name: str) -> None:
        """What the journal is doing from now on."""
        self.mark({"phase": name})

    def open(self) -> None:
        """Start on what is there."""
        self.driver = Driver(self.path)
        self.driver.open()

    def change(self, project: str = "p", size: int = 100) -> Submission:
        """A new change of about so many bytes."""
        number = next(self._numbers)
        return jd.change(project, f"{self.prefix}{number}", ("ann", "Zoë")[number % 2], f'"{number} {"x" * size}"')

    def commit(self, *requests: Request) -> list[Outcome]:
        """One batch, and what was answered."""
        self.say_submitted(requests)
        outcomes = self.driver.commit(list(requests))
        self.say_answered(outcomes)
        return outcomes

    def say_submitted(self, requests: tuple[Request, ...] | list[Request]) -> None:
        submit = [[r.project, r.id, r.user, r.data] for r in requests if isinstance(r, Submission)]
        compact = [
            [r.project, r.snapshot.revision, r.snapshot.data, r.keep] for r in requests if isinstance(r, Compact)
        ]
        self.mark({"submit": submit, "compact": compact})

    def say_answered(self, outcomes: list[Outcome]) -> None:
        kept, compacted = [], []
        for outcome in outcomes:
            request = outcome.request
            if outcome.code:
                assert not self.strict, outcome.message
                continue
            if isinstance(request, Submission):
                kept.append([request.project, request.id, request.user, request.data, outcome.revision, outcome.time])
                self.revisions[request.project] = max(self.revisions.get(request.project, 0), outcome.revision)
            else:
                compacted.append([request.project, outcome.revision, outcome.base])
        self.mark({"kept": kept, "compacted": compacted})


def first_start(script: Script) -> None:
    """Nothing is there; then an empty journal stops and starts."""
    script.open()
    script.driver.rest()
    script.commit(script.change())
    script.driver.stop()
    script.open()
    script.commit(script.change("q"))


def busy(script: Script) -> None:
    """Batch after batch, of one block and of many, no time for anything else."""
    script.open()
    for count, size in (
        (1, 100),
        (2, 1800),
        (1, 2 * BLOCK),
        (6, 900),
        (1, 5 * BLOCK),
        (12, 300),
        (3, 100),
        (9, 1000),
        (1, 1),
    ):
        script.commit(*(script.change("pqr"[n % 3], size) for n in range(count)))


def idle(script: Script) -> None:
    """The usual life of a small site: a change, then a while of nothing, in which it is filed."""
    script.open()
    for size in (100, 5 * BLOCK, 10, 2 * BLOCK, 100):
        script.commit(script.change(size=size))
        script.driver.rest()


def rotating(script: Script) -> None:
    """Changes come in while the log goes over to its other file."""
    script.open()
    for steps in (1, 2, 1, 3, 1, 1):
        script.commit(script.change(size=200), script.change("q", 3000))
        script.driver.rest(steps)
    script.commit(script.change())


def flushing(script: Script) -> None:
    """Much waits, and is filed in several transactions with commits between them."""
    script.open()
    for _ in range(4):
        script.commit(*(script.change("pq"[n % 2], 50) for n in range(7)))
    for _ in range(6):
        script.driver.rest(2)
        script.commit(script.change())
    script.driver.rest()


def compacting(script: Script) -> None:
    """Snapshots, the deletion of what they stand for, with commits between; SQLite's log goes into its file."""
    script.open()
    for _ in range(3):
        script.commit(*(script.change("p", 200) for _ in range(5)))
    script.commit(jd.compaction("p", script.revisions["p"], '"' + "s" * 3000 + '"', 4))
    script.commit(script.change(), script.change("q"))
    for _ in range(5):
        script.driver.rest(1)
        script.commit(script.change("q", 300))
    script.driver.rest()
    at = script.revisions["q"]
    script.commit(script.change("q"), jd.compaction("q", at + 1, '"t"', 0), script.change("q"))
    script.driver.rest()


def checkpointing(script: Script) -> None:
    """SQLite's log grows until it is written to the file beside the commits."""
    script.open()
    for n in range(6):
        script.commit(*(script.change("pq"[i % 2], 4000) for i in range(5)))
        script.driver.rest(3 if n % 2 else 10**6)
    script.commit(script.change())


def clean_stop(script: Script) -> None:
    """Stops with something waiting, and with nothing."""
    script.open()
    script.commit(script.change(), script.change("q", 3000))
    script.driver.stop()
    script.open()
    script.commit(script.change())
    script.driver.rest()
    script.driver.stop()
    script.open()
    script.driver.stop()


def killed(script: Script) -> None:
    """Killed with something waiting; what the next start does with it; killed again."""
    script.open()
    script.commit(script.change(), script.change("q", 3000))
    script.commit(*(script.change("pq"[n % 2], 200) for n in range(12)))
    for _ in range(2):
        script.driver.kill()
        script.open()
        script.commit(script.change())
        script.driver.rest(2)
        script.commit(script.change("q"))


def upgrade(script: Script) -> None:
    """A journal that an older version left (old.py)."""
    script.prefix = "u"
    script.open()
    script.commit(script.change("p"), script.change("new"))
    script.driver.rest()
    script.commit(script.change("p"))


SCENARIOS: dict[str, Callable[[Script], None]] = {
    scenario.__name__: scenario
    for scenario in (first_start, busy, idle, rotating, flushing, compacting, checkpointing, clean_stop, killed)
}
