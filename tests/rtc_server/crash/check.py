# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be in a journal after a crash, from what its driver had said by then; and whether it is."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtc_server.journal import Change, Compact, JournalError, Submission

from . import journal_driver as jd
from .journal_driver import Driver, Kept, RefusedError

PROBLEMS = ("refuses", "lost", "doubled", "disordered", "altered", "verify", "rejects", "unstable", "died")


@dataclass
class Asked:
    """A change that was submitted, and how far its project was acknowledged then."""

    id: str
    user: str
    data: str
    after: int


@dataclass
class Project:
    """What is known of a project. Snapshots: revision, base, data."""

    acknowledged: dict[int, Change] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    snapshot: tuple[int, int, str] | None = None
    snapshots: list[tuple[int, int, str]] = field(default_factory=list)  # asked for, not answered


@dataclass
class Problem:
    """What is wrong with a state."""

    kind: str
    text: str


Expected = dict[str, Project]


def expected(said: list[Any]) -> Expected:
    """From the driver's marks (scenarios.py)."""
    found: Expected = {}
    for mark in said:
        for name, id, user, data in mark.get("submit", ()):
            project = found.setdefault(name, Project())
            project.asked.append(Asked(id, user, data, max(project.acknowledged, default=0)))
        for name, revision, data, keep in mark.get("compact", ()):
            found.setdefault(name, Project()).snapshots.append((revision, revision - keep, data))
        for name, id, user, data, revision, at in mark.get("kept", ()):
            project = found.setdefault(name, Project())
            project.acknowledged[revision] = Change(revision, id, user, at, data)
            project.asked = [asked for asked in project.asked if (asked.id, asked.user) != (id, user)]
        for name, revision, base in mark.get("compacted", ()):
            project = found[name]
            project.snapshot = next((at, base, data) for at, _, data in project.snapshots if at == revision)
            project.snapshots.clear()
    return found


def check(path: Path, wanted: Expected) -> list[Problem]:
    """Everything that is asked of a journal after a crash. The journal is used up by it."""
    any_acknowledged = any(project.acknowledged for project in wanted.values())
    problems = [Problem("verify", text) for text in (jd.verify_journal(path) if any_acknowledged else [])]
    driver = Driver(path)
    try:
        driver.open()
        problems += compare(driver, wanted)
        if problems:
            return problems
        more = _goes_on(driver, wanted)
        if not isinstance(more, dict):
            return [more]
        driver.kill()
        driver = Driver(path)
        driver.open()
        for when in ("again", "after a stop"):
            problems += [Problem("unstable", f"{when}: {p.kind}: {p.text}") for p in compare(driver, more)]
            if when == "again":
                driver.stop()
        problems += [Problem("verify", f"after a stop: {text}") for text in jd.verify_journal(path)]
    except RefusedError as exc:
        problems.append(Problem("refuses", str(exc)))
    except (JournalError, sqlite3.Error, OSError) as exc:
        problems.append(Problem("refuses", f"{type(exc).__name__}: {exc}"))
    finally:
        driver.kill()
    return problems


def compare(driver: Driver, wanted: Expected) -> list[Problem]:
    """What the journal has beside what it must and may have."""
    kept = driver.read(wanted)
    return [problem for name, project in wanted.items() for problem in _compare(name, kept[name], project)]


def _compare(name: str, kept: Kept, wanted: Project) -> list[Problem]:
    found: list[Problem] = []
    by_revision = {change.revision: change for change in kept.changes}
    if sorted(by_revision) != list(range(kept.base + 1, kept.revision + 1)):
        found.append(Problem("disordered", f"{name}: {sorted(by_revision)} of {kept.base + 1} to {kept.revision}"))
    for revision, change in wanted.acknowledged.items():
        if revision <= kept.base:
            continue
        there = by_revision.get(revision)
        if there is None:
            found.append(Problem("lost", f"{name}: revision {revision}"))
        elif there != change:
            kind = "lost" if (there.id, there.user) != (change.id, change.user) else "altered"
            found.append(Problem(kind, f"{name}: revision {revision} is {str(there)[:80]}, was {str(change)[:80]}"))
    found += _unasked(name, kept, wanted)
    found += _snapshot(name, kept, wanted)
    return found


