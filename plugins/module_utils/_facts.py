# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one host reports to the controller: plain data, made by ``topology_info``, read by the plan.

Every class is JSON through :func:`to_dict` and :func:`from_dict`. An empty string, ``None`` or an empty list means "not
there"; what could not be seen is in ``HostFacts.unreadable`` with its reason, never silently left out.

The annotations are evaluated by :func:`from_dict`, on hosts with Python 3.8 too: hence ``List[str]`` and
``Optional[str]``, as in every dataclass that a module on a host makes from JSON.
"""
# ruff: noqa: UP006, UP045

from __future__ import annotations

import dataclasses
import functools
import typing
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, TypeVar

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import Firewall, Unreadable, Unwritable

T = TypeVar("T")


@dataclass
class Listener:
    """A listening TCP socket."""

    address: str  # "0.0.0.0", "::", "127.0.0.1", ...
    port: int
    pid: int = 0  # 0: not permitted to see
    process: str = ""  # name of the executable, such as "java"
    user: str = ""


@dataclass
class TlsHost:
    """Where a connector's key is: the connector's own attributes, or one ``SSLHostConfig/Certificate``."""

    line: int
    form: str  # "attributes" | "sslhostconfig"
    hostname: str = ""
    keystore: str = ""  # path, resolved; "" when PEM files are named. Tomcat's default where nothing is
    missing: str = ""  # why Tomcat's default cannot be taken
    keystore_type: str = ""
    alias: str = ""
    certificate: str = ""
    key: str = ""
    chain: str = ""


@dataclass
class Connector:
    """A live Tomcat connector, values with ``${...}`` resolved where possible; no secrets."""

    line: int  # 1-based, of "<Connector"
    port: int  # 0: unknown, its property is unresolved
    protocol: str = ""
    address: str = ""
    scheme: str = "http"
    secure: bool = False
    ssl: bool = False
    proxy_name: str = ""
    proxy_port: int = 0  # 0: not set
    redirect_port: int = 0
    attributes: Dict[str, str] = field(default_factory=dict)  # all of them, secrets replaced by "********"
    unresolved: List[str] = field(default_factory=list)  # names of attributes whose ${...} is unknown
    tls: List[TlsHost] = field(default_factory=list)
    user: bool = False  # users' requests arrive here
    reason: str = ""  # why it is, or is not


@dataclass
class SecretSource:
    """Where the secret value of a ``${...}`` is; the value itself does not leave the host."""

    name: str  # of the property
    file: str = ""  # "": no line that could be read again gives it
    line: int = 0  # 1-based; in /proc/<pid>/cmdline and environ the number of the argument or variable
    before: str = ""  # what the value is behind there: "-Dkeystore.pass=", "STORE_PASS="; "" in a properties file
    key: bool = False  # it opens the key of a connector


@dataclass
class ServerXml:
    """A ``server.xml`` as it was read."""

    path: str
    mtime: float = 0.0  # seconds since the epoch
    sha256: str = ""
    connectors: List[Connector] = field(default_factory=list)
    context_path: str = ""  # "" is "/"
    context_file: str = ""  # this file, or one in conf/<Engine>/<Host>; "" where there is no Context
    context_line: int = 0
    context_parameters: Dict[str, str] = field(default_factory=dict)  # without secrets
    remote_ip_valve: Optional[Dict[str, str]] = None
    shutdown_port: int = 0
    generated_by: str = ""  # evidence that a program writes this file anew at each start
    mounted: bool = False  # the file itself is a mount point, so that no other can take its place
    properties: Dict[str, str] = field(default_factory=dict)  # values of what ${...} in it names; without secrets
    secrets: List[SecretSource] = field(default_factory=list)  # what else ${...} in it names, known or not
    error: str = ""  # why it could not be read or parsed, with line


@dataclass
class TrustStore:
    """The trust store that the application's JVM uses from its next start on."""

    path: str
    real_path: str = ""  # links followed
    type: str = ""  # "jks" | "pkcs12"
    source: str = ""  # "property" | "jssecacerts" | "cacerts"
    mtime: float = 0.0
    certificates: int = 0
    fingerprints: List[str] = field(default_factory=list)  # SHA-256 of each trusted certificate, lower-case hex
    error: str = ""
    locked: bool = False  # "changeit" does not open it
    unknown: str = ""  # the place ("/opt/jira/bin/setenv.sh:12") that makes it unknown whether it is this one
    # Of a store that the system generates: alias -> SHA-256 of what was written into it and is lost the next time.
    strays: Dict[str, str] = field(default_factory=dict)


