# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The committing thread's side of the journal: owns the writing connection, gives out revisions."""

from __future__ import annotations

import itertools
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence

from . import arrivals, checkpoint, log, schema
from .arrivals import Row
from .base import Change, Compact, JournalError, JournalInUse, Outcome, Submission
from .checkpoint import Checkpoint
from .schema import ORDERED, SPAN, SYNCED

logger = logging.getLogger(__name__)

Request = Submission | Compact

RETRY = 1.0  # seconds between attempts to write again after a failure
MAX_PENDING = 200_000  # changes, and
MAX_PENDING_BYTES = 64 << 20  # of data, or
MAX_LOG = 96 << 20  # bytes in a file of the log: with more, each commit is followed by filing
_DELETE_ROWS = 5_000  # compacted changes deleted between two batches
_PAGE = 4096
_MAX_HEADS = 100_000


class _Waiting:
    """What is not filed of a project. Nearly all changes are new, and a set knows that after one look at memory; a dict of texts takes
    several. Only the committing thread looks at the labels: they may be ahead of what is durable."""

    __slots__ = ("_found", "labels", "rows")

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self.rows: list[Row] = []
        self._found: dict[str, Row] = {}  # the first rows by label: as many as there were when one was looked for

    def find(self, label: str) -> Row | None:
        """The row of that label. After a connection broke many are sent again, so what was gone through once is remembered."""
        for row in self.rows[len(self._found) :]:
            self._found[arrivals.label_of(row)] = row
        return self._found.get(label)

    def remove(self, count: int) -> None:
        """Forget the first so many, which are filed."""
        for label in map(arrivals.label_of, self.rows[:count]):
            self.labels.discard(label)
            self._found.pop(label, None)
        del self.rows[:count]


class _Head:
    """A project: its number, its last revision, and whether some of its changes are filed."""

    __slots__ = ("filed", "number", "revision")

    def __init__(self, number: int, revision: int, filed: bool) -> None:
        self.number = number
        self.revision = revision
        self.filed = filed


