# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan and results as text for people. Pure."""

from __future__ import annotations

import re
import textwrap
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, HostFacts
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import ContainerPlan, HostPlan, Plan, Site
from ansible_collections.collab.rtc.plugins.plugin_utils._run.course import NOT_SEEN
from ansible_collections.collab.rtc.plugins.plugin_utils._run.outcome import Outcome, WrittenVhost

WIDTH = 100
_COPIED = re.compile(r"\s|.*[\\{};]$")  # lines of configurations and commands, in remedies; and of differences
PLACEMENTS = {
    "direct": "no proxy",
    "same_host": "proxy on the same host",
    "remote": "proxy on another host",
    "data_center": "several nodes behind one name",
}
MARKS = {"error": "✗", "warning": "!", "info": "·"}
# What is done about a thing; what is as it has to be is not shown.
SIGNS = {"create": "+", "change": "~", "remove": "-", "adopt": "=", "conflict": "✗", "orphan": "?", "stay": "·"}
Check = Mapping[str, Any]  # {name, ok: bool | None, detail, cause, remedy, where}


def render_plan(plan: Plan) -> str:
    """A table for each site, what is to be done on each host, and the findings with evidence and remedy."""
    parts = [_render_site(site, plan) for site in plan.sites] or [render_no_site(plan) + "\n"]
    parts += _render_other_work(plan)
    parts.append(_render_findings(plan.findings))
    left_alone = [f"  {MARKS['error']} {name}: {why}" for name, why in plan.stopped.items()]
    if left_alone:
        parts.append("\n".join(["Sites that are left alone", *left_alone, ""]))
    return "\n".join(parts)


def render_detected(plan: Plan, facts: Mapping[str, HostFacts]) -> str:
    """Host by host: what is there, the topology with its evidence, and the findings.

    :param facts: inventory name -> what was detected; a host that was not reached has findings only.
    """
    parts: list[str] = []
    explained: set[str] = set()
    names = dict.fromkeys([*facts, *(item.host for item in plan.findings)])
    for host in names:
        rows = _list_seen(facts[host]) if host in facts else [("seen", "nothing")]
        for site in plan.sites:
            if host in (*site.nodes, site.proxy_host):
                rows += _list_topology(site, host, site.name in explained)
                explained.add(site.name)
        found = [item for item in plan.findings if item.host == host]
        lines = [host, "─" * len(host), *_render_table(rows), *_render_findings_of_host(found)]
        parts.append("\n".join(lines) + "\n")
    counts = _count([item for item in plan.findings if not item.muted])
    total = f"{len(names)} host{'s' if len(names) != 1 else ''}: {counts}"
    unseen = [host for host in names if host not in facts]
    parts.append(total + (f"\nNot seen: {', '.join(unseen)}" if unseen else ""))
    return "\n".join(parts) + "\n"


def render_report(plan: Plan, outcome: Outcome, with_changes: bool = False) -> str:
    """The end of a run: each site with its checks, then findings, hosts that failed, and what is left to do.

    :param with_changes: list what was changed, or would be, too.
    """
    parts = [_render_result(site, outcome, plan) for site in plan.sites]
    taken = plan.absent and outcome.changes and not with_changes and not outcome.stopped and not outcome.failures
    if not plan.sites:
        parts.append(("What there was to take away is taken away." if taken else render_no_site(plan)) + "\n")
    names = {site.name for site in plan.sites}
    left_alone = {name: why for name, why in outcome.stopped.items() if name not in names}
    if left_alone:
        texts = [f"{name or 'no site'}: {why}" for name, why in left_alone.items()]
        lines = [line for text in texts for line in _wrap(text, f"  {MARKS['error']} ", "    ")]
        parts.append("\n".join(["Of sites that are no more, left as they are", *lines, ""]))
    # A host that was not seen is among those that failed.
    repeated = [item for item in plan.findings if item.id == NOT_SEEN and item.host in outcome.failures]
    shown = [item for item in plan.findings if item.severity != "info" and item not in repeated]
    parts.append(_render_findings(shown))
    left = [
        line
        for host, restarts in sorted(outcome.restarts_left.items())
        for restart in restarts
        for line in _wrap(f"{host}: {restart['service']}: {'; '.join(restart['reasons'])}", "  ", "    ")
    ]
    if left:
        parts.append("\n".join(["Restarts that are left to you", *left, ""]))
    if with_changes:
        parts.append(_render_changes(outcome))
    if outcome.failures:
        parts.append(_render_failures(outcome))
    parts.append(_render_summary(plan, outcome))
    return "\n".join(parts)