@dataclass
class TrustOption:
    """Which trust store ``bin/setenv.sh`` names to the next JVM, and whether this collection may name one there."""

    path: str  # of setenv.sh
    mtime: float = 0.0  # seconds since the epoch
    managed_store: str = ""  # the trust store that the managed block in it names
    store_without_block: str = ""  # the one that is named to the JVM without that block
    effective_store_without_block: str = ""  # the one that the JVM uses then: that one, jssecacerts or cacerts
    obstacle: str = ""  # why the managed block cannot be written


@dataclass
class Java:
    """The JRE that the application runs on from its next start on."""

    home: str
    version: str = ""  # "17.0.9"
    source: str = ""  # "process" | "setenv" | "unit" | "install" | ...
    keytool: str = ""
    writers: List[str] = field(default_factory=list)  # who besides root can change its java: "user jira (/opt/jira)"
    truststore: Optional[TrustStore] = None
    option: Optional[TrustOption] = None  # None: there is no setenv.sh
    unknown: str = ""  # the place that makes it unknown whether it is this one


@dataclass
class Difference:
    """What the running process has, and the next start will not have."""

    what: str  # "Java" | "trust store" | "-Dname"
    running: str
    following: str


@dataclass
class Process:
    """The application's running JVM."""

    pid: int
    started: float  # seconds since the epoch
    user: str = ""
    properties: Dict[str, str] = field(default_factory=dict)  # -D options, secrets replaced
    differences: List[Difference] = field(default_factory=list)


@dataclass
class ServiceUnit:
    """What starts and stops the application."""

    kind: str  # "systemd" | "sysv" | "none"
    name: str = ""
    active: bool = False
    reason: str = ""  # why there is none


@dataclass
class Application:
    """A Confluence or Jira installation."""

    kind: str  # "confluence" | "jira"
    install_dir: str
    version: str = ""
    home: str = ""
    shared_home: str = ""
    user: str = ""
    tomcat_version: str = ""
    properties: Dict[str, str] = field(default_factory=dict)  # -D options of the next start
    server_xml: Optional[ServerXml] = None
    java: Optional[Java] = None
    service: Optional[ServiceUnit] = None
    process: Optional[Process] = None
    evidence: List[str] = field(default_factory=list)
    aliases: List[str] = field(default_factory=list)  # other paths to it, by symbolic links
    writers: List[str] = field(default_factory=list)  # who besides root can change or exchange the installation
    leftover: str = ""  # why this is an unused installation, such as an earlier version; "" when it is in use
    container: Optional[Container] = None  # None: it runs on the host itself


@dataclass
class Doubted:
    """What looks like a part of an application and does not count, because others than root vouch for it.

    Nothing of it is in other facts, and nothing that it names is used.
    """

    what: str  # "installation" | "process" | "starter": a unit or SysV script
    path: str  # of the installation, or of the unit or script; control characters escaped
    reason: str
    kind: str = ""  # "confluence" | "jira"
    pid: int = 0  # of the first process where there are several
    user: str = ""  # of the process; the owner where there is none
    evidence: List[str] = field(default_factory=list)


@dataclass
class Upstream:
    """One server that a proxy forwards to."""

    scheme: str  # "http" | "https" | "ws" | "wss" | "tcp"
    host: str
    port: int
    backup: bool = False


@dataclass
class Route:
    """Where a virtual host forwards a path."""

    path: str  # "/" | "/confluence" | ...
    upstreams: List[Upstream] = field(default_factory=list)
    upstream_path: str = ""  # what the path becomes, "" when it is passed on as it is
    file: str = ""
    line: int = 0
    upgrade: bool = False  # passes the Upgrade of a WebSocket on
    http11: bool = True  # talks HTTP/1.1 to the upstream
    read_timeout: float = 0.0  # seconds an idle WebSocket lives; 0: unknown
    forwarded_proto: str = ""  # the value of X-Forwarded-Proto that is sent, "" for none
    sticky: str = ""  # how a client stays with one upstream: "ip_hash", "cookie JSESSIONID", ...; "" for not at all
    buffering: bool = False
    polling: Optional[bool] = None  # whether RTC's requests (/socket.io/) go this way; None: their path says so
    websocket: Optional[bool] = None  # whether those go this way that ask for a WebSocket
    # "prefix" | "exact" | "final": a prefix that no regular expression beats | "regex": the path is none, but one
    match: str = "prefix"
    only: str = ""  # of these requests those alone that ask for an "upgrade", or that do not: "plain"
    order: int = 0  # where several fit the lowest is asked first: Apache, HAProxy
    doubt: str = ""  # what may keep requests back or lead them elsewhere: a condition, an access rule


@dataclass
class ProxyListen:
    """A TCP socket that a virtual host listens on; one of the others (UDP, QUIC, local) is none."""

    address: str  # "*" for all of IPv4, "::" for all of IPv6
    port: int
    tls: bool = False
    file: str = ""
    line: int = 0
    last_port: int = 0  # of a range of ports that begins with ``port``; 0: there is one
    dual: bool = False  # a socket for all of one family that has all of the other too
    default: bool = False  # answers for names that nobody has (nginx)

    def takes(self, port: int) -> bool:
        """Whether a port is among its own."""
        return self.port <= port <= max(self.port, self.last_port)


