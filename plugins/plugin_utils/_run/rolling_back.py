# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sites that fail their checks after a run has changed them: which get back what they had, and what came of it. Pure.

A check that could not be made says nothing about the site, and one that fails while a restart is left to the
administrator says nothing either: neither is a reason to roll back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, history, runner, steps
from ansible_collections.collab.rtc.plugins.plugin_utils._run.course import HostVars

RUN = "rollback_run"  # the fact that names what is undone
TRIED = "rollback_tried"  # what undoing it would do on a host
STAGES = ("failed_sites", "undo", "verify_undone")
BLOCKED = "The proxy takes the virtual hosts of the site"  # said of the site as a check is
RESTARTS_LEFT = "a restart is left to you, and until then the checks say nothing"
KEPT = "rtc_rollback_on_failure is false"
LEFT_BEHIND = "undoing it would leave projects of users behind, or it is not known whether it would"


@dataclass
class RolledBack:
    """What came of the rollback of a site that failed."""

    failed: list[dict[str, Any]] = field(default_factory=list)  # the checks that failed before
    hosts: list[str] = field(default_factory=list)  # on which the run had changed something for it
    errors: dict[str, str] = field(default_factory=dict)  # host -> why it was not undone to its end there
    verified: bool | None = None  # by the checks that followed; None: there is nothing of ours to check any more


def find_failed_sites(plan: Mapping[str, Any], hostvars: HostVars) -> dict[str, list[dict[str, Any]]]:
    """Site -> checks that failed, of the sites that are rolled back where the run has changed something for them."""
    if not any(steps.find_changes(hostvars[host]) for host in hostvars):
        return {}
    found = _list_failed(plan, hostvars)
    return {name: checks for name, checks in found.items() if not _find_reason(plan, name, hostvars)}


def find_left(plan: Mapping[str, Any], hostvars: HostVars) -> dict[str, str]:
    """Site -> why it is left as it is although it failed and the run may have changed it."""
    if not any(steps.find_changes(hostvars[host]) for host in hostvars):
        return {}
    reasons = {name: _find_reason(plan, name, hostvars) for name in _list_failed(plan, hostvars)}
    return {name: why for name, why in reasons.items() if why}


def _list_failed(plan: Mapping[str, Any], hostvars: HostVars) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for host in hostvars:
        for site, checks in (hostvars[host].get("verify_checks") or {}).items():
            failed = [check for check in checks if check["ok"] is False and check.get("made", True)]
            if failed:
                found.setdefault(site, []).extend(failed)
        for site, why in steps.find_blocked(hostvars[host]).items():  # its RTC server may have been changed before
            check = {"name": BLOCKED, "ok": False, "detail": "", "cause": why, "remedy": "", "where": host}
            found.setdefault(site, []).append(check)
    return found


def _find_reason(plan: Mapping[str, Any], name: str, hostvars: HostVars) -> str:
    """Why a site is not rolled back; "" where it is."""
    site = next((item for item in plan["sites"] if item["name"] == name), None)
    if site is None or name in plan.get("kept_on_failure", []):
        return KEPT
    nodes = [host for host in site["nodes"] if host in hostvars]
    if any((hostvars[host].get(TRIED) or {}).get("left_behind") for host in nodes):
        return LEFT_BEHIND
    return RESTARTS_LEFT if any(hostvars[host].get("restart_left") for host in nodes) else ""


def choose(plan: Mapping[str, Any], hostvars: HostVars) -> dict[str, Any]:
    """What is undone, as the playbook's fact: the parts that the sites that failed have in this run.

    ``hostvars`` have what ``rtc_runs_info`` returned as ``rtc_runs``.
    """
    read = {host: hostvars[host].get("rtc_runs") or {} for host in hostvars if hostvars[host].get("rtc_runs")}
    unread = {
        host: " ".join(steps.describe_failure(result, "")["cause"].split())
        for host, result in read.items()
        if "runs" not in result
    }
    runs = history.merge_runs({host: result["runs"] for host, result in read.items() if "runs" in result})
    run = next((item for item in runs if item.id == plan["run"]), history.Run(str(plan["run"])))
    chosen: dict[str, Any] = {"failed": {}, "hosts_of": {}}
    owners: list[str] = []
    for name, checks in find_failed_sites(plan, hostvars).items():
        mine = list_owners(plan, name)
        hosts = history.choose_due(run, mine)
        if hosts or unread:
            chosen["failed"][name], chosen["hosts_of"][name] = checks, hosts
            owners += mine
    hosts = [host for host in read if any(host in one for one in chosen["hosts_of"].values())]
    nodes = history.list_nodes(run, owners) if hosts else []
    return {
        **chosen,
        "id": run.id,
        "hosts": hosts,
        "site": ", ".join(chosen["failed"]),
        "owners": owners,
        "nodes": [host for host in nodes if host in hostvars],
        "by": history.name_user(),
        "controller": runner.identify(),
        "unread": unread if chosen["failed"] else {},
    }


def list_owners(plan: Mapping[str, Any], name: str) -> list[str]:
    """The nodes of a site, as records name them."""
    sites = [site for site in plan["sites"] if site["name"] == name]
    return [f"{host}/{site['application']}" for site in sites for host in site["nodes"]]


def choose_hosts(stage: str, groups: Mapping[str, Any], hostvars: HostVars) -> list[str]:
    """The hosts of a play, as a pattern.

    :param hostvars: empty while only the syntax is checked: all hosts then.
    """
    hosts = course.list_groups_hosts(groups)
    if not hostvars:
        return hosts or course.NOBODY
    run, plan = find_run(hostvars), course.find_plan(hostvars)
    found: list[str] = []
    if stage == "failed_sites":
        failed = plan is not None and find_failed_sites(plan, hostvars)
        found = [host for host in hosts if failed and steps.find_changes(hostvars[host])]
    elif run and stage == "undo":
        found = [host for host in hosts if host in run["hosts"]]
    elif run:
        found = [host for host in hosts if host in run["nodes"] and run["hosts"]]
    return found or course.NOBODY


def find_run(hostvars: HostVars) -> Mapping[str, Any]:
    """What is, or was, undone; empty for nothing."""
    return next((hostvars[host][RUN] for host in hostvars if hostvars[host].get(RUN)), {})


def collect(hostvars: HostVars) -> dict[str, RolledBack]:
    """Site -> what came of its rollback, of the sites that failed in this run."""
    run = find_run(hostvars)
    outcomes = history.collect_outcomes(hostvars, list(hostvars), run) if run.get("failed") else {}
    found: dict[str, RolledBack] = {}
    for site, failed in run.get("failed", {}).items():
        hosts = run["hosts_of"][site]
        errors = {
            host: item.error for host, item in outcomes.items() if item.error and host in (*hosts, *run["unread"])
        }
        checks = [check for host in hostvars for check in (hostvars[host].get("verify_checks") or {}).get(site, [])]
        verified = all(check["ok"] is not False or not check.get("made", True) for check in checks) if checks else None
        found[site] = RolledBack([dict(item) for item in failed], list(hosts), errors, verified)
    return found
