# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: what the action ``plan`` returns and the roles apply, as JSON.

``Plan.hosts[<inventory name>]`` is all that the roles of that host read; nothing else decides what is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import WantedListener
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding


@dataclass
class Site:
    """An application as its users see it."""

    name: str  # "confluence.example.com:9083": server name and RTC port
    application: str  # "confluence" | "jira"
    nodes: list[str]  # inventory names
    server_name: str
    rtc_port: int
    protocol: str  # "HTTP" | "HTTP + SSL" | "HTTPS"
    placement: str  # "direct" | "same_host" | "remote" | "data_center"
    topology: str  # "T1" ... "T9"
    proxy_host: str = ""  # inventory name; "" for none or one that nobody listed
    proxy_kind: str = ""  # a choice of rtc_proxy_kind, "unknown", or "" for none
    context_path: str = ""
    base_url: str = ""  # "https://confluence.example.com/confluence"
    rtc_url: str = ""  # "https://confluence.example.com:9083"
    evidence: list[str] = field(default_factory=list)


@dataclass
class ConnectorPlan:
    """What ``tomcat_connector`` is to set; a null removes an attribute."""

    site: str
    application: str  # "confluence" | "jira"
    path: str
    connector_port: int
    attributes: dict[str, str | None] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    tomcat_version: str = ""


@dataclass
class TrustPlan:
    """What ``java_truststore`` is to import."""

    site: str
    application: str  # "confluence" | "jira"
    path: str
    jre_home: str
    certificates: list[dict[str, str]] = field(default_factory=list)  # as the module's option of that name
    copy_from: str = ""  # where ``path`` is a store of its own that may not exist yet: the store that it begins with
    copy_process: dict[str, float] = field(default_factory=dict)  # in whose container that store is; empty for the host


@dataclass
class ContainerPlan:
    """What the administrator of a container is to set: nothing in it is changed by a run."""

    site: str
    application: str  # "confluence" | "jira"
    name: str
    missing: list[str] = field(default_factory=list)  # what is not in force; empty: all is
    compose: str = ""  # text of a compose.override.yml
    options: str = ""  # of docker run or podman run
    command: str = ""  # that makes the container anew


@dataclass
class TrustOptionPlan:
    """What ``jvm_truststore_option`` is to write into ``setenv.sh``."""

    site: str
    application: str  # "confluence" | "jira"
    path: str
    truststore: str = ""  # "": the option of this collection goes
    instead_of: str = ""  # the store that the JVM used until now


@dataclass
class TextfilePlan:
    """Where the role ``verify`` leaves its results for node_exporter."""

    site: str
    path: str


@dataclass
class RtcPlan:
    """An RTC server instance, ``rtc-server@<instance>``."""

    site: str
    instance: str  # "confluence" | "jira"
    service: str  # "deployed" | "builtin"
    address: str
    port: int
    server_name: str
    origins: list[str] = field(default_factory=list)
    python: str = "/usr/bin/python3"
    python_version: str = ""  # "3.11": which bundle
    machine: str = "x86_64"
    trusted_proxies: list[str] = field(default_factory=list)  # addresses whose X-Forwarded-For counts
    config: dict[str, Any] = field(default_factory=dict)  # as rtc_instance takes it: _rtc_server.unit.server_config
    tls_from: str = ""  # server.xml whose connector's key is to be used (T8, T9); "" for plain
    tls_port: int = 0  # of that connector
    tls_name: str = ""  # the name that clients, or the proxy, ask for
    properties: dict[str, str] = field(default_factory=dict)  # for ${...} in server.xml, where the key is to be read
    property_sources: list[dict[str, object]] = field(default_factory=list)  # as keystore_pem takes them: of secrets
    jre_home: str = ""  # whose keytool converts a store that only Java can read
    store_ca: str = ""  # PEM of whom it trusts at the store (config.journal.store_url)
    panel_ca: str = ""  # PEM of whom its panel trusts at the address of users (config.admin.url)


