# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The course of a run: which sites it goes on with after errors and failures, and on which hosts. Pure.

A site is stopped by an error of the plan, or by the failure of one of its hosts; the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.load_inventory import GROUPS
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Site
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import KINDS, name_owner
from ansible_collections.collab.rtc.plugins.plugin_utils._run import needed, steps

PLAN = "rtc_plan"  # what the role plan registers
WORK = "rtc_work"  # the fact that names what is done on a host: its plan without the sites that are stopped
HELD, ENDED = "record_held", "record_ended"  # what plays register that change a host in two parts: begun, and finished
PROXIES, APPLICATIONS = "rtc_proxies", GROUPS[:2]
STORES = "rtc_store"  # a group of its own: no run looks at these hosts, only the playbook store does
# Stages that only hosts of applications have a part in; those that go on with whoever has not failed.
OF_APPLICATIONS = ("apply_services", "apply_shared_proxies", "apply_connectors", "apply_applications")
OF_VERIFYING = ("verify", "verify_applied")
APPLYING = ("apply_proxies", *OF_APPLICATIONS, "apply_listeners", "remove_proxies", "verify_applied")
NOT_SEEN = "RTC001"
OF_INVENTORY = "RTC1"  # mistakes in the inventory: what was meant is unknown, so nothing at all is done
NOBODY = ["all", "!all"]  # a pattern without hosts: Ansible warns of one that matches nothing, but not of this one
# Of a host's plan; each names its site.
PARTS = (
    "connectors",
    "trust",
    "trust_options",
    "rtc",
    "vhosts",
    "restarts",
    "listeners",
    "textfiles",
    "records",
    "removals",
)

HostVars = Mapping[str, Mapping[str, Any]]  # inventory name -> variables and facts


def find_plan(hostvars: HostVars) -> Mapping[str, Any] | None:
    """The plan that a host registered; the same on all hosts."""
    plans = (hostvars[host].get(PLAN) or {} for host in hostvars)
    return next((plan for plan in plans if "sites" in plan), None)


def list_accepted(plan: Mapping[str, Any]) -> set[str]:
    """Hosts of which the inventory accepts that they were not seen."""
    return {item["host"] for item in plan["findings"] if item["id"] == NOT_SEEN and item["muted"]}


def stop_sites(plan: Plan, plan_input: PlanInput) -> dict[str, str]:
    """The sites that are left alone from the start, with the reason: their plan has an error, or is a guess."""
    stopped: dict[str, str] = {}
    gone, missing = _list_gone(plan), {site.name: _list_missing(site, plan, plan_input) for site in plan.sites}
    for finding in plan.findings:
        if finding.severity == "error" and not finding.muted and finding.id != NOT_SEEN:
            for name in _list_concerned(finding, plan, gone, missing):
                stopped.setdefault(name, f"{finding.id} {finding.host}")
    accepted = {finding.host for finding in plan.findings if finding.id == NOT_SEEN and finding.muted}
    for host in plan_input.failed:
        why = {
            site.name: _explain_unseen(host, site, plan_input, host in accepted, missing[site.name])
            for site in plan.sites
        }
        why.update({name: _explain_unseen_proxy(host, name, hosts, plan, plan_input) for name, hosts in gone.items()})
        for name, text in why.items():
            if text:
                stopped.setdefault(name, text)
    return stopped


def list_worked_on(plan: Plan) -> list[str]:
    """The sites that a run does something about: its own, and those that are no more."""
    gone = [item.site for host_plan in plan.hosts.values() for item in host_plan.removals]
    return list(dict.fromkeys([*(site.name for site in plan.sites), *gone]))


def _list_concerned(
    finding: Finding, plan: Plan, gone: Mapping[str, set[str]], missing: Mapping[str, set[str]]
) -> Iterator[str]:
    """The sites that an error is about.

    :param gone: sites that are no more: name -> hosts that have something of them.
    :param missing: nodes that the sites have by the records alone.
    """
    every = finding.id.startswith(OF_INVENTORY)
    for site in plan.sites:
        # Its former proxy, too: what is there would be left over.
        former = {host for host, one in plan.hosts.items() if any(item.site == site.name for item in one.removals)}
        hosts = {*site.nodes, site.proxy_host, *missing[site.name], *former}
        if every or finding.site == site.name or (not finding.site and finding.host in hosts):
            yield site.name
    for name, hosts in gone.items():
        if every or finding.site == name or (not finding.site and finding.host in hosts):
            yield name


