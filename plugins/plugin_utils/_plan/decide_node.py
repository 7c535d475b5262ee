# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each application of a site is to be: connector, how the proxy reaches it, restart. Pure.

Each function decides one thing, from facts and settings, and says why. It is called once for each node of a run; who
needs the answer later reads it from the desired state.
"""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import (
    decide_container,
    decide_service,
    decide_trust,
    routing,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.decide_service import LOOPBACK
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.decide_trust import CLOCK_SLACK
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import (
    DesiredConnector,
    DesiredNode,
    DesiredRestart,
    DesiredService,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import (
    ClassifiedSite,
    Node,
    ProxyUse,
    list_attributes,
)


def decide_node(classified: ClassifiedSite, node: Node) -> DesiredNode:
    """All that one application is to be."""
    beside = is_beside_proxy(classified, node)
    connector = decide_connector(classified, node, beside)
    service = decide_service.decide_service(classified, node, connector, beside)
    upstream, why = decide_upstream_host(classified, node, connector, service, beside)
    trust = decide_trust.decide_trust(classified, node)
    container = None
    if node.application.container:
        attributes = decide_attributes(classified, _connector_of(node), "", False)
        container = decide_container.decide_container(classified, node, attributes, service, trust, beside)
    return DesiredNode(
        host=node.host,
        application=node.kind,
        beside_proxy=beside,
        upstream_host=upstream,
        connector=connector,
        service=service,
        trust=trust,
        restart=decide_restart(node, connector),
        container=container,
        textfile=decide_textfile(node),
        evidence={"upstream_host": why},
    )


def decide_textfile(node: Node) -> str:
    """Where verifications leave their results: a file for each application, so that one may go without the other."""
    directory = node.settings.textfile_directory.rstrip("/")
    return f"{directory}/collab-rtc-{node.kind}.prom" if directory else ""


def is_beside_proxy(classified: ClassifiedSite, node: Node) -> bool:
    """Whether the site's proxy is on the node's own machine."""
    return bool(classified.proxy and classified.proxy.local == node.host)


def decide_connector(classified: ClassifiedSite, node: Node, beside: bool) -> DesiredConnector:
    """Address and attributes of the connector."""
    connector = _connector_of(node)
    if node.application.container:
        why = f"it is in the container {node.application.container.name}"
        return decide_container.decide_connector(node, connector, beside, {"address": why, "attributes": why})
    address, why = decide_connector_address(classified, node, beside)
    attributes = {} if node.presumed else decide_attributes(classified, connector, address, beside)
    return DesiredConnector(
        path=node.server_xml,
        port=connector.port,
        scheme="https" if connector.ssl else "http",
        address=address,
        attributes=attributes,
        differs=_differs(connector, attributes),
        tomcat_version=node.application.tomcat_version,
        properties=node.application.server_xml.properties if node.application.server_xml else {},
        evidence={"address": why, "attributes": _explain_attributes(classified, node)},
    )


def _connector_of(node: Node) -> Connector:
    """A node of a site has a connector: without one, it would not be part of a site."""
    return node.connector or Connector(line=0, port=0)


def decide_connector_address(classified: ClassifiedSite, node: Node, beside: bool) -> tuple[str, str]:
    """The address that the connector is to have, "" for all; and why."""
    connector = _connector_of(node)
    current, here = connector.address, f"{node.server_xml}:{connector.line}"
    loopback = routing.is_loopback(current)
    if beside:
        if loopback:
            return current, f"{here}: address is {current}, and the proxy is on {node.host} itself"
        return LOOPBACK, f"the proxy is on {node.host} itself"
    if classified.proxy and loopback and not classified.proxy.host and _is_name_own(classified, node):
        return current, f"{here}: address is {current}, and {classified.site.server_name} is {node.host} itself"
    if classified.proxy and loopback:
        return "", f"the proxy is on {_name_host(classified.proxy)} and cannot reach {current} of {node.host}"
    if current in routing.WILDCARDS:
        return "", f"{here}: address is {current or 'not set'}"
    return current, f"{here}: address is {current}"


def _is_name_own(classified: ClassifiedSite, node: Node) -> bool:
    """Whether the server name leads to the node's own host: then a proxy that was not seen is there."""
    return any(
        routing.is_own(address, node.facts) for address in node.facts.resolves.get(classified.site.server_name, [])
    )


def _name_host(proxy: ProxyUse) -> str:
    return proxy.host or "another host"


