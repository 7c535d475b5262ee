# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.collab.rtc.plugins.plugin_utils._run import course

DOCUMENTATION = r"""
name: work_without
short_description: What is left to be done on a host without some of its sites
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - The work of a host without what belongs to sites that its proxy did not take. What was taken away early for them is
    gone, and stays in it.
options:
  _input:
    description: What the filter P(collab.rtc.work_for#filter) returned.
    type: dict
    required: true
  sites:
    description: Names of the sites.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Go on without the sites that the proxy did not take
  ansible.builtin.set_fact:
    work: "{{ work | collab.rtc.work_without(['wiki.example.com:9083']) }}"
"""

RETURN = r"""
_value:
  description: The same parts as those of the input.
  type: dict
"""


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"work_without": course.drop_sites}
