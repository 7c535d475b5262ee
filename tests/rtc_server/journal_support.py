# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal's tests share: a started journal, requests, and looks into its files."""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401  names are looked up with it, and nobody may not read it where Python is root's
import os
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from rtc_support import eventually

from rtc_server.journal import Compact, Outcome, Submission, flush, make_label, wal
from rtc_server.journal.record import decode_record, split_batch
from rtc_server.journal.sqlite import SqliteJournal
from rtc_server.journal.writer import Writer
from rtc_server.strict_json import dumps

ALL = 10**9  # more than any test has, in changes and in bytes


class Keeper:
    """A started journal with what it answered."""

    def __init__(self, path: Path) -> None:
        self.writer = Writer(str(path))
        self.journal = SqliteJournal(str(path), self.writer)
        self.outcomes: list[Outcome] = []

    async def keep(self, *requests: Submission | Compact) -> list[Outcome]:
        """Submit in one turn and wait for all outcomes."""
        seen = len(self.outcomes)
        for request in requests:
            assert self.journal.submit(request)
        await self.journal.wait_idle()
        return self.outcomes[seen:]

    async def ids(self, project: str = "p", since: int = 0) -> list[str]:
        changes = await self.journal.read_changes(project, since, ALL, ALL)
        assert [c.revision for c in changes] == list(range(since + 1, since + 1 + len(changes)))
        return [c.id for c in changes]

    def take(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes += outcomes


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Keeper]:
    keeper = Keeper(path)
    await keeper.journal.start(keeper.take)
    try:
        yield keeper
    finally:
        await keeper.journal.close()


def change(number: int, project: str = "p", data: Any = None, user: str = "ann") -> Submission:
    return Submission(
        project, f"c{number}", user, dumps(number if data is None else data), make_label(f"c{number}", user)
    )


def batches(path: Path) -> int:
    """How many batches of the write-ahead log have changes that are not flushed."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        known = dict(db.execute("SELECT number, revision FROM project"))
        texts = [text for _, text in wal.read_batches(db, str(path))]
        return sum([any(c.revision > known[n] for n, c in map(decode_record, split_batch(text))) for text in texts])


def rewrite(path: Path, batches: list[str | None]) -> None:
    """Give a journal a write-ahead log of these batches, which are whole; None leaves one out."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        (log_id,) = db.execute("SELECT value FROM meta WHERE key='log'").fetchone()
    content = b""
    for number, text in enumerate(batches, 1):
        if text is not None:
            batch = wal.encode_batch(bytes.fromhex(log_id), number, 1, text)
            content += batch + bytes(-len(batch) % wal.BLOCK)
    first, second = wal.file_names(str(path))
    Path(first).write_bytes(content)
    Path(second).write_bytes(b"")


def logged(path: Path) -> list[str]:
    """The texts of the batches in its write-ahead log."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [text for _, text in wal.read_batches(db, str(path))]


def flushed(path: Path) -> int:
    return ask(path, "SELECT count(*) FROM change WHERE data<>''")


def ask(path: Path, query: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute(query).fetchone()[0])


def alter(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def copied(path: Path, to: Path) -> Path:
    """What the disk has at this moment, as after a kill: the file, SQLite's WAL and the write-ahead log."""
    to.mkdir()
    for name in (path.name, path.name + "-wal", path.name + "-log0", path.name + "-log1"):
        shutil.copy(path.parent / name, to / name)
    return to / path.name


PEOPLE = ["ann", "Zoë\u2028", 'a "b" \\', "\U0001f600"]


def a_history() -> list[Submission]:
    """Changes of two projects by people with odd names."""
    return [change(i, "pq"[i % 2], {"i": i, "text": "é😀\u2028\n"}, PEOPLE[i % 4]) for i in range(600)]


class Maintenance:
    """Holds the maintenance of all journals until it is released; :meth:`flush_once` lets one flush pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real_run, self._real_flush = Writer.run_maintenance, flush.flush
        self._released = False
        self._flushes = 0
        self._wanted = False
        monkeypatch.setattr(flush, "flush", self._flush)
        # a function, as a bound method would not get the writer
        monkeypatch.setattr(Writer, "run_maintenance", lambda writer: self._run(writer))  # noqa: PLW0108

    def release(self) -> None:
        """From now on everything is done when there is time."""
        self._released = True

    async def flush_once(self) -> None:
        """Let the committing thread flush once: FLUSH_BATCH changes, or what is left of one file of the log."""
        self._wanted = True
        await eventually(lambda: not self._wanted)

    def _flush(self, *arguments: Any) -> None:
        self._real_flush(*arguments)
        self._flushes += 1

    def _run(self, writer: Writer) -> float | None:
        if self._released:
            return self._real_run(writer)
        if self._wanted:
            before = self._flushes
            self._real_run(writer)
            self._wanted = self._flushes == before
        return 0.002


async def as_acknowledged(keeper: Keeper, outcomes: list[Outcome]) -> None:
    """Head and changes are what was acknowledged."""
    for project in {o.request.project for o in outcomes}:
        told = [
            (o.revision, o.request.id, o.request.user, o.time, o.request.data)
            for o in outcomes
            if o.request.project == project
        ]  # type: ignore[union-attr]
        assert [tuple(c) for c in await keeper.journal.read_changes(project, 0, ALL, ALL)] == told
        assert (await keeper.journal.read_head(project)).revision == len(told)


def as_nobody(main: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    """Run it in a process of its own, as a user for whom the file system says no, with a directory that is that
    user's."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, 65534, 65534)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                asyncio.run(main(Path(name)))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
