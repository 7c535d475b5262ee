#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_undo
short_description: Undo a run of this collection on a host
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Gives every file that a run changed its previous bytes, owner and mode; files that the run made are removed.
  - Runs after it are undone first, so that the host is as it was before the run that is named.
  - A file that somebody changed after the run is copied into the undo record, where no daemon reads it, before it is
    replaced.
  - It is refused while another run changes the host. It is also refused where an RTC server would get a journal or a
    store again that does not have the projects of now.
  - A run that was undone is marked, so that undoing it again does nothing.
  - With O(owners) only the part of one site is undone, here and in the runs after it. A file that only this site
    changed since is given back to the byte. HAProxy's file and a trust store that others changed, too, are left for
    M(collab.rtc.proxy_vhost) and M(collab.rtc.java_truststore) with what RV(parts) says; then
    M(collab.rtc.managed_record) with O(collab.rtc.managed_record#module:state=undone) ends it. Whatever else others
    share stays, and is named in RV(kept).
  - Restarting what reads those files is left to C(playbooks/rollback.yml).
  - With O(hold) the host is kept for the caller, and noted is what the services do not have yet, until
    O(state=ended). Where that never comes, because of a kill, undoing the same run again returns it once more.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode: {support: full}
  diff_mode:
    support: full
    details: Files that only root can read, binary ones, and the values of attributes that are secrets are not shown.
  idempotent: {support: full}
options:
  path:
    description: Directory of the undo records.
    type: path
    default: /var/lib/collab-rtc/undo
  run:
    description:
      - The run to undo. Those after it are undone, too. V(latest) is the newest run of this host; where that was undone
        already, nothing is done.
    type: str
    default: latest
  owners:
    description: The nodes of a site, such as V(wiki1/confluence). Only its part of the run is undone.
    type: list
    elements: str
    default: []
  site:
    description: Name of that site, for the record.
    type: str
    default: ""
  redo_dir:
    description:
      - Directory in which what is replaced is kept, for M(collab.rtc.proxy_reload). What is in it goes before.
      - By default nothing is kept.
    type: path
  state:
    description:
      - With V(ended) nothing is undone. Other runs may change the host again that O(hold) kept for this one.
    type: str
    choices: [undone, ended]
    default: undone
  hold:
    description: Keep other runs from changing the host until O(state=ended).
    type: bool
    default: false
  controller:
    description: With O(hold), what identifies the process there, by which others see whether it is still there.
    type: str
    default: ""
  served:
    description: With O(state=ended), whether the services have all that was given back. If not, it stays noted.
    type: bool
    default: true
  undo_user:
    description: Who undoes it on which controller, for the record.
    type: str
    default: ""
seealso:
  - module: collab.rtc.rtc_runs_info
"""

EXAMPLES = r"""
- name: Undo the latest run
  collab.rtc.rtc_undo:

- name: Go back to before a certain run
  collab.rtc.rtc_undo:
    run: 20260214T081530Z-9f3a

- name: Undo one site's part of it
  collab.rtc.rtc_undo:
    run: 20260214T081530Z-9f3a
    site: wiki.example.com:9083
    owners: [wiki1/confluence, wiki2/confluence]
"""

RETURN = r"""
run:
  description: The run that was named; empty where the host has none.
  returned: success
  type: str
runs:
  description: The runs that were undone now, newest first.
  returned: success
  type: list
  elements: str
paths:
  description: The paths that were given back, now or before a kill.
  returned: success
  type: list
  elements: str
removed:
  description: Those of them that the runs had made, and that are gone now.
  returned: success
  type: list
  elements: str
edited:
  description: Those of them that somebody had changed after the run.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    copy:
      description: The copy of what it was; empty in check mode.
      type: str
left_behind:
  description: Whether it was refused because projects of an RTC server would be left behind.
  returned: failure
  type: bool
kept:
  description: Paths that stay as they are, because other sites need them so.
  returned: with O(owners)
  type: list
  elements: dict
  contains:
    path:
      description: The path.
      type: str
    sites:
      description: Names of those sites.
      type: list
      elements: str
parts:
  description:
    - C(vhosts), as M(collab.rtc.proxy_vhost) takes them, and C(trust), with C(path), C(jre_home), C(application) and
      C(certificates) for M(collab.rtc.java_truststore). Both are empty where nothing has to be taken out of a shared
      file.
    - C(own) are the shared files that nobody but this collection has changed since.
  returned: with O(owners)
  type: dict
"""

import contextlib
import functools
import os
from typing import Any, Iterator

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._instance import moving
from ansible_collections.collab.rtc.plugins.module_utils._keystore import anchors
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease, opened, record, redo, site_part
from ansible_collections.collab.rtc.plugins.module_utils._managed.record import Record
from ansible_collections.collab.rtc.plugins.module_utils._undo import preview, restore, unserved
from ansible_collections.collab.rtc.plugins.module_utils._undo import records as undo_records


def list_newer(path: str, run: str) -> list[str]:
    """The run and all after it, newest first.

    :raises RtcError: there is no record of it.
    """
    runs = undo_records.list_runs(path)
    if run not in runs:
        raise RtcError(f"{path} has no record of the run {run}.", f"There are: {', '.join(runs) or 'none'}.")
    return list(reversed(runs[runs.index(run) :]))


def undo(directories: list[str], user: str, notes: list[str], refused: list[RtcError]) -> list[restore.Edited]:
    """Undo the records in this order, and mark them; returns the files that others had changed.

    :param notes: gets what is worth knowing.
    :param refused: has what could not be closed or opened, and gets what must not be touched any more. A record with
        such a path is not marked, nor are those that are undone after it, because undoing it once more gives back what
        those had made; all else was given back.
    """
    edited: list[restore.Edited] = []
    sites = read_steps(directories[-1]) if directories else {}
    # A port that could not be closed is known by the record of what is managed alone: that stays until it is closed.
    kept = find_record(os.path.dirname(directories[-1])) if refused else ""
    for directory in directories:
        try:
            only = [one["path"] for one in undo_records.entries(directory) if one["path"] != kept] if kept else None
            edited += restore.restore(directory, notes, only).edited
            anchors.refresh(entry["path"] for entry in undo_records.entries(directory))
            if not refused:
                if directory in sites:
                    site_part.note_all_undone(sites[directory], user)
                restore.mark_undone(directory, user)
        except RtcError as exc:
            refused.append(exc)
    return edited


def read_steps(oldest: str) -> dict[str, site_part.Step]:
    """Whose the runs are, by their directories; nothing where the record of what is managed cannot be used."""
    root, run = os.path.split(oldest)
    try:
        return {step.directory: step for step in site_part.read_history(root, run)}
    except RtcError:
        return {}


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Decide, undo; returns what the module returns."""
    path, run = module.params["path"], module.params["run"]
    if module.params["state"] == "ended":
        return end(module, path, run)
    if run == "latest":
        run = next(reversed(undo_records.list_runs(path)), "")
    if not run:
        return {"changed": False, "run": "", "runs": [], "paths": [], "removed": [], "edited": []}
    newer = list_newer(path, run)
    left = [name for name in newer if not undo_records.is_undone(os.path.join(path, name))]
    with holding(module, path, run, left):
        note = unserved.read(path, newer)
        if module.params["owners"]:
            return undo_part(module, path, run, note)
        return undo_whole(module, path, run, left, note)


def end(module: AnsibleModule, path: str, run: str) -> dict[str, Any]:
    """Let other runs change the host."""
    if not module.check_mode:
        if module.params["served"]:
            unserved.end(path)
        lease.give_up(name_lease(run), find_lease(path))
    return {"changed": False, "run": run, "runs": [], "paths": [], "removed": [], "edited": []}


@contextlib.contextmanager
def holding(module: AnsibleModule, path: str, run: str, left: list[str]) -> Iterator[None]:
    """Keep all runs from changing the host meanwhile, and with the option until the end of all; in check mode nothing
    is changed, and nobody is kept.

    :param left: the runs that are undone.
    :raises RtcError: one changes it.
    """
    held = lease.Lease(name_lease(run), module.params["undo_user"], module.params["controller"])
    if module.check_mode or not (left or module.params["hold"]):
        yield
        return
    with lease.alone(find_lease(path)):
        lease.require_free([held.run, *left], find_lease(path))  # one of these may have been killed: it is undone
        if module.params["hold"]:
            lease.hold(held, find_lease(path))
        else:
            lease.end_holder(held.run, find_lease(path))
        yield


def name_lease(run: str) -> str:
    """What undoing a run is called, while it holds the lease."""
    return f"rollback-{run}"


def undo_whole(module: AnsibleModule, path: str, run: str, runs: list[str], note: unserved.Unserved) -> dict[str, Any]:
    """Undo these runs.

    :param note: what undoing them has given back before.
    """
    directories = [os.path.join(path, name) for name in runs]
    refused: list[RtcError] = []
    changes = preview.find_changes(directories, refused)
    require_no_loss(module, changes)
    result = describe(module, run, runs, changes)
    if not module.check_mode:
        notes: list[str] = []
        refused.clear()
        begin(module, note, result, [change.path for change in changes], directories)
        change_settings(path, [one for one in map(functools.partial(read_before, path), directories) if one], refused)
        result["edited"] = [item._asdict() for item in undo(directories, module.params["undo_user"], notes, refused)]
        finish(module, runs, notes)
    return with_refused(with_note(result, note), refused)


def require_no_loss(module: AnsibleModule, changes: list[preview.Change]) -> None:
    """See that users do not lose their projects with a configuration of an RTC server, and say where some are kept.

    :raises LeftBehindError: they would.
    """
    for change in changes:
        if change.copy:
            then = _files.read_existing(change.copy) or b""
            moving.require_no_loss(change.path, then)
            note = moving.describe_kept(change.path, then)
        else:
            note = moving.describe_left(change.path)
        if note:
            module.warn(note)


def undo_part(module: AnsibleModule, path: str, run: str, note: unserved.Unserved) -> dict[str, Any]:
    """Undo what a site has in the run, and in those after it."""
    params = module.params
    part = site_part.find_part(path, run, params["owners"])
    runs, directories = [step.run for step in part.steps], list(part.files)
    refused: list[RtcError] = []
    changes = preview.find_changes(directories, refused, part.files)
    require_no_loss(module, changes)
    result = describe(module, run, runs, changes)
    result["paths"] += part.shared if part.takes_out else []
    result["kept"] = [{"path": one, "sites": sites} for one, sites in part.kept.items()]
    result["parts"] = {"vhosts": part.vhosts, "trust": part.trust, "own": find_own(part)}
    if not module.check_mode and runs:
        notes: list[str] = []
        refused.clear()
        begin(module, note, result, [change.path for change in changes], [step.directory for step in part.steps])
        known = record.load(find_record(path))
        change_settings(path, [site_part.find_wanted(part, known, find_record(path))], refused)
        result["edited"] = [item._asdict() for item in restore_part(part, find_record(path), notes, refused)]
        if not refused and not part.takes_out:
            site_part.end(part, path, params["site"], params["owners"], params["undo_user"])
        finish(module, runs, notes)
    return with_refused(with_note(result, note), refused)


def restore_part(part: site_part.Part, managed: str, notes: list[str], refused: list[RtcError]) -> list[restore.Edited]:
    """Give the files of a part back, and the record of what is managed when all others are: by that alone it is known
    whose they are, for undoing what was refused."""
    edited: list[restore.Edited] = []
    for is_last in (False, True):
        for directory, paths in part.files.items():
            only = [one for one in paths if (one == managed) == is_last]
            if not only or (is_last and refused):
                continue
            try:
                edited += restore.restore(directory, notes, only).edited
                anchors.refresh(only)
            except RtcError as exc:
                refused.append(exc)
    return edited


def begin(
    module: AnsibleModule, note: unserved.Unserved, result: dict[str, Any], paths: list[str], directories: list[str]
) -> None:
    """Note what services have to be told, and keep what is about to be replaced: somebody may need it again."""
    params = module.params
    goes_on = bool(note.paths)
    note.add(result["runs"], result["paths"], result["removed"])
    if params["redo_dir"]:
        redo.keep(params["redo_dir"], paths, directories, find_record(params["path"]), goes_on)
    if params["hold"]:
        unserved.write(params["path"], note)


def with_note(result: dict[str, Any], note: unserved.Unserved) -> dict[str, Any]:
    """The result, with what services do not have yet of what was given back before a kill."""
    result["changed"] = result["changed"] or bool(note.paths)
    result["paths"] += [one for one in note.paths if one not in result["paths"]]
    gone = [one for one in note.removed if _files.look(one, follow=False) is None]
    result["removed"] += [one for one in gone if one not in result["removed"]]
    return result


def change_settings(path: str, records: list[Record], refused: list[RtcError]) -> None:
    """Close what the runs had opened, and open what they had closed: before anything is given back, the record too.

    :param records: of what is managed, as they were before the runs; the oldest comes last.
    """
    try:
        if records:
            opened.change(record.load(find_record(path)), records[-1])
    except RtcError as exc:
        refused.append(exc)


def read_before(path: str, directory: str) -> Record | None:
    """The record of what is managed as it was before a run; ``None`` where that cannot be read, or is the same."""
    try:
        return site_part.read_before(directory, find_record(path))
    except RtcError:
        return None


def find_record(path: str) -> str:
    """Path of the record of what is managed."""
    return os.path.join(os.path.dirname(path), os.path.basename(record.PATH))


def find_own(part: site_part.Part) -> list[str]:
    """The shared files that nobody but this collection has changed since."""
    found = []
    for path in part.shared:
        newest = next((step.directory, item) for step in part.history for item in step.manifest if item["path"] == path)
        if not restore.is_edited(*newest):
            found.append(path)
    return found


def describe(module: AnsibleModule, run: str, runs: list[str], changes: list[preview.Change]) -> dict[str, Any]:
    """The result, as far as it is known before anything is changed."""
    result: dict[str, Any] = {
        "changed": bool(runs),
        "run": run,
        "runs": runs,
        "paths": [change.path for change in changes],
        "removed": [change.path for change in changes if change.removes],
        "edited": [{"path": change.path, "copy": ""} for change in changes if change.edited],
    }
    result["paths"] += [one for one in anchors.list_stores(result["paths"]) if one not in result["paths"]]
    if module._diff:
        result["diff"] = [preview.make_diff(change) for change in changes]
    return result


def finish(module: AnsibleModule, runs: list[str], notes: list[str]) -> None:
    """Give up the leases of runs that were killed, and pass on what is worth knowing."""
    for name in runs:
        lease.give_up(name, find_lease(module.params["path"]))
    for note in dict.fromkeys(notes):
        module.warn(note)


def with_refused(result: dict[str, Any], refused: list[RtcError]) -> dict[str, Any]:
    """The result; as a failure where something must not be touched any more."""
    if refused:  # with the paths: whoever reads what was given back has to be found all the same
        result["msg"] = str(RtcError(" ".join(exc.message for exc in refused), refused[0].remedy))
    return result


def find_lease(path: str) -> str:
    """Path of the lease."""
    return os.path.join(os.path.dirname(path), os.path.basename(lease.PATH))


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/collab-rtc/undo"},
            "run": {"type": "str", "default": "latest"},
            "owners": {"type": "list", "elements": "str", "default": []},
            "site": {"type": "str", "default": ""},
            "redo_dir": {"type": "path"},
            "undo_user": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["undone", "ended"], "default": "undone"},
            "hold": {"type": "bool", "default": False},
            "controller": {"type": "str", "default": ""},
            "served": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        result = run_module(module)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc), left_behind=isinstance(exc, moving.LeftBehindError))
    if "msg" in result:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