@dataclass
class RestartPlan:
    """An application whose running JVM is older than its configuration or trust."""

    site: str
    kind: str
    service: str
    service_kind: str
    port: int  # of the user connector: ready when it answers
    address: str
    scheme: str = "http"
    context_path: str = ""
    reasons: list[str] = field(default_factory=list)  # why it is due already, before anything is changed
    policy: str = "when_needed"  # "when_needed" | "never": then it is left to the administrator
    command: list[str] = field(default_factory=list)  # its arguments; in place of the service


@dataclass
class Work:
    """One thing of a host, and what the run does about it."""

    site: str
    # "create" | "change" | "remove" | "adopt" | "conflict" | "nothing" | "orphan" | "stay": something else reads it
    # | "foreign": another inventory made it, for hosts of the same name
    action: str
    key: str  # of the record of what is managed
    text: str  # for people
    diff: str = ""  # of a conflict: what somebody changed


@dataclass
class Removal:
    """Something that is not wanted any more, as the role ``removal`` takes it away."""

    site: str  # that it goes with: where that site is stopped, it stays
    key: str
    kind: str
    what: dict[str, Any] = field(default_factory=dict)  # options of the module
    before: dict[str, str | None] = field(default_factory=dict)  # of a connector: the attributes that it gets back
    early: bool = False  # it has the port that something else is about to get


@dataclass
class ListenerPlan:
    """What ``rtc_aws_listener`` is to do; on the controller, in the name of one of the site's hosts."""

    site: str
    application: str  # "confluence" | "jira"
    wanted: WantedListener
    access: dict[str, str] = field(default_factory=dict)  # options of the module: region, profile, ...; no secrets
    steps: list[str] = field(default_factory=list)  # for people


@dataclass
class HostPlan:
    """All that the roles do on one host."""

    host: str
    connectors: list[ConnectorPlan] = field(default_factory=list)
    trust: list[TrustPlan] = field(default_factory=list)
    trust_options: list[TrustOptionPlan] = field(default_factory=list)
    containers: list[ContainerPlan] = field(default_factory=list)
    textfiles: list[TextfilePlan] = field(default_factory=list)
    rtc: list[RtcPlan] = field(default_factory=list)
    vhosts: list[VhostPlan] = field(default_factory=list)
    restarts: list[RestartPlan] = field(default_factory=list)
    listeners: list[ListenerPlan] = field(default_factory=list)  # where something differs at AWS
    packages: list[str] = field(default_factory=list)  # such as nginx, where it is missing
    certificates: list[dict[str, str]] = field(default_factory=list)
    # {src, dest, mode, holds}: files of the controller that the proxy needs; or, instead of src,
    # {variable, from, kind}: PEM text in that variable of the host "from", because a key is never part of a plan
    work: list[Work] = field(default_factory=list)  # all that is wanted, recorded or both, and what is done about it
    records: list[dict[str, Any]] = field(default_factory=list)  # entries that managed_record is to write before
    removals: list[Removal] = field(default_factory=list)
    # What detection saw of the record, key -> {run, edited}: managed_record refuses a run where that has changed since.
    recorded: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Plan:
    """The plan of a run: every host, every site, everything found."""

    sites: list[Site] = field(default_factory=list)
    hosts: dict[str, HostPlan] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)  # site -> why it is left alone from the start
    left_out: list[str] = field(default_factory=list)  # hosts of our groups that this run does not look at (--limit)
    absent: bool = False  # hosts, or applications of the run, are to have nothing of this collection any more
    basis: dict[str, dict[str, str]] = field(default_factory=dict)  # host -> part -> digest: what it rests on
    identity: dict[str, Any] = field(default_factory=dict)  # of the inventory and the controller's process, for records
    kept_on_failure: list[str] = field(default_factory=list)  # sites that stay as they are when they fail their checks
    max_failures: int = 0  # after so many failed sites no further one is begun; 0: no limit
