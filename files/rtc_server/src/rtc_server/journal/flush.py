# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving changes from the write-ahead log into the tables ``change`` and ``change_id``."""

from __future__ import annotations

import functools
import itertools
import secrets
import sqlite3
from collections.abc import Iterator

from . import memtable, wal
from .record import Record, decode_record
from .schema import SPAN, set_meta

FLUSH_BATCH = 256  # changes in one transaction: a commit may have to wait for it
FLUSH_BYTES = 1 << 20  # of their records, likewise
_MOST_KEYS = 320  # in a statement: SQLite may allow no more than 999 values
_KEYS_STEP = 16
_NOBODYS = (0, "", "")  # numbers of projects begin with 1


def flush(db: sqlite3.Connection, records: dict[str, list[Record]]) -> None:
    """Put the next records of each project into its tables, within the caller's transaction."""
    changes: list[object] = []
    ids: list[object] = []
    for name, next_records in records.items():
        decoded = [decode_record(record)[1] for record in next_records]
        (number,) = db.execute("SELECT number FROM project WHERE name=?", (name,)).fetchone()
        for change in decoded:
            changes += (number * SPAN + change.revision, *change[1:])
        for change in sorted(decoded, key=lambda c: (c.user, c.id)):
            ids += (number, change.user, change.id, change.revision)
        db.execute("UPDATE project SET revision=? WHERE number=?", (decoded[-1].revision, number))
    insert_rows(db, "change", 5, changes)
    insert_rows(db, "change_id", 4, ids)


def flush_all(db: sqlite3.Connection, path: str) -> bytes:
    """:func:`flush_batches` of what the log has. Raises JournalError when it is damaged."""
    return flush_batches(db, wal.read_batches(db, path))


def flush_batches(db: sqlite3.Connection, batches: list[tuple[int, str]]) -> bytes:
    """Flush everything in the log's batches, within the caller's transaction, which has the journal to itself.

    Returns the id of the next write-ahead log; once the transaction is committed, the present log no longer counts.
    Raises JournalError when a batch is damaged.
    """
    unflushed = memtable.load_unflushed(db, batches)
    while unflushed:
        records = memtable.take_first(unflushed, FLUSH_BATCH, FLUSH_BYTES)
        flush(db, records)
        for name, flushed in records.items():
            unflushed[name] = unflushed[name][len(flushed) :]
            if not unflushed[name]:
                del unflushed[name]
    next_id = secrets.token_bytes(8)
    set_meta(db, "log", next_id.hex())
    return next_id


def find_flushed(db: sqlite3.Connection, keys: list[tuple[int, str, str]]) -> list[tuple[int, str, str, int]]:
    """Which of the keys (project number, user, id) belong to flushed changes: the keys with their revisions.

    One statement, as for :func:`insert_rows`: every commit waits for it. It asks for nobody's changes, too, so that few
    sizes are enough.
    """
    found: list[tuple[int, str, str, int]] = []
    for at in range(0, len(keys), _MOST_KEYS):
        asked = keys[at : at + _MOST_KEYS]
        asked += [_NOBODYS] * (-len(asked) % _KEYS_STEP)
        found += db.execute(_format_query(len(asked)), list(itertools.chain.from_iterable(asked)))
    return found


@functools.lru_cache
def _format_query(count: int) -> str:
    rows = ",".join(["(?,?,?)"] * count)
    return (
        f"WITH asked(p, u, i) AS (VALUES {rows}) SELECT project, user, id, revision"  # noqa: S608 - question marks
        " FROM asked CROSS JOIN change_id ON project=p AND user=u AND id=i"
    )


def insert_rows(db: sqlite3.Connection, table: str, columns: int, values: list[object]) -> None:
    """Insert rows whose values follow one another.

    Python gives its lock away for each statement, and a busy event loop gives it back only after milliseconds: with one
    statement for each row a flush would take a thousand times as long.
    """
    row = "(" + ",".join("?" * columns) + ")"
    for at, count in split_into_powers_of_two(len(values) // columns):
        rows = ",".join([row] * count)
        values_of_rows = values[at * columns : (at + count) * columns]
        db.execute(f"INSERT INTO {table} VALUES {rows}", values_of_rows)  # noqa: S608 - no text of clients


def split_into_powers_of_two(total: int) -> Iterator[tuple[int, int]]:
    """Positions and sizes of pieces that make up ``total`` rows. Few sizes mean few statements, which SQLite keeps
    prepared; 128 is the largest, as SQLite may allow no more than 999 values."""
    at = 0
    while at < total:
        count = min(128, 1 << ((total - at).bit_length() - 1))
        yield at, count
        at += count
