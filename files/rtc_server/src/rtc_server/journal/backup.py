# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a journal, also while a server writes; what projects there are, how one is deleted, and how the space is
given back."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator

from ..strict_json import count_all_bytes
from . import export_import, flush, memtable, schema, wal
from .base import JournalError
from .lock import Lock, resolve
from .record import decode_record
from .schema import SPAN

_ASIDE = ".part"


def back_up(path: str, target: str) -> None:
    """Copy the journal of one moment into one new file, which is whole by itself. Raises JournalError.

    The moment is not before this is called: what was acknowledged by then is in the copy. The name appears once the
    copy is whole and synced.
    """
    path, target = resolve(path), resolve(target)
    aside = target + _ASIDE
    for name in (target, aside):
        if os.path.lexists(name):
            raise JournalError(f"{name} exists already: name a new file")
    try:
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with schema.open_for_reading(path) as db:
            batches = wal.read_batches(db, path)  # before the tables: see there
            with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as copy:
                db.backup(copy)
        with contextlib.closing(schema.connect(aside, write=True)) as copy:
            schema.prepare(copy, aside)
            with schema.transaction(copy):
                flush.flush_batches(copy, batches)
                copy.execute("DELETE FROM meta WHERE key='log'")
            # the copy is to be one file, without a log that has to be put into it first
            (mode,) = copy.execute("PRAGMA journal_mode=DELETE").fetchone()
            if mode != "delete":
                raise JournalError(f"{aside}: cannot be made one file")
        _sync(aside, os.O_RDONLY)
        os.link(aside, target)  # never over a file that has come meanwhile
        os.unlink(aside)
        _sync(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
    except (sqlite3.Error, OSError) as exc:
        raise JournalError(f"{target}: {exc}") from exc
    finally:
        for name in (aside, aside + "-wal", aside + "-shm", aside + "-journal"):
            with contextlib.suppress(OSError):  # what is wrong with the place was said above
                os.unlink(name)


def _sync(name: str, flags: int) -> None:
    file = os.open(name, flags | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def list_projects(path: str) -> Iterator[tuple[str, int, int, int]]:
    """Name, last revision, kept changes and bytes of their data of each project, by name; also while a server writes.
    Raises JournalError."""
    path = resolve(path)
    # A server that found no room for its tables has left an empty file.
    with schema.open_for_reading(path, empty_ok=True) as db:
        if not schema.check(db, path, empty_ok=True):
            return
        batches = wal.read_batches(db, path)  # before the tables: see there
        db.execute("BEGIN")
        unflushed = memtable.load_unflushed(db, batches)
        query = "SELECT number, name, revision, base, length(CAST(snapshot AS BLOB)) FROM project ORDER BY name"
        rows = db.execute(query).fetchall()
        found = []
        for number, name, revision, base, snapshot in rows:
            low = number * SPAN
            query = "SELECT coalesce(sum(length(CAST(data AS BLOB))), 0) FROM change WHERE key>? AND key<?"
            (size,) = db.execute(query, (low + base, low + SPAN)).fetchone()
            records = unflushed.get(name, [])
            size += count_all_bytes([decode_record(record)[1].data for record in records]) + (snapshot or 0)
            found.append((name, revision + len(records), revision + len(records) - base, size))
    yield from found


def delete_project(path: str, project: str) -> None:
    """Delete all that a project has, in a journal that no server uses. Raises JournalError.

    Its name stays, with a new epoch and without changes: to clients that knew more it is another history. The space is
    used for what comes.
    """
    with export_import.open_exclusively(path) as db:
        row = db.execute("SELECT number FROM project WHERE name=?", (project,)).fetchone()
        if row is None:
            raise JournalError(f"{path} has no project {project!r}")
        export_import.delete_project(db, row[0])
        epoch = secrets.token_hex(8)
        db.execute("INSERT INTO project (number, name, epoch) VALUES (?,?,?)", (row[0], project, epoch))


def compact(path: str) -> tuple[int, int]:
    """Write a journal that no server uses anew, without its free pages, and so that a server can give back those that
    come. Needs as much free space as the journal has. Returns bytes before and after. Raises JournalError.
    """
    path = resolve(path)
    with export_import.open_exclusively(path):
        before = os.path.getsize(path)  # everything is flushed when this ends
    lock = Lock(path)
    try:
        with contextlib.closing(schema.connect(path, write=True)) as db:
            schema.check(db, path)
            db.execute("VACUUM")  # all or nothing, also when it is cut short
        return before, os.path.getsize(path)
    except (sqlite3.Error, OSError) as exc:
        raise JournalError(f"{path}: {exc}") from exc
    finally:
        lock.release()
