# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change as text: the record that a batch of the write-ahead log has of it (docs/journal-format.md, "Records").

Memory keeps unflushed changes in this form, too. Python's garbage collector does not look into strings; with an object
for each change it took 40 ms now and then, while everybody waited.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from .base import Change

Record = str  # two lines: the numbers, id and user; the data


def encode_record(number: int, revision: int, time: int, label: str, data: str) -> Record:
    """The record of a change in project ``number``. ``label`` is :func:`~rtc_server.journal.base.make_label` of its id
    and user, ``data`` JSON text without a line break, which JSON never needs."""
    return f"{number} {revision} {time} {{{label}}}\n{data}\n"


# A record whose id and user have no escapes, as nearly all: read in a third of the time that JSON takes.
_PLAIN = re.compile(r'([0-9]+) ([0-9]+) ([0-9]+) \{"id":"([^"\\\x00-\x1f]*)","user":"([^"\\\x00-\x1f]*)"\}\n([^\n]*)\n')


def decode_record(record: Record) -> tuple[int, Change]:
    """Project number and change. Raises ValueError, LookupError, TypeError when the record is damaged."""
    plain = _PLAIN.fullmatch(record)
    if plain is not None:
        number, revision, time, id, user, data = plain.groups()
        return int(number), Change(int(revision), id, user, int(time), data)
    line, data, _ = record.split("\n")
    number, revision, time, rest = line.split(" ", 3)
    author = json.loads(rest)
    return int(number), Change(int(revision), author["id"], author["user"], int(time), data)


def read_label(record: Record) -> str:
    """What distinguishes a change from the others of its project (:class:`~rtc_server.journal.base.Submission`)."""
    return record[record.index("{") + 1 : record.index("\n") - 1]


def find_record(records: Iterable[Record], number: int, label: str) -> Record | None:
    """The record of that project number and label."""
    start = f"{number} "
    return next((record for record in records if record.startswith(start) and read_label(record) == label), None)


def split_batch(text: str) -> list[Record]:
    """The records of a batch, in order. Raises ValueError when the batch is cut short."""
    lines = text.split("\n")
    if len(lines) % 2 == 0 or lines[-1]:
        raise ValueError("cut short")
    return [f"{lines[at]}\n{lines[at + 1]}\n" for at in range(0, len(lines) - 1, 2)]
