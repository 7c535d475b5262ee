# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of a run: collected from what plan, roles and checks left with the hosts; and whom it failed for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, rolling_back, steps
from ansible_collections.collab.rtc.plugins.plugin_utils._run.course import HostVars
from ansible_collections.collab.rtc.plugins.plugin_utils._run.rolling_back import RolledBack

Check = dict[str, Any]  # {name, ok: bool | None, detail, cause, remedy, where}


@dataclass
class WrittenVhost:
    """A virtual host for RTC that this run has written."""

    host: str
    kind: str  # of the proxy
    name: str
    why: str = ""  # why nobody saw RTC pass it when it was written; "": it was seen


@dataclass
class Outcome:
    """What the report shows beside the plan, as JSON."""

    checks: dict[str, list[Check]] = field(default_factory=dict)  # site -> results of the role verify, of all nodes
    restarts_left: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # host -> {service, reasons}
    failures: dict[str, steps.Failure] = field(default_factory=dict)  # host -> {step, cause, remedy}
    stopped: dict[str, str] = field(default_factory=dict)  # site -> why it was not applied, or not to its end
    changes: dict[str, list[str]] = field(default_factory=dict)  # host -> steps that changed something, or would
    run: str = ""  # id of the run
    rolled_back: dict[str, RolledBack] = field(default_factory=dict)  # sites that failed after the run changed them
    left: dict[str, str] = field(default_factory=dict)  # site that failed -> why it was not rolled back
    written: dict[str, list[WrittenVhost]] = field(default_factory=dict)  # site -> its virtual hosts
    links: dict[str, str] = field(default_factory=dict)  # site -> a link to the check page, where it is wanted


def collect(plan: Mapping[str, Any], hostvars: HostVars, applies: bool) -> Outcome:
    """What came of the run.

    :param applies: whether the run was to change something: then a site that is stopped was not applied.
    """
    muted = course.list_accepted(plan)
    unseen = {host: failure for host, failure in course.find_unseen(hostvars).items() if host not in muted}
    changes = {host: steps.find_changes(hostvars[host]) for host in hostvars}
    return Outcome(
        checks=collect_checks(hostvars),
        restarts_left=collect_restarts_left(hostvars),
        failures={**unseen, **course.find_failures(hostvars)},
        stopped=course.find_stopped(plan, hostvars) if applies else {},
        changes={host: found for host, found in changes.items() if found},
        run=str(plan.get("run", "")),
        rolled_back=rolling_back.collect(hostvars) if applies else {},
        left=rolling_back.find_left(plan, hostvars) if applies else {},
        written=collect_written(plan, hostvars) if applies else {},
        links={site: link for host in hostvars for site, link in (hostvars[host].get("verify_links") or {}).items()},
    )


def collect_written(plan: Mapping[str, Any], hostvars: HostVars) -> dict[str, list[WrittenVhost]]:
    """Site -> the virtual hosts for RTC that were written, and whether RTC was seen to pass them."""
    found: dict[str, list[WrittenVhost]] = {}
    for host in hostvars:
        result = hostvars[host].get("reverse_proxy_vhosts") or {}
        seen = {**dict.fromkeys(result.get("passed") or [], ""), **(result.get("unseen") or {})}
        for item in (plan["hosts"].get(host) or {}).get("vhosts", []):
            if item["name"] in seen:
                written = WrittenVhost(host, item["kind"], item["name"], str(seen[item["name"]]))
                found.setdefault(item["site"], []).append(written)
    return found


def collect_checks(hostvars: HostVars) -> dict[str, list[Check]]:
    """Site name -> results of the role verify, of all nodes of the site."""
    merged: dict[str, list[Check]] = {}
    for host in hostvars:
        for site, found in (hostvars[host].get("verify_checks") or {}).items():
            merged.setdefault(site, []).extend(found)
    return merged


def collect_restarts_left(hostvars: HostVars) -> dict[str, list[dict[str, Any]]]:
    """Host -> service and reasons of each restart that the inventory leaves to the administrator."""
    left = {host: hostvars[host].get("restart_left") or [] for host in hostvars}
    return {
        host: [{"service": item["service"] or item["kind"], "reasons": list(item["reasons"])} for item in items]
        for host, items in left.items()
        if items
    }


def judge(plan: Mapping[str, Any], outcome: Outcome, hostvars: HostVars) -> dict[str, list[str]]:
    """Host -> why the run failed for it; a host that is not in the result is in order.

    Failed checks are those that the host's own verification made: :func:`count_failed_checks`.
    """
    verdicts: dict[str, list[str]] = {}

    def add(host: str, text: str) -> None:
        verdicts.setdefault(host, []).append(text)

    for host, failure in outcome.failures.items():
        add(host, f"{failure['step']}: {failure['cause'].splitlines()[0]}")
    for site in plan["sites"]:
        if site["name"] in outcome.stopped:
            for host in site["nodes"]:
                add(host, f"{site['name']} was not applied: {outcome.stopped[site['name']]}")
    known = {site["name"] for site in plan["sites"]}
    for host, host_plan in plan["hosts"].items():
        for name in sorted({item["site"] for item in host_plan.get("removals", [])} & {*outcome.stopped} - known):
            add(host, f"{name or 'what belongs to no site'} was not taken away: {outcome.stopped[name]}")
    for finding in plan["findings"]:
        if finding["severity"] == "error" and not finding["muted"] and finding["id"] != course.NOT_SEEN:
            add(finding["host"], f"{finding['id']}: {finding['message']}")
    for host in hostvars:
        failed = count_failed_checks((hostvars[host].get("verify_checks") or {}).values())
        if failed:
            add(host, f"{failed} {'check' if failed == 1 else 'checks'} failed")
    return verdicts


def count_failed_checks(sites: Iterable[Iterable[Mapping[str, Any]]]) -> int:
    """How many checks failed, of all sites."""
    return sum(check["ok"] is False for checks in sites for check in checks)
