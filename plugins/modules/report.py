#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print the report of a run
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Prints for each site its address, protocol and placement, each check with its result, and for a failure the likely
    cause and the remedy; then the findings and the restarts that are left to do.
  - Reads what the roles C(plan), C(restart) and C(verify) left as facts. Runs on the controller and makes no remote
    call.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode:
    support: full
    details: O(file) is not written.
  diff_mode: {support: none}
  idempotent: {support: full}
options:
  file:
    description:
      - Also write the report as JSON to this file on the controller, readable by its owner only. The playbooks take it
        from the variable C(rtc_report_file).
    type: path
  fail_on_failed_checks:
    description: Fail when a check failed, after printing.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Report
  collab.rtc.report:
    file: /tmp/rtc-report.json
"""

RETURN = r"""
failed_checks:
  description: How many failed.
  returned: always
  type: int
"""
