# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The part that one site has in the runs on a host, so that it can be undone without the others'.

The undo record of a run knows paths. The record of what is managed, of which each run keeps a copy, knows whose they
are: an entry *claims* paths, and names the nodes of its site, its owners. A file that only this site changed since is
given back whole, to the byte. What others changed, too, keeps their part: of HAProxy's file, of a trust store and of
the record of what is managed this site's part is taken out; whatever else others share stays, and is named.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any, Iterator, Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _facts, _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._keystore.anchor_name import name_anchor
from ansible_collections.collab.rtc.plugins.module_utils._managed import opened, record
from ansible_collections.collab.rtc.plugins.module_utils._managed.record import Entry, Record
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore

_UNDONE_SITES = "undone-sites.json"
_VHOST = re.compile(r"^# vhost (\{.*\})$", re.MULTILINE)  # as _proxy/haproxy/writer keeps virtual hosts in its block
MARKS = (records.UNDONE, _UNDONE_SITES)  # files of a run's record that say that it was undone
COMMON = (unit.UNIT, f"{unit.BASE}/current")  # of all RTC servers of a host


@dataclass
class Step:
    """A run on this host: what it changed, and the record of what is managed before and after it."""

    run: str
    directory: str
    manifest: list[dict[str, Any]]
    before: Record
    after: Record
    undone: list[dict[str, Any]]  # sites that were undone of it: {site, names, owners, at, by}
    whole: bool = False  # it was undone whole

    def list_changed(self) -> list[Entry]:
        """The entries that the run made, changed or took away: of those that are still there as they are now."""
        old, new = ({entry.key: entry for entry in one.entries} for one in (self.before, self.after))
        keys = [key for key in dict.fromkeys([*new, *old]) if not _is_same(old.get(key), new.get(key))]
        found = [entry for key in keys for entry in (new.get(key), old.get(key)) if entry]
        return [entry for entry in found if entry.kind != opened.KIND]  # they go with virtual hosts

    def find_claims(self, path: str) -> list[Entry]:
        """The entries that a path of the run belongs to: those that the run changed, where there are any."""
        found = [entry for entry in [*self.after.entries, *self.before.entries] if claims(entry, path)]
        if path in COMMON:
            return found
        changed = self.list_changed()
        return [entry for entry in found if entry in changed] or found

    def list_involved(self) -> list[Entry]:
        """The entries of all sites that have a part in the run, and were not undone."""
        if self.whole:
            return []
        claimed = [entry for item in self.manifest for entry in self.find_claims(item["path"])]
        gone = {owner for item in self.undone for owner in item["owners"]}
        return [entry for entry in [*self.list_changed(), *claimed] if not gone.intersection(list_owners(entry))]


@dataclass
class Part:
    """What is to be done to undo the part of a site."""

    steps: list[Step] = field(default_factory=list)  # in which it has a part, newest first
    files: dict[str, list[str]] = field(default_factory=dict)  # directory of a run -> paths that are given back whole
    kept: dict[str, list[str]] = field(default_factory=dict)  # path -> sites that need it as it is
    vhosts: list[dict[str, Any]] = field(default_factory=list)  # as proxy_vhost takes them
    trust: list[dict[str, Any]] = field(default_factory=list)  # {path, jre_home, application, certificates}
    shared: list[str] = field(default_factory=list)  # paths out of which the part is taken
    merged: Record | None = None  # the record to be; ``None`` where its file is given back whole
    history: list[Step] = field(default_factory=list)  # the run and all after it, newest first

    @property
    def takes_out(self) -> bool:
        """Whether something has to be taken out of shared files."""
        return bool(self.vhosts or self.trust)


def list_owners(entry: Entry) -> list[str]:
    """Whose an entry is: nodes; where it names none, its site."""
    return entry.owners or [entry.site]