def _list_gone(plan: Plan) -> dict[str, set[str]]:
    """Sites that are no more, of which something is to be taken away: name -> hosts that have it."""
    names = {site.name for site in plan.sites}
    gone: dict[str, set[str]] = {}
    for host, host_plan in plan.hosts.items():
        for work in host_plan.work:
            if work.site not in names and work.action in ("remove", "conflict"):
                gone.setdefault(work.site, set()).add(host)
    return gone


def _list_missing(site: Site, plan: Plan, plan_input: PlanInput) -> set[str]:
    """Hosts that are nodes of a site by the records, and to the inventory, and that no site of this plan has.

    Nothing else tells it where the server name is not in the inventory. Without them, the proxy would be written anew.
    """
    kind = site.application
    mine = {name_owner(host, kind) for host in site.nodes}
    # Of nodes that are new no record tells: by the virtual host that would be written.
    written = {
        (host, f"vhost {item.kind} {item.name}")
        for host, host_plan in plan.hosts.items()
        for item in host_plan.vhosts
        if item.site == site.name
    }
    recorded = {
        owner
        for host, facts in plan_input.facts.items()
        for entry in facts.managed.entries
        if mine & set(entry.owners) or (host, entry.key) in written
        for owner in entry.owners
    }
    placed = {host for one in plan.sites if one.application == kind for host in one.nodes}
    listed = (host for host in plan_input.groups.get(kind, []) if not plan_input.is_absent(host, kind))
    return {host for host in listed if host not in placed and name_owner(host, kind) in recorded}


def _explain_unseen(host: str, site: Site, plan_input: PlanInput, accepted: bool, missing: set[str]) -> str:
    """Why a site cannot be planned without a host that was not seen; "" where it can.

    :param accepted: the inventory mutes the finding about the host. That helps for a node, never for a proxy.
    :param missing: nodes that the site has by the records.
    """
    settings = plan_input.settings_of(site.nodes[0], site.application)
    if host in (site.proxy_host, settings.proxy):
        return f"its proxy {host} was not seen"
    if host in plan_input.groups.get(PROXIES, []) and not settings.proxy and not site.proxy_host:
        return f"{host}, which was not seen, may be its proxy; rtc_proxy says which is, or {NO_PROXY}"
    same = host in missing or (
        host in plan_input.groups.get(site.application, [])
        and plan_input.settings_of(host, site.application).server_name == site.server_name
    )
    return f"its node {host} was not seen" if same and not accepted else ""


def _explain_unseen_proxy(host: str, name: str, hosts: set[str], plan: Plan, plan_input: PlanInput) -> str:
    """Why nothing is taken away of a site that is no more without a proxy that was not seen: it would go on forwarding.

    :param hosts: that have something of the site.
    """
    if host not in plan_input.groups.get(PROXIES, []):
        return ""
    named = {item.proxy for one in hosts for item in plan_input.settings.get(one, {}).values() if item.proxy}
    if host in named:
        return f"its proxy {host} was not seen"
    served = any(
        item.site == name and item.kind == "vhost" for host_plan in plan.hosts.values() for item in host_plan.removals
    )
    if named or served:
        return ""
    return f"{host}, which was not seen, may be its proxy; rtc_proxy says which is, or {NO_PROXY}"


def find_failures(hostvars: HostVars) -> dict[str, steps.Failure]:
    """Host -> what failed there in a step that changes it."""
    found = {host: steps.find_failure(hostvars[host]) for host in hostvars}
    return {host: failure for host, failure in found.items() if failure}


def find_unseen(hostvars: HostVars) -> dict[str, steps.Failure]:
    """Host -> why it was not seen, muted or not."""
    found = {host: steps.find_detection_failure(hostvars[host]) for host in hostvars}
    return {host: failure for host, failure in found.items() if failure}


def find_stopped(plan: Mapping[str, Any], hostvars: HostVars) -> dict[str, str]:
    """The sites that are not gone on with, each with the reason."""
    failures, max_failures = find_failures(hostvars), int(plan.get("max_failures") or 0)
    stopped = dict(plan.get("stopped") or {})
    for site in plan["sites"]:
        for host in (*site["nodes"], site["proxy_host"]):
            if host in failures:
                whose = "its proxy" if host == site["proxy_host"] and host not in site["nodes"] else "its host"
                stopped.setdefault(site["name"], f"{whose} {host} failed: {failures[host]['step']}")
    for host in hostvars:
        for name, reason in steps.find_blocked(hostvars[host]).items():
            stopped.setdefault(name, f"the proxy on {host} does not take it, and has what it had: {reason}")
    for host, failure in failures.items():  # what is to go of a site that is no more stays on its other hosts
        for item in (plan["hosts"].get(host) or {}).get("removals", []):
            stopped.setdefault(item["site"], f"its host {host} failed: {failure['step']}")
    if max_failures and len(stopped) + len(_list_siteless(plan, hostvars, failures)) >= max_failures:
        for site in plan["sites"]:
            if not _is_begun(site, hostvars):
                stopped.setdefault(site["name"], f"rtc_max_failures is {max_failures}, and so many sites failed before")
    return stopped


