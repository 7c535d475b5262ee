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
    cause and the remedy; then the findings, the restarts that are left to do, and the hosts that failed, each with the
    step, its cause and remedy.
  - Reads what the roles left with the hosts. Runs on the controller and makes no remote call.
  - Run it on all hosts of the run, with C(throttle) 1. The first one prints, and each fails for what failed there, so
    that the exit status of the playbook is the report's. A host that C(rescue) caught counts as in order to Ansible.
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
      - Where a site has the RTC server of this collection, C(rtc-check.html) is written beside it. That is the check
        page, which a browser can open where RTC does not load.
    type: path
  applies:
    description:
      - Whether the run was to change the hosts. Then a site that was stopped is a failure of its hosts.
    type: bool
    default: false
  fail_on_changes:
    description: List what was changed, or in check mode would be, and fail for hosts where there is something.
    type: bool
    default: false
  fail_on_failed_checks:
    description: Fail when a check failed, after printing.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Report
  collab.rtc.report:
    file: /tmp/rtc-report.json
  throttle: 1
"""

RETURN = r"""
report:
  description: The report, where it was not printed.
  returned: on the first host, where the callback of standard output writes for programs
  type: str
failed_checks:
  description: How many failed, of all hosts.
  returned: always
  type: int
"""
