# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects as text: one out of a journal, one into a journal; and a new history for a journal that was restored.

An export is JSON lines: a head ``{"format", "project", "revision", "base", "forgotten", "snapshot"}``, then each change
``{"revision", "id", "user", "time", "data"}`` in order, then the ids of compacted changes
``{"revision", "id", "user", "time"}`` (so that a retry is still known as one), then ``{"end": lines before it}``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar, cast

from ..strict_json import dumps, loads
from . import checkpoint, flush, memtable, schema, wal
from .base import MAX_PROJECT, JournalError, is_project_name
from .lock import Lock, resolve
from .record import Record, decode_record
from .schema import MAX_PROJECTS, MAX_REVISION, SPAN

_T = TypeVar("_T")

FORMAT = "rtc-journal/1"
_IN_MEMORY = 16 << 20  # characters of an export
_PIECE = 64  # lines written at once


Unflushed = dict[str, list[Record]]  # what the log has and the tables have not, by project


def read_unflushed(path: str) -> Unflushed:
    """What the log has of all projects. Raises JournalError."""
    path = resolve(path)
    with schema.open_for_reading(path, empty_ok=True) as db:
        batches = wal.read_batches(db, path)
        return memtable.load_unflushed(db, batches)


def export_project(path: str, project: str, unflushed: Unflushed | None = None) -> Iterator[str]:
    """The lines of an export, all of one moment, also while a server writes. Raises JournalError.

    They are put aside first: while the journal is read, the server's files can only grow, and whoever takes the lines
    may take their time.

    :param unflushed: what the log has, where that is known: no server uses the journal.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="\n") as aside:
        with put_aside():
            lines = _read_project(path, project, unflushed)
            # In pieces: of all lines at once it is only seen at their end that they belong on the disk.
            while piece := [f"{line}\n" for line in itertools.islice(lines, _PIECE)]:
                aside.write("".join(piece))
            aside.seek(0)
        for line in aside:
            yield line.removesuffix("\n")


@contextlib.contextmanager
def put_aside() -> Iterator[None]:
    """What the block writes beside the journal, in the system's own place; its errors become JournalErrors."""
    try:
        yield
    except OSError as exc:
        place = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - as tempfile looks for it, which fails where it is full
        raise JournalError(
            f"the export cannot be put aside in {place}: {exc.strerror}; TMPDIR names another place"
        ) from exc


def tidy(data: str) -> str:
    """JSON as an import writes it, without the spaces that clients send: an export of what was imported is the same."""
    return dumps(loads(data))


def _read_project(path: str, project: str, unflushed: Unflushed | None) -> Iterator[str]:
    path = resolve(path)
    with schema.open_for_reading(path) as db:
        batches = wal.read_batches(db, path) if unflushed is None else []  # before the tables: see there
        db.execute("BEGIN")
        row = db.execute(
            f"SELECT number, revision, base, snapshot_revision, snapshot, {schema.name_forgotten(db)}"  # noqa: S608
            " FROM project WHERE name=?",
            (project,),
        ).fetchone()
        if row is None:
            raise JournalError(f"{path} has no project {project!r}")
        number, revision, base, at, snapshot, forgotten = row
        found = memtable.load_unflushed(db, batches) if unflushed is None else unflushed
        last = [decode_record(record)[1] for record in found.get(project, [])]
        revision += len(last)
        low = number * SPAN
        kept = "null" if snapshot is None else f'{{"revision":{at},"data":{tidy(snapshot)}}}'
        yield (
            f'{{"format":"{FORMAT}","project":{dumps(project)},"revision":{revision},"base":{base},'
            f'"forgotten":{forgotten},"snapshot":{kept}}}'
        )
        lines = 1
        flushed = db.execute(
            "SELECT key - ?, id, user, time, data FROM change WHERE key>? AND key<? ORDER BY key",
            (low, low + base, low + SPAN),
        )
        for key, id, user, sent, data in itertools.chain(flushed, last):
            lines += 1
            yield (f'{{"revision":{key},"id":{dumps(id)},"user":{dumps(user)},"time":{sent},"data":{tidy(data)}}}')
        query = (
            "SELECT i.revision, i.id, i.user, coalesce(c.time, 0) FROM change_id i LEFT JOIN change c"
            " ON c.key = ? + i.revision WHERE i.project=? AND i.revision<=? ORDER BY i.revision"
        )
        for at, id, user, sent in db.execute(query, (low, number, base)):
            lines += 1
            yield dumps({"revision": at, "id": id, "user": user, "time": sent})
        yield f'{{"end":{lines}}}'


def new_epoch(path: str) -> None:
    """Begin another history in every project of a journal that no server uses. Raises JournalError.

    For a file that was restored from an older copy. Clients may know revisions that the copy does not have, and the
    server will give their numbers to other changes; the epoch shows them that theirs are void.
    """
    with open_exclusively(path) as db:
        db.execute("UPDATE meta SET value=? WHERE key='epoch'", (secrets.token_hex(8),))
        db.execute("UPDATE project SET epoch=NULL")


def import_project(path: str, lines: Iterable[str], *, name: str = "", replace: bool = False) -> tuple[str, int]:
    """Put an export into a journal that no server uses: all of it or nothing. Returns project and revision.

    The project gets a new epoch, so clients that knew another history start over. Raises JournalError.
    """
    with open_exclusively(path) as db:
        return _import(db, lines, name, replace)


