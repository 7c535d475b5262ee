# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are durable and not flushed yet: whatever happens to the process or the file, they are as good as
flushed ones."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from journal_support import (
    ALL,
    Maintenance,
    a_history,
    as_acknowledged,
    batches,
    change,
    copied,
    flushed,
    logged,
    opened,
)
from rtc_support import SOURCE, eventually

from rtc_server.journal import (
    Change,
    Compact,
    JournalError,
    Outcome,
    Snapshot,
    export_import,
    flush,
    make_label,
    memtable,
    schema,
    sqlite,
    wal,
    writer,
)
from rtc_server.journal.memtable import ProjectRecords
from rtc_server.journal.record import decode_record, encode_record, find_record, read_label, split_batch
from rtc_server.journal.verify import verify_journal
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


def make_record(number: int, change: Change) -> str:
    return encode_record(number, change.revision, change.time, make_label(change.id, change.user), change.data)


@given(st.lists(st.tuples(st.integers(1, 1 << 22), CHANGES), max_size=6))
def test_what_is_written_is_read(kept: list[tuple[int, Change]]) -> None:
    records = [make_record(number, change) for number, change in kept]
    assert split_batch("".join(records)) == records
    assert [read_label(record) for record in records] == [make_label(c.id, c.user) for _, c in kept]
    for number, c in kept:
        found = find_record(records, number, make_label(c.id, c.user))
        assert found == next(
            make_record(n, other) for n, other in kept if (n, other.id, other.user) == (number, c.id, c.user)
        )
    assert find_record(records, 0, make_label("i", "u")) is None
    assert [decode_record(record) for record in records] == kept


