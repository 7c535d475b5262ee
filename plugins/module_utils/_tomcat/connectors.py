# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live connectors of Tomcat's server.xml, and which of them is meant.

What is live is what Tomcat's own Catalina class digests: elements at exact paths such as
``Server/Service/Connector``; a connector in a comment, or elsewhere, does not exist. Values hold ``${...}``
as written; ``value()`` replaces them as Tomcat does. The other parts of the file are in ``server_xml``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Mapping, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._tomcat.property_sources import resolve
from ansible_collections.collab.rtc.plugins.module_utils._xml import scanner
from ansible_collections.collab.rtc.plugins.module_utils._xml.scanner import XmlNode

if TYPE_CHECKING:
    from ansible_collections.collab.rtc.plugins.module_utils._xml.entities import ExternalPart

# Of the connectors in the files that the products ship (Atlassian, "Ports used by Atlassian applications").
DEFAULT_PORTS = {"confluence": 8090, "jira": 8080}
ENGINE = "Server/Service/Engine"

_SERVICE = "Server/Service"
# Tomcat asks for these itself, by their exact names.
_EXACT = ("className", "protocol", "executor", "ClassName", "Protocol", "Executor")
# Elements that M/Monit has and Tomcat has not; the rest of M/Monit's server.xml looks like Tomcat's.
_FOREIGN = (ENGINE + "/ErrorLogger", ENGINE + "/License", "Server/License")

ServerXmlError = scanner.XmlError  # with ``line`` and ``column``
IllFormed = scanner.IllFormed


class NotTomcat(ServerXmlError):
    """XML, but not a server.xml of Tomcat."""


class NoConnector(ServerXmlError):
    """No live connector fits."""


class AmbiguousConnector(ServerXmlError):
    """Several connectors fit; ``candidates`` are they."""

    def __init__(self, message: str, remedy: str, candidates: Sequence[ConnectorElement]) -> None:
        super().__init__(message, remedy, candidates[0].line if candidates else 0)
        self.candidates = list(candidates)


class ConnectorElsewhere(ServerXmlError):
    """The connector is, or may be, in an entity rather than in the text of this file."""


def spell(name: str) -> str:
    """The usual spelling of an attribute: Tomcat makes a setter of its name, whatever the case of its first letter is
    (``IntrospectionUtils.capitalize``). ``ProxyName`` is ``proxyName``, and ``sSLEnabled`` is ``SSLEnabled``."""
    capital = name[:1].upper() + name[1:]
    if name in _EXACT or not capital[:1].isupper():
        return name
    return capital if capital[1:2].isupper() else capital[0].lower() + capital[1:]


