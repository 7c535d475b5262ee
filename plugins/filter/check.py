# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: check
short_description: Make a line of the report from the result of a checking module
version_added: 0.1.0
author: collab.rtc authors (@collab-rtc)
description:
  - Takes what M(collab.rtc.rtc_probe), M(collab.rtc.rtc_session) or M(collab.rtc.application_check) returned.
  - A task that was skipped gives a check that was not made.
options:
  _input:
    description: The registered result.
    type: dict
    required: true
  name:
    description: What was checked, in words for people.
    type: str
    required: true
  where:
    description: Where it was checked from.
    type: str
    required: true
"""

EXAMPLES = r"""
- ansible.builtin.set_fact:
    verify_checks: "{{ [probe | collab.rtc.check('The service answers', 'controller')] }}"
"""

RETURN = r"""
_value:
  description: C(name), C(where), C(ok) (V(null) when it was not made), C(seconds), C(detail), C(cause) and C(remedy).
  type: dict
"""


def check(result, name, where):
    """Keep of a module's result what the report shows."""
    line = {"name": name, "where": where, "ok": None, "seconds": 0.0, "detail": "", "cause": "", "remedy": ""}
    if result.get("skipped"):
        return line
    if "ok" not in result:  # the module itself did not come to an end
        return dict(line, ok=False, cause=str(result.get("msg", "The check could not be made.")))
    steps = result.get("steps") or []
    line.update(ok=bool(result["ok"]), seconds=round(sum(step.get("seconds") or 0.0 for step in steps), 3))
    if not line["ok"]:
        failed = next((step for step in steps if step.get("ok") is False), {})
        line.update(
            detail=str(failed.get("detail", "")), cause=result.get("cause", ""), remedy=result.get("remedy", "")
        )
    return line


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Names and functions."""
        return {"check": check}