def render_no_site(plan: Plan) -> str:
    """Why a run has no site, and what to do."""
    if plan.absent:
        count = sum(work.action == "remove" for host in plan.hosts.values() for work in host.work)
        things = f"{count} {'thing' if count == 1 else 'things'} of this collection to take away"
        text = f"There {'is' if count == 1 else 'are'} {things}." if count else "There is nothing to take away."
        left_out = f" The limit leaves out {', '.join(plan.left_out)}: what is there stays." if plan.left_out else ""
        return text + left_out
    if any(item.severity == "error" for item in plan.findings):
        return "There is no site; what is said below tells why."
    text = "No application is among the hosts of this run, so there is nothing to do."
    if not plan.left_out:
        return text
    return f"{text} The limit leaves out {', '.join(plan.left_out)}. Name the application, too: --limit host,proxy."


def _render_changes(outcome: Outcome) -> str:
    lines = [
        line
        for host, steps in sorted(outcome.changes.items())
        for line in (f"  on {host}", *(line for step in steps for line in _wrap(step, "    - ", "      ")))
    ]
    return "\n".join(["What would change" if lines else "Nothing would change.", *lines, ""])


def _render_failures(outcome: Outcome) -> str:
    lines = [f"Hosts that failed: {len(outcome.failures)}"]
    for host, failure in sorted(outcome.failures.items()):
        lines += _wrap(f"{host}: {failure['step']}", f"  {MARKS['error']} ", "    ")
        lines += _wrap(failure["cause"], "      cause:  ", "              ")
        lines += _wrap(failure["remedy"], "      remedy: ", "              ") if failure["remedy"] else []
    return "\n".join(lines) + "\n"


def _render_summary(plan: Plan, outcome: Outcome) -> str:
    """One line about all sites, and one about hosts that the limit left out."""
    bad = [
        site.name
        for site in plan.sites
        if site.name in outcome.stopped
        or site.name in outcome.rolled_back
        or any(check["ok"] is False for check in outcome.checks.get(site.name, []))
    ]
    count = f"{len(plan.sites)} site{'s' if len(plan.sites) != 1 else ''}"
    parts = [f"{count}, {len(bad)} failed"]
    if outcome.failures:
        parts.append(f"{len(outcome.failures)} host{'s' if len(outcome.failures) != 1 else ''} failed")
    parts += [f"run {outcome.run}"] if outcome.run else []
    left_out = (
        [f"Left out by the limit: {', '.join(plan.left_out)}"] if plan.left_out and (plan.sites or plan.absent) else []
    )
    return "\n".join(["; ".join(parts), *left_out, ""])


def _list_seen(facts: HostFacts) -> list[tuple[str, str]]:
    """Rows about what is on the host, whatever it is for."""
    rows = [(item.kind.capitalize(), _describe_application(item)) for item in facts.applications if not item.leftover]
    for proxy in facts.proxies:
        rows.append(
            (proxy.kind, f"{proxy.version or 'unknown version'}, {'runs' if proxy.running else 'does not run'}")
        )
    for rtc in facts.rtc:
        kind = {"deployed": rtc.unit or "rtc-server", "builtin": "the add-on's own"}.get(
            rtc.kind, rtc.process or "another process"
        )
        place = f"{rtc.address or '*'}:{rtc.port}"
        rows.append(("RTC port", f"{kind}, {place}" + ("" if rtc.active else ", does not run")))
    return rows


def _describe_application(item: Application) -> str:
    details = [f"Tomcat {item.tomcat_version}"] if item.tomcat_version else []
    details += [f"Java {item.java.version or 'of unknown version'}"] if item.java and item.java.home else []
    ports = [str(one.port) for one in item.server_xml.connectors] if item.server_xml else []
    details += [f"connector {', '.join(ports)}"] if ports else []
    details += ["runs" if item.process else "does not run"]
    details += [f"image {item.container.image or 'unknown'}"] if item.container else []
    return f"{item.version or 'unknown version'} in {item.install_dir}; {', '.join(details)}"


def _list_topology(site: Site, host: str, explained: bool) -> list[tuple[str, str]]:
    role = "" if host in site.nodes else " (this host is its proxy)"
    rows = [
        ("site", f"{site.name}{role}"),
        ("topology", f"{site.topology}: {site.protocol}, {PLACEMENTS[site.placement]}"),
    ]
    return rows if explained else [*rows, *(("because", text) for text in site.evidence)]


def _render_findings_of_host(findings: Sequence[Finding]) -> list[str]:
    lines = [] if findings else ["  no findings"]
    for item in findings:
        if item.muted:
            lines += _wrap(f"{item.id} muted: {item.muted} ({item.message})", "  – ", "    ")
        elif item.severity == "info":
            lines += _wrap(f"{item.id} {item.message}", f"  {MARKS['info']} ", "    ")
        else:
            lines += render_finding(item, of_host=True)
    return lines


