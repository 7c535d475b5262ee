# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are durable but not yet filed under their project.

A commit writes one batch to the log (log.py): its changes one after another, as they came. Filing puts them into the
tables ``change`` and ``change_id``, a project at a time. A change touches a page of each of those, and so would a
commit that put it there: pages of 4 kB, for a change of a few hundred bytes. Filed together, a project's changes share them.

Memory has all that is not filed, as the text that the batches have of it. Python's garbage collector does not look at texts; at
an object for each change it looked for 40 ms now and then, while everybody waited.
"""

from __future__ import annotations

import itertools
import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from . import log
from .base import Change
from .schema import SPAN, set_meta

FILED_AT_ONCE = 256  # changes in one transaction: a commit may have to wait for it

Row = str  # a change as it stands in a batch


def row(number: int, revision: int, time: int, label: str, data: str) -> Row:
    """A change in a batch: its numbers, id and user in one line, its data in another. JSON needs no line break."""
    return f"{number} {revision} {time} {{{label}}}\n{data}\n"


def label_of(row: Row) -> str:
    """What tells a change from the others of its project (:class:`~rtc_server.journal.base.Submission`)."""
    return row[row.index("{") + 1 : row.index("\n") - 1]


def find(rows: Iterable[Row], number: int, label: str) -> Row | None:
    """The row of that project and label."""
    start = f"{number} "
    return next((row for row in rows if row.startswith(start) and label_of(row) == label), None)


def parsed(row: Row) -> tuple[int, Change]:
    """Project number and change. Raises ValueError, LookupError, TypeError when it is damaged."""
    line, data, _ = row.split("\n")
    number, revision, time, rest = line.split(" ", 3)
    whose = json.loads(rest)
    return int(number), Change(int(revision), whose["id"], whose["user"], int(time), data)


def changes(rows: list[Row]) -> list[Change]:
    """Their changes."""
    return [parsed(row)[1] for row in rows]


def rows(text: str) -> list[Row]:
    """The rows of a batch. Raises ValueError when it is cut short."""
    lines = text.split("\n")
    if len(lines) % 2 == 0 or lines[-1]:
        raise ValueError("cut short")
    return [f"{lines[at]}\n{lines[at + 1]}\n" for at in range(0, len(lines) - 1, 2)]


def load(db: sqlite3.Connection, batches: list[tuple[int, str]]) -> dict[str, list[Row]]:
    """What of the batches (log.py) is not filed yet, by project and in order. Raises JournalError."""
    if not batches:
        return {}
    projects = {
        number: [name, revision] for number, name, revision in db.execute("SELECT number, name, revision FROM project")
    }
    found: dict[str, list[Row]] = {}
    for batch, text in batches:
        try:
            for row in rows(text):
                number, change = parsed(row)
                project = projects[number]
                name, known = project
                waiting = found.get(name)
                if waiting is None and change.revision <= known:
                    continue  # filed
                if change.revision != known + 1:
                    raise ValueError("changes are missing")
                project[1] = change.revision
                found.setdefault(name, []).append(row)
        except (ValueError, LookupError, TypeError) as exc:
            raise log.damaged(batch) from exc
    return found


def first(pending: Mapping[str, Iterable[Row]], most: int) -> dict[str, list[Row]]:
    """So many of what is pending, project by project."""
    found: dict[str, list[Row]] = {}
    for name, waiting in pending.items():
        found[name] = list(itertools.islice(waiting, most))
        most -= len(found[name])
        if most <= 0:
            break
    return found


def file(db: sqlite3.Connection, pending: dict[str, list[Row]]) -> None:
    """File them, within the caller's transaction: each project's next."""
    values: list[object] = []
    ids: list[object] = []
    for name, waiting in pending.items():
        some = changes(waiting)
        (number,) = db.execute("SELECT number FROM project WHERE name=?", (name,)).fetchone()
        for change in some:
            values += (number * SPAN + change.revision, *change[1:])
        for change in sorted(some, key=lambda c: (c.user, c.id)):
            ids += (number, change.user, change.id, change.revision)
        db.execute("UPDATE project SET revision=? WHERE number=?", (some[-1].revision, number))
    _insert(db, "change", 5, values)
    _insert(db, "change_id", 4, ids)


def file_all(db: sqlite3.Connection, path: str) -> bytes:
    """File everything, within the caller's transaction: for those who work on the file alone. After it the log does not count
    any more; returns the name of the next one."""
    pending = load(db, log.read(db, path))
    while pending:
        some = first(pending, FILED_AT_ONCE)
        file(db, some)
        for name, rows in some.items():
            pending[name] = pending[name][len(rows) :]
            if not pending[name]:
                del pending[name]
    next_log = secrets.token_bytes(8)
    set_meta(db, "log", next_log.hex())
    return next_log


def known(db: sqlite3.Connection, keys: list[tuple[int, str, str]]) -> list[tuple[int, str, str, int]]:
    """Which of those (project number, user, id) are filed, with their revisions."""
    found: list[tuple[int, str, str, int]] = []
    for at, count in _pieces(len(keys)):
        asked = ",".join(["(?,?,?)"] * count)
        values = [value for key in keys[at : at + count] for value in key]
        found += db.execute(
            f"WITH asked(p, u, i) AS (VALUES {asked}) SELECT project, user, id, revision"  # noqa: S608 - question marks
            " FROM asked CROSS JOIN change_id ON project=p AND user=u AND id=i",
            values,
        )
    return found


def _insert(db: sqlite3.Connection, table: str, columns: int, values: list[object]) -> None:
    """Insert the rows whose values stand one after another.

    Python's lock is given away for each statement, and a busy event loop gives it back only after milliseconds: one statement
    for each row would take a thousand times as long.
    """
    one = "(" + ",".join("?" * columns) + ")"
    for at, count in _pieces(len(values) // columns):
        some = ",".join([one] * count)
        db.execute(f"INSERT INTO {table} VALUES {some}", values[at * columns : (at + count) * columns])  # noqa: S608 - names of ours


def _pieces(total: int) -> Iterator[tuple[int, int]]:
    """Cut into powers of two: so many statements can be kept prepared. 128: SQLite may allow no more than 999 values."""
    at = 0
    while at < total:
        count = min(128, 1 << ((total - at).bit_length() - 1))
        yield at, count
        at += count
