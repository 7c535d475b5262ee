# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listeners of sites behind AWS load balancers: what is wanted there, and what differs. Pure.

The plan is made twice where there are any: first to know what to ask AWS for, then with the answer, which is what it is
for a host what detection saw.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import difference, ownership, problems
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    HEALTH,
    IDLE,
    TAG_APPLICATION,
    TAG_INVENTORY,
    TAG_SITE,
    PlacedListener,
    Seen,
    Target,
    WantedListener,
    name_listener,
    seen_arn,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import (
    DEFAULT_PORTS,
    KINDS,
    HostSettings,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredNode, DesiredSite, DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.labels import label_nodes
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import ListenerPlan, Plan, Work

KIND = "aws_alb"
NOT_SEEN = "RTC001"
ACTIONS = {"create": "create", "authorize": "create", "register": "create", "modify": "change", "add": "change"}


def list_listeners(plan_input: PlanInput, state: DesiredState) -> list[PlacedListener]:
    """The listeners of all sites of a run, and those that are to go.

    :param plan_input: with the nodes that are to have nothing.
    :param state: of the nodes that are to have something.
    """
    behind = [site for site in state.sites if is_configured(site, plan_input)]
    staying = {(node.host, node.application) for site in behind for node in site.nodes}
    going: dict[tuple[str, str, str], list[str]] = {}
    for kind in KINDS:
        for host in plan_input.groups.get(kind, []):
            settings = plan_input.settings_of(host, kind)
            named = settings.aws_load_balancer and kind in plan_input.settings.get(host, {})
            if (
                named
                and host in plan_input.facts
                and (host, kind) not in staying
                and _is_over(host, kind, plan_input, state)
            ):
                name = f"{settings.server_name or host}:{settings.port or DEFAULT_PORTS[kind]}"
                going.setdefault((kind, settings.aws_load_balancer, name), []).append(host)
    gone = {(host, key[0]) for key, hosts in going.items() for host in hosts}
    placed = [
        *(_make_wanted(site, plan_input) for site in behind),
        *(_make_unwanted(*key, hosts, gone, plan_input) for key, hosts in going.items()),
    ]
    return [_name_neighbours(item, behind) for item in placed]


def _name_neighbours(item: PlacedListener, behind: Iterable[DesiredSite]) -> PlacedListener:
    wanted = item.wanted
    names = [site.site.name for site in behind if site.site.application == wanted.application]
    neighbours = [name for name in names if name != wanted.site]
    return dataclasses.replace(item, wanted=dataclasses.replace(wanted, neighbours=neighbours))


def is_configured(site: DesiredSite, plan_input: PlanInput) -> bool:
    """Whether a site's listener is set by a run."""
    settings = plan_input.settings_of(site.nodes[0].host, site.site.application)
    return site.proxy is not None and site.proxy.kind == KIND and bool(settings.aws_load_balancer)


def _is_over(host: str, kind: str, plan_input: PlanInput, state: DesiredState) -> bool:
    """Whether a node needs no listener: it is to have nothing, or its site has another proxy now."""
    elsewhere = any(site.site.application == kind and host in site.site.nodes for site in state.sites)
    absent = kind in plan_input.absent.get(host, []) or plan_input.settings_of(host, kind).state == "absent"
    return elsewhere or absent


def _make_access(settings: HostSettings) -> dict[str, str]:
    return {
        "region": settings.aws_region,
        "profile": settings.aws_profile,
        "role_arn": settings.aws_role_arn,
        "endpoint_url": settings.aws_endpoint_url,
    }


def _list_unseen(kind: str, plan_input: PlanInput) -> list[str]:
    """The nodes that the run does not look at; not those of which the inventory accepts that they are not seen."""
    hosts = [host for host in plan_input.groups.get(kind, []) if host not in plan_input.facts]
    mutes = {
        host: [item.id for one in plan_input.settings.get(host, {}).values() for item in one.ignore_findings]
        for host in hosts
    }
    return [host for host in hosts if NOT_SEEN not in mutes[host]]


def _make_wanted(wanted: DesiredSite, plan_input: PlanInput) -> PlacedListener:
    site, first = wanted.site, wanted.nodes[0]
    settings = plan_input.settings_of(first.host, site.application)
    shared = bool(settings.store_url) and all(node.service.kind == "deployed" for node in wanted.nodes)
    labels = label_nodes(site.nodes) if shared else {}
    serving = wanted.nodes if shared else wanted.nodes[:1]
    path, codes = HEALTH[first.service.kind]
    listener = WantedListener(
        site=site.name,
        application=site.application,
        inventory=plan_input.inventory,
        nodes=list(site.nodes),
        load_balancer=settings.aws_load_balancer,
        server_name=site.server_name,
        port=site.rtc_port,
        protocol="HTTPS" if wanted.tls else "HTTP",
        target_protocol="HTTPS" if site.protocol == "HTTPS" else "HTTP",
        like_port=wanted.application_port,
        targets=[_make_target(node, plan_input, labels) for node in serving],
        certificate=settings.aws_certificate,
        tls_policy=settings.aws_tls_policy,
        health_path=path,
        health_codes=codes,
        deregistration_delay=settings.aws_deregistration_delay,
        idle_timeout=max(IDLE[node.service.kind] for node in wanted.nodes),
        peered=settings.aws_peered,
        unseen=_list_unseen(site.application, plan_input),
    )
    standing_by = tuple(node.host for node in wanted.nodes if node not in serving)
    return PlacedListener(first.host, listener, _make_access(settings), standing_by)


def _make_target(node: DesiredNode, plan_input: PlanInput, labels: dict[str, str]) -> Target:
    settings = plan_input.settings_of(node.host, node.application)
    return Target(node.host, _spell(settings.aws_target or node.upstream_host), labels.get(node.host, ""))


def _spell(target: str) -> str:
    """An address as AWS spells it: else it would be another target with each run."""
    try:
        return ipaddress.ip_address(target).compressed
    except ValueError:
        return target


def _make_unwanted(
    kind: str, load_balancer: str, name: str, hosts: list[str], gone: set[tuple[str, str]], plan_input: PlanInput
) -> PlacedListener:
    kept = [host for host in plan_input.groups.get(kind, []) if (host, kind) not in gone]
    listener = WantedListener(
        site=name,
        application=kind,
        inventory=plan_input.inventory,
        nodes=hosts,
        load_balancer=load_balancer,
        server_name="",
        port=0,
        kept=kept,
        present=False,
    )
    return PlacedListener(hosts[0], listener, _make_access(plan_input.settings_of(hosts[0], kind)))


def find_orphans(placed: Iterable[PlacedListener], plan_input: PlanInput) -> Iterator[PlacedListener]:
    """Listeners of this inventory whose nodes it does not have any more, as listeners that are to go."""
    placed = list(placed)
    known = ownership.name_nodes(host for kind in KINDS for host in plan_input.groups.get(kind, []))
    staying = [item.wanted for item in placed if item.wanted.present]
    found: dict[str, PlacedListener] = {}
    for item in placed:
        seen = (plan_input.aws or {}).get(name_listener(item.wanted))
        for listener in seen.listeners if isinstance(seen, Seen) else []:
            tags = listener.tags
            mine = tags.get(TAG_INVENTORY) == ownership.clean(plan_input.inventory) and ownership.is_ours(tags)
            # All nodes of a site may have got other names: it is known by its own, then.
            mine = mine and not any(ownership.is_own(tags, wanted) for wanted in staying)
            if mine and not ownership.read_nodes(tags) & known and listener.load_balancer == seen_arn(seen):
                wanted = dataclasses.replace(
                    item.wanted,
                    site=tags[TAG_SITE],
                    application=tags.get(TAG_APPLICATION, ""),
                    nodes=sorted(ownership.read_nodes(tags)),
                    targets=[],
                    kept=[],
                    unseen=[],
                    neighbours=[one.site for one in staying if one.application == tags.get(TAG_APPLICATION)],
                    present=False,
                )
                found.setdefault(listener.arn, dataclasses.replace(item, wanted=wanted, standing_by=()))
    yield from found.values()


def add_listeners(plan: Plan, placed: Iterable[PlacedListener], plan_input: PlanInput) -> None:
    """Fill in ``listeners`` and ``work`` of each host, from what AWS has."""
    placed = list(placed)
    for item in placed:
        seen = (plan_input.aws or {}).get(name_listener(item.wanted))
        if isinstance(seen, Seen) and not list(problems.find_problems(item.wanted, seen)):
            _add(plan, item, seen)
    for item in find_orphans(placed, plan_input):
        seen = next(
            one
            for other in placed
            for one in [(plan_input.aws or {}).get(name_listener(other.wanted))]
            if isinstance(one, Seen) and _is_at_same(other, item)
        )
        removed = any(one.remove_orphans for one in plan_input.settings.get(item.host, {}).values())
        if removed or plan_input.absent:
            _add(plan, item, seen)
        else:
            text = f"listener for {item.wanted.site} at {item.wanted.load_balancer}"
            plan.hosts[item.host].work.append(Work(item.wanted.site, "orphan", f"aws {text}", text))


def _is_at_same(one: PlacedListener, other: PlacedListener) -> bool:
    """Whether two listeners are at one load balancer: another region or account has others of that name."""
    return one.wanted.load_balancer == other.wanted.load_balancer and one.access == other.access


def _add(plan: Plan, item: PlacedListener, seen: Seen) -> None:
    steps = difference.list_steps(item.wanted, seen)
    host, wanted = plan.hosts[item.host], item.wanted
    name = seen.load_balancer.name
    for number, step in enumerate(steps):
        action = ACTIONS.get(step.call.partition("_")[0], "remove")
        host.work.append(Work(wanted.site, action, f"aws {name_listener(wanted)} {number}", f"AWS: {step.text}"))
    if steps:
        texts = [step.text for step in steps]
        host.listeners.append(ListenerPlan(wanted.site, wanted.application, wanted, item.access, texts))
    elif wanted.present:
        text = f"AWS: listener {name}:{wanted.port}"
        host.work.append(Work(wanted.site, "nothing", f"aws {name_listener(wanted)}", text))
