# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``rtc-server move``: all projects of an embedded journal into a store, compared, and again after a power cut."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import json
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journal_support import change, opened
from postgres_support import Postgres, opened_store
from rtc_support import config_text

from rtc_server import cli, moving
from rtc_server.journal import Compact, Snapshot, export_import, schema, wal
from rtc_server.journal.lock import Lock
from rtc_server.journal.writer import JournalRequest
from rtc_server.store_postgres import transfer
from rtc_server.store_postgres.connections import Store


def keep(where: Path | Store, *requests: JournalRequest) -> None:
    """Have a journal keep them, and be closed."""

    async def work() -> None:
        async with opened_store(where) if isinstance(where, Store) else opened(where) as keeper:
            await keeper.keep(*requests)

    asyncio.run(work())


class Place:
    """A journal, a store of its own, and the command that moves from one to the other."""

    def __init__(self, postgres: Postgres, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self.capsys = directory, capsys
        database = f"move{len(postgres.query('SELECT 1 FROM pg_database'))}"
        postgres.make_database(database)
        self.store = postgres.store(database)
        self.journal = directory / "journal.db"
        journal = {"path": None, "store_url": postgres.url(database), "store_password": self.store.password}
        (directory / "old.toml").write_text(config_text(directory))
        (directory / "new.toml").write_text(config_text(directory, journal=journal))

    def fill(self, **projects: int) -> None:
        """As many changes in each."""
        keep(self.journal, *[change(at, name) for name, number in projects.items() for at in range(1, number + 1)])

    def move(self, *arguments: str) -> tuple[int, str]:
        old, new = str(self.directory / "old.toml"), str(self.directory / "new.toml")
        status = cli.main(["move", "--config", old, *arguments, new])
        out, err = self.capsys.readouterr()
        return status, out + err

    def is_same(self, project: str) -> bool:
        ours = list(export_import.export_project(str(self.journal), project))
        return ours == list(transfer.export_project(self.store, project))

    def digest(self) -> list[tuple[str, str]]:
        """The journal's files; of the lock only that it is there. SQLite's own two come with whoever reads."""
        files = [one for one in sorted(self.directory.glob("journal.db*")) if not one.name.endswith(("-wal", "-shm"))]
        return [
            (one.name, "" if one.suffix == ".lock" else hashlib.sha256(one.read_bytes()).hexdigest()) for one in files
        ]


@pytest.fixture
def place(postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(postgres, tmp_path, capsys)


def test_all_projects_move_and_the_journal_stays_as_it_is(place: Place) -> None:
    place.fill(a=3, b=2500)
    before = place.digest()
    assert place.move() == (0, "a: moved, up to revision 3\nb: moved, up to revision 2500\n")
    assert place.is_same("a") and place.is_same("b")
    assert place.digest() == before
    assert place.move() == (0, "a: is there, up to revision 3\nb: is there, up to revision 2500\n")


def test_what_is_skipped_stays(place: Place) -> None:
    place.fill(a=1, checks=1)
    assert place.move("--skip", "checks") == (0, "a: moved, up to revision 1\n")
    assert [name for name, *_ in transfer.list_projects(place.store)] == ["a"]


def test_a_move_that_was_cut_short_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fill(a=3, b=4, c=5)
    whole = transfer.import_project

    def fail(store: Any, lines: Any, **options: Any) -> Any:
        head, *rest = lines
        if '"project":"b"' in head:
            raise KeyboardInterrupt
        return whole(store, [head, *rest], **options)

    monkeypatch.setattr(transfer, "import_project", fail)
    with pytest.raises(KeyboardInterrupt):
        place.move()
    monkeypatch.undo()
    place.capsys.readouterr()
    expected = "a: is there, up to revision 3\nb: moved, up to revision 4\nc: moved, up to revision 5\n"
    assert place.move() == (0, expected)


def test_another_project_of_the_same_name_is_not_touched(place: Place) -> None:
    place.fill(a=2, b=2)
    other = place.directory / "other.db"
    keep(other, change(1, "b", data="others"), change(2, "b"))
    transfer.import_project(place.store, export_import.export_project(str(other), "b"))
    status, words = place.move()
    assert (status, "project 'b': the store has another project of that name (line 2" in words) == (1, True)
    assert list(transfer.export_project(place.store, "b")) == list(export_import.export_project(str(other), "b"))


def go_on(place: Place, *numbers: int) -> None:
    keep(place.journal, *[change(at, "a") for at in numbers])


def test_what_the_journal_got_since_an_earlier_move_is_moved_too(place: Place) -> None:
    place.fill(a=3, b=2)
    assert place.move()[0] == 0
    go_on(place, 4, 5)
    assert place.move() == (0, "a: moved, up to revision 5\nb: is there, up to revision 2\n")
    assert place.is_same("a")


def test_a_journal_that_was_compacted_since_an_earlier_move_is_moved_too(place: Place) -> None:
    place.fill(a=30)
    assert place.move()[0] == 0
    keep(place.journal, *[change(at, "a") for at in range(31, 51)])
    keep(place.journal, Compact("a", Snapshot(45, '{"s": 1}'), keep=2))
    assert place.move() == (0, "a: moved, up to revision 50\n")
    assert place.is_same("a")


def test_what_the_store_got_since_an_earlier_move_stays(place: Place) -> None:
    place.fill(a=3)
    assert place.move()[0] == 0
    keep(place.store, change(4, "a", user="bob"))
    before = list(transfer.export_project(place.store, "a"))
    assert place.move() == (0, "a: is there, up to revision 3\n")
    assert list(transfer.export_project(place.store, "a")) == before


def test_what_both_went_on_with_is_not_replaced(place: Place) -> None:
    place.fill(a=3)
    assert place.move()[0] == 0
    keep(place.store, change(99, "a", user="bob"))
    go_on(place, 4, 5)
    before = list(transfer.export_project(place.store, "a"))
    status, words = place.move()
    assert status == 1 and "another project of that name" in words
    assert list(transfer.export_project(place.store, "a")) == before


def test_a_compacted_project_with_forgotten_ids_is_the_same(place: Place) -> None:
    keep(place.journal, *[change(at) for at in range(1, 101)])
    keep(place.journal, Compact("p", Snapshot(90, '{"s": 1}'), keep=20))
    assert place.move()[0] == 0
    assert place.is_same("p")


def test_a_journal_that_a_server_uses_is_not_moved(place: Place) -> None:
    place.fill(a=1)
    lock = Lock(str(place.journal))
    try:
        status, words = place.move()
    finally:
        lock.release()
    assert status == 1 and "journal.db" in words
    assert transfer.list_projects(place.store) == []


def test_no_journal_is_made_to_be_moved(place: Place) -> None:
    assert place.move() == (1, f"{place.journal}: there is no journal\n")
    assert place.digest() == []


def test_a_move_needs_a_store(place: Place) -> None:
    place.fill(a=1)
    (place.directory / "new.toml").write_text(config_text(place.directory))
    status, words = place.move()
    assert status == 1 and "new.toml: journal.store_url: is missing" in words


def test_a_server_serves_what_was_moved(place: Place) -> None:
    place.fill(p=7)
    assert place.move()[0] == 0

    async def read() -> list[str]:
        async with opened_store(place.store) as keeper:
            await keeper.hall.load("p")
            return [one.id for one in await keeper.journal.read_changes("p", 0, 100, 10**6)]

    assert asyncio.run(read()) == [f"c{at}" for at in range(1, 8)]


def test_an_empty_project_of_the_store_is_replaced(place: Place, postgres: Postgres) -> None:
    place.fill(a=2)
    lines = [
        '{"format":"rtc-journal/1","project":"a","revision":0,"base":0,"forgotten":0,"snapshot":null}',
        '{"end":1}',
    ]
    transfer.import_project(place.store, lines)
    assert place.move() == (0, "a: moved, up to revision 2\n")


HEAD = '{"format":"f","project":"p","revision":9,"base":%d,"forgotten":%d,"snapshot":null}'


def one(revision: int, id: str, **more: object) -> str:
    values = {"revision": revision, "id": id, "user": "ann", "time": 1, **more}
    return json.dumps(values, separators=(",", ":"))


AB = [HEAD % (0, 0), one(8, "a", data=1), one(9, "b", data=2)]


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [
        ([*AB, one(10, "c", data=3)], AB, True),
        (AB, AB, True),
        ([HEAD % (9, 0), one(10, "c", data=3), one(8, "a"), one(9, "b")], AB, True),  # compacted since
        ([HEAD % (9, 8), one(10, "c", data=3), one(9, "b")], AB, True),  # and the older id forgotten since
        ([HEAD % (9, 0), one(10, "c", data=3), one(9, "b")], AB, False),  # one is missing
        ([HEAD % (9, 0), one(10, "c", data=3)], AB, False),  # and forgotten since: nobody knows
        ([*AB[:2], one(9, "x", data=2), one(10, "c", data=3)], AB, False),
        ([*AB[:2], one(9, "b", data=7), one(10, "c", data=3)], AB, False),
        ([AB[0], one(8, "a", data=7), AB[2], one(10, "c", data=3)], AB, False),
        (AB[:2], AB, False),
        ([*AB[:1], *AB[2:]], AB, False),
    ],
)
def test_which_export_is_later(later: list[str], earlier: list[str], expected: bool) -> None:
    assert moving.is_later([*later, '{"end":1}'], [*earlier, '{"end":3}']) is expected


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ([HEAD % (4, 6), "a"], [HEAD % (4, 4), "a"], 0),  # ids of whole changes are known with them
        ([HEAD % (4, 2), "a"], [HEAD % (4, 4), "a"], 1),
        ([HEAD % (4, 4), "a"], [HEAD % (5, 4), "a"], 1),
        ([HEAD % (4, 4), "a", "b"], [HEAD % (4, 4), "a"], 3),
        ([HEAD % (4, 4), "a"], [HEAD % (4, 4), "a", "b"], 3),
        ([HEAD % (4, 4)], [], 1),
        ([HEAD % (4, 4), one(3, "a", time=0)], [HEAD % (4, 4), one(3, "a", time=9)], 0),  # of an older release
        ([HEAD % (4, 4), one(3, "a", time=0)], [HEAD % (4, 4), one(3, "b", time=9)], 2),
        ([HEAD % (4, 4), one(5, "a", time=0, data=1)], [HEAD % (4, 4), one(5, "a", time=9, data=1)], 2),
    ],
)
def test_exports_that_differ(old: list[str], new: list[str], line: int) -> None:
    assert moving.find_difference(old, new) == line


