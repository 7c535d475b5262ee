# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of findings: what each id means, how it is detected and mended. PRIVATE to the collection.

Ids never change their meaning and are never used again. ``docs/findings.md`` is made from here. The entries are in
``_findings_<topic>``; the hundreds digit is the topic.
"""

from __future__ import annotations

from typing import Iterable

from ansible_collections.collab.rtc.plugins.module_utils import (
    _findings_application,
    _findings_inventory,
    _findings_proxy,
    _findings_service,
    _findings_tls,
    _plan,
)
from ansible_collections.collab.rtc.plugins.module_utils._entry import SEVERITIES, Entry

TOPICS = {
    "0": ("Detection", _findings_inventory.DETECTION),
    "1": ("Inventory", _findings_inventory.INVENTORY),
    "2": ("Application and server.xml", _findings_application.ENTRIES),
    "3": ("Certificates and trust", _findings_tls.ENTRIES),
    "4": ("Reverse proxy and load balancer", _findings_proxy.ENTRIES),
    "5": ("RTC service", _findings_service.SERVICE),
    "6": ("Network and operating system", _findings_service.NETWORK),
}
CATALOGUE: dict[str, Entry] = {entry.id: entry for _title, entries in TOPICS.values() for entry in entries}


def make(
    number: str,
    host: str,
    message: str,
    evidence: Iterable[str] = (),
    remedy: str = "",
    site: str = "",
    severity: str = "",
) -> _plan.Finding:
    """A finding of the catalogue.

    :param message: what was found, on this host, with file and line or port.
    :param remedy: what to do in this very case; the catalogue's text when empty.
    :param severity: lower than the catalogue's where the run itself mends it; never higher.
    :raises KeyError: no such id.
    :raises ValueError: a higher severity than the catalogue's.
    """
    entry = CATALOGUE[number]
    if severity and SEVERITIES.index(severity) < SEVERITIES.index(entry.severity):
        raise ValueError(f"{number} is {entry.severity} at most")
    return _plan.Finding(
        id=number, severity=severity or entry.severity, host=host, message=message,
        evidence=[item for item in evidence if item], remedy=remedy or entry.remedy, site=site,
    )  # fmt: skip


def order(finding: _plan.Finding) -> tuple[int, str, str, str, str]:
    """Sort key: errors first, then by id, site and host."""
    return SEVERITIES.index(finding.severity), finding.id, finding.site, finding.host, finding.message


def errors(findings: Iterable[_plan.Finding]) -> list[_plan.Finding]:
    """The findings that stop a run."""
    return [finding for finding in findings if finding.severity == "error" and not finding.muted]
