# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal's tests share: a started journal, requests, and looks into its file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from rtc_server.journal import Compact, Outcome, Submission, arrivals, label, log
from rtc_server.journal.sqlite import SqliteJournal
from rtc_server.strict_json import dumps

ALL = 10**9  # more than any test has, in changes and in bytes


class Log:
    """A started journal with what it answered."""

    def __init__(self, path: Path) -> None:
        self.journal = SqliteJournal(str(path))
        self.outcomes: list[Outcome] = []

    async def keep(self, *requests: Submission | Compact) -> list[Outcome]:
        """Submit in one turn and wait for all outcomes."""
        seen = len(self.outcomes)
        for request in requests:
            assert self.journal.submit(request)
        await self.journal.idle()
        return self.outcomes[seen:]

    async def ids(self, project: str = "p", since: int = 0) -> list[str]:
        changes = await self.journal.changes(project, since, ALL, ALL)
        assert [c.revision for c in changes] == list(range(since + 1, since + 1 + len(changes)))
        return [c.id for c in changes]

    def take(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes += outcomes


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Log]:
    log = Log(path)
    await log.journal.start(log.take)
    try:
        yield log
    finally:
        await log.journal.close()


def change(number: int, project: str = "p", data: Any = None, user: str = "ann") -> Submission:
    return Submission(project, f"c{number}", user, dumps(number if data is None else data), label(f"c{number}", user))


def batches(path: Path) -> int:
    """Batches of the log that have something that is not filed."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        known = dict(db.execute("SELECT number, revision FROM project"))
        texts = [text for _, text in log.read(db, str(path))]
        return sum([any(c.revision > known[n] for n, c in map(arrivals.parsed, arrivals.rows(text))) for text in texts])


def rewrite(path: Path, batches: list[str | None]) -> None:
    """Give a journal a log of these batches, which are whole; None leaves one out."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        (name,) = db.execute("SELECT value FROM meta WHERE key='log'").fetchone()
    written = log.Log(str(path), bytes.fromhex(name))
    for text in batches:
        written.append(text or "")
        if text is None:  # as if it had never been written
            written._offset -= log._BLOCK
    written.close()


def logged(path: Path) -> list[str]:
    """The batches of its log."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [text for _, text in log.read(db, str(path))]


def filed(path: Path) -> int:
    return ask(path, "SELECT count(*) FROM change")


def ask(path: Path, query: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute(query).fetchone()[0])


def alter(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def copied(path: Path, to: Path) -> Path:
    """What the disk has at this moment, as after a kill: the file, SQLite's log and ours."""
    to.mkdir()
    for name in (path.name, path.name + "-wal", path.name + "-log0", path.name + "-log1"):
        shutil.copy(path.parent / name, to / name)
    return to / path.name


PEOPLE = ["ann", "Zoë\u2028", 'a "b" \\', "\U0001f600"]


def a_history() -> list[Submission]:
    """Changes of two projects by people with odd names."""
    return [change(i, "pq"[i % 2], {"i": i, "text": "é😀\u2028\n"}, PEOPLE[i % 4]) for i in range(600)]


async def as_acknowledged(log: Log, outcomes: list[Outcome]) -> None:
    """Head and changes are what was told."""
    for project in {o.request.project for o in outcomes}:
        told = [
            (o.revision, o.request.id, o.request.user, o.time, o.request.data)
            for o in outcomes
            if o.request.project == project
        ]  # type: ignore[union-attr]
        assert [tuple(c) for c in await log.journal.changes(project, 0, ALL, ALL)] == told
        assert (await log.journal.head(project)).revision == len(told)


def as_nobody(main: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    """Run it in a process of its own, as a user for whom the file system says no, with a directory that is that user's."""
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
