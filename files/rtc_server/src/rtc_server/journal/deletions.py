# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting changes that a snapshot stands for, in pieces: everybody waits for the committing thread."""

from __future__ import annotations

import sqlite3

from . import schema
from .schema import SPAN
from .sizes import Sizes, fit_rows

MOST_ROWS = 5_000  # deleted between two commits
_FIRST_ROWS = 64
_WRITTEN = 64 << 10  # bytes: what is freed is not written (schema.connect), only what refers to it


class Deletions:
    """What is to be deleted. Only the committing thread calls it."""

    def __init__(self) -> None:
        self._bases: list[tuple[int, int]] = []  # number, base: changes up to the base can be deleted
        self._rows = _FIRST_ROWS  # that a piece has; how large they are shows when they are deleted

    def __bool__(self) -> bool:
        return bool(self._bases)

    def add(self, number: int, base: int) -> None:
        """A project's changes up to the base are not needed any more."""
        self._bases.append((number, base))

    def delete_some(self, db: sqlite3.Connection, sizes: Sizes) -> int:
        """Delete a piece. The sizes of projects are kept up. Returns the bytes that SQLite's own WAL gets, roughly.
        Raises sqlite3.Error."""
        number, base = self._bases[0]
        low = number * SPAN
        last, count, size = db.execute(
            "SELECT max(key), count(*), sum(length(CAST(data AS BLOB))) FROM"
            " (SELECT key, data FROM change WHERE key>? AND key<=? ORDER BY key LIMIT ?)",
            (low, low + base, min(self._rows, MOST_ROWS)),
        ).fetchone()
        if last is None:
            del self._bases[0]
            return 0
        self._rows = fit_rows(count, size)
        with schema.unsynced_transaction(db):
            project = sizes.get(number)
            if project is not None:
                project.forget(db, low, last)
            db.execute("DELETE FROM change WHERE key>? AND key<=?", (low, last))
        return _WRITTEN
