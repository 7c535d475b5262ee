# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.template import Templar

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.raw_values import get_known, get_raw

DOCUMENTATION = r"""
name: from_any_host
short_description: A variable of the inventory where there is no host yet
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - Keywords of a play, such as C(serial), are evaluated for the play and not for a host, so that they do not see the
    variables of the inventory. This takes a variable from the first host that has it.
  - A value that is empty, cannot be evaluated or is of the wrong type is passed over. The plan names it, and stops the
    run; a keyword of a play with such a value would end it before the report.
options:
  _input:
    description: The variable C(hostvars), which is undefined while only the syntax is checked.
    type: dict
    required: true
  name:
    description: Name of the variable.
    type: str
    required: true
  default:
    description: The value where no host has it.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Change one host at a time, or as many as the inventory says
  hosts: confluence
  serial: "{{ hostvars | default({}) | collab.rtc.from_any_host('rtc_serial', default=1) }}"
"""

RETURN = r"""
_value:
  description: The value.
  type: raw
"""


def take_from_any_host(hostvars: Mapping[str, Mapping[str, Any]], name: str, default: Any) -> Any:
    """The value of a variable on the first host that has a usable one, else ``default``."""
    for host in hostvars:
        raw = get_raw(hostvars, host)
        if name in raw:
            templar = Templar(loader=getattr(hostvars, "_loader", None), variables=get_known(hostvars, host))
            try:
                value = templar.template(raw[name])
            except AnsibleError:
                continue
            if variables.is_usable(name, value):
                return value
    return default


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"from_any_host": take_from_any_host}
