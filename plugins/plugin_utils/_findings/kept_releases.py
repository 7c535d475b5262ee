# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the release of the RTC server that a host is to have. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import release
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredService, DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Classification, Node, PlanInput, Supply


def check(plan_input: PlanInput, classification: Classification, state: DesiredState) -> Iterator[Finding]:
    """Whether each host can get the release that the inventory wants."""
    for classified, wanted in zip(classification.sites, state.sites, strict=True):
        for node, wanted_node in zip(classified.nodes, wanted.nodes, strict=True):
            service = wanted_node.service
            if service.kind != "deployed" or not service.python_version:
                continue
            supply = plan_input.bundles.get(node.host, plan_input.supply)
            for finding in _check_node(node, service, supply):
                finding.site = wanted.site.name
                yield finding


def _check_node(node: Node, service: DesiredService, supply: Supply) -> Iterator[Finding]:
    tag = release.make_tag(service.python_version, service.machine)
    own = release.name_release(supply.version, tag, supply.digest)
    asked = node.settings.server_version
    if asked and not release.is_meant(own, asked, tag):
        if not release.list_meant(node.facts.releases, asked, tag):
            kept = ", ".join(name for name in node.facts.releases if f"-{tag}-" in name) or "none"
            giver = f"the bundle {supply.path}" if supply.path else "the collection"
            yield make(
                "RTC552",
                node.host,
                f"rtc_server_version is {asked}. {node.host} keeps {kept}; {giver} has {own}.",
            )
    elif supply.path and tag not in supply.tags and own not in node.facts.releases:
        yield make(
            "RTC551",
            node.host,
            f"{node.host} has Python {service.python_version} ({service.machine}), and {supply.path} is for"
            f" {', '.join(supply.tags)}.",
        )
