#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: managed_record
short_description: Keep the record of what this collection manages on a host
version_added: 0.2.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Writes C(/var/lib/collab-rtc/managed.json), which says what this collection changed on the host, for which site, and
    what was there before. Detection returns it, and the plan compares it with what is wanted.
  - With O(state=begun) it takes the lease of the host, and notes what the run is about to change. Another run is
    refused until the lease is given up.
  - With O(state=finished) it notes what was written, forgets what was taken away, and gives up the lease. What
    was begun for O(stopped) sites stays noted as begun.
  - With O(state=failed) it gives up the lease. What was begun stays noted as begun, so that the next run makes it; but
    where the run has changed nothing, the record is as it was.
  - With O(state=undone) it ends what M(collab.rtc.rtc_undo) began for the site of O(owners), after its part was taken
    out of the files that it shares.
  - In check mode it does nothing.
extends_documentation_fragment: [collab.rtc.attributes, collab.rtc.writing.undoable]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
  idempotent: {support: full}
options:
  path:
    description: Directory of the record.
    type: path
    default: /var/lib/collab-rtc
  state:
    description: What the run is at.
    type: str
    choices: [begun, finished, failed, undone]
    required: true
  run:
    description: Id of the run.
    type: str
    required: true
  identity:
    description:
      - C(host), the inventory name of the host; C(inventory), the id of the inventory; C(controller), which identifies
        the run's process; C(dead), the ids of runs whose leases count for nothing, because their processes are gone.
      - C(recorded), what detection saw of the record, for each key C(run) and whether it was C(edited). Where another
        run, or an edit of O(entries) or O(removed), came between, the run is refused.
    type: dict
    default: {}
  entries:
    description: What is about to be changed. The plan makes these.
    type: list
    elements: dict
    default: []
  removed:
    description: Keys of the entries that were taken away; with O(state=begun), of those that are about to be.
    type: list
    elements: str
    default: []
  stopped:
    description: With O(state=finished), the sites that the run has stopped meanwhile, whose part it did not make.
    type: list
    elements: str
    default: []
  files:
    description:
      - The files that M(collab.rtc.proxy_vhost) returned; with O(state=undone), those that C(own) of
        RV(collab.rtc.rtc_undo#module:parts) names. Nobody but this collection had changed those.
    type: list
    elements: str
    default: []
  blocked:
    description:
      - With O(state=finished), the sites whose part M(collab.rtc.proxy_vhost) took back. What was begun for them and is
        not there has the entry from before the run again, or none.
    type: list
    elements: str
    default: []
  owners:
    description: With O(state=undone), the nodes of the site, as for M(collab.rtc.rtc_undo).
    type: list
    elements: str
    default: []
  site:
    description: With O(state=undone), the name of the site, for the record.
    type: str
    default: ""
  trusted:
    description: What M(collab.rtc.java_truststore) returned, for each of its items.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Note what is about to be changed
  collab.rtc.managed_record:
    state: begun
    run: "{{ rtc_plan.run }}"
    entries: "{{ rtc_plan.hosts[inventory_hostname].records }}"
"""

RETURN = r"""
entries:
  description: Keys of all entries of the record.
  returned: success
  type: list
  elements: str
  sample: [vhost nginx rtc-confluence-9083]
"""

import contextlib
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _argspec, _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease, opened, record, site_part, states
from ansible_collections.collab.rtc.plugins.module_utils._managed.record import Entry, Parts, Record
from ansible_collections.collab.rtc.plugins.module_utils._undo import records as undo_records
from ansible_collections.collab.rtc.plugins.module_utils._undo import restore


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": record.DIRECTORY},
            "state": {"type": "str", "choices": list(_STATES), "required": True},
            "run": {"type": "str", "required": True},
            "identity": {"type": "dict", "default": {}},
            "entries": {"type": "list", "elements": "dict", "default": []},
            "removed": {"type": "list", "elements": "str", "default": []},
            "stopped": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "str", "default": []},
            "blocked": {"type": "list", "elements": "str", "default": []},
            "owners": {"type": "list", "elements": "str", "default": []},
            "site": {"type": "str", "default": ""},
            "trusted": {"type": "list", "elements": "dict", "default": []},
            **_argspec.UNDOABLE,
        },
        supports_check_mode=True,
    )
    changed = False
    known = Record()
    try:
        if not module.check_mode:
            known, changed = _STATES[module.params["state"]](module.params)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=changed, entries=[entry.key for entry in known.entries])


def begin(params: dict[str, Any]) -> tuple[Record, bool]:
    """Take the lease, and note what is about to be made. Returns the record, and that it is no change of the host."""
    identity = params["identity"]
    dead = [str(run) for run in identity.get("dead") or []]
    held = lease.Lease(params["run"], params["undo_user"], str(identity.get("controller", "")))
    lease.take(held, dead, find_lease(params))
    known = record.load(find_record(params))
    machine, host, inventory = read_machine(), str(identity.get("host", "")), str(identity.get("inventory", ""))
    require_as_planned(known, inventory, params)
    if record.find_stranger(known, machine, host, inventory):  # what is there is adopted by content
        others = [entry for entry in known.entries if entry.inventory != inventory] if known.machine == machine else []
        known = Record(hosts=known.hosts if others else {}, entries=others)
    known.machine, known.host, known.hosts[inventory] = machine, host, host
    for values in params["entries"]:
        begin_entry(known, values, params)
    record.save(known, params["undo_dir"], find_record(params))
    return known, False


def require_as_planned(known: Record, inventory: str, params: dict[str, Any]) -> None:
    """Make sure that nobody changed what the plan was made from, between detection and now.

    :raises RtcError: another run, or an edit, came between.
    """
    planned = params["identity"].get("recorded")
    begun = {str(item["path"]) for item in undo_records.entries(params["undo_dir"])} if params["undo_dir"] else set()
    if planned is None or find_record(params) in begun:  # the latter: this run itself has changed the record before
        return
    remedy = "Run again: the plan has to be made anew."
    now = {entry.key: entry.run for entry in known.entries if entry.inventory == inventory}
    for key in sorted({*planned, *now}):
        if (planned.get(key) or {}).get("run") != now.get(key):
            by = f" by run {now[key]}" if now.get(key) else ""
            raise RtcError(f"{key} was changed{by} after the plan was made. Nothing was changed by this run.", remedy)
    for key in [*(str(values["key"]) for values in params["entries"]), *params["removed"]]:
        entry = known.find(key)
        if entry is None or key not in planned or planned[key].get("edited"):
            continue
        if states.judge(entry, states.read_parts(entry)) == states.EDITED:
            diff = states.make_diff(entry, states.read_parts(entry))
            raise RtcError(f"Somebody changed {key} after the plan was made. Nothing was changed:\n{diff}\n", remedy)


def begin_entry(known: Record, values: dict[str, Any], params: dict[str, Any]) -> None:
    """Note that a run is about to make one thing; what was there before its first touch stays noted."""
    old = known.find(str(values["key"]))
    entry = Entry(
        key=str(values["key"]),
        kind=str(values["kind"]),
        site=str(values.get("site", "")),
        owners=[str(owner) for owner in values.get("owners", [])],
        inventory=str(values.get("inventory", "")),
        run=params["run"],
        what=dict(values.get("what", {})),
        spec=str(values.get("spec", "")),
        intended=str(values.get("spec", "")),
    )
    if old is not None:
        entry.written = old.written
        if states.judge(old, states.read_parts(old)) != states.REPLACED:
            entry.before = dict(old.before)
        known.entries.remove(old)
    before = read_before(entry, bool(values.get("adopt")), params["undo_dir"])
    entry.before = {**before, **entry.before}
    known.entries.append(entry)
    known.entries.sort(key=lambda one: one.key)


def read_before(entry: Entry, adopt: bool, undo_dir: str | None) -> Parts:
    """What is there now; for something that an earlier version made, what its oldest undo record has."""
    if entry.kind != "connector":
        return states.read_parts(entry)
    path, names = str(entry.what["path"]), list(entry.what.get("attributes", []))
    data = find_oldest(path, os.path.dirname(undo_dir)) if adopt and undo_dir else None
    if data is not None:
        try:
            return states.read_attributes(
                data, path, int(entry.what["port"]), entry.what.get("properties") or {}, names
            )
        except RtcError:
            pass  # the connector has another port now: what is there counts
    return states.read_parts(entry)


def find_oldest(path: str, records: str) -> bytes | None:
    """The file as the oldest undo record has it; ``None`` where none does."""
    real = os.path.realpath(path)
    for run in undo_records.list_runs(records):
        directory = os.path.join(records, run)
        for item in undo_records.entries(directory):
            if item["path"] in (path, real) and "copy" in item and not undo_records.is_undone(directory):
                return _files.read_existing(os.path.join(directory, item["copy"]))
    return None


def finish(params: dict[str, Any]) -> tuple[Record, bool]:
    """Note what was written and taken away, and give up the lease. Returns the record, and whether it is another."""
    undo_records.require_going(params["undo_dir"])
    path = find_record(params)
    known = record.load(path)
    known.entries = [entry for entry in known.entries if entry.key not in params["removed"]]
    if params["blocked"]:
        take_back(known, params)
    for entry in known.entries:
        made = entry.run == params["run"] and bool(entry.intended) and entry.site not in params["stopped"]
        if made:
            complete_entry(entry, params)
        # Our block of HAProxy's only file has all virtual hosts: with one, the text of all is another.
        if made or (entry.kind == "vhost" and entry.what.get("kind") == "haproxy"):
            entry.written = states.read_parts(entry)
    changed = bool(params["removed"]) or any(entry.run == params["run"] for entry in known.entries)
    if known.entries:
        record.save(known, params["undo_dir"], path)
    elif _files.look(path) is not None:
        undo_records.record(params["undo_dir"], path, None)
        _files_tree.remove(path)
    lease.give_up(params["run"], find_lease(params))
    return known, changed


def take_back(known: Record, params: dict[str, Any]) -> None:
    """Give what was begun for blocked sites, and is not there, the entries from before the run."""
    before = (
        site_part.read_before(params["undo_dir"], find_record(params)) if params["undo_dir"] else None
    ) or Record()
    for entry in [one for one in known.entries if one.intended and one.run == params["run"]]:
        old = before.find(entry.key)
        if entry.site in params["blocked"] and not is_made(entry, old):
            known.entries = [one for one in known.entries if one is not entry] + ([old] if old else [])
    for entry in [one for one in known.entries if one.kind == opened.KIND and one.run == params["run"]]:
        users = opened.find_users(opened.read(entry), known.entries)  # its site may have been blocked after the note
        if users:
            entry.site, entry.owners = users[0].site, list(dict.fromkeys(one for user in users for one in user.owners))
        else:
            old = before.find(entry.key)
            known.entries = [one for one in known.entries if one is not entry] + ([old] if old else [])
    known.entries.sort(key=lambda one: one.key)


def is_made(entry: Entry, old: Entry | None) -> bool:
    """Whether a run that stopped at its proxy had made something before, or for other sites, too."""
    if entry.kind == "vhost":
        return False  # proxy_vhost has taken it back
    if entry.kind == "connector":
        was = {**entry.before, **(old.written if old else {})}
        return any(value != was.get(name) for name, value in states.read_parts(entry).items())
    if entry.kind == "file":
        parts = states.read_parts(entry)
        return any(value is not None for value in parts.values()) and (old is None or parts != old.written)
    return True


def complete_entry(entry: Entry, params: dict[str, Any]) -> None:
    """What only the run could know."""
    entry.intended = ""
    if entry.kind == "vhost" and params["files"]:
        entry.what["files"] = states.find_files(entry.what["kind"], entry.what["name"], params["files"])
    elif entry.kind == "connector":
        names = entry.what.get("attributes", [])
        entry.before = {name: value for name, value in entry.before.items() if name in names}
    elif entry.kind == "trust":
        added = [
            str(one["sha256"])
            for item in params["trusted"]
            if (item.get("store") or {}).get("path") == entry.what["path"]
            for one in item.get("added") or []
        ]
        entry.what["certificates"] = sorted({*entry.what.get("certificates", []), *added})


def fail(params: dict[str, Any]) -> tuple[Record, bool]:
    """Give up the lease. What was begun stays so, unless the run has changed nothing: then nothing is left of it.

    The call that failed may still be there, where the connection to it was lost.
    """
    try:
        if undo_records.is_replaced(params["undo_dir"]):
            return Record(), False  # what is there is another run's, which has seen what this one left
        if params["undo_dir"]:
            with contextlib.suppress(RtcError, OSError):  # on a full disk the call cannot record anything either
                undo_records.end_run(params["undo_dir"])  # first: what it records from here on, it does not do
        forget_begun(params["undo_dir"], find_record(params), params["run"])
    finally:
        lease.give_up(params["run"], find_lease(params))
    return Record(), False


def forget_begun(undo_dir: str | None, path: str, run: str) -> None:
    """Leave nothing of a run that has changed nothing.

    :param path: of the record.
    """
    if not undo_dir or not _files_tree.is_directory(undo_dir):
        return
    items = undo_records.entries(undo_dir)
    # What was opened for a proxy is no file.
    if any(item["path"] != path for item in items) or any(
        entry.kind == opened.KIND and entry.run == run for entry in record.load(path).entries
    ):
        return
    if items:  # none where the disk was full
        restore.restore(undo_dir)
        _files_tree.remove(os.path.join(undo_dir, undo_records.MANIFEST))  # first: a kill then leaves no record
    _files_tree.remove_tree(undo_dir)


def end_undo(params: dict[str, Any]) -> tuple[Record, bool]:
    """Note that the part of a site was undone, of which something was taken out of shared files."""
    root = os.path.join(params["path"], "undo")
    part = site_part.find_part(root, params["run"], params["owners"])
    if not part.steps:
        return record.load(find_record(params)), False
    for path in part.shared:
        data = _files.read_existing(path)
        if data is not None and path in params["files"]:
            for step in part.history:
                restore.note_intended(step.directory, path, data)
    for entry in part.merged.entries if part.merged else ():
        if entry.kind == "vhost" and entry.what.get("kind") == "haproxy":
            entry.written = states.read_parts(entry)
    site_part.end(part, root, params["site"], params["owners"], params["undo_user"])
    return record.load(find_record(params)), True


def find_record(params: dict[str, Any]) -> str:
    """Path of the record."""
    return os.path.join(params["path"], os.path.basename(record.PATH))


def find_lease(params: dict[str, Any]) -> str:
    """Path of the lease."""
    return os.path.join(params["path"], os.path.basename(lease.PATH))


def read_machine() -> str:
    """machine-id(5) of this host; "" where it has none."""
    return (_files.read_existing("/etc/machine-id") or b"").decode("ascii", "replace").strip()


_STATES = {"begun": begin, "finished": finish, "failed": fail, "undone": end_undo}

if __name__ == "__main__":
    main()
