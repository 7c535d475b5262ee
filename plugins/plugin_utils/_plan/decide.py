# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From sites to their desired state. Pure.

All that is decided about a site is decided below :func:`decide`, once a run: ``decide_node`` (with ``decide_service``
and ``decide_trust``) for each application, then ``decide_proxy`` (with ``existing_vhosts``).
"""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._plan import decide_node, decide_proxy, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredSite, DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Classification, ClassifiedSite


def decide(classification: Classification) -> DesiredState:
    """The desired state of all sites, in their order. Never raises for what the facts hold."""
    services = frozenset(
        (routing.identify(node.facts), classified.site.rtc_port)
        for classified in classification.sites
        for node in classified.nodes
    )
    return DesiredState([decide_site(classified, services) for classified in classification.sites])


def decide_site(classified: ClassifiedSite, services: decide_proxy.Services) -> DesiredSite:
    """The desired state of one site.

    :param services: the RTC services of all sites: a proxy must not take a port from one of another site.
    """
    nodes = [decide_node.decide_node(classified, node) for node in classified.nodes]
    return DesiredSite(
        site=classified.site,
        tls=classified.tls,
        application_port=classified.application_port,
        nodes=nodes,
        proxy=decide_proxy.decide_proxy(classified, nodes, services),
    )
