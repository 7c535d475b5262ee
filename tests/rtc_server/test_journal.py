# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQLite journal: order, group commit, compaction, and every way in which its file can be bad."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journal_support import Keeper, as_nobody, change, opened
from rtc_support import config_text, eventually

from rtc_server import cli
from rtc_server.journal import Compact, JournalError, JournalInUse, Snapshot, export_import, schema
from rtc_server.journal.verify import verify_journal


async def test_revisions_count_up_for_each_project(path: Path) -> None:
    async with opened(path) as keeper:
        outcomes = await keeper.keep(*[change(i, "pq"[i % 2]) for i in range(10)])
        assert [(o.request.project, o.revision) for o in outcomes] == [("pq"[i % 2], i // 2 + 1) for i in range(10)]
        assert [c.data for c in await keeper.journal.read_changes("q", 2, 2, 10**6)] == ["5", "7"]
        assert await keeper.journal.read_changes("none", 0, 9, 10**6) == []
        head = await keeper.journal.read_head("p")
        assert (head.revision, head.base, head.snapshot) == (5, 0, 0)
        assert (await keeper.journal.read_head("none")) == (head.epoch, 0, 0, 0)


async def test_what_comes_in_one_turn_is_one_batch(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(1000)])
        assert keeper.journal.batches == 1


async def test_it_syncs_before_it_says_so(path: Path) -> None:
    async with opened(path) as keeper:
        db = keeper.writer.open()
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


async def test_a_page_is_bounded_in_bytes_but_never_empty(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i, data="x" * 100) for i in range(10)])
        assert len(await keeper.journal.read_changes("p", 0, 99, 350)) == 3
        assert len(await keeper.journal.read_changes("p", 0, 99, 1)) == 1
        await keeper.keep(*[change(i, "q", data="€" * 100) for i in range(10)])
        assert len(await keeper.journal.read_changes("q", 0, 99, 950)) == 3


async def test_duplicates(path: Path) -> None:
    async with opened(path) as keeper:
        outcomes = await keeper.keep(change(1), change(1), change(2), change(1, data="else"), change(1, user="bob"))
        assert [(o.revision, o.duplicate, o.code) for o in outcomes] == [
            (1, False, ""),
            (1, True, ""),
            (2, False, ""),
            (0, False, "id_reused"),
            (3, False, ""),
        ]
    async with opened(path) as keeper:
        (again,) = await keeper.keep(change(2))
        assert (again.revision, again.duplicate) == (2, True)


async def test_compaction_keeps_what_catching_up_needs(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(20)])
        (outcome,) = await keeper.keep(Compact("p", Snapshot(15, '"s"'), keep=5))
        assert (outcome.revision, outcome.base) == (15, 10)
        assert await keeper.journal.read_snapshot("p") == Snapshot(15, '"s"')
        low = schema.SPAN
        await eventually(
            lambda: (
                sqlite3.connect(path).execute("SELECT min(key) FROM change WHERE data<>''").fetchone()[0] == low + 11
            )
        )
        assert [c.revision for c in await keeper.journal.read_changes("p", 10, 99, 10**6)] == list(range(11, 21))
        (older,) = await keeper.keep(Compact("p", Snapshot(14, "0"), keep=0))
        (later,) = await keeper.keep(Compact("p", Snapshot(21, "0"), keep=0))
        assert older.code == later.code == "stale"
        (retry,) = await keeper.keep(change(3))
        assert (retry.revision, retry.duplicate) == (4, True)
        assert verify_journal(str(path)) == ([], {"projects": 1, "changes": 10, "snapshots": 1})


async def test_two_servers_cannot_have_one_journal(path: Path) -> None:
    async with opened(path):
        with pytest.raises(JournalInUse, match=f"in use by process {os.getpid()}"):
            async with opened(path):
                pass
    async with opened(path):
        pass


# --- bad files: changes are refused, reading goes on, and it recovers when the cause is gone -----------


async def refused_then_taken(keeper: Keeper, mend: Any, match: str) -> None:
    assert keeper.journal.fault is not None and match in keeper.journal.fault
    (outcome,) = await keeper.keep(change(9999))
    assert outcome.code == "unavailable" and str(keeper.journal.path) not in outcome.message
    mend()
    await eventually(lambda: keeper.journal.fault is None)
    (outcome,) = await keeper.keep(change(9999))
    assert outcome.code == "" and not outcome.duplicate