def claims(entry: Entry, path: str) -> bool:
    """Whether a path is, or holds, what an entry is about."""
    what = entry.what
    if entry.kind == "vhost":
        names = (f"{what.get('name')}.conf", f"{what.get('name')}.pem")
        shared = what.get("kind") == "haproxy" and path.endswith(".cfg")
        return path in what.get("files", ()) or os.path.basename(path) in names or shared
    if entry.kind == "instance":
        name = what.get("instance", "")
        folders = (f"{unit.CONFIG_DIR}/{name}/", os.path.dirname(unit.tls_drop_in(name)) + "/")
        whole = (f"{unit.CONFIG_DIR}/{name}.toml", unit.socket_unit(name), *COMMON)
        return path in whole or path.startswith(folders)
    if entry.kind == "trust" and os.path.basename(path) in map(name_anchor, what.get("certificates", ())):
        return True
    known = str(what.get("path", ""))
    return bool(known) and path in (known, os.path.realpath(known))


def read_history(root: str, run: str = "") -> list[Step]:
    """The runs on this host, newest first.

    :param run: the oldest that is wanted; "": all.
    :raises RtcError: a record cannot be used.
    """
    steps: list[Step] = []
    for step in walk_history(root):
        steps.append(step)
        if step.run == run:
            break
    return steps


def walk_history(root: str) -> Iterator[Step]:
    """As :func:`read_history`, as far as the records can be used: each says what came before those after it."""
    path = os.path.join(os.path.dirname(root), os.path.basename(record.PATH))
    after = record.load(path)
    for name in reversed(records.list_runs(root)):
        directory = os.path.join(root, name)
        manifest = records.entries(directory)
        before = read_before(directory, path) or after
        undone, whole = read_undone_sites(directory), records.is_undone(directory)
        yield Step(name, directory, manifest, before, after, undone, whole)
        after = before


def list_sites(step: Step) -> list[dict[str, Any]]:
    """The sites that had a part in a run: ``{site, names, owners, undone}``. Those that were undone come last."""
    found: list[dict[str, Any]] = []
    for entry in step.list_involved():
        owners = list_owners(entry)
        same = next((item for item in found if set(item["owners"]) & set(owners)), None)
        if same is None:
            found.append({"site": entry.site, "owners": list(owners), "names": [entry.site], "undone": False})
        else:
            same["owners"] += [owner for owner in owners if owner not in same["owners"]]
            same["names"] += [entry.site] if entry.site not in same["names"] else []
    for item in step.undone:
        found.append({**{key: item[key] for key in ("site", "names", "owners")}, "undone": True})
    return found


def find_part(root: str, run: str, owners: Sequence[str]) -> Part:
    """What a site has in a run, and in those after it, which are undone first.

    :param root: directory of all undo records.
    :param owners: the nodes of the site, or of several.
    :raises RtcError: a record cannot be used.
    """
    history = read_history(root, run)
    part = Part(history=history)
    if not history or history[-1].run != run:
        return part
    wanted = set(owners)
    named = [entry for entry in history[-1].list_involved() if wanted & set(list_owners(entry))]
    inventories = {entry.inventory for entry in named}
    keys = {entry.key for entry in named}  # of the inventory, which may have another name since

    def is_mine(entry: Entry) -> bool:
        return bool(wanted & set(list_owners(entry))) and (entry.key in keys or entry.inventory in inventories)

    part.steps = [step for step in history if any(map(is_mine, step.list_involved()))] if named else []
    if not part.steps:
        return part
    path = os.path.join(os.path.dirname(root), os.path.basename(record.PATH))
    others = [[entry for entry in step.list_involved() if not is_mine(entry)] for step in history]
    for step in part.steps:
        newer = history[: history.index(step) + 1]
        strangers = [entry for found in others[: len(newer)] for entry in found]
        for item in reversed(step.manifest):
            _add_path(part, step, item["path"], newer, strangers, is_mine, path)
    if any(others):
        part.merged = _merge(history[0].after, history[-1].before, is_mine)
        for folder in part.files:
            part.files[folder] = [one for one in part.files[folder] if one != path]
    _take_out(part, history, is_mine)
    return part


