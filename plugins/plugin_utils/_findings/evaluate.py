# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every finding of a run: calls the inspections by topic. Pure. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import (
    rules_application,
    rules_inventory,
    rules_network,
    rules_proxy,
    rules_service,
    rules_tls,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape, SiteState


def everything(landscape: Landscape, states: list[SiteState]) -> list[Finding]:
    """All findings, each once, in no particular order."""
    found = [*rules_inventory.hosts(landscape), *rules_inventory.sites(landscape, states)]
    for node in topology.nodes(landscape):
        found += rules_application.node(node)
    services = desired.services(states)
    for state in states:
        for node in state.nodes:
            found += rules_application.in_site(state, node)
            found += rules_service.node(state, node)
            found += rules_network.node(state, node)
            found += rules_tls.node(state, node)
        found += rules_tls.site(state, landscape.now)
        found += rules_proxy.site(state)
        found += rules_network.site(state, services)
    found += rules_proxy.hosts(landscape, states)
    unique = {(item.id, item.host, item.site, item.message): item for item in found}
    return list(unique.values())