def _list_siteless(plan: Mapping[str, Any], hostvars: HostVars, failures: Iterable[str]) -> set[str]:
    """Hosts that failed and belong to no site that is known: each stands for one."""
    known = {host for site in plan["sites"] for host in (*site["nodes"], site["proxy_host"])}
    return {*failures, *find_unseen(hostvars)} - known - list_accepted(plan)


def _is_begun(site: Mapping[str, Any], hostvars: HostVars) -> bool:
    works = [hostvars[host].get(WORK) or {} for host in site["nodes"] if host in hostvars]
    return any(site["name"] in work.get("sites", []) for work in works)


def leave_out(plan: Mapping[str, Any], host: str, stopped: Iterable[str]) -> dict[str, Any]:
    """What is to be done on a host: its plan without what belongs to sites that are ``stopped``; ``sites`` go on.

    A host without a plan has nothing to do.
    """
    left = set(stopped)
    whole: Mapping[str, Any] = plan["hosts"].get(host) or {}
    sites = [site for site in plan["sites"] if site["name"] not in left]
    work: dict[str, Any] = {part: [item for item in whole.get(part, []) if item["site"] not in left] for part in PARTS}
    work["removals"] = needed.keep(work["removals"], [one for one in whole.get("removals", []) if one["site"] in left])
    # A certificate has its server name in its path, and no site: several may share it.
    names = {site["server_name"] for site in sites}
    work["certificates"] = [
        item for item in whole.get("certificates", []) if not left or item["dest"].split("/")[-2] in names
    ]
    work["packages"] = list(whole.get("packages", [])) if work["vhosts"] else []
    shared = [item for item in whole.get("records", []) if item["site"] in left]
    work["records"] += needed.take_over(shared, work, [site for site in sites if host == site["proxy_host"]])
    for name, early in (("removed_early", True), ("removed_late", False)):
        work[name] = _sort_removals(item for item in work["removals"] if item["early"] is early)
    work["removed_all"] = {"keys": work["removed_early"]["keys"] + work["removed_late"]["keys"]}
    work["sites"] = [site["name"] for site in sites if host in (*site["nodes"], site["proxy_host"])]
    work["stopped"] = sorted(left)
    return work


