# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which proxy is in front of a site, and the evidence for it. Pure."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import (
    NO_PROXY,
    UNMANAGED_PROXIES,
    HostSettings,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Node, PlanInput, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute, RouteIndex

PROVIDERS = tuple(kind for kind in UNMANAGED_PROXIES if kind != "other")  # which run on no host of the inventory
PUBLISHERS = ("docker-proxy", "conmon", "rootlessport")  # they hold the host's ports that lead to containers


def find_proxy(members: list[Node], plan_input: PlanInput, route_index: RouteIndex) -> ProxyUse | None:
    """The proxy of the site that these nodes make; ``None`` for none."""
    first = members[0]
    if first.settings.proxy == NO_PROXY:
        return None
    application = [
        proxy_route
        for node in members
        for proxy_route in route_index.find_routes_into(
            node.host, node.facts, node.application.container, node.connector.port if node.connector else 0
        )
    ]
    rtc = [
        proxy_route
        for node in members
        for proxy_route in route_index.find_routes_into(
            node.host, node.facts, _find_container_of_rtc(node), first.rtc_port
        )
    ]
    if first.settings.proxy:
        host, why = first.settings.proxy, f"rtc_proxy is {first.settings.proxy}"
    elif first.settings.proxy_kind in PROVIDERS:
        # What forwards to Tomcat on the nodes themselves is behind it.
        host, why = "", f"rtc_proxy_kind is {first.settings.proxy_kind}"
    else:
        host, why = _detect_host(members, application, rtc, plan_input, route_index)
    if not why:
        return None
    use = ProxyUse(host, "", plan_input.facts.get(host), evidence=why)
    use.application = [proxy_route for proxy_route in application if proxy_route.host == host]
    use.rtc = [proxy_route for proxy_route in rtc if proxy_route.host == host]
    use.passing = frozenset(proxy_route.host for proxy_route in rtc)
    use.local = next((node.host for node in members if use.facts and routing.same_machine(node.facts, use.facts)), "")
    of_proxy = plan_input.settings_of(host, first.kind)
    use.kind, use.proxy = _decide_kind(use, first.settings, of_proxy)
    use.listen = of_proxy.listen
    # A proxy of another kind on the same host may have routes too; they are not this site's.
    use.others = [item for item in application if item.host != host or item.proxy.kind != use.kind]
    use.application = [proxy_route for proxy_route in use.application if proxy_route.proxy.kind == use.kind]
    use.rtc = [proxy_route for proxy_route in use.rtc if proxy_route.proxy.kind == use.kind]
    return use


def _find_container_of_rtc(node: Node) -> Container | None:
    """The container whose published port the RTC service has; ``None`` for the host, which it is to be published on."""
    container = node.application.container
    published = container is not None and any(item.container_port == node.rtc_port for item in container.ports)
    return container if node.builtin and published else None


def _detect_host(
    members: list[Node],
    application: list[ProxyRoute],
    rtc: list[ProxyRoute],
    plan_input: PlanInput,
    route_index: RouteIndex,
) -> tuple[str, str]:
    """The host of the proxy and the evidence. ("", evidence) for one that nobody listed, ("", "") for none."""
    first = members[0]
    named = [
        proxy_route
        for proxy_route in application + rtc
        if first.server_name in [name.lower() for name in proxy_route.vhost.names]
    ]
    for proxy_route in named + application:
        return (
            proxy_route.host,
            f"{proxy_route.where} forwards to {proxy_route.upstream.host}:{proxy_route.upstream.port}",
        )
    connector = first.connector
    addresses = first.facts.resolves.get(first.server_name, [])
    own = [address for address in addresses if routing.is_own(address, first.facts)]
    names_proxy = bool(connector and connector.proxy_name)
    if addresses and not own:
        listed = _find_host(addresses, plan_input, route_index, first.host)
        if listed or names_proxy:
            where = f"{first.server_name} resolves to {', '.join(addresses)} on {first.host}"
            return listed, where + (f", which is {listed}" if listed else ", which is no host that was seen")
    ended_before = bool(connector and connector.scheme == "https" and not connector.ssl)
    if names_proxy and own:
        host, why = _guess_local(first)
        if why or not ended_before:  # port forwarding alone cannot end TLS
            return host, why
    elif names_proxy:
        where = f"{first.server_xml}:{connector.line if connector else 0}"
        return "", f"{where}: proxyName, which does not resolve on {first.host}"
    if first.settings.proxy_kind in UNMANAGED_PROXIES:
        return "", f"rtc_proxy_kind is {first.settings.proxy_kind}"
    if first.settings.proxy_kind and (own or not ended_before):
        return first.host, f"rtc_proxy_kind is {first.settings.proxy_kind}, and no other host is named"
    if connector and ended_before:
        return "", f"{first.server_xml}:{connector.line}: scheme is https, so something in front of Tomcat ends TLS"
    if len(members) > 1:
        return "", "several nodes share one name, so something distributes the requests"
    return "", ""


def _guess_local(node: Node) -> tuple[str, str]:
    """proxyName is this very host. Something else than Tomcat on the public port is a proxy; else there is none."""
    connector = node.connector
    if connector is None or connector.proxy_port in (0, connector.port):
        return "", ""
    why = f"{node.server_xml}:{connector.line}: proxyName is this host and proxyPort {connector.proxy_port}"
    listening = [item for item in node.facts.listeners if item.port == connector.proxy_port]
    if any(item.process in PUBLISHERS for item in listening):
        return "", f"{why}, where {listening[0].process} leads to a container: the proxy is in one"
    if node.facts.proxies or listening:
        return node.host, why
    # Port forwarding in the kernel (80 -> 8080) looks like this too: nothing listens there.
    return "", ""


def _find_host(addresses: list[str], plan_input: PlanInput, route_index: RouteIndex, besides: str) -> str:
    """The host of the inventory that has the address and can be a proxy; one of the group rtc_proxies first."""
    found = [host for host in route_index.find_hosts(addresses) if host != besides]
    listed = [host for host in found if host in plan_input.groups.get("rtc_proxies", [])]
    running = [host for host in found if any(item.running for item in plan_input.facts[host].proxies)]
    return next(iter(listed + running), "")


def _decide_kind(use: ProxyUse, settings: HostSettings, of_proxy: HostSettings) -> tuple[str, Proxy | None]:
    installed = {proxy.kind: proxy for proxy in (use.facts.proxies if use.facts else [])}
    wanted = settings.proxy_kind or of_proxy.proxy_kind
    if wanted:
        return wanted, installed.get(wanted)
    for proxy_route in use.application + use.rtc:
        return proxy_route.proxy.kind, proxy_route.proxy
    if not use.host:
        return "unknown", None
    running = [kind for kind, proxy in installed.items() if proxy.running]
    for kind in running if len(running) == 1 else list(installed):
        return kind, installed[kind]
    return "nginx", None
