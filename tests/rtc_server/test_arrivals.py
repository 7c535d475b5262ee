# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are durable and not filed yet: whatever happens to the process or the file, they are as good as filed ones."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journal_support import ALL, a_history, as_acknowledged, batches, change, copied, filed, opened
from rtc_support import SOURCE, eventually

from rtc_server.journal import (
    Change,
    Compact,
    JournalError,
    Outcome,
    Snapshot,
    arrivals,
    log,
    schema,
    sqlite,
    transfer,
    writer,
)
from rtc_server.journal.base import label
from rtc_server.strict_json import dumps

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("soon")


# --- the text of a batch ------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["", "\n", "a\nb\r\x0b\x1c\x85\u2028\u2029\0", '"\\" 1 2']
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
CHANGES = st.builds(Change, st.integers(1, 1 << 39), TEXTS, TEXTS, st.integers(0, 1 << 50), JSON.map(dumps))


def row_of(number: int, change: Change) -> str:
    return arrivals.row(number, change.revision, change.time, label(change.id, change.user), change.data)


@given(st.lists(st.tuples(st.integers(1, 1 << 22), CHANGES), max_size=6))
def test_what_is_written_is_read(kept: list[tuple[int, Change]]) -> None:
    rows = [row_of(number, change) for number, change in kept]
    assert arrivals.rows("".join(rows)) == rows
    assert [arrivals.label_of(row) for row in rows] == [label(c.id, c.user) for _, c in kept]
    for number, c in kept:
        found = arrivals.find(rows, number, label(c.id, c.user))
        assert found == next(
            row_of(n, other) for n, other in kept if (n, other.id, other.user) == (number, c.id, c.user)
        )
    assert arrivals.find(rows, 0, label("i", "u")) is None
    assert [arrivals.parsed(row) for row in rows] == kept


