# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which undo records may go, and what they leave to the others.

A record is kept for its age and its rank, and always where it is the first for one of its files: it alone knows what
that was before this collection. One that goes leaves to the record before it what that one lacks. So undoing any record
that is still there gives the same files as if all were there; only the runs that went can no longer be named.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._undo import records as undo_records

_RUN = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]+\Z")


@dataclass(frozen=True)
class Record:
    """The record of a run: its name, which begins with the time, the paths in it, oldest first, and its end."""

    name: str
    paths: tuple[str, ...]
    undone: bool = False


@dataclass(frozen=True)
class Removal:
    """A record that may go.

    :param heir: the record before it, which stays; "" where nothing is left to it: a run that was undone.
    :param left: paths whose entries go to the heir; of the others it has an entry, which learns what was intended.
    """

    name: str
    heir: str
    left: tuple[str, ...]


def is_run(name: str) -> bool:
    """Whether a name is one that the playbooks give to a run."""
    return _read_time(name) is not None


def choose(records: Sequence[Record], running: str, keep: int, days: int, now: datetime) -> list[Removal]:
    """What may go, in the order in which it is to go.

    :param running: the run that goes on; its record stays.
    :param keep: how many records stay at least, the newest; 0: any number.
    :param days: age up to which the others of them stay, too; 0: any age.
    """
    ordered = sorted(records, key=lambda record: record.name)
    newest = {record.name for record in ordered[-keep:]} if keep > 0 else {record.name for record in ordered}
    known: set[str] = set()
    stays, heir = {}, ""
    removals = []
    for record in ordered:
        first = not record.undone and not known.issuperset(record.paths)
        due = record.name not in newest or _is_older(record.name, days, now)
        kept = first or not due or record.name == running or not is_run(record.name)
        if record.undone:  # it counts for nothing, and nothing of it is needed
            if not kept:
                removals.append(Removal(record.name, "", ()))
            continue
        known.update(record.paths)
        if kept:
            heir = record.name
            stays[heir] = set(record.paths)
            continue
        left = tuple(path for path in record.paths if path not in stays.get(heir, ()))
        removals.append(Removal(record.name, heir if record.paths else "", left))
        if left:
            stays[heir].update(left)
    return removals


def find_releases(entries: Sequence[dict[str, Any]], current: str) -> list[str]:
    """Names of the releases that undoing would make current again.

    :param entries: of all records.
    :param current: path of the link to the release.
    """
    targets = [entry["target"] for entry in entries if entry["path"] == current and entry["kind"] == "link"]
    return [os.path.basename(target) for target in targets]


def was_made(entries: Sequence[dict[str, Any]], path: str) -> bool:
    """Whether a run made the file: the first entry of its path says that it was missing.

    :param entries: of all records, oldest first.
    """
    return next((entry["kind"] == "missing" for entry in entries if entry["path"] == path), False)


def read_entries(undo_dir: str | None) -> list[dict[str, Any]]:
    """The entries of all records beside that of the running run, and its own, oldest first; none of undone runs."""
    if not undo_dir:
        return []
    root = os.path.dirname(undo_dir.rstrip("/"))
    directories = [os.path.join(root, name) for name in _list_runs(root)]
    return [entry for one in directories if not undo_records.is_undone(one) for entry in undo_records.entries(one)]


def prune(undo_dir: str, keep: int, days: int) -> None:
    """Remove the records that may go, beside that of the running run. A kill leaves nothing half: the next run goes on.

    :param undo_dir: record of the running run. Where it is not named as the playbooks name it, nothing is removed.
    :raises RtcError, OSError: a record cannot be read or removed.
    """
    root, running = os.path.split(undo_dir.rstrip("/"))
    if not is_run(running):
        return
    records = []
    for name in _list_runs(root):
        directory = os.path.join(root, name)
        paths = tuple(entry["path"] for entry in undo_records.entries(directory))
        records.append(Record(name, paths, undo_records.is_undone(directory)))
    for removal in choose(records, running, keep, days, datetime.now(timezone.utc)):
        directory = os.path.join(root, removal.name)
        if removal.heir:
            _hand_over(directory, os.path.join(root, removal.heir), removal.left)
        _files_tree.remove(os.path.join(directory, undo_records.MANIFEST))  # first: a kill then leaves no record
        _files_tree.remove_tree(directory)


def prune_after(module: Any) -> None:
    """Prune at the end of a module with the option ``undo_dir``; that this fails is worth a warning only."""
    params = module.params
    if not params["undo_dir"] or module.check_mode:
        return
    try:
        undo_records.note_run(params["undo_dir"], {"user": params["undo_user"]})
        prune(params["undo_dir"], params["undo_keep"], params["undo_days"])
    except (RtcError, OSError) as exc:
        module.warn(f"Old undo records were not removed: {exc}")


def _hand_over(directory: str, heir: str, paths: Sequence[str]) -> None:
    entries = undo_records.entries(heir)
    known = {entry["path"]: entry for entry in entries}
    for entry in undo_records.entries(directory):
        if entry["path"] not in paths:
            # What is there now is what the later run wrote, and no edit of somebody else's.
            if "intended" in known[entry["path"]]:
                known[entry["path"]]["intended"] += entry.get("intended", [])
            continue
        moved = dict(entry)
        if "copy" in entry:
            moved["copy"] = f"{os.path.basename(directory)}-{entry['copy']}"
            _files.copy_file(os.path.join(directory, entry["copy"]), os.path.join(heir, moved["copy"]))
        entries.append(moved)
    text = "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in entries)
    _files.write_atomic(os.path.join(heir, undo_records.MANIFEST), text.encode("utf-8", "surrogateescape"))


def _list_runs(root: str) -> list[str]:
    return [name for name in _files_tree.list_directory(root) if is_run(name)]


def _read_time(name: str) -> datetime | None:
    match = _RUN.match(name)
    try:
        return datetime.strptime(match.group(1), "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc) if match else None
    except ValueError:
        return None


def _is_older(name: str, days: int, now: datetime) -> bool:
    made = _read_time(name)
    return days > 0 and made is not None and now - made > timedelta(days=days)