@given(st.lists(st.tuples(TEXTS, TEXTS, JSON), min_size=1, max_size=5, unique_by=lambda kept: kept[:2]))
def test_any_text_survives_the_log_and_flushing(kept: list[tuple[str, str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name, contextlib.closing(
        sqlite3.connect(":memory:", isolation_level=None)
    ) as db:
        path = f"{name}/journal.db"
        schema.prepare(db, "memory")
        db.execute("INSERT INTO project (name) VALUES ('p')")
        written = wal.Wal(path, flush.flush_all(db, path))
        changes = [Change(i, id, user, i, dumps(data)) for i, (id, user, data) in enumerate(kept, 1)]
        written.append("".join(make_record(1, c) for c in changes))
        written.close()
        unflushed = memtable.load_unflushed(db, wal.read_batches(db, path))
        assert {name: [decode_record(r)[1] for r in records] for name, records in unflushed.items()} == {"p": changes}
        flush.flush_all(db, path)
        rows = db.execute("SELECT key - ?, id, user, time, data FROM change ORDER BY key", (schema.SPAN,))
        assert [Change(*row) for row in rows] == changes
        assert sorted(flush.find_flushed(db, [(1, c.user, c.id) for c in changes])) == sorted(
            (1, c.user, c.id, c.revision) for c in changes
        )
        assert wal.read_batches(db, path) == []


STEPS = st.tuples(st.sampled_from(["add", "find", "remove"]), st.integers(0, 5))


@given(st.lists(STEPS, max_size=40))
def test_a_record_is_found_until_it_is_flushed(steps: list[tuple[str, int]]) -> None:
    table = ProjectRecords()
    made: list[str] = []
    gone = 0
    for what, number in steps:
        if what == "add":
            for _ in range(number):
                made.append(make_label(f"c{len(made)}", "ann"))
                table.labels.add(made[-1])
                table.records.append(encode_record(1, len(made), 0, made[-1], "0"))
        elif what == "remove":
            some = min(number, len(table.records))
            table.remove(some)
            gone += some
        elif made:
            at = number % len(made)
            found = table.find(made[at])
            assert (found is None) == (at < gone) and (found is None or read_label(found) == made[at])
        assert table.labels == set(made[gone:]) and len(table.records) == len(made) - gone


@pytest.mark.parametrize("count", [0, 1, 2, 127, 128, 129, 300])
def test_statements_of_many_rows(count: int) -> None:
    pieces = list(flush.split_into_powers_of_two(count))
    assert [at for at, _ in pieces] == [0, *itertools.accumulate(n for _, n in pieces)][: len(pieces)]
    assert sum(n for _, n in pieces) == count and all(n <= 128 and n & (n - 1) == 0 for _, n in pieces)


def test_flushing_in_pieces_of_any_size() -> None:
    for most in (1, 2, 3, 5, 100):
        with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            schema.prepare(db, "memory")
            db.execute("INSERT INTO project (name) VALUES ('p'), ('q')")
            pending = {
                name: [make_record(n, Change(i, f"{name}{i}", "u", 0, "0")) for i in range(1, 8)]
                for n, name in enumerate("pq", 1)
            }
            while pending:
                some = memtable.take_first(pending, most)
                flush.flush(db, some)
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
    path: Path, tmp_path: Path, maintenance: Maintenance
) -> None:
    async with opened(path) as keeper:
        history = a_history()
        outcomes: list[Outcome] = []
        for at in range(0, len(history), 50):
            outcomes += await keeper.keep(*history[at : at + 50])
        assert batches(path) == 12 and flushed(path) == 0
        copy = copied(path, tmp_path / "killed")
        exports = {project: list(export_import.export_project(str(path), project)) for project in "pq"}
    assert verify_journal(str(copy)) == (
        [],
        {"projects": 2, "changes": 600, "snapshots": 0},
    )  # nobody has opened it yet
    assert {project: list(export_import.export_project(str(copy), project)) for project in "pq"} == exports
    assert json.loads(exports["p"][0])["revision"] == 300
    async with opened(copy) as keeper:
        await as_acknowledged(keeper, outcomes)
        again = await keeper.keep(*history[:50], change(0, "p", "something else"))
        assert [(o.revision, o.duplicate) for o in again[:50]] == [(o.revision, True) for o in outcomes[:50]]
        assert again[50].code == "id_reused"
        maintenance.release()
        (new,) = await keeper.keep(change(1000))
        assert new.revision == 301
        await eventually(lambda: batches(copy) == 0)
        assert flushed(copy) == 601
        await as_acknowledged(keeper, [*outcomes, new])
        again = await keeper.keep(*history[:50])
        assert [(o.revision, o.duplicate) for o in again] == [(o.revision, True) for o in outcomes[:50]]
    assert verify_journal(str(copy)) == ([], {"projects": 2, "changes": 601, "snapshots": 0})
    assert list(export_import.export_project(str(copy), "q")) == exports["q"]


async def test_a_kill_while_changes_are_being_flushed(path: Path, tmp_path: Path, maintenance: Maintenance) -> None:
    """Some are flushed, and their batch is still there."""
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*a_history())
        await maintenance.flush_once()
        assert 0 < flushed(path) < 600 and batches(path) == 1
        await as_acknowledged(keeper, outcomes)
        copy = copied(path, tmp_path / "killed")
    maintenance.release()
    assert verify_journal(str(copy)) == ([], {"projects": 2, "changes": 600, "snapshots": 0})
    assert len(list(export_import.export_project(str(copy), "p"))) == 302
    async with opened(copy) as keeper:
        await as_acknowledged(keeper, outcomes)
        assert all(o.duplicate for o in await keeper.keep(*a_history()))
        await eventually(lambda: batches(copy) == 0)
        await as_acknowledged(keeper, outcomes)


CHILD = """
import asyncio, sys
from rtc_server.journal import Submission, make_label, writer
from rtc_server.journal.sqlite import SqliteJournal
writer.Writer.run_maintenance = lambda self: None
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
            journal.submit(Submission("p", f"c{number}", "ann", str(number), make_label(f"c{number}", "ann")))
        await journal.wait_idle()
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
    async with opened(path) as keeper:
        ids = await keeper.ids()
        assert (
            ids[: len(told)] == [t[0] for t in told] and len(ids) <= len(told) + 14
        )  # what was durable and not acknowledged yet
        outcomes = await keeper.keep(*[change(i, data=i) for i in range(1, len(ids) + 2)])
        assert [o.duplicate for o in outcomes] == [True] * len(ids) + [False] and [
            o.revision for o in outcomes
        ] == list(range(1, len(ids) + 2))
    assert verify_journal(str(path))[0] == [] and batches(path) == 0


async def test_a_new_epoch_and_an_import_on_a_file_of_a_killed_server(
    path: Path, tmp_path: Path, maintenance: Maintenance
) -> None:
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*a_history())
        epoch = (await keeper.journal.read_head("p")).epoch
        first, second, third = (copied(path, tmp_path / name) for name in ("first", "second", "third"))
        exported = list(export_import.export_project(str(path), "p"))
    maintenance.release()
    export_import.new_epoch(str(first))
    assert batches(first) == 0 and verify_journal(str(first))[0] == []
    async with opened(first) as keeper:
        assert (await keeper.journal.read_head("p")).epoch != epoch
        await as_acknowledged(keeper, outcomes)
    with pytest.raises(JournalError, match="has a project 'p' already"):
        export_import.import_project(str(second), exported)
    assert batches(second) == 1  # all or nothing
    assert export_import.import_project(str(second), exported, name="copy") == ("copy", 300)
    assert verify_journal(str(second)) == ([], {"projects": 3, "changes": 900, "snapshots": 0})
    assert export_import.import_project(str(third), exported, replace=True) == ("p", 300)
    async with opened(third) as keeper:
        await as_acknowledged(keeper, outcomes)
        assert (await keeper.keep(change(1000)))[0].revision == 301
    assert verify_journal(str(third))[0] == []


# --- snapshots ------------------------------------------------------------------------------------------


async def test_a_snapshot_of_changes_that_are_not_flushed(path: Path, tmp_path: Path, maintenance: Maintenance) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(700)])
        await keeper.keep(*[change(i, "q") for i in range(10)])
        (outcome,) = await keeper.keep(Compact("p", Snapshot(600, '"s"'), keep=100))
        assert (outcome.revision, outcome.base, outcome.code) == (600, 500, "")
        head = await keeper.journal.read_head("p")
        assert (head.revision, head.base, head.snapshot) == (700, 500, 600)
        assert await keeper.ids(since=500) == [f"c{i}" for i in range(500, 700)]
        copy = copied(path, tmp_path / "killed")
        counts = {"projects": 2, "changes": 210, "snapshots": 1}
        assert verify_journal(str(path)) == verify_journal(str(copy)) == ([], counts)
        stale = await keeper.keep(Compact("p", Snapshot(600, "0"), keep=0), Compact("p", Snapshot(701, "0"), keep=0))
        assert [o.code for o in stale] == ["stale"] * 2
        both = await keeper.keep(
            change(700), Compact("p", Snapshot(701, "0"), keep=0), change(701)
        )  # in the order of asking
        assert [(o.revision, o.code) for o in both] == [(701, ""), (701, ""), (702, "")]
        maintenance.release()
        await keeper.keep(change(10, "q"))
        await eventually(lambda: batches(path) == 0)
        await eventually(lambda: flushed(path) == 12)
        (retry,) = await keeper.keep(change(3, data="compacted, so what it was is not known any more"))
        assert (retry.revision, retry.duplicate) == (4, True)
    async with opened(copy) as keeper:
        (retry,) = await keeper.keep(change(3))
        assert (retry.revision, retry.duplicate) == (4, True)
        assert await keeper.ids(since=500) == [f"c{i}" for i in range(500, 700)]
    for file in (path, copy):
        assert verify_journal(str(file))[0] == []


async def test_a_snapshot_amid_flushing(path: Path, tmp_path: Path, maintenance: Maintenance) -> None:
    """What was being flushed is then flushed by the snapshot: the write-ahead log goes on all the same."""
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(600)])
        await maintenance.flush_once()
        await keeper.keep(Compact("p", Snapshot(600, '"s"'), keep=600))
        assert flushed(path) == 600 and batches(path) == 0
        for i in range(600, 603):
            await keeper.keep(change(i))
            await maintenance.flush_once()  # from the one file of the log and from the other
        await keeper.keep(change(603))
        assert await keeper.ids() == [f"c{i}" for i in range(604)]
        copy = copied(path, tmp_path / "killed")
    async with opened(copy) as keeper:
        assert await keeper.ids() == [f"c{i}" for i in range(604)]


# --- bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["MAX_UNFLUSHED", "MAX_UNFLUSHED_BYTES"])
async def test_under_load_the_backlog_stays_within_bounds(
    path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    size, count, turns = 100, 20, 150
    most = 200 if limit == "MAX_UNFLUSHED" else 200 * size
    monkeypatch.setattr(writer, limit, most)
    monkeypatch.setattr(flush, "FLUSH_BATCH", 16)
    monkeypatch.setattr(sqlite, "_IDLE", 1e9)  # there is never time for what can wait
    unflushed, unflushed_batches = [], []
    async with opened(path) as keeper:
        numbers = itertools.count()
        for turn in range(1, turns + 1):
            await keeper.keep(*[change(next(numbers), "pqr"[i % 3], "x" * (size - 2)) for i in range(count)])
            unflushed.append(turn * count - flushed(path))
            unflushed_batches.append(batches(path))
        assert 0 < max(unflushed[50:]) <= 200 + 2 * count
        # those that are being flushed, and as many that came meanwhile
        assert max(unflushed_batches) <= 3 * 200 // count
        assert sum([len(await keeper.ids(p)) for p in "pqr"]) == turns * count
    assert verify_journal(str(path))[0] == [] and batches(path) == 0 and flushed(path) == turns * count


async def test_under_load_the_log_stays_within_bounds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit of one change takes a whole block, so the log can be long when little is unflushed."""
    monkeypatch.setattr(writer, "MAX_WAL_BYTES", 10 * wal.BLOCK)
    monkeypatch.setattr(sqlite, "_IDLE", 1e9)  # there is never time for what can wait
    used = []
    async with opened(path) as keeper:
        for i in range(100):
            await keeper.keep(change(i))
            used.append(len(logged(path)))  # blocks in both files, from the first batch that may be needed
        assert 8 < max(used) <= 2 * 14
        assert await keeper.ids() == [f"c{i}" for i in range(100)]
    assert verify_journal(str(path))[0] == [] and flushed(path) == 100


async def test_a_stop_that_cannot_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log stays, and the next start finds that all of it is flushed."""
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*a_history())
        await eventually(lambda: flushed(path) == 600 and batches(path) == 0)
        monkeypatch.setattr(writer.Writer, "run_maintenance", lambda self: None)
        keeper.writer.open().execute("PRAGMA query_only=1")
    assert Path(wal.file_names(str(path))[0]).exists()
    async with opened(path) as keeper:
        await as_acknowledged(keeper, outcomes)
    assert verify_journal(str(path))[0] == []


async def test_everything_is_flushed_when_there_is_time(path: Path) -> None:
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*a_history())
        await eventually(lambda: batches(path) == 0)
        await eventually(lambda: not any(keeper.writer.copy_unflushed(project) for project in "pq"))
        assert flushed(path) == 600
        await as_acknowledged(keeper, outcomes)
        (new,) = await keeper.keep(change(1000))
        await eventually(lambda: batches(path) == 0)
        await as_acknowledged(keeper, [*outcomes, new])


async def test_a_stop_flushes_everything(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_IDLE", 1e9)
    async with opened(path) as keeper:
        await keeper.keep(*a_history())
        assert flushed(path) == 0
    assert flushed(path) == 600 and batches(path) == 0 and not Path(f"{path}-wal").exists()


# --- readers ---------------------------------------------------------------------------------------------


async def test_readers_never_see_a_gap_while_changes_are_flushed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that was acknowledged before a reading began is in it, once and in order, wherever it is kept then."""
    monkeypatch.setattr(writer, "MAX_UNFLUSHED", 40)
    monkeypatch.setattr(flush, "FLUSH_BATCH", 7)
    monkeypatch.setattr(sqlite, "_IDLE", 0.0005)
    async with opened(path) as keeper:
        told = {"p": 0, "q": 0}
        numbers = itertools.count()
        readings = 0
        writing = True

        async def write() -> None:
            nonlocal writing
            for turn in range(250):
                for o in await keeper.keep(*[change(next(numbers), "pq"[i % 2]) for i in range(1 + turn % 23)]):
                    told[o.request.project] = o.revision
                if turn % 5 == 0:
                    await asyncio.sleep(0.002)  # time to flush
            writing = False

        async def read(project: str, back: int) -> None:
            nonlocal readings
            while writing:
                known = told[project]
                since = max(0, known - back)
                found = await keeper.journal.read_changes(project, since, ALL, ALL)
                assert [c.revision for c in found] == list(range(since + 1, since + 1 + len(found)))
                assert since + len(found) >= known
                assert (await keeper.journal.read_head(project)).revision >= known
                page = await keeper.journal.read_changes(project, since, 5, ALL)
                assert [c.revision for c in page] == list(range(since + 1, since + 1 + len(page)))
                readings += 1

        await asyncio.gather(write(), read("p", 10**6), read("q", 30), read("q", 3))
        assert readings > 30
        assert len(await keeper.ids("p")) == told["p"] and len(await keeper.ids("q")) == told["q"]


async def test_reading_page_by_page_across_what_is_flushed_and_what_is_not(
    path: Path, maintenance: Maintenance
) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i, data="x" * 98) for i in range(400)])
        await maintenance.flush_once()
        boundary = flushed(path)
        assert 0 < boundary < 400
        for limit, size in ((7, ALL), (ALL, 750), (1, ALL), (ALL, 1)):
            seen: list[int] = []
            while page := await keeper.journal.read_changes("p", len(seen), limit, size):
                assert len(page) <= limit and (len(page) == 1 or sum(len(c.data) for c in page) <= size)
                seen += [c.revision for c in page]
            assert seen == list(range(1, 401))
