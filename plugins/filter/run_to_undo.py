# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._run import history, runner, steps

DOCUMENTATION = r"""
name: run_to_undo
short_description: The run that a rollback undoes, over all hosts
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - Puts together what M(collab.rtc.rtc_runs_info) found on every host, and finds the run that is named.
options:
  _input:
    description: C(hostvars), in which C(rtc_runs) of each host is what M(collab.rtc.rtc_runs_info) returned.
    type: dict
    required: true
  hosts:
    description: The hosts that were asked. One whose result has no C(runs) could not be read.
    type: list
    elements: str
    required: true
  run:
    description: Its id, or V(latest) for the newest one over all hosts.
    type: str
    default: latest
  site:
    description:
      - The only site that is to be undone, by its name, its server name, or one of its nodes; empty for all. Then
        V(latest) is the newest run that changed something for it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find the newest run of the fleet
  ansible.builtin.set_fact:
    newest: "{{ hostvars | collab.rtc.run_to_undo(ansible_play_hosts_all) }}"
"""

RETURN = r"""
_value:
  description: The run.
  type: dict
  contains:
    id:
      description: Its id; empty where there is nothing to undo.
      type: str
    hosts:
      description: The hosts on which it is to be undone.
      type: list
      elements: str
    site:
      description: The only site that is undone; empty for all.
      type: str
    owners:
      description: Its nodes, as M(collab.rtc.rtc_undo) takes them.
      type: list
      elements: str
    nodes:
      description: The hosts of the applications that had a part in the run.
      type: list
      elements: str
    by:
      description: Who asks, and on which controller; for the undo records.
      type: str
    controller:
      description: What identifies the process on that controller; empty where the system does not tell.
      type: str
    unread:
      description: Host to the reason why its runs are not known.
      type: dict
    lines:
      description: What is about to be done, to be shown.
      type: list
      elements: str
    runs:
      description: All runs, to be shown.
      type: list
      elements: str
"""


def choose_run(
    hostvars: Mapping[str, Any], hosts: Sequence[str], run: str = "latest", site: str = ""
) -> dict[str, Any]:
    """What RETURN documents. Raises AnsibleFilterError where no host knows the run, or the site."""
    found = {host: hostvars[host].get("rtc_runs") or {} for host in hosts}
    causes = {
        host: steps.describe_failure(result, "")["cause"] for host, result in found.items() if "runs" not in result
    }
    unread = {host: " ".join(cause.split()) for host, cause in causes.items()}
    runs = history.merge_runs({host: result["runs"] for host, result in found.items() if "runs" in result})
    try:
        owners = history.find_owners(runs, site) if site else []
        having = [one for one in runs if not site or any(one.find_site(set(owners), host) for host in one.hosts)]
        if run == "latest":  # on a shared proxy, the newest may be that of another inventory
            having = [one for one in having if not history.is_foreign(one, hostvars)]
        chosen = history.find_run(having, run, list(unread))
        due = history.choose_due(chosen, owners) if chosen else []
        if chosen and not site:
            history.require_own(runs, chosen, due, hostvars)
    except RtcError as error:
        raise AnsibleFilterError(str(error)) from None
    if chosen and site:
        parts = [item for host in chosen.hosts for item in chosen.find_site(set(owners), host)]
        site = next((str(item["site"]) for item in parts if not item["undone"]), site)
    return {
        "id": chosen.id if chosen else "",
        "hosts": due,
        "site": site,
        "owners": owners,
        "nodes": [host for host in history.list_nodes(chosen, owners) if host in found] if chosen and due else [],
        "by": history.name_user(),
        "controller": runner.identify(),
        "unread": unread,
        "lines": history.render_rollback(chosen, list(found), unread, site, owners, runs),
        "runs": history.render_runs(runs, unread),
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"run_to_undo": choose_run}
