# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import steps

DOCUMENTATION = r"""
name: failure_of
short_description: What failed, with cause and remedy, from the result of a task
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - For C(rescue), which has the result of the task that failed. M(collab.rtc.report) shows it for the host.
options:
  _input:
    description: The variable C(ansible_failed_result), or an empty dictionary where Ansible does not set it.
    type: dict
    required: true
  step:
    description: Name of the task.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Note what failed
  ansible.builtin.set_fact:
    rtc_failed: "{{ ansible_failed_result | default({}) | collab.rtc.failure_of(ansible_failed_task.name) }}"
"""

RETURN = r"""
_value:
  description: C(step), C(cause) and C(remedy), texts.
  type: dict
"""


def describe(result: Mapping[str, Any], step: str) -> dict[str, str]:
    """Step, cause and remedy."""
    return steps.describe_failure(result, step.rsplit(" : ", 1)[-1] or "a step of the run")


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"failure_of": describe}
