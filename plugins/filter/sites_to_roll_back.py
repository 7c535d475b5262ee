# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, rolling_back

DOCUMENTATION = r"""
name: sites_to_roll_back
short_description: What is undone for sites that failed their verification
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - The part that such sites have in this run, over all hosts. A site for which the run has changed nothing is not among
    them, nor one whose application is still to be restarted by the administrator, nor one whose projects would be left
    behind.
options:
  _input:
    description:
      - C(hostvars), in which C(rtc_plan) is the plan, C(verify_checks) the results of the role verify, and C(rtc_runs)
        of each host what M(collab.rtc.rtc_runs_info) returned, and C(rollback_tried), where that is known, what
        M(collab.rtc.rtc_undo) did in check mode.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Choose what is rolled back
  ansible.builtin.set_fact:
    rollback_run: "{{ hostvars | collab.rtc.sites_to_roll_back }}"
"""

RETURN = r"""
_value:
  description:
    - The same as that of P(collab.rtc.run_to_undo#filter) for a site, without C(lines) and C(runs). C(failed) has the
      checks that failed, by site, and C(hosts_of) the hosts.
  type: dict
"""


def choose(hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What RETURN documents."""
    plan = course.find_plan(hostvars)
    return rolling_back.choose(plan, hostvars) if plan is not None else {}


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"sites_to_roll_back": choose}
