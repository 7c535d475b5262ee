# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspection of detection and inventory: RTC0xx, RTC1xx. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import CATALOGUE, make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import KINDS, MANAGED_PROXIES, NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, routing, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape, Node, SiteState

SHOWN = 5  # so many unreadable parts are listed one by one


def hosts(landscape: Landscape) -> list[Finding]:
    """What is said about hosts, before there are sites."""
    found = []
    for host, why in landscape.failed.items():
        found.append(make("RTC001", host, f"Nothing is known about {host}: {why}"))
    for host, problems in landscape.problems.items():
        found += [make(item.id, host, item.message, [f"{host}: {item.variable}"], item.remedy) for item in problems]
    wrong = _both_wrong(landscape)
    found += [
        make("RTC106", host, f"{host} is in the groups confluence and jira, but {why}.") for host, why in wrong.items()
    ]
    listed = {
        kind: {
            routing.machine(landscape.facts[host]) for host in landscape.groups.get(kind, []) if host in landscape.facts
        }
        for kind in KINDS
    }
    for host, facts in landscape.facts.items():
        found += _visibility(host, facts)
        if host not in wrong:
            found += _listed(host, facts, landscape, listed)
        found += _mutes(host, landscape)
    return found


def _visibility(host: str, facts: HostFacts) -> Iterator[Finding]:
    parts = [f"{item.what}: {item.reason}" for item in facts.unreadable]
    if parts:
        more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
        yield make(
            "RTC002",
            host,
            f"{len(parts)} part{'s' if len(parts) > 1 else ''} of {host} could not be seen.",
            [*parts[:SHOWN], more.strip()],
        )
    if not facts.root:
        yield make("RTC003", host, f"Detection on {host} ran without root.")


def _listed(
    host: str, facts: HostFacts, landscape: Landscape, machines: dict[str, set[routing.Machine]]
) -> Iterator[Finding]:
    for kind in KINDS:
        listed = host in landscape.groups.get(kind, [])
        there = [item for item in facts.applications if item.kind == kind]
        if not listed:
            for item in there:
                if routing.machine(facts) not in machines[kind]:  # the same machine may be listed under another name
                    yield make(
                        "RTC006",
                        host,
                        f"{kind.capitalize()} in {item.install_dir} on {host} is left alone.",
                        item.evidence,
                    )
            continue
        application, why = topology.choose(facts, kind, landscape.wishes_of(host, kind))
        if application is None and len(there) > 1 and not landscape.wishes_of(host, kind).install_dir:
            yield make("RTC005", host, f"{host} has several installations of {kind.capitalize()}; {why}.")
        elif application is None:
            yield make("RTC004", host, f"{host} is in the group {kind}, but {why}.")


def _both_wrong(landscape: Landscape) -> dict[str, str]:
    """Hosts in both groups that cannot be both, with the reason."""
    wrong = {}
    for host in sorted(set(landscape.groups.get("confluence", [])) & set(landscape.groups.get("jira", []))):
        facts = landscape.facts.get(host)
        if facts is None:
            continue
        missing = [kind for kind in KINDS if not any(item.kind == kind for item in facts.applications)]
        ambiguous = landscape.common.get(host, [])
        if missing:
            wrong[host] = f"{' and '.join(item.capitalize() for item in missing)} was not found there"
        elif ambiguous:
            wrong[host] = f"{', '.join(ambiguous)} cannot have one value for both"
    return wrong


def _mutes(host: str, landscape: Landscape) -> Iterator[Finding]:
    known = {mute.id for wishes in landscape.wishes.get(host, {}).values() for mute in wishes.ignore_findings}
    for number in sorted(known - set(CATALOGUE)):
        yield make(
            "RTC102",
            host,
            f"rtc_ignore_findings: there is no finding {number}.",
            [f"{host}: rtc_ignore_findings"],
            "docs/findings.md lists the findings.",
        )


def sites(landscape: Landscape, states: list[SiteState]) -> list[Finding]:
    """What is said about sites as the inventory wants them."""
    found = [
        make("RTC110", node.host, f"The server name of {node.kind.capitalize()} on {node.host} is unknown.")
        for node in topology.nodes(landscape)
        if node.connector and not node.server_name
    ]
    found += _same_name_and_port(states)
    found += _cookies(states)
    found += _application_vhosts(states)
    for state in states:
        found += _protocol(state)
        found += _proxy(state, landscape)
        found += _contradictions(state)
        found += _nodes_agree(state)
    return found


def _same_name_and_port(states: list[SiteState]) -> Iterator[Finding]:
    seen: dict[tuple[str, int], SiteState] = {}
    for state in states:
        key = (state.site.server_name, state.site.rtc_port)
        if key in seen:
            first = seen[key].site
            yield make(
                "RTC107",
                state.nodes[0].host,
                f"{first.application.capitalize()} on {', '.join(first.nodes)} and"
                f" {state.site.application.capitalize()} on {', '.join(state.site.nodes)} both are {state.site.name}.",
                site=state.site.name,
            )
        seen.setdefault(key, state)


def _cookies(states: list[SiteState]) -> Iterator[Finding]:
    seen: dict[tuple[str, str], SiteState] = {}
    for state in states:
        key = (state.site.server_name, state.site.context_path)
        if key in seen and state.site.application != seen[key].site.application:
            yield make(
                "RTC219",
                state.nodes[0].host,
                f"{seen[key].site.base_url} and {state.site.base_url} differ by the port only.",
                site=state.site.name,
            )
        seen.setdefault(key, state)


