# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import course

DOCUMENTATION = r"""
name: work_for
short_description: What is to be done on a host, without the sites that are stopped
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - The plan of a host without what belongs to a site that an error of the plan or the failure of one of its hosts has
    stopped.
options:
  _input:
    description: The plan, as M(collab.rtc.plan) returned it.
    type: dict
    required: true
  host:
    description: Inventory name of the host.
    type: str
    required: true
  hostvars:
    description: The variable C(hostvars), from which the failures of all hosts are read.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Choose what is done on this host
  ansible.builtin.set_fact:
    work: "{{ rtc_plan | collab.rtc.work_for(inventory_hostname, hostvars) }}"
"""

RETURN = r"""
_value:
  description:
    - The parts C(connectors), C(trust), C(trust_options), C(rtc), C(vhosts), C(restarts), C(packages), C(certificates)
      of the plan of the host; each may be empty. C(sites) names the sites that they belong to, C(stopped) those that
      are left out.
  type: dict
"""


def find_work(plan: Mapping[str, Any], host: str, hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What is to be done on a host now."""
    return course.leave_out(plan, host, course.find_stopped(plan, hostvars))


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"work_for": find_work}
