# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal in one SQLite file: WAL, synchronous=FULL, one committing thread with group commit.

All that is submitted while one batch is being synced makes up the next batch, so the price of a sync is
shared by as many changes as come in meanwhile. Reads have a connection and a thread of their own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from . import schema
from .base import Change, Compact, Head, JournalError, JournalInUse, OnOutcomes, Outcome, Snapshot, Submission
from .schema import SPAN

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Request = Submission | Compact

MAX_BATCH = 4096  # requests in one transaction
MAX_WAITING = 50_000  # requests waiting for a batch
MAX_WAITING_BYTES = 64 << 20
RETRY = 1.0  # seconds between attempts to write again after a failure
_DELETE_ROWS = 5_000  # compacted changes deleted between two batches
_CHECKPOINT_ROWS = 5_000  # written to SQLite's log before it is written to the file itself


class _Writer:
    """The committing thread's side: owns the writing connection and the heads it assigns from."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fault: str | None = None
        self.in_use = False
        self._lock: int | None = None
        self._db: sqlite3.Connection | None = None
        self._heads: dict[str, tuple[int, int]] = {}  # name -> number, revision
        self._trash: list[tuple[int, int]] = []  # number, base: rows below it can go
        self._logged = 0  # rows written when the log was last written to the file
        self._retry_at = 0.0
        self._suspect = False  # the file is damaged, until a check finds that it is not

    def open(self) -> sqlite3.Connection:
        if self._db is None:
            if self._lock is None:
                self._lock = schema.lock(self.path)
            self._heads.clear()
            db = schema.connect(self.path, write=True)
            try:
                schema.prepare(db, self.path)
            except BaseException:
                db.close()
                raise
            self._db, self._logged = db, 0
        return self._db

    def close(self) -> None:
        if self._db is not None:
            try:
                self._db.close()
            except sqlite3.Error as exc:
                log.warning("closing %s: %s", self.path, exc)
            self._db = None

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def commit(self, batch: Sequence[_Request]) -> list[Outcome]:
        """One transaction; when it fails nothing of it counts and every request learns why."""
        if self.fault is not None and (self._suspect or time.monotonic() < self._retry_at):
            return self._refusals(batch)
        try:
            db = self.open()
            db.execute("BEGIN IMMEDIATE")
            heads: dict[str, tuple[int, int]] = {}
            now = int(time.time() * 1000)
            outcomes = self._append_all(db, heads, batch, now)
            if outcomes is None:
                outcomes = [
                    self._append(db, heads, r, now) if isinstance(r, Submission) else self._compact(db, heads, r)
                    for r in batch
                ]
            values = [value for name, (number, revision) in heads.items() for value in (number, name, revision)]
            _insert(db, "project (number, name, revision)", 3, values, " ON CONFLICT (number) DO UPDATE SET revision=excluded.revision")
            db.execute("COMMIT")
        except Exception as exc:  # also what should not happen: the thread must live on
            if not isinstance(exc, (sqlite3.Error, JournalError, OSError)):
                log.exception("a batch failed")
            self._failed(exc)
            return self._refusals(batch)
        if len(self._heads) > 100_000:
            self._heads.clear()
        self._heads.update(heads)
        self._mended()
        return outcomes

    def probe(self) -> None:
        """Try to write something, to learn whether the cause of a fault is gone."""
        started = time.monotonic()
        if started < self._retry_at:
            return
        try:
            db = self.open()
            if self._suspect:
                (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError("database disk image is malformed: restore a copy or an export")
            db.execute(
                "INSERT INTO meta VALUES ('probe', ?) ON CONFLICT (key) DO UPDATE SET value=excluded.value", (str(time.time()),)
            )
        except (sqlite3.Error, JournalError, OSError) as exc:
            self._failed(exc)
            now = time.monotonic()
            self._retry_at = max(self._retry_at, now + 10 * (now - started))  # checking a big file takes long
        else:
            self._mended()

    def tidy(self) -> bool:
        """What can wait until a batch's outcomes are told; True when there is more of it."""
        self._checkpoint()
        return self._delete_some()

    def _checkpoint(self) -> None:
        """Write the log to the file when it has grown. SQLite would do that within a COMMIT, and clients would wait."""
        if self._db is None or self.fault is not None or self._db.total_changes - self._logged < _CHECKPOINT_ROWS:
            return
        self._logged = self._db.total_changes
        try:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as exc:
            self._failed(exc)

    def _delete_some(self) -> bool:
        """Delete some compacted changes; True when there may be more."""
        if not self._trash or self._db is None or self.fault is not None:
            return False
        number, base = self._trash[0]
        low = number * SPAN
        try:
            row = self._db.execute(
                "SELECT max(key) FROM (SELECT key FROM change WHERE key>? AND key<=? ORDER BY key LIMIT ?)",
                (low, low + base, _DELETE_ROWS),
            ).fetchone()
            if row[0] is None:
                del self._trash[0]
            else:
                self._db.execute("DELETE FROM change WHERE key>? AND key<=?", (low, row[0]))
        except sqlite3.Error as exc:
            self._failed(exc)
        return bool(self._trash)

    # --- one request --------------------------------------------------------------------------

    def _head(self, db: sqlite3.Connection, heads: dict[str, tuple[int, int]], name: str) -> tuple[int, int]:
        head = heads.get(name) or self._heads.get(name)
        if head is None:
            row = db.execute("SELECT number, revision FROM project WHERE name=?", (name,)).fetchone()
            if row is None:
                cursor = db.execute("INSERT INTO project (name) VALUES (?)", (name,))
                row = (cursor.lastrowid, 0)
            head = (row[0], row[1])
        return head

    def _append_all(
        self, db: sqlite3.Connection, heads: dict[str, tuple[int, int]], batch: Sequence[_Request], now: int
    ) -> list[Outcome] | None:
        """All requests in a few statements if all are new changes; else None, and nothing is done.

        Python's lock is given away for each statement, and a busy event loop gives it back only after
        milliseconds: one statement for each change would hold up the whole batch.
        """
        outcomes: list[Outcome] = []
        ids: list[Any] = []
        changes: list[Any] = []
        for request in batch:
            if not isinstance(request, Submission):
                return self._start_over(db, heads)
            number, revision = self._head(db, heads, request.project)
            revision += 1
            heads[request.project] = (number, revision)
            ids += (number, request.user, request.id, revision)
            changes += (number * SPAN + revision, request.id, request.user, now, request.data)
            outcomes.append(Outcome(request, revision, now))
        try:
            _insert(db, "change_id", 4, ids)
        except sqlite3.IntegrityError:  # a change that was sent again
            return self._start_over(db, heads)
        _insert(db, "change", 5, changes)
        return outcomes

    @staticmethod
    def _start_over(db: sqlite3.Connection, heads: dict[str, tuple[int, int]]) -> None:
        heads.clear()
        db.execute("ROLLBACK")
        db.execute("BEGIN IMMEDIATE")

    def _append(
        self, db: sqlite3.Connection, heads: dict[str, tuple[int, int]], request: Submission, now: int
    ) -> Outcome:
        number, revision = self._head(db, heads, request.project)
        revision += 1
        cursor = db.execute(
            "INSERT INTO change_id VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
            (number, request.user, request.id, revision),
        )
        if cursor.rowcount == 0:
            heads[request.project] = (number, revision - 1)
            return self._duplicate(db, number, request)
        db.execute(
            "INSERT INTO change VALUES (?,?,?,?,?)",
            (number * SPAN + revision, request.id, request.user, now, request.data),
        )
        heads[request.project] = (number, revision)
        return Outcome(request, revision, now)

    @staticmethod
    def _duplicate(db: sqlite3.Connection, number: int, request: Submission) -> Outcome:
        """The change was kept before; a different one under the same id must not pass for it."""
        revision = db.execute(
            "SELECT revision FROM change_id WHERE project=? AND user=? AND id=?", (number, request.user, request.id)
        ).fetchone()[0]
        row = db.execute("SELECT data, time FROM change WHERE key=?", (number * SPAN + revision,)).fetchone()
        if row is not None and row[0] != request.data and json.loads(row[0]) != json.loads(request.data):
            message = f"id {request.id!r} was used for another change (revision {revision}): give each change its own"
            return Outcome(request, code="id_reused", message=message)
        return Outcome(request, revision, row[1] if row else 0, duplicate=True)

    def _compact(self, db: sqlite3.Connection, heads: dict[str, tuple[int, int]], request: Compact) -> Outcome:
        number, revision = heads[request.project] = self._head(db, heads, request.project)
        at = request.snapshot.revision
        base, last = db.execute("SELECT base, snapshot_revision FROM project WHERE number=?", (number,)).fetchone()
        if not last < at <= revision:
            message = f"a snapshot is of a revision after {last} and not after {revision}"
            return Outcome(request, code="stale", message=message)
        base = max(base, at - request.keep)
        db.execute(
            "UPDATE project SET snapshot=?, snapshot_revision=?, base=? WHERE number=?",
            (request.snapshot.data, at, base, number),
        )
        self._trash.append((number, base))
        return Outcome(request, at, base=base)

    # --- failure ------------------------------------------------------------------------------

    def _failed(self, exc: Exception) -> None:
        reason = str(exc) if isinstance(exc, JournalError) else f"{self.path}: {exc}"
        if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
            self._suspect = True
        self.in_use = isinstance(exc, JournalInUse)
        if self.fault != reason:
            log.error("the journal refuses changes: %s", reason)
        self.fault = reason
        self._retry_at = time.monotonic() + RETRY
        self._heads.clear()
        self.close()  # rolls back; the next attempt opens anew and so sees what is really there

    def _mended(self) -> None:
        if self.fault is not None:
            log.warning("the journal takes changes again")
            self.fault = None
            self._suspect = False

    def _refusals(self, batch: Sequence[_Request]) -> list[Outcome]:
        message = "changes cannot be kept at present; try again"
        return [Outcome(r, code="unavailable", message=message) for r in batch]


