# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the inventory: RTC1xx."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import FindingType

ENTRIES = (
    FindingType(
        id="RTC101",
        severity="error",
        title="Unknown variable",
        meaning="A typing mistake in a variable's name would silently leave the default in force.",
        detected="A variable begins with rtc_ and is not one of this collection.",
        remedy="Correct the name; docs/variables.md lists all.",
    ),
    FindingType(
        id="RTC102",
        severity="error",
        title="Value that cannot be used",
        meaning="The variable has a value of the wrong kind, or one that is not among its choices.",
        detected="Each variable is checked against its type.",
        remedy="Correct the variable in the inventory.",
    ),
    FindingType(
        id="RTC103",
        severity="error",
        title="RTC port out of range",
        meaning="Ports up to 1024 belong to the system, and there are none above 65535.",
        detected="rtc_port is not between 1025 and 65535.",
        remedy="Choose a free port between 1025 and 65535, or leave the default.",
        vendor_requirements=("S07", "S08"),
    ),
    FindingType(
        id="RTC104",
        severity="error",
        title="The protocol is not the one that was stated",
        meaning="The RTC panel would show another protocol, and users' connections would not be what was agreed.",
        detected="rtc_protocol is compared with what detection and the inventory lead to.",
        remedy="Correct rtc_protocol, or the fact that the message names.",
        vendor_requirements=("S05",),
    ),
    FindingType(
        id="RTC105",
        severity="error",
        title="rtc_proxy names no host of the inventory",
        meaning="The proxy can only be configured on a host that Ansible knows.",
        detected="rtc_proxy is neither none nor an inventory host that was seen.",
        remedy=(
            "Add the proxy to the group rtc_proxies, or correct the name. For a proxy that is not managed here, leave"
            " rtc_proxy out and set rtc_proxy_kind: other."
        ),
    ),
    FindingType(
        id="RTC106",
        severity="error",
        title="Host in both groups, and its settings are for both",
        meaning="Confluence and Jira on one host need ports and installations of their own.",
        detected=(
            "A host is in confluence and jira, but only one application is there, or a variable that has to differ is"
            " one value."
        ),
        remedy=(
            "Take the host out of the wrong group, or give a value for each: rtc_port: {confluence: 9083, jira: 9093}."
        ),
    ),
    FindingType(
        id="RTC107",
        severity="error",
        title="Two sites with the same name and port",
        meaning="One proxy cannot tell them apart.",
        detected="Two sites have the same server name and the same RTC port.",
        remedy="Give one of them another rtc_port or rtc_server_name.",
        vendor_requirements=("S08",),
    ),
    FindingType(
        id="RTC108",
        severity="error",
        title="Settings that contradict each other",
        meaning="No state of the site fulfils all of them. A warning where one of them just has no effect.",
        detected="Variables of one site are compared with each other, and between its nodes.",
        remedy="Drop or correct one of the variables that the message names.",
        vendor_requirements=("S06",),
    ),
    FindingType(
        id="RTC110",
        severity="error",
        title="The server name is unknown",
        meaning="Without the name that users type, neither proxy nor certificate nor connector can be right.",
        detected="No rtc_server_name, no proxyName, no proxy that forwards here, and the host has no full name.",
        remedy="Set rtc_server_name to the name in the application's base URL.",
        vendor_requirements=("S10", "S11"),
    ),
    FindingType(
        id="RTC111",
        severity="error",
        title="Two application virtual hosts for one name",
        meaning=(
            "One proxy cannot have two virtual hosts with the same name and port; this collection writes one for each"
            " application."
        ),
        detected=(
            "Two sites have the same proxy, server name and application port, and rtc_manage_application_vhost is "
            "true for both."
        ),
        remedy=(
            "Give one of them a server name of its own, or write their common virtual host by hand and leave "
            "rtc_manage_application_vhost out."
        ),
        vendor_requirements=("S10",),
    ),
    FindingType(
        id="RTC112",
        severity="error",
        title="Something changed since the plan was made",
        meaning="What would be done is not what was looked at. Nothing is done.",
        detected="rtc_from_plan names a plan, and what it rests on is another now: host and part are named.",
        remedy="Make the plan again, look at it, and run with that one.",
    ),
    FindingType(
        id="RTC113",
        severity="error",
        title="A variable that only the playbook sets",
        meaning=(
            "The plan is made for all hosts at once, from the variables of the inventory. What a playbook, role or task"
            " sets, the plan would not see, and other steps would."
        ),
        detected="A variable of this collection is set by vars or vars_files of a play, import_playbook, role or task.",
        remedy="Set it in the inventory (group_vars, host_vars), or on the command line with -e.",
    ),
    FindingType(
        id="RTC114",
        severity="warning",
        title="A group that is probably meant to be another one",
        meaning="A typing mistake in a group's name would silently leave its hosts alone.",
        detected="The name of a group is almost confluence, jira or rtc_proxies, and a host of it is in none of these.",
        remedy="Correct the group's name. If it is right, mute this finding.",
    ),
)