class Writer:
    """One file. Only the committing thread calls it, apart from :meth:`pending`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fault: str | None = None
        self.in_use = False
        self._lock: int | None = None
        self._db: sqlite3.Connection | None = None
        self._heads: dict[str, _Head] = {}
        self._log: log.Log | None = None
        # What is not filed, by project: what is being filed, and what is in the log's file that is written now.
        # One pair, so that a reader never sees one without the other.
        self._pending: tuple[dict[str, _Waiting], dict[str, _Waiting]] = ({}, {})
        self._count = self._bytes = 0  # of all of those
        self._logged = 0  # bytes, roughly, in SQLite's own log
        self._passes = Checkpoint(path)
        self._trash: list[tuple[int, int]] = []  # number, base: rows below it can go
        self._retry_at = 0.0
        self._suspect = False  # the file is damaged, until a check finds that it is not

    def open(self) -> sqlite3.Connection:
        """The connection. Raises JournalError, sqlite3.Error, OSError."""
        if self._db is None:
            if self._lock is None:
                self._lock = schema.lock(self.path)
            db = schema.connect(self.path, write=True)
            try:
                schema.prepare(db, self.path)
                self._begin(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _begin(self, db: sqlite3.Connection) -> None:
        """File what the log has (it knows what became of a commit that failed), and begin another."""
        db.execute("BEGIN IMMEDIATE")
        try:
            name = arrivals.file_all(db, self.path)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        self._pending = ({}, {})
        self._count = self._bytes = 0
        self._heads.clear()
        self._log = log.Log(self.path, name)

    def close(self) -> None:
        """Give the files up; what is not filed stays in the log."""
        self._passes.end()
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._db is not None:
            try:
                self._db.close()
            except sqlite3.Error as exc:
                logger.warning("closing %s: %s", self.path, exc)
            self._db = None

    def settle(self) -> None:
        """File everything and close, so that the file is as others expect it."""
        while self._unsettled() and self.tidy() == 0.0:
            pass
        whole = False
        if self._db is not None and not self._count:
            try:
                self._db.execute("DELETE FROM meta WHERE key='log'")
                whole = True
            except sqlite3.Error as exc:  # then the log stays; the next start finds that all of it is filed
                logger.warning("closing %s: %s", self.path, exc)
        self.close()
        if whole:
            log.remove(self.path)

    def _unsettled(self) -> bool:
        return bool(self._count or self._trash or self._logged or (self._log is not None and self._log.used))

    def unlock(self) -> None:
        """Let another process have the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def pending(self, project: str) -> list[Row] | None:
        """A project's changes that may not be filed yet, in order; for any thread, before it reads the file.
        None when nobody knows: the file has not been opened for writing."""
        if self._db is None and self.fault is not None and not self._count:
            return None
        old, young = self._pending
        places = [old.get(project), young.get(project)]
        return [
            row for place in places if place is not None for row in place.rows.copy()
        ]  # as it is now, whatever the other thread does

    # --- committing -------------------------------------------------------------------------

    def commit(self, batch: Sequence[Request]) -> list[Outcome]:
        """All changes that follow one another are one transaction; when it fails, nothing of it and of what follows
        counts, and every request learns why."""
        if self.fault is not None and (self._suspect or time.monotonic() < self._retry_at):
            return self._refusals(batch)
        outcomes: list[Outcome] = []
        try:
            db = self.open()
            for is_change, group in itertools.groupby(batch, lambda r: isinstance(r, Submission)):
                if is_change:
                    outcomes += self._accept(db, list(group))  # type: ignore[arg-type]
                else:
                    outcomes += [self._compact(db, request) for request in group]  # type: ignore[arg-type]
        except Exception as exc:  # also what should not happen: the thread must live on
            self._unexpected(exc)
            self._failed(exc)
            return outcomes + self._refusals(batch[len(outcomes) :])
        if len(self._heads) > _MAX_HEADS:
            self._heads.clear()
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
            schema.set_meta(db, "probe", str(time.time()))
        except Exception as exc:  # as in commit: the thread must live on
            self._unexpected(exc)
            self._failed(exc)
            now = time.monotonic()
            self._retry_at = max(self._retry_at, now + 10 * (now - started))  # checking a big file takes long
        else:
            self._mended()

    def _head(self, db: sqlite3.Connection, name: str) -> _Head:
        head = self._heads.get(name)
        if head is None:
            row = db.execute("SELECT number, revision FROM project WHERE name=?", (name,)).fetchone()
            if row is None:
                row = (db.execute("INSERT INTO project (name) VALUES (?)", (name,)).lastrowid, 0)
            old, young = self._pending
            waiting = young.get(name) or old.get(name)
            revision = arrivals.parsed(waiting.rows[-1])[1].revision if waiting else row[1]
            head = self._heads[name] = _Head(row[0], revision, row[1] > 0)
        return head

    def _accept(self, db: sqlite3.Connection, requests: list[Submission]) -> list[Outcome]:
        """Number the changes that are new, and write them as one batch."""
        try:
            heads = [self._heads[request.project] for request in requests]
        except KeyError:  # new projects are one transaction, before the log names their numbers
            db.execute("BEGIN IMMEDIATE")
            heads = [self._head(db, request.project) for request in requests]
            db.execute("COMMIT")
        filed = self._filed(db, requests, heads)
        old, young = self._pending
        rows: list[Row] = []
        places: list[_Waiting] = []
        outcomes: list[Outcome] = []
        now = int(time.time() * 1000)
        for request, head in zip(requests, heads, strict=True):
            project, label = request.project, request.label
            place, earlier = young.get(project), old.get(project)
            row: Row | None = None
            if place is not None and label in place.labels:
                row = place.find(label) or arrivals.find(rows, head.number, label)
            elif earlier is not None and label in earlier.labels:
                row = earlier.find(label)
            known = (
                arrivals.parsed(row)[1]
                if row
                else filed.get((head.number, request.user, request.id))
                if filed
                else None
            )
            if known is not None:
                outcomes.append(_duplicate(request, known))
                continue
            if place is None:
                place = young[project] = _Waiting()
            place.labels.add(label)
            places.append(place)
            head.revision = revision = head.revision + 1
            rows.append(arrivals.row(head.number, revision, now, label, request.data))
            outcomes.append(Outcome(request, revision, now))
        if rows:
            self._write(rows, places)
        return outcomes

    def _write(self, rows: list[Row], places: list[_Waiting]) -> None:
        """Commit new changes, which then belong to those places."""
        assert self._log is not None
        text = "".join(rows)
        self._log.append(text)
        self._count += len(rows)
        self._bytes += len(text)
        for place, row in zip(places, rows, strict=True):
            place.rows.append(row)

    def _filed(
        self, db: sqlite3.Connection, requests: list[Submission], heads: list[_Head]
    ) -> dict[tuple[int, str, str], Change]:
        """Those of the requested changes that are kept and filed already, by project number, user and id."""
        asked = [(h.number, request.user, request.id) for request, h in zip(requests, heads, strict=True) if h.filed]
        found: dict[tuple[int, str, str], Change] = {}
        for number, user, id, revision in arrivals.known(db, asked) if asked else ():
            row = db.execute("SELECT time, data FROM change WHERE key=?", (number * SPAN + revision,)).fetchone()
            found[number, user, id] = Change(revision, id, user, *(row or (0, "")))  # compacted: what it was is unknown
        return found

    def _compact(self, db: sqlite3.Connection, request: Compact) -> Outcome:
        head = self._head(db, request.project)
        at = request.snapshot.revision
        base, last = db.execute("SELECT base, snapshot_revision FROM project WHERE number=?", (head.number,)).fetchone()
        if not last < at <= head.revision:
            message = f"a snapshot is of a revision after {last} and not after {head.revision}"
            return Outcome(request, code="stale", message=message)
        base = max(base, at - request.keep)
        for waiting in self._pending:  # what is deleted below the base must have been filed
            while request.project in waiting:
                self._file(db, waiting, {request.project: waiting[request.project].rows[: arrivals.FILED_AT_ONCE]})
        db.execute(
            "UPDATE project SET snapshot=?, snapshot_revision=?, base=? WHERE number=?",
            (request.snapshot.data, at, base, head.number),
        )
        self._logged += len(request.snapshot.data)
        self._trash.append((head.number, base))
        return Outcome(request, at, base=base)

    # --- filing, and what else can wait -----------------------------------------------------

    def keep_up(self, count: int) -> None:
        """After a commit of so many changes: file as many as keep what is pending within bounds."""
        if self.fault is not None or self._db is None or self._log is None:
            return
        left = 2 * count
        try:
            while left > 0 and (
                self._count > MAX_PENDING or self._bytes > MAX_PENDING_BYTES or self._log.used > MAX_LOG
            ):
                left -= max(1, self._file_some(self._db))
            if self._logged > checkpoint.BEGIN and self._passes.near():
                self._checkpoint(self._db)
            self._log.extend()
        except Exception as exc:
            self._unexpected(exc)
            self._failed(exc)

    def tidy(self) -> float | None:
        """Some of what can wait until nothing else is to be done; in how many seconds there is more of it, None for never."""
        if self.fault is not None or self._db is None or self._log is None:
            return None
        try:
            if self._log.prepare():  # first of all: with that the next commits are faster
                return 0.0
            if self._count or self._log.used:
                self._file_some(self._db)
                return 0.0
            if self._trash:
                self._delete_some(self._db)
                return 0.0
            if self._logged > checkpoint.SMALL and not self._passes.near():
                return 0.05
            if self._logged:
                self._checkpoint(self._db)
        except Exception as exc:
            self._unexpected(exc)
            self._failed(exc)
        return None

    def _file_some(self, db: sqlite3.Connection) -> int:
        """File a few changes. Returns how many."""
        assert self._log is not None
        old, young = self._pending
        if not old:  # so what the log's other file has is filed for good
            self._pending = old, young = young, {}
            self._log.turn()
        moved = self._file(
            db, old, arrivals.first({name: waiting.rows for name, waiting in old.items()}, arrivals.FILED_AT_ONCE)
        )
        if not old:  # a transaction that is synced takes those before it along
            schema.set_meta(db, "filed", str(time.time()))
        return moved

    def _file(self, db: sqlite3.Connection, waiting: dict[str, _Waiting], some: dict[str, list[Row]]) -> int:
        """File those, the first of what waits. Returns how many."""
        with _ordered(db):
            arrivals.file(db, some)
        for name, rows in some.items():
            place = waiting[name]
            place.remove(len(rows))
            size = sum(map(len, rows))
            self._count -= len(rows)
            self._bytes -= size
            self._logged += size + len(rows) * _PAGE
            if not place.rows:
                del waiting[name]
            if name in self._heads:
                self._heads[name].filed = True
        return sum(map(len, some.values()))

    def _delete_some(self, db: sqlite3.Connection) -> None:
        """Delete some compacted changes."""
        number, base = self._trash[0]
        low = number * SPAN
        row = db.execute(
            "SELECT max(key) FROM (SELECT key FROM change WHERE key>? AND key<=? ORDER BY key LIMIT ?)",
            (low, low + base, _DELETE_ROWS),
        ).fetchone()
        if row[0] is None:
            del self._trash[0]
        else:
            with _ordered(db):
                db.execute("DELETE FROM change WHERE key>? AND key<=?", (low, row[0]))

    def _checkpoint(self, db: sqlite3.Connection) -> None:
        """Write the log to the file."""
        self._passes.end()
        self._logged = 0
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    # --- failure ------------------------------------------------------------------------------

    @staticmethod
    def _unexpected(exc: Exception) -> None:
        if not isinstance(exc, (sqlite3.Error, JournalError, OSError)):
            logger.error("the journal failed", exc_info=exc)

    def _failed(self, exc: Exception) -> None:
        reason = str(exc) if isinstance(exc, JournalError) else f"{self.path}: {exc}"
        if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
            self._suspect = True
        self.in_use = isinstance(exc, JournalInUse)
        if self.fault != reason:
            logger.error("the journal refuses changes: %s", reason)
        self.fault = reason
        self._retry_at = time.monotonic() + RETRY
        self._heads.clear()
        self.close()  # rolls back; the next attempt opens anew and so sees what is really there

    def _mended(self) -> None:
        if self.fault is not None:
            logger.warning("the journal takes changes again")
            self.fault = None
            self._suspect = False

    def _refusals(self, batch: Iterable[Request]) -> list[Outcome]:
        message = "changes cannot be kept at present; try again"
        return [Outcome(r, code="unavailable", message=message) for r in batch]


def _duplicate(request: Submission, change: Change) -> Outcome:
    """The change was kept before; a different one under the same id must not pass for it."""
    if change.data and change.data != request.data and json.loads(change.data) != json.loads(request.data):
        message = (
            f"id {request.id!r} was used for another change (revision {change.revision}): give each change its own"
        )
        return Outcome(request, code="id_reused", message=message)
    return Outcome(request, change.revision, change.time, duplicate=True)


class _ordered:  # noqa: N801 - used like a function
    """A transaction that need not be synced: what it files is in the log, too, until a later one has been."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("PRAGMA synchronous=" + ORDERED)
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, _exc: object, _trace: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
        self._db.execute("PRAGMA synchronous=" + SYNCED)
