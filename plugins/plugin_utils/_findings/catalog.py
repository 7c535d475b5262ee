# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of findings: what each id means, how it is detected and fixed.

Ids never change their meaning and are never used again. ``docs/findings.md`` is made from here. The hundreds digit is
the topic: its entries are in ``catalog_<topic>``, what raises them in ``rules_<topic>``, their tests in
``tests/unit/data/cases/<topic>.yml``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import SEVERITIES, Finding, FindingType
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import (
    catalog_application,
    catalog_detection,
    catalog_inventory,
    catalog_managed,
    catalog_network,
    catalog_proxy,
    catalog_service,
    catalog_tls,
    load_balancers,
    node_entries,
)

TOPICS = {
    "0": ("Detection", catalog_detection.ENTRIES),
    "1": ("Inventory", catalog_inventory.ENTRIES),
    "2": ("Application and server.xml", catalog_application.ENTRIES),
    "3": ("Certificates and trust", catalog_tls.ENTRIES),
    "4": ("Reverse proxy and load balancer", (*catalog_proxy.ENTRIES, *load_balancers.ENTRIES, *node_entries.ENTRIES)),
    "5": ("RTC service", catalog_service.ENTRIES),
    "6": ("Network and operating system", catalog_network.ENTRIES),
    "7": ("What is managed", catalog_managed.ENTRIES),
}
# Ids of findings that no longer exist. The next free id of a topic is the one after its highest, these included.
RETIRED = ("RTC109", "RTC313", "RTC315", "RTC316", "RTC420", "RTC507", "RTC510")
# Numbers that nothing got: two people added findings at the same time, each from a number of their own on.
NEVER_GIVEN = tuple(
    f"RTC{number}"
    for number in (*range(433, 440), *range(444, 450), *range(466, 480), *range(513, 550), *range(610, 640))
)
CATALOGUE: dict[str, FindingType] = {entry.id: entry for _title, entries in TOPICS.values() for entry in entries}


def make(
    finding_id: str,
    host: str,
    message: str,
    evidence: Iterable[str] = (),
    remedy: str = "",
    site: str = "",
    severity: str = "",
) -> Finding:
    """A finding of the catalogue.

    :param message: what was found, on this host, with file and line or port.
    :param remedy: what to do in this very case; the catalogue's text when empty.
    :param severity: lower than the catalogue's where the run itself fixes it; never higher.
    :raises KeyError: no such id.
    :raises ValueError: a higher severity than the catalogue's.
    """
    entry = CATALOGUE[finding_id]
    if severity and SEVERITIES.index(severity) < SEVERITIES.index(entry.severity):
        raise ValueError(f"{finding_id} is {entry.severity} at most")
    return Finding(
        id=finding_id,
        severity=severity or entry.severity,
        host=host,
        message=_show_hidden(message),
        evidence=[_show_hidden(item) for item in evidence if item],
        remedy=_show_hidden(remedy) or entry.remedy,
        site=site,
    )


def _show_hidden(text: str) -> str:
    """Paths and names have marks that no terminal shows, where they were copied from a page: U+202A, U+200B."""
    return "".join(char if char.isprintable() or char in "\n\t" else f"<U+{ord(char):04X}>" for char in text)


def sort_key(finding: Finding) -> tuple[int, str, str, str, str]:
    """Sort key: errors first, then by id, site and host."""
    return SEVERITIES.index(finding.severity), finding.id, finding.site, finding.host, finding.message


def list_errors(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that stop a run."""
    return [finding for finding in findings if finding.severity == "error" and not finding.muted]