def _read_head(head: dict[str, Any], name: str) -> tuple[str, int, int, int, int, str | None]:
    """Project, revision, base, up to where ids are forgotten, and the snapshot with its revision. Raises
    JournalError."""
    if head.get("format") != FORMAT:
        raise JournalError(f"line 1: is not an export of a project ({FORMAT})")
    project = name or _take(head, 1, "project", str)
    if not is_project_name(project):
        raise JournalError(f"line 1: project must have 1 to {MAX_PROJECT} printable characters: give it another name")
    revision, base = _take(head, 1, "revision", int), _take(head, 1, "base", int)
    forgotten = _take(head, 1, "forgotten", int) if "forgotten" in head else 0  # older releases forget nothing
    snapshot = head.get("snapshot")
    at, state = 0, None
    if snapshot is not None:
        if not isinstance(snapshot, dict) or "data" not in snapshot:
            raise JournalError("line 1: snapshot is not an object with revision and data")
        at, state = _take(snapshot, 1, "revision", int), dumps(snapshot["data"])
    is_placed = base == 0 if snapshot is None else max(base, 1) <= at <= revision
    if not is_placed or forgotten > revision:
        raise JournalError(f"line 1: base {base}, snapshot {at} and revision {revision} do not fit together")
    if revision > MAX_REVISION:
        raise JournalError(f"line 1: revision {revision} is beyond what a journal can number ({MAX_REVISION})")
    return project, revision, base, forgotten, at, state


def _import(db: sqlite3.Connection, lines: Iterable[str], name: str, replace: bool) -> tuple[str, int]:
    numbered = enumerate(lines, 1)
    project, revision, base, forgotten, at, state = _read_head(_parse_line(*next(numbered, (1, ""))), name)
    row = db.execute("SELECT number FROM project WHERE name=?", (project,)).fetchone()
    if row is not None and not replace:
        raise JournalError(
            f"the journal has a project {project!r} already: import it under another name, or replace it"
        )
    if row is not None:
        delete_project(db, row[0])
    (number,) = db.execute("SELECT coalesce(max(number), 0) + 1 FROM project").fetchone()
    if number >= MAX_PROJECTS:
        raise JournalError("the journal has no number left for another project")
    db.execute(
        "INSERT INTO project (number, name, epoch, revision, base, forgotten, snapshot_revision, snapshot)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (number, project, secrets.token_hex(8), revision, base, forgotten, at, state),
    )
    expected = base
    for at, text in numbered:
        line = _parse_line(at, text)
        if "end" in line:
            if line["end"] != at - 1 or expected != revision:
                raise JournalError(
                    f"line {at}: the export has {at - 1} lines up to revision {expected}; some are missing"
                )
            return project, revision
        given, id, user = _take(line, at, "revision", int), _take(line, at, "id", str), _take(line, at, "user", str)
        if "data" in line:
            expected += 1
            if given != expected:
                raise JournalError(f"line {at}: revision {given} where {expected} is due")
            values = (number * SPAN + expected, id, user, _take(line, at, "time", int), dumps(line["data"]))
            db.execute("INSERT INTO change VALUES (?,?,?,?,?)", values)
        elif not 0 < given <= base:
            raise JournalError(f"line {at}: revision {given} is no compacted one, and has no data")
        else:
            sent = _take(line, at, "time", int) if line.get("time") else int(time.time() * 1000)
            db.execute("INSERT OR IGNORE INTO change VALUES (?,?,?,?,'')", (number * SPAN + given, id, user, sent))
        if given <= forgotten:
            continue
        try:
            db.execute("INSERT INTO change_id VALUES (?,?,?,?)", (number, user, id, given))
        except sqlite3.IntegrityError:
            raise JournalError(f"line {at}: user {user!r} has had the id {id!r} before") from None
    raise JournalError("the export is cut short: its last line is missing")


def delete_project(db: sqlite3.Connection, number: int) -> None:
    """Delete a project's rows, within the caller's transaction. Its changes must have been flushed."""
    low = number * SPAN
    db.execute("DELETE FROM change WHERE key>? AND key<?", (low, low + SPAN))
    db.execute("DELETE FROM change_id WHERE project=?", (number,))
    db.execute("DELETE FROM project WHERE number=?", (number,))


def _parse_line(number: int, text: str) -> dict[str, Any]:
    try:
        line = loads(text)
    except (ValueError, RecursionError) as exc:
        raise JournalError(f"line {number}: is not JSON: {exc}") from exc
    if not isinstance(line, dict):
        raise JournalError(f"line {number}: is not an object")
    return line


def _take(line: dict[str, Any], number: int, name: str, kind: type[_T]) -> _T:
    """A member of a line: a text that can be kept, or a whole number from 0 to 2**53. Raises JournalError."""
    value = line.get(name)
    if type(value) is not kind:
        what = "missing" if name not in line else "not a text" if kind is str else "not a whole number"
        raise JournalError(f"line {number}: {name} is {what}")
    if isinstance(value, int) and not 0 <= value < 1 << 53:
        raise JournalError(f"line {number}: {name} is out of range")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise JournalError(f"line {number}: {name} is no text in UTF-8") from None
    return cast(_T, value)


@contextlib.contextmanager
def open_exclusively(path: str) -> Iterator[sqlite3.Connection]:
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
