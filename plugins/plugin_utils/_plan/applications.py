# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which application each host carries: installation, connector, server name, RTC port and RTC service. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector, HostFacts, RtcInstance
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import host_names
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import (
    DEFAULT_PORTS,
    KINDS,
    HostSettings,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import host_values
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Choice, Node, PlanInput, UnusableValue
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute, RouteIndex, is_loopback
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.user_connector import find_user_connector


def choose_all(plan_input: PlanInput) -> dict[tuple[str, str], Choice]:
    """The choice for each host and kind that the inventory lists, in its order. Hosts without facts have none."""
    return {
        (host, kind): choose(plan_input.facts[host], kind, plan_input.settings_of(host, kind))
        for kind in KINDS
        for host in plan_input.groups.get(kind, [])
        if host in plan_input.facts
    }


def choose(facts: HostFacts, kind: str, settings: HostSettings) -> Choice:
    """The application of a host, and why it is that one."""
    in_use = [item for item in facts.applications if item.kind == kind and not item.leftover]
    if settings.install_dir:
        named = [
            item
            for item in facts.applications
            if item.kind == kind and _clean(settings.install_dir) in map(_clean, (item.install_dir, *item.aliases))
        ]
        if named:
            return Choice(named[0], "rtc_install_dir names it")
        return Choice(None, f"nothing{_explain_doubts(facts, kind)} is in {settings.install_dir}")
    outside = [item for item in in_use if not item.container]
    if any(item.process for item in outside):
        in_use = outside  # what runs on the host itself is the host's; one in a container is named by rtc_install_dir
    if len(in_use) <= 1:
        missing = f"none{_explain_doubts(facts, kind)} was found"
        return Choice(in_use[0], "the only one") if in_use else Choice(None, missing)
    running = [item for item in in_use if item.process]
    if len(running) == 1:
        return Choice(running[0], "the only one that runs")
    places = ", ".join(item.install_dir for item in in_use)
    return Choice(None, f"there are several: {places}")


def _clean(path: str) -> str:
    """A path without what means nothing: double slashes, single dots. Double dots after a link mean something."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _explain_doubts(facts: HostFacts, kind: str) -> str:
    return " that counts" if any(item.what == "installation" and item.kind == kind for item in facts.doubted) else ""


def find_nodes(
    plan_input: PlanInput, choices: dict[tuple[str, str], Choice], route_index: RouteIndex
) -> Iterator[Node]:
    """A node for each application that was chosen."""
    for (host, kind), choice in choices.items():
        if choice.application:
            node = Node(
                host,
                plan_input.facts[host],
                choice.application,
                plan_input.settings_of(host, kind),
                given=plan_input.tls.get(host, {}).get(kind),
                secret_digest=plan_input.secrets.get(host, {}).get(kind, ""),
            )
            _complete(node, route_index)
            yield node


def _complete(node: Node, route_index: RouteIndex) -> None:
    """Fill in what is decided about an application for itself, before there are sites."""
    node.connector, node.connector_why = find_user_connector(node, route_index)
    if node.connector and node.connector_why:
        node.evidence.append(f"connector: port {node.connector.port}: {node.connector_why}")
    if node.presumed and node.connector:
        node.evidence.append(
            f"connector: port {node.connector.port} of {node.host} listens; {node.server_xml} may not be read"
        )
    deployed = (item for item in node.facts.rtc if item.kind == "deployed")
    node.deployed = next((item for item in deployed if item.instance == node.kind), None)
    node.rtc_port = _decide_rtc_port(node)
    node.builtin = _find_builtin(node)
    if node.connector:
        container = node.application.container
        routes = route_index.find_routes_into(node.host, node.facts, container, node.connector.port)
        node.server_name = _decide_server_name(node, node.connector, routes)
        routed = any(0 < one.listen.port <= 65535 for one in routes)
        node.unusable += host_values.list_unusable(node, node.connector, routed)


def _decide_rtc_port(node: Node) -> int:
    if node.settings.port:
        node.evidence.append(f"RTC port {node.settings.port}: rtc_port")
        return node.settings.port
    found = node.deployed
    if found and found.port:
        node.evidence.append(f"RTC port {found.port}: the managed instance {found.instance} on {node.host} has it")
        return found.port
    own = [item for item in node.facts.rtc if item.kind == "builtin" and item.pid and _is_in_jvm(item, node)]
    if len(own) == 1:
        node.evidence.append(f"RTC port {own[0].port}: the application on {node.host} (pid {own[0].pid}) listens on it")
        return own[0].port
    port = DEFAULT_PORTS[node.kind]
    node.evidence.append(f"RTC port {port}: the default beside {node.kind.capitalize()}")
    return port


def _find_builtin(node: Node) -> RtcInstance | None:
    """The add-on's own RTC service on the node's RTC port."""
    xml = node.application.server_xml
    if xml and any(item.port == node.rtc_port for item in xml.connectors):
        return None  # Tomcat itself
    for instance in node.facts.rtc:
        if instance.kind == "builtin" and instance.port == node.rtc_port and _is_in_jvm(instance, node):
            return instance
    pid = node.application.process.pid if node.application.process else 0
    container = node.application.container
    if container is not None and container.network == "own":
        if node.rtc_port not in container.listens:
            return None
        # In the container it listens on all addresses; on the host it has those that it is published on.
        places = [item.address for item in container.ports if item.container_port == node.rtc_port]
        address = next((item for item in places if not is_loopback(item)), "127.0.0.1")
        return RtcInstance("builtin", node.rtc_port, address, active=True, process="java", pid=pid)
    for item in node.facts.listeners:
        if item.port == node.rtc_port and pid and item.pid == pid:
            return RtcInstance("builtin", item.port, item.address, active=True, process=item.process, pid=item.pid)
    return None


def _is_in_jvm(instance: RtcInstance, node: Node) -> bool:
    """Whether an instance is in the JVM of the node's application, as far as processes can be seen."""
    process = node.application.process
    return not (instance.pid and process) or instance.pid == process.pid


def _decide_server_name(node: Node, connector: Connector, routes: list[ProxyRoute]) -> str:
    """The name that users type; "" for none. The first place that has one counts, also with one that is unusable."""
    if node.settings.server_name:
        node.evidence.append("server name: rtc_server_name")
        return node.settings.server_name
    if connector.proxy_name:
        return _take_name(node, connector.proxy_name, f"{node.server_xml}:{connector.line}", "proxyName")
    unusable: list[UnusableValue] = []
    for proxy_route in routes:
        names = [item for item in proxy_route.vhost.names if "." in item and not item.startswith(("*", "~", "^", "."))]
        names = [item for item in names if not item.endswith(".*")]  # patterns name nobody
        name = next((item for item in names if not host_names.explain_name(item)), "")
        if name:
            node.evidence.append(f"server name: {proxy_route.where} forwards it here")
            return name.lower()
        what = "the name of the virtual host"
        unusable += [host_values.judge_name(item, proxy_route.where, what) for item in names]
    if "." in node.facts.hostname and node.facts.hostname.lower() not in host_names.LOOPBACK_NAMES and not unusable:
        name = _take_name(node, node.facts.hostname, node.host, "the host's own name")
        if name:
            node.evidence[-1] = f"server name: the full name of {node.host}"
        return name
    node.unusable += unusable[:1]
    return ""


def _take_name(node: Node, text: str, where: str, what: str) -> str:
    """A name in lower case, with its evidence; "" for one that cannot be used, which is noted."""
    if host_names.explain_name(text):
        node.unusable.append(host_values.judge_name(text, where, what))
        node.meant_name = host_names.guess_name(text)
        return ""
    node.evidence.append(f"server name: {where}: {what}")
    return text.lower()
