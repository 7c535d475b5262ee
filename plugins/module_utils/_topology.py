# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The classification: facts of all hosts and the inventory's wishes become sites. PRIVATE to the collection.

The site is what is *intended*: what is there, overlaid by what the inventory states. Every conclusion is kept with its
evidence in ``Site.evidence``. Nothing is reported here: what is odd is for the ``_inspect*`` modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils import _plan, _routes
from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, Connector, HostFacts, Proxy, RtcInstance
from ansible_collections.collab.rtc.plugins.module_utils._given_tls import GivenTls
from ansible_collections.collab.rtc.plugins.module_utils._routes import Match
from ansible_collections.collab.rtc.plugins.module_utils._wishes import (
    DEFAULT_PORTS,
    KINDS,
    MANAGED_PROXIES,
    NO_PROXY,
    Problem,
    Wishes,
)

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


@dataclass
class Landscape:
    """All that a plan is made from. Keys of the dictionaries are inventory names."""

    facts: dict[str, HostFacts] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)  # confluence, jira, rtc_proxies
    wishes: dict[str, dict[str, Wishes]] = field(default_factory=dict)  # host -> application -> wishes
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    common: dict[str, list[str]] = field(default_factory=dict)  # variables set once for both applications of a host
    tls: dict[str, dict[str, GivenTls]] = field(default_factory=dict)  # host -> application -> what the files hold
    failed: dict[str, str] = field(default_factory=dict)  # host -> why there are no facts
    now: float = 0.0  # seconds since the epoch, on the controller

    def wishes_of(self, host: str, kind: str = "") -> Wishes:
        """The wishes of a host for an application; of any application for a proxy host."""
        known = self.wishes.get(host, {})
        return known.get(kind) or next(iter(known.values()), Wishes())


@dataclass
class Node:
    """One application on one host."""

    host: str
    facts: HostFacts
    application: Application
    wishes: Wishes
    connector: Connector | None = None
    server_name: str = ""
    rtc_port: int = 0
    given: GivenTls | None = None
    evidence: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """``confluence`` or ``jira``."""
        return self.application.kind

    @property
    def server_xml(self) -> str:
        """Path of server.xml, as far as it is known."""
        found = self.application.server_xml
        return found.path if found else f"{self.application.install_dir}/conf/server.xml"


@dataclass
class ProxyUse:
    """The proxy of a site. ``host`` is "" for one that the inventory does not list."""

    host: str
    kind: str
    facts: HostFacts | None = None
    proxy: Proxy | None = None  # None: not installed yet, or not seen
    local: str = ""  # the node that runs on the same machine
    application: list[Match] = field(default_factory=list)  # routes to the applications' connectors
    rtc: list[Match] = field(default_factory=list)  # routes to the RTC port
    evidence: str = ""

    @property
    def managed(self) -> bool:
        """Whether this collection can write its configuration."""
        return bool(self.host) and self.facts is not None and self.kind in MANAGED_PROXIES


@dataclass
class SiteState:
    """A site with all that led to it."""

    site: _plan.Site
    nodes: list[Node]
    proxy: ProxyUse | None = None
    tls: bool = False  # users speak TLS
    application_port: int = 0  # in the address that users type

    @property
    def wishes(self) -> Wishes:
        """The wishes of the first node; the nodes of one site have to agree."""
        return self.nodes[0].wishes

    def service(self, node: Node) -> str:
        """``deployed`` or ``builtin``: whose RTC service it is, or is to be."""
        if node.wishes.service != "auto":
            return node.wishes.service
        return "builtin" if builtin(node) else "deployed"


def classify(landscape: Landscape) -> list[SiteState]:
    """The sites, ordered by name. Hosts without a usable application or server name have none."""
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
        named = [item for item in facts.applications if item.kind == kind and item.install_dir.rstrip("/") == wishes.install_dir]
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


