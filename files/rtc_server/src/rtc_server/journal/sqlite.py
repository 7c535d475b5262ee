# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal on SQLite: a file, a write-ahead log of what is not in it yet, one committing thread with group commit.

Everything that is submitted while one batch is being synced makes up the next batch, so that as many changes as come in
meanwhile share the price of a sync. Reads have a connection and a thread of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..histogram import Histogram
from ..strict_json import count_bytes
from . import memtable, schema, upkeep, wal
from .base import (
    NO_LIMITS,
    Change,
    Figures,
    Head,
    JournalError,
    JournalInUse,
    JournalLimits,
    OnOutcomes,
    Outcome,
    Snapshot,
)
from .lock import resolve
from .record import Record, decode_record
from .schema import SPAN
from .waiting import Waiting
from .writer import RETRY, JournalRequest, Writer

_T = TypeVar("_T")

MAX_BATCH = 1024  # requests handed over at once
MAX_BATCH_BYTES = 1 << 20  # of them: what a disk writes within some milliseconds
MAX_WAITING = 50_000  # requests waiting for a batch
MAX_WAITING_BYTES = 32 << 20
_IDLE = 0.1  # seconds without a batch, after which maintenance runs


class SqliteJournal:
    """:class:`~rtc_server.journal.base.Journal` on the file at ``path``. Tests pass a writer that they can look
    into."""

    retry_after = 0.0  # a fault of the disk is for administrators

    def __init__(self, path: str, writer: Writer | None = None, limits: JournalLimits = NO_LIMITS) -> None:
        self.path = resolve(path)
        self._writer = writer or Writer(self.path, limits)
        self._queue: queue.SimpleQueue[Sequence[JournalRequest] | None] = queue.SimpleQueue()
        self._waiting = Waiting()
        self._busy = False
        self._closing = False
        self._idle = asyncio.Event()
        self._reader = ThreadPoolExecutor(1, "journal-reader")
        self._read_db: sqlite3.Connection | None = None
        self._started = False
        self.batches = 0
        self.requests = 0
        self._commits = Histogram()
        self._handed_over = 0.0  # when the batch was that is being committed

    @property
    def fault(self) -> str | None:
        """Why changes are refused at present, or None."""
        return self._writer.fault

    @property
    def is_disk_full(self) -> bool:
        """Whether changes are refused because the disk is nearly full."""
        return self._writer.is_disk_full

    @property
    def alive(self) -> bool:
        """Whether the committing thread runs."""
        return self._closing or not self._started or self._thread.is_alive()

    def measure(self) -> Figures:
        """What it has done, and what is waiting."""
        waiting, writer, path = self._waiting, self._writer, self.path
        files = (path, path + "-wal", *wal.file_names(path))
        return Figures(
            "sqlite", self._commits, self.requests, len(waiting), waiting.bytes, *writer.count_unflushed(), files
        )

    def set_limits(self, limits: JournalLimits) -> None:
        """Take other limits from the next batch on; ``keep_ids_days`` stays."""
        self._writer.guard.set_limits(limits)

    # --- start and end ------------------------------------------------------------------------

    async def start(self, on_outcomes: OnOutcomes) -> None:
        """Lock and open the file. Raises JournalInUse when another server holds it; anything else that goes wrong
        becomes a fault, and is tried again every second."""
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

    async def wait_idle(self) -> None:
        """Wait until everything submitted has had its outcome."""
        await self._idle.wait()

    async def close(self) -> None:
        """Commit what was submitted, then close the file."""
        if self._closing or not self._started:
            return
        await self.wait_idle()
        self._closing = True
        self._probe_timer.cancel()
        # the writer last: the last connection puts SQLite's own WAL into the file, which is then complete by itself
        await self._loop.run_in_executor(self._reader, self._close_reader)
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._reader.shutdown()
        self._writer.unlock()

    def _probe(self) -> None:
        if (self.fault is not None or self.is_disk_full) and not self._busy:
            self._queue.put(())
        if not self._closing:
            self._probe_timer = self._loop.call_later(RETRY, self._probe)

    # --- writing ------------------------------------------------------------------------------

    def submit(self, request: JournalRequest) -> bool:
        """Queue for the next batch; False when too much is waiting, of everybody or of this user."""
        if not self._waiting.add(request, MAX_WAITING, MAX_WAITING_BYTES):
            return False
        if not self._busy:
            self._busy = True
            self._idle.clear()
            self._loop.call_soon(self._hand_over)
        return True

    def _hand_over(self) -> None:
        self._handed_over = time.monotonic()
        self._queue.put(self._waiting.take(MAX_BATCH, MAX_BATCH_BYTES))

    def _done(self, found: list[Outcome], outcomes: list[Outcome]) -> None:
        self.batches += 1
        self.requests += len(outcomes)
        if self.fault is None:
            self._commits.observe(time.monotonic() - self._handed_over)
        try:
            self._on_outcomes(found + outcomes if found else outcomes)
        finally:
            if self._waiting:
                self._loop.call_soon(self._hand_over)
            else:
                self._busy = False
                self._idle.set()

    def _run(self) -> None:
        """The committing thread."""
        writer = self._writer
        wait: float | None = 0.0  # seconds until maintenance; None: there is none to do
        while True:
            try:
                batch = self._queue.get(timeout=wait)
            except queue.Empty:
                wait = writer.run_maintenance()
                if wait is None:
                    wait = upkeep.ROUND
                continue
            if batch is None:
                break
            if not batch:
                writer.probe()
                if found := writer.take_found():
                    self._loop.call_soon_threadsafe(self._on_outcomes, found)
            else:
                outcomes = writer.commit(batch)
                self._loop.call_soon_threadsafe(self._done, writer.take_found(), outcomes)
                writer.enforce_backlog_limit(len(batch))
            wait = _IDLE
        writer.flush_and_close()

    # --- reading ------------------------------------------------------------------------------

    async def read_head(self, project: str) -> Head:
        """Where the project stands. Raises JournalError."""
        return await self._read(_read_head, project)

    async def read_changes(self, project: str, since: int, limit: int, max_bytes: int) -> list[Change]:
        """Changes after ``since``, in order. Raises JournalError."""

        def read(db: sqlite3.Connection, project: str, unflushed: list[Record]) -> list[Change]:
            return _read_changes(db, project, unflushed, since, limit, max_bytes)

        return await self._read(read, project)

    async def read_snapshot(self, project: str) -> Snapshot | None:
        """The latest snapshot. Raises JournalError."""
        return await self._read(_read_snapshot, project)

    async def _read(self, function: Callable[[sqlite3.Connection, str, list[Record]], _T], project: str) -> _T:
        """Call the function on the reading thread. The unflushed records that it gets were taken before it reads
        tables."""

        def run() -> _T:
            try:
                unflushed = self._writer.copy_unflushed(project)
                if self._read_db is None:
                    self._read_db = schema.connect_reader(self.path)
                if unflushed is None:
                    batches = wal.read_batches(self._read_db, self.path)
                    unflushed = memtable.load_unflushed(self._read_db, batches).get(project, [])
                return function(self._read_db, project, unflushed)
            except (sqlite3.Error, OSError, OverflowError) as exc:  # a project whose number is too high
                self._close_reader()
                raise JournalError(f"{self.path}: {exc}") from exc

        if self._closing:
            raise JournalError(f"{self.path} is closed")
        return await self._loop.run_in_executor(self._reader, run)

    def _close_reader(self) -> None:
        if self._read_db is not None:
            self._read_db.close()
            self._read_db = None