def _render_site(site: Site, plan: Plan) -> str:
    rows = [*_list_rows(site), *(("because", text) for text in site.evidence)]
    lines = [_render_title(site), *_render_table(rows)]
    others = [host for host, found in plan.hosts.items() if any(work.site == site.name for work in found.work)]
    for host in dict.fromkeys([*site.nodes, site.proxy_host, *others]):
        lines += _render_work(site, plan.hosts[host]) if host in plan.hosts else []
    return "\n".join(lines) + "\n"


def _render_title(site: Site) -> str:
    title = f"{site.application.capitalize()} {site.name}"
    return f"{title}\n{'─' * len(title)}"


def _list_rows(site: Site) -> list[tuple[str, str]]:
    return [
        ("address", site.base_url),
        ("RTC", site.rtc_url),
        ("protocol", site.protocol),
        ("topology", f"{site.topology}, {site.placement.replace('_', ' ')}"),
        ("path", _draw_path(site)),
    ]


def _draw_path(site: Site) -> str:
    """client → proxy → nodes."""
    steps = ["client"]
    if site.proxy_kind:
        kind = "a proxy" if site.proxy_kind == "unknown" else site.proxy_kind
        steps.append(f"{kind} on {site.proxy_host or 'a host that is not listed'}")
    steps.append(", ".join(site.nodes))
    return " → ".join(steps)


def _render_table(rows: Iterable[tuple[str, str]]) -> list[str]:
    lines, last = [], ""
    for name, value in rows:
        label = "" if name == last else name
        lines += _wrap(value, f"  {label:<11}", " " * 13)
        last = name
    return lines


def _wrap(text: str, first: str, others: str) -> list[str]:
    """Lines of a text; what is to be copied stays as it is: a quoted value, for example, would get a line end."""
    lines: list[str] = []
    for number, paragraph in enumerate(text.splitlines() or [""]):
        start = first if number == 0 else others
        if number and _COPIED.match(paragraph):
            lines.append(start + paragraph)
            continue
        indent = others + " " * (len(paragraph) - len(paragraph.lstrip()))
        lines += textwrap.wrap(
            paragraph,
            WIDTH,
            initial_indent=start,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
        ) or [start.rstrip()]
    return lines


def _render_work(site: Site, host: HostPlan) -> list[str]:
    tasks = [
        f"{SIGNS[work.action]} {work.text}" for work in host.work if work.site == site.name and work.action in SIGNS
    ]
    tasks += [
        f"  the add-on's own RTC service stays: {rtc.instance}, port {rtc.port}"
        for rtc in host.rtc
        if rtc.site == site.name and rtc.service == "builtin"
    ]
    tasks += [
        f"~ restart {restart.service or restart.kind}: {'; '.join(restart.reasons)}"
        for restart in host.restarts
        if restart.site == site.name and restart.reasons
    ]
    settings = [line for item in host.containers if item.site == site.name for line in _render_container(item)]
    if not tasks:
        return [f"  on {host.host}: nothing to do", *settings]
    return [f"  on {host.host}", *(line for task in tasks for line in _wrap(task, "    ", "      ")), *settings]


def _render_container(item: ContainerPlan) -> list[str]:
    """What a container has to have, as text to be copied: not wrapped."""
    if not item.missing:
        return _wrap(f"the settings of the container {item.name} are in force", "      ", "      ")
    lines = _wrap(f"for you: the container {item.name} ({item.command})", "    ! ", "      ")
    lines += ["      with Compose, as compose.override.yml:", *_indent(item.compose)]
    return [*lines, "      or as options of docker run, podman run:", *_indent(item.options)]


def _indent(text: str) -> list[str]:
    return [f"        {line}" for line in text.splitlines()]


def _render_other_work(plan: Plan) -> list[str]:
    """What is done, or left, on hosts for sites that are no more."""
    sites = {site.name for site in plan.sites}
    lines: list[str] = []
    for host, host_plan in plan.hosts.items():
        for work in host_plan.work:
            if work.site not in sites and work.action in SIGNS:
                lines += _wrap(
                    f"{SIGNS[work.action]} {host}: {work.text} (was of {work.site or 'no site'})", "  ", "    "
                )
    return ["\n".join(["Of sites that are no more", *lines, ""])] if lines else []


