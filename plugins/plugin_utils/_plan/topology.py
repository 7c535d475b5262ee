# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The classification: facts of all hosts and the inventory's wishes become sites. PRIVATE to the collection.

The site is what is *intended*: what is there, overlaid by what the inventory states. Every conclusion is kept with its
evidence in ``Site.evidence``. Nothing is reported here: what is odd is for the ``_inspect*`` modules.
"""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, Connector, HostFacts
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import (
    DEFAULT_PORTS,
    KINDS,
    NO_PROXY,
    Wishes,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema, site_proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    Landscape,
    Node,
    ProxyUse,
    SiteState,
    builtin,
    deployed,
    is_own,
)

__all__ = [
    "Landscape",
    "Node",
    "ProxyUse",
    "SiteState",
    "builtin",
    "choose",
    "classify",
    "context_path",
    "deployed",
    "nodes",
]

TOMCAT_PORTS = {"confluence": 8090, "jira": 8080}
TOPOLOGIES = {
    ("HTTP", "direct"): "T1",
    ("HTTP", "remote"): "T2",
    ("HTTP", "same_host"): "T3",
    ("HTTP", "data_center"): "T4",
    ("HTTP + SSL", "remote"): "T5",
    ("HTTP + SSL", "same_host"): "T6",
    ("HTTP + SSL", "data_center"): "T7",
    ("HTTPS", "direct"): "T8",
    # Re-encryption is one row of the table, wherever the proxy stands.
    ("HTTPS", "remote"): "T9",
    ("HTTPS", "same_host"): "T9",
    ("HTTPS", "data_center"): "T9",
}


def classify(landscape: Landscape) -> list[SiteState]:
    """The sites, ordered by name. Hosts without a usable application or server name have none."""
    landscape.ways(anew=True)
    groups: dict[tuple[str, str, int], list[Node]] = {}
    for node in nodes(landscape):
        if node.connector and node.server_name:
            groups.setdefault((node.server_name, node.rtc_port, node.kind), []).append(node)  # type: ignore[arg-type]
    return [_site(groups[key], landscape) for key in sorted(groups)]


def nodes(landscape: Landscape) -> list[Node]:
    """Every application that the inventory lists and detection found, in the order of the inventory."""
    found = []
    for kind in KINDS:
        for host in landscape.groups.get(kind, []):
            facts = landscape.facts.get(host)
            if facts is None:
                continue
            application = choose(facts, kind, landscape.wishes_of(host, kind))[0]
            if application:
                found.append(_node(host, facts, application, landscape))
    return found


def choose(facts: HostFacts, kind: str, wishes: Wishes) -> tuple[Application | None, str]:
    """The application of a host and why it is that one; ``None`` when there is none, or no way to choose."""
    all_of_kind = [item for item in facts.applications if item.kind == kind and not item.leftover]
    if wishes.install_dir:
        named = [
            item
            for item in facts.applications
            if item.kind == kind and item.install_dir.rstrip("/") == wishes.install_dir
        ]
        return (named[0], "rtc_install_dir names it") if named else (None, f"nothing is in {wishes.install_dir}")
    if len(all_of_kind) <= 1:
        return (all_of_kind[0], "the only one") if all_of_kind else (None, "none was found")
    running = [item for item in all_of_kind if item.process]
    if len(running) == 1:
        return running[0], "the only one that runs"
    places = ", ".join(item.install_dir for item in all_of_kind)
    return None, f"there are several: {places}"


def user_connector(application: Application, wishes: Wishes) -> Connector | None:
    """The connector that users' requests arrive at, or the one that ``rtc_connector_port`` names."""
    connectors = application.server_xml.connectors if application.server_xml else []
    if wishes.connector_port:
        return next((item for item in connectors if item.port == wishes.connector_port), None)
    return next((item for item in connectors if item.user), None)


def presumed_connector(facts: HostFacts, application: Application, wishes: Wishes) -> Connector | None:
    """What the connector must be where server.xml may not be read: the product's own port, if something listens on it."""
    xml = application.server_xml
    if xml is None or not xml.error or not any(item.what == xml.path for item in facts.unreadable):
        return None
    port = wishes.connector_port or TOMCAT_PORTS[application.kind]
    listener = next((item for item in facts.listeners if item.port == port), None)
    return Connector(line=0, port=port, address=listener.address, user=True) if listener else None


def _node(host: str, facts: HostFacts, application: Application, landscape: Landscape) -> Node:
    kind = application.kind
    wishes = landscape.wishes_of(host, kind)
    connector = user_connector(application, wishes) or presumed_connector(facts, application, wishes)
    node = Node(host, facts, application, wishes, connector)
    if node.presumed and connector:
        node.evidence.append(f"connector: port {connector.port} of {host} listens; {node.server_xml} may not be read")
    node.given = landscape.tls.get(host, {}).get(kind)
    node.rtc_port = _rtc_port(node)
    if node.connector:
        node.server_name = _server_name(node, landscape)
    return node


def _rtc_port(node: Node) -> int:
    if node.wishes.port:
        node.evidence.append(f"RTC port {node.wishes.port}: rtc_port")
        return node.wishes.port
    found = deployed(node)
    if found and found.port:
        node.evidence.append(f"RTC port {found.port}: our instance {found.instance} on {node.host} has it")
        return found.port
    own = [item for item in node.facts.rtc if item.kind == "builtin" and item.pid and is_own(item, node)]
    if len(own) == 1:
        node.evidence.append(f"RTC port {own[0].port}: the application on {node.host} (pid {own[0].pid}) listens on it")
        return own[0].port
    port = DEFAULT_PORTS[node.kind]
    node.evidence.append(f"RTC port {port}: the default beside {node.kind.capitalize()}")
    return port


