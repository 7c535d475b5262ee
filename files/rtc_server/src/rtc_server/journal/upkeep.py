# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a journal small over years, in pieces that a commit can wait for: ids that are old enough are forgotten,
and pages that are free are given back to the file system.

Ids are forgotten in the order of revisions, project by project: the rows of table ``change`` have their times, so no
index by age is needed. A compacted change keeps its row for that, without data (deletions.py), until its id is
forgotten.
"""

from __future__ import annotations

import sqlite3
import time

from . import schema
from .schema import SPAN

ROUND = 3600.0  # seconds between looks for ids that are old enough
DAY = 86_400_000  # milliseconds
FORGET_BATCH = 1_000  # ids in one piece
_PROJECTS = 500  # looked at in one piece
_PAGES = 256  # given back in one piece: a megabyte
_SPARE = 1_024  # free pages that stay for what comes, rather than being taken from the file system again


class Upkeep:
    """The pieces of one journal. Only the committing thread calls it."""

    def __init__(self, keep_ids_days: float) -> None:
        self._keep_ids = keep_ids_days * DAY
        self._next_round = 0.0  # by the monotonic clock
        self._after = 0  # number of the last project that was looked at
        self._old: list[tuple[int, str, int]] = []  # number, name, forgotten: projects with ids to be forgotten
        self.forgotten: dict[str, int] = {}  # by project, what was forgotten since the caller took it

    def run(self, db: sqlite3.Connection) -> int:
        """Do one piece of the rest. Returns how many pages it may have written, 0 when there is nothing to do."""
        if self._old:
            return self._forget_some(db)
        if time.monotonic() >= self._next_round:
            self._look(db)
            return 1
        return self._give_back(db)

    def _look(self, db: sqlite3.Connection) -> None:
        """Find projects whose first id that is not forgotten is old enough."""
        cut = time.time() * 1000 - self._keep_ids
        rows = db.execute(
            "SELECT number, name, forgotten, (SELECT time FROM change WHERE key > number * ? + forgotten"
            " AND key <= number * ? + revision ORDER BY key LIMIT 1)"
            " FROM project WHERE number>? ORDER BY number LIMIT ?",
            (SPAN, SPAN, self._after, _PROJECTS),
        ).fetchall()
        self._old = [(number, name, forgotten) for number, name, forgotten, first in rows if first and first < cut]
        if len(rows) < _PROJECTS:
            self._after = 0
            self._next_round = time.monotonic() + ROUND
        else:
            self._after = rows[-1][0]

    def _forget_some(self, db: sqlite3.Connection) -> int:
        """Forget the oldest ids of one project."""
        number, name, forgotten = self._old[0]
        low = number * SPAN
        cut = time.time() * 1000 - self._keep_ids
        (revision, base) = db.execute("SELECT revision, base FROM project WHERE number=?", (number,)).fetchone()
        rows = db.execute(
            "SELECT key, time FROM change WHERE key>? AND key<=? ORDER BY key LIMIT ?",
            (low + forgotten, low + revision, FORGET_BATCH),
        ).fetchall()
        last, count = forgotten, 0
        for key, at in rows:
            if at >= cut:
                break
            last, count = key - low, count + 1
        if count < FORGET_BATCH:
            del self._old[0]
        else:
            self._old[0] = number, name, last
        if not count:
            return 1
        with schema.unsynced_transaction(db):
            db.execute(
                "DELETE FROM change_id WHERE project=? AND (user, id) IN"
                " (SELECT user, id FROM change WHERE key>? AND key<=?) AND revision<=?",
                (number, low + forgotten, low + last, last),
            )
            db.execute("UPDATE project SET forgotten=? WHERE number=?", (last, number))
            db.execute("DELETE FROM change WHERE key>? AND key<=?", (low + forgotten, low + min(last, base)))
        self.forgotten[name] = last
        return count

    @staticmethod
    def _give_back(db: sqlite3.Connection) -> int:
        """Give some free pages back, if the file was made for that (``rtc-server compact`` makes it so)."""
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        if free <= _SPARE or db.execute("PRAGMA auto_vacuum").fetchone() != (schema.INCREMENTAL,):
            return 0
        count = min(_PAGES, int(free) - _SPARE)
        with schema.unsynced_transaction(db):
            db.execute(f"PRAGMA incremental_vacuum({count})").fetchall()
        return count
