# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a journal is whole: its file, its tables, its write-ahead log."""

from __future__ import annotations

import sqlite3

from ..strict_json import loads
from . import memtable, schema, wal
from .base import Change, JournalError
from .lock import resolve
from .record import decode_record
from .schema import MAX_PROJECTS, MAX_REVISION, SPAN


def verify_journal(path: str) -> tuple[list[str], dict[str, int]]:
    """What is wrong with a journal (nothing if it is whole), and counts of what was checked. A server may be using it.

    Raises JournalError when the journal cannot be opened at all.
    """
    wrong: list[str] = []
    counts = {"projects": 0, "changes": 0, "snapshots": 0}
    path = resolve(path)
    with schema.open_for_reading(path) as db:
        try:
            batches = wal.read_batches(db, path)  # before the tables: see there
        except JournalError as exc:
            batches = []
            wrong.append(str(exc))
        db.execute("BEGIN")
        wrong += [f"file: {row[0]}" for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        query = (
            "SELECT number, name, revision, base, snapshot_revision, snapshot,"  # noqa: S608 - a column's name
            f" {schema.name_forgotten(db)} FROM project"
        )
        rows = db.execute(query).fetchall()
        numbers = {row[0] for row in rows}
        try:
            unflushed = memtable.load_unflushed(db, batches)
        except JournalError as exc:
            unflushed = {}
            wrong.append(str(exc))
        for number, name, revision, base, at, snapshot, forgotten in rows:
            counts["projects"] += 1
            where = f"project {name!r}"
            if not 0 < number < MAX_PROJECTS:
                wrong.append(f"{where}: has the number {number}, which is none")
                continue
            if revision > MAX_REVISION:
                wrong.append(f"{where}: revision {revision} is beyond what a journal can number: it takes no changes")
            if not 0 <= base <= max(at, 0) or at > revision + len(unflushed.get(name, [])):
                wrong.append(f"{where}: base {base}, snapshot {at}, revision {revision} do not fit together")
            if not 0 <= forgotten <= revision:
                wrong.append(f"{where}: ids up to revision {forgotten} are forgotten, it has {revision}")
            if (snapshot is None) != (at == 0):
                wrong.append(f"{where}: snapshot of revision {at} is {'missing' if snapshot is None else 'unexpected'}")
            if snapshot is not None:
                counts["snapshots"] += 1
                wrong += _check_json(f"{where}: snapshot", snapshot)
            changes, complaints = _verify_changes(db, number, where, revision, base, forgotten)
            later = [decode_record(record)[1] for record in unflushed.get(name, [])]
            complaints += _verify_unflushed(later, where, revision)
            counts["changes"] += changes + len(later)
            wrong += complaints
        for (number,) in db.execute("SELECT DISTINCT key / ? FROM change", (SPAN,)):
            if number not in numbers:
                wrong.append(f"changes of a project number {number} that does not exist")
    return wrong, counts


def _verify_changes(
    db: sqlite3.Connection, number: int, where: str, revision: int, base: int, forgotten: int
) -> tuple[int, list[str]]:
    wrong: list[str] = []
    low, expected, found = number * SPAN, base, 0
    for key, data, kept in db.execute(
        "SELECT c.key, c.data, i.revision FROM change c LEFT JOIN change_id i"
        " ON i.project=? AND i.user=c.user AND i.id=c.id WHERE c.key>? AND c.key<? ORDER BY c.key",
        (number, low + base, low + SPAN),
    ):
        found += 1
        expected += 1
        if key - low != expected:
            wrong.append(f"{where}: revision {key - low} follows {expected - 1}")
            expected = key - low
        if kept != expected and (expected > forgotten or (kept is not None and kept < expected)):
            wrong.append(f"{where}: the id of revision {expected} is kept for {kept}")
        wrong += _check_json(f"{where}: revision {expected}", data)
    if expected != revision:
        wrong.append(f"{where}: ends at revision {expected}, should at {revision}")
    return found, wrong


def _verify_unflushed(changes: list[Change], where: str, revision: int) -> list[str]:
    wrong: list[str] = []
    for expected, change in enumerate(changes, revision + 1):
        if change.revision != expected:
            wrong.append(f"{where}: revision {change.revision} follows {expected - 1} in the write-ahead log")
        wrong += _check_json(f"{where}: revision {change.revision}", change.data)
    return wrong


def _check_json(where: str, text: str) -> list[str]:
    try:
        loads(text)
    except (ValueError, RecursionError, TypeError) as exc:
        return [f"{where}: is not JSON: {exc}"]
    return []
