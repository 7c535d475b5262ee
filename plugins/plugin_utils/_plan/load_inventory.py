# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the inventory's variables into what the plan is made from. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables as inventory_variables
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import Problem
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput

GROUPS = ("confluence", "jira", "rtc_proxies")
# Variables that make no sense as one value for two applications of one host.
NOT_COMMON = (
    *("port", "connector_port", "install_dir", "truststore_path", "application_service", "application_restart"),
    "panel_port",
)

_SQUEEZED = {**{name.replace("_", ""): name for name in GROUPS}, "rtcproxy": "rtc_proxies"}
_ALIKE = 0.85  # confluense and conflunce are; jira_dev, wiki and confluence2 (which says that it is another) are not
_OF_OTHERS = re.compile(r"(confluence|jira|rtc_?prox(y|ies))[\W_]+[^\W_]{2}|.*[0-9]", re.IGNORECASE)  # confluence_db


def add_host(plan_input: PlanInput, host: str, variables: Mapping[str, Any], problems: Iterable[Problem] = ()) -> None:
    """Read the variables of a host of the inventory.

    :param variables: name -> value, evaluated; variables without the prefix of this collection are passed over.
    :param problems: what went wrong before, such as a template that cannot be evaluated.
    """
    kinds = [kind for kind in inventory_variables.KINDS if host in plan_input.groups.get(kind, [])]
    plan_input.settings[host], plan_input.problems[host] = {}, list(problems)
    # A proxy's host has settings too: addresses to listen on, findings to mute.
    for kind in kinds or inventory_variables.KINDS[:1]:
        settings, found = inventory_variables.parse(variables, kind)
        plan_input.problems[host] += [item for item in found if item not in plan_input.problems[host]]
        plan_input.settings[host][kind] = settings
    plan_input.common[host] = [
        inventory_variables.PREFIX + name for name in NOT_COMMON if inventory_variables.is_common(variables, name)
    ]


def find_meant_groups(groups: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Groups that are probably meant to be one of ours, as Confluence or rtc-proxies, and which one.

    Only those with a host that is in none of ours: nothing would be done for it.
    """
    ours = {host for name in GROUPS for host in groups.get(name, ())}
    found = {}
    for name in sorted(set(map(str, groups)) - {*GROUPS, "all", "ungrouped"}):
        squeezed = re.sub(r"[\W_]", "", name.lower())
        near = [] if _OF_OTHERS.match(name) else difflib.get_close_matches(squeezed, _SQUEEZED, n=1, cutoff=_ALIKE)
        if near and set(groups[name]) - ours:
            found[name] = _SQUEEZED[near[0]]
    return found


def explain_groups(groups: Mapping[str, Iterable[str]]) -> list[Problem]:
    """A problem for each group whose name is probably a typing mistake."""
    ours = {host for name in GROUPS for host in groups.get(name, ())}
    return [
        Problem(
            "RTC114",
            f"group {name}",
            f"Nothing is done for {', '.join(sorted(set(groups[name]) - ours))}: the group {name} is not one of this"
            f" collection's.",
            f"If the group {meant} is meant, correct its name.",
        )
        for name, meant in find_meant_groups(groups).items()
    ]