def _unasked(name: str, kept: Kept, wanted: Project) -> list[Problem]:
    """Changes without an acknowledgement: only what was submitted, once, in order, after all that was acknowledged before."""
    found: list[Problem] = []
    seen = {(change.id, change.user) for change in wanted.acknowledged.values()}
    place = -1
    for change in kept.changes:
        if change.revision in wanted.acknowledged:
            continue
        who = change.id, change.user
        at = next((n for n, asked in enumerate(wanted.asked) if (asked.id, asked.user) == who), None)
        if who in seen:
            found.append(Problem("doubled", f"{name}: {change.id} again as revision {change.revision}"))
        elif at is None:
            found.append(Problem("altered", f"{name}: revision {change.revision}: {change.id} was never submitted"))
        elif wanted.asked[at].data != change.data:
            found.append(Problem("altered", f"{name}: revision {change.revision} has other data"))
        elif at < place or change.revision <= wanted.asked[at].after:
            found.append(Problem("disordered", f"{name}: {change.id} as revision {change.revision}"))
        else:
            place = at
        seen.add(who)
    return found


def _snapshot(name: str, kept: Kept, wanted: Project) -> list[Problem]:
    there = (kept.snapshot.revision, kept.base, kept.snapshot.data) if kept.snapshot else None
    if there == wanted.snapshot or there in wanted.snapshots:
        return []
    if there is None and kept.base == 0 and wanted.snapshot is None:
        return []
    return [Problem("lost", f"{name}: snapshot and base {str(there)[:60]}, not {str(wanted.snapshot)[:60]}")]


def _is_forgotten(request: Submission, wanted: Expected) -> bool:
    """Whether it is an acknowledged change that is so old that its id can be forgotten."""
    kept = wanted[request.project].acknowledged.get(request.since + 1)
    return kept is not None and kept.id == request.id and kept.time < time.time() * 1000 - jd.KEEP_IDS


def _goes_on(driver: Driver, wanted: Expected) -> Expected | Problem:
    """Submit something new, all that had no answer, and the last that had one: as clients do that come back.
    They say after which revision they sent it first. Returns what is to be there then."""
    requests: list[Submission | Compact] = []
    more: Expected = {}
    for name in [*wanted, "new"]:
        project = wanted.get(name, Project())
        requests += [jd.change(name, asked.id, asked.user, asked.data, asked.after) for asked in project.asked]
        if project.acknowledged:
            last = project.acknowledged[max(project.acknowledged)]
            requests.append(jd.change(name, last.id, last.user, last.data, last.revision - 1))
        requests.append(jd.change(name, "new", "new", '"new"'))
    for outcome in driver.commit(requests):
        request = outcome.request
        assert isinstance(request, Submission)
        if outcome.code == "unknown_id" and _is_forgotten(request, wanted):
            continue
        if outcome.code:
            return Problem("rejects", f"{request.project}: {request.id}: {outcome.code}: {outcome.message}")
        project = wanted.get(request.project, Project())
        place = more.setdefault(
            request.project, Project(dict(project.acknowledged), [], project.snapshot, project.snapshots)
        )
        change = Change(outcome.revision, request.id, request.user, outcome.time, request.data)
        known = place.acknowledged.get(outcome.revision)
        if known is not None and (known.id, known.user) != (request.id, request.user):
            return Problem("doubled", f"{request.project}: revision {outcome.revision} is given to {request.id}, too")
        if known is None and any((c.id, c.user) == (request.id, request.user) for c in place.acknowledged.values()):
            return Problem("doubled", f"{request.project}: {request.id} again as revision {outcome.revision}")
        place.acknowledged.setdefault(outcome.revision, change)
    return more
