# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the records of what is managed: RTC7xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts, Managed
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import difference, routing, wanted
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Node, PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import HostPlan, Plan, Work
from ansible_collections.collab.rtc.plugins.plugin_utils._run.outcome import Outcome

_DIFF_LINES = 20
_RENAMED = (
    "This run takes nothing away there. Where the host was renamed, run collab.rtc.site for it under its new name"
    " first, without rtc_state: absent: that records what is there as its own. Then it can be taken away."
)
_FORGOTTEN = (
    "Nothing, where the host is a clone. Where it was renamed, what is named above is not recorded any more after this"
    " run: take it away by hand. Or give the host its old name, run collab.rtc.site, and rename it after that."
)


def check(plan_input: PlanInput, plan: Plan) -> Iterator[Finding]:
    """Findings about every host's record, and about what differs from it."""
    yield from _check_same_machines(plan_input.facts)
    for host, facts in plan_input.facts.items():
        known = facts.managed
        if known.error:
            yield make("RTC701", host, f"{host}: {known.error}")
        strange = sorted({entry.kind for entry in known.entries} - set(wanted.KINDS))
        if strange:
            text = f"{host}: the record has what a newer version made: {', '.join(strange)}."
            yield make("RTC701", host, text, remedy="Run that version, or roll back with it what it did.")
        yield from _check_stranger(host, plan_input, plan)
        if known.lease_run and known.lease_run not in plan_input.dead:
            yield make("RTC705", host, f"{host} is being changed by {_describe_lease(known)}.")
        yield from _check_former_proxies(host, plan_input)
        if host in plan.hosts:
            yield from _check_left(host, plan.hosts[host], known)
    for site, found in difference.list_conflicts(plan).items():
        for host, work in found:
            yield _make_conflict(host, site, work, plan_input)


def _check_same_machines(facts: Mapping[str, HostFacts]) -> Iterator[Finding]:
    """Machines that the inventory has under several names: their record would be that of each of them in turn, and what
    is for one name would be taken away under the other."""
    seen: dict[str, HostFacts] = {}
    for host, known in facts.items():
        same = [one for one, other in seen.items() if known.addresses and routing.same_machine(known, other)]
        other = next((one for one in same if seen[one].machine_id == known.machine_id), "")
        if other:
            text = f"{other} and {host} are one machine ({known.hostname}, {', '.join(known.addresses)})."
            yield from (make("RTC714", one, text) for one in (other, host))
        seen[host] = known


def _check_stranger(host: str, plan_input: PlanInput, plan: Plan) -> Iterator[Finding]:
    """What the record of another machine, or of the host's old name, means for this run."""
    facts = plan_input.facts[host]
    whose = difference.find_stranger(host, facts, plan_input.inventory)
    if not whose:
        return
    keys = {work.key for work in plan.hosts[host].work} if host in plan.hosts else set()
    mine = [entry for entry in facts.managed.entries if entry.inventory == plan_input.inventory]
    left = [entry.key for entry in mine if entry.key not in keys]
    remedy = _RENAMED if plan.absent and left else _FORGOTTEN if left else ""
    text = f"The record of what is managed on {host} is that of {whose}."
    yield make("RTC704", host, text, [f"not wanted, and not removed: {key}" for key in left], remedy)


def _check_former_proxies(host: str, plan_input: PlanInput) -> Iterator[Finding]:
    """Proxies that the sites of a host had, and that no run looks at any more."""
    every = {name for members in plan_input.groups.values() for name in members}
    for entry in plan_input.facts[host].managed.entries:
        proxy = (entry.what.get("site") or {}).get("proxy", "") if entry.kind == "instance" else ""
        if proxy and proxy not in every and entry.inventory == plan_input.inventory:
            text = f"{entry.site} was behind the proxy {proxy}, which is in none of our groups any more."
            yield make("RTC713", host, text)


def _check_left(host: str, plan: HostPlan, known: Managed) -> Iterator[Finding]:
    """What is on the host and stays, although nothing wants it."""
    orphans = [work.text for work in plan.work if work.action == "orphan"]
    if orphans:
        yield make("RTC703", host, f"{_count(orphans)} on {host}.", orphans)
    made_by = {entry.key: entry.inventory for entry in known.entries}
    foreign = [work for work in plan.work if work.action == "foreign"]
    for inventory in dict.fromkeys(made_by[work.key] for work in foreign):
        texts = [work.text for work in foreign if made_by[work.key] == inventory]
        yield make("RTC711", host, f"{_count(texts)} on {host}, of the inventory '{inventory}'.", texts)


def _make_conflict(host: str, site: str, work: Work, plan_input: PlanInput) -> Finding:
    entry = next((one for one in plan_input.facts[host].managed.entries if one.key == work.key), None)
    if entry is not None and entry.inventory != plan_input.inventory and entry.state != "edited":
        whose = f"the inventory '{entry.inventory}' made it for {', '.join(entry.owners) or entry.site}"
        return make("RTC712", host, f"{host}: {whose}: {work.text}.", site=site)
    return make("RTC702", host, f"{host}: somebody changed this: {work.text}.", _list_lines(work), site=site)


def _count(things: Sequence[Any]) -> str:
    return f"{len(things)} {'thing' if len(things) == 1 else 'things'}"


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