def _render_result(site: Site, outcome: Outcome, plan: Plan) -> str:
    known, checks = outcome.rolled_back.get(site.name), outcome.checks.get(site.name, [])
    back = known.hosts if known is not None else []  # where it has what it had before
    address, rtc, *rows = _list_rows(site)
    if back:
        address, rtc = ((name, f"{value} (as planned)") for name, value in (address, rtc))
    else:
        rows += _list_check_page(site, outcome, plan)
    rows = [address, rtc, *rows]
    lines = [_render_title(site), *_render_table(rows)]
    if site.name in outcome.stopped:
        lines += _wrap(f"not applied: {outcome.stopped[site.name]}", f"  {MARKS['error']} ", "    ")
    if back:
        words = "rolled back, as it failed its checks; they show how it is now" if checks else "rolled back"
        lines += _wrap(f"{words}, on {', '.join(back)}", f"  {MARKS['error']} ", "    ")
    for item in [] if back else outcome.written.get(site.name, []):
        lines += _render_written(item)
    if not checks:
        lines.append("  nothing was checked")
    for check in checks:
        lines += _render_check(check)
    return "\n".join(lines) + "\n"


def _list_check_page(site: Site, outcome: Outcome, plan: Plan) -> list[tuple[str, str]]:
    """With which a user's browser tries the way. Its links last minutes, and are shown where somebody wants them."""
    link = outcome.links.get(site.name)
    if link:
        return [
            ("check page", link),
            ("check page", "for an hour; it lets in to nothing but the check"),
        ]
    instances = find_deployed(site, plan)
    if not instances:
        return []
    host, instance = instances[0]
    command = f"rtc-server check-link --config /etc/rtc-server/{instance}.toml"
    return [("check page", f"{site.rtc_url}/check; for a link, on {host}: {command}")]


def find_deployed(site: Site, plan: Plan) -> list[tuple[str, str]]:
    """Host and instance of each RTC server of this collection that serves a site."""
    hosts = [plan.hosts[host] for host in site.nodes if host in plan.hosts]
    return [
        (host.host, rtc.instance)
        for host in hosts
        for rtc in host.rtc
        if rtc.site == site.name and rtc.service == "deployed"
    ]


def _render_written(item: WrittenVhost) -> list[str]:
    what = f"{item.kind} on {item.host}, {item.name}"
    if not item.why:
        return _wrap(f"applied: polling and WebSocket pass {what}", "  ✓ ", "    ")
    return _wrap(f"written, not yet seen to pass RTC: {what}: {item.why}", "  – ", "    ")


def _render_check(check: Check) -> list[str]:
    mark = {True: "✓", False: "✗"}.get(check.get("ok"), "–")  # type: ignore[arg-type]
    where = f" ({check['where']})" if check.get("where") else ""
    lines = _wrap(f"{check['name']}{where}", f"  {mark} ", "    ")
    if check.get("detail"):
        lines += _wrap(str(check["detail"]), "      ", "      ")
    if check.get("ok") is False:
        lines += _wrap(str(check["cause"]), "      cause:  ", "              ") if check.get("cause") else []
        lines += _wrap(str(check["remedy"]), "      remedy: ", "              ") if check.get("remedy") else []
    return lines


def _render_findings(findings: Sequence[Finding]) -> str:
    shown = [item for item in findings if not item.muted]
    muted = [item for item in findings if item.muted]
    if not findings:
        return "No findings.\n"
    lines = [f"Findings: {_count(shown)}"]
    for item in shown:
        lines += render_finding(item)
    lines += [f"  – {item.id} {item.host}: muted: {item.muted}" for item in muted]
    return "\n".join(lines) + "\n"


def _count(findings: Sequence[Finding]) -> str:
    counts = []
    for severity, plural in (("error", "errors"), ("warning", "warnings"), ("info", "notes")):
        number = sum(item.severity == severity for item in findings)
        counts.append(f"{number} {plural if number != 1 else plural[:-1]}")
    return ", ".join(counts)


def render_finding(finding: Finding, of_host: bool = False) -> list[str]:
    """One finding: id, host (unless it is clear), message, evidence, remedy."""
    host = "" if of_host else f" {finding.host}:"
    lines = _wrap(f"{finding.id}{host} {finding.message}", f"  {MARKS[finding.severity]} ", "    ")
    for item in finding.evidence:
        lines += _wrap(item, "      seen:   ", "              ")
    return lines + (_wrap(finding.remedy, "      remedy: ", "              ") if finding.remedy else [])


def render_errors(findings: Sequence[Finding]) -> str:
    """The findings that stop a run, as the message of the failed task."""
    count = f"{len(findings)} error{'s' if len(findings) != 1 else ''}; nothing was changed."
    return "\n".join([count, *(line for item in findings for line in render_finding(item))])
