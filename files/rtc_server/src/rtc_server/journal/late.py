# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes whose commit failed and that are kept all the same.

A write may fail after its bytes have reached the disk. Then the changes were refused, and only the log knows, when it
is read again, that they are kept. They have their revisions, so they must be delivered before any later change is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from . import wal
from .base import Outcome, Submission, make_label
from .record import decode_record, split_batch
from .schema import SPAN


class LateChanges:
    """Finds them. Only the committing thread calls it."""

    def __init__(self) -> None:
        self._acknowledged: int | None = None  # the last batch that was acknowledged when the log failed
        self._keys: list[int] = []  # of table ``change``

    def note_failure(self, log: wal.Wal) -> None:
        """The log will be read again: what follows its last batch was refused."""
        self._acknowledged = log.last_number

    def note_batches(self, batches: Iterable[tuple[int, str]]) -> None:
        """What the log has. An attempt to open the journal may fail half-way, and the next may find no log any more."""
        if self._acknowledged is None:
            return
        records = [
            decode_record(record)
            for number, text in batches
            if number > self._acknowledged
            for record in split_batch(text)
        ]
        if records:
            self._keys = [number * SPAN + change.revision for number, change in records]

    def take(self, db: sqlite3.Connection) -> list[Outcome]:
        """The changes, in order, once the tables have them: outcomes whose requests have no context."""
        found: list[Outcome] = []
        for key in self._keys:
            row = db.execute(
                "SELECT p.name, c.id, c.user, c.time, c.data FROM change c, project p WHERE c.key=? AND p.number=?",
                (key, key // SPAN),
            ).fetchone()
            if row is not None:
                name, id, user, time, data = row
                found.append(Outcome(Submission(name, id, user, data, make_label(id, user)), key % SPAN, time))
        self._acknowledged, self._keys = None, []
        return found
