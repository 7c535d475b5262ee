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
        remedy="Do what the message asks for: the host needs SSH, a user who may become root, and Python 3.8 or later.",
    ),
    FindingType(
        id="RTC002",
        severity="warning",
        title="Parts of the host could not be seen",
        meaning="Conclusions about these parts may be incomplete.",
        detected="topology_info lists what it could not read, and why.",
        remedy="Remove the cause that is named, usually by running as root (become: true).",
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
        remedy=(
            "Correct the group of the host, or name the directory with rtc_install_dir. An application in a container"
            " is seen only while it runs: start it."
        ),
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
    FindingType(
        id="RTC008",
        severity="warning",
        title="An installation that does not count",
        meaning=(
            "Every user can make a directory that looks like Confluence or Jira. Root must not do what such a directory"
            " says, so it is left alone: no Java, file or port of it is used."
        ),
        detected=(
            "No unit or SysV script that only root may write starts the installation, others than root may write a"
            " directory above it, and rtc_install_dir does not name it."
        ),
        remedy="If it is the application, name it with rtc_install_dir. If not, ask its owner what it is for.",
    ),
    FindingType(
        id="RTC009",
        severity="warning",
        title="A process that does not count",
        meaning=(
            "Every user can start a process that calls itself Tomcat and names an installation. What such a process"
            " says (its Java, properties, user, ports) is not used."
        ),
        detected=(
            "The process names an installation, and its user is neither the one that the installation runs as, nor its"
            " owner, nor root; or it is in a container that nobody but a user has started."
        ),
        remedy=(
            "If it is the application, start it by its unit or script; where the message names a container, set"
            " rtc_install_dir to that name and directory. If not, ask its user what it is for."
        ),
    ),
    FindingType(
        id="RTC010",
        severity="warning",
        title="A unit or SysV script that others than root may write",
        meaning=(
            "Root runs what it says at the next start, so whoever may write it can become root. What it says of the"
            " application (directory, user, environment) is not used."
        ),
        detected="A unit, drop-in file or script that starts Confluence or Jira is not root's alone."
        " The directories above it and targets of links count.",
        remedy="Give the file and its directories to root, and take the right to write from others: chmod go-w.",
    ),
)
