# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import steps

DOCUMENTATION = r"""
name: lost
short_description: Whether a host was lost in a step that changes it
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - With C(ignore_unreachable) a run goes on after a host was not reached. The next step must not run then, although the
    host may answer again, because it may need the one that was left out.
options:
  _input:
    description: All variables of the host, C(hostvars[inventory_hostname]).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Change the host
  when: not hostvars[inventory_hostname] | collab.rtc.lost
  block: []
"""

RETURN = r"""
_value:
  description: Whether it was lost.
  type: bool
"""


def is_lost(variables: Mapping[str, Any]) -> bool:
    """Whether a step that changes the host did not reach it."""
    return steps.is_lost(variables)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"lost": is_lost}
