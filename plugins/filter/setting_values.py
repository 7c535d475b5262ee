# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DOCUMENTATION = r"""
name: setting_values
short_description: The values of an inventory variable that may differ between the applications of a host
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - On a host with both applications, a variable such as C(rtc_port) has one value for both, or a dictionary with one
    for C(confluence) and one for C(jira). This gives the values in either case.
options:
  _input:
    description: The variable.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Resolve the server names on the host
  collab.rtc.topology_info:
    names: "{{ rtc_server_name | default('') | collab.rtc.setting_values }}"
"""

RETURN = r"""
_value:
  description: Each text or number once, without those that are empty.
  type: list
  elements: raw
"""


def list_setting_values(value: object) -> list[Any]:
    """The values of a variable that is set once, or once for each application; only texts and numbers count."""
    values = value.values() if isinstance(value, Mapping) else [value]
    return list(
        dict.fromkeys(item for item in values if item and isinstance(item, (str, int)) and not isinstance(item, bool))
    )


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"setting_values": list_setting_values}
