# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals as files: a project out, a project in, and whether a journal is whole.

An export is JSON lines: a head ``{"format", "project", "revision", "base", "snapshot"}``, then each change
``{"revision", "id", "user", "time", "data"}`` in order, then the ids of compacted changes
``{"revision", "id", "user"}`` (so that a retry is still known as one), then ``{"end": lines before it}``.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from ..strict_json import dumps, loads
from . import arrivals, log, schema
from .base import Change, JournalError
from .schema import SPAN

FORMAT = "rtc-journal/1"


def projects(path: str) -> list[str]:
    """The names of all projects. Raises JournalError."""
    with _reading(path) as db:
        return [row[0] for row in db.execute("SELECT name FROM project ORDER BY name")]


def export_project(path: str, project: str) -> Iterator[str]:
    """The lines of an export, all of one moment, also while a server writes. Raises JournalError."""
    with _reading(path) as db:
        batches = log.read(db, path)  # first: see there
        db.execute("BEGIN")
        row = db.execute(
            "SELECT number, revision, base, snapshot_revision, snapshot FROM project WHERE name=?", (project,)
        ).fetchone()
        if row is None:
            raise JournalError(f"{path} has no project {project!r}")
        number, revision, base, at, snapshot = row
        pending = arrivals.changes(arrivals.load(db, batches).get(project, []))
        revision += len(pending)
        low = number * SPAN
        kept = "null" if snapshot is None else f'{{"revision":{at},"data":{snapshot}}}'
        yield (
            f'{{"format":"{FORMAT}","project":{dumps(project)},"revision":{revision},"base":{base},"snapshot":{kept}}}'
        )
        lines = 1
        filed = db.execute(
            "SELECT key - ?, id, user, time, data FROM change WHERE key>? AND key<? ORDER BY key",
            (low, low + base, low + SPAN),
        )
        for key, id, user, time, data in itertools.chain(filed, pending):
            lines += 1
            yield (f'{{"revision":{key},"id":{dumps(id)},"user":{dumps(user)},"time":{time},"data":{data}}}')
        for at, id, user in db.execute(
            "SELECT revision, id, user FROM change_id WHERE project=? AND revision<=? ORDER BY revision", (number, base)
        ):
            lines += 1
            yield dumps({"revision": at, "id": id, "user": user})
        yield f'{{"end":{lines}}}'


def new_epoch(path: str) -> None:
    """Begin another history in every project of a journal that no server uses. Raises JournalError.

    For a file that was restored from an older copy: clients may know revisions that it never gave, and
    it will give their numbers to other changes; by the epoch they see that theirs are void.
    """
    with _writing(path) as db:
        db.execute("UPDATE meta SET value=? WHERE key='epoch'", (secrets.token_hex(8),))
        db.execute("UPDATE project SET epoch=NULL")


def import_project(path: str, lines: Iterable[str], *, name: str = "", replace: bool = False) -> tuple[str, int]:
    """Put an export into a journal that no server uses: all of it or nothing. Returns project and revision.

    The project gets a new epoch, so clients that knew another history start over. Raises JournalError.
    """
    with _writing(path) as db:
        return _import(db, lines, name, replace)


def _import(db: sqlite3.Connection, lines: Iterable[str], name: str, replace: bool) -> tuple[str, int]:
    numbered = enumerate(lines, 1)
    head = _line(*next(numbered, (1, "")))
    if head.get("format") != FORMAT:
        raise JournalError(f"line 1: is not an export of a project ({FORMAT})")
    project = name or head["project"]
    revision, base, snapshot = int(head["revision"]), int(head["base"]), head["snapshot"]
    row = db.execute("SELECT number FROM project WHERE name=?", (project,)).fetchone()
    if row is not None and not replace:
        raise JournalError(
            f"the journal has a project {project!r} already: import it under another name, or replace it"
        )
    if row is not None:
        low = row[0] * SPAN
        db.execute("DELETE FROM change WHERE key>? AND key<?", (low, low + SPAN))
        db.execute("DELETE FROM change_id WHERE project=?", (row[0],))
        db.execute("DELETE FROM project WHERE number=?", (row[0],))
    cursor = db.execute(
        "INSERT INTO project (name, epoch, revision, base, snapshot_revision, snapshot) VALUES (?,?,?,?,?,?)",
        (
            project,
            secrets.token_hex(8),
            revision,
            base,
            *((0, None) if snapshot is None else (int(snapshot["revision"]), dumps(snapshot["data"]))),
        ),
    )
    number = int(cursor.lastrowid or 0)
    expected = base
    for at, text in numbered:
        line = _line(at, text)
        if "end" in line:
            if line["end"] != at - 1 or expected != revision:
                raise JournalError(
                    f"line {at}: the export has {at - 1} lines up to revision {expected}; some are missing"
                )
            return project, revision
        if "data" in line:
            expected += 1
            if line["revision"] != expected:
                raise JournalError(f"line {at}: revision {line['revision']} where {expected} is due")
            values = (number * SPAN + expected, line["id"], line["user"], int(line["time"]), dumps(line["data"]))
            db.execute("INSERT INTO change VALUES (?,?,?,?,?)", values)
        db.execute("INSERT INTO change_id VALUES (?,?,?,?)", (number, line["user"], line["id"], line["revision"]))
    raise JournalError("the export is cut short: its last line is missing")


