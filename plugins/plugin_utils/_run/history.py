# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that were made, over the fleet: what the undo records of all hosts say, and what undoing one did."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._run import steps
from ansible_collections.collab.rtc.plugins.plugin_utils._run.course import HostVars

# What a rollback registers of each of its steps with services, and what it says where one failed.
SERVICE_STEPS = {
    "rollback_trust": "keeps the authorities of the site",
    "rollback_vhosts": "keeps the virtual hosts of the site",
    "rollback_ended": "is not marked as undone",
    "rollback_rtc": "does not restart",
    "rollback_proxies": "a proxy does not reload",
    "rollback_applications": "does not restart",
    "rollback_commanded": "does not restart the application",
    "rollback_answers": "does not answer after its restart",
    "rollback_left": "is not free for other runs",
}


@dataclass
class Run:
    """A run, with the files that it changed on each host that has a record of it."""

    id: str
    user: str = ""  # "anna@controller"; "" for runs of 0.1.0
    hosts: dict[str, list[str]] = field(default_factory=dict)  # host -> paths
    undone: list[str] = field(default_factory=list)  # hosts on which it was undone
    unserved: list[str] = field(default_factory=list)  # hosts whose services may not have all that was given back
    # Host -> sites that have a part in it there: {site, names, owners, undone}.
    sites: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def find_site(self, owners: set[str], host: str) -> list[Mapping[str, Any]]:
        """What is known of a site on a host: of any of its nodes."""
        return [item for item in self.sites.get(host, []) if owners.intersection(item["owners"])]

    @property
    def time(self) -> str:
        """When it began, in UTC; its id begins with that."""
        try:
            return f"{datetime.strptime(self.id[:16], '%Y%m%dT%H%M%SZ').replace(tzinfo=timezone.utc):%Y-%m-%d %H:%M:%S}"
        except ValueError:
            return "unknown"


@dataclass
class Outcome:
    """What a rollback did on one host.

    :param error: why it was not done to its end; "" where it was.
    :param undone: what ``rtc_undo`` returned.
    :param services: what ``services_after_undo`` found.
    :param checks: site -> results of the role verify after it; ``None`` where nothing was to be checked.
    """

    error: str = ""
    undone: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Sequence[str]] = field(default_factory=dict)
    checks: Mapping[str, Sequence[Mapping[str, Any]]] | None = None

    def list_failed(self) -> list[Mapping[str, Any]]:
        """The checks that failed after it; not those that could not be made."""
        every = [check for checks in (self.checks or {}).values() for check in checks]
        return [check for check in every if check["ok"] is False and check.get("made", True)]


