# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the records of what is managed: RTC7xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._facts import Managed
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import difference
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Node, PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Work
from ansible_collections.collab.rtc.plugins.plugin_utils._run.outcome import Outcome

_DIFF_LINES = 20


def check(plan_input: PlanInput, plan: Plan) -> Iterator[Finding]:
    """Findings about every host's record, and about what differs from it."""
    for host, facts in plan_input.facts.items():
        known = facts.managed
        if known.error:
            yield make("RTC701", host, f"{host}: {known.error}")
        whose = difference.find_stranger(host, facts, plan_input.inventory)
        if whose:
            yield make("RTC704", host, f"The record of what is managed on {host} is that of {whose}.")
        if known.lease_run and known.lease_run not in plan_input.dead:
            yield make("RTC705", host, f"{host} is being changed by {_describe_lease(known)}.")
        orphans = [work.text for work in plan.hosts[host].work if work.action == "orphan"] if host in plan.hosts else []
        if orphans:
            yield make(
                "RTC703", host, f"{len(orphans)} {'thing' if len(orphans) == 1 else 'things'} on {host}.", orphans
            )
    for site, found in difference.list_conflicts(plan).items():
        for host, work in found:
            yield make("RTC702", host, f"{host}: somebody changed this: {work.text}.", _list_lines(work), site=site)


def check_node(node: Node) -> Iterator[Finding]:
    """Findings about what was made for one application, and is to be replaced by what is not ours."""
    if node.makes_room:
        where, port = f"{node.kind.capitalize()} on {node.host}", node.rtc_port
        yield make("RTC710", node.host, f"The RTC server of {where} has port {port}, which the add-on is to have.")


def check_rollback(plan: Plan, outcome: Outcome) -> Iterator[Finding]:
    """Findings about sites that failed their verification after the run had changed them."""
    for site in plan.sites:
        known, host = outcome.rolled_back.get(site.name), site.nodes[0]
        if known is not None:
            evidence = [_describe_check(check) for check in known.failed]
            if known.hosts:
                places = ", ".join(known.hosts)
                yield make("RTC706", host, f"{site.name} was rolled back on {places}.", evidence, site=site.name)
            for name, why in known.errors.items():
                yield make("RTC707", name, f"{site.name} on {name}: {why}", site=site.name)
            if known.verified is False:
                yield make("RTC708", host, f"{site.name} fails its checks after the rollback, too.", site=site.name)
        if site.name in outcome.left:
            yield make("RTC709", host, f"{site.name} was not rolled back: {outcome.left[site.name]}.", site=site.name)


def _describe_check(check: Mapping[str, Any]) -> str:
    why = check.get("cause") or check.get("detail") or "it failed"
    return f"{check['name']} ({check['where']}): {why}"


def _describe_lease(known: Managed) -> str:
    minutes = max(0, int(known.lease_seconds)) // 60
    return f"run {known.lease_run} of {known.lease_user or 'an unknown user'}, which began {minutes} minutes ago"


def _list_lines(work: Work) -> list[str]:
    lines = work.diff.splitlines()
    more = len(lines) - _DIFF_LINES
    return [*lines[:_DIFF_LINES], *([f"and {more} more lines"] if more > 0 else [])]
