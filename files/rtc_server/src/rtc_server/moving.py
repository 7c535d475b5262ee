# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All projects of an embedded journal into a store. The journal stays as it is, and no server may use it meanwhile.

Each project is exported, imported and exported again: both exports have to say the same. One that the store has already
is compared in the same way, so a move that was cut short goes on where it ended. Where one is a later state of the
other, as a server went on with the journal or with the store since, the later one counts.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from .journal import JournalError, backup, export_import
from .journal.lock import Lock, check_files, resolve
from .store_postgres import transfer
from .store_postgres.connections import Store
from .strict_json import dumps

Export = Callable[[str], Iterator[str]]  # of a project of the journal


def move(path: str, store: Store, skip: Collection[str] = ()) -> Iterator[tuple[str, int, bool]]:
    """Move project after project: name, revision, and whether the store had it before.

    :param path: of the embedded journal.
    :param skip: names of projects that stay where they are.

    Raises JournalError, JournalInUse where a server uses the journal.
    """
    path = resolve(path)
    check_files(path)
    if not os.path.lexists(path):  # a lock would make it
        raise JournalError(f"{path}: there is no journal")
    lock = Lock(path)
    try:
        journal = functools.partial(export_import.export_project, path, unflushed=export_import.read_unflushed(path))
        there = {name: revision for name, revision, *_ in transfer.list_projects(store)}
        for name, revision, *_ in backup.list_projects(path):
            if name in skip:
                continue
            known = name in there and _has_all(store, journal, name)
            if not known:
                transfer.import_project(store, journal(name), instead_of=there.get(name))
                line = find_difference(journal(name), transfer.export_project(store, name))
                # Other nodes may have gone on with it, or have forgotten ids, since it is there.
                if line and not _is_there(store, journal, name):
                    words = f"the store does not give back what it was given (line {line} of the exports differs)"
                    raise JournalError(f"project {name!r}: {words}")
            yield name, revision, known
    finally:
        lock.release()


def find_difference(old: Iterable[str], new: Iterable[str]) -> int:
    """The first line in which the export of a journal and that of a store do not say the same; 0 for none."""
    for number, (one, other) in enumerate(itertools.zip_longest(old, new, fillvalue=""), 1):
        if one != other and not _says_same(number, one, other):
            return number
    return 0


def _says_same(number: int, old: str, new: str) -> bool:
    if number == 1:
        return _read_head(old) == _read_head(new)
    # A journal that an older release left does not know since when compacted changes are there: the import says now.
    if not old.endswith(',"time":0}') or not new:
        return False
    one, other = json.loads(old), json.loads(new)
    return "data" not in one and one == {**other, "time": 0}


def _has_all(store: Store, journal: Export, name: str) -> bool:
    """Whether a project of the store has all that the journal has of it; if not, it is an earlier state of that. Raises
    JournalError where it is neither."""
    line = find_difference(journal(name), transfer.export_project(store, name))
    if not line or _is_there(store, journal, name):
        return True
    if is_later(journal(name), transfer.export_project(store, name)):
        return False
    words = f"the store has another project of that name (line {line} of the exports differs)"
    raise JournalError(f"project {name!r}: {words}")


def _is_there(store: Store, journal: Export, name: str) -> bool:
    return is_later(transfer.export_project(store, name), journal(name))


def is_later(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether an export is a later state of another one: it has the other's last change at the same revision, all
    others whose ids it has not forgotten, and of all that both have the same. Where both went on by themselves, another
    change is there."""
    lines, rest = iter(one), iter(other)
    head = json.loads(next(lines))
    last: int = json.loads(next(rest))["revision"]
    known = {revision: change for revision, *change in map(_read_change, rest) if revision}
    if last and last not in known:  # it has forgotten that itself
        return False
    for revision, *label, digest in map(_read_change, lines):
        if revision not in known:
            continue
        *label_there, digest_there = known.pop(revision)
        if label != label_there or (digest and digest_there and digest != digest_there):
            return False
    return last not in known and all(revision <= min(head["forgotten"], head["base"]) for revision in known)


def _read_change(line: str) -> tuple[Any, Any, Any, str]:
    """Revision, id, user, and a digest of the data, "" of a change that is compacted; nothing of the end."""
    values = json.loads(line)
    data = hashlib.sha256(dumps(values["data"]).encode()).hexdigest() if "data" in values else ""
    return values.get("revision"), values.get("id"), values.get("user"), data


def _read_head(line: str) -> dict[str, Any]:
    """The head of an export. Ids of changes that are whole are known with them, whatever was forgotten before."""
    head: dict[str, Any] = json.loads(line or "{}")
    return {**head, "forgotten": min(head["forgotten"], head["base"])} if head else head
