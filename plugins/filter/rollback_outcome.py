# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import history

DOCUMENTATION = r"""
name: rollback_outcome
short_description: What a rollback did
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - Names for each host the files that were given back, edits that were kept, services, and what failed.
options:
  _input:
    description:
      - C(hostvars), in which each host may have C(rollback_undone), what M(collab.rtc.rtc_undo) returned,
        C(rollback_services), what P(collab.rtc.services_after_undo#filter) found, and the results of the tasks that
        follow.
    type: dict
    required: true
  hosts:
    description: The hosts of the rollback.
    type: list
    elements: str
    required: true
  run:
    description: What P(collab.rtc.run_to_undo#filter) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Report
  ansible.builtin.debug:
    msg: "{{ (hostvars | collab.rtc.rollback_outcome(ansible_play_hosts_all, rollback_run)).lines }}"
"""

RETURN = r"""
_value:
  description: The outcome.
  type: dict
  contains:
    lines:
      description: What is to be shown.
      type: list
      elements: str
    unfinished:
      description: Hosts on which the run was not undone to its end, or a service does not have that.
      type: list
      elements: str
    failed:
      description: Hosts on which the run was not undone to its end, or whose sites fail their checks after it.
      type: list
      elements: str
"""


def collect(hostvars: Mapping[str, Any], hosts: Sequence[str], run: Mapping[str, Any]) -> dict[str, list[str]]:
    """What RETURN documents."""
    outcomes = history.collect_outcomes(hostvars, hosts, run)
    return {
        "lines": [*history.render_outcomes(outcomes), *history.render_checks(outcomes)],
        "unfinished": [host for host, outcome in outcomes.items() if outcome.error],
        "failed": [host for host, outcome in outcomes.items() if outcome.error or outcome.list_failed()],
    }


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"rollback_outcome": collect}