def _insert(db: sqlite3.Connection, table: str, columns: int, values: list[Any], clause: str = "") -> None:
    """Insert the rows whose values stand one after another, up to 64 with one statement."""
    row = "(" + ",".join("?" * columns) + ")"
    for at in range(0, len(values), 64 * columns):
        some = values[at : at + 64 * columns]
        rows = ",".join([row] * (len(some) // columns))
        db.execute(f"INSERT INTO {table} VALUES {rows}{clause}", some)  # noqa: S608 - names of ours


class SqliteJournal:
    """:class:`~rtc_server.journal.base.Journal` in one file."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._writer = _Writer(self.path)
        self._queue: queue.SimpleQueue[Sequence[_Request] | None] = queue.SimpleQueue()
        self._waiting: list[_Request] = []
        self._waiting_bytes = 0
        self._busy = False
        self._closing = False
        self._idle = asyncio.Event()
        self._reader = ThreadPoolExecutor(1, "journal-reader")
        self._read_db: sqlite3.Connection | None = None
        self._started = False
        self.batches = 0
        self.requests = 0

    @property
    def fault(self) -> str | None:
        """Why changes are refused at present, or None."""
        return self._writer.fault

    @property
    def alive(self) -> bool:
        """Whether the committing thread runs."""
        return self._closing or not self._started or self._thread.is_alive()

    # --- start and end ------------------------------------------------------------------------

    async def start(self, on_outcomes: OnOutcomes) -> None:
        """Lock and open the file. Raises JournalError when another server holds it; any other trouble
        becomes a fault, which is looked at again every second."""
        self._loop = asyncio.get_running_loop()
        self._on_outcomes = on_outcomes
        self._idle.set()
        await self._loop.run_in_executor(self._reader, self._writer.probe)
        if self._writer.in_use:
            self._reader.shutdown()
            raise JournalInUse(self.fault)
        self._started = True
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()
        self._probe_timer = self._loop.call_later(RETRY, self._probe)

    async def idle(self) -> None:
        """Wait until everything submitted has had its outcome."""
        await self._idle.wait()

    async def close(self) -> None:
        """Commit what was submitted, then close the file."""
        if self._closing or not self._started:
            return
        await self.idle()
        self._closing = True
        self._probe_timer.cancel()
        # the writer last: it then folds the log into the file, which so is whole by itself after a stop
        await self._loop.run_in_executor(self._reader, self._close_reader)
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._reader.shutdown()
        self._writer.unlock()

    def _probe(self) -> None:
        if self.fault is not None and not self._busy:
            self._queue.put(())
        if not self._closing:
            self._probe_timer = self._loop.call_later(RETRY, self._probe)

    # --- writing ------------------------------------------------------------------------------

    def submit(self, request: _Request) -> bool:
        """Queue for the next batch; False when too much is waiting already."""
        size = len(request.data if isinstance(request, Submission) else request.snapshot.data)
        if len(self._waiting) >= MAX_WAITING or (self._waiting and self._waiting_bytes + size > MAX_WAITING_BYTES):
            return False
        self._waiting.append(request)
        self._waiting_bytes += size
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)  # at the end of this turn: all of it is one batch
        return True

    def _hand_over(self) -> None:
        batch = self._waiting
        if len(batch) > MAX_BATCH:
            batch, self._waiting = batch[:MAX_BATCH], batch[MAX_BATCH:]
        else:
            self._waiting, self._waiting_bytes = [], 0
        self._queue.put(batch)

    def _done(self, outcomes: list[Outcome]) -> None:
        self.batches += 1
        self.requests += len(outcomes)
        if self._waiting:
            self._hand_over()
        else:
            self._busy = False
        try:
            self._on_outcomes(outcomes)
        finally:
            if not self._busy:
                self._idle.set()

    def _run(self) -> None:
        """The committing thread."""
        writer = self._writer
        more = False
        while True:
            try:
                batch = self._queue.get(block=not more)
            except queue.Empty:
                more = writer.tidy()
                continue
            if batch is None:
                break
            if not batch:
                writer.probe()
                continue
            self._loop.call_soon_threadsafe(self._done, writer.commit(batch))
            more = writer.tidy()
        writer.close()

    # --- reading ------------------------------------------------------------------------------

    async def head(self, project: str) -> Head:
        """Where the project stands. Raises JournalError."""
        return await self._read(_read_head, project)

    async def changes(self, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
        """Changes after ``since``, in order. Raises JournalError."""
        return await self._read(_read_changes, project, since, limit, max_bytes)

    async def snapshot(self, project: str) -> Snapshot | None:
        """The latest snapshot. Raises JournalError."""
        return await self._read(_read_snapshot, project)

    async def _read(self, function: Callable[..., _T], *args: Any) -> _T:
        def run() -> _T:
            try:
                if self._read_db is None:
                    self._read_db = schema.connect_reader(self.path)
                return function(self._read_db, *args)
            except (sqlite3.Error, OSError) as exc:
                self._close_reader()
                raise JournalError(f"{self.path}: {exc}") from exc

        if self._closing:
            raise JournalError(f"{self.path} is closed")
        return await self._loop.run_in_executor(self._reader, run)

    def _close_reader(self) -> None:
        if self._read_db is not None:
            self._read_db.close()
            self._read_db = None


def _read_head(db: sqlite3.Connection, project: str) -> Head:
    epoch = db.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()[0]
    row = db.execute(
        "SELECT epoch, revision, base, snapshot_revision FROM project WHERE name=?", (project,)
    ).fetchone()
    return Head(epoch, 0, 0, 0) if row is None else Head(row[0] or epoch, *row[1:])


def _read_changes(db: sqlite3.Connection, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
    row = db.execute("SELECT number FROM project WHERE name=?", (project,)).fetchone()
    if row is None:
        return []
    low = int(row[0]) * SPAN
    found: list[Change] = []
    size = 0
    cursor = db.execute(
        "SELECT key, id, user, time, data FROM change WHERE key>? AND key<? ORDER BY key LIMIT ?",
        (low + since, low + SPAN, limit),
    )
    for key, *rest in cursor:
        change = Change(key - low, *rest)
        size += len(change.data)
        if found and size > max_bytes:
            cursor.close()
            break
        found.append(change)
    return found


def _read_snapshot(db: sqlite3.Connection, project: str) -> Snapshot | None:
    row = db.execute("SELECT snapshot_revision, snapshot FROM project WHERE name=?", (project,)).fetchone()
    return None if row is None or row[1] is None else Snapshot(row[0], row[1])
