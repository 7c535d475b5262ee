# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspection of reverse proxies: RTC4xx. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.manual_proxy import advice
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import Existing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import Match
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape, ProxyUse, SiteState

SYNCHRONY = "/synchrony"
TEXTS = {
    "RTC402": "does not forward to the same port",
    "RTC404": "forwards a sub-path, and RTC is at /",
    "RTC405": "does not pass the Upgrade of a WebSocket on",
    "RTC406": "speaks HTTP/1.0 to the service",
    "RTC407": "cuts idle connections",
    "RTC408": "cuts idle tunnels",
    "RTC409": "has several active upstreams and no stickiness",
}


def hosts(landscape: Landscape, states: list[SiteState]) -> list[Finding]:
    """What is said about the proxies that sites use, whatever the site is."""
    found: list[Finding] = [*_mixed(states)]
    used = {(state.proxy.host, state.proxy.kind) for state in states if state.proxy}
    for host, facts in landscape.facts.items():
        for proxy in facts.proxies:
            if (host, proxy.kind) in used:
                found += _daemon(host, proxy)
    return found


def _mixed(states: list[SiteState]) -> Iterator[Finding]:
    """Sites with and without TLS on one port of a proxy."""
    seen: dict[tuple[str, int], SiteState] = {}
    for state in states:
        if state.proxy is None or not state.proxy.managed:
            continue
        first = seen.setdefault((state.proxy.host, state.site.rtc_port), state)
        if first.tls != state.tls:
            yield make(
                "RTC423",
                state.proxy.host,
                f"{first.site.rtc_url} and {state.site.rtc_url} cannot share a port of {state.proxy.host}.",
                site=state.site.name,
            )


def _daemon(host: str, proxy: Proxy) -> Iterator[Finding]:
    if proxy.error:
        yield make("RTC411", host, f"{proxy.kind} on {host} refuses {proxy.config}: {proxy.error}")
    if not proxy.running:
        yield make("RTC416", host, f"{proxy.kind} on {host} does not run.")
    if proxy.notes:
        yield make("RTC417", host, f"Not all of {proxy.config} on {host} was understood.", proxy.notes)


def site(state: SiteState) -> list[Finding]:
    """What is said about the proxy of a site."""
    proxy = state.proxy
    if proxy is None:
        return []
    found: list[Finding] = []
    if not proxy.managed:
        found += _unmanaged(state, proxy)
    else:
        found += _choice(state, proxy)
        found += _rtc(state, proxy)
        found += _application(state, proxy)
    found += _several(state, proxy)
    for finding in found:
        finding.site = state.site.name
    return found


def _unmanaged(state: SiteState, proxy: ProxyUse) -> Iterator[Finding]:
    host = proxy.host or state.nodes[0].host
    if proxy.kind == "aws_alb":
        yield make(
            "RTC412", host, f"{state.site.name}: the load balancer needs a listener on port {state.site.rtc_port}."
        )
    elif not proxy.host or proxy.facts is not None:
        yield make(
            "RTC410",
            host,
            f"The proxy of {state.site.name} is not configured by this collection: {proxy.evidence}.",
            remedy=advice(state),
        )


def _choice(state: SiteState, proxy: ProxyUse) -> Iterator[Finding]:
    installed = proxy.facts.proxies if proxy.facts else []
    running = [item for item in installed if item.running]
    if len(installed) > 1 and len(running) != 1 and not (proxy.application or proxy.rtc) and not _kind_wished(state):
        kinds = ", ".join(sorted(item.kind for item in installed))
        yield make("RTC418", proxy.host, f"{proxy.host} has {kinds}; which one is before {state.site.name}?")


def _kind_wished(state: SiteState) -> bool:
    return bool(state.wishes.proxy_kind)


def _rtc(state: SiteState, proxy: ProxyUse) -> Iterator[Finding]:
    site_port = state.site.rtc_port
    present = desired.existing(state, site_port, proxy.rtc)
    foreign = [item for item in present if not item.vhost.managed]
    elsewhere = list(_elsewhere(state, proxy, present))
    if not present and not elsewhere:  # a route at the wrong place says more than that there is none
        yield make(
            "RTC403",
            proxy.host,
            f"{proxy.kind} on {proxy.host} does not forward port {site_port} of {state.site.server_name}.",
        )
    for item in present:
        faults = desired.rtc_faults(state, item)
        for fault in faults:
            # What this collection wrote, it writes again; what somebody else wrote stops the run by RTC414.
            yield _fault(state, proxy, item, fault)
        if item in foreign and (faults or not _takes_all(state, item)):
            yield _foreign(state, proxy, item, faults)
        for match in item.routes[:1]:
            if match.route.buffering and proxy.kind == "nginx":
                yield make("RTC422", proxy.host, f"{match.where}: proxy_buffering is on.")
    yield from elsewhere