def drop_sites(work: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What is left to be done on a host without these sites; what was taken away early is gone, theirs too."""
    gone = set(names)
    left: dict[str, Any] = {
        **work,
        **{part: [item for item in work[part] if item["site"] not in gone] for part in PARTS},
    }
    left["sites"] = [name for name in work["sites"] if name not in gone]
    left["removals"] = needed.keep(left["removals"], [one for one in work["removals"] if one["site"] in gone])
    left["removed_late"] = _sort_removals(item for item in left["removals"] if not item["early"])
    left["removed_all"] = {"keys": left["removed_early"]["keys"] + left["removed_late"]["keys"]}
    return left


def _sort_removals(removals: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Removals by kind, each as its module takes it; and ``keys``, all of theirs."""
    found: dict[str, list[Any]] = {kind: [] for kind in ("keys", *KINDS)}
    for item in removals:
        found["keys"].append(item["key"])
        if item["kind"] != "trust" or item["what"]["certificates"]:
            found[item["kind"]].append(_make_removal(item))
    return found


def _make_removal(item: Mapping[str, Any]) -> dict[str, Any]:
    what = item["what"]
    if item["kind"] == "vhost":  # as an item of proxy_vhost
        return {"kind": what["kind"], "name": what["name"], "site": item["site"], "state": "absent"}
    made = {**what, "site": item["site"], "before": item["before"]}
    if item["kind"] == "trust":
        made["certificates"] = [{"sha256": one} for one in what["certificates"]]
    return made


def has_work(work: Mapping[str, Any]) -> bool:
    """Whether anything is to be done on a host: a site of it goes on, or something is to be taken away."""
    return bool(work["sites"] or work["removals"])


def list_served_elsewhere(plan: Mapping[str, Any]) -> list[str]:
    """The hosts of sites that a virtual host of this run serves on another host than their own, or a listener that this
    run makes at AWS, from the plan alone.

    There the RTC servers run before the proxies are written, which then see RTC pass, and the connectors, which
    announce the proxies, come last. On all other hosts all of it is one.
    """
    found: list[str] = []
    at_aws = {item["site"] for host in plan["hosts"].values() for item in host.get("listeners", [])}
    for site in plan["sites"]:
        proxy = site["proxy_host"]
        if site["name"] in at_aws:
            found += site["nodes"]
        written = (plan["hosts"].get(proxy) or {}).get("vhosts", [])
        served = any(item["site"] == site["name"] for item in written)
        if served and any(host != proxy for host in site["nodes"]):
            found += [*site["nodes"], proxy]
    return list(dict.fromkeys(found))


def is_held(variables: Mapping[str, Any]) -> bool:
    """Whether a run has begun to change the host in two parts, and has not noted their end: the lease is still held."""
    held, ended = variables.get(HELD) or {}, variables.get(ENDED) or {}
    return bool(held) and not held.get("skipped") and (not ended or bool(ended.get("skipped")) or steps.is_bad(ended))


def list_groups_hosts(groups: Mapping[str, Iterable[str]], names: Iterable[str] = GROUPS) -> list[str]:
    """The hosts of these groups, each once."""
    return list(dict.fromkeys(host for name in names for host in groups.get(name, [])))


def choose_hosts(stage: str, groups: Mapping[str, Iterable[str]], hostvars: HostVars) -> list[str]:
    """The hosts of a play, as a pattern: those that have something to do in the stage.

    :param hostvars: empty before the first play, and while only the syntax is checked: all hosts of the stage.
    """
    if stage in ("store", "no_store"):
        stores = list_groups_hosts(groups, [STORES])
        return (stores or NOBODY) if stage == "store" else (NOBODY if stores else ["all", "localhost"])
    applications = list_groups_hosts(groups, APPLICATIONS)
    hosts = list_groups_hosts(groups)
    if stage in ("apply_proxies", "remove_proxies"):
        hosts = [host for host in hosts if host not in applications]
    elif stage in (*OF_APPLICATIONS, *OF_VERIFYING):
        hosts = applications
    elif stage == "end_services":  # a run without a plan holds nothing
        hosts = [host for host in applications if not hostvars or (host in hostvars and is_held(hostvars[host]))]
    elif stage == "none":
        return NOBODY
    plan = find_plan(hostvars)
    if stage == "nobody":  # the play that stops a run which has no host of ours
        looked = plan is not None or any(hostvars[host].get(steps.DETECTED) for host in hosts if host in hostvars)
        return NOBODY if looked else ["all", "localhost"]
    if plan is None and stage not in ("detect", "report") and find_failures(hostvars):
        return NOBODY  # the plan itself failed: nothing follows but the report
    if plan is not None and stage != "detect":
        hosts = _select(stage, hosts, plan, hostvars)
    return hosts or NOBODY


def _select(stage: str, hosts: list[str], plan: Mapping[str, Any], hostvars: HostVars) -> list[str]:
    if stage == "detect_again":
        if not any(steps.find_changes(hostvars[host]) for host in hosts):
            return []
        unseen = find_unseen(hostvars)
        return [host for host in hosts if host not in unseen and not steps.is_lost(hostvars[host])]
    if stage == "verify":
        return [host for host in hosts if any(host in site["nodes"] for site in plan["sites"])]
    if stage in APPLYING:
        stopped, failures = find_stopped(plan, hostvars), find_failures(hostvars)
        works = {host: leave_out(plan, host, stopped) for host in hosts if host not in failures}
        return [host for host, work in works.items() if _takes_part(stage, host, work, list_served_elsewhere(plan))]
    return hosts


def _takes_part(stage: str, host: str, work: Mapping[str, Any], elsewhere: Iterable[str]) -> bool:
    """Whether a host has something to do in a stage that applies the plan.

    :param elsewhere: the hosts that are changed in several parts.
    """
    if stage == "remove_proxies":
        return bool(work["removals"])
    if stage == "apply_listeners":
        return bool(work["listeners"])
    if stage == "apply_shared_proxies":
        return bool(host in elsewhere and work["vhosts"])
    if stage in ("apply_services", "apply_connectors"):
        return host in elsewhere and has_work(work)
    if stage == "apply_applications":
        return host not in elsewhere and has_work(work)
    return bool(work["sites"])
