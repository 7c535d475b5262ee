#!/usr/bin/python
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Plan what every host has to be, and find what is wrong
version_added: 0.1.0
author: [collab.rtc authors (@collab-rtc)]
description:
  - Turns what M(collab.rtc.topology_info) reported about all hosts, and the variables of the inventory, into sites, the
    plan of each host, and findings with evidence and remedy.
  - Plans for all hosts of the groups C(confluence), C(jira) and C(rtc_proxies) at once; use it with C(run_once).
  - Runs on the controller. It makes no remote call and changes nothing but O(file).
  - The same facts and variables always lead to the same plan.
extends_documentation_fragment: [collab.rtc.attributes]
attributes:
  check_mode:
    support: full
    details: O(file) is not written.
  diff_mode: {support: none}
  idempotent: {support: full}
options:
  facts:
    description:
      - Inventory name to what M(collab.rtc.topology_info) returned as C(topology).
      - Without it, what each host registered as C(rtc_detected), as the role C(collab.rtc.plan) does.
    type: dict
  fail_on_errors:
    description:
      - Fail when there are findings of severity C(error) that are not muted. The message has each with its remedy,
        unless O(show) printed them.
      - Without it, an error stops its sites only (RV(stopped)), and one in the inventory stops all.
      - With O(show=plan) it also fails when no application is among the hosts of the run.
    type: bool
    default: true
  confirm:
    description:
      - Ask at the terminal whether to apply the plan, unless check mode or tags leave that out anyway. Without a yes,
        or without a terminal, all sites are stopped.
    type: bool
    default: false
  show:
    description:
      - What to print. V(detected) is what is there, host by host, with topology and findings; V(plan) is what is to be
        done, site by site.
      - Where the callback of standard output writes for programs, as C(json) and C(oneline) do, it is in RV(text).
    type: str
    choices: [nothing, detected, plan]
    default: nothing
  state:
    description:
      - V(absent) plans that no host of the run has anything of this collection any more, as the variable C(rtc_state)
        does for one.
    type: str
    choices: [present, absent]
    default: present
  file:
    description:
      - Write the plan as JSON to this file on the controller, readable by its owner only. The variable C(rtc_plan_file)
        does the same.
    type: path
seealso:
  - module: collab.rtc.topology_info
  - module: collab.rtc.report
"""

EXAMPLES = r"""
- name: Detect
  collab.rtc.topology_info:
  register: rtc_detected
  ignore_unreachable: true

- name: Plan
  collab.rtc.plan:
    show: plan
  register: rtc_plan
  run_once: true
"""

RETURN = r"""
hosts:
  description: >-
    Inventory name to what is to be done there: C(connectors), C(trust), C(trust_options), C(rtc), C(vhosts),
    C(textfiles), C(restarts), C(packages), C(certificates); C(work), each thing with what is done about it, compared
    with the record of what is managed; C(records), what is noted there before it is made; C(removals). Private keys are
    never in it. The roles get their part of it.
  returned: unless errors fail the task
  type: dict
sites:
  description: Each site with its placement, protocol and topology, and the evidence for them.
  returned: unless errors fail the task
  type: list
  elements: dict
  sample:
    - name: wiki.example.com:9083
      application: confluence
      nodes: [wiki1]
      protocol: HTTP + SSL
      placement: same_host
      topology: T6
findings:
  description: What was found, errors first. The file C(docs/findings.md) explains each id.
  returned: unless errors fail the task
  type: list
  elements: dict
  sample:
    - id: RTC208
      severity: warning
      host: wiki1
      message: '/opt/atlassian/confluence/conf/server.xml:42: scheme="https" without secure="true".'
      remedy: A run sets secure="true".
errors:
  description: How many findings stop a run.
  returned: always
  type: int
stopped:
  description: Site to the reason why it is left alone, such as an error or a host that was not seen.
  returned: unless errors fail the task
  type: dict
  sample: {'wiki.example.com:9083': 'its proxy px1 was not seen'}
left_out:
  description: Hosts of the three groups that this run does not look at, because of C(--limit).
  returned: unless errors fail the task
  type: list
  elements: str
max_failures:
  description: After so many failed sites no further one is begun; 0 for no limit.
  returned: unless errors fail the task
  type: int
run:
  description: The id of this run, for undo records.
  returned: unless errors fail the task
  type: str
  sample: 20261122T093000Z-4f2a
run_user:
  description: Who runs this on which controller, for undo records.
  returned: unless errors fail the task
  type: str
  sample: anna@controller
text:
  description: What O(show) asks for, where it was not printed.
  returned: the callback of standard output writes for programs
  type: str
"""
