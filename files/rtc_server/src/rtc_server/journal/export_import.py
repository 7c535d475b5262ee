# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects as text: one out of a journal, one into a journal; and a new history for a journal that was restored.

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
from . import checkpoint, flush, memtable, schema, wal
from .base import JournalError
from .lock import Lock, resolve
from .record import decode_record
from .schema import SPAN

FORMAT = "rtc-journal/1"


def export_project(path: str, project: str) -> Iterator[str]:
    """The lines of an export, all of one moment, also while a server writes. Raises JournalError."""
    path = resolve(path)
    with schema.open_for_reading(path) as db:
        batches = wal.read_batches(db, path)  # before the tables: see there
        db.execute("BEGIN")
        row = db.execute(
            "SELECT number, revision, base, snapshot_revision, snapshot FROM project WHERE name=?", (project,)
        ).fetchone()
        if row is None:
            raise JournalError(f"{path} has no project {project!r}")
        number, revision, base, at, snapshot = row
        records = memtable.load_unflushed(db, batches).get(project, [])
        unflushed = [decode_record(record)[1] for record in records]
        revision += len(unflushed)
        low = number * SPAN
        kept = "null" if snapshot is None else f'{{"revision":{at},"data":{snapshot}}}'
        yield (
            f'{{"format":"{FORMAT}","project":{dumps(project)},"revision":{revision},"base":{base},"snapshot":{kept}}}'
        )
        lines = 1
        flushed = db.execute(
            "SELECT key - ?, id, user, time, data FROM change WHERE key>? AND key<? ORDER BY key",
            (low, low + base, low + SPAN),
        )
        for key, id, user, time, data in itertools.chain(flushed, unflushed):
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

    For a file that was restored from an older copy. Clients may know revisions that the copy does not have, and the
    server will give their numbers to other changes; the epoch shows them that theirs are void.
    """
    with _open_exclusively(path) as db:
        db.execute("UPDATE meta SET value=? WHERE key='epoch'", (secrets.token_hex(8),))
        db.execute("UPDATE project SET epoch=NULL")


def import_project(path: str, lines: Iterable[str], *, name: str = "", replace: bool = False) -> tuple[str, int]:
    """Put an export into a journal that no server uses: all of it or nothing. Returns project and revision.

    The project gets a new epoch, so clients that knew another history start over. Raises JournalError.
    """
    with _open_exclusively(path) as db:
        return _import(db, lines, name, replace)


def _import(db: sqlite3.Connection, lines: Iterable[str], name: str, replace: bool) -> tuple[str, int]:
    numbered = enumerate(lines, 1)
    head = _parse_line(*next(numbered, (1, "")))
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
        line = _parse_line(at, text)
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


def _parse_line(number: int, text: str) -> dict[str, Any]:
    try:
        line = loads(text)
    except (ValueError, RecursionError) as exc:
        raise JournalError(f"line {number}: is not JSON: {exc}") from exc
    if not isinstance(line, dict):
        raise JournalError(f"line {number}: is not an object")
    return line


@contextlib.contextmanager
def _open_exclusively(path: str) -> Iterator[sqlite3.Connection]:
    """One transaction in a journal that no server uses: all of the block or nothing. Raises JournalError."""
    path = resolve(path)
    lock = Lock(path)
    try:
        checkpoint.rewrite(path)
        with contextlib.closing(schema.connect(path, write=True)) as db:
            schema.prepare(db, path)
            with schema.transaction(db):
                flush.flush_all(db, path)
                yield db
                db.execute("DELETE FROM meta WHERE key='log'")
            wal.remove(path)
    except (sqlite3.Error, OSError) as exc:
        raise JournalError(f"{path}: {exc}") from exc
    finally:
        lock.release()


def read_json_lines(text: Iterable[bytes]) -> Iterator[str]:
    """Lines of a file as text. Raises JournalError for what is not UTF-8."""
    for number, line in enumerate(text, 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as exc:
            raise JournalError(f"line {number}: is not UTF-8") from exc