def _takes_all(state: SiteState, item: Existing) -> bool:
    """Whether it is not right after all, because it has the port on the service's own address too: RTC503 says so."""
    return any(match.vhost is item.vhost for match in same_host_conflict(state))


def _fault(state: SiteState, proxy: ProxyUse, item: Existing, fault: str) -> Finding:
    where = item.routes[0].where if item.routes else f"{proxy.host}: {item.vhost.file}:{item.vhost.line}"
    text = TEXTS.get(fault, "")
    if fault == "RTC401":
        text = f"speaks {'HTTPS' if item.listen.tls else 'HTTP'}, the page {'HTTPS' if state.tls else 'HTTP'}"
    elif fault == "RTC403":
        text = "forwards nothing"
    elif fault in ("RTC407", "RTC408"):
        text += f" after {item.routes[0].route.read_timeout:g} seconds"
    return make(
        fault, proxy.host, f"{where}: the virtual host on port {state.site.rtc_port} {text}.", severity="warning"
    )


def _foreign(state: SiteState, proxy: ProxyUse, item: Existing, faults: list[str]) -> Finding:
    where = f"{item.vhost.file}:{item.vhost.line}"
    if faults:
        return make(
            "RTC414",
            proxy.host,
            f"{where} on {proxy.host} serves {state.site.name} and was not written by this collection"
            f" ({', '.join(faults)}).",
            [where],
        )
    return make(
        "RTC415", proxy.host, f"{where} on {proxy.host} forwards {state.site.name} rightly and is left as it is."
    )


def _elsewhere(state: SiteState, proxy: ProxyUse, present: list[Existing]) -> Iterator[Finding]:
    """Routes to the RTC port that are not on the RTC port of the server name."""
    known = [item.vhost for item in present]
    for match in proxy.rtc:
        if match.vhost in known:
            continue
        if not desired.root(match.route.path):
            yield make(
                "RTC404",
                proxy.host,
                f"{match.where} forwards {match.route.path} of port {match.listen.port} to the RTC port.",
                severity="warning",
            )
        elif match.listen.port != state.site.rtc_port:
            yield make(
                "RTC402",
                proxy.host,
                f"{match.where} forwards port {match.listen.port} to the RTC port {state.site.rtc_port}.",
                severity="warning",
            )


def _application(state: SiteState, proxy: ProxyUse) -> Iterator[Finding]:
    managed = state.wishes.manage_application_vhost
    if not any(match.listen.tls == state.tls for match in proxy.application) and not managed:
        yield make("RTC421", proxy.host, f"{proxy.kind} on {proxy.host} does not forward {state.site.base_url}.")
    foreign = desired.foreign_application(state)
    for item in foreign if managed else []:
        where = f"{item.vhost.file}:{item.vhost.line}"
        if desired.application_right(state, item):
            yield make(
                "RTC415", proxy.host, f"{where} on {proxy.host} forwards {state.site.base_url} and is left as it is."
            )
        else:
            yield make(
                "RTC414",
                proxy.host,
                f"{where} on {proxy.host} serves {state.site.base_url} and was not written by this"
                " collection; it does not forward to the application.",
                [where],
            )
    if proxy.application and (not managed or foreign):
        yield from _synchrony(state, proxy)
    for match in proxy.application:
        active = [item for item in match.route.upstreams if not item.backup]
        if len(active) > 1 and not match.route.sticky:
            yield make(
                "RTC409", proxy.host, f"{match.where}: the application has {len(active)} nodes and no stickiness."
            )
            return


def _synchrony(state: SiteState, proxy: ProxyUse) -> Iterator[Finding]:
    if state.site.application != "confluence":
        return
    hosts_of = list({id(match.vhost): match for match in proxy.application if match.listen.tls == state.tls}.values())
    if hosts_of and not any(map(_has_synchrony, hosts_of)):
        yield make("RTC413", proxy.host, f"{hosts_of[0].where}: no route for {SYNCHRONY}.")


def _has_synchrony(match: Match) -> bool:
    return any(route.path.rstrip("/").endswith(SYNCHRONY) for route in match.vhost.routes)


def _several(state: SiteState, proxy: ProxyUse) -> Iterator[Finding]:
    if len(state.nodes) > 1 and not state.wishes.store_url:
        yield make(
            "RTC419", state.nodes[0].host, f"{state.site.name}: {state.nodes[0].host} serves RTC, the others stand by."
        )


def same_host_conflict(state: SiteState) -> list[Match]:
    """Listeners of the proxy that take the RTC port on all addresses of the host that the service is on."""
    if state.proxy is None or not state.proxy.local or state.proxy.proxy is None:
        return []
    return [
        match
        for match in state.proxy.rtc
        if match.listen.port == state.site.rtc_port
        and match.listen.address in routing.WILDCARDS
        and not match.vhost.managed
    ]
