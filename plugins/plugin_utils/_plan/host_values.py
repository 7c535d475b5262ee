# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which values of ``server.xml`` a plan cannot be made with. Pure.

They are checked as values of the inventory are. What the plan replaces anyway does not count.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import host_names
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Node, UnusableValue

UNKNOWN = "a property in it is not known"
SCHEMES = ("", "http", "https")


def judge_name(text: str, where: str, what: str) -> UnusableValue:
    """A name that cannot be the server name, with what it probably means."""
    meant = host_names.guess_name(text)
    instead = f"Write {meant} there, or set" if meant else "Correct it there, or set"
    remedy = f"{instead} rtc_server_name to the name in the application's base URL."
    return UnusableValue(where, what, host_names.show(text), host_names.explain_name(text), remedy)


def list_unusable(node: Node, connector: Connector, routed: bool) -> list[UnusableValue]:
    """Attributes of the users' connector, and the context path, that a plan cannot be made with.

    :param routed: whether a proxy that was seen forwards to it: its listener then says which port and protocol.
    """
    if node.presumed:
        return []
    where = f"{node.server_xml}:{connector.line}"
    return [*_list_of_connector(node, connector, where, routed), *_list_of_context(node)]


def _list_of_connector(node: Node, connector: Connector, where: str, routed: bool) -> Iterator[UnusableValue]:
    for name, why, variable in _explain_attributes(node, connector, routed):
        if why or name in connector.unresolved:
            text = host_names.show(connector.attributes.get(name, "") or _fact_of(connector, name))
            remedy = f"Correct {name} in {where}."
            if name in connector.unresolved or host_names.find_placeholder(text):
                remedy = f"Set the property in conf/catalina.properties or as -D option, or write the value in {where}."
            if variable:
                remedy = f"{remedy[:-1]}, or set {variable}."
            yield UnusableValue(where, name, text, why or UNKNOWN, remedy)


def _fact_of(connector: Connector, name: str) -> str:
    known = {"port": connector.port, "proxyPort": connector.proxy_port, "address": connector.address}
    return str(known.get(name, ""))


def _explain_attributes(node: Node, connector: Connector, routed: bool) -> Iterator[tuple[str, str, str]]:
    """The attributes that the plan depends on: name, why it cannot be used, and the variable that can replace it."""
    port = str(connector.port) if connector.port else connector.attributes.get("port", "0")
    yield "port", host_names.explain_port(port), ""
    yield "address", host_names.explain_address(connector.address), ""
    yield "protocol", "", ""
    yield "SSLEnabled", "", ""
    if node.settings.proxy == NO_PROXY or routed:
        return
    if not connector.ssl and not node.settings.tls_certificate:
        yield "scheme", "" if connector.scheme in SCHEMES else "it is neither http nor https", ""
    port = connector.attributes.get("proxyPort", "").strip()
    if not node.settings.application_port:
        wrong = host_names.explain_port(port) if port not in ("", "0", "-1") else ""
        yield "proxyPort", wrong, "rtc_application_port"


def _list_of_context(node: Node) -> Iterator[UnusableValue]:
    xml = node.application.server_xml
    why = host_names.explain_context_path(node.context_path)
    if why and xml:
        where = f"{node.server_xml}:{xml.context_line}"
        remedy = f"Write the path in {where} as it is in the application's base URL."
        yield UnusableValue(where, "the path of the Context", host_names.show(node.context_path), why, remedy)
