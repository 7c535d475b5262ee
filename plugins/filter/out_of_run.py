# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import steps

DOCUMENTATION = r"""
name: out_of_run
short_description: Whether a host failed, or was lost, in a step that changes it
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - With C(ignore_unreachable) a run goes on after a host was not reached. The next step must not run then, although the
    host may answer again, because it may need the one that was left out.
  - After C(rescue), handlers that were notified before still run at the end of the play, and nothing catches what fails
    in them.
options:
  _input:
    description: All variables of the host, C(hostvars[inventory_hostname]).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Change the host
  when: not hostvars[inventory_hostname] | collab.rtc.out_of_run
  block: []
"""

RETURN = r"""
_value:
  description: Whether nothing more is to be done on it.
  type: bool
"""


def is_out(variables: Mapping[str, Any]) -> bool:
    """Whether a step that changes the host failed, or did not reach it."""
    return steps.find_failure(variables) is not None


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"out_of_run": is_out}
