# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired state of every site, as a value: the second of the three steps from input to plan.

``decide`` makes it, once a run; the plan of each host and the findings only read it. The types hold text, numbers,
lists, dictionaries and one another, but no facts and no functions. So two states can be compared with ``==``, and one
can be kept as JSON (``_facts.to_dict`` and ``_facts.from_dict``). Nobody changes a state once it is made.

``evidence`` of a part says why: name of a field -> the fact or setting that it follows from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Site

PROXY_DIRECTORY = "/etc/rtc-proxy"  # on the proxy's host: the certificates that this collection brings


@dataclass(frozen=True)
class DesiredConnector:
    """The connector of Tomcat that users' requests arrive at."""

    path: str  # of server.xml
    port: int
    scheme: str  # "http" | "https": what it speaks; nothing here changes that
    address: str  # that it listens on; "" for all
    attributes: dict[str, str | None]  # that the site needs; None: the attribute has to go
    differs: bool  # whether any of them has another value now
    tomcat_version: str = ""
    properties: dict[str, str] = field(default_factory=dict)  # for ${...} in server.xml; without secrets
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredService:
    """The RTC service of a node."""

    kind: str  # "deployed": the server of this collection | "builtin": the add-on's own
    address: str  # that it listens on
    origins: list[str]  # of web pages that may connect
    trusted_proxies: list[str]  # addresses whose X-Forwarded-For counts
    python: str  # path of the interpreter
    python_version: str  # "3.11.2"; "" for unknown
    python_fits: bool  # whether it is new enough
    machine: str  # "x86_64": which bundle
    tls_from: str = ""  # server.xml whose connector's key is used; "" for plain HTTP
    tls_port: int = 0  # of that connector
    tls_name: str = ""  # the name that clients, or the proxy, ask for
    tls_secrets: list[dict[str, object]] = field(default_factory=list)  # where ${...} that opens the key is to be read
    jre_home: str = ""  # whose keytool converts a store that only Java can read
    limits: dict[str, float] = field(default_factory=dict)  # those that are not the server's own defaults
    store_url: str = ""  # "" for a journal of its own
    store_ca: str = ""  # PEM of whom it trusts at the store; "" for the authorities of its system
    label: str = ""  # what its session ids end in; "" for nothing
    panel: bool = False  # whether administrators have one
    panel_port: int = 0  # of loopback; 0: a socket for root
    panel_from: list[str] = field(
        default_factory=list
    )  # networks that the proxy lets to it; none: no proxy leads there
    panel_obstacle: str = ""  # why the proxy does not lead there, where it was asked for
    panel_ca: str = ""  # PEM of whom it trusts at the address of users; "" for the authorities of its system
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredTrust:
    """What the application's Java trusts, and how it is named to the JVM."""

    wanted: bool  # whether Java has to trust anything: users speak TLS, and the JRE is known
    path: str = ""  # of the trust store; "" when none is known
    jre_home: str = ""
    certificates: list[dict[str, str]] = field(default_factory=list)  # as java_truststore takes them
    copy_from: str = ""  # the store that a store of its own begins with
    copy_process: dict[str, float] = field(
        default_factory=dict
    )  # in whose container that is; as java_truststore takes it
    option_path: str = ""  # of the setenv.sh in which the trust store is named, or was; "" when nothing is written
    option_truststore: str = ""  # the one to name there; "": what names one has to go
    doubt: str = ""  # the place that makes it unknown which trust store the next start uses
    obstacle: str = ""  # why a trust store of its own cannot be named to the JVM
    obstacle_remedy: str = ""
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredRestart:
    """How the application is restarted, and why that is due already."""

    service: str
    service_kind: str  # "systemd" | "sysv" | "none"
    address: str  # where the connector answers when it is ready
    reasons: list[str]  # why it is due before anything is changed
    policy: str = "when_needed"  # "when_needed" | "never"
    command: list[str] = field(default_factory=list)  # that restarts it in place of the service
    obstacle: str = ""  # why a run cannot restart it, so that it is left to the administrator