def _add_path(
    part: Part, step: Step, path: str, newer: Sequence[Step], strangers: Sequence[Entry], is_mine: Any, managed: str
) -> None:
    claimed = step.find_claims(path)
    if claimed and not any(map(is_mine, claimed)):
        return  # others' alone
    if path == managed:
        sharing: list[Entry] = []  # whether it is given back whole is decided over all runs
    elif claimed:
        sharing = [
            entry
            for one in newer
            if any(item["path"] == path for item in one.manifest)
            for entry in one.find_claims(path)
            if not is_mine(entry) and any(entry is other or entry == other for other in one.list_involved())
        ]
    else:
        sharing = list(strangers)  # nobody's, such as a module of Apache: whoever came since may need it
    # A certificate belongs to one site, and serves all that have its server name.
    sharing += [entry for entry in newer[0].after.entries if not is_mine(entry) and path in entry.what.get("reads", ())]
    if not sharing:
        part.files.setdefault(step.directory, []).append(path)
    elif any(entry.kind in ("vhost", "trust") and is_mine(entry) for entry in claimed):
        part.shared += [path] if path not in part.shared else []
    else:
        sites = part.kept.setdefault(path, [])
        sites += [site for site in dict.fromkeys(entry.site for entry in sharing) if site not in sites]


def _merge(now: Record, then: Record, is_mine: Any) -> Record:
    """The record as it is now, with the entries of the site as they were then."""
    old = {entry.key: entry for entry in then.entries}
    merged = copy.deepcopy(now)
    merged.entries = [entry for entry in merged.entries if not is_mine(entry)]
    for entry in merged.entries:
        if entry.key in old and _is_same(old[entry.key], entry):
            entry.written = old[entry.key].written  # HAProxy's only file has all virtual hosts
    _keep_settings(merged, now)
    taken = {entry.key for entry in merged.entries}
    merged.entries += [copy.deepcopy(entry) for entry in then.entries if is_mine(entry) and entry.key not in taken]
    merged.entries.sort(key=lambda one: one.key)
    return merged


def _keep_settings(merged: Record, now: Record) -> None:
    """Keep what was opened for the site, and others need by now, as theirs."""
    for entry in now.entries:
        users = opened.find_users(opened.read(entry), merged.entries) if entry.kind == opened.KIND else []
        if users:
            owners = list(dict.fromkeys(owner for one in users for owner in one.owners))
            merged.entries = [one for one in merged.entries if one.key != entry.key]
            merged.entries.append(dataclasses.replace(entry, owners=owners, site=users[0].site))


def find_wanted(part: Part, now: Record, path: str) -> Record:
    """The record that is to be there once the part is undone.

    :param path: of the record.
    """
    if part.merged is not None:
        return part.merged
    whole = [folder for folder, paths in part.files.items() if path in paths]
    return (read_before(whole[-1], path) if whole else None) or now


def read_before(directory: str, path: str) -> Record | None:
    """The record of what is managed as it was before a run; ``None`` where the run left it as it was.

    :param directory: of the run.
    :raises RtcError: it cannot be used.
    """
    known = next((item for item in records.entries(directory) if item["path"] == path), None)
    if known is None:
        return None
    data = _files.read_existing(os.path.join(directory, known["copy"])) if "copy" in known else None
    return record.parse(data, path) if data is not None else Record()


def _take_out(part: Part, history: Sequence[Step], is_mine: Any) -> None:
    """How the part of the site is taken out of the files that it shares."""
    now, then = history[0].after, history[-1].before
    names: set[str] = set()
    for path in part.shared:
        entries = [
            entry
            for step in part.steps
            for one in (step.after, step.before)
            for entry in one.entries
            if is_mine(entry) and claims(entry, path)
        ]
        if entries[0].kind == "trust":
            _take_authorities(part, path, entries, now, then, is_mine)
        else:
            names.update(str(entry.what.get("name", "")) for entry in entries)
    before = _read_vhosts(part) if names else {}
    for name in sorted(names):
        gone = {"kind": "haproxy", "name": name, "state": "absent"}
        part.vhosts.append({**before[name], "kind": "haproxy"} if name in before else gone)