def test_a_journal_of_an_older_release_is_moved(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know since when its compacted changes are there."""
    with monkeypatch.context() as older:
        older.setattr(schema, "VERSION", 2)
        with contextlib.closing(schema.connect(str(place.journal), write=True)) as db:
            schema.prepare(db, str(place.journal))
            db.execute("INSERT INTO project (number, name, revision, base, snapshot_revision, snapshot)"
                       " VALUES (1, 'a', 4, 2, 2, '{}')")  # fmt: skip
            for at in range(1, 5):
                db.execute("INSERT INTO change_id VALUES (1, 'ann', ?, ?)", (f"c{at}", at))
            for at in (3, 4):
                db.execute("INSERT INTO change VALUES (?, ?, 'ann', 5, '1')", (schema.SPAN + at, f"c{at}"))
    assert place.move() == (0, "a: moved, up to revision 4\n")
    head, *changes, _ = map(json.loads, transfer.export_project(place.store, "a"))
    assert (head["base"], sorted(one["id"] for one in changes)) == (2, ["c1", "c2", "c3", "c4"])


def test_another_node_may_go_on_with_what_was_just_moved(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fill(a=3)
    whole = transfer.import_project

    def import_and_go_on(store: Any, lines: Any, **options: Any) -> Any:
        done = whole(store, lines, **options)

        async def work() -> None:
            async with opened_store(place.store) as keeper:
                await keeper.keep(change(4, "a", user="bob"))

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, work()).result()
        return done

    monkeypatch.setattr(transfer, "import_project", import_and_go_on)
    assert place.move() == (0, "a: moved, up to revision 3\n")
    assert [row[:2] for row in transfer.list_projects(place.store)] == [("a", 4)]


def test_what_the_store_gets_while_it_is_compared_is_not_replaced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fill(a=3)
    assert place.move()[0] == 0
    go_on(place, 4, 5)
    whole = moving._has_all

    def compare_and_go_on(*arguments: Any) -> bool:
        found = whole(*arguments)

        async def work() -> None:
            async with opened_store(place.store) as keeper:
                await keeper.keep(change(99, "a", user="bob"))

        asyncio.run(work())
        return found

    monkeypatch.setattr(moving, "_has_all", compare_and_go_on)
    assert place.move() == (1, "the store's project 'a' was changed meanwhile: move once more\n")
    assert '"c99"' in "".join(transfer.export_project(place.store, "a"))


def test_large_changes_come_in_pages_that_fit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_PAGE_BYTES", 1000)
    place.fill(a=500)
    assert place.move() == (0, "a: moved, up to revision 500\n") and place.is_same("a")


@pytest.mark.parametrize(
    ("ending", "make"),
    [(ending, make) for ending in ("", "-wal", "-shm", "-log0", "-log1") for make in (os.mkfifo, os.mkdir)]
    + [(ending, lambda name: os.symlink("/etc/hostname", name)) for ending in ("-wal", "-shm", "-log0", "-log1")],
)
@pytest.mark.timeout(30)
def test_what_is_no_file_is_not_read(place: Place, ending: str, make: Callable[[str], None]) -> None:
    """Whoever may write there could let root wait for ever, or read what is not the journal's."""
    place.fill(a=1)
    name = f"{place.journal}{ending}"
    Path(name).unlink(missing_ok=True)
    make(name)
    remedy = "remove it" if ending else "name a file in journal.path"
    assert place.move() == (1, f"{name} is a directory, pipe, link or device, and is not read: {remedy}\n")
    assert cli.main(["list-projects", "--config", str(place.directory / "old.toml")]) == 1
    assert "is not read" in place.capsys.readouterr().err
    assert transfer.list_projects(place.store) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_root_follows_no_link_of_another_user_to_what_is_not_that_users(place: Place) -> None:
    place.fill(a=1)
    other = place.directory / "other"
    other.mkdir()
    for file in place.directory.glob("journal.db*"):
        file.rename(other / file.name)
    place.journal.symlink_to("other/journal.db")
    assert place.move()[0] == 0  # root's own link
    os.chown(place.journal, 65534, 65534, follow_symlinks=False)
    status, words = place.move()
    assert status == 1 and "is a link of another user's" in words
    os.chown(other / "journal.db", 65534, 65534)
    assert place.move()[0] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_root_leaves_no_lock_that_the_server_cannot_open(place: Place) -> None:
    place.fill(a=1)
    lock = place.directory / "journal.db.lock"
    lock.unlink()
    os.chown(place.directory, 65534, 65534)
    assert place.move()[0] == 0
    assert lock.stat().st_uid == 65534


def test_a_full_disk_aside_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.fill(a=1)
    for number in range(2):
        monkeypatch.setenv("TMPDIR", "/nowhere")
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
        monkeypatch.setattr((export_import, transfer)[number], "_IN_MEMORY", 1)
        status, words = place.move()
        assert status == 1 and "cannot be put aside in /nowhere" in words
        monkeypatch.undo()


def test_a_journal_without_tables_has_no_projects(place: Place) -> None:
    """A server that found no room for them leaves it so."""
    place.journal.touch()
    assert cli.main(["list-projects", "--config", str(place.directory / "old.toml")]) == 0
    assert place.capsys.readouterr().out == ""
    assert place.move() == (0, "")


def test_a_large_project_is_not_held_in_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with opened(place.journal) as keeper:
            for at in range(1, 401):
                await keeper.keep(change(at, "a", data="x" * 50_000))

    asyncio.run(work())
    monkeypatch.setattr(export_import, "_IN_MEMORY", 1_000)
    monkeypatch.setattr(export_import, "_PIECE", 4)
    tracemalloc.start()
    try:
        lines = sum(1 for _ in export_import.export_project(str(place.journal), "a"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == 402 and peak < 4 << 20


def test_the_log_of_a_server_that_was_killed_is_read_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each project: its users wait."""

    async def work() -> None:
        async with opened(place.journal) as keeper:
            keeper.writer.flush_and_close = keeper.writer.close  # type: ignore[method-assign]
            for name in "abcdefgh":
                await keeper.keep(change(1, name), change(2, name))

    asyncio.run(work())
    read: list[str] = []
    whole = wal.read_batches

    def count(db: Any, path: str) -> Any:
        read.append(path)
        return whole(db, path)

    monkeypatch.setattr(wal, "read_batches", count)
    status, words = place.move()
    assert (status, words.count("moved, up to revision 2")) == (0, 8)
    assert len([path for path in read if path == str(place.journal)]) == 2  # for the list, and for all exports
    assert all(place.is_same(name) for name in "abcdefgh")
