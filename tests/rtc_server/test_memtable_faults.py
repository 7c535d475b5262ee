# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are not flushed yet, in a file that cannot be written, that is damaged, or that an older version
wrote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journal_support import (
    ALL,
    Keeper,
    Maintenance,
    a_history,
    alter,
    as_acknowledged,
    as_nobody,
    ask,
    batches,
    change,
    copied,
    flushed,
    logged,
    opened,
    rewrite,
)
from rtc_support import eventually

from rtc_server.journal import Compact, JournalError, Snapshot, export_import, flush, schema, sqlite, writer
from rtc_server.journal.verify import verify_journal

pytestmark = pytest.mark.usefixtures("soon")


# --- files that cannot be written, and flushing that fails --------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
@pytest.mark.parametrize("with_sqlite_wal", [False, True])
def test_a_file_that_cannot_be_written_is_read_with_what_is_not_flushed(with_sqlite_wal: bool) -> None:
    """As another user. ``with_sqlite_wal``: SQLite's WAL is there, too, as after a kill."""

    async def main(directory: Path) -> None:
        path = directory / "journal.db"
        writer.Writer.run_maintenance = lambda self: None  # type: ignore[method-assign] # this is a process of its own
        keeper = Keeper(path)
        await keeper.journal.start(keeper.take)
        outcomes = await keeper.keep(*a_history())
        assert flushed(path) == 0
        if with_sqlite_wal:
            copy = copied(path, directory / "killed")
            with contextlib.closing(sqlite3.connect(copy)) as db:  # makes -shm, which cannot be made later
                assert db.execute("SELECT count(*) FROM project").fetchone() == (2,)
                for name in ("-wal", "-shm"):
                    shutil.copy(f"{copy}{name}", f"{directory}/kept{name}")
            for name in ("-wal", "-shm"):
                os.replace(f"{directory}/kept{name}", f"{copy}{name}")
        else:
            await keeper.journal.close()
            copy = directory / "killed" / "journal.db"
            copy.parent.mkdir()
            for name in ("", "-log0", "-log1"):
                shutil.copy(f"{path}{name}", f"{copy}{name}")
        for file in copy.parent.iterdir():
            file.chmod(0o444)
        copy.parent.chmod(0o555)
        async with opened(copy) as keeper:
            assert keeper.journal.fault is not None
            await as_acknowledged(keeper, outcomes)
            assert (await keeper.keep(change(1000)))[0].code == "unavailable"
        assert verify_journal(str(copy)) == ([], {"projects": 2, "changes": 600, "snapshots": 0})
        async with opened(copy) as keeper:
            copy.parent.chmod(0o777)
            for file in copy.parent.iterdir():
                file.chmod(0o644)
            await eventually(lambda: keeper.journal.fault is None)
            await as_acknowledged(keeper, outcomes)
            assert (await keeper.keep(change(1000)))[0].revision == 301
        if with_sqlite_wal:
            os._exit(0)

    as_nobody(main)


FAULTS = [
    sqlite3.OperationalError("disk I/O error"),
    sqlite3.DatabaseError("database disk image is malformed"),
    OSError(28, "No space left"),
    RuntimeError("a bug"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("where", ["enforce_backlog_limit", "run_maintenance"])
@pytest.mark.parametrize("half", [False, True])
async def test_a_flush_that_fails_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, where: str, half: bool
) -> None:
    """Before its transaction has done anything, and after it has done all but the COMMIT."""
    real = flush.flush
    attempts: list[int] = []

    def failing(db: sqlite3.Connection, pending: Any) -> Any:
        attempts.append(len(pending))
        if len(attempts) <= 2:
            if half:
                real(db, pending)
            raise fault
        return real(db, pending)

    monkeypatch.setattr(flush, "flush", failing)
    monkeypatch.setattr(sqlite, "_IDLE", 0.005)
    if where == "enforce_backlog_limit":
        monkeypatch.setattr(writer, "MAX_UNFLUSHED", 10)
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*a_history()[:100])
        assert [o.code for o in outcomes] == [""] * 100  # they were durable before
        await eventually(lambda: len(attempts) > 2 and keeper.journal.fault is None)  # it recovered twice
        await as_acknowledged(keeper, outcomes)
        again = await keeper.keep(*a_history()[:100], change(1000))
        assert [(o.code, o.revision, o.duplicate) for o in again[:100]] == [("", o.revision, True) for o in outcomes]
        assert again[100].revision == 51
        await eventually(lambda: batches(path) == 0)
        await as_acknowledged(keeper, [*outcomes, again[100]])
    assert verify_journal(str(path))[0] == [] and flushed(path) == 101