def decide_attributes(
    classified: ClassifiedSite, connector: Connector, address: str, beside: bool
) -> dict[str, str | None]:
    """The attributes that the site needs of the connector; ``None`` for one that has to go.

    What Tomcat does by itself is left out: for plain HTTP there is no need to write scheme and secure.
    """
    wanted: dict[str, str | None] = {}
    if classified.proxy is None:
        return {"proxyName": None} if connector.attributes.get("proxyName") == "" else {}
    if beside:
        wanted["address"] = address
    elif not address and routing.is_loopback(connector.address):
        wanted["address"] = None
    same = connector.proxy_name.lower() == classified.site.server_name
    wanted["proxyName"] = connector.proxy_name if same else classified.site.server_name
    wanted["proxyPort"] = str(classified.application_port)
    if connector.ssl:
        return wanted  # Tomcat ignores scheme and secure where SSLEnabled is true
    if classified.tls:
        wanted["scheme"], wanted["secure"] = "https", "true"
        return wanted
    if connector.scheme == "https":
        wanted["scheme"] = None
    if connector.secure:
        wanted["secure"] = None
    return wanted


def _explain_attributes(classified: ClassifiedSite, node: Node) -> str:
    if node.presumed:
        return f"{node.server_xml} may not be read, so it is not edited"
    if classified.proxy is None:
        return "no proxy is in front of Tomcat"
    return f"users come by {classified.site.base_url}"


def _differs(connector: Connector, attributes: dict[str, str | None]) -> bool:
    """Whether the connector has to be changed at all."""
    now = list_attributes(connector)
    return any(value is None or now.get(name, "") != value for name, value in attributes.items())


def decide_upstream_host(
    classified: ClassifiedSite, node: Node, connector: DesiredConnector, service: DesiredService, beside: bool
) -> tuple[str, str]:
    """Name or address by which the proxy reaches the node, and why."""
    if beside:
        return service.address, f"the proxy is on {node.host} itself"
    if connector.address:
        return connector.address, connector.evidence["address"]
    for proxy_route in classified.proxy.application if classified.proxy else []:
        host = proxy_route.upstream.host.strip("[]").lower()
        if host in node.facts.addresses or host in routing.list_names(node.host, node.facts):
            return proxy_route.upstream.host, f"{proxy_route.where} forwards there already"
    if node.facts.main_address:
        return node.facts.main_address, f"the main address of {node.host}"
    if node.facts.addresses:
        return node.facts.addresses[0], f"the first address of {node.host}"
    return node.host, "the name in the inventory; no address is known"


def decide_restart(node: Node, connector: DesiredConnector) -> DesiredRestart:
    """How the application is restarted, and why it should have been restarted already."""
    service = node.application.service
    obstacle = find_restart_obstacle(node)
    container = node.application.container
    name = service.name if service else ""
    return DesiredRestart(
        service=f"the container {container.name}" if container else name,
        service_kind=service.kind if service else "none",
        address=connector.address or LOOPBACK,
        reasons=find_restart_reasons(node),
        policy="never" if obstacle else node.settings.restart_application,
        obstacle=obstacle,
        command=node.settings.application_restart,
    )


def find_restart_obstacle(node: Node) -> str:
    """Why a run cannot restart the application, "" when it can: a sentence without its end."""
    service, process = node.application.service, node.application.process
    if node.settings.application_restart:
        return ""
    if service is None or service.kind == "none":
        return service.reason if service and service.reason else "no unit and no SysV script is known to start it"
    if process is not None and not service.active:
        # To restart the service would be to start a second JVM, or to be refused for the PID file.
        return f"process {process.pid} runs outside of its service {service.name}, which is not active"
    return ""


def find_restart_reasons(node: Node) -> list[str]:
    """Why the running application should have been restarted already: what it read at its start has changed since."""
    process = node.application.process
    if process is None:
        return []
    xml, java = node.application.server_xml, node.application.java
    store, option = (java.truststore, java.option) if java else (None, None)
    named = process.properties.get("javax.net.ssl.trustStore", "")
    newer = []
    if xml and xml.mtime > process.started + CLOCK_SLACK:
        newer.append(xml.path)
    if store and store.mtime > process.started + CLOCK_SLACK:
        newer.append(store.path)
    if option and option.managed_store not in ("", named) and option.mtime > process.started + CLOCK_SLACK:
        newer.append(option.path)
    reasons = [f"{path} is newer than the process {process.pid}" for path in newer]
    if node.makes_room:
        reasons.append(
            f"the add-on gets port {node.rtc_port} at the start of the application, which our RTC server had"
        )
    return reasons + [
        f"{item.what}: the process {process.pid} has {item.running}, the next start has {item.following}"
        for item in process.differences
    ]