async def test_a_file_of_a_newer_version_is_read_but_not_written(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1))

    def version(number: int) -> None:
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version={number}")

    version(schema.VERSION + 1)
    async with opened(path) as keeper:
        assert [c.id for c in await keeper.journal.read_changes("p", 0, 9, 10**6)] == ["c1"]
        await refused_then_taken(keeper, lambda: version(schema.VERSION), "newer rtc-server")


async def test_a_file_that_is_no_journal(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (x)")
    async with opened(path) as keeper:
        await refused_then_taken(keeper, path.unlink, "not a journal of rtc-server")
    path.write_bytes(b"This is not a database at all. " * 100)
    async with opened(path) as keeper:
        with pytest.raises(JournalError, match="not a database"):
            await keeper.journal.read_head("p")
        await refused_then_taken(keeper, path.unlink, "not a database")


async def test_a_corrupt_file(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i, data="x" * 500) for i in range(500)])
        await keeper.keep(*[change(i, "q") for i in range(5)])
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[4096 * 3 :] = os.urandom(len(whole) - 4096 * 3)
    path.write_bytes(bytes(broken))
    complaints: list[str] = []
    with contextlib.suppress(JournalError):
        complaints = verify_journal(str(path))[0]
        assert complaints
    async with opened(path) as keeper:
        (outcome,) = await keeper.keep(change(501))
        assert outcome.code == "unavailable" and keeper.journal.fault
        with pytest.raises(JournalError):
            await keeper.journal.read_changes("p", 0, 999, 10**9)

        def mend() -> None:
            path.write_bytes(whole)

        await refused_then_taken(keeper, mend, str(path))
        assert len(await keeper.journal.read_changes("p", 0, 999, 10**9)) == 501
    assert verify_journal(str(path))[0] == []


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond; what a write has of it before is written."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


async def test_a_commit_that_fails_counts_for_nobody(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1))
        with files_of_at_most(300_000):
            outcomes = await keeper.keep(change(2, data="x" * 600_000), change(3))
            assert [o.code for o in outcomes] == ["unavailable"] * 2
        await eventually(lambda: keeper.journal.fault is None)
        outcomes = await keeper.keep(change(3), change(2, data="x" * 600_000))
        assert [(o.revision, o.duplicate) for o in outcomes] == [(2, False), (3, False)]
    assert verify_journal(str(path))[0] == []


async def test_new_projects_are_one_transaction(path: Path) -> None:
    """Each would be synced by itself."""
    async with opened(path) as keeper:
        await keeper.keep(change(1))
        changes: list[int] = []
        keeper.writer.open().set_trace_callback(lambda text: changes.append(text == "COMMIT"))
        outcomes = await keeper.keep(*[change(2, project=f"new{i}") for i in range(20)])
        assert [o.revision for o in outcomes] == [1] * 20 and sum(changes) == 1
    assert verify_journal(str(path))[0] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_read_only_directory() -> None:
    """As another user, for whom the file system says no: reading works, writing is refused and recovers."""

    async def main(path: Path) -> None:
        async with opened(path) as keeper:
            await keeper.keep(change(1))
        path.chmod(0o444)
        path.parent.chmod(0o555)
        async with opened(path) as keeper:
            assert [c.id for c in await keeper.journal.read_changes("p", 0, 9, 10**6)] == ["c1"]

            def mend() -> None:
                path.parent.chmod(0o777)
                path.chmod(0o644)

            await refused_then_taken(keeper, mend, "readonly")

    as_nobody(lambda directory: main(directory / "journal.db"))


# --- migrations -------------------------------------------------------------------------------------


