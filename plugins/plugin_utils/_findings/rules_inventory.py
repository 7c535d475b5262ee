# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the inventory: its variables, its groups, and sites as it wants them (RTC1xx). Pure.

What a variable alone shows (RTC101 to RTC103, RTC113), or a group's name (RTC114), is found in
``_inventory/variables.py`` and ``_plan/load_inventory.py``, and handed on here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import CATALOGUE, make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import (
    KINDS,
    MANAGED_PROXIES,
    NO_PROXY,
    Problem,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import basis
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredSite
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    Classification,
    ClassifiedSite,
    Node,
    PlanInput,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import name_owner

SHARED = (  # settings that all nodes of a site have in common
    "proxy",
    "proxy_kind",
    "protocol",
    "application_port",
    "store_ca",
    "origins",
    "manage_application_vhost",
    "tls_certificate",
    "aws_deregistration_delay",
)
# Settings of which that of the first node counts: another one of a further node would have no effect.
OF_FIRST = (
    *("listen", "tls_key", "upstream_ca", "upstream_name"),
    *("aws_load_balancer", "aws_region", "aws_profile", "aws_role_arn", "aws_endpoint_url", "aws_certificate"),
    *("aws_tls_policy", "aws_peered"),
)


def check_hosts(plan_input: PlanInput) -> list[Finding]:
    """Findings about the variables and groups of hosts."""
    found = [
        make(item.id, host, item.message, [_tell_place(host, item)], item.remedy)
        for host, problems in plan_input.problems.items()
        for item in problems
    ]
    found += [
        make("RTC106", host, f"{host} is in the groups confluence and jira, but {why}.")
        for host, why in list_misplaced(plan_input).items()
    ]
    for host in plan_input.facts:
        found += _check_mutes(host, plan_input)
    return found


def _tell_place(host: str, problem: Problem) -> str:
    return f"{host}: {problem.variable}" + (f" ({problem.where})" if problem.where else "")


def list_misplaced(plan_input: PlanInput) -> dict[str, str]:
    """Hosts in both groups that cannot be both, with the reason."""
    wrong = {}
    for host in sorted(set(plan_input.groups.get("confluence", [])) & set(plan_input.groups.get("jira", []))):
        facts = plan_input.facts.get(host)
        if facts is None:
            continue
        missing = [kind for kind in KINDS if not any(item.kind == kind for item in facts.applications)]
        ambiguous = plan_input.common.get(host, [])
        if missing:
            wrong[host] = f"{' and '.join(item.capitalize() for item in missing)} was not found there"
        elif ambiguous:
            wrong[host] = f"{', '.join(ambiguous)} cannot have one value for both"
    return wrong


def _check_mutes(host: str, plan_input: PlanInput) -> Iterator[Finding]:
    known = {mute.id for settings in plan_input.settings.get(host, {}).values() for mute in settings.ignore_findings}
    for number in sorted(known - set(CATALOGUE)):
        yield make(
            "RTC102",
            host,
            f"rtc_ignore_findings: there is no finding {number}.",
            [f"{host}: rtc_ignore_findings"],
            "docs/findings.md lists the findings.",
        )


def check_kept_plan(plan_input: PlanInput, plan: Plan) -> Iterator[Finding]:
    """What is not as it was when the plan was made that is to be carried out."""
    if plan_input.accepted is not None:
        for host, part in basis.find_changes(plan_input.accepted, plan.basis):
            yield make("RTC112", host, f"{host}: {part}: not as it was when the plan was made.")


def check_names(classification: Classification) -> list[Finding]:
    """Findings about server names: unknown ones, and those that several sites share."""
    found = [
        make("RTC110", node.host, f"The server name of {node.kind.capitalize()} on {node.host} is unknown.")
        for node in classification.nodes
        if node.connector and not node.server_name and not node.unusable
    ]
    found += _check_names_and_ports(classification.sites)
    found += _check_application_vhosts(classification.sites)
    return found


def check_site(classified: ClassifiedSite, wanted: DesiredSite, plan_input: PlanInput) -> Iterator[Finding]:
    """Findings about the settings of one site."""
    yield from _check_protocol(classified)
    yield from _check_proxy(classified, plan_input)
    yield from _check_contradictions(classified, wanted)
    yield from _check_nodes(classified, wanted)


def _check_names_and_ports(sites: list[ClassifiedSite]) -> Iterator[Finding]:
    seen: dict[tuple[str, int], ClassifiedSite] = {}
    for classified in sites:
        site = classified.site
        key = (site.server_name, site.rtc_port)
        if key in seen:
            first = seen[key].site
            yield make(
                "RTC107",
                classified.nodes[0].host,
                f"{first.application.capitalize()} on {', '.join(first.nodes)} and"
                f" {site.application.capitalize()} on {', '.join(site.nodes)} both are {site.name}.",
                site=site.name,
            )
        seen.setdefault(key, classified)


def _check_application_vhosts(sites: list[ClassifiedSite]) -> Iterator[Finding]:
    seen: dict[tuple[str, str, int], ClassifiedSite] = {}
    for classified in sites:
        if classified.proxy and classified.proxy.managed and classified.settings.manage_application_vhost:
            key = (classified.proxy.host, classified.site.server_name, classified.application_port)
            if key in seen:
                yield make(
                    "RTC111",
                    classified.nodes[0].host,
                    f"{seen[key].site.base_url} and {classified.site.base_url} would both have one at"
                    f" {classified.proxy.host}.",
                    site=classified.site.name,
                )
            seen.setdefault(key, classified)


def _check_protocol(classified: ClassifiedSite) -> Iterator[Finding]:
    wanted, site = classified.settings.protocol, classified.site
    if wanted and wanted != site.protocol:
        # The last sentences of the evidence are those about proxy, placement and protocol.
        yield make(
            "RTC104",
            classified.nodes[0].host,
            f"rtc_protocol is {wanted}, but {site.name} is {site.protocol}.",
            [item for item in site.evidence if not item.startswith(("RTC port", "server name"))],
            _explain_earlier_runs(classified),
            site.name,
        )


def _explain_earlier_runs(classified: ClassifiedSite) -> str:
    """The remedy where the fact may be what an earlier run wrote; "" where none did."""
    made = [
        f"{entry.key} of {node.host}"
        for node in classified.nodes
        for entry in node.facts.managed.entries
        if entry.kind == "connector" and name_owner(node.host, classified.site.application) in entry.owners
    ]
    if not made:
        return ""
    return (
        f"An earlier run has made it so ({', '.join(made)}). Run once with rtc_state: absent for the hosts of the site,"
        " which gives back what was there before, and then with rtc_protocol, or without rtc_protocol to leave it so."
    )


def _check_proxy(classified: ClassifiedSite, plan_input: PlanInput) -> Iterator[Finding]:
    wanted = classified.settings.proxy
    if wanted and wanted != NO_PROXY and wanted not in plan_input.facts and wanted not in plan_input.failed:
        host = classified.nodes[0].host
        if any(wanted in members for members in plan_input.groups.values()):
            yield make(
                "RTC105",
                host,
                f"rtc_proxy is {wanted}, and this run does not look at that host.",
                [f"{host}: rtc_proxy"],
                f"Run without --limit, or with both hosts in it: --limit {host},{wanted}.",
                classified.site.name,
            )
            return
        meant = _find_meant_host(wanted, plan_input)
        rename = f"If {meant} is meant, write {meant}: rtc_proxy is the name that the inventory has for it."
        yield make(
            "RTC105",
            host,
            f"rtc_proxy is {wanted}, and no host of that name was seen.",
            [f"{host}: rtc_proxy"],
            f"{rename} {CATALOGUE['RTC105'].remedy}" if meant else "",
            classified.site.name,
        )


def _find_meant_host(wanted: str, plan_input: PlanInput) -> str:
    """The host that a name means that is not its name in the inventory: its address, its own name, other letters."""
    for host, facts in plan_input.facts.items():
        names = {name.lower() for name in (host, facts.hostname) if name}
        if wanted in facts.addresses or wanted.lower() in names or wanted.lower().partition(".")[0] in names:
            return host
    return next(iter(difflib.get_close_matches(wanted, plan_input.facts, n=1)), "")


def _check_contradictions(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    obstacle = wanted.nodes[0].service.panel_obstacle
    leave_out = [f"{obstacle} Leave it out: docs/panel.md says how to come by SSH."] if obstacle else []
    for text in [*list_contradictions(classified), *leave_out]:
        yield make("RTC108", classified.nodes[0].host, text, site=classified.site.name)
    if classified.proxy is None:
        settings = classified.settings
        for name in ("tls_certificate", "manage_application_vhost"):
            if getattr(settings, name):
                yield make(
                    "RTC108",
                    classified.nodes[0].host,
                    f"rtc_{name} has no effect: {classified.site.name} has no proxy.",
                    site=classified.site.name,
                    severity="warning",
                )


def list_contradictions(classified: ClassifiedSite) -> list[str]:
    """Sentences about settings of one site that exclude each other."""
    settings, proxied = classified.settings, bool(classified.proxy)
    found: list[str] = []
    if settings.proxy == NO_PROXY and settings.proxy_kind:
        found.append(f"rtc_proxy is none, and rtc_proxy_kind is {settings.proxy_kind}.")
    if settings.tls_key and not settings.tls_certificate:
        found.append("rtc_tls_key is given without rtc_tls_certificate.")
    managed = proxied and classified.proxy is not None and classified.proxy.kind in MANAGED_PROXIES
    if settings.tls_certificate and not settings.tls_key and managed:
        found.append("rtc_tls_certificate is given without rtc_tls_key.")
    if settings.service == "builtin" and settings.store_url:
        found.append("rtc_store_url is for the server of this collection, and rtc_service is builtin.")
    if settings.store_url and "store_password" not in settings.given:
        found.append("rtc_store_url is given without rtc_store_password.")
    if settings.application_port and proxied and settings.application_port == classified.site.rtc_port:
        found.append(f"rtc_application_port and the RTC port are both {classified.site.rtc_port}.")
    if settings.panel and settings.panel_port == classified.site.rtc_port:
        found.append(f"rtc_panel_port and the RTC port are both {classified.site.rtc_port}.")
    connector = classified.nodes[0].connector
    if connector and connector.port == classified.site.rtc_port:
        found.append(f"The RTC port {classified.site.rtc_port} is the port of Tomcat's own connector.")
    if proxied and connector and connector.ssl and not classified.tls:
        found.append(
            "Users speak HTTP to the proxy, and Tomcat's connector speaks TLS; give rtc_tls_certificate for the proxy."
        )
    return found


def _check_nodes(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    first = classified.nodes[0]
    for number, node in enumerate(classified.nodes[1:], 1):
        for name in (*SHARED, *OF_FIRST):
            mine, of_first = getattr(node.settings, name), getattr(first.settings, name)
            if mine != of_first and (mine or name in SHARED):
                yield make(
                    "RTC108",
                    node.host,
                    f"{first.host} and {node.host} are nodes of {classified.site.name} and differ in rtc_{name}.",
                    site=classified.site.name,
                )
        yield from _check_wiring(classified, first, node)
        if wanted.nodes[0].service.kind != wanted.nodes[number].service.kind:
            yield make(
                "RTC108",
                node.host,
                f"The RTC service of {first.host} and {node.host} is not of the same kind.",
                remedy="Set rtc_service to deployed or builtin for all nodes.",
                site=classified.site.name,
            )


def _check_wiring(classified: ClassifiedSite, first: Node, node: Node) -> Iterator[Finding]:
    if first.connector and node.connector and first.connector.ssl != node.connector.ssl:
        yield make(
            "RTC108",
            node.host,
            f"Tomcat speaks TLS on one of {first.host} and {node.host} only.",
            site=classified.site.name,
        )
    if first.context_path != node.context_path:
        yield make(
            "RTC108", node.host, f"The context paths of {first.host} and {node.host} differ.", site=classified.site.name
        )
