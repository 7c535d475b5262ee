# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All projects of an embedded journal into a store. The journal stays as it is, and no server may use it meanwhile.

Each project is exported, imported and exported again: both exports have to say the same. One that the store has already
is compared in the same way, so a move that was cut short goes on where it ended. Where one is a later state of the
other, as a server went on with the journal or with the store since, the later one counts.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from .journal import JournalError, backup, export_import
from .journal.lock import Lock, resolve
from .store_postgres import transfer
from .store_postgres.connections import Store
from .strict_json import dumps


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
            known = name in there and _has_all(store, path, name)
            if not known:
                transfer.import_project(store, export_import.export_project(path, name), replace=name in there)
                line = find_difference(export_import.export_project(path, name), transfer.export_project(store, name))
                if line:
                    words = f"the store does not give back what it was given (line {line} of the exports differs)"
                    raise JournalError(f"project {name!r}: {words}")
            yield name, revision, known
    finally:
        lock.release()


def find_difference(old: Iterable[str], new: Iterable[str]) -> int:
    """The first line in which two exports do not say the same; 0 for none."""
    for number, (one, other) in enumerate(itertools.zip_longest(old, new, fillvalue=""), 1):
        if one != other and (number > 1 or _read_head(one) != _read_head(other)):
            return number
    return 0


def _has_all(store: Store, path: str, name: str) -> bool:
    """Whether a project of the store has all that the journal has of it; if not, it is an earlier state of that. Raises
    JournalError where it is neither."""
    line = find_difference(export_import.export_project(path, name), transfer.export_project(store, name))
    if not line or is_later(transfer.export_project(store, name), export_import.export_project(path, name)):
        return True
    if is_later(export_import.export_project(path, name), transfer.export_project(store, name)):
        return False
    words = f"the store has another project of that name (line {line} of the exports differs)"
    raise JournalError(f"project {name!r}: {words}")


def is_later(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether an export is a later state of another one: it has the other's last change at the same revision, and of
    all that both have the same. Where both went on by themselves, another change is there."""
    lines = iter(other)
    last: int = json.loads(next(lines))["revision"]
    known = {revision: rest for revision, *rest in map(_read_change, lines)}
    seen = last == 0
    for revision, *label, digest in map(_read_change, itertools.islice(one, 1, None)):
        if revision not in known:
            continue
        *label_there, digest_there = known[revision]
        if label != label_there or (digest and digest_there and digest != digest_there):
            return False
        seen = seen or revision == last
    return seen


def _read_change(line: str) -> tuple[Any, Any, Any, str]:
    """Revision, id, user, and a digest of the data, "" of a change that is compacted; nothing of the end."""
    values = json.loads(line)
    data = hashlib.sha256(dumps(values["data"]).encode()).hexdigest() if "data" in values else ""
    return values.get("revision"), values.get("id"), values.get("user"), data


def _read_head(line: str) -> dict[str, Any]:
    """The head of an export. Ids of changes that are whole are known with them, whatever was forgotten before."""
    head: dict[str, Any] = json.loads(line or "{}")
    return {**head, "forgotten": min(head["forgotten"], head["base"])} if head else head
