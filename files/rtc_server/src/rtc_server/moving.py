# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All projects of an embedded journal into a store. The journal stays as it is, and no server may use it meanwhile.

Each project is exported, imported and exported again: both exports have to say the same. One that the store has already
is compared in the same way, so a move that was cut short goes on where it ended.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from .journal import JournalError, backup, export_import
from .journal.lock import Lock, resolve
from .store_postgres import transfer
from .store_postgres.connections import Store


def move(path: str, store: Store, skip: Collection[str] = ()) -> Iterator[tuple[str, int, bool]]:
    """Move project after project: name, revision, and whether the store had it before.

    :param path: of the embedded journal.
    :param skip: names of projects that stay where they are.

    Raises JournalError, JournalInUse where a server uses the journal.
    """
    if not os.path.lexists(path):  # a lock would make it
        raise JournalError(f"{path}: there is no journal")
    lock = Lock(resolve(path))
    try:
        there = {name for name, *_ in transfer.list_projects(store)}
        for name, revision, *_ in backup.list_projects(path):
            if name in skip:
                continue
            if name not in there:
                transfer.import_project(store, export_import.export_project(path, name))
            line = find_difference(export_import.export_project(path, name), transfer.export_project(store, name))
            if line:
                what = "has another project of that name" if name in there else "does not give back what it was given"
                raise JournalError(f"project {name!r}: the store {what} (line {line} of the exports differs)")
            yield name, revision, name in there
    finally:
        lock.release()


def find_difference(old: Iterable[str], new: Iterable[str]) -> int:
    """The first line in which two exports do not say the same; 0 for none."""
    for number, (one, other) in enumerate(itertools.zip_longest(old, new, fillvalue=""), 1):
        if one != other and (number > 1 or _read_head(one) != _read_head(other)):
            return number
    return 0


def _read_head(line: str) -> dict[str, Any]:
    """The head of an export. Ids of changes that are whole are known with them, whatever was forgotten before."""
    head: dict[str, Any] = json.loads(line or "{}")
    return {**head, "forgotten": min(head["forgotten"], head["base"])} if head else head
