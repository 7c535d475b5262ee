# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of a host before they are evaluated, with what they may use.

``hostvars[host]`` evaluates without ``hostvars`` itself, which inventories do use in their variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def get_raw(hostvars: Mapping[str, Any], host: str) -> dict[str, Any]:
    """The variables of a host as the inventory has them, templates and all."""
    return dict(hostvars.raw_get(host)) if hasattr(hostvars, "raw_get") else dict(hostvars[host])


def get_known(hostvars: Mapping[str, Any], host: str) -> dict[str, Any]:
    """All that a template of this host may use: its variables, and ``hostvars``."""
    return {**get_raw(hostvars, host), "hostvars": hostvars}