def _take_authorities(part: Part, path: str, entries: Sequence[Entry], now: Record, then: Record, is_mine: Any) -> None:
    before = {
        print_
        for entry in then.entries
        if is_mine(entry) and entry.kind == "trust" and claims(entry, path)
        for print_ in entry.what.get("certificates", [])
    }
    needed = {
        print_
        for entry in now.entries
        if not is_mine(entry) and entry.kind == "trust" and claims(entry, path)
        for key in ("wants", "certificates")
        for print_ in entry.what.get(key, [])
    }
    added = {print_ for entry in entries for print_ in entry.what.get("certificates", [])}
    gone = sorted(added - before - needed)
    if gone:
        what = entries[0].what
        values = {key: str(what.get(key, "")) for key in ("path", "jre_home", "application")}
        part.trust.append({**values, "certificates": [{"sha256": one} for one in gone]})


def _read_vhosts(part: Part) -> dict[str, dict[str, Any]]:
    """The virtual hosts that HAProxy's block had before the oldest run, by name."""
    found: dict[str, dict[str, Any]] = {}
    for path in part.shared:
        steps = [step for step in part.steps if any(item["path"] == path for item in step.manifest)]
        item = next(one for one in steps[-1].manifest if one["path"] == path)
        data = _files.read_existing(os.path.join(steps[-1].directory, item["copy"])) if "copy" in item else None
        for text in _VHOST.findall((data or b"").decode("utf-8", "replace")):
            values = json.loads(text)
            found[values["name"]] = values
    return found


def end(part: Part, root: str, site: str, owners: Sequence[str], by: str) -> None:
    """Write the record without the site's part, and mark that as undone.

    :param root: directory of all undo records.
    :param site: its name.
    :raises RtcError, OSError: something cannot be written; then it can be tried again.
    """
    if part.merged is not None:
        path = os.path.join(os.path.dirname(root), os.path.basename(record.PATH))
        data = record.dump(part.merged)
        for step in part.history:  # that no rollback takes it for somebody's edit
            restore.note_intended(step.directory, path, data)
        _files.write_atomic(path, data, 0o600)
    for step in part.steps:
        if mark_undone(step, site, owners, by):
            restore.mark_undone(step.directory, by)


def read_undone_sites(directory: str) -> list[dict[str, Any]]:
    """The sites that were undone of a run: ``{site, names, owners, at, by}``.

    :raises RtcError: the file is damaged: a site that was undone would be undone again.
    """
    path = os.path.join(directory, _UNDONE_SITES)
    try:
        found = [dict(item) for item in json.loads(_files.read_existing(path) or b"[]")]
        for item in found:
            if not isinstance(item["names"], list) or not isinstance(item["owners"], list):
                raise ValueError("a site without names or nodes")
            if not all(isinstance(one, str) for one in [item["site"], *item["names"], *item["owners"]]):
                raise ValueError("a name that is no text")
    except (ValueError, TypeError, KeyError, RecursionError) as exc:
        raise RtcError(
            f"{path} is damaged: {type(exc).__name__}: {str(exc)[:80]}.",
            "Restore it from a backup; or remove it: then no site of that run counts as undone.",
        ) from exc
    return found


def mark_undone(step: Step, site: str, owners: Sequence[str], by: str) -> bool:
    """Note that a site was undone of a run. Returns whether no other site has a part in the run any more."""
    mine = [item for item in step.list_involved() if set(owners) & set(list_owners(item))]
    every = sorted({*owners, *(owner for entry in mine for owner in list_owners(entry))})
    _note_undone(step, [{"site": site, "names": sorted({site, *(one.site for one in mine)}), "owners": every}], by)
    return not step.list_involved()


def note_all_undone(step: Step, by: str) -> None:
    """Note which sites had a part in a run that is undone whole: nothing else tells it afterwards."""
    left = [item for item in list_sites(step) if not item["undone"]]
    if left:
        _note_undone(step, [{key: item[key] for key in ("site", "names", "owners")} for item in left], by)


def _note_undone(step: Step, sites: Sequence[dict[str, Any]], by: str) -> None:
    step.undone += [{**item, "at": round(time.time()), "by": by} for item in sites]
    _files.write_atomic(os.path.join(step.directory, _UNDONE_SITES), json.dumps(step.undone).encode(), 0o600)


def _is_same(old: Entry | None, new: Entry | None) -> bool:
    if old is None or new is None:
        return old is new
    return {**_facts.to_dict(old), "written": None} == {**_facts.to_dict(new), "written": None}