def _application_vhosts(states: list[SiteState]) -> Iterator[Finding]:
    seen: dict[tuple[str, str, int], SiteState] = {}
    for state in states:
        if state.proxy and state.proxy.managed and state.wishes.manage_application_vhost:
            key = (state.proxy.host, state.site.server_name, state.application_port)
            if key in seen:
                yield make(
                    "RTC111",
                    state.nodes[0].host,
                    f"{seen[key].site.base_url} and {state.site.base_url} would both have one at {state.proxy.host}.",
                    site=state.site.name,
                )
            seen.setdefault(key, state)


def _protocol(state: SiteState) -> Iterator[Finding]:
    wanted, site = state.wishes.protocol, state.site
    if wanted and wanted != site.protocol:
        # The last sentences of the evidence are those about proxy, placement and protocol.
        yield make(
            "RTC104",
            state.nodes[0].host,
            f"rtc_protocol is {wanted}, but {site.name} is {site.protocol}.",
            [item for item in site.evidence if not item.startswith(("RTC port", "server name"))],
            site=site.name,
        )


def _proxy(state: SiteState, landscape: Landscape) -> Iterator[Finding]:
    wanted = state.wishes.proxy
    if wanted and wanted != NO_PROXY and wanted not in landscape.facts and wanted not in landscape.failed:
        host = state.nodes[0].host
        if any(wanted in members for members in landscape.groups.values()):
            yield make(
                "RTC105",
                host,
                f"rtc_proxy is {wanted}, and this run does not look at that host.",
                [f"{host}: rtc_proxy"],
                f"Run without --limit, or with both hosts in it: --limit {host},{wanted}.",
                state.site.name,
            )
            return
        yield make(
            "RTC105",
            state.nodes[0].host,
            f"rtc_proxy is {wanted}, and no host of that name was seen.",
            [f"{state.nodes[0].host}: rtc_proxy"],
            site=state.site.name,
        )


def _contradictions(state: SiteState) -> Iterator[Finding]:
    for text in contradictions(state):
        yield make("RTC108", state.nodes[0].host, text, site=state.site.name)
    if state.proxy is None:
        wishes = state.wishes
        for name in ("tls_certificate", "manage_application_vhost"):
            if getattr(wishes, name):
                yield make(
                    "RTC108",
                    state.nodes[0].host,
                    f"rtc_{name} has no effect: {state.site.name} has no proxy.",
                    site=state.site.name,
                    severity="warning",
                )


def contradictions(state: SiteState) -> list[str]:
    """Sentences about wishes of one site that exclude each other."""
    wishes, proxied = state.wishes, bool(state.proxy)
    found: list[str] = []
    if wishes.proxy == NO_PROXY and wishes.proxy_kind:
        found.append(f"rtc_proxy is none, and rtc_proxy_kind is {wishes.proxy_kind}.")
    if wishes.tls_key and not wishes.tls_certificate:
        found.append("rtc_tls_key is given without rtc_tls_certificate.")
    managed = proxied and state.proxy is not None and state.proxy.kind in MANAGED_PROXIES
    if wishes.tls_certificate and not wishes.tls_key and managed:
        found.append("rtc_tls_certificate is given without rtc_tls_key.")
    if wishes.service == "builtin" and wishes.store_url:
        found.append("rtc_store_url is for the server of this collection, and rtc_service is builtin.")
    if wishes.application_port and proxied and wishes.application_port == state.site.rtc_port:
        found.append(f"rtc_application_port and the RTC port are both {state.site.rtc_port}.")
    connector = state.nodes[0].connector
    if connector and connector.port == state.site.rtc_port:
        found.append(f"The RTC port {state.site.rtc_port} is the port of Tomcat's own connector.")
    if proxied and connector and connector.ssl and not state.tls:
        found.append(
            "Users speak HTTP to the proxy, and Tomcat's connector speaks TLS; give rtc_tls_certificate for the proxy."
        )
    return found


def _nodes_agree(state: SiteState) -> Iterator[Finding]:
    first = state.nodes[0]
    for node in state.nodes[1:]:
        for name in (
            "proxy",
            "proxy_kind",
            "protocol",
            "application_port",
            "store_url",
            "manage_application_vhost",
            "tls_certificate",
        ):
            if getattr(node.wishes, name) != getattr(first.wishes, name):
                yield make(
                    "RTC108",
                    node.host,
                    f"{first.host} and {node.host} are nodes of {state.site.name} and differ in rtc_{name}.",
                    site=state.site.name,
                )
        yield from _wiring_agrees(state, first, node)


def _wiring_agrees(state: SiteState, first: Node, node: Node) -> Iterator[Finding]:
    if first.connector and node.connector and first.connector.ssl != node.connector.ssl:
        yield make(
            "RTC108", node.host, f"Tomcat speaks TLS on one of {first.host} and {node.host} only.", site=state.site.name
        )
    if topology.context_path(first) != topology.context_path(node):
        yield make(
            "RTC108", node.host, f"The context paths of {first.host} and {node.host} differ.", site=state.site.name
        )
    if desired.keeps_builtin(state, first) != desired.keeps_builtin(state, node):
        yield make(
            "RTC108",
            node.host,
            f"The RTC service of {first.host} and {node.host} is not of the same kind.",
            remedy="Set rtc_service to deployed or builtin for all nodes.",
            site=state.site.name,
        )