def _read_head(db: sqlite3.Connection, project: str, unflushed: list[Record]) -> Head:
    epoch = db.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()[0]
    row = db.execute("SELECT epoch, revision, base, snapshot_revision FROM project WHERE name=?", (project,)).fetchone()
    if row is None:
        return Head(epoch, 0, 0, 0)
    last = decode_record(unflushed[-1])[1].revision if unflushed else 0
    return Head(row[0] or epoch, max(row[1], last), row[2], row[3])


def _read_changes(
    db: sqlite3.Connection, project: str, unflushed: list[Record], since: int, limit: int, max_bytes: int
) -> list[Change]:
    row = db.execute("SELECT number, base FROM project WHERE name=?", (project,)).fetchone()
    if row is None:
        return []
    low, since = int(row[0]) * SPAN, max(since, row[1])  # rows up to the base may have no data
    found: list[Change] = []
    size = 0
    cursor = db.execute(
        "SELECT key, id, user, time, data FROM change WHERE key>? AND key<? ORDER BY key LIMIT ?",
        (low + since, low + SPAN, limit),
    )
    flushed = (Change(key - low, *rest) for key, *rest in cursor)
    later = itertools.islice(unflushed, _find_position(unflushed, since + 1), None)
    for change in itertools.chain(flushed, (decode_record(record)[1] for record in later)):
        if len(found) == limit:
            break
        if change.revision <= since:  # flushed since the unflushed records were taken
            continue
        size += count_bytes(change.data)
        if found and size > max_bytes:
            break
        found.append(change)
        since = change.revision
    cursor.close()
    return found


def _find_position(records: list[Record], revision: int) -> int:
    """Where the record of that revision is or would be: revisions follow one another."""
    return max(0, revision - decode_record(records[0])[1].revision) if records else 0


def _read_snapshot(db: sqlite3.Connection, project: str, _unflushed: list[Record]) -> Snapshot | None:
    row = db.execute("SELECT snapshot_revision, snapshot FROM project WHERE name=?", (project,)).fetchone()
    return None if row is None or row[1] is None else Snapshot(row[0], row[1])
