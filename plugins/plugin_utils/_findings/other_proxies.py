# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proxies that forward to a site's application beside the one that gets RTC: RTC493. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    Classification,
    ClassifiedSite,
    PlanInput,
    ProxyUse,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute


def check(plan_input: PlanInput, classification: Classification) -> Iterator[Finding]:
    """Two proxies of which one takes over from the other, and nodes that each have a proxy of their own."""
    for classified in classification.sites:
        use, site = classified.proxy, classified.site
        if use is None or use.facts is None:
            continue
        for item in _list_others(classified, use, plan_input):
            facts = plan_input.facts[item.host]
            node = next((one.host for one in classified.nodes if routing.same_machine(one.facts, facts)), "")
            what = f"{item.where} forwards {site.server_name} to {item.upstream.host}:{item.upstream.port}, too"
            if not node:
                text = f"{what}, and gets no RTC: {use.host} is the proxy of {site.name}."
                yield make("RTC493", item.host, text, site=site.name, severity="warning")
            elif use.local and not classified.settings.proxy:
                text = (
                    f"{what}: {use.local} and {node} each have a proxy of their own, and what is in front is unknown."
                )
                remedy = (
                    "Name what is in front of them: rtc_proxy for a host of the inventory, rtc_proxy_kind for another."
                    " It has to reach the RTC port of each node."
                )
                yield make("RTC493", node, text, remedy=remedy, site=site.name)


def _list_others(classified: ClassifiedSite, use: ProxyUse, plan_input: PlanInput) -> list[ProxyRoute]:
    """A route of each other host that users may come by, as its name says, and that does not pass RTC on."""
    found: dict[str, ProxyRoute] = {}
    for item in use.others:
        names = [name.lower() for name in item.vhost.names]
        facts = plan_input.facts.get(item.host)
        if facts is None or use.facts is None or routing.same_machine(facts, use.facts):
            continue
        named = not names or classified.site.server_name in names  # HAProxy has none where it forwards all of them
        if named and item.proxy.running and item.host not in use.passing:
            found.setdefault(item.host, item)
    return list(found.values())