@dataclass
class ServedCertificate:
    """A certificate that a virtual host presents, with absolute paths."""

    certificate: str
    key: str
    names: List[str] = field(default_factory=list)
    expires: float = 0.0  # seconds since the epoch, 0: unknown
    problem: str = ""  # why another virtual host cannot present it


@dataclass
class VirtualHost:
    """A server block, VirtualHost or frontend."""

    names: List[str] = field(default_factory=list)
    listens: List[ProxyListen] = field(default_factory=list)
    routes: List[Route] = field(default_factory=list)
    certificate: str = ""
    key: str = ""
    certificate_expires: float = 0.0  # seconds since the epoch, 0: unknown
    certificate_names: List[str] = field(default_factory=list)
    certificates: List[ServedCertificate] = field(default_factory=list)  # all of them, that one first
    file: str = ""
    line: int = 0
    managed: bool = False  # written by this collection
    kept: List[Route] = field(default_factory=list)  # paths that it answers itself, or of which reading cannot say it
    doubts: List[str] = field(default_factory=list)  # why reading cannot say how RTC's requests are passed on
    stops: List[str] = field(default_factory=list)  # what keeps them from RTC, or browsers from its answers
    sources: List[str] = field(
        default_factory=list
    )  # rules that let in some clients and not others: "file:line: allow ..."
    pages: str = ""  # what answers where the upstream does not: "file:line error_page 502 /50x.html"; "": the server


@dataclass
class Passage:
    """What came of asking for RTC through a proxy on its own host, as a browser does.

    An outcome is "passed", "stopped" (something else answered, or broke the connection), "down" (the proxy says that
    it cannot reach its upstream) or "unknown"; "" was not tried.
    """

    name: str  # that was asked for
    port: int
    address: str = ""  # of the socket, as it was read: "*" for all of IPv4
    tls: bool = False  # what the socket turned out to speak
    polling: str = ""
    websocket: str = ""
    upgrade: str = ""  # from polling to a WebSocket
    words: str = ""  # what came instead of RTC's first answer that is missing

    @property
    def outcome(self) -> str:
        """The worst of the three."""
        found = (self.polling, self.websocket, self.upgrade)
        return next((item for item in ("stopped", "down", "unknown", "passed") if item in found), "unknown")


@dataclass
class ProxyCapacity:
    """How many connections of clients a proxy passes on at the same time; a WebSocket is one as long as it lives."""

    connections: int = 0  # 0: unknown
    limits: List[str] = field(default_factory=list)  # what it follows from: "worker_connections 768 (file:line)"
    settings: Dict[str, int] = field(default_factory=dict)  # of these, by name: "worker_connections" -> 768
    file: str = ""  # where they are, or belong
    descriptors: int = 0  # that a process of it may have open; 0: unknown


@dataclass
class Proxy:
    """nginx, Apache httpd or HAProxy on the host."""

    kind: str  # "nginx" | "apache" | "haproxy"
    version: str = ""
    config: str = ""  # main file
    running: bool = False
    hosts: List[VirtualHost] = field(default_factory=list)
    sockets: List[ProxyListen] = field(default_factory=list)  # Apache's, which are not its virtual hosts' own
    error: str = ""  # the error message with which it refuses its configuration
    notes: List[str] = field(default_factory=list)  # what the reader could not follow
    unloaded: bool = False  # a file of its configuration is newer than what the running server has loaded
    passages: List[Passage] = field(default_factory=list)  # of what was asked for through it
    unwritable: str = ""  # why nothing that is written would be read; "" for nothing
    capacity: Optional[ProxyCapacity] = None  # None: unknown
    lacks: List[str] = field(default_factory=list)  # modules of Apache for several nodes, which a run could not use


@dataclass
class StoreState:
    """The store that an instance's configuration names, as its own release sees it from the host."""

    url: str
    unknown: str = ""  # why that could not be asked; then nothing below says anything
    fault: str = ""  # why it cannot be used
    kind: str = ""  # of a fault: "read_only", "newer", "pooler", "primaries"; "" for others
    needs: int = 0  # the version of the schema that a server has to know, where that is the fault
    risks: Dict[str, str] = field(default_factory=dict)  # setting -> what it risks
    projects: int = -1  # -1: unknown
    ahead: float = 0.0  # seconds by which the host's clock is ahead of the store's


@dataclass
class RtcInstance:
    """An RTC service found on the host."""

    kind: str  # "deployed": by this collection | "builtin": in the application's JVM | "foreign": another process
    port: int
    address: str = ""
    instance: str = ""  # "confluence" | "jira" for a deployed one
    unit: str = ""
    active: bool = False
    release: str = ""
    process: str = ""
    pid: int = 0
    store: Optional[StoreState] = None  # None: its journal is its own


