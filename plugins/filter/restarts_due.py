# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: restarts_due
short_description: The applications of a host that must be restarted
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - An application must be restarted when this run changed something that only a new process reads, or when the plan
    found that its process is older than its configuration or trust.
options:
  _input:
    description: The C(restarts) part of the plan of the host.
    type: list
    elements: dict
    required: true
  results:
    description:
      - Registered results of tasks that loop over parts of the plan of the host. Each item names its C(site).
      - An empty dictionary stands for a task that did not run.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Restart what must be restarted
  ansible.builtin.service:
    name: "{{ item.service }}"
    state: restarted
  loop: "{{ rtc_plan.hosts[inventory_hostname].restarts | collab.rtc.restarts_due([connector_set]) }}"
"""

RETURN = r"""
_value:
  description: Those items of the input that are due. C(reasons) of each says why; what this run changed is among them.
  type: list
  elements: dict
"""


CHANGED_NOW = "this run changed its server.xml or its trust"


def select_restarts_due(
    restarts: Iterable[Mapping[str, Any]], results: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """The restarts whose site a task changed, or that were due before the run, each with all its reasons."""
    changed = {item["item"]["site"] for result in results for item in result.get("results", []) if item.get("changed")}
    due: list[Mapping[str, Any]] = []
    for restart in restarts:
        reasons = [*restart["reasons"], *([CHANGED_NOW] if restart["site"] in changed else [])]
        if reasons:
            due.append({**restart, "reasons": reasons})
    return due


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"restarts_due": select_restarts_due}
