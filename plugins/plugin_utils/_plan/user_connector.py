# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which connector users' requests arrive at. Pure.

Who is in front decides: where a proxy that was seen forwards, users arrive. What attributes of the connectors suggest
(``Connector.user``) counts only where no proxy forwards to any of them.
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.connectors import DEFAULT_PORTS, is_ajp
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Node, UnusableValue
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute, RouteIndex

Routed = tuple[Connector, list[ProxyRoute]]  # a connector, and the routes of proxies that lead to it


def find_user_connector(node: Node, route_index: RouteIndex) -> tuple[Connector | None, str]:
    """The connector, and why it is that one where a variable or a proxy says so, against its attributes.

    A connector that cannot be supported is noted at the node (``Node.unusable``).
    """
    xml = node.application.server_xml
    connectors = xml.connectors if xml else []
    routed = _list_routed(node, connectors, route_index)
    if node.settings.connector_port:
        named = [item for item in connectors if item.port == node.settings.connector_port]
        chosen, why = next(iter(named), None), "rtc_connector_port names it"
    elif routed:
        chosen, why = _choose_routed(node, routed)
    else:
        chosen, why = next((item for item in connectors if item.user), None), ""
    if chosen:
        node.unusable += _refuse_ajp(node, chosen, routed)
    return chosen or presume_connector(node), why if chosen and not chosen.user else ""


def _list_routed(node: Node, connectors: list[Connector], route_index: RouteIndex) -> list[Routed]:
    wanted = node.settings.proxy
    if wanted == NO_PROXY:
        return []
    found = [
        (item, route_index.find_routes_into(node.host, node.facts, node.application.container, item.port))
        for item in connectors
        if 0 < item.port <= 65535
    ]
    if wanted:  # a proxy that is named counts alone
        found = [(item, [one for one in routes if one.host == wanted]) for item, routes in found]
    return [(item, routes) for item, routes in found if routes]


def _choose_routed(node: Node, routed: list[Routed]) -> tuple[Connector | None, str]:
    """The connector that a proxy forwards the users' requests to; ``None`` where several are alike."""
    names = {node.settings.server_name, *(item.proxy_name.lower() for item, _routes in routed if item.user)} - {""}
    tests: list[Callable[[Connector, ProxyRoute], bool]] = [
        lambda _item, route: bool(names & {name.lower() for name in route.vhost.names}),
        lambda _item, route: route.route.path.rstrip("/") in ("", node.context_path),
        lambda _item, route: route.listen.tls,
        lambda item, _route: item.user,
    ]
    for test in tests:
        fitting = [(item, [one for one in routes if test(item, one)]) for item, routes in routed]
        routed = [(item, routes) for item, routes in fitting if routes] or routed
    if len(routed) == 1:
        connector, routes = routed[0]
        return connector, f"{routes[0].where} forwards to port {connector.port}"
    return None, ""


def _refuse_ajp(node: Node, chosen: Connector, routed: list[Routed]) -> list[UnusableValue]:
    """AJP brings name and protocol of the request with it: attributes that the plan sets would count for nothing."""
    by_ajp = [(item, routes) for item, routes in routed if _is_ajp(item)]
    if any(item is chosen for item, _routes in routed) and not _is_ajp(chosen):
        return []
    if not _is_ajp(chosen) and (not by_ajp or node.settings.proxy):
        return []
    connector, routes = next(iter(by_ajp), (chosen, []))
    what = f"{routes[0].where} forwards users' requests to it by AJP" if routes else "it is no HTTP connector"
    return [
        UnusableValue(
            f"{node.server_xml}:{connector.line}",
            f"protocol of the connector on port {connector.port}",
            connector.protocol,
            f"{what}, and only HTTP connectors are supported",
            f"Let the proxy forward to an HTTP connector, such as http://127.0.0.1:{DEFAULT_PORTS[node.kind]}/.",
        )
    ]


def _is_ajp(connector: Connector) -> bool:
    return is_ajp(connector.protocol, connector.attributes.get("className", ""))


def presume_connector(node: Node) -> Connector | None:
    """What the connector must be where server.xml may not be read: the product's port, if something listens on it."""
    xml = node.application.server_xml
    if xml is None or not xml.error or not any(item.what == xml.path for item in node.facts.unreadable):
        return None
    port = node.settings.connector_port or DEFAULT_PORTS[node.kind]
    listener = next((item for item in node.facts.listeners if item.port == port), None)
    return Connector(line=0, port=port, address=listener.address, user=True) if listener else None