def _server_name(node: Node, landscape: Landscape) -> str:
    connector = node.connector
    if node.wishes.server_name:
        node.evidence.append("server name: rtc_server_name")
        return node.wishes.server_name
    if connector and connector.proxy_name:
        node.evidence.append(f"server name: {node.server_xml}:{connector.line}: proxyName")
        return connector.proxy_name.lower()
    for match in landscape.ways().to_node(node.host, node.facts, connector.port if connector else 0):
        name = next((item for item in match.vhost.names if "." in item and not set(item) & set("*~^_")), "")
        if name:
            node.evidence.append(f"server name: {match.where} forwards it here")
            return name.lower()
    if "." in node.facts.hostname:
        node.evidence.append(f"server name: the full name of {node.host}")
        return node.facts.hostname.lower()
    return ""


def _site(members: list[Node], landscape: Landscape) -> SiteState:
    first = members[0]
    proxy = site_proxy.find(members, landscape)
    site = schema.Site(
        name=f"{first.server_name}:{first.rtc_port}",
        application=first.kind,
        nodes=[node.host for node in members],
        server_name=first.server_name,
        rtc_port=first.rtc_port,
        protocol="",
        placement="",
        topology="",
        context_path=context_path(first),
        evidence=list(first.evidence),
    )
    state = SiteState(site, members, proxy)
    _placement(state)
    _protocol(state)
    _addresses(state)
    return state


def context_path(node: Node) -> str:
    """The application's path, "" for the root."""
    path = node.application.server_xml.context_path if node.application.server_xml else ""
    return path.rstrip("/")


def _placement(state: SiteState) -> None:
    site, proxy = state.site, state.proxy
    if proxy:
        site.proxy_host, site.proxy_kind = proxy.host, proxy.kind
        site.evidence.append(f"proxy: {proxy.evidence}")
    if len(state.nodes) > 1:
        site.placement = "data_center"
        site.evidence.append(f"data_center: {', '.join(site.nodes)} have the same server name and RTC port")
    elif proxy is None:
        site.placement = "direct"
        site.evidence.append("direct: " + _why_direct(state.nodes[0]))
    else:
        site.placement = "same_host" if proxy.local else "remote"


def _why_direct(node: Node) -> str:
    if node.wishes.proxy == NO_PROXY:
        return "rtc_proxy is none"
    return f"no proxy is known to forward to {node.host}, and server.xml names none"


def _protocol(state: SiteState) -> None:
    site, connector = state.site, state.nodes[0].connector
    ssl = bool(connector and connector.ssl)
    line = f"{state.nodes[0].server_xml}:{connector.line if connector else 0}"
    if site.placement == "direct" or (state.proxy is None):
        state.tls = ssl
        site.protocol = "HTTPS" if ssl else "HTTP"
        why = f"{line}: SSLEnabled is {'true' if ssl else 'not true'}"
        site.evidence.append(
            f"{site.protocol}: {'a guess, nothing says otherwise' if state.nodes[0].presumed else why}"
        )
    else:
        state.tls, why = tls_at_proxy(state)
        site.protocol = ("HTTPS" if ssl else "HTTP + SSL") if state.tls else "HTTP"
        site.evidence.append(f"{site.protocol}: {why}" + (f"; {line}: SSLEnabled is true" if ssl else ""))
    site.topology = TOPOLOGIES[(site.protocol, site.placement)]


def tls_at_proxy(state: SiteState) -> tuple[bool, str]:
    """Whether users speak TLS to the proxy, and the fact that says so."""
    proxy, node = state.proxy, state.nodes[0]
    connector = node.connector
    if state.wishes.tls_certificate:
        return True, "rtc_tls_certificate is given"
    for match in proxy.application if proxy else []:
        if match.listen.tls:
            return True, f"{match.where} listens with TLS on port {match.listen.port} and forwards to Tomcat"
    if connector and connector.scheme == "https" and not connector.ssl:
        return True, f"{node.server_xml}:{connector.line}: scheme is https"
    if proxy and proxy.application:
        return False, f"{proxy.application[0].where} listens without TLS on port {proxy.application[0].listen.port}"
    if connector and connector.proxy_port == 443:
        return True, f"{node.server_xml}:{connector.line}: proxyPort is 443"
    for match in proxy.rtc if proxy else []:
        if match.listen.tls:
            return True, f"{match.where} listens with TLS on the RTC port"
    return False, "no certificate is given, and no fact says that the proxy has one"


def _addresses(state: SiteState) -> None:
    site = state.site
    state.application_port = _application_port(state)
    scheme = "https" if state.tls else "http"
    default = 443 if state.tls else 80
    port = "" if state.application_port == default else f":{state.application_port}"
    site.base_url = f"{scheme}://{site.server_name}{port}{site.context_path}"
    site.rtc_url = f"{scheme}://{site.server_name}:{site.rtc_port}"


def _application_port(state: SiteState) -> int:
    connector = state.nodes[0].connector
    if state.wishes.application_port:
        return state.wishes.application_port
    if state.proxy is None:
        return connector.port if connector else 0
    for match in state.proxy.application:
        if match.listen.tls == state.tls:
            return match.listen.port
    if connector and connector.proxy_port and (connector.scheme == "https") == state.tls:
        return connector.proxy_port
    return 443 if state.tls else 80