def spell_all(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes by their usual spelling."""
    return {spell(name): value for name, value in attributes.items()}


def list_written(attributes: Mapping[str, str], name: str) -> list[str]:
    """The spellings in which an attribute is written, in their order; the value of the last one counts."""
    if name in _EXACT:
        return [name] if name in attributes else []
    usual = spell(name)
    return [item for item in (attributes if usual else ()) if item == name or spell(item) == usual]


# Plain classes here too: see scanner.
class Element:
    """An element of a server.xml: its line (1-based) and its attributes, decoded, ``${...}`` as written."""

    def __init__(self, node: XmlNode, properties: Mapping[str, str]) -> None:
        self.node = node
        self.properties = properties

    @property
    def line(self) -> int:
        return self.node.line

    @property
    def attributes(self) -> dict[str, str]:
        """By the usual spelling of their names (:func:`spell`); of two that are the same the last, as in Tomcat."""
        return spell_all(self.node.attributes)

    def value(self, name: str, default: str = "") -> str:
        """An attribute with ``${...}`` replaced where the properties are known."""
        written = list_written(self.node.attributes, name)
        return resolve(self.node.attributes[written[-1]], self.properties)[0] if written else default

    def unresolved(self) -> list[str]:
        """Names of the attributes whose value has a ``${...}`` that is unknown."""
        return [name for name, value in self.attributes.items() if resolve(value, self.properties)[1]]

    def number(self, name: str) -> int | None:
        """An attribute as a whole number, as Java's ``Integer.parseInt`` reads it: a blank makes it none.

        None: absent, unresolved, or no number.
        """
        text = self.value(name)
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,10}", text) else None

    def true(self, name: str) -> bool:
        """An attribute as Java's ``Boolean.valueOf`` reads it."""
        return self.value(name).lower() == "true"


def is_ajp(protocol: str, class_name: str = "") -> bool:
    """Protocol ``AJP/1.3``, or a class of AJP by name (``org.apache.coyote.ajp.AjpNioProtocol``)."""
    return protocol.startswith("AJP/") or any(word in f"{protocol} {class_name}" for word in (".ajp.", "Ajp"))


def read_offset(server: Element) -> int | None:
    """The ``portOffset`` of ``Server``, which counts for all ports of the file (Tomcat 9 on); None: unknown."""
    if "portOffset" in server.unresolved():
        return None
    return server.number("portOffset") or 0


def add_offset(port: int | None, offset: int | None) -> int | None:
    """As ``Connector.getPortWithOffset``: 0 is any port, and what is less is none."""
    if port is None or port <= 0:
        return port
    return None if offset is None else port + offset


class ConnectorElement(Element):
    """A live connector.

    :param offset: what Tomcat adds to its ports (:func:`read_offset`).
    """

    def __init__(self, node: XmlNode, properties: Mapping[str, str], offset: int | None = 0) -> None:
        super().__init__(node, properties)
        self.offset = offset

    @property
    def port(self) -> int | None:
        """None: no port attribute, or a property is unknown."""
        return add_offset(self.number("port"), self.offset)

    @property
    def redirect_port(self) -> int | None:
        return add_offset(self.number("redirectPort"), self.offset)

    def unresolved(self) -> list[str]:
        names = super().unresolved()
        return names if self.offset is not None or "port" in names else [*names, "port"]

    @property
    def protocol(self) -> str:
        return self.value("protocol", "HTTP/1.1")

    @property
    def is_ajp(self) -> bool:
        return is_ajp(self.protocol, self.value("className"))

    @property
    def is_tls(self) -> bool:
        return self.true("SSLEnabled")

    @property
    def is_proxied(self) -> bool:
        """Has a ``proxyName`` that is not empty."""
        return bool(self.value("proxyName").strip())

    def __str__(self) -> str:
        port = self.port or self.value("port") or "without a port"
        return f"line {self.line}: {'AJP ' if self.is_ajp else ''}connector {port}"


class ConnectorModel:
    """A server.xml of Tomcat with its live connectors, in the order of the file."""

    def __init__(self, document: scanner.Document, properties: Mapping[str, str]) -> None:
        _check_tomcat(document)
        self.document = document
        self.properties = properties
        self.offset = read_offset(Element(document.root, properties))
        nodes = self.at(_SERVICE + "/Connector")
        self.connectors = tuple(ConnectorElement(node, properties, self.offset) for node in nodes)

    def at(self, path: str) -> list[XmlNode]:
        """The elements at a path such as ``Server/Service``."""
        return [node for node in self.document.nodes if node.path == path]

    @property
    def name(self) -> str:
        return self.document.source.name

    @property
    def external(self) -> list[ExternalPart]:
        """External entities that stand where connectors could be; they are not read."""
        return [part for part in self.document.external if part.path in ("Server", _SERVICE)]


def read(data: bytes, name: str, properties: Mapping[str, str]) -> ConnectorModel:
    """As ``server_xml.parse``, with nothing but the connectors."""
    return ConnectorModel(scanner.read(data, name), dict(properties))


def _check_tomcat(document: scanner.Document) -> None:
    """Refuse what only looks like Tomcat's file. M/Monit's has the same root; its parts are not Tomcat's."""
    root, name = document.root, document.source.name
    if root.name != "Server":
        raise NotTomcat(
            f"{name}, line {root.line}: the root is <{root.name}>, not <Server>: no server.xml of Tomcat.",
            "Give the path of conf/server.xml.",
            root.line,
        )
    for node in document.nodes:
        if node.path in _FOREIGN or (node.path == ENGINE + "/Realm" and "url" in node.attributes):
            raise NotTomcat(
                f"{name}, line {node.line}: <{node.name}> as it stands here is not Tomcat's: the file is "
                "another server's, such as M/Monit's.",
                "Give the path of Tomcat's conf/server.xml.",
                node.line,
            )


def choose_connector(model: ConnectorModel, port: int | None = None, kind: str = "") -> tuple[ConnectorElement, str]:
    """The connector on a port, or the one that users' requests arrive at.

    The rules, first that decides: the only HTTP connector; the only one with a ``proxyName`` (Atlassian tells
    administrators to add unproxied ones for application links); the only TLS connector that a plain one
    redirects to; the only one on the product's default port.

    :param kind: ``confluence`` or ``jira``: whose default port counts; "": either's.
    :returns: the connector, and why it was chosen.
    :raises NoConnector: none, or only AJP; :raises AmbiguousConnector: several, none is clearly the one;
    :raises ConnectorElsewhere: external entities hold, or may hold, connectors.
    """
    usable = [item for item in model.connectors if not item.is_ajp]
    if port is not None:
        return _choose_by_port(model, usable, port)
    if not usable:
        raise _explain_none(model, "no live HTTP connector")
    if model.external:
        raise _explain_elsewhere(model, "other connectors may stand there, so that the users' one cannot be known")
    for fitting, reason in _apply_rules(usable, kind):
        if len(fitting) == 1:
            return fitting[0], reason
    raise AmbiguousConnector(
        f"{model.name}: {len(usable)} connectors could be the one that users arrive at ({_format_list(usable)}).",
        "Name its port.",
        usable,
    )


def _apply_rules(usable: list[ConnectorElement], kind: str) -> list[tuple[list[ConnectorElement], str]]:
    targets = {item.redirect_port for item in usable if not item.is_tls}
    ports = [DEFAULT_PORTS[kind]] if kind in DEFAULT_PORTS else list(DEFAULT_PORTS.values())
    return [
        (usable, "the only HTTP connector"),
        ([item for item in usable if item.is_proxied], "the only connector with a proxyName"),
        (
            [item for item in usable if item.is_tls and item.port is not None and item.port in targets],
            "the only TLS connector that a plain one redirects to",
        ),
        ([item for item in usable if item.port in ports], "the only connector on the product's default port"),
    ]


def _choose_by_port(model: ConnectorModel, usable: list[ConnectorElement], port: int) -> tuple[ConnectorElement, str]:
    fitting = [item for item in usable if item.port == port]
    if len(fitting) == 1:
        return fitting[0], f"the connector on port {port}"
    if fitting:
        raise AmbiguousConnector(
            f"{model.name}: {len(fitting)} connectors have port {port} ({_format_list(fitting)}).",
            "Give them different ports, or edit the file by hand.",
            fitting,
        )
    raise _explain_none(model, f"no live HTTP connector on port {port}")


def _explain_none(model: ConnectorModel, what: str) -> ServerXmlError:
    if model.external:
        return _explain_elsewhere(model, f"{what} stands in this file itself; it may stand there")
    found = f"it has {_format_list(model.connectors)}" if model.connectors else "it has no live connector at all"
    unknown = [item for item in model.connectors if "port" in item.unresolved()]
    remedy = "Name the port of a live connector; connectors in comments do not count."
    if unknown:
        remedy = "Give the JVM properties that the ports come from, or name the port of a live connector."
    return NoConnector(f"{model.name}: {what}; {found}.", remedy)


def _explain_elsewhere(model: ConnectorModel, why: str) -> ConnectorElsewhere:
    part = model.external[0]
    what = f"&{part.name};" if part.name else "an entity"
    of = f" ({part.system_id})" if part.system_id else ""
    return ConnectorElsewhere(
        f"{model.name}, line {part.line}: {what}{of} is an external entity, which is not read: {why}.",
        "Name the port of a connector in this file, or edit the included file by hand.",
        part.line,
    )


def _format_list(connectors: Sequence[ConnectorElement]) -> str:
    return "; ".join(str(item) for item in connectors)
