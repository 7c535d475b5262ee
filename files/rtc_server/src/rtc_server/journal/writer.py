# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The committing thread's side of the journal: owns the writing connection, gives out revisions."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence

from . import checkpoint, flush, memtable, schema, wal
from .base import NO_LIMITS, Compact, JournalError, JournalInUse, JournalLimits, Outcome, Submission
from .checkpoint import Checkpoint
from .deletions import Deletions
from .earlier import find_earlier, find_flushed, is_snapshot
from .guard import Guard, refuse_all, refuse_unnumbered
from .late import LateChanges
from .lock import Lock, resolve
from .loss import REMEDY
from .memtable import MemTable, ProjectRecords
from .record import Record, decode_record, encode_record
from .same_change import answer_again, refuse_unknown
from .schema import MAX_PROJECTS, MAX_REVISION
from .sizes import OVERHEAD, ProjectSize, ProjectState, Sizes, measure_change
from .upkeep import Upkeep
from .waiting import split_by_kind
from .watch import Watch

logger = logging.getLogger(__name__)

JournalRequest = Submission | Compact

RETRY = 1.0  # seconds between attempts to write again after a failure
# The backlog: with more unflushed changes than this, or more of their bytes, or more bytes of batches in one file of
# the write-ahead log, every commit is followed by flushes.
MAX_UNFLUSHED = 200_000
MAX_UNFLUSHED_BYTES = 64 << 20
MAX_WAL_BYTES = 96 << 20
_PAGE = 4096  # bytes that SQLite writes at least for a change
_MAX_PROJECTS = 100_000
_MAX_PATIENCE = 60.0  # seconds between checks of a file that is damaged