async def test_migrations_run_once_and_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path) as keeper:
        await keeper.keep(change(1))
    old = schema.VERSION
    monkeypatch.setattr(schema, "VERSION", old + 1)
    monkeypatch.setitem(schema.MIGRATIONS, old, "ALTER TABLE project ADD COLUMN note TEXT; UPDATE nowhere SET x=1;")
    async with opened(path) as keeper:
        assert keeper.journal.fault is not None and "nowhere" in keeper.journal.fault
        monkeypatch.setitem(schema.MIGRATIONS, old, "ALTER TABLE project ADD COLUMN note TEXT;")
        await eventually(lambda: keeper.journal.fault is None)
        (outcome,) = await keeper.keep(change(2))
        assert outcome.revision == 2
    async with opened(path) as keeper:
        assert keeper.journal.fault is None
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT note FROM project").fetchall() == [(None,)]


# --- export, import, verify -------------------------------------------------------------------------


def config_file(directory: Path) -> str:
    path = directory / "config.toml"
    path.write_text(config_text(directory))
    return str(path)


async def test_a_project_goes_out_and_comes_in_whole(
    path: Path, tmp_path: Path, capsysbinary: Any, monkeypatch: Any
) -> None:
    config = config_file(tmp_path)
    async with opened(path) as keeper:
        await keeper.keep(*[change(i, data={"text": "é😀\u2028", "i": i}) for i in range(10)])
        await keeper.keep(Compact("p", Snapshot(6, '{"s":1}'), keep=2))
        epoch = (await keeper.journal.read_head("p")).epoch
        assert cli.main(["export", "--config", config, "--project", "p"]) == 0  # while the journal is in use
        exported = capsysbinary.readouterr().out
        assert cli.main(["import", "--config", config]) == 1
        assert b"in use by process" in capsysbinary.readouterr().err
    assert cli.main(["export", "--config", config, "--project", "none"]) == 1
    for arguments, status in (([], 1), (["--project", "copy"], 0), (["--replace"], 0)):
        file = tmp_path / "export"
        file.write_bytes(exported)
        with file.open() as text:
            monkeypatch.setattr("sys.stdin", text)
            assert cli.main(["import", "--config", config, *arguments]) == status
    assert b"has a project 'p' already" in capsysbinary.readouterr().err
    assert cli.main(["verify-journal", "--config", config]) == 0
    assert b"2 projects, 12 changes, 2 snapshots: good" in capsysbinary.readouterr().out
    again = "\n".join(export_import.export_project(str(path), "copy")).replace('"copy"', '"p"') + "\n"
    assert again == exported.decode()
    async with opened(path) as keeper:
        assert (await keeper.journal.read_head("p")).epoch != epoch  # clients that knew the old history start over
        (retry,) = await keeper.keep(change(2, data="compacted, so what it was is not known any more"))
        assert (retry.revision, retry.duplicate) == (3, True)


def test_a_bad_export_changes_nothing(path: Path, tmp_path: Path) -> None:
    async def fill() -> None:
        async with opened(path) as keeper:
            await keeper.keep(*[change(i) for i in range(5)])

    asyncio.run(fill())
    lines = list(export_import.export_project(str(path), "p"))
    for bad in (
        [],
        ["{}"],
        ["x"],
        lines[:-1],
        [lines[0], *lines[2:]],
        [*lines[:2], "[]", *lines[3:]],
        [lines[0], lines[2], lines[1], *lines[3:]],
        [*lines[:3], lines[-1]],
    ):
        with pytest.raises(JournalError, match=r"line \d|cut short"):
            export_import.import_project(str(path), bad, name="q")
    assert verify_journal(str(path))[1]["projects"] == 1


async def test_verify_finds_what_is_wrong(path: Path) -> None:
    async with opened(path) as keeper:
        await keeper.keep(*[change(i) for i in range(5)])
    low = schema.SPAN
    for damage, complaint in (
        (f"DELETE FROM change WHERE key={low + 3}", "revision 4 follows 2"),
        (f"UPDATE change SET data='{{' WHERE key={low + 2}", "revision 2: is not JSON"),
        ("UPDATE project SET revision=9", "ends at revision 5, should at 9"),
        ("UPDATE project SET snapshot_revision=2", "snapshot of revision 2 is missing"),
        ("DELETE FROM change_id WHERE id='c4'", "the id of revision 5 is kept for None"),
        ("INSERT INTO change VALUES (99 * (1 << 40), 'i', 'u', 1, '1')", "changes of a project number 99"),
    ):
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(damage)
            db.commit()
        assert any(complaint in wrong for wrong in verify_journal(str(path))[0]), complaint