def builtin(node: Node) -> RtcInstance | None:
    """The add-on's own RTC service on the node's RTC port, inside the application's JVM."""
    xml = node.application.server_xml
    if xml and any(item.port == node.rtc_port for item in xml.connectors):
        return None  # Tomcat itself
    for instance in node.facts.rtc:
        if instance.kind == "builtin" and instance.port == node.rtc_port and _is_own(instance, node):
            return instance
    pid = node.application.process.pid if node.application.process else 0
    for item in node.facts.listeners:
        if item.port == node.rtc_port and pid and item.pid == pid:
            return RtcInstance("builtin", item.port, item.address, active=True, process=item.process, pid=item.pid)
    return None


def deployed(node: Node) -> RtcInstance | None:
    """The instance of our own RTC server for this application."""
    ours = (item for item in node.facts.rtc if item.kind == "deployed")
    return next((item for item in ours if item.instance == node.kind), None)


def _is_own(instance: RtcInstance, node: Node) -> bool:
    process = node.application.process
    return not (instance.pid and process) or instance.pid == process.pid


def _node(host: str, facts: HostFacts, application: Application, landscape: Landscape) -> Node:
    kind = application.kind
    wishes = landscape.wishes_of(host, kind)
    node = Node(host, facts, application, wishes, user_connector(application, wishes))
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
    own = [item for item in node.facts.rtc if item.kind == "builtin" and item.pid and _is_own(item, node)]
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
    for match in _routes.to_node(node.host, node.facts, connector.port if connector else 0, landscape.facts):
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
    proxy = _proxy(members, landscape)
    site = _plan.Site(
        name=f"{first.server_name}:{first.rtc_port}", application=first.kind, nodes=[node.host for node in members],
        server_name=first.server_name, rtc_port=first.rtc_port, protocol="", placement="", topology="",
        context_path=context_path(first), evidence=list(first.evidence),
    )  # fmt: skip
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
        site.evidence.append(f"{site.protocol}: {line}: SSLEnabled is {'true' if ssl else 'not true'}")
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


# Which proxy


def _proxy(members: list[Node], landscape: Landscape) -> ProxyUse | None:
    first = members[0]
    if first.wishes.proxy == NO_PROXY:
        return None
    application = [match for node in members for match in _matches(node, node.connector.port if node.connector else 0, landscape)]
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
    use.local = next((node.host for node in members if use.facts and _routes.same_machine(node.facts, use.facts)), "")
    use.kind, use.proxy = _proxy_kind(use, first.wishes, landscape.wishes_of(host, first.kind))
    # A proxy of another kind on the same host may have routes too; they are not this site's.
    use.application = [match for match in use.application if match.proxy.kind == use.kind]
    use.rtc = [match for match in use.rtc if match.proxy.kind == use.kind]
    return use


def _matches(node: Node, port: int, landscape: Landscape) -> list[Match]:
    return _routes.to_node(node.host, node.facts, port, landscape.facts)


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
    own = [address for address in addresses if _routes.is_own(address, first.facts)]
    names_proxy = bool(connector and connector.proxy_name)
    if addresses and not own:
        listed = _host_with_address(addresses, landscape, first.host)
        if listed or names_proxy:
            where = f"{first.server_name} resolves to {', '.join(addresses)} on {first.host}"
            return listed, where + (f", which is {listed}" if listed else ", which is no host of the inventory")
    if names_proxy and own:
        return _local_guess(first)
    if names_proxy:
        return "", f"{first.server_xml}:{connector.line if connector else 0}: proxyName, which does not resolve on {first.host}"
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
    listed = landscape.groups.get("rtc_proxies", [])
    for host in [*listed, *(name for name in landscape.facts if name not in listed)]:
        facts = landscape.facts.get(host)
        if facts and host != besides and (any(item.running for item in facts.proxies) or host in listed) and set(addresses) & set(facts.addresses):
            return host
    return ""


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
