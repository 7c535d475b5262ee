# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made from, and what the classification makes of it: applications, and the sites that they form."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import (
    Application,
    Connector,
    HostFacts,
    Proxy,
    RtcInstance,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import Problem as AwsProblem
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import Seen
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import (
    MANAGED_PROXIES,
    HostSettings,
    Problem,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute


@dataclass(frozen=True)
class Supply:
    """The RTC server that the controller can give to a host.

    :param path: of the bundle; "" for the collection's own server, of which the controller builds what is needed.
    :param digest: of the sources, as in the names of releases.
    :param tags: what the bundle is for.
    """

    path: str = ""
    version: str = ""
    digest: str = ""
    tags: tuple[str, ...] = ()


@dataclass
class PlanInput:
    """All that a plan is made from. Keys of the dictionaries are inventory names."""

    facts: dict[str, HostFacts] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)  # confluence, jira, rtc_proxies
    settings: dict[str, dict[str, HostSettings]] = field(default_factory=dict)  # host -> application -> settings
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    common: dict[str, list[str]] = field(default_factory=dict)  # variables set once for both applications of a host
    tls: dict[str, dict[str, GivenTls]] = field(default_factory=dict)  # host -> application -> what the files hold
    failed: dict[str, str] = field(default_factory=dict)  # host -> why there are no facts
    inventory: str = ""  # its id, for the records of what is managed
    controller: str = ""  # identifies this process: "MACHINE-ID PID START"
    dead: list[str] = field(default_factory=list)  # runs of this controller that hold a lease, and are no more
    accepted: dict[str, dict[str, str]] | None = None  # basis of the plan that was kept, and is to be carried out
    absent: dict[str, list[str]] = field(default_factory=dict)  # host -> applications from which all goes
    # What AWS has for each listener (listeners.name_listener), or why that is not known; None: it was not asked.
    aws: dict[str, Seen | AwsProblem] | None = None
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)  # host -> application -> digest of rtc_secret
    now: float = 0.0  # seconds since the epoch, on the controller
    supply: Supply = field(default_factory=Supply)  # the collection's own
    bundles: dict[str, Supply] = field(default_factory=dict)  # host -> the bundle that its inventory names
    schema: int = 0  # of stores, that the RTC server of this collection knows; 0: unknown

    def settings_of(self, host: str, kind: str = "") -> HostSettings:
        """The settings of a host for an application; of any application for a proxy host."""
        known = self.settings.get(host, {})
        return known.get(kind) or next(iter(known.values()), HostSettings())

    def is_absent(self, host: str, kind: str) -> bool:
        """Whether a node is to have nothing of this collection any more."""
        return kind in self.absent.get(host, []) or self.settings_of(host, kind).state == "absent"


@dataclass
class Choice:
    """Which of a host's installations of one kind is meant; ``None`` when there is none, or no way to choose."""

    application: Application | None
    reason: str


@dataclass(frozen=True)
class UnusableValue:
    """A value of the host that the plan depends on and cannot be made with."""

    where: str  # file and line
    what: str  # "proxyName", "the name of the virtual host"
    text: str  # the value, as a message may show it
    why: str  # end of a sentence
    remedy: str


@dataclass
class Node:
    """One application on one host."""

    host: str
    facts: HostFacts
    application: Application
    settings: HostSettings
    connector: Connector | None = None
    connector_why: str = ""  # what says that it is this one; "" where its attributes say so too
    server_name: str = ""
    rtc_port: int = 0
    given: GivenTls | None = None
    builtin: RtcInstance | None = None  # the add-on's own RTC service, running in the application's JVM
    deployed: RtcInstance | None = None  # the instance of this collection's RTC server
    evidence: list[str] = field(default_factory=list)
    unusable: list[UnusableValue] = field(default_factory=list)  # with any, the node's site is not planned
    secret_digest: str = ""  # of rtc_secret, with a salt of this run; "" where it is not known
    meant_name: str = ""  # what an unusable name probably stands for: only to find the nodes of the same site

    @property
    def presumed(self) -> bool:
        """Whether the connector is a guess, because server.xml may not be read: good for the classification only."""
        return self.connector is not None and self.connector.line == 0

    @property
    def kind(self) -> str:
        """``confluence`` or ``jira``."""
        return self.application.kind

    @property
    def makes_room(self) -> bool:
        """Whether our RTC server has the port that the add-on's own service is to have: it cannot listen before."""
        ours = self.deployed is not None and self.deployed.active and self.deployed.port == self.rtc_port
        wanted = self.settings.service == "builtin" and self.builtin is None
        return ours and wanted and self.application.process is not None

    @property
    def server_xml(self) -> str:
        """Path of server.xml, as far as it is known."""
        found = self.application.server_xml
        return found.path if found else f"{self.application.install_dir}/conf/server.xml"

    @property
    def context_path(self) -> str:
        """The application's path, "" for the root."""
        found = self.application.server_xml
        path = found.context_path.strip("/") if found else ""
        return f"/{path}" if path else ""


def list_attributes(connector: Connector) -> dict[str, str]:
    """The attributes of a connector that a plan may set, as they are now; "" for one that is not there."""
    return {
        "address": connector.address,
        "proxyName": connector.proxy_name,
        "proxyPort": str(connector.proxy_port or ""),
        "scheme": connector.scheme,
        "secure": str(connector.secure).lower(),
    }


@dataclass
class ProxyUse:
    """The proxy of a site. ``host`` is "" for one that the inventory does not list."""

    host: str
    kind: str
    facts: HostFacts | None = None
    proxy: Proxy | None = None  # None: not installed yet, or not seen
    local: str = ""  # the node that runs on the same machine
    application: list[ProxyRoute] = field(default_factory=list)  # routes to the applications' connectors
    rtc: list[ProxyRoute] = field(default_factory=list)  # routes to the RTC port
    others: list[ProxyRoute] = field(default_factory=list)  # routes of other proxies to the applications' connectors
    passing: frozenset[str] = frozenset()  # all hosts whose proxies pass RTC on
    listen: list[str] = field(default_factory=list)  # rtc_listen of its host
    evidence: str = ""

    @property
    def managed(self) -> bool:
        """Whether this collection can write its configuration."""
        return bool(self.host) and self.facts is not None and self.kind in MANAGED_PROXIES


@dataclass
class ClassifiedSite:
    """A site with the facts and settings that it was recognized by."""

    site: schema.Site
    nodes: list[Node]
    proxy: ProxyUse | None = None
    tls: bool = False  # users speak TLS
    application_port: int = 0  # in the address that users type

    @property
    def settings(self) -> HostSettings:
        """The settings of the first node; the nodes of one site have to agree."""
        return self.nodes[0].settings


@dataclass
class Classification:
    """What the hosts of a run are: the first of the three steps from input to plan."""

    sites: list[ClassifiedSite] = field(default_factory=list)  # ordered by name
    nodes: list[Node] = field(default_factory=list)  # every application found, also one that belongs to no site
    choices: dict[tuple[str, str], Choice] = field(default_factory=dict)  # (host, kind) that the inventory lists
