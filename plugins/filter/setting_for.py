# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables

DOCUMENTATION = r"""
name: setting_for
short_description: The value of an inventory variable for one application
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - On a host with both applications, a variable has one value for both, or a dictionary with one for C(confluence) and
    one for C(jira). This gives the one that counts.
options:
  _input:
    description: The variable.
    type: raw
    required: true
  application:
    description:
      - V(confluence) or V(jira). An empty text stands for what belongs to both, such as the files of a proxy. It gets
        the first value that is neither empty nor false.
    type: str
    default: ""
  default:
    description: What counts where the variable has no value for the application.
    type: raw
    default: ""
"""

EXAMPLES = r"""
- name: Import a certificate
  collab.rtc.java_truststore:
    path: "{{ item.path }}"
    password: "{{ rtc_truststore_password | collab.rtc.setting_for(item.application, 'changeit') }}"
    certificates: "{{ item.certificates }}"
  loop: "{{ rtc_plan.hosts[inventory_hostname].trust }}"
"""

RETURN = r"""
_value:
  description: The value.
  type: raw
"""


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"setting_for": variables.choose_setting}
