#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_undo
short_description: Undo runs of this collection on a host
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Gives every file that a run changed its previous bytes, owner and mode; files that the run made are removed.
  - Runs after it are undone first, so that the host is as it was before the run that is named.
  - Restarting what reads those files is left to C(playbooks/rollback.yml).
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode: {support: full}
  diff_mode:
    support: partial
    details: Lists the paths, not their content.
  idempotent: {support: full}
options:
  path:
    description: Directory of the undo records.
    type: path
    default: /var/lib/collab-rtc/undo
  run:
    description: The oldest run to undo, or V(latest).
    type: str
    default: latest
"""

EXAMPLES = r"""
- name: Undo the latest run
  collab.rtc.rtc_undo:
"""

RETURN = r"""
run:
  description: The oldest run that was undone.
  returned: success
  type: str
runs:
  description: All runs that this host has a record of, newest last.
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
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils import _files_tree, _undo
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


def list_runs(path: str) -> list[str]:
    """Names of the runs that changed something, oldest first (names begin with the time)."""
    names = [name for name in _files_tree.list_directory(path) if _files_tree.is_directory(os.path.join(path, name))]
    return [name for name in names if _undo.entries(os.path.join(path, name))]


def list_newer(runs: list[str], run: str, path: str) -> list[str]:
    """The run and all after it, newest first.

    :raises RtcError: there is no record of it.
    """
    if run not in runs:
        raise RtcError(f"{path} has no record of the run {run}.", f"There are: {', '.join(runs) or 'none'}.")
    return list(reversed(runs[runs.index(run) :]))


def undo(directories: list[str], check: bool, notes: list[str]) -> list[str]:
    """Undo the records in this order; returns the paths that were, or would be, given back.

    :param notes: gets what is worth knowing.
    :raises RtcError: some paths must not be touched any more; everything else was given back.
    """
    paths = []
    refused = []
    for directory in directories:
        try:
            if check:
                paths += [entry["path"] for entry in _undo.entries(directory) if _undo.differs(directory, entry)]
            else:
                paths += _undo.restore(directory, notes)
        except RtcError as exc:
            refused.append(exc)
    if refused:
        raise RtcError(" ".join(exc.message for exc in refused), refused[0].remedy)
    return list(dict.fromkeys(paths))


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/var/lib/collab-rtc/undo"},
            "run": {"type": "str", "default": "latest"},
        },
        supports_check_mode=True,
    )
    path, run = module.params["path"], module.params["run"]
    try:
        runs = list_runs(path)
        if run == "latest":
            run = runs[-1] if runs else ""
        if not run:
            module.exit_json(changed=False, run="", runs=runs, paths=[], removed=[])
        notes: list[str] = []
        paths = undo([os.path.join(path, name) for name in list_newer(runs, run, path)], module.check_mode, notes)
        for note in dict.fromkeys(notes):
            module.warn(note)
    except (RtcError, OSError) as exc:
        module.fail_json(msg=str(exc))
    listing = "".join(f"{item}\n" for item in paths)
    removed = [item for item in paths if not os.path.lexists(item)]
    module.exit_json(
        changed=bool(paths), run=run, runs=runs, paths=paths, removed=removed, diff={"before": listing, "after": ""}
    )


if __name__ == "__main__":
    main()
