# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import textfile

DOCUMENTATION = r"""
name: results_for_textfile
short_description: The file in which a verification leaves its results for node_exporter
version_added: 0.2.0
author: collab.rtc authors (@collab-rtc)
description:
  - Checks, findings, drift from the inventory, end of the certificate and time of the verification of one site, in
    Prometheus' text format.
  - There is a file where the plan has one for the site on the host and the record of what is managed names it, or this
    run has noted it.
options:
  _input:
    description: The plan, as M(collab.rtc.plan) returned it.
    type: dict
    required: true
  host:
    description: Inventory name of the host.
    type: str
    required: true
  site:
    description: Name of the site.
    type: str
    required: true
  checks:
    description: The results of its checks, as P(collab.rtc.site_checks#filter) has them.
    type: list
    elements: dict
    required: true
  expires:
    description: When the certificate expires that users see, as C(2027-01-31T12:00:00Z); empty where there is none.
    type: str
    required: true
  work:
    description: What this run has applied on the host, as P(collab.rtc.work_for#filter) has it; empty where nothing.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Leave the results for node_exporter
  collab.rtc.managed_file:
    files: "{{ rtc_plan | collab.rtc.results_for_textfile(inventory_hostname, site, checks, '', {}) }}"
"""

RETURN = r"""
_value:
  description: The option C(files) of M(collab.rtc.managed_file); empty where nothing is to be left.
  type: list
  elements: dict
"""


def list_files(
    plan: Mapping[str, Any], host: str, site: str, checks: list[dict[str, Any]], expires: str, work: Mapping[str, Any]
) -> list[dict[str, str]]:
    """The file of one site, as of now."""
    return textfile.list_files(plan, host, site, checks, textfile.parse_time(expires), time.time(), work)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Name and function."""
        return {"results_for_textfile": list_files}