@dataclass(frozen=True)
class DesiredContainer:
    """What the container of an application is to have, and what of that is not in force."""

    name: str
    variables: dict[str, str]
    ports: list[str]  # all that are to be published: "127.0.0.1:8090:8090"; empty where nothing is known of them
    mounts: list[str]  # "/etc/rtc-truststore/jira:/etc/rtc-truststore:ro"
    hosts: list[str]  # for its /etc/hosts: "wiki.example.com:10.0.0.11"
    missing_settings: list[str]  # sentences without their end, as all that follow
    missing_trust: list[str]
    missing_ports: list[str]
    missing_hosts: list[str]
    without_effect: list[str]  # variables that are set and did not come into server.xml
    compose: str  # text of a compose.override.yml
    options: str  # of docker run or podman run
    command: str  # that makes the container anew


@dataclass(frozen=True)
class DesiredNode:
    """One application on one host, as part of its site."""

    host: str
    application: str  # "confluence" | "jira"
    beside_proxy: bool  # the site's proxy is on this very machine
    upstream_host: str  # name or address by which the proxy reaches the node
    connector: DesiredConnector
    service: DesiredService
    trust: DesiredTrust
    restart: DesiredRestart
    container: DesiredContainer | None = None  # None: the application runs on the host itself
    textfile: str = ""  # file for node_exporter; "": none
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExistingVhost:
    """A virtual host of the proxy that has the name and port already, and what is wrong with it."""

    place: str  # "/etc/nginx/conf.d/rtc.conf:3"
    where: str  # "proxy1: /etc/nginx/conf.d/rtc.conf:9": the first route that leads to the service, else the place
    managed: bool  # written by this collection
    tls: bool
    faults: list[str]  # ids of findings
    right: bool  # forwards as it should
    read_timeout: float = 0.0  # seconds, of the first route that leads to the service; 0 for unknown
    buffering: bool = False  # of the same route
    takes_service_address: bool = False  # has the port on the address that the RTC service needs
    doubt: str = ""  # why it cannot be told whether it is right; it has no faults then
    answer: str = ""  # what came when RTC was asked for through it, and was not RTC's


@dataclass(frozen=True)
class MisplacedRoute:
    """A route to the RTC port that begins at another port, or below a path."""

    where: str
    path: str
    port: int
    fault: str  # id of the finding


@dataclass(frozen=True)
class DesiredVhost:
    """A virtual host of the proxy: what it has to be, and what is there."""

    plan: VhostPlan  # for a proxy that is not managed, with places of certificates to be filled in
    written: bool  # by this collection: the proxy is managed, and no one else's virtual host has the name and port
    existing: list[ExistingVhost] = field(default_factory=list)
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredProxy:
    """The proxy of a site."""

    host: str  # inventory name; "" for one that the inventory does not list
    kind: str
    managed: bool  # this collection writes its configuration
    unseen: bool  # the inventory names its host, and there are no facts of it
    rtc: DesiredVhost
    application: DesiredVhost | None = None  # None: left to the administrator
    packages: list[str] = field(default_factory=list)  # to install
    certificates: list[dict[str, str]] = field(default_factory=list)  # files to copy; see HostPlan.certificates
    misplaced: list[MisplacedRoute] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)  # virtual hosts that would answer in place of the one to be written
    conflicts: list[str] = field(
        default_factory=list
    )  # places that take the RTC port on all addresses of the node's host
    evidence: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DesiredSite:
    """One site."""

    site: Site
    tls: bool  # users speak TLS
    application_port: int  # in the address that users type
    nodes: list[DesiredNode]
    proxy: DesiredProxy | None = None

    @property
    def proxy_unseen(self) -> bool:
        """Whether the proxy's host is known by name only: then nobody knows who has which address there."""
        return self.proxy is not None and self.proxy.unseen


@dataclass(frozen=True)
class DesiredState:
    """All sites of a run, ordered by name."""

    sites: list[DesiredSite] = field(default_factory=list)
