# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Limits of the RTC server as the inventory gives them."""

from __future__ import annotations

import difflib
from typing import Any, Mapping

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server.limits import LIMITS, Number, read_number

_WITHIN_PAYLOAD = ("change_bytes", "snapshot_bytes")


def check(values: Any) -> dict[str, Number]:
    """Limits of an inventory. Numbers may be texts there.

    :raises ValueError: a name that is none, or a value that the server would refuse, with a sentence that says which.
    """
    if not isinstance(values, Mapping):
        raise ValueError("a dictionary of limits is expected, such as {connections: 2000}.")
    found = {str(name): _check_limit(str(name), value) for name, value in values.items()}
    payload = found.get("payload_bytes", LIMITS["payload_bytes"].default)
    for name in _WITHIN_PAYLOAD:
        if found.get(name, LIMITS[name].default) > payload:
            raise ValueError(f"{name} ({LIMITS[name].default if name not in found else found[name]}) is larger than"
                             f" payload_bytes ({payload}).")  # fmt: skip
    return found


def _check_limit(name: str, value: Any) -> Number:
    limit = LIMITS.get(name)
    if limit is None:
        near = difflib.get_close_matches(name, LIMITS, n=1)
        hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(LIMITS)}."
        raise ValueError(f"'{name}' is not a limit of the RTC server.{hint}")
    whole = isinstance(limit.default, int)
    number = read_number(value, whole)
    if number is None or not limit.low <= number <= limit.high:
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} has to be a {kind} from {limit.low:.16g} to {limit.high:.16g}, not '{value}'.")
    return number
