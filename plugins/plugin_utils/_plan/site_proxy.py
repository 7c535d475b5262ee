# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which proxy is before a site, and the evidence for it. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY, Wishes
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Landscape, Node, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import Match


def find(members: list[Node], landscape: Landscape) -> ProxyUse | None:
    """The proxy of the site that these nodes make; ``None`` for none."""
    first = members[0]
    if first.wishes.proxy == NO_PROXY:
        return None
    application = [
        match for node in members for match in _matches(node, node.connector.port if node.connector else 0, landscape)
    ]
    rtc = [match for node in members for match in _matches(node, first.rtc_port, landscape)]
    if first.wishes.proxy:
        host, why = first.wishes.proxy, f"rtc_proxy is {first.wishes.proxy}"
    else:
        host, why = _detected_host(members, application, rtc, landscape)
    if not why:
        return None
    use = ProxyUse(host, "", landscape.facts.get(host), evidence=why)
    use.application = [match for match in application if match.host == host]
    use.rtc = [match for match in rtc if match.host == host]
    use.local = next((node.host for node in members if use.facts and routing.same_machine(node.facts, use.facts)), "")
    use.kind, use.proxy = _proxy_kind(use, first.wishes, landscape.wishes_of(host, first.kind))
    # A proxy of another kind on the same host may have routes too; they are not this site's.
    use.application = [match for match in use.application if match.proxy.kind == use.kind]
    use.rtc = [match for match in use.rtc if match.proxy.kind == use.kind]
    return use


def _matches(node: Node, port: int, landscape: Landscape) -> list[Match]:
    return landscape.ways().to_node(node.host, node.facts, port)


def _detected_host(
    members: list[Node], application: list[Match], rtc: list[Match], landscape: Landscape
) -> tuple[str, str]:
    """The host of the proxy and the evidence. ("", evidence) for one that nobody listed, ("", "") for none."""
    first = members[0]
    named = [match for match in application + rtc if first.server_name in [name.lower() for name in match.vhost.names]]
    for match in named + application:
        return match.host, f"{match.where} forwards to {match.upstream.host}:{match.upstream.port}"
    connector = first.connector
    addresses = first.facts.resolves.get(first.server_name, [])
    own = [address for address in addresses if routing.is_own(address, first.facts)]
    names_proxy = bool(connector and connector.proxy_name)
    if addresses and not own:
        listed = _host_with_address(addresses, landscape, first.host)
        if listed or names_proxy:
            where = f"{first.server_name} resolves to {', '.join(addresses)} on {first.host}"
            return listed, where + (f", which is {listed}" if listed else ", which is no host that was seen")
    if names_proxy and own:
        return _local_guess(first)
    if names_proxy:
        where = f"{first.server_xml}:{connector.line if connector else 0}"
        return "", f"{where}: proxyName, which does not resolve on {first.host}"
    if connector and connector.scheme == "https" and not connector.ssl:
        return "", f"{first.server_xml}:{connector.line}: scheme is https, so something before Tomcat ends TLS"
    if first.wishes.proxy_kind in ("aws_alb", "other"):
        return "", f"rtc_proxy_kind is {first.wishes.proxy_kind}"
    if first.wishes.proxy_kind:
        return first.host, f"rtc_proxy_kind is {first.wishes.proxy_kind}, and no other host is named"
    if len(members) > 1:
        return "", "several nodes share one name, so something distributes the requests"
    return "", ""


def _local_guess(node: Node) -> tuple[str, str]:
    """proxyName is this very host. Something else than Tomcat on the public port is a proxy; else there is none."""
    connector = node.connector
    if connector is None or connector.proxy_port in (0, connector.port):
        return "", ""
    why = f"{node.server_xml}:{connector.line}: proxyName is this host and proxyPort {connector.proxy_port}"
    if node.facts.proxies or any(item.port == connector.proxy_port for item in node.facts.listeners):
        return node.host, why
    # Port forwarding in the kernel (80 -> 8080) looks like this too: nothing listens there.
    return "", ""


def _host_with_address(addresses: list[str], landscape: Landscape, besides: str) -> str:
    """The host of the inventory that has the address and can be a proxy; one of the group rtc_proxies first."""
    found = [host for host in landscape.ways().hosts(addresses) if host != besides]
    listed = [host for host in found if host in landscape.groups.get("rtc_proxies", [])]
    running = [host for host in found if any(item.running for item in landscape.facts[host].proxies)]
    return next(iter(listed + running), "")


def _proxy_kind(use: ProxyUse, wishes: Wishes, of_proxy: Wishes) -> tuple[str, Proxy | None]:
    installed = {proxy.kind: proxy for proxy in (use.facts.proxies if use.facts else [])}
    wanted = wishes.proxy_kind or of_proxy.proxy_kind
    if wanted:
        return wanted, installed.get(wanted)
    for match in use.application + use.rtc:
        return match.proxy.kind, match.proxy
    if not use.host:
        return "unknown", None
    running = [kind for kind, proxy in installed.items() if proxy.running]
    for kind in running if len(running) == 1 else list(installed):
        return kind, installed[kind]
    return "nginx", None