class Writer:
    """One journal. Only the committing thread calls it, apart from :meth:`copy_unflushed`."""

    def __init__(self, path: str, limits: JournalLimits = NO_LIMITS) -> None:
        self.path = path = resolve(path)
        self.fault: str | None = None
        self.in_use = False
        self._lock: Lock | None = None
        self._watch: Watch | None = None  # of the files that were opened last
        self._db: sqlite3.Connection | None = None
        self._anchor: sqlite3.Connection | None = None  # while it is open, closing _db is no checkpoint
        self._distrusted = True  # SQLite's own WAL may have pages that could not be synced
        self._projects: dict[str, ProjectState] = {}
        self._wal: wal.Wal | None = None
        # What is being flushed, which the other file of the write-ahead log has, and what is in the file that is
        # written. One pair, so that a reader never sees one without the other.
        self._memtables: tuple[MemTable, MemTable] = ({}, {})
        self._unflushed = self._unflushed_bytes = 0  # changes in both memtables, and bytes of their records
        self._sqlite_wal_bytes = 0  # roughly, in SQLite's own WAL
        self._checkpoint = Checkpoint(path)
        self._deletions = Deletions()
        self._sizes = Sizes()  # of the projects in _projects
        self.guard = Guard(path, limits)
        self._upkeep = Upkeep(limits.keep_ids_days)
        self._stopping = False  # then upkeep can wait for the next start
        self._known = False  # the memtables are what is not flushed
        self._late = LateChanges()
        self._found: list[Outcome] = []
        self._retry_at = 0.0
        self._suspect = False  # the file is damaged, until a check finds that it is not

    @property
    def is_disk_full(self) -> bool:
        """Whether changes are refused because the journal needs the space that is left."""
        return self.guard.space.is_short

    def open(self) -> sqlite3.Connection:
        """The connection. Raises JournalError, sqlite3.Error, OSError."""
        if self._db is None:
            if self._watch is not None:
                self._watch.require_main()
            if self._lock is not None and not self._lock.is_current():
                self.unlock()
            if self._lock is None:
                self._lock = Lock(self.path)
            if self._distrusted:
                checkpoint.rewrite(self.path)
                self._distrusted = False
            db = schema.connect(self.path, write=True)
            try:
                self._anchor = schema.connect_anchor(self.path)
                schema.prepare(db, self.path)
                self._recover(db)
            except BaseException:
                db.close()
                self.close()
                raise
            self._db = db
        return self._db

    def _open_same(self) -> sqlite3.Connection:
        """The connection, unless the files are not those that were opened."""
        db = self.open()
        if self._watch is not None:
            self._watch.look()
        return db

    def _recover(self, db: sqlite3.Connection) -> None:
        """Flush what the write-ahead log has (it knows what became of a commit that failed), and begin another log."""
        with schema.transaction(db):
            batches = wal.read_batches(db, self.path)
            self._late.note_batches(batches)
            log_id = flush.flush_batches(db, batches)
        self._memtables = ({}, {})
        self._unflushed = self._unflushed_bytes = 0
        self._projects.clear()
        self._sizes.clear()
        self._wal = wal.Wal(self.path, log_id)
        schema.set_meta(db, "filed", self._wal.flushed)  # from here on, files that are gone were lost
        self._watch = Watch(self.path)
        self._known = True
        self._found += self._late.take(db)

    def take_found(self) -> list[Outcome]:
        """Changes that were refused, and that turned out to be kept when the journal was opened again: in order, before
        all whose outcome is reported later."""
        found, self._found = self._found, []
        return found

    def close(self) -> None:
        """Close the files; what is not flushed stays in the write-ahead log.

        SQLite's own WAL stays, too: the last connection to close would put it into the file, although parts of it may
        not be on the disk, and a power cut amid that would leave neither whole.
        """
        self._checkpoint.reset()
        if self._wal is not None:
            self._wal.close()
            self._wal = None
        if self._db is not None:
            try:
                self._db.close()
            except sqlite3.Error as exc:
                logger.warning("closing %s: %s", self.path, exc)
            self._db = None
        self._close_anchor()

    def _close_anchor(self) -> None:
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None

    def flush_and_close(self) -> None:
        """Flush everything and close, so that the file alone is the whole journal."""
        self._stopping = True
        while self._has_maintenance() and self.run_maintenance() == 0.0:
            pass
        self._stopping = False
        complete, trusted = False, self.fault is None
        if self._db is not None and not self._unflushed:
            try:
                self._db.execute("DELETE FROM meta WHERE key='log'")
                complete = True
            except sqlite3.Error as exc:  # then the log stays; the next start finds that all of it is flushed
                trusted = False
                logger.warning("closing %s: %s", self.path, exc)
        if trusted:
            self._close_anchor()
        self.close()
        self._watch = None
        if complete:
            try:
                wal.remove(self.path)
            except OSError as exc:  # nothing in it counts any more; the next start empties it
                logger.warning("closing %s: %s", self.path, exc)

    def _has_maintenance(self) -> bool:
        wal_used = self._wal is not None and self._wal.used > 0
        return bool(self._unflushed or self._deletions or self._sqlite_wal_bytes or wal_used)

    def unlock(self) -> None:
        """Let another process have the journal."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def copy_unflushed(self, project: str) -> list[Record] | None:
        """A project's changes that may not be flushed yet, in order; for any thread, before it reads the tables.
        None when the writer does not know: it has not been able to open the journal. After a failure they are those
        that were acknowledged, whatever the log has."""
        if not self._known and self.fault is not None:
            return None
        flushing, active = self._memtables
        # copies, because the committing thread adds and removes meanwhile
        return [
            record
            for records in (flushing.get(project), active.get(project))
            if records is not None
            for record in records.records.copy()
        ]

    def count_unflushed(self) -> tuple[int, int]:
        """Changes that are in the write-ahead log only, and their bytes; for any thread."""
        return self._unflushed, self._unflushed_bytes

    # --- committing -------------------------------------------------------------------------

    def commit(self, batch: Sequence[JournalRequest]) -> list[Outcome]:
        """Make requests durable. Changes that follow one another are one transaction; when it fails, neither it nor
        what follows counts, and every request of it learns why."""
        if self.fault is not None and (self._suspect or time.monotonic() < self._retry_at):
            return refuse_all(batch)
        outcomes: list[Outcome] = []
        guard = self.guard
        try:
            db = self._open_same()
            is_short = guard.begin(batch, self._unflushed_bytes, self._sqlite_wal_bytes)
            for group in split_by_kind(batch):
                is_change = isinstance(group[0], Submission)
                if is_short and (is_change or guard.space.is_nearly_gone):
                    outcomes += guard.refuse_for_space(group)
                elif is_change:
                    outcomes += self._accept(db, group)  # type: ignore[arg-type]
                else:
                    outcomes += [self._compact(db, request) for request in group]  # type: ignore[arg-type]
        except Exception as exc:  # also what should not happen: the thread must live on
            self._fail(exc)
            return outcomes + refuse_all(batch[len(outcomes) :])
        if len(self._projects) > _MAX_PROJECTS:
            self._projects.clear()
            self._sizes.clear()
        self._clear_fault()
        return outcomes

    def probe(self) -> None:
        """Try to write something, to learn whether the cause of a fault is gone."""
        self.guard.begin((), self._unflushed_bytes, self._sqlite_wal_bytes)
        if time.monotonic() < self._retry_at:
            return
        patience = 0.0
        try:
            db = self.open()
            if self._suspect:
                started = time.monotonic()
                (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
                patience = min(_MAX_PATIENCE, 10 * (time.monotonic() - started))  # checking a big file takes long
                if found != "ok":
                    raise sqlite3.DatabaseError(f"database disk image is malformed: {REMEDY}")
            schema.set_meta(db, "probe", str(time.time()))
        except Exception as exc:  # as in commit: the thread must live on
            self._fail(exc)
            self._retry_at = max(self._retry_at, time.monotonic() + patience)
        else:
            self._clear_fault()

    def _load_state(self, db: sqlite3.Connection, name: str) -> ProjectState | None:
        """What is known of a project, which is made if need be; None when there is no number for it or its changes."""
        state = self._projects.get(name)
        if state is None:
            row = db.execute(
                "SELECT number, revision, base, forgotten, length(CAST(snapshot AS BLOB)) FROM project WHERE name=?",
                (name,),
            ).fetchone()
            if row is None:
                (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM project").fetchone()
                if number < MAX_PROJECTS:
                    db.execute("INSERT INTO project (number, name) VALUES (?,?)", (number, name))
                row = number, 0, 0, 0, 0
            number, flushed_revision, base, forgotten, snapshot = row
            if number >= MAX_PROJECTS or flushed_revision > MAX_REVISION:
                return None
            flushing, active = self._memtables
            waiting = active.get(name) or flushing.get(name)
            revision = decode_record(waiting.records[-1])[1].revision if waiting else flushed_revision
            unflushed = [r for records in (flushing.get(name), active.get(name)) if records for r in records.records]
            size = ProjectSize(number, base, flushed_revision, unflushed, snapshot or 0)
            self._sizes.add(number, size)
            state = self._projects[name] = ProjectState(number, revision, flushed_revision > 0, forgotten, size)
        return state

    def _accept(self, db: sqlite3.Connection, requests: Sequence[Submission]) -> list[Outcome]:
        """Number the changes that are new, and write them as one batch."""
        outcomes: list[Outcome] = []
        try:
            states = [self._projects[request.project] for request in requests]
        except KeyError:  # new projects are one transaction, before a batch refers to their numbers
            with schema.transaction(db):
                loaded = [self._load_state(db, request.project) for request in requests]
            outcomes += [refuse_unnumbered(r) for r, state in zip(requests, loaded, strict=True) if state is None]
            requests = [request for request, state in zip(requests, loaded, strict=True) if state is not None]
            states = [state for state in loaded if state is not None]
        flushed = find_flushed(db, requests, states)
        flushing, active = self._memtables
        batch: list[Record] = []
        destinations: list[ProjectRecords] = []  # of the records in the batch
        now, quota = int(time.time() * 1000), self.guard.project_bytes
        for request, state in zip(requests, states, strict=True):
            project, label, data = request.project, request.label, request.data
            records, older = active.get(project), flushing.get(project)
            # Nearly every change is new. It is asked here whether that is so, as a call for each costs as much as this.
            if flushed or (records and label in records.labels) or (older and label in older.labels):
                earlier = find_earlier(self._memtables, request, state.number, batch, flushed)
                if earlier is not None:
                    outcomes.append(answer_again(request, earlier))
                    continue
            if request.since < state.forgotten:
                outcomes.append(refuse_unknown(request, state.forgotten))
                continue
            size = OVERHEAD + len(data) if data.isascii() else measure_change(data)  # nearly always without a call
            if state.size.bytes + size > quota:
                outcomes.append(self.guard.refuse_project(request))
                continue
            state.size.bytes += size
            if records is None:
                records = active[project] = ProjectRecords()
            records.labels.add(label)
            destinations.append(records)
            state.revision = revision = state.revision + 1
            batch.append(encode_record(state.number, revision, now, label, data))
            outcomes.append(Outcome(request, revision, now))
        if batch:
            self._write(batch, destinations)
        return outcomes

    def _write(self, batch: list[Record], destinations: list[ProjectRecords]) -> None:
        """Commit new changes, and then keep each in its project's memtable."""
        assert self._wal is not None
        text = "".join(batch)
        self._wal.append(text)
        self._unflushed += len(batch)
        self._unflushed_bytes += len(text)
        for records, record in zip(destinations, batch, strict=True):
            records.records.append(record)

    def _compact(self, db: sqlite3.Connection, request: Compact) -> Outcome:
        state = self._load_state(db, request.project)
        if state is None:
            return refuse_unnumbered(request)
        at = request.snapshot.revision
        base, last = db.execute(
            "SELECT base, snapshot_revision FROM project WHERE number=?", (state.number,)
        ).fetchone()
        if at == last and is_snapshot(db, state.number, request.snapshot.data):
            self._deletions.add(state.number, 0, base)
            return Outcome(request, at, base=base)  # it failed, and was kept all the same
        if not last < at <= state.revision:
            message = f"a snapshot is of a revision after {last} and not after {state.revision}"
            return Outcome(request, code="stale", message=message)
        keep = request.keep if 2 * state.size.bytes < self.guard.project_bytes else 0
        before, base = base, max(base, at - keep)
        for table in self._memtables:  # what is deleted up to the base must have been flushed
            while request.project in table:
                records = {request.project: table[request.project].records}
                self._flush(db, table, memtable.take_first(records, flush.FLUSH_BATCH, flush.FLUSH_BYTES))
        db.execute(
            "UPDATE project SET snapshot=?, snapshot_revision=?, base=? WHERE number=?",
            (request.snapshot.data, at, base, state.number),
        )
        self._sqlite_wal_bytes += len(request.snapshot.data)
        state.size.replace_snapshot(request.snapshot.data)
        self._deletions.add(state.number, before, base)
        return Outcome(request, at, base=base)

    # --- flushing, and what else can wait ---------------------------------------------------

    def enforce_backlog_limit(self, committed: int) -> None:
        """After a commit of so many changes: flush as many as keep the backlog within its limits, up to twice that
        many."""
        if self.fault is not None or self._db is None or self._wal is None:
            return
        left = 2 * committed
        try:
            while left > 0 and self._is_over_limit(self._wal):
                left -= max(1, self._flush_some(self._db))
            if self._sizes:
                self._sizes.count_some(self._db)
            if self.guard.refused_project and self._deletions:  # it waits for these
                self._sqlite_wal_bytes += self._deletions.delete_some(self._db, self._sizes)
            if self._sqlite_wal_bytes > checkpoint.BEGIN and self._checkpoint.advance():
                self._finish_checkpoint(self._db)
            self._wal.extend()
        except Exception as exc:
            self._fail(exc)

    def _is_over_limit(self, log: wal.Wal) -> bool:
        return (
            self._unflushed > MAX_UNFLUSHED or self._unflushed_bytes > MAX_UNFLUSHED_BYTES or log.used > MAX_WAL_BYTES
        )

    def run_maintenance(self) -> float | None:
        """Do one piece of what can wait until there is nothing else to do.

        Returns the seconds after which there is more of it, None when nothing is left.
        """
        if self.fault is not None or self._db is None or self._wal is None:
            return None
        try:
            self._open_same()
            if not self.guard.space.is_scarce and self._wal.preallocate():
                return 0.0  # first of all: it makes the next commits faster
            if self._unflushed or self._wal.used:
                self._flush_some(self._db)
                return 0.0
            if self._deletions:
                self._sqlite_wal_bytes += self._deletions.delete_some(self._db, self._sizes)
                return 0.0
            if self._sizes:
                self._sizes.count_some(self._db)
                return 0.0
            if not self._stopping and self._sqlite_wal_bytes < checkpoint.BEGIN and self._run_upkeep(self._db):
                return 0.0
            if self._sqlite_wal_bytes > checkpoint.SMALL and not self._checkpoint.advance():
                return 0.05
            if self._sqlite_wal_bytes:
                self._finish_checkpoint(self._db)
                return 0.0
        except Exception as exc:
            self._fail(exc)
        return None

    def _flush_some(self, db: sqlite3.Connection) -> int:
        """Flush a few changes. Returns how many."""
        assert self._wal is not None
        flushing, active = self._memtables
        if not flushing:  # then the other file of the log is flushed for good
            self._wal.rotate()
            self._memtables = flushing, active = active, {}
        waiting = {name: records.records for name, records in flushing.items()}
        flushed = self._flush(db, flushing, memtable.take_first(waiting, flush.FLUSH_BATCH, flush.FLUSH_BYTES))
        if not flushing:
            # A synced transaction takes the unsynced ones before it along, so what it says is true once it is there.
            schema.set_meta(db, "filed", self._wal.flushed)
        return flushed

    def _flush(self, db: sqlite3.Connection, table: MemTable, some: dict[str, list[Record]]) -> int:
        """Flush those records, the first ones of the memtable's projects. Returns how many."""
        with schema.unsynced_transaction(db):
            flush.flush(db, some)
        for name, flushed in some.items():
            records = table[name]
            records.remove(len(flushed))
            size = sum(map(len, flushed))
            self._unflushed -= len(flushed)
            self._unflushed_bytes -= size
            self._sqlite_wal_bytes += size + len(flushed) * _PAGE
            if not records.records:
                del table[name]
            if name in self._projects:
                self._projects[name].flushed = True
        return sum(map(len, some.values()))

    def _run_upkeep(self, db: sqlite3.Connection) -> bool:
        """Do a piece of what keeps the file small; False when there is nothing to do."""
        pages = self._upkeep.run(db)
        self._sqlite_wal_bytes += pages * _PAGE
        for name, forgotten in self._upkeep.forgotten.items():
            if name in self._projects:
                self._projects[name].forgotten = forgotten
        self._upkeep.forgotten.clear()
        return pages > 0

    def _finish_checkpoint(self, db: sqlite3.Connection) -> None:
        """Checkpoint what the passes have left of SQLite's own WAL."""
        self._checkpoint.wait()
        self._sqlite_wal_bytes = 0
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    # --- failure ------------------------------------------------------------------------------

    def _fail(self, exc: Exception) -> None:
        """Refuse changes from here on, and let the next attempt open the journal anew: it then sees what is there."""
        if not isinstance(exc, (sqlite3.Error, JournalError, OSError)):
            logger.error("the journal failed", exc_info=exc)
        reason = str(exc) if isinstance(exc, JournalError) else f"{self.path}: {exc}"
        if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
            self._suspect = True
        self._distrusted |= not isinstance(exc, JournalError)
        self.in_use = isinstance(exc, JournalInUse)
        if self.fault != reason:
            logger.error("the journal refuses changes: %s", reason)
        self.fault = reason
        self._retry_at = time.monotonic() + RETRY
        self._projects.clear()
        self._sizes.clear()
        if self._wal is not None:
            self._late.note_failure(self._wal)
        self.close()  # rolls back

    def _clear_fault(self) -> None:
        if self.fault is not None:
            logger.warning("the journal takes changes again")
            self.fault = None
            self._suspect = False
