# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every finding of a run: calls the inspections by topic. Pure. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils import (
    _inspect_application,
    _inspect_inventory,
    _inspect_network,
    _inspect_proxy,
    _inspect_service,
    _inspect_tls,
    _intent,
    _topology,
)
from ansible_collections.collab.rtc.plugins.module_utils._plan import Finding
from ansible_collections.collab.rtc.plugins.module_utils._topology import Landscape, SiteState


def everything(landscape: Landscape, states: list[SiteState]) -> list[Finding]:
    """All findings, each once, in no particular order."""
    found = [*_inspect_inventory.hosts(landscape), *_inspect_inventory.sites(landscape, states)]
    for node in _topology.nodes(landscape):
        found += _inspect_application.node(node)
    services = _intent.services(states)
    for state in states:
        for node in state.nodes:
            found += _inspect_application.in_site(state, node)
            found += _inspect_service.node(state, node)
            found += _inspect_network.node(state, node)
            found += _inspect_tls.node(state, node)
        found += _inspect_tls.site(state, landscape.now)
        found += _inspect_proxy.site(state)
        found += _inspect_network.site(state, services)
    found += _inspect_proxy.hosts(landscape, states)
    unique = {(item.id, item.host, item.site, item.message): item for item in found}
    return list(unique.values())