@given(st.lists(st.tuples(TEXTS, TEXTS, JSON), min_size=1, max_size=5, unique_by=lambda kept: kept[:2]))
def test_any_text_survives_the_file_and_filing(kept: list[tuple[str, str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.closing(
        sqlite3.connect(":memory:", isolation_level=None)
    ) as db:
        path = f"{name}/journal.db"
        schema.prepare(db, "memory")
        db.execute("INSERT INTO project (name) VALUES ('p')")
        written = log.Log(path, arrivals.file_all(db, path))
        changes = [Change(i, id, user, i, dumps(data)) for i, (id, user, data) in enumerate(kept, 1)]
        written.append("".join(row_of(1, c) for c in changes))
        written.close()
        pending = arrivals.load(db, log.read(db, path))
        assert (list(pending), arrivals.changes(pending["p"])) == (["p"], changes)
        arrivals.file_all(db, path)
        rows = db.execute("SELECT key - ?, id, user, time, data FROM change ORDER BY key", (schema.SPAN,))
        assert [Change(*row) for row in rows] == changes
        assert sorted(arrivals.known(db, [(1, c.user, c.id) for c in changes])) == sorted(
            (1, c.user, c.id, c.revision) for c in changes
        )
        assert log.read(db, path) == []


STEPS = st.tuples(st.sampled_from(["add", "find", "remove"]), st.integers(0, 5))


@given(st.lists(STEPS, max_size=40))
def test_what_waits_is_found_until_it_is_filed(steps: list[tuple[str, int]]) -> None:
    place = writer._Waiting()
    made: list[str] = []
    gone = 0
    for what, number in steps:
        if what == "add":
            for _ in range(number):
                made.append(label(f"c{len(made)}", "ann"))
                place.labels.add(made[-1])
                place.rows.append(arrivals.row(1, len(made), 0, made[-1], "0"))
        elif what == "remove":
            some = min(number, len(place.rows))
            place.remove(some)
            gone += some
        elif made:
            at = number % len(made)
            found = place.find(made[at])
            assert (found is None) == (at < gone) and (found is None or arrivals.label_of(found) == made[at])
        assert place.labels == set(made[gone:]) and len(place.rows) == len(made) - gone


@pytest.mark.parametrize("count", [0, 1, 2, 127, 128, 129, 300])
def test_statements_of_many_rows(count: int) -> None:
    pieces = list(arrivals._pieces(count))
    assert [at for at, _ in pieces] == [0, *itertools.accumulate(n for _, n in pieces)][: len(pieces)]
    assert sum(n for _, n in pieces) == count and all(n <= 128 and n & (n - 1) == 0 for _, n in pieces)


def test_filing_in_pieces_of_any_size() -> None:
    for most in (1, 2, 3, 5, 100):
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            schema.prepare(db, "memory")
            db.execute("INSERT INTO project (name) VALUES ('p'), ('q')")
            pending = {
                name: [row_of(n, Change(i, f"{name}{i}", "u", 0, "0")) for i in range(1, 8)]
                for n, name in enumerate("pq", 1)
            }
            while pending:
                some = arrivals.first(pending, most)
                arrivals.file(db, some)
                assert 0 < sum(map(len, some.values())) <= most
                for name, rows in some.items():
                    pending[name] = pending[name][len(rows) :]
                    assert db.execute("SELECT revision FROM project WHERE name=?", (name,)).fetchone() == (
                        7 - len(pending[name]),
                    )
                    if not pending[name]:
                        del pending[name]
            assert (
                db.execute("SELECT count(*) FROM change").fetchone()
                == db.execute("SELECT count(*) FROM change_id").fetchone()
                == (14,)
            )


# --- kill -9 -------------------------------------------------------------------------------------------


async def test_what_was_acknowledged_is_there_after_a_kill(
    path: Path, tmp_path: Path, unfiled: Callable[[], None]
) -> None:
    async with opened(path) as log:
        history = a_history()
        outcomes: list[Outcome] = []
        for at in range(0, len(history), 50):
            outcomes += await log.keep(*history[at : at + 50])
        assert batches(path) == 12 and filed(path) == 0
        copy = copied(path, tmp_path / "killed")
        exports = {project: list(transfer.export_project(str(path), project)) for project in "pq"}
    assert transfer.verify(str(copy)) == (
        [],
        {"projects": 2, "changes": 600, "snapshots": 0},
    )  # nobody has opened it yet
    assert transfer.projects(str(copy)) == ["p", "q"]
    assert {project: list(transfer.export_project(str(copy), project)) for project in "pq"} == exports
    assert json.loads(exports["p"][0])["revision"] == 300
    async with opened(copy) as log:
        await as_acknowledged(log, outcomes)
        again = await log.keep(*history[:50], change(0, "p", "something else"))
        assert [(o.revision, o.duplicate) for o in again[:50]] == [(o.revision, True) for o in outcomes[:50]]
        assert again[50].code == "id_reused"
        unfiled()
        (new,) = await log.keep(change(1000))
        assert new.revision == 301
        await eventually(lambda: batches(copy) == 0)
        assert filed(copy) == 601
        await as_acknowledged(log, [*outcomes, new])
        again = await log.keep(*history[:50])
        assert [(o.revision, o.duplicate) for o in again] == [(o.revision, True) for o in outcomes[:50]]
    assert transfer.verify(str(copy)) == ([], {"projects": 2, "changes": 601, "snapshots": 0})
    assert list(transfer.export_project(str(copy), "q")) == exports["q"]


async def test_a_kill_while_changes_are_being_filed(path: Path, tmp_path: Path, unfiled: Callable[[], None]) -> None:
    """Some filed, their batch still there."""
    async with opened(path) as log:
        outcomes = await log.keep(*a_history())
        w = log.journal._writer
        w._file_some(w.open())
        assert 0 < filed(path) < 600 and batches(path) == 1
        await as_acknowledged(log, outcomes)
        copy = copied(path, tmp_path / "killed")
    unfiled()
    assert transfer.verify(str(copy)) == ([], {"projects": 2, "changes": 600, "snapshots": 0})
    assert len(list(transfer.export_project(str(copy), "p"))) == 302
    async with opened(copy) as log:
        await as_acknowledged(log, outcomes)
        assert all(o.duplicate for o in await log.keep(*a_history()))
        await eventually(lambda: batches(copy) == 0)
        await as_acknowledged(log, outcomes)


CHILD = """
import asyncio, sys
from rtc_server.journal import Submission, label, writer
from rtc_server.journal.sqlite import SqliteJournal
writer.Writer.tidy = lambda self: None
async def main():
    journal = SqliteJournal(sys.argv[1])
    def told(outcomes):
        for o in outcomes:
            print(o.request.id, o.revision, o.code, flush=True)
    await journal.start(told)
    number = 0
    while True:
        for _ in range(7):
            number += 1
            journal.submit(Submission("p", f"c{number}", "ann", str(number), label(f"c{number}", "ann")))
        await journal.idle()
asyncio.run(main())
"""


async def test_a_process_that_is_killed_while_it_commits(path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(path)]
    with subprocess.Popen(command, env={"PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().split() for _ in range(500)]
        process.kill()
        told += [line.split() for line in process.stdout if line.endswith("\n")]
    assert [t[:2] for t in told] == [[f"c{i}", str(i)] for i in range(1, len(told) + 1)]
    async with opened(path) as log:
        ids = await log.ids()
        assert (
            ids[: len(told)] == [t[0] for t in told] and len(ids) <= len(told) + 14
        )  # what was durable and not told yet
        outcomes = await log.keep(*[change(i, data=i) for i in range(1, len(ids) + 2)])
        assert [o.duplicate for o in outcomes] == [True] * len(ids) + [False] and [
            o.revision for o in outcomes
        ] == list(range(1, len(ids) + 2))
    assert transfer.verify(str(path))[0] == [] and batches(path) == 0


async def test_a_new_epoch_and_an_import_on_a_file_of_a_killed_server(
    path: Path, tmp_path: Path, unfiled: Callable[[], None]
) -> None:
    async with opened(path) as log:
        outcomes = await log.keep(*a_history())
        epoch = (await log.journal.head("p")).epoch
        first, second, third = (copied(path, tmp_path / name) for name in ("first", "second", "third"))
        exported = list(transfer.export_project(str(path), "p"))
    unfiled()
    transfer.new_epoch(str(first))
    assert batches(first) == 0 and transfer.verify(str(first))[0] == []
    async with opened(first) as log:
        assert (await log.journal.head("p")).epoch != epoch
        await as_acknowledged(log, outcomes)
    with pytest.raises(JournalError, match="has a project 'p' already"):
        transfer.import_project(str(second), exported)
    assert batches(second) == 1  # all or nothing
    assert transfer.import_project(str(second), exported, name="copy") == ("copy", 300)
    assert transfer.verify(str(second)) == ([], {"projects": 3, "changes": 900, "snapshots": 0})
    assert transfer.import_project(str(third), exported, replace=True) == ("p", 300)
    async with opened(third) as log:
        await as_acknowledged(log, outcomes)
        assert (await log.keep(change(1000)))[0].revision == 301
    assert transfer.verify(str(third))[0] == []


# --- snapshots ------------------------------------------------------------------------------------------


async def test_a_snapshot_of_changes_that_are_not_filed(
    path: Path, tmp_path: Path, unfiled: Callable[[], None]
) -> None:
    async with opened(path) as log:
        await log.keep(*[change(i) for i in range(700)])
        await log.keep(*[change(i, "q") for i in range(10)])
        (outcome,) = await log.keep(Compact("p", Snapshot(600, '"s"'), keep=100))
        assert (outcome.revision, outcome.base, outcome.code) == (600, 500, "")
        head = await log.journal.head("p")
        assert (head.revision, head.base, head.snapshot) == (700, 500, 600)
        assert await log.ids(since=500) == [f"c{i}" for i in range(500, 700)]
        copy = copied(path, tmp_path / "killed")
        counts = {"projects": 2, "changes": 210, "snapshots": 1}
        assert transfer.verify(str(path)) == transfer.verify(str(copy)) == ([], counts)
        stale = await log.keep(Compact("p", Snapshot(600, "0"), keep=0), Compact("p", Snapshot(701, "0"), keep=0))
        assert [o.code for o in stale] == ["stale"] * 2
        both = await log.keep(
            change(700), Compact("p", Snapshot(701, "0"), keep=0), change(701)
        )  # in the order of asking
        assert [(o.revision, o.code) for o in both] == [(701, ""), (701, ""), (702, "")]
        unfiled()
        await log.keep(change(10, "q"))
        await eventually(lambda: batches(path) == 0)
        await eventually(lambda: filed(path) == 12)
        (retry,) = await log.keep(change(3, data="compacted, so what it was is not known any more"))
        assert (retry.revision, retry.duplicate) == (4, True)
    async with opened(copy) as log:
        (retry,) = await log.keep(change(3))
        assert (retry.revision, retry.duplicate) == (4, True)
        assert await log.ids(since=500) == [f"c{i}" for i in range(500, 700)]
    for file in (path, copy):
        assert transfer.verify(str(file))[0] == []


async def test_a_snapshot_amid_filing(path: Path, tmp_path: Path, unfiled: Callable[[], None]) -> None:
    """What was being filed is then filed by the snapshot: the log goes on all the same."""
    async with opened(path) as log:
        await log.keep(*[change(i) for i in range(600)])
        w = log.journal._writer
        w._file_some(w.open())
        await log.keep(Compact("p", Snapshot(600, '"s"'), keep=600))
        assert not w._count and batches(path) == 0
        for i in range(600, 603):
            await log.keep(change(i))
            w._file_some(w.open())  # in the one file of the log and in the other
        await log.keep(change(603))
        assert await log.ids() == [f"c{i}" for i in range(604)]
        copy = copied(path, tmp_path / "killed")
    async with opened(copy) as log:
        assert await log.ids() == [f"c{i}" for i in range(604)]


# --- bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["MAX_PENDING", "MAX_PENDING_BYTES"])
async def test_under_load_what_is_not_filed_stays_within_bounds(
    path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    size, count, turns = 100, 20, 150
    most = 200 if limit == "MAX_PENDING" else 200 * size
    monkeypatch.setattr(writer, limit, most)
    monkeypatch.setattr(arrivals, "FILED_AT_ONCE", 16)
    monkeypatch.setattr(sqlite, "_IDLE", 1e9)  # there is never time for what can wait
    pending, rows = [], []
    async with opened(path) as log:
        w = log.journal._writer
        numbers = itertools.count()
        for _ in range(turns):
            await log.keep(*[change(next(numbers), "pqr"[i % 3], "x" * (size - 2)) for i in range(count)])
            pending.append(w._bytes if limit == "MAX_PENDING_BYTES" else w._count)
            rows.append(batches(path))
        assert max(pending[50:]) <= most + 2 * count * (size if limit == "MAX_PENDING_BYTES" else 1)
        assert max(rows) <= 3 * 200 // count  # those that are being filed, and as many that came meanwhile
        await eventually(lambda: sum(len(v.rows) for part in w._pending for v in part.values()) == w._count)
        assert sum([len(await log.ids(p)) for p in "pqr"]) == turns * count
    assert transfer.verify(str(path))[0] == [] and batches(path) == 0 and filed(path) == turns * count


async def test_under_load_the_log_stays_within_bounds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit of one change takes a whole block, so the log can be long when little is pending."""
    monkeypatch.setattr(writer, "MAX_LOG", 10 * log._BLOCK)
    monkeypatch.setattr(sqlite, "_IDLE", 1e9)  # there is never time for what can wait
    used = []
    async with opened(path) as keeping:
        for i in range(100):
            await keeping.keep(change(i))
            used.append(keeping.journal._writer._log.used)  # type: ignore[union-attr]
        assert 8 * log._BLOCK < max(used) <= 14 * log._BLOCK
        assert await keeping.ids() == [f"c{i}" for i in range(100)]
    assert transfer.verify(str(path))[0] == [] and filed(path) == 100


async def test_a_stop_that_cannot_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log stays, and the next start finds that all of it is filed."""
    async with opened(path) as keeping:
        outcomes = await keeping.keep(*a_history())
        await eventually(lambda: filed(path) == 600 and not keeping.journal._writer._count)
        monkeypatch.setattr(writer.Writer, "tidy", lambda self: None)
        keeping.journal._writer.open().execute("PRAGMA query_only=1")
    assert Path(log.names(str(path))[0]).exists()
    async with opened(path) as keeping:
        await as_acknowledged(keeping, outcomes)
    assert transfer.verify(str(path))[0] == []


async def test_filing_brings_everything_into_tables_when_there_is_time(path: Path) -> None:
    async with opened(path) as log:
        outcomes = await log.keep(*a_history())
        await eventually(lambda: batches(path) == 0)
        w = log.journal._writer
        assert filed(path) == 600 and w._count == 0 and w._bytes == 0 and w._pending == ({}, {})
        await as_acknowledged(log, outcomes)
        (new,) = await log.keep(change(1000))
        await eventually(lambda: batches(path) == 0)
        await as_acknowledged(log, [*outcomes, new])


async def test_a_stop_files_everything(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_IDLE", 1e9)
    async with opened(path) as log:
        await log.keep(*a_history())
        assert filed(path) == 0
    assert filed(path) == 600 and batches(path) == 0 and not Path(f"{path}-wal").exists()


# --- readers ---------------------------------------------------------------------------------------------


async def test_readers_never_see_a_gap_while_changes_are_filed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that was acknowledged before a reading began is in it, once and in order, wherever it is kept then."""
    monkeypatch.setattr(writer, "MAX_PENDING", 40)
    monkeypatch.setattr(arrivals, "FILED_AT_ONCE", 7)
    monkeypatch.setattr(sqlite, "_IDLE", 0.0005)
    async with opened(path) as log:
        told = {"p": 0, "q": 0}
        numbers = itertools.count()
        readings = 0
        writing = True

        async def write() -> None:
            nonlocal writing
            for turn in range(250):
                for o in await log.keep(*[change(next(numbers), "pq"[i % 2]) for i in range(1 + turn % 23)]):
                    told[o.request.project] = o.revision
                if turn % 5 == 0:
                    await asyncio.sleep(0.002)  # time to file
            writing = False

        async def read(project: str, back: int) -> None:
            nonlocal readings
            while writing:
                known = told[project]
                since = max(0, known - back)
                found = await log.journal.changes(project, since, ALL, ALL)
                assert [c.revision for c in found] == list(range(since + 1, since + 1 + len(found)))
                assert since + len(found) >= known
                assert (await log.journal.head(project)).revision >= known
                page = await log.journal.changes(project, since, 5, ALL)
                assert [c.revision for c in page] == list(range(since + 1, since + 1 + len(page)))
                readings += 1

        await asyncio.gather(write(), read("p", 10**6), read("q", 30), read("q", 3))
        assert readings > 30
        assert len(await log.ids("p")) == told["p"] and len(await log.ids("q")) == told["q"]


async def test_reading_page_by_page_across_what_is_filed_and_what_is_not(
    path: Path, unfiled: Callable[[], None]
) -> None:
    async with opened(path) as log:
        await log.keep(*[change(i, data="x" * 98) for i in range(400)])
        w = log.journal._writer
        w._file_some(w.open())
        boundary = filed(path)
        assert 0 < boundary < 400
        for limit, size in ((7, ALL), (ALL, 750), (1, ALL), (ALL, 1)):
            seen: list[int] = []
            while page := await log.journal.changes("p", len(seen), limit, size):
                assert len(page) <= limit and (len(page) == 1 or sum(len(c.data) for c in page) <= size)
                seen += [c.revision for c in page]
            assert seen == list(range(1, 401))
