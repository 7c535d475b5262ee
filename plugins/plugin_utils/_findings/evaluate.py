# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every finding of a run, by topic; and muting. Pure.

The rules read facts, sites and their desired state. They decide nothing that the plan decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import (
    catalog,
    kept_releases,
    other_proxies,
    reachability,
    rules_application,
    rules_detection,
    rules_inventory,
    rules_managed,
    rules_network,
    rules_proxy,
    rules_service,
    rules_tls,
    several_nodes,
    shared_store,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredSite, DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Classification, ClassifiedSite, PlanInput


def evaluate(
    plan_input: PlanInput, classification: Classification, state: DesiredState, of_records: Iterable[Finding] = ()
) -> list[Finding]:
    """All findings, each once, errors first.

    :param of_records: those about what is managed, which compare the whole plan with the hosts' records.
    """
    found = [
        *of_records,
        *rules_detection.check_hosts(plan_input, classification),
        *rules_inventory.check_hosts(plan_input),
        *rules_inventory.check_names(classification),
        *rules_application.check_cookies(classification.sites),
        *several_nodes.check_sites(classification.sites),
        *several_nodes.check_left_out(plan_input, state),
        *other_proxies.check(plan_input, classification),
    ]
    for node in classification.nodes:
        found += rules_detection.check_node(node)
        found += rules_application.check_node(node)
    for classified, wanted in zip(classification.sites, state.sites, strict=True):
        found += rules_inventory.check_site(classified, wanted, plan_input)
        for finding in _check_site(classified, wanted, state, plan_input.now):
            finding.site = wanted.site.name
            found.append(finding)
    found += rules_proxy.check_hosts(plan_input, classification, state)
    found += rules_service.check_hosts(state)
    found += reachability.check_hosts(state)
    found += kept_releases.check(plan_input, classification, state)
    found += shared_store.check(plan_input, classification, state)
    unique = {(item.id, item.host, item.site, item.message): item for item in found}
    return sorted(unique.values(), key=catalog.sort_key)


def _check_site(classified: ClassifiedSite, wanted: DesiredSite, state: DesiredState, now: float) -> Iterator[Finding]:
    for node, wanted_node in zip(classified.nodes, wanted.nodes, strict=True):
        yield from rules_application.check_node_of_site(classified, node, wanted, wanted_node)
        yield from rules_service.check_node(node, wanted, wanted_node)
        yield from rules_managed.check_node(node)
        yield from rules_network.check_node(classified, node, wanted_node)
        yield from rules_tls.check_node(classified, node, wanted_node)
    yield from rules_tls.check_site(classified, wanted, now)
    yield from rules_proxy.check_site(classified, wanted)
    yield from reachability.check_site(classified, wanted, state)
    yield from rules_service.check_site(classified, wanted)
    yield from rules_network.check_site(classified, wanted)


def mute(findings: list[Finding], plan_input: PlanInput, state: DesiredState) -> None:
    """Note the reason at each finding that the inventory mutes: on the finding's host, or on a node of its site."""
    nodes = {wanted.site.name: wanted.site.nodes for wanted in state.sites}
    for finding in findings:
        for host in [finding.host, *nodes.get(finding.site, [])]:
            for settings in plan_input.settings.get(host, {}).values():
                for entry in settings.ignore_findings:
                    if entry.id == finding.id:
                        finding.muted = entry.reason
