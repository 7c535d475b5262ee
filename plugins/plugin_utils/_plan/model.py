# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made from, and sites with all that led to them: the data of the classification. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import (
    Application,
    Connector,
    HostFacts,
    Proxy,
    RtcInstance,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import MANAGED_PROXIES, Problem, Wishes
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import Match, Ways


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
    _ways: Ways | None = None

    def ways(self, anew: bool = False) -> Ways:
        """The routes of all proxies. ``anew``: the facts have changed."""
        if self._ways is None or anew:
            self._ways = Ways(self.facts)
        return self._ways

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
    def presumed(self) -> bool:
        """Whether the connector is a guess, because server.xml may not be read: good for the classification only."""
        return self.connector is not None and self.connector.line == 0

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

    site: schema.Site
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


def builtin(node: Node) -> RtcInstance | None:
    """The add-on's own RTC service on the node's RTC port, inside the application's JVM."""
    xml = node.application.server_xml
    if xml and any(item.port == node.rtc_port for item in xml.connectors):
        return None  # Tomcat itself
    for instance in node.facts.rtc:
        if instance.kind == "builtin" and instance.port == node.rtc_port and is_own(instance, node):
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


def is_own(instance: RtcInstance, node: Node) -> bool:
    """Whether an instance is in the JVM of the node's application, as far as processes can be seen."""
    process = node.application.process
    return not (instance.pid and process) or instance.pid == process.pid
