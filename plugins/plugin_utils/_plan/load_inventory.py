# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Putting the inventory's variables into what the plan is made from. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import variables as inventory_variables
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import Problem, Wishes
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape

GROUPS = ("confluence", "jira", "rtc_proxies")
# Variables that make no sense as one value for two applications of one host.
NOT_COMMON = ("port", "connector_port", "install_dir", "truststore_path")


def add(
    landscape: Landscape, host: str, variables: Mapping[str, Any], problems: Iterable[Problem] = ()
) -> list[Wishes]:
    """Read the variables of a host of the inventory into the landscape.

    :param variables: name -> value, evaluated; other variables than ours are passed over.
    :param problems: what went wrong before, such as a template that cannot be evaluated.
    :returns: the wishes for the applications that the inventory lists on the host.
    """
    kinds = [kind for kind in inventory_variables.KINDS if host in landscape.groups.get(kind, [])]
    landscape.wishes[host], landscape.problems[host] = {}, list(problems)
    # A proxy's host has wishes too: addresses to listen on, findings to mute.
    for kind in kinds or inventory_variables.KINDS[:1]:
        wishes, found = inventory_variables.parse(variables, kind)
        landscape.problems[host] += [item for item in found if item not in landscape.problems[host]]
        landscape.wishes[host][kind] = wishes
    landscape.common[host] = [
        inventory_variables.PREFIX + name for name in NOT_COMMON if inventory_variables.common(variables, name)
    ]
    return list(landscape.wishes[host].values()) if kinds else []
