# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request was accepted before: a change, under its id and user, in the memtables or in the tables; or a
snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from . import flush
from .base import Change, Submission
from .memtable import MemTable
from .record import Record, decode_record, find_record
from .schema import SPAN
from .sizes import ProjectState

Flushed = Mapping[tuple[int, str, str], Change]  # by project number, user and id


def find_earlier(
    memtables: tuple[MemTable, MemTable], request: Submission, number: int, batch: Sequence[Record], flushed: Flushed
) -> Change | None:
    """The change that was accepted before under the request's id and user: in the memtable that is written (the batch
    in hand included), in the one that is being flushed, or in the tables."""
    flushing, active = memtables
    project, label = request.project, request.label
    record: Record | None = None
    records = active.get(project)
    if records is not None and label in records.labels:
        record = records.find(label) or find_record(batch, number, label)
    else:
        records = flushing.get(project)
        if records is not None and label in records.labels:
            record = records.find(label)
    if record is not None:
        return decode_record(record)[1]
    return flushed.get((number, request.user, request.id)) if flushed else None


def find_flushed(db: sqlite3.Connection, requests: Sequence[Submission], states: Sequence[ProjectState]) -> Flushed:
    """Those of the requested changes that are flushed already."""
    keys = [(s.number, request.user, request.id) for request, s in zip(requests, states, strict=True) if s.flushed]
    found: dict[tuple[int, str, str], Change] = {}
    for number, user, id, revision in flush.find_flushed(db, keys) if keys else ():
        row = db.execute("SELECT time, data FROM change WHERE key=?", (number * SPAN + revision,)).fetchone()
        # compacted: what the change was is unknown
        found[number, user, id] = Change(revision, id, user, *(row or (0, "")))
    return found


def is_snapshot(db: sqlite3.Connection, number: int, data: str) -> bool:
    """Whether the project's snapshot has these data."""
    query = "SELECT 1 FROM project WHERE number=? AND snapshot=?"
    return db.execute(query, (number, data)).fetchone() is not None
