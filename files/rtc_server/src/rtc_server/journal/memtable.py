# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that are durable in the write-ahead log but not flushed to their project's tables yet.

A commit appends one batch to the log (wal.py): its changes one after another, as they came. A flush puts them into the
tables ``change`` and ``change_id``, one project at a time (flush.py). Each change touches a page in both tables, 4 kB
for a change of a few hundred bytes; flushed together, the changes of a project share those pages.
"""

from __future__ import annotations

import bisect
import itertools
import math
import sqlite3
from collections.abc import Iterable, Mapping

from . import wal
from .record import Record, decode_record, read_label, split_batch


class ProjectRecords:
    """The unflushed changes of one project in one memtable.

    Nearly all changes are new, and a set knows that after one look at memory; a dict with strings as values takes
    several. Only the committing thread looks at ``labels``: they may be ahead of what is durable.
    """

    __slots__ = ("_found", "labels", "records")

    def __init__(self) -> None:
        self.labels: set[str] = set()
        self.records: list[Record] = []
        self._found: dict[str, Record] = {}  # the first records by label: as many as there were at the last search

    def find(self, label: str) -> Record | None:
        """The record of that label. Clients send much again after a broken connection, so what one search has gone
        through is remembered for the next."""
        for record in self.records[len(self._found) :]:
            self._found[read_label(record)] = record
        return self._found.get(label)

    def remove(self, count: int) -> None:
        """Forget the first ``count`` records, which are flushed."""
        for label in map(read_label, self.records[:count]):
            self.labels.discard(label)
            self._found.pop(label, None)
        del self.records[:count]


MemTable = dict[str, ProjectRecords]  # by project


def load_unflushed(db: sqlite3.Connection, batches: list[tuple[int, str]]) -> dict[str, list[Record]]:
    """The records in the batches (numbers and texts, from :func:`wal.read_batches`) that are not flushed yet, by
    project and in order. Raises JournalError when a batch is damaged."""
    if not batches:
        return {}
    projects = {
        number: [name, revision] for number, name, revision in db.execute("SELECT number, name, revision FROM project")
    }
    unflushed: dict[str, list[Record]] = {}
    for batch, text in batches:
        try:
            for record in split_batch(text):
                number, change = decode_record(record)
                project = projects[number]
                name, last = project
                if name not in unflushed and change.revision <= last:
                    continue  # flushed
                if change.revision != last + 1:
                    raise ValueError("changes are missing")
                project[1] = change.revision
                unflushed.setdefault(name, []).append(record)
        except (ValueError, LookupError, TypeError) as exc:
            raise wal.make_damage_error(batch) from exc
    return unflushed


def take_first(
    unflushed: Mapping[str, Iterable[Record]], count: int, most_bytes: float = math.inf
) -> dict[str, list[Record]]:
    """The first ``count`` of the unflushed records, project by project; fewer when they take more than ``most_bytes``,
    but at least one."""
    taken: dict[str, list[Record]] = {}
    for name, records in unflushed.items():
        some = taken[name] = list(itertools.islice(records, count))
        sizes = list(itertools.accumulate(map(len, some)))
        if sizes and sizes[-1] > most_bytes:
            fitting = bisect.bisect_right(sizes, most_bytes)
            del some[fitting or (1 if len(taken) == 1 else 0) :]
            if not some:
                del taken[name]
            break
        count -= len(some)
        most_bytes -= sizes[-1] if sizes else 0
        if count <= 0:
            break
    return taken