async def test_reading_goes_on_while_flushing_fails(
    path: Path, monkeypatch: pytest.MonkeyPatch, maintenance: Maintenance
) -> None:
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*a_history())

        def failing(*_: Any) -> Any:
            raise sqlite3.OperationalError("disk I/O error")

        real = schema.connect
        monkeypatch.setattr(flush, "flush", failing)
        maintenance.release()
        await eventually(lambda: keeper.journal.fault is not None)
        monkeypatch.setattr(
            schema, "connect", lambda path, write=False, **o: failing() if write else real(path, write=write, **o)
        )
        await as_acknowledged(keeper, outcomes)
        assert (await keeper.keep(change(1000)))[0].code == "unavailable"
        monkeypatch.undo()
        await eventually(lambda: keeper.journal.fault is None)
        assert (await keeper.keep(change(1000)))[0].revision == 301
        await as_acknowledged(keeper, [*outcomes, keeper.outcomes[-1]])


# --- damage ------------------------------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[str], str | None]] = {
    "emptied": lambda text: "",
    "cut short": lambda text: text[:-3],
    "cut at a line": lambda text: text[: text.index("\n") + 1],
    "something else": lambda text: "hello\nworld\n",
    "no label": lambda text: "1 3 5 7\n1\n",
    "half a label": lambda text: text.replace('"user"', '"usr"'),
    "no such project": lambda text: text.replace("1 3 ", "99 3 "),
    "another revision": lambda text: text.replace("1 3 ", "1 4 "),
    "gone": lambda text: None,
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_batch(path: Path, tmp_path: Path, maintenance: Maintenance, damage: str) -> None:
    """It is reported by number, nothing is kept on top of it, and the server lives."""
    async with opened(path) as keeper:
        for i in range(0, 6, 2):
            await keeper.keep(change(i), change(i + 1))
        copy = copied(path, tmp_path / "killed")
    maintenance.release()
    async with opened(path) as keeper:
        assert len(await keeper.ids()) == 6
    good = path.read_bytes()  # of a server that was stopped: it needs no log
    first, second, third = logged(copy)
    rewrite(copy, [first, DAMAGE[damage](second), third])
    message = r"batch \d of the journal's write-ahead log is damaged: restore a copy or an export"
    assert any(re.search(message, wrong) for wrong in verify_journal(str(copy))[0])
    with pytest.raises(JournalError, match=message):
        export_import.new_epoch(str(copy))
    with pytest.raises(JournalError, match=message):
        list(export_import.export_project(str(copy), "p"))
    async with opened(copy) as keeper:
        assert re.search(message, keeper.journal.fault or "")
        (outcome,) = await keeper.keep(change(9))
        assert outcome.code == "unavailable"
        with pytest.raises(JournalError):
            await keeper.journal.read_changes("p", 0, ALL, ALL)
        for name in ("", "-wal", "-shm"):
            Path(f"{copy}{name}").unlink(missing_ok=True)
        copy.write_bytes(good)  # the log is not its own, so it does not count
        await eventually(lambda: keeper.journal.fault is None)
        (outcome,) = await keeper.keep(change(9))
        assert outcome.revision == 7
    assert verify_journal(str(copy))[0] == []


async def test_data_of_a_batch_that_are_no_json(path: Path, maintenance: Maintenance) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1), change(2, data={"a": 1}))
    rewrite(path, [text.replace('{"a":1}', '{"a":') for text in logged(path)])
    assert any("revision 2: is not JSON" in wrong for wrong in verify_journal(str(path))[0])


# --- files of version 1 --------------------------------------------------------------------------------------


@pytest.fixture
def old(path: Path) -> Iterator[Path]:
    """A file as the version before wrote it: it knows no log."""

    async def fill() -> None:
        async with opened(path) as keeper:
            await keeper.keep(*a_history(), Compact("p", Snapshot(100, '"s"'), keep=0))

    asyncio.run(fill())
    alter(
        path,
        "DELETE FROM change WHERE key<=(1<<40)+100",
        "ALTER TABLE project DROP COLUMN forgotten",
        "PRAGMA user_version=1",
    )
    yield path


def test_a_file_of_version_1_is_read_as_it_is(old: Path) -> None:
    assert verify_journal(str(old)) == ([], {"projects": 2, "changes": 500, "snapshots": 1})
    assert len(list(export_import.export_project(str(old), "q"))) == 302
    assert ask(old, "PRAGMA user_version") == 1


def test_a_file_of_version_1_is_brought_up_to_date(old: Path) -> None:
    async def main() -> None:
        async with opened(old) as keeper:
            assert keeper.journal.fault is None
            assert len(await keeper.ids("q")) == 300 and len(await keeper.ids("p", 100)) == 200
            again = await keeper.keep(*a_history())
            assert all(o.duplicate for o in again)
            assert (await keeper.keep(change(1000)))[0].revision == 301

    asyncio.run(main())
    assert ask(old, "PRAGMA user_version") == schema.VERSION and batches(old) == 0
    assert verify_journal(str(old)) == ([], {"projects": 2, "changes": 501, "snapshots": 1})


@pytest.mark.parametrize(
    "work", [export_import.new_epoch, lambda path: export_import.import_project(path, [], name="x")]
)
def test_a_file_of_version_1_that_is_worked_on(old: Path, work: Callable[[str], Any]) -> None:
    with contextlib.suppress(JournalError):
        work(str(old))
    assert ask(old, "PRAGMA user_version") == schema.VERSION
    assert verify_journal(str(old))[0] == []
