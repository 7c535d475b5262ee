# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tomcat's server.xml as it is: connectors, contexts, valves, with line numbers.

What is said of the connectors, and of what is live, stands in ``connectors``: who only edits one needs no more than
that.
"""

from __future__ import annotations

import os
import re
from typing import Mapping, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._tomcat.connectors import (
    ENGINE,
    ConnectorElement,
    ConnectorModel,
    Element,
    add_offset,
)
from ansible_collections.collab.rtc.plugins.module_utils._xml import scanner

REMOTE_IP_VALVE = "org.apache.catalina.valves.RemoteIpValve"

_HOST = ENGINE + "/Host"
_CONTEXT = _HOST + "/Context"


class CertificateElement(Element):
    """A ``Certificate`` of an ``SSLHostConfig``."""


class SslHostConfigElement(Element):
    """An ``SSLHostConfig`` of a connector (Tomcat 8.5 and later)."""

    @property
    def certificates(self) -> tuple[CertificateElement, ...]:
        return tuple(CertificateElement(found, self.properties) for found in self.node.find("Certificate"))

    @property
    def host_name(self) -> str:
        return self.value("hostName", "_default_")


class ContextElement(Element):
    """A ``Context`` of a ``Host``."""

    @property
    def path(self) -> str:
        """The context path as Tomcat takes it (``StandardContext.setPath``): "" is the root."""
        path = self.value("path")
        path = "/" + path if path and not path.startswith(("/", "${")) else path
        return path[:-1] if path.endswith("/") else path

    @property
    def doc_base(self) -> str:
        return self.value("docBase")

    @property
    def parameters(self) -> dict[str, str]:
        """Its ``Parameter`` elements: name -> value."""
        elements = [Element(found, self.properties) for found in self.node.find("Parameter")]
        return {item.value("name"): item.value("value") for item in elements}


class DescriptorElement(ContextElement):
    """The ``Context`` of a file in ``conf/<Engine>/<Host>``, whose name says the path (``ContextName``)."""

    def __init__(self, document: scanner.Document, properties: Mapping[str, str]) -> None:
        super().__init__(document.root, properties)
        self.stem = document.source.name.rpartition("/")[2][: -len(".xml")].partition("##")[0]

    @property
    def path(self) -> str:
        return "" if self.stem in ("", "ROOT") else "/" + self.stem.replace("#", "/")


class ValveElement(Element):
    """A ``RemoteIpValve``."""

    @property
    def where(self) -> str:
        """``Engine``, ``Host`` or ``Context``."""
        return self.node.path.split("/")[-2]


class ServerXmlModel(ConnectorModel):
    """A Tomcat server.xml; live parts only, in the order of the file."""

    @property
    def contexts(self) -> tuple[ContextElement, ...]:
        return tuple(ContextElement(node, self.properties) for node in self.at(_CONTEXT))

    @property
    def remote_ip_valves(self) -> tuple[ValveElement, ...]:
        """Those of engines first, then of hosts, then of contexts."""
        places = [self.at(place + "/Valve") for place in (ENGINE, _HOST, _CONTEXT)]
        valves = [ValveElement(node, self.properties) for nodes in places for node in nodes]
        return tuple(valve for valve in valves if valve.value("className") == REMOTE_IP_VALVE)

    @property
    def shutdown_port(self) -> int | None:
        """8005 where none is set, -1: switched off, None: its property is unknown."""
        server = Element(self.document.root, self.properties)
        return add_offset(server.number("port") if "port" in server.attributes else 8005, self.offset)

    def list_descriptor_folders(self) -> list[str]:
        """Where Tomcat looks for descriptors of contexts, relative to CATALINA_BASE (``HostConfig``)."""
        hosts = [
            (Element(engine, self.properties).value("name"), Element(host, self.properties))
            for engine in self.at(ENGINE)
            for host in engine.find("Host")
        ]
        return [
            host.value("xmlBase") or f"conf/{engine}/{host.value('name').lower()}"
            for engine, host in hosts
            if any(host.value(name, "true").lower() == "true" for name in ("deployOnStartup", "autoDeploy"))
        ]

    def application_context(
        self, kind: str = "", descriptors: Sequence[DescriptorElement] = ()
    ) -> ContextElement | None:
        """The context of Confluence or Jira itself, or None. Confluence has a second one, for Synchrony.

        :param kind: ``confluence`` or ``jira``; "": either.
        :param descriptors: Tomcat leaves those alone whose path a Context of server.xml has.
        """
        bases = {"confluence": ("confluence",), "jira": ("atlassian-jira", "jira")}
        wanted = bases.get(kind, ("confluence", "atlassian-jira", "jira"))
        others = [item for item in self.contexts if not item.doc_base.rstrip("/").endswith("synchrony-proxy")]
        named = [item for item in (*others, *descriptors) if item.doc_base.rstrip("/").rsplit("/", 1)[-1] in wanted]
        fitting = named or others or [item for item in descriptors if item.stem in wanted]
        return fitting[0] if fitting else None


def parse(data: bytes, name: str = "server.xml", properties: Mapping[str, str] | None = None) -> ServerXmlModel:
    """Read a server.xml.

    :param name: its path, for messages.
    :param properties: of the JVM (``-D`` options, catalina.properties), for ``${...}``.
    :raises IllFormed: not well-formed XML, or an encoding that cannot be given back byte for byte.
    :raises NotTomcat: well-formed, but something else.
    """
    return ServerXmlModel(scanner.read(data, name), dict(properties or {}))


def list_ssl_hosts(connector: ConnectorElement) -> tuple[SslHostConfigElement, ...]:
    """The ``SSLHostConfig`` of a connector."""
    return tuple(SslHostConfigElement(found, connector.properties) for found in connector.node.find("SSLHostConfig"))


def resolve_path(value: str, base: str) -> str:
    """A path as Tomcat takes it: relative to CATALINA_BASE, or a ``file:`` address; an unresolved ``${...}`` stays."""
    value = re.sub(r"^file:(//)?(?=/)", "", value)
    return value if not value or value.startswith("$") else os.path.join(base, value)
