# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what is managed on a host: ``/var/lib/collab-rtc/managed.json``, root's alone.

Each entry says what this collection changed there, for which site, and what was there before. It is written before the
change (``intended``) and completed after it (``written``), so that a kill between the two never looks like an edit that
somebody made. The plan compares it with what is wanted; what it does not name is not ours.
"""
# ruff: noqa: UP006

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from ansible_collections.collab.rtc.plugins.module_utils import _facts, _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import entry_values
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

DIRECTORY = "/var/lib/collab-rtc"
PATH = f"{DIRECTORY}/managed.json"
VERSION = 1
_DIGEST = "digest"  # in the file: of all the rest
_OF_FILES = ("vhost", "file", "instance", "trust_option")  # kinds whose parts are paths
_WHAT = "The record of what is managed"

Parts = Dict[str, Optional[str]]  # path or attribute -> text, digest of a secret, or None for what is not there


@dataclass
class Entry:
    """One thing that this collection manages on a host."""

    key: str  # "vhost nginx rtc-confluence-9083": there is one entry of it
    # "vhost" | "file" | "textfile" | "connector" | "trust" | "trust_option" | "instance" | "package" | "setting"
    kind: str
    site: str  # that it was made for, by its name at the time
    owners: List[str] = field(default_factory=list)  # "wiki1/confluence": the site's nodes, which outlive its name
    inventory: str = ""  # which inventory made it: several may share a proxy
    run: str = ""  # that touched it last
    what: Dict[str, Any] = field(default_factory=dict)  # what a module needs to take it away
    spec: str = ""  # digest of what was asked for
    before: Parts = field(default_factory=dict)
    intended: str = ""  # the spec that a run was about to make; "" when it is made
    written: Parts = field(default_factory=dict)


@dataclass
class Record:
    """All entries of a host, and whose record it is."""

    machine: str = ""  # machine-id(5)
    host: str = ""  # name in the inventory of the last run
    hosts: Dict[str, str] = field(default_factory=dict)  # inventory -> name there: they share a proxy, not its name
    entries: List[Entry] = field(default_factory=list)
    version: int = VERSION

    def find(self, key: str) -> Entry | None:
        """The entry of that key."""
        return next((entry for entry in self.entries if entry.key == key), None)


def find_stranger(known: Any, machine: str, host: str, inventory: str) -> str:
    """Whose a record is, where it is not of this host: of a machine that this is a copy of, or of its old name.

    :param known: the record, or what detection tells of it: ``machine``, ``host`` and ``hosts``.
    :returns: "" where it is of this host, or there is none.
    """
    if known.machine and known.machine != machine:
        return known.host if known.host != host else f"the machine {known.machine}"
    name = known.hosts.get(inventory, "" if known.hosts else known.host)
    return str(name) if name not in ("", host) else ""


def load(path: str = PATH) -> Record:
    """The record of this host; an empty one where there is none yet.

    :raises RtcError: it is damaged, of a newer version, or others could change it.
    """
    data = _files.read_existing(path)
    if data is None:
        return Record()
    _files_tree.require_own(path, _WHAT)
    return parse(data, path)


def parse(data: bytes, path: str = PATH) -> Record:
    """A record from its bytes.

    :raises RtcError: it is damaged, or of a newer version.
    """
    try:
        values = json.loads(data)
        version = values["version"]
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise ValueError(f"its version is {version!r:.40}")
        if version > VERSION:
            raise RtcError(
                f"{path} was written by a newer version of collab.rtc: its format is {version}, known is {VERSION}.",
                "Run the newer version, or roll back what it did with that version.",
            )
        if values.pop(_DIGEST, None) not in (None, _compute_digest(values)):  # records had none at first
            raise ValueError("it does not hold what was written into it")
        found = _facts.from_dict(Record, values)
        _require_types(found)
        return found
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise RtcError(
            f"{path} is damaged: {exc}.",
            "Restore it from a backup; or move it away: the next run adopts what it finds, and removes nothing.",
        ) from exc


def _require_types(record: Record) -> None:
    """Nobody who uses the record looks again: a path that is a number would end a run in the middle.

    :raises ValueError: a value is not of the kind that its field has.
    """
    _require_like(Record(), record, "it")
    for number, entry in enumerate(record.entries, 1):
        where = f"entry {number}"
        if not isinstance(entry, Entry):
            raise ValueError(f"{where} is no entry")
        _require_like(Entry("", "", ""), entry, where)
        parts = [*entry.before.values(), *entry.written.values()]
        if not all(isinstance(name, str) for name in record.hosts.values()):
            raise ValueError("it has no usable hosts")
        if not all(isinstance(owner, str) for owner in entry.owners):
            raise ValueError(f"{where} has owners that are no text")
        if not all(part is None or isinstance(part, str) for part in parts):
            raise ValueError(f"{where} has values that are no text")
        try:
            entry_values.require_what(entry.kind, entry.what)
            for path in [*entry.before, *entry.written] if entry.kind in _OF_FILES else ():
                entry_values.require_path(path)
        except ValueError as exc:
            raise ValueError(f"{where} has {exc}") from exc


def _require_like(model: Any, one: Any, where: str) -> None:
    for name, value in vars(model).items():
        if not isinstance(getattr(one, name), type(value)):
            raise ValueError(f"{where} has no usable {name}")


def dump(record: Record) -> bytes:
    """The bytes of a record."""
    values = dataclasses.asdict(record)
    return (json.dumps({**values, _DIGEST: _compute_digest(values)}, indent=1, sort_keys=True) + "\n").encode()


def _compute_digest(values: Dict[str, Any]) -> str:
    """A disk may lose or change a part that leaves JSON: it would be taken for what is ours, or somebody's edit."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def save(record: Record, undo_dir: str | None, path: str = PATH) -> bool:
    """Write the record where it differs, and record that in the undo record: a rollback gives it back, too.

    :returns: whether it differed.
    :raises RtcError: it cannot be written, or not be read then; nothing may be changed.
    """
    data = dump(record)
    parse(data, path)
    if data == _files.read_existing(path):
        return False
    _files_tree.make_directory(path.rpartition("/")[0], 0o700)
    records.record(undo_dir, path, data)
    _files.write_atomic(path, data, 0o600)
    return True