@dataclass
class ManagedEntry:
    """Something that this collection made on the host, as its record of what is managed has it."""

    key: str
    kind: str
    site: str = ""
    owners: List[str] = field(default_factory=list)
    inventory: str = ""
    run: str = ""
    what: Dict[str, Any] = field(default_factory=dict)
    spec: str = ""
    before: Dict[str, Optional[str]] = field(default_factory=dict)
    state: str = ""  # "as_written" | "edited" | "missing" | "replaced" | "begun" | "unknown"
    diff: str = ""  # what somebody changed since
    current: Dict[str, Optional[str]] = field(default_factory=dict)  # of a connector: its attributes now


@dataclass
class Managed:
    """The record of what is managed, and who changes the host at this moment."""

    error: str = ""  # why it cannot be used: it is damaged, say
    machine: str = ""  # that it was written on, and the name of that in the inventory; "" where there is none
    host: str = ""
    hosts: Dict[str, str] = field(default_factory=dict)  # inventory -> name of the host in it
    entries: List[ManagedEntry] = field(default_factory=list)
    lease_run: str = ""  # of the run that changes the host now, or was killed
    lease_user: str = ""
    lease_controller: str = ""
    lease_seconds: float = 0.0  # how long ago it began


@dataclass
class HostFacts:
    """All that ``topology_info`` returns."""

    hostname: str = ""
    machine_id: str = ""  # machine-id(5)
    os_id: str = ""  # ID of os-release: "debian", "rhel", ...
    os_version: str = ""
    os_family: str = ""  # "debian" | "redhat" | ""
    machine: str = ""  # "x86_64", "aarch64"
    systemd: int = 0  # its version; 0 for unknown, or where there is none
    python: str = ""  # version of /usr/bin/python3, which the RTC server would run on: "3.11"
    pythons: Dict[str, str] = field(default_factory=dict)  # path -> "3.11" of all usable interpreters found
    selinux: str = ""  # "enforcing" | "permissive" | "" for none
    selinux_ports: List[int] = field(default_factory=list)  # of http_port_t, when SELinux is on
    selinux_types: Dict[str, str] = field(default_factory=dict)  # RTC port -> type that it has instead: {"9083": ...}
    selinux_connect: Optional[bool] = None  # httpd_can_network_connect: nginx, Apache
    selinux_haproxy_connect: Optional[bool] = None  # haproxy_connect_any
    firewall: str = ""  # "firewalld" | "ufw" | "nftables" | "" ; running only
    firewall_state: Firewall = field(default_factory=Firewall)
    root: bool = False
    clock: float = 0.0  # seconds since the epoch on the host
    addresses: List[str] = field(default_factory=list)  # of the host, without loopback
    main_address: str = ""  # the one that the default route uses
    resolves: Dict[str, List[str]] = field(default_factory=dict)  # name -> addresses, as this host sees it
    applications: List[Application] = field(default_factory=list)
    proxies: List[Proxy] = field(default_factory=list)
    listeners: List[Listener] = field(default_factory=list)
    rtc: List[RtcInstance] = field(default_factory=list)
    releases: List[str] = field(default_factory=list)  # of the RTC server that the host keeps
    doubted: List[Doubted] = field(default_factory=list)
    unwritable: List[Unwritable] = field(default_factory=list)  # of what a run may have to write; as root only
    unreadable: List[Unreadable] = field(default_factory=list)
    managed: Managed = field(default_factory=Managed)


def to_dict(value: Any) -> dict[str, Any]:
    """A dataclass, with those within, as JSON-ready data."""
    return dataclasses.asdict(value)


def from_dict(cls: type[T], data: dict[str, Any]) -> T:
    """A dataclass back from JSON, with those that its fields hold, alone or in lists and dictionaries.

    Unknown keys are ignored, so that a newer host may talk to an older controller.

    :raises TypeError: a field that has no default is missing.
    """
    types = _resolve_types(cls)  # type: ignore[arg-type] # mypy doubts that classes are hashable
    return cls(**{name: _restore(types[name], value) for name, value in data.items() if name in types})


@functools.lru_cache(maxsize=None)
def _resolve_types(cls: Any) -> dict[str, Any]:
    """The type of each field, evaluated once: annotations are text (PEP 563)."""
    return typing.get_type_hints(cls)


def _restore(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if dataclasses.is_dataclass(kind):
        return from_dict(typing.cast("type[Any]", kind), value)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return [_restore(arguments[0], item) for item in value]
    if origin is dict:
        return {key: _restore(arguments[1], item) for key, item in value.items()}
    if type(None) in arguments:  # Optional[...]
        return _restore(arguments[0], value)
    return value