def _line(number: int, text: str) -> dict[str, Any]:
    try:
        line = loads(text)
    except (ValueError, RecursionError) as exc:
        raise JournalError(f"line {number}: is not JSON: {exc}") from exc
    if not isinstance(line, dict):
        raise JournalError(f"line {number}: is not an object")
    return line


def verify(path: str) -> tuple[list[str], dict[str, int]]:
    """What is wrong with a journal (nothing, if it is whole), and what was counted. Raises JournalError
    when it cannot be opened at all. A server may be using it."""
    wrong: list[str] = []
    counts = {"projects": 0, "changes": 0, "snapshots": 0}
    with _reading(path) as db:
        try:
            batches = log.read(db, path)  # first: see there
        except JournalError as exc:
            batches = []
            wrong.append(str(exc))
        db.execute("BEGIN")
        wrong += [f"file: {row[0]}" for row in db.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        rows = db.execute("SELECT number, name, revision, base, snapshot_revision, snapshot FROM project").fetchall()
        numbers = {row[0] for row in rows}
        try:
            arrivals_of = arrivals.load(db, batches)
        except JournalError as exc:
            arrivals_of = {}
            wrong.append(str(exc))
        for number, name, revision, base, at, snapshot in rows:
            counts["projects"] += 1
            where = f"project {name!r}"
            if not 0 <= base <= max(at, 0) or at > revision + len(arrivals_of.get(name, [])):
                wrong.append(f"{where}: base {base}, snapshot {at}, revision {revision} do not fit together")
            if (snapshot is None) != (at == 0):
                wrong.append(f"{where}: snapshot of revision {at} is {'missing' if snapshot is None else 'unexpected'}")
            if snapshot is not None:
                counts["snapshots"] += 1
                wrong += _bad_json(f"{where}: snapshot", snapshot)
            changes, complaints = _verify_changes(db, number, where, revision, base)
            pending = arrivals.changes(arrivals_of.get(name, []))
            complaints += _verify_pending(pending, where, revision)
            counts["changes"] += changes + len(pending)
            wrong += complaints
        for (number,) in db.execute("SELECT DISTINCT key / ? FROM change", (SPAN,)):
            if number not in numbers:
                wrong.append(f"changes of a project number {number} that does not exist")
    return wrong, counts


def _verify_changes(db: sqlite3.Connection, number: int, where: str, revision: int, base: int) -> tuple[int, list[str]]:
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
        if kept != expected:
            wrong.append(f"{where}: the id of revision {expected} is kept for {kept}")
        wrong += _bad_json(f"{where}: revision {expected}", data)
    if expected != revision:
        wrong.append(f"{where}: ends at revision {expected}, should at {revision}")
    return found, wrong


def _verify_pending(pending: list[Change], where: str, revision: int) -> list[str]:
    wrong: list[str] = []
    for expected, change in enumerate(pending, revision + 1):
        if change.revision != expected:
            wrong.append(f"{where}: revision {change.revision} follows {expected - 1} in the log")
        wrong += _bad_json(f"{where}: revision {change.revision}", change.data)
    return wrong


def _bad_json(where: str, text: str) -> list[str]:
    try:
        loads(text)
    except (ValueError, RecursionError, TypeError) as exc:
        return [f"{where}: is not JSON: {exc}"]
    return []


@contextlib.contextmanager
def _writing(path: str) -> Iterator[sqlite3.Connection]:
    """One transaction in a journal that is ours alone: all of the block or nothing. Raises JournalError."""
    lock = schema.lock(path)
    try:
        with contextlib.closing(schema.connect(path, write=True)) as db:
            schema.prepare(db, path)
            db.execute("BEGIN IMMEDIATE")
            try:
                arrivals.file_all(db, path)
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise
            log.remove(path)
    except (sqlite3.Error, OSError) as exc:
        raise JournalError(f"{path}: {exc}") from exc
    finally:
        schema.unlock(lock)


class _reading:  # noqa: N801 - used like a function
    """A reading connection to a journal of ours for the block; its errors become JournalErrors."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._db = schema.connect_reader(self._path)
            schema.check(self._db, self._path)
        except sqlite3.Error as exc:
            raise JournalError(f"{self._path}: {exc}") from exc
        return self._db

    def __exit__(self, _kind: object, exc: BaseException | None, _trace: object) -> None:
        self._db.close()
        if isinstance(exc, (sqlite3.Error, OSError)):
            raise JournalError(f"{self._path}: {exc}") from exc


def read_json_lines(text: Iterable[bytes]) -> Iterator[str]:
    """Lines of a file as text. Raises JournalError for what is not UTF-8."""
    for number, line in enumerate(text, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as exc:
            raise JournalError(f"line {number}: is not UTF-8") from exc
