# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose things a run may touch: which nodes it looks at, and which are to have nothing of this collection. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import KINDS
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import build, decide, service_change, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.decide_service import LOOPBACK
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import Scope, name_owner


def list_nodes(plan_input: PlanInput) -> Iterator[tuple[str, str]]:
    """Host and application of each node of the inventory, in this run or not."""
    for kind in KINDS:
        for host in plan_input.groups.get(kind, []):
            yield host, kind


def has_absent(plan_input: PlanInput) -> bool:
    """Whether a node of this run is to have nothing: a run that finds no site has something to do, or did it before."""
    return any(host in plan_input.facts and plan_input.is_absent(host, kind) for host, kind in list_nodes(plan_input))


def leave_absent_out(plan_input: PlanInput) -> PlanInput:
    """The input without the nodes that are to have nothing: no site is made of them, and nothing is wrong with them."""
    groups = dict(plan_input.groups)
    for kind in KINDS:
        groups[kind] = [host for host in groups.get(kind, []) if not plan_input.is_absent(host, kind)]
    return dataclasses.replace(plan_input, groups=groups)


def add_restarts(plan: Plan, plan_input: PlanInput) -> None:
    """Restarts of applications that are to have nothing any more, where what is taken away is read at the start."""
    groups = {
        kind: [host for host in plan_input.groups.get(kind, []) if plan_input.is_absent(host, kind)] for kind in KINDS
    }
    if not any(groups.values()):
        return
    groups["rtc_proxies"] = plan_input.groups.get("rtc_proxies", [])
    state = decide.decide(topology.classify(dataclasses.replace(plan_input, groups=groups)))
    for wanted in state.sites:
        for node in wanted.nodes:
            removals = plan.hosts[node.host].removals
            read = [item for item in removals if item.what.get("application") == node.application]
            for site in dict.fromkeys(item.site for item in read):
                restart = build.make_restart(site, wanted, node)
                plan.hosts[node.host].restarts.append(dataclasses.replace(restart, address=LOOPBACK, reasons=[]))


def find_scope(plan_input: PlanInput, plan: Plan) -> Scope:
    """Whose things the run may touch.

    A node is in the run where its host was seen, and it belongs to a site or is to have nothing: one that is neither
    keeps what it has, because what is wanted of it is not known.
    """
    in_sites = {name_owner(host, site.application) for site in plan.sites for host in site.nodes}
    present, known, overwrite = set(), set(), set()
    for host, kind in list_nodes(plan_input):
        owner = name_owner(host, kind)
        known.add(owner)
        if host in plan_input.facts and (owner in in_sites or plan_input.is_absent(host, kind)):
            present.add(owner)
        if plan_input.settings_of(host, kind).conflicts == "overwrite":
            overwrite.add(owner)
    orphans = {
        host for host, settings in plan_input.settings.items() if any(one.remove_orphans for one in settings.values())
    }
    return Scope(
        inventory=plan_input.inventory,
        present=frozenset(present),
        known=frozenset(known),
        overwrite=frozenset(overwrite),
        remove_orphans=frozenset(orphans),
        uninstall=bool(plan_input.absent),
        releases=service_change.find_releases(plan_input, plan),
        names={site.server_name: site.name for site in reversed(plan.sites)},
        digests={
            site.name: {
                holds: digest
                for host in reversed(site.nodes)
                for given in [plan_input.tls.get(host, {}).get(site.application)]
                if given
                for holds, digest in given.digests.items()
            }
            for site in plan.sites
        },
    )
