# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The classification: the facts of all hosts and the settings of the inventory become sites. Pure.

A site is what the administrator means it to be: what is there, overlaid by what the inventory states. Each conclusion
is kept with its evidence in ``Site.evidence``. Nothing is reported here: what is odd is for the findings.
"""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import applications, schema, site_proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    Classification,
    ClassifiedSite,
    Node,
    PlanInput,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import RouteIndex, find_reach

# Protocol and placement -> topology. docs/topologies.md is made from here.
TOPOLOGIES = {
    ("HTTP", "direct"): "T1",
    ("HTTP", "remote"): "T2",
    ("HTTP", "same_host"): "T3",
    ("HTTP", "data_center"): "T4",
    ("HTTP + SSL", "remote"): "T5",
    ("HTTP + SSL", "same_host"): "T6",
    ("HTTP + SSL", "data_center"): "T7",
    ("HTTPS", "direct"): "T8",
    # A proxy that encrypts again is one topology, T9, whatever the placement.
    ("HTTPS", "remote"): "T9",
    ("HTTPS", "same_host"): "T9",
    ("HTTPS", "data_center"): "T9",
}


def classify(plan_input: PlanInput) -> Classification:
    """Applications and sites. Hosts without a usable application, server name or connector belong to no site."""
    route_index = RouteIndex(plan_input.facts)
    choices = applications.choose_all(plan_input)
    nodes = list(applications.find_nodes(plan_input, choices, route_index))
    groups: dict[tuple[str, int, str], list[Node]] = {}
    for node in nodes:
        name = node.server_name or node.meant_name
        if node.connector and name:
            groups.setdefault((name, node.rtc_port, node.kind), []).append(node)
    # One node with an unusable value: the others alone would be another site, with other upstreams.
    whole = [key for key in sorted(groups) if not any(node.unusable for node in groups[key])]
    sites = [_make_site(groups[key], plan_input, route_index) for key in whole]
    return Classification(sites, nodes, choices)


def _make_site(members: list[Node], plan_input: PlanInput, route_index: RouteIndex) -> ClassifiedSite:
    first = members[0]
    proxy = site_proxy.find_proxy(members, plan_input, route_index)
    site = schema.Site(
        name=f"{first.server_name}:{first.rtc_port}",
        application=first.kind,
        nodes=[node.host for node in members],
        server_name=first.server_name,
        rtc_port=first.rtc_port,
        protocol="",
        placement="",
        topology="",
        context_path=first.context_path,
        evidence=list(first.evidence),
    )
    classified = ClassifiedSite(site, members, proxy)
    _decide_placement(classified)
    _decide_protocol(classified)
    _decide_addresses(classified)
    return classified


def _decide_placement(classified: ClassifiedSite) -> None:
    site, proxy = classified.site, classified.proxy
    if proxy:
        site.proxy_host, site.proxy_kind = proxy.host, proxy.kind
        site.evidence.append(f"proxy: {proxy.evidence}")
    if len(classified.nodes) > 1:
        site.placement = "data_center"
        site.evidence.append(f"data_center: {', '.join(site.nodes)} have the same server name and RTC port")
    elif proxy is None:
        site.placement = "direct"
        site.evidence.append("direct: " + _explain_direct(classified.nodes[0]))
    else:
        site.placement = "same_host" if proxy.local else "remote"


def _explain_direct(node: Node) -> str:
    if node.settings.proxy == NO_PROXY:
        return "rtc_proxy is none"
    connector = node.connector
    if connector is None or not connector.proxy_name:
        return f"no proxy is known to forward to {node.host}, and {node.server_xml} names none"
    port = connector.proxy_port
    why = f"nothing listens on proxyPort {port}" if port not in (0, connector.port) else "the port is Tomcat's own"
    return (
        f"no proxy is known to forward to {node.host}; {node.server_xml}:{connector.line}: proxyName is"
        f" {connector.proxy_name}, which is this host, and {why}"
    )


def _decide_protocol(classified: ClassifiedSite) -> None:
    site, connector = classified.site, classified.nodes[0].connector
    ssl = bool(connector and connector.ssl)
    line = f"{classified.nodes[0].server_xml}:{connector.line if connector else 0}"
    if site.placement == "direct" or (classified.proxy is None):
        classified.tls = ssl
        site.protocol = "HTTPS" if ssl else "HTTP"
        why = f"{line}: SSLEnabled is {'true' if ssl else 'not true'}"
        site.evidence.append(
            f"{site.protocol}: {'a guess, nothing says otherwise' if classified.nodes[0].presumed else why}"
        )
    else:
        classified.tls, why = decide_tls_at_proxy(classified)
        site.protocol = ("HTTPS" if ssl else "HTTP + SSL") if classified.tls else "HTTP"
        site.evidence.append(f"{site.protocol}: {why}" + (f"; {line}: SSLEnabled is true" if ssl else ""))
    site.topology = TOPOLOGIES[(site.protocol, site.placement)]


def decide_tls_at_proxy(classified: ClassifiedSite) -> tuple[bool, str]:
    """Whether users speak TLS to the proxy, and the fact that says so."""
    proxy, node = classified.proxy, classified.nodes[0]
    connector = node.connector
    if classified.settings.tls_certificate:
        return True, "rtc_tls_certificate is given"
    if classified.settings.aws_certificate and proxy and proxy.kind == "aws_alb":
        return True, "rtc_aws_certificate is given"
    for proxy_route in proxy.application if proxy else []:
        if proxy_route.listen.tls:
            return (
                True,
                f"{proxy_route.where} listens with TLS on port {proxy_route.listen.port} and forwards to Tomcat",
            )
    if connector and connector.scheme == "https" and not connector.ssl:
        return True, f"{node.server_xml}:{connector.line}: scheme is https"
    if proxy and proxy.application:
        return False, f"{proxy.application[0].where} listens without TLS on port {proxy.application[0].listen.port}"
    if connector and connector.proxy_port == 443:
        return True, f"{node.server_xml}:{connector.line}: proxyPort is 443"
    for proxy_route in proxy.rtc if proxy else []:
        if proxy_route.listen.tls:
            return True, f"{proxy_route.where} listens with TLS on the RTC port"
    # Who states it knows more than can be seen, unless Tomcat says otherwise. A proxy of ours needs a certificate, too.
    unseen, stated = proxy is not None and not proxy.managed, classified.settings.protocol
    if unseen and stated and not (connector and connector.proxy_name):
        return stated != "HTTP", "rtc_protocol says so, and nothing that was seen says otherwise"
    return False, "no certificate is given, and no fact says that the proxy has one"


def _decide_addresses(classified: ClassifiedSite) -> None:
    site = classified.site
    classified.application_port = _decide_application_port(classified)
    scheme = "https" if classified.tls else "http"
    default = 443 if classified.tls else 80
    port = "" if classified.application_port == default else f":{classified.application_port}"
    site.base_url = f"{scheme}://{site.server_name}{port}{site.context_path}"
    site.rtc_url = f"{scheme}://{site.server_name}:{site.rtc_port}"


def _decide_application_port(classified: ClassifiedSite) -> int:
    connector = classified.nodes[0].connector
    if classified.settings.application_port:
        return classified.settings.application_port
    if classified.proxy is None:
        container = classified.nodes[0].application.container
        return find_reach(container, connector.port, False) if connector else 0
    for proxy_route in classified.proxy.application:
        if proxy_route.listen.tls == classified.tls and 0 < proxy_route.listen.port <= 65535:
            return proxy_route.listen.port
    if connector and connector.proxy_port and (connector.scheme == "https") == classified.tls:
        return connector.proxy_port
    return 443 if classified.tls else 80
