# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, rolling_back

DOCUMENTATION = r"""
name: hosts_for
short_description: The hosts of a play of this collection's playbooks
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - The hosts that have something to do in a stage of a run, as a pattern for C(hosts) of a play. A host that failed, or
    whose sites are all stopped, is not among them.
options:
  _input:
    description: The variable C(groups).
    type: dict
    required: true
  stage:
    description:
      - V(detect) and V(report) are all hosts of the groups C(confluence), C(jira) and C(rtc_proxies).
      - V(nobody) is every host, where the run looked at none of these groups, and otherwise no host.
      - V(verify) are the nodes of all sites, V(verify_applied) those of sites that are not stopped.
      - V(failed_sites) are all hosts of sites that failed their verification after the run had changed something.
      - V(apply_services) are the hosts of applications that a proxy on another host serves, and those of such a proxy
        that are hosts of applications, too; V(apply_shared_proxies) the latter alone. V(apply_connectors) are all of
        them again, V(apply_applications) all other hosts of applications, and V(apply_proxies) hosts of nothing but
        proxies.
      - V(apply_listeners) are the hosts in whose name something is done at AWS.
      - V(end_services) are the hosts of V(apply_services) that were begun, and are not finished.
      - V(undo) are the hosts on which C(rollback_run) is to be undone, V(verify_undone) its nodes.
      - V(store) are the hosts of the group C(rtc_store); V(no_store) is every host where that has none.
      - V(none) is no host.
    type: str
    choices:
      - none
      - detect
      - nobody
      - apply_services
      - apply_proxies
      - apply_shared_proxies
      - apply_listeners
      - apply_connectors
      - end_services
      - apply_applications
      - remove_proxies
      - detect_again
      - verify
      - verify_applied
      - failed_sites
      - undo
      - verify_undone
      - report
      - store
      - no_store
    required: true
  hostvars:
    description: The variable C(hostvars), empty where it is not defined yet. Then all hosts of the stage are chosen.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Verify
  hosts: "{{ groups | collab.rtc.hosts_for('verify', hostvars | default({})) }}"
"""

RETURN = r"""
_value:
  description: Names of hosts, or a pattern that matches none without a warning.
  type: list
  elements: str
"""

STAGES = (
    *("none", "detect", "nobody", "apply_services", "apply_proxies", "apply_shared_proxies", "apply_listeners"),
    *("apply_connectors", "end_services", "apply_applications", "remove_proxies", "detect_again"),
    *("verify", "verify_applied", "failed_sites", "undo", "verify_undone", "report", "store", "no_store"),
)


def choose(groups: Mapping[str, Iterable[str]], stage: str, hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The hosts of a stage.

    :raises ValueError: there is no such stage.
    """
    if stage not in STAGES:
        raise ValueError(f"The stage is '{stage}', and has to be one of: {', '.join(STAGES)}.")
    if stage in rolling_back.STAGES:
        return rolling_back.choose_hosts(stage, groups, hostvars)
    return course.choose_hosts(stage, groups, hostvars)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"hosts_for": choose}
