#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rtc_runs_info
short_description: List the runs of this collection on a host
version_added: 0.2.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Reads the undo records of a host. Runs that changed nothing there have none.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
  idempotent: {support: full}
options:
  path:
    description: Directory of the undo records.
    type: path
    default: /var/lib/collab-rtc/undo
seealso:
  - module: collab.rtc.rtc_undo
"""

EXAMPLES = r"""
- name: List what was changed here
  collab.rtc.rtc_runs_info:
  register: found
"""

RETURN = r"""
runs:
  description: The runs, newest first.
  returned: success
  type: list
  elements: dict
  contains:
    run:
      description: Its id, which begins with its time (UTC).
      type: str
      sample: 20260214T081530Z-9f3a
    user:
      description: Who ran it on which controller; empty for runs of 0.1.0.
      type: str
      sample: anna@controller
    paths:
      description: The paths that it changed.
      type: list
      elements: str
    sites:
      description: The sites that had a part in it.
      type: list
      elements: dict
      contains:
        site:
          description: Name of the site, as it was after the run.
          type: str
          sample: wiki.example.com:9083
        names:
          description: All names that it had.
          type: list
          elements: str
        owners:
          description: Its nodes.
          type: list
          elements: str
          sample: [wiki1/confluence]
        undone:
          description: Whether its part was undone.
          type: bool
    undone:
      description: Whether it was undone, whole.
      type: bool
    unserved:
      description: Whether the services may not have all that undoing it gave back, because that was killed.
      type: bool
    undone_at:
      description: When it was undone, in seconds since the epoch; 0 where it was not.
      type: int
    undone_by:
      description: Who undid it.
      type: str
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import site_part
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, unserved

_YEAR_10000 = 253402300800  # in seconds since the epoch


def describe(path: str, run: str, sites: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    """What is known of a run.

    :param notes: gets why its paths are not known.
    """
    directory = os.path.join(path, run)
    undone = records.read_undone(directory)
    paths = []
    try:
        paths = [entry["path"] for entry in records.entries(directory)]
    except RtcError as exc:  # the others can be told, and undone
        notes.append(str(exc))
    return {
        "run": run,
        "user": str(records.read_run(directory).get("user", "")),
        "paths": paths,
        "sites": sites,
        "undone": records.is_undone(directory),
        "unserved": is_unserved(path, run, notes),
        "undone_at": read_time(undone.get("at")),
        "undone_by": str(undone.get("by", "")),
    }


def read_time(value: Any) -> int:
    """Seconds since the epoch; 0 for what is no time: that a run was undone is known all the same."""
    return int(value) if type(value) in (int, float) and 0 <= value < _YEAR_10000 else 0  # NaN is not


def is_unserved(path: str, run: str, notes: list[str]) -> bool:
    """Whether services are to be told what undoing the run gave back.

    :param notes: gets why that is not known.
    """
    try:
        return bool(unserved.read(path, [run]).paths)
    except RtcError as exc:
        notes.append(str(exc))
        return False


def read_sites(path: str, notes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The sites of each run that was not undone whole, down to the first record that cannot be used.

    :param notes: gets why that cannot.
    """
    found = {}
    try:
        for step in site_part.walk_history(path):
            found[step.run] = site_part.list_sites(step)
    except RtcError as exc:
        notes.append(str(exc))
    return found


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "default": "/var/lib/collab-rtc/undo"}}, supports_check_mode=True
    )
    path = module.params["path"]
    notes: list[str] = []
    try:
        sites = read_sites(path, notes)
        runs = [describe(path, run, sites.get(run, []), notes) for run in reversed(records.list_runs(path))]
    except (RtcError, OSError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    for note in dict.fromkeys(notes):
        module.warn(note)
    module.exit_json(changed=False, runs=runs)


if __name__ == "__main__":
    main()
