# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal over years: ids are forgotten, no retry becomes a second change, and space is given back."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from journal_support import ask, change
from old_journal import make_old_journal
from rtc_memory import MemoryClient, MemoryServer
from rtc_support import eventually

from rtc_server.journal import Compact, JournalLimits, Outcome, Snapshot, Submission, backup, export_import, schema
from rtc_server.journal.verify import verify_journal
from rtc_server.journal.writer import Writer

DAY = 86_400


class Clock:
    """The wall clock of writer and upkeep, which tests set ahead."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.days = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.days * DAY)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def rest(writer: Writer) -> None:
    """Let the writer do all that can wait, as after another hour."""
    writer._upkeep._next_round = 0.0
    while (wait := writer.run_maintenance()) is not None:
        time.sleep(wait)


def keep(writer: Writer, *requests: Submission | Compact) -> list[Outcome]:
    outcomes = writer.commit(list(requests))
    assert len(outcomes) == len(requests)
    return outcomes


def again(number: int, since: int) -> Submission:
    request = change(number)
    request.since = since
    return request


@pytest.fixture
def writer(tmp_path: Path, clock: Clock) -> Any:
    made = Writer(str(tmp_path / "journal.db"), JournalLimits(keep_ids_days=30))
    yield made
    made.flush_and_close()
    made.unlock()
    assert verify_journal(made.path)[0] == []


@pytest.mark.parametrize("compacted", [False, True])
def test_old_ids_are_forgotten_and_their_retries_refused(writer: Writer, clock: Clock, compacted: bool) -> None:
    keep(writer, *[change(n) for n in range(10)])
    if compacted:
        keep(writer, Compact("p", Snapshot(10, '"s"'), 2))
    rest(writer)
    clock.days = 20
    keep(writer, *[change(n) for n in range(10, 15)])
    rest(writer)
    clock.days = 29
    rest(writer)
    assert [o.duplicate for o in keep(writer, *[again(n, 0) for n in range(15)])] == [True] * 15
    clock.days = 31
    rest(writer)
    path = Path(writer.path)
    assert ask(path, "SELECT forgotten FROM project") == 10
    assert ask(path, "SELECT count(*) FROM change_id") == 5
    codes = [o.code or o.duplicate for o in keep(writer, *[again(n, 0) for n in range(15)])]
    assert codes == ["unknown_id"] * 10 + [True] * 5
    assert [o.code for o in keep(writer, again(99, 9), again(98, 10), change(97))] == ["unknown_id", "", ""]
    clock.days = 80
    rest(writer)
    assert ask(path, "SELECT count(*) FROM change_id") == 0
    assert ask(path, "SELECT count(*) FROM change") == (9 if compacted else 17)


def test_a_refused_retry_stays_refused_after_a_restart(writer: Writer, clock: Clock) -> None:
    keep(writer, *[change(n) for n in range(10)])
    rest(writer)
    clock.days = 31
    rest(writer)
    writer.close()
    assert [o.code for o in keep(writer, again(3, 2), again(11, 10))] == ["unknown_id", ""]


def test_an_export_takes_along_what_is_forgotten(writer: Writer, clock: Clock, tmp_path: Path) -> None:
    keep(writer, *[change(n) for n in range(10)])
    rest(writer)
    clock.days = 31
    rest(writer)
    keep(writer, *[change(n) for n in range(10, 20)], Compact("p", Snapshot(20, "1"), 2))
    rest(writer)
    other = str(tmp_path / "other.db")
    export_import.import_project(other, export_import.export_project(writer.path, "p"))
    assert verify_journal(other)[0] == []
    copy = Writer(other, JournalLimits(keep_ids_days=30))
    answers = keep(copy, again(3, 2), again(15, 2), again(18, 2))
    assert [o.code or o.duplicate for o in answers] == ["unknown_id", True, True]
    copy.flush_and_close()
    copy.unlock()


def test_ids_of_an_older_schema_count_from_its_upgrade(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "journal.db"
    writer = Writer(str(path), JournalLimits(keep_ids_days=30))
    keep(writer, *[change(n) for n in range(10)], Compact("p", Snapshot(10, "1"), 2))
    writer.flush_and_close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM change WHERE data=''")
        db.execute("ALTER TABLE project DROP COLUMN forgotten")
        db.execute("PRAGMA user_version=2")
        db.commit()
    assert verify_journal(str(path))[0] == []
    keep(writer, change(10))
    rest(writer)
    assert ask(path, "SELECT count(*) FROM change WHERE data=''") == 8
    clock.days = 31
    rest(writer)
    assert [o.code for o in keep(writer, again(1, 0))] == ["unknown_id"]
    assert ask(path, "SELECT count(*) FROM change_id") == 0
    writer.flush_and_close()
    writer.unlock()
    assert verify_journal(str(path))[0] == []


async def ask_server(server: MemoryServer, client: MemoryClient, event: str, body: Any) -> Any:
    """The answer to a request."""
    number = await client.request(event, body)

    def answered() -> bool:
        client.receive()
        return number in client.answers

    await eventually(answered)
    return client.answers[number]


async def test_a_client_learns_it(tmp_path: Path) -> None:
    """By the revision that it joined with, or by the one that the change names."""
    server = MemoryServer(tmp_path)
    await server.start()
    client = MemoryClient(server, "ann", "ws4")
    await client.connect()
    await ask_server(server, client, "join", {"project": "p"})
    for n in range(3):
        assert (await ask_server(server, client, "change", {"project": "p", "id": f"i{n}", "data": n}))["ok"]
    await server.stop()
    path = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM change_id")
        db.execute("UPDATE project SET forgotten=3")
        db.commit()
    server = MemoryServer(tmp_path)
    await server.start()
    client = MemoryClient(server, "ann", "ws4")
    await client.connect()
    await ask_server(server, client, "join", {"project": "p", "since": 2})
    answer = await ask_server(server, client, "change", {"project": "p", "id": "i2", "data": 2})
    assert (answer["ok"], answer["code"]) == (False, "unknown_id")
    answer = await ask_server(server, client, "change", {"project": "p", "id": "i3", "data": 3, "since": 3})
    assert answer == {"ok": True, "revision": 4}
    await ask_server(server, client, "join", {"project": "p", "since": 4})
    answer = await ask_server(server, client, "change", {"project": "p", "id": "i2", "data": 2, "since": 2})
    assert answer["code"] == "unknown_id"
    assert (await ask_server(server, client, "change", {"project": "p", "id": "i4", "data": 4}))["revision"] == 5
    await server.stop()


def test_space_is_given_back(writer: Writer) -> None:
    path = Path(writer.path)
    for start in range(0, 8000, 500):
        keep(writer, *[change(n, data="x" * 4000) for n in range(start, start + 500)])
    rest(writer)
    assert path.stat().st_size > 31 << 20
    keep(writer, Compact("p", Snapshot(8000, '"s"'), 10))
    rest(writer)
    writer.flush_and_close()
    assert path.stat().st_size < 8 << 20


def test_compact_makes_an_older_file_small_and_keeps_it_so(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA auto_vacuum=NONE")
        db.execute("PRAGMA journal_mode=WAL")
    writer = Writer(str(path))
    for start in range(0, 4000, 500):
        keep(writer, *[change(n, data="x" * 4000) for n in range(start, start + 500)])
    keep(writer, *[change(n, "q") for n in range(9)])
    writer.flush_and_close()
    writer.unlock()
    assert ask(path, "PRAGMA auto_vacuum") == 0
    backup.delete_project(str(path), "p")
    before, after = backup.compact(str(path))
    assert before > 15 << 20 and after == path.stat().st_size < 1 << 20
    assert ask(path, "PRAGMA auto_vacuum") == schema.INCREMENTAL
    assert verify_journal(str(path)) == ([], {"projects": 2, "changes": 9, "snapshots": 0})


def test_a_year(tmp_path: Path) -> None:
    """Short: 20,000 changes in 100 projects; after some rounds only those of the last 30 days have their ids."""
    path = tmp_path / "journal.db"
    make_old_journal(str(path), 100, 20_000)
    assert verify_journal(str(path)) == ([], {"projects": 100, "changes": 20_000, "snapshots": 0})
    writer = Writer(str(path), JournalLimits(keep_ids_days=30))
    writer.open()
    while (wait := writer.run_maintenance()) is not None:
        time.sleep(wait)
    left = ask(path, "SELECT count(*) FROM change_id")
    assert 20_000 * 29 / 365 < left < 20_000 * 31 / 365
    writer.flush_and_close()
    writer.unlock()
    assert verify_journal(str(path))[0] == []
