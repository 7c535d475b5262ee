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
  - It is refused while another run changes the host.
  - A run that was undone is marked, so that undoing it again does nothing.
  - Restarting what reads those files is left to C(playbooks/rollback.yml).
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
  description: The paths that were given back.
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
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _undo, _undo_preview, _undo_restore
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease


def list_newer(path: str, run: str) -> list[str]:
    """The run and all after it, newest first, but those that were undone already.

    :raises RtcError: there is no record of it.
    """
    runs = _undo.list_runs(path)
    if run not in runs:
        raise RtcError(f"{path} has no record of the run {run}.", f"There are: {', '.join(runs) or 'none'}.")
    newer = reversed(runs[runs.index(run) :])
    return [name for name in newer if not _undo.is_undone(os.path.join(path, name))]


def undo(directories: list[str], user: str, notes: list[str], refused: list[RtcError]) -> list[_undo_restore.Edited]:
    """Undo the records in this order, and mark them; returns the files that others had changed.

    :param notes: gets what is worth knowing.
    :param refused: gets what must not be touched any more. A record with such a path is not marked; everything else of
        it was given back.
    """
    edited: list[_undo_restore.Edited] = []
    for directory in directories:
        try:
            edited += _undo_restore.restore(directory, notes).edited
            _undo_restore.mark_undone(directory, user)
        except RtcError as exc:
            refused.append(exc)
    return edited


def run_module(module: AnsibleModule) -> dict[str, Any]:
    """Decide, undo; returns what the module returns."""
    path, run = module.params["path"], module.params["run"]
    if run == "latest":
        run = next(reversed(_undo.list_runs(path)), "")
    if not run:
        return {"changed": False, "run": "", "runs": [], "paths": [], "removed": [], "edited": []}
    runs = list_newer(path, run)
    directories = [os.path.join(path, name) for name in runs]
    refused: list[RtcError] = []
    changes = _undo_preview.find_changes(directories, refused)
    result: dict[str, Any] = {
        "changed": bool(runs),
        "run": run,
        "runs": runs,
        "paths": [change.path for change in changes],
        "removed": [change.path for change in changes if change.removes],
        "edited": [{"path": change.path, "copy": ""} for change in changes if change.edited],
    }
    if module._diff:
        result["diff"] = [_undo_preview.make_diff(change) for change in changes]
    if not module.check_mode:
        held = os.path.join(os.path.dirname(path), os.path.basename(lease.PATH))
        lease.require_free(runs, held)  # one of these may have been killed: it is what is undone
        notes: list[str] = []
        refused.clear()
        result["edited"] = [item._asdict() for item in undo(directories, module.params["undo_user"], notes, refused)]
        for name in runs:
            lease.give_up(name, held)
        for note in dict.fromkeys(notes):
            module.warn(note)
    if refused:  # with the paths: whoever reads what was given back has to be found all the same
        result["msg"] = str(RtcError(" ".join(exc.message for exc in refused), refused[0].remedy))
    return result


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/collab-rtc/undo"},
            "run": {"type": "str", "default": "latest"},
            "undo_user": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        result = run_module(module)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc))
    if "msg" in result:
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
