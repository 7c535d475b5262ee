# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes a project keeps, and what happens when they are too many."""

from __future__ import annotations

import logging
import random
import sqlite3
from pathlib import Path

import pytest
from rtc_support import Client, eventually, running, token

from rtc_server.journal import Compact, JournalLimits, Snapshot, Submission, make_label
from rtc_server.journal.schema import SPAN
from rtc_server.journal.sizes import OVERHEAD
from rtc_server.journal.writer import Writer

LIMITS = {"project_bytes": 100_000, "change_bytes_burst": 10_000_000}


async def send(client: Client, number: int, size: int = 10_000, project: str = "p") -> dict[str, object]:
    answer: dict[str, object] = await client.ask(
        "change", {"project": project, "id": f"c{number}", "data": "x" * (size - 2)}
    )
    return answer


async def test_a_project_at_its_quota(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with running(tmp_path, limits=LIMITS) as site:
        ann = await site.connect()
        await ann.ask("join", {"project": "p"})
        for n in range(9):
            assert (await send(ann, n))["ok"]
        for _ in range(5):
            refused = await send(ann, 9)
            assert refused["code"] == "quota" and refused["limit"] == 100_000
        assert (await send(ann, 10, 500))["ok"]  # it still fits
        assert (await send(ann, 0))["duplicate"]
        assert (await ann.ask("history", {"project": "p"}))["ok"]
        bob = await site.connect(token("bob"))
        await bob.ask("join", {"project": "q"})
        assert (await send(bob, 1, project="q"))["ok"]
        assert (await ann.ask("snapshot", {"project": "p", "revision": 10, "data": "s" * 1000}))["ok"]
        await eventually(lambda: size_of(site.writer, "p") < 10_000, "old changes go")
        assert (await send(ann, 9))["ok"]
        said = [r.message for r in caplog.records if "project_bytes" in r.message]
        assert len(said) == 1 and "'p'" in said[0] and "snapshot" in said[0]


def size_of(writer: Writer, project: str) -> int:
    return writer._projects[project].size.bytes


def count(path: Path, project: str) -> int:
    """The bytes that the tables have."""
    with sqlite3.connect(path) as db:
        number, base, snapshot = db.execute(
            "SELECT number, base, snapshot FROM project WHERE name=?", (project,)
        ).fetchone()
        rows = db.execute(
            "SELECT data FROM change WHERE key>? AND key<?", (number * SPAN + base, (number + 1) * SPAN)
        ).fetchall()
    return len((snapshot or "").encode()) + sum(len(data.encode()) + OVERHEAD for (data,) in rows)


def flush(writer: Writer) -> None:
    while writer.run_maintenance() == 0.0:
        pass


@pytest.mark.parametrize("seed", range(8))
def test_the_bytes_of_projects_are_those_of_the_tables(tmp_path: Path, seed: int) -> None:
    """Changes, snapshots, pieces of maintenance and restarts, in any order."""
    path = tmp_path / "journal.db"
    rng = random.Random(seed)
    writer = Writer(str(path), JournalLimits())
    last = {"p": 0, "q": 0}
    for step in range(150):
        project = rng.choice("pq")
        action = rng.random()
        if action < 0.6:
            batch = []
            for n in range(rng.randrange(1, 120)):
                data = '"' + rng.choice(["x", "é", "😀"]) * rng.randrange(3000 if rng.random() < 0.1 else 30) + '"'
                id = f"{step}-{n}"
                batch.append(Submission(project, id, "u", data, make_label(id, "u")))
            last[project] += sum(not o.code for o in writer.commit(batch))
        elif action < 0.7 and last[project]:
            keep = rng.choice([0, 3, 100])
            snapshot = Snapshot(rng.randrange(1, last[project] + 1), '"ü"' if step % 2 else "1")
            writer.commit([Compact(project, snapshot, keep)])
        elif action < 0.95:
            for _ in range(rng.randrange(6)):
                writer.run_maintenance()
        elif action < 0.97:
            writer._projects.clear()
            writer._sizes.clear()
        else:
            writer.close()
    for project in "pq":
        writer.commit([Submission(project, "last", "u", "1", make_label("last", "u"))])
    flush(writer)
    for project in "pq":
        assert writer._projects[project].size.is_counted
        assert size_of(writer, project) == count(path, project)
    writer.flush_and_close()
    writer.unlock()


def test_what_was_there_before_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    writer = Writer(path)
    for n in range(20):
        id = f"c{n}"
        writer.commit(
            [Submission("p", f"{id}-{m}", "u", f'"{m:0998d}"', make_label(f"{id}-{m}", "u")) for m in range(50)]
        )
    writer.flush_and_close()
    writer.unlock()
    writer = Writer(path, JournalLimits(1_000_000))
    writer.commit([Submission("p", "new", "u", "1", make_label("new", "u"))])
    flush(writer)
    (refused,) = writer.commit([Submission("p", "more", "u", "1", make_label("more", "u"))])
    assert refused.code == "quota"
    writer.flush_and_close()
    writer.unlock()
