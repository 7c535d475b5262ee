# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

DOCUMENTATION = r"""
name: site_checks
short_description: The checks of a site for the report, from the results of the checking modules
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - Takes what M(collab.rtc.rtc_probe), M(collab.rtc.rtc_session) and M(collab.rtc.application_check) returned in the
    role C(collab.rtc.verify). A check that was skipped is left out.
options:
  _input:
    description:
      - C(from_host) and C(from_controller) are results of M(collab.rtc.rtc_probe), C(session) of
        M(collab.rtc.rtc_session), C(request) of M(collab.rtc.application_check).
      - C(fetch) is a loop of M(collab.rtc.application_check) over the application's address and the RTC address.
    type: dict
    required: true
  host:
    description: Inventory name of the application's host.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Keep what the report shows
  ansible.builtin.set_fact:
    verify_checks: "{{ {'wiki.example.com:9083': {'from_controller': probe} | collab.rtc.site_checks('wiki1')} }}"
"""

RETURN = r"""
_value:
  description: One item for each check.
  type: list
  elements: dict
  contains:
    name:
      description: What was checked.
      type: str
    where:
      description: Where it was checked from, V(controller) or the inventory name of the host.
      type: str
    ok:
      description: Whether it passed.
      type: bool
    seconds:
      description: How long it took.
      type: float
    made:
      description: Whether a check that did not pass says something about the site; it could not be made otherwise.
      type: bool
    detail:
      description: What the step that failed saw.
      type: str
    cause:
      description: The likely cause of the failure.
      type: str
    remedy:
      description: What to do about it.
      type: str
"""

CONTROLLER = "controller"
# Key of the result -> what the report calls it; a loop has a name for each of its items.
NAMES = {
    "from_host": ["RTC answers the application host, trusted by the JRE"],
    "from_controller": ["RTC answers outside: polling, WebSocket, upgrade"],
    "session": ["Two clients share one project, before and after a reconnect"],
    "answer": ["The application answers at its address"],
    "request": ["The application sees the address that users see"],
    "fetch": ["The application's JVM trusts its own address", "The application's JVM trusts the RTC address"],
}
ON_HOST = {"from_host", "fetch"}  # the others are made by the controller


def list_site_checks(results: Mapping[str, Mapping[str, Any]], host: str) -> list[dict[str, Any]]:
    """The checks of a site in the order of the report; those that were skipped are left out."""
    return [
        summarize(result, name, host if key in ON_HOST else CONTROLLER)
        for key, name, result in name_results(results)
        if not result.get("skipped")
    ]


def name_results(results: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each result with its key and name, the items of a loop one by one."""
    for key, names in NAMES.items():
        result = results.get(key, {"skipped": True})
        items = result.get("results", [result])
        yield from ((key, name, item) for name, item in zip(names, items))


def summarize(result: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """What the report shows of the result of a checking module."""
    check = {"name": name, "where": where, "ok": False, "seconds": 0.0, "detail": "", "cause": "", "remedy": ""}
    if "ok" not in result:  # the module itself failed
        return {**check, "made": False, "cause": str(result.get("msg", "The check could not be made."))}
    steps = result.get("steps") or []
    check.update(ok=bool(result["ok"]), seconds=round(sum(step.get("seconds") or 0.0 for step in steps), 3))
    if not check["ok"]:
        # That the controller does not know the name says nothing about the site: the application's host checks that.
        check["made"] = not (where == CONTROLLER and result.get("code") == "name_unresolved")
        failed: Mapping[str, Any] = next((step for step in steps if step.get("ok") is False), {})
        check.update(
            detail=str(failed.get("detail", "")), cause=result.get("cause", ""), remedy=result.get("remedy", "")
        )
    return check


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"site_checks": list_site_checks}
