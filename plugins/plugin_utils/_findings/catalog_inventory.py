# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about detection and about the inventory: RTC0xx and RTC1xx. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

DETECTION = (
    FindingType(
        "RTC001",
        "error",
        "Host not seen",
        "Nothing is known about a host that the inventory lists, so no plan for it can be right.",
        "The host has no facts: it was unreachable, or detection failed on it.",
        "Make the host reachable by SSH with Python 3.8 or later, or take it out of the inventory.",
    ),
    FindingType(
        "RTC002",
        "warning",
        "Parts of the host could not be seen",
        "Conclusions about these parts may be incomplete.",
        "topology_info lists what it could not read, and why.",
        "Give the reason named; usually by running as root (become: true).",
        "",
        ("S01",),
    ),
    FindingType(
        "RTC003",
        "warning",
        "Detection ran without root",
        "Processes of other users, keys and parts of the configuration are hidden from an ordinary user.",
        "topology_info did not run as root.",
        "Run with become: true. Everything that changes a host needs root.",
        "",
        ("S01",),
    ),
    FindingType(
        "RTC004",
        "error",
        "No application on the host",
        "The inventory says that Confluence or Jira is on the host, and none was found there.",
        "No installation of that kind in the facts, or none in rtc_install_dir.",
        "Correct the group of the host, or name the directory with rtc_install_dir.",
    ),
    FindingType(
        "RTC005",
        "error",
        "Several installations, and no way to choose",
        "An archive installation leaves old versions beside the new one; changing the wrong one helps nobody.",
        "More than one installation of one kind, and not exactly one of them runs.",
        "Start the application, or name its directory with rtc_install_dir.",
    ),
    FindingType(
        "RTC006",
        "info",
        "An application that the inventory does not list",
        "It is left alone.",
        "An installation of a kind in whose group the host is not.",
        "Put the host into the group confluence or jira, if RTC is wanted for it.",
    ),
    FindingType(
        "RTC007",
        "warning",
        "The application does not run",
        "What only a running process shows (its Java, properties, the add-on's own RTC service) is unknown.",
        "No process of the installation.",
        "Start the application and run again.",
        seed=("S33",),
    ),
)

INVENTORY = (
    FindingType("RTC101", "error", "Unknown variable",
          "A typing mistake in a variable's name would silently leave the default in force.",
          "A variable begins with rtc_ and is not one of this collection.",
          "Correct the name; docs/variables.md lists all."),
    FindingType("RTC102", "error", "Value that cannot be used",
          "The variable has a value of the wrong kind, or one that is not among its choices.",
          "Each variable is checked against its type.",
          "Correct the variable in the inventory."),
    FindingType("RTC103", "error", "RTC port out of range",
          "Ports up to 1024 belong to the system, and there are none above 65535.",
          "rtc_port is not between 1025 and 65535.",
          "Choose a free port between 1025 and 65535, or leave the default.", "", ("S07", "S08")),
    FindingType("RTC104", "error", "The protocol is not the one that was stated",
          "The RTC panel would show another protocol, and users' connections would not be what was agreed.",
          "rtc_protocol is compared with what detection and the inventory lead to.",
          "Correct rtc_protocol, or the fact that the message names.", "", ("S05",)),
    FindingType("RTC105", "error", "rtc_proxy names no host of the inventory",
          "The proxy can only be configured on a host that Ansible knows.",
          "rtc_proxy is neither none nor an inventory host that was seen.",
          "Add the proxy to the group rtc_proxies, or correct the name. For a proxy that is not managed here, leave"
          " rtc_proxy out and set rtc_proxy_kind: other."),
    FindingType("RTC106", "error", "Host in both groups, and its settings are for both",
          "Confluence and Jira on one host need ports and installations of their own.",
          "A host is in confluence and jira, but only one application is there, or a variable that has to differ is"
          " one value.",
          "Take the host out of the wrong group, or give a value for each: rtc_port: {confluence: 9083, jira: 9093}."),
    FindingType("RTC107", "error", "Two sites with the same name and port",
          "One proxy cannot tell them apart.",
          "Two sites have the same server name and the same RTC port.",
          "Give one of them another rtc_port or rtc_server_name.", "", ("S08",)),
    FindingType("RTC108", "error", "HostSettings that contradict each other",
          "No state of the site fulfils all of them. A warning where one of them just has no effect.",
          "Variables of one site are compared with each other, and between its nodes.",
          "Drop or correct one of the variables that the message names.", seed=("S06",)),
    FindingType("RTC110", "error", "The server name is unknown",
          "Without the name that users type, neither proxy nor certificate nor connector can be right.",
          "No rtc_server_name, no proxyName, no proxy that forwards here, and the host has no full name.",
          "Set rtc_server_name to the name in the application's base URL.", "", ("S10", "S11")),
    FindingType("RTC111", "error", "Two application virtual hosts for one name",
          "One proxy cannot have two virtual hosts with the same name and port; this collection writes one for each"
          " application.",
          "Two sites have the same proxy, server name and application port, and rtc_manage_application_vhost is"
          " true for both.",
          "Give one of them a server name of its own, or write their common virtual host by hand and leave"
          " rtc_manage_application_vhost out.", "", ("S10",)),
)  # fmt: skip