def name_user() -> str:
    """Who runs this on which controller, for the undo records: ``anna@controller``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user id that has no name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def merge_runs(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Run]:
    """The runs of all hosts, newest first.

    :param found: host -> ``runs`` that ``rtc_runs_info`` returned there.
    """
    runs: dict[str, Run] = {}
    for host, records in found.items():
        for record in records:
            run = runs.setdefault(record["run"], Run(record["run"]))
            run.user = run.user or record["user"]
            run.hosts[host] = list(record["paths"])
            run.sites[host] = list(record.get("sites", []))
            if record["undone"]:
                run.undone.append(host)
            if record.get("unserved"):
                run.unserved.append(host)
    return [runs[name] for name in sorted(runs, reverse=True)]


def find_run(runs: Sequence[Run], wanted: str, unreachable: Sequence[str]) -> Run | None:
    """The run that is to be undone; ``None`` where there is none at all.

    :param runs: newest first.
    :param wanted: its id, or ``latest``: the newest one over all hosts.
    :raises RtcError: no host has a run of that id.
    """
    if wanted == "latest":
        return runs[0] if runs else None
    for run in runs:
        if run.id == wanted:
            return run
    away = f" Not asked, as they do not answer: {', '.join(unreachable)}." if unreachable else ""
    known = ", ".join(run.id for run in runs[:10]) or "none"
    raise RtcError(
        f"No host has a record of the run {wanted}; there are: {known}.{away}",
        "List them: ansible-playbook collab.rtc.runs",
    )


def is_foreign(run: Run, inventory: Container[str]) -> bool:
    """Whether a run changed nothing but sites of hosts that the inventory does not have: it was that of another one.

    :param inventory: all hosts of this one.
    """
    owners = [owner for items in run.sites.values() for item in items for owner in item["owners"] if "/" in owner]
    return bool(owners) and not any(owner.partition("/")[0] in inventory for owner in owners)


def list_later(runs: Sequence[Run], run: Run, host: str) -> list[Run]:
    """The runs on a host that are undone before a certain one, because they came after it; newest first."""
    later = [one for one in runs if one.id > run.id and host in one.hosts]
    return [one for one in later if host not in one.undone or host in one.unserved]


def require_own(runs: Sequence[Run], run: Run, hosts: Sequence[str], inventory: Container[str]) -> None:
    """Make sure that undoing a run undoes none of another inventory on the way.

    :param hosts: on which it is to be undone.
    :raises RtcError: such a run came later on one of the hosts.
    """
    for host in hosts:
        for one in list_later(runs, run, host):
            if is_foreign(one, inventory) and not is_foreign(run, inventory):
                sites = {item["site"] for item in one.sites.get(host, []) if not item["undone"]}
                raise RtcError(
                    f"On {host}, run {one.id} of {one.user or 'an unknown user'} came later. It changed"
                    f" {', '.join(sorted(sites)) or 'sites'} of hosts that this inventory does not have, and would be"
                    " undone, too.",
                    f"Undo one site after the other: -e rtc_run_id={run.id} -e rtc_undo_site=<site>.",
                )


def find_owners(runs: Sequence[Run], site: str) -> list[str]:
    """The nodes of a site that somebody names.

    :param site: its name, its server name where it has one site only, or one of its nodes: ``wiki1/confluence``.
    :raises RtcError: no run has such a site, or several.
    """
    known = [item for run in runs for items in run.sites.values() for item in items]
    for fits in (_is_named, _has_server_name):
        groups: list[set[str]] = []
        for owners in (set(item["owners"]) for item in known if fits(item, site)):
            same = [group for group in groups if group & owners]
            groups = [*(group for group in groups if group not in same), owners.union(*same)]
        if len(groups) == 1:
            return sorted(groups[0])
        if groups:
            raise RtcError(
                f"{site} is the name of several sites.",
                f"Name one of these: {', '.join(sorted({name for item in known for name in item['names']}))}.",
            )
    names = sorted({name for item in known for name in item["names"]})
    raise RtcError(
        f"No run has changed anything for the site {site}; there are: {', '.join(names) or 'none'}.",
        "List them: ansible-playbook collab.rtc.runs",
    )


def _is_named(item: Mapping[str, Any], site: str) -> bool:
    return site in item["names"] or site in item["owners"]


def _has_server_name(item: Mapping[str, Any], site: str) -> bool:
    return site in [name.rpartition(":")[0] for name in item["names"]]


def choose_due(run: Run, owners: Sequence[str]) -> list[str]:
    """The hosts on which a run, or what a site has in it, is to be undone."""
    due = [host for host in run.hosts if host not in run.undone or host in run.unserved]
    if not owners:
        return due
    parts = {host: run.find_site(set(owners), host) for host in due}
    return [host for host in due if parts[host] and (host in run.unserved or not _is_all_undone(parts[host]))]


def _is_all_undone(parts: Sequence[Mapping[str, Any]]) -> bool:
    return all(item["undone"] for item in parts)


def list_nodes(run: Run, owners: Sequence[str]) -> list[str]:
    """The hosts of the applications that have a part in a run; with owners, of those."""
    every = owners or [owner for items in run.sites.values() for item in items for owner in item["owners"]]
    return list(dict.fromkeys(owner.partition("/")[0] for owner in every if "/" in owner))


def render_runs(runs: Sequence[Run], unreachable: Mapping[str, str]) -> list[str]:
    """The runs as lines: what ``collab.rtc.runs`` shows.

    :param unreachable: host -> why its runs are not known.
    """
    lines = []
    for run in runs:
        lines.append(f"{run.id}  {run.time} UTC  {run.user or 'user unknown'}")
        for host, paths in run.hosts.items():
            lines.append(f"    {host}: {', '.join(paths)}" + ("  (undone)" if host in run.undone else ""))
        sites = {item["site"]: item["undone"] for items in run.sites.values() for item in items}
        for site, undone in sites.items():
            lines.append(f"    site {site}" + ("  (undone)" if undone else ""))
    lines += [f"{host}: not known: {why}" for host, why in unreachable.items()]
    return lines or ["No run has changed anything on these hosts."]


def render_rollback(
    run: Run | None,
    hosts: Sequence[str],
    unreachable: Mapping[str, str],
    site: str = "",
    owners: Sequence[str] = (),
    runs: Sequence[Run] = (),
) -> list[str]:
    """What a rollback is about to do, as lines.

    :param site: the only one that is undone, and ``owners`` its nodes; "": all.
    :param runs: all of them: those after it are undone first.
    """
    if run is None:
        lines = ["There is nothing to undo: no run has changed anything on these hosts."]
    else:
        only = f", only {site}" if site else ""
        lines = [f"Run {run.id} of {run.time} UTC, {run.user or 'user unknown'}{only}"]
        for host in hosts:
            parts = run.find_site(set(owners), host)
            if host in run.undone or (parts and _is_all_undone(parts)):
                left = ", but its services may not have that yet" if host in run.unserved else ""
                lines.append(f"    {host}: undone already{left}")
            elif parts:
                lines.append(f"    {host}: the part of {site}")
            elif host in run.hosts and not site:
                lines.append(f"    {host}: {', '.join(run.hosts[host])}")
                lines += [
                    f"        before that {one.id} of {one.user or 'user unknown'}, which came later"
                    for one in list_later(runs, run, host)
                ]
            elif host not in unreachable:
                lines.append(f"    {host}: nothing to do")
    return lines + [f"    {host}: NOT UNDONE: {why}" for host, why in unreachable.items()]


def collect_outcomes(hostvars: HostVars, hosts: Sequence[str], run: Mapping[str, Any]) -> dict[str, Outcome]:
    """What a rollback did, by host, in the order of ``hosts``.

    :param run: what the filter ``run_to_undo`` returned.
    """
    outcomes = {host: Outcome("its runs are not known: " + why) for host, why in run["unread"].items()}
    for host in run["hosts"]:
        values = hostvars[host]
        undone = values.get("rollback_undone") or {}
        errors = [steps.describe_failure(undone, "")["cause"]] if steps.is_bad(undone) or "paths" not in undone else []
        errors += _find_failures(values)
        outcomes[host] = Outcome("; ".join(errors), undone, values.get("rollback_services") or {})
    for host in run.get("nodes", ()):
        outcome = outcomes.setdefault(host, Outcome())
        outcome.checks = hostvars[host].get("verify_checks")
        why = hostvars[host].get("rollback_not_verified")
        if why:
            outcome.error = "; ".join(filter(None, [outcome.error, f"{why['step']}: {why['cause']}"]))
    return {host: outcomes[host] for host in hosts if host in outcomes}


def _find_failures(values: Mapping[str, Any]) -> Iterator[str]:
    if values.get("rollback_unread"):  # files were given back, and who reads them was not told
        yield f"what reads the files is not known: {values['rollback_unread']['cause']}"
    for name, words in SERVICE_STEPS.items():
        result = values.get(name) or {}
        for one in result.get("results") or [result]:
            if steps.is_bad(one):
                item = one.get("item", "")
                what = (item.get("service") or item.get("item")) if isinstance(item, Mapping) else item
                yield f"{what} {words}: {steps.describe_failure(one, name)['cause']}".strip()


def render_outcomes(outcomes: Mapping[str, Outcome]) -> list[str]:
    """What a rollback did on each host, as lines."""
    lines = []
    for host, outcome in outcomes.items():
        if not outcome.undone and not outcome.error:
            continue  # it was only checked
        undone = outcome.undone
        paths = undone.get("paths", [])
        count = {0: "nothing", 1: "1 file"}.get(len(paths), f"{len(paths)} files")
        lines.append(f"{host}: {count} given back")
        lines += [f"    undone, too, because it came later: {name}" for name in undone.get("runs", [])[:-1]]
        lines += [
            f"    somebody had changed {item['path']}: it is kept as {item['copy'] or 'a copy in the undo record'}"
            for item in undone.get("edited", [])
        ]
        lines += [
            f"    stays, as {', '.join(item['sites'])} needs it: {item['path']}" for item in undone.get("kept", [])
        ]
        lines += [
            f"    {words}: {', '.join(one if isinstance(one, str) else ' '.join(one) for one in outcome.services[key])}"
            for key, words in _DONE.items()
            if outcome.services.get(key)
        ]
        if outcome.error:
            lines.append(f"    FAILED: {outcome.error}")
    return lines or ["Nothing was undone."]


def render_checks(outcomes: Mapping[str, Outcome]) -> list[str]:
    """What is there after a rollback, as lines."""
    lines = []
    for host, outcome in outcomes.items():
        for site, checks in (outcome.checks or {}).items():
            failed = [check for check in checks if check["ok"] is False]
            passed = f"{len(checks) - len(failed)} checks passed"
            lines.append(f"{site}: {passed}" + (f", {len(failed)} FAILED" if failed else ""))
            lines += [f"    {check['name']} ({check['where']}): {check.get('cause', '')}" for check in failed]
        if outcome.checks is not None and not outcome.checks:
            lines.append(f"{host}: no RTC server of this collection is left there, so nothing was checked")
    return lines


_DONE = {
    "removed_rtc": "RTC servers to stop, as their configuration is gone",
    "rtc": "RTC servers to restart",
    "proxies": "proxies to reload",
    "applications": "applications to restart",
    "commands": "commands to restart applications with",
    "manual": "applications without a service, to be restarted by you",
    "left": "applications to be restarted by you, as rtc_restart_application says",
    "unknown": "files of which it is not known who reads them",
}
