# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many bytes each project keeps.

They are counted when a project is first used, and kept up from then on. A project may have gigabytes, and everybody
waits for the committing thread: so what was there before is counted in pieces, between commits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ..strict_json import count_bytes
from .record import Record
from .schema import SPAN

OVERHEAD = 100  # bytes that a change counts for besides its data: id, user, time, and their place in two tables
PIECE = 4 << 20  # bytes counted, or deleted, at once
_MOST_ROWS = 5_000  # likewise
_FEWEST_ROWS = 16


def measure_change(data: str) -> int:
    """The bytes that a change counts for."""
    return OVERHEAD + (len(data) if data.isascii() else count_bytes(data))  # nearly always without another call


class ProjectSize:
    """The bytes of one project. Counted are the changes of the tables from ``_start`` to ``_reached``, and all that
    came after ``_end``, the last one in the tables when counting began."""

    __slots__ = ("_end", "_reached", "_rows", "_snapshot", "_start", "bytes")

    def __init__(self, number: int, base: int, flushed: int, unflushed: Iterable[Record], snapshot: int) -> None:
        self.bytes = snapshot + sum([measure_change(record[record.index("\n") + 1 : -1]) for record in unflushed])
        self._snapshot = snapshot
        self._start = self._reached = number * SPAN + base
        self._end = number * SPAN + flushed
        self._rows = 64

    @property
    def is_counted(self) -> bool:
        """Whether nothing is left to be counted."""
        return self._reached >= self._end

    def count_some(self, db: sqlite3.Connection) -> None:
        """Count another piece of what was there before."""
        row = db.execute(
            "SELECT max(key), count(*), sum(length(CAST(data AS BLOB))) FROM"
            " (SELECT key, data FROM change WHERE key>? AND key<=? ORDER BY key LIMIT ?)",
            (self._reached, self._end, self._rows),
        ).fetchone()
        if row[0] is None:
            self._reached = self._end
            return
        found = row[2] + OVERHEAD * row[1]
        self._reached = row[0]
        self._rows = fit_rows(row[1], found)
        self.bytes += found

    def replace_snapshot(self, data: str) -> None:
        """Another snapshot is kept."""
        size = count_bytes(data)
        self.bytes += size - self._snapshot
        self._snapshot = size

    def forget(self, db: sqlite3.Connection, low: int, last: int) -> None:
        """Changes with keys after ``low`` up to ``last`` are about to be deleted."""
        count, size = db.execute(
            "SELECT count(*), sum(length(CAST(data AS BLOB))) FROM change WHERE key>? AND key<=? AND (key<=? OR key>?)",
            (max(low, self._start), last, self._reached, self._end),
        ).fetchone()
        self.bytes -= (size or 0) + OVERHEAD * count
        self._reached = max(self._reached, min(last, self._end))


class ProjectState:
    """A project's number, its last revision, whether some of its changes are flushed, the revision up to which ids are
    forgotten, and the bytes it keeps."""

    __slots__ = ("flushed", "forgotten", "number", "revision", "size")

    def __init__(self, number: int, revision: int, flushed: bool, forgotten: int, size: ProjectSize) -> None:
        self.number = number
        self.revision = revision
        self.flushed = flushed
        self.forgotten = forgotten
        self.size = size


class Sizes:
    """Of the projects in use, by number."""

    def __init__(self) -> None:
        self._sizes: dict[int, ProjectSize] = {}
        self._uncounted: list[ProjectSize] = []

    def __bool__(self) -> bool:
        """Whether something is left to be counted."""
        return bool(self._uncounted)

    def get(self, number: int) -> ProjectSize | None:
        """Of a project, if it is in use."""
        return self._sizes.get(number)

    def add(self, number: int, size: ProjectSize) -> None:
        """Begin to count a project."""
        self._sizes[number] = size
        if not size.is_counted:
            self._uncounted.append(size)

    def clear(self) -> None:
        """Forget all."""
        self._sizes.clear()
        self._uncounted.clear()

    def count_some(self, db: sqlite3.Connection) -> None:
        """Count another piece of some project. Raises sqlite3.Error."""
        self._uncounted[-1].count_some(db)
        if self._uncounted[-1].is_counted:
            del self._uncounted[-1]


def fit_rows(rows: int, size: int) -> int:
    """How many rows make a piece, when so many had that many bytes."""
    return max(_FEWEST_ROWS, min(_MOST_ROWS, 4 * rows, rows * PIECE // max(1, size)))
