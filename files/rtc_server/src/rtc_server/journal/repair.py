# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is whole in a damaged journal, saved into a new one. The damaged one is only read."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from typing import Any

from ..strict_json import loads
from . import loss, schema, wal
from .base import Change, JournalError
from .lock import Lock, resolve
from .record import decode_record
from .schema import SPAN

_COLUMNS = "number, name, epoch, revision, base, snapshot_revision, snapshot"


def repair(source: str, target: str) -> tuple[list[str], dict[str, int]]:
    """Save what is whole of a journal that no server uses. Returns what is lost, in words, and what was saved, counted.

    A project's changes are saved up to the first one that is missing: later ones may build on it. A project that lost
    something gets a new epoch, so that clients which know more start over. Raises JournalError.
    """
    source, target = resolve(source), resolve(target)
    if not os.path.exists(source):
        raise JournalError(f"{source} does not exist")
    for name in (target, target + "-wal", *wal.file_names(target)):
        if os.path.exists(name):
            raise JournalError(f"{name} exists already: name a new file")
    locks = [Lock(source)]
    try:
        locks.append(Lock(target))
        with (
            contextlib.closing(schema.connect_reader(source)) as old,
            contextlib.closing(schema.connect(target, write=True)) as new,
        ):
            schema.check(old, source)
            schema.prepare(new, target)
            with schema.transaction(new):
                return _save(old, new, source)
    except (sqlite3.Error, OSError) as exc:
        raise JournalError(f"{source}: {exc}") from exc
    finally:
        for lock in reversed(locks):
            lock.release()


def _save(old: sqlite3.Connection, new: sqlite3.Connection, source: str) -> tuple[list[str], dict[str, int]]:
    lost: list[str] = []
    counts = {"projects": 0, "changes": 0, "snapshots": 0}
    epoch = _read_epoch(old, lost)
    if epoch:
        new.execute("UPDATE meta SET value=? WHERE key='epoch'", (epoch,))
    query = f"SELECT {_COLUMNS}, {schema.name_forgotten(old)} FROM project ORDER BY number"  # noqa: S608 - constants
    rows = list(_read_rows(old, query, (), "table of projects", lost))
    found, unknown = _survey(old, source, {row[0]: (row[1], row[3]) for row in rows}, lost)
    for number, name, own_epoch, revision, base, at, kept, forgotten in rows:
        where = f"project {name!r}"
        before = len(lost)
        changes = list(_read_changes(old, number, where, base, revision, lost))
        last = base + len(changes)
        if last == revision:
            changes += [decode_record(record)[1] for record in found.records.get(name, [])]
            last = base + len(changes)
            if name in found.gaps:
                first, end, seen = found.gaps[name]
                lost.append(
                    f"{where}: revisions {first} to {end} are lost; {end + 1} to {seen}, behind them, not saved"
                )
        snapshot = kept if _is_json(kept) and base <= at <= last else None
        if kept is not None and snapshot is None:
            lost.append(f"{where}: the snapshot of revision {at} is damaged, or changes before it are lost")
        if snapshot is None and base > 0:
            lost.append(f"{where}: nothing can be saved without a snapshot")
            continue
        is_whole = len(lost) == before and not unknown
        limit = min(forgotten, last)
        _write(new, (number, name, own_epoch if is_whole else secrets.token_hex(8)), last, base, at, snapshot, changes)
        new.execute("UPDATE project SET forgotten=? WHERE number=?", (limit, number))
        new.execute("DELETE FROM change_id WHERE project=? AND revision<=?", (number, limit))
        ids = _read_rows(
            old,
            "SELECT user, id, revision FROM change_id WHERE project=? AND revision<=?",
            (number, base),
            f"{where}: ids of compacted changes",
            lost,
        )
        new.executemany("INSERT OR IGNORE INTO change_id VALUES (?,?,?,?)", ((number, *row) for row in ids))
        counts["projects"] += 1
        counts["changes"] += len(changes)
        counts["snapshots"] += snapshot is not None
    return lost, counts


def _survey(
    old: sqlite3.Connection, source: str, projects: dict[int, tuple[str, int]], lost: list[str]
) -> tuple[loss.Survey, bool]:
    """What the log has, and whether some of it may be missing without a trace."""
    try:
        log = wal.scan(old, source)
    except (JournalError, sqlite3.Error) as exc:
        lost.append(f"{exc}; {loss.describe_tails(projects)}")
        return loss.Survey(), True
    if log.complaint:
        lost.append(f"{log.complaint}: the last changes of projects may be lost")
    return loss.survey(projects, log.texts), bool(log.complaint)


def _read_epoch(old: sqlite3.Connection, lost: list[str]) -> str:
    rows = list(_read_rows(old, "SELECT value FROM meta WHERE key='epoch'", (), "epoch", lost))
    return str(rows[0][0]) if rows else ""


def _read_rows(
    db: sqlite3.Connection, query: str, values: tuple[object, ...], what: str, lost: list[str]
) -> Iterator[Any]:
    """The rows that can be read. The rest of a damaged table is lost."""
    try:
        yield from db.execute(query, values)
    except sqlite3.DatabaseError as exc:
        lost.append(f"{what}: cannot be read to the end: {exc}")


def _read_changes(
    db: sqlite3.Connection, number: int, where: str, base: int, revision: int, lost: list[str]
) -> Iterator[Change]:
    """Flushed changes in order, up to the first that is missing or damaged."""
    low, last = number * SPAN, base
    query = "SELECT key - ?, id, user, time, data FROM change WHERE key>? AND key<=? ORDER BY key"
    for row in _read_rows(db, query, (low, low + base, low + revision), where, lost):
        change = Change(*row)
        if change.revision != last + 1 or not _is_json(change.data):
            break
        last = change.revision
        yield change
    if last != revision:
        lost.append(f"{where}: revisions {last + 1} to {revision} are lost, and later ones not saved")


def _is_json(text: object) -> bool:
    try:
        loads(text)  # type: ignore[arg-type]
    except (ValueError, RecursionError, TypeError):
        return False
    return True


def _write(
    new: sqlite3.Connection,
    project: tuple[int, str, str | None],
    revision: int,
    base: int,
    at: int,
    snapshot: str | None,
    changes: list[Change],
) -> None:
    number = project[0]
    values = (*project, revision, base, at if snapshot is not None else 0, snapshot)
    new.execute(f"INSERT INTO project ({_COLUMNS}) VALUES (?,?,?,?,?,?,?)", values)  # noqa: S608 - constants
    new.executemany("INSERT INTO change VALUES (?,?,?,?,?)", ((number * SPAN + c.revision, *c[1:]) for c in changes))
    new.executemany("INSERT INTO change_id VALUES (?,?,?,?)", ((number, c.user, c.id, c.revision) for c in changes))
