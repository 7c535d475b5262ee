# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about what detection saw: RTC0xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC001",
        severity="error",
        title="Host not seen",
        meaning="Nothing is known about a host that the inventory lists, so no plan for it can be right.",
        detected="The host has no facts: it was unreachable, or detection failed on it.",
        remedy="Make the host reachable by SSH with Python 3.8 or later, or take it out of the inventory.",
    ),
    FindingType(
        id="RTC002",
        severity="warning",
        title="Parts of the host could not be seen",
        meaning="Conclusions about these parts may be incomplete.",
        detected="topology_info lists what it could not read, and why.",
        remedy="Give the reason named; usually by running as root (become: true).",
        vendor_requirements=("S01",),
    ),
    FindingType(
        id="RTC003",
        severity="warning",
        title="Detection ran without root",
        meaning="Processes of other users, keys and parts of the configuration are hidden from an ordinary user.",
        detected="topology_info did not run as root.",
        remedy="Run with become: true. Everything that changes a host needs root.",
        vendor_requirements=("S01",),
    ),
    FindingType(
        id="RTC004",
        severity="error",
        title="No application on the host",
        meaning="The inventory says that Confluence or Jira is on the host, and none was found there.",
        detected="No installation of that kind in the facts, or none in rtc_install_dir.",
        remedy="Correct the group of the host, or name the directory with rtc_install_dir.",
    ),
    FindingType(
        id="RTC005",
        severity="error",
        title="Several installations, and no way to choose",
        meaning="An archive installation leaves old versions beside the new one; changing the wrong one helps nobody.",
        detected="More than one installation of one kind, and not exactly one of them runs.",
        remedy="Start the application, or name its directory with rtc_install_dir.",
    ),
    FindingType(
        id="RTC006",
        severity="info",
        title="An application that the inventory does not list",
        meaning="It is left alone.",
        detected="An installation of a kind in whose group the host is not.",
        remedy="Put the host into the group confluence or jira, if RTC is wanted for it.",
    ),
    FindingType(
        id="RTC007",
        severity="warning",
        title="The application does not run",
        meaning="What only a running process shows (its Java, properties, the add-on's own RTC service) is unknown.",
        detected="No process of the installation.",
        remedy="Start the application and run again.",
        vendor_requirements=("S33",),
    ),
)
