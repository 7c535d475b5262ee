# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about an application that the run itself would make unreachable: RTC424 to RTC427. Pure."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts, Listener
from ansible_collections.collab.rtc.plugins.module_utils._proxy import names
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import MANAGED_PROXIES
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import (
    DesiredNode,
    DesiredProxy,
    DesiredSite,
    DesiredState,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node, PlanInput, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Site
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.wanted import name_application_vhost, name_owner

WEB_PORTS = (80, 443)
# Ports that a package opens by itself when it is installed.
OWN_PORTS = {
    ("nginx", "debian"): (80,),
    ("apache", "debian"): (80,),
    ("apache", "redhat"): (80, 443),
    ("haproxy", "redhat"): (5000,),
}
# What becomes of that, as a sentence about the package.
OPENED = {
    ("nginx", "debian"): "starts nginx, which opens port 80 with its default page",
    ("nginx", "redhat"): "enables nginx, which opens port 80 with its default page",
    ("apache", "debian"): "starts Apache, which opens port 80 with its default page",
    ("apache", "redhat"): "enables Apache, which opens ports 80 and 443 with its default page",
    ("haproxy", "debian"): "starts HAProxy, which opens no port of its own",
    ("haproxy", "redhat"): "enables HAProxy, whose example configuration opens port 5000",
}
SERVERS = ("nginx", "apache2", "httpd", "haproxy", "caddy", "traefik", "lighttpd", "envoy")


def check_hosts(state: DesiredState) -> Iterator[Finding]:
    """Two sites whose proxies are of different kinds and would both be installed on one host."""
    seen: dict[str, DesiredProxy] = {}
    for wanted in state.sites:
        proxy = wanted.proxy
        if proxy is None or not proxy.packages:
            continue
        first = seen.setdefault(proxy.host, proxy)
        if first.kind != proxy.kind and "haproxy" not in (first.kind, proxy.kind):  # both open port 80
            text = f"{first.kind} and {proxy.kind} would both be installed on {proxy.host}, and both open port 80."
            yield make("RTC426", proxy.host, text, remedy="Set one rtc_proxy_kind for both.", site=wanted.site.name)


def check_site(classified: ClassifiedSite, wanted: DesiredSite, state: DesiredState) -> Iterator[Finding]:
    """Findings about the way to the application once the plan is applied."""
    use, proxy = classified.proxy, wanted.proxy
    if use is None or proxy is None:
        return
    moved = [
        (node, decided)
        for node, decided in zip(classified.nodes, wanted.nodes, strict=True)
        if decided.connector.differs and not node.presumed
    ]
    if moved and not _answers(classified, use, proxy):
        yield _report_unreachable(wanted, use, *moved[0])
    for node, decided in moved:
        current = node.connector.address if node.connector else ""
        if decided.beside_proxy and not routing.is_loopback(current):
            yield from _check_cut_off(wanted, use, node, decided)
    yield from _check_packages(use, proxy, state)


def check_removals(plan_input: PlanInput, plan: Plan) -> Iterator[Finding]:
    """Findings about sites whose application loses its virtual host, which nothing takes the place of."""
    for site in plan.sites:
        host, facts = site.proxy_host, plan_input.facts.get(site.proxy_host)
        if facts is None:
            continue
        gone = [item.what for item in plan.hosts[host].removals if item.kind == "vhost" and item.site == site.name]
        port = _find_port(site)
        name = name_application_vhost(site.application, site.server_name, port)
        for what in (one for one in gone if one.get("name") == name):
            written = any(
                item.port == port and item.server_name == site.server_name for item in plan.hosts[host].vhosts
            )
            if written or _is_served(facts, site, port):
                continue
            key = f"{what['kind']} {what['name']}"
            text = (
                f"{site.application.capitalize()} would be unreachable: this run takes away the virtual host {key} on"
                f" {host}, and nothing else there has {site.base_url}."
            )
            remedy = "Set rtc_manage_application_vhost: true again, or write a virtual host of your own first."
            severity = "error" if site.proxy_kind in MANAGED_PROXIES else "warning"
            yield make("RTC424", host, text, remedy=remedy, site=site.name, severity=severity)


def _find_port(site: Site) -> int:
    """The port that users type for the application, or leave out."""
    address = urllib.parse.urlsplit(site.base_url)
    return address.port or (443 if address.scheme == "https" else 80)


def _is_served(facts: HostFacts, site: Site, port: int) -> bool:
    """Whether somebody's own virtual host has the name and the port, or may have it: not all names are known."""
    return any(
        any(listen.takes(port) for listen in host.listens)
        and (not host.names or names.rank(proxy.kind, host.names, site.server_name) < names.NOT)
        for proxy in facts.proxies
        for host in proxy.hosts
        if not host.managed
    )


def _answers(classified: ClassifiedSite, use: ProxyUse, proxy: DesiredProxy) -> bool:
    """Whether something answers for the application at the site's address, as far as can be seen."""
    if any(item.listen.tls == classified.tls for item in use.application):
        return True
    application = proxy.application
    if application and (application.written or application.existing):
        return True  # what is wrong with one that somebody else wrote, RTC414 says
    if use.facts is None or (not proxy.managed and not use.local):
        return True  # nothing was seen of the proxy; who named it knows
    listening = bool(_list_listeners(use.facts, [classified.application_port], but=("java",)))
    if not proxy.managed:
        return listening
    return listening and bool(use.proxy and use.proxy.notes)  # routes may be in what was not understood


def _report_unreachable(wanted: DesiredSite, use: ProxyUse, node: Node, decided: DesiredNode) -> Finding:
    kind, url = decided.application.capitalize(), wanted.site.base_url
    if decided.beside_proxy:
        change = f"the connector on port {decided.connector.port} would listen on {decided.connector.address} only"
    else:
        change = f"the connector on port {decided.connector.port} would send users there"
    port = wanted.application_port
    there = f"{use.kind} on {use.host or node.host} would not forward it" if use.managed else f"no port {port} is open"
    return make(
        "RTC424",
        node.host,
        f"{kind} on {node.host} would be unreachable: nothing answers at {url} ({there}), and {change}.",
        [f"{node.server_xml}:{node.connector.line}" if node.connector else ""],
    )


def _check_cut_off(wanted: DesiredSite, use: ProxyUse, node: Node, decided: DesiredNode) -> Iterator[Finding]:
    """Routes that reach the connector by an address that it would no longer have."""
    address = decided.connector.address
    written = bool(wanted.proxy and wanted.proxy.application and wanted.proxy.application.written)
    seen: set[str] = set()
    for proxy_route in [*use.application, *use.others]:
        here = use.facts is not None and proxy_route.host == use.host
        name = proxy_route.upstream.host.strip("[]").lower()
        resolved = node.facts.resolves.get(name, [])
        if here and (name in (address, "localhost") or address in resolved):
            continue
        if routing.is_loopback(name) and not here and proxy_route.host != node.host:
            continue  # another node's own proxy, which leads there
        if here and written and proxy_route.vhost.managed:
            continue  # written anew, with the new address
        if proxy_route.where in seen:
            continue
        seen.add(proxy_route.where)
        other = proxy_route.host if proxy_route.host != node.host else ""
        remedy = (
            f"Set rtc_proxy: {other}, if that is the proxy of the site. If not, let it forward to the virtual host on"
            f" {node.host}, or remove that route."
            if other
            else f"Let it forward to {address}:{decided.connector.port}, or remove that route."
        )
        target = f"{proxy_route.upstream.host}:{proxy_route.upstream.port}"
        text = f"{proxy_route.where} forwards to {target}, and the connector would listen on {address} only."
        yield make("RTC425", node.host, text, remedy=remedy)


def _list_listeners(facts: HostFacts, ports: Iterable[int], but: tuple[str, ...] = ()) -> list[Listener]:
    return [item for item in facts.listeners if item.port in ports and item.process not in but]


def _check_packages(use: ProxyUse, proxy: DesiredProxy, state: DesiredState) -> Iterator[Finding]:
    """No server is installed or started beside another that has its ports; what a package opens is announced."""
    facts = use.facts
    stopped = use.proxy if use.proxy and not use.proxy.running else None
    if facts is None or not proxy.managed or not (proxy.packages or stopped):
        return
    ports = {vhost.plan.port for vhost in (proxy.rtc, proxy.application) if vhost and vhost.written}
    if stopped:
        ports |= {listen.port for vhost in stopped.hosts for listen in vhost.listens}
    else:
        ports |= set(OWN_PORTS.get((proxy.kind, facts.os_family), OWN_PORTS.get((proxy.kind, "debian"), ())))
    names = ", ".join(proxy.packages) or proxy.kind
    taken = sorted(_list_taken(facts, proxy, ports - _find_freed(facts, proxy, state)))
    if taken:
        what = "installed" if proxy.packages else "started"
        yield make("RTC426", proxy.host, f"{names} would be {what} on {proxy.host}, where {', '.join(taken)}.")
    elif proxy.packages:
        opened = OPENED.get((proxy.kind, facts.os_family)) or OPENED[proxy.kind, "debian"]
        yield make("RTC427", proxy.host, f"The run installs {names} on {proxy.host}. That {opened}.")


def _find_freed(facts: HostFacts, proxy: DesiredProxy, state: DesiredState) -> set[int]:
    """Ports that a server of another kind gives up before, because all its virtual hosts there are ours and go."""
    moving = {
        name_owner(node.host, node.application)
        for wanted in state.sites
        if wanted.proxy and (wanted.proxy.host, wanted.proxy.kind) == (proxy.host, proxy.kind)
        for node in wanted.nodes
    }
    going = {
        f"{entry.what['name']}.conf"
        for entry in facts.managed.entries
        if entry.kind == "vhost" and entry.what["kind"] != proxy.kind and set(entry.owners) <= moving
    }
    kept: set[int] = set()
    freed: set[int] = set()
    for other in facts.proxies:
        for vhost in other.hosts if other.kind != proxy.kind else []:
            goes = vhost.managed and vhost.file.rpartition("/")[2] in going
            (freed if goes else kept).update(listen.port for listen in vhost.listens)
    return freed - kept


def _list_taken(facts: HostFacts, proxy: DesiredProxy, ports: set[int]) -> set[str]:
    """Who has one of the ports, running or configured. The RTC service and Tomcat are the business of RTC5xx."""
    taken = {
        f"{item.process or 'a process'} has port {item.port}"
        for item in _list_listeners(facts, ports)
        if item.process in SERVERS or item.port in WEB_PORTS
    }
    for other in facts.proxies:
        if other.kind != proxy.kind:
            name = "apache2" if other.kind == "apache" and facts.os_family == "debian" else other.kind
            name = "httpd" if other.kind == "apache" and facts.os_family == "redhat" else name
            listens = [listen for vhost in other.hosts for listen in vhost.listens]
            taken |= {f"{name} has port {port}" for port in ports if any(item.takes(port) for item in listens)}
    return taken
