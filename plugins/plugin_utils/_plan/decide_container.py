# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the container of an application is to have, and what of that is not in force. Pure.

Atlassian's images render server.xml from ``ATL_*`` variables at each start, so nothing in a container is edited: its
administrator gets the settings that reach the same goal, and a later run sees whether they are in force.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container, PublishedPort
from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector, Java
from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import container_text, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.decide_service import LOOPBACK
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import (
    DesiredConnector,
    DesiredContainer,
    DesiredService,
    DesiredTrust,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node, list_attributes

STORES = "/etc/rtc-truststore"  # on the host, a directory for each application; in the container, that directory
# Attributes of the connector, as the images' template takes them from the environment, and its defaults
# (bitbucket.org/atlassian-docker, "Reverse Proxy Settings" of the images' README).
VARIABLES = {
    "proxyName": "ATL_PROXY_NAME",
    "proxyPort": "ATL_PROXY_PORT",
    "scheme": "ATL_TOMCAT_SCHEME",
    "secure": "ATL_TOMCAT_SECURE",
}
DEFAULTS = {"scheme": "http", "secure": "false"}
CONTEXT_PATH, PORT = "ATL_TOMCAT_CONTEXTPATH", "ATL_TOMCAT_PORT"
USUAL_PORTS = {"confluence": 8090, "jira": 8080}
JVM_OPTIONS = ("JVM_SUPPORT_RECOMMENDED_ARGS", "JAVA_TOOL_OPTIONS")
_STORE = "-Djavax.net.ssl.trustStore="
_STORE_OPTION = re.compile(r"(?:^|\s)-Djavax\.net\.ssl\.trustStore=\S+")


def decide_container(
    classified: ClassifiedSite,
    node: Node,
    attributes: dict[str, str | None],
    service: DesiredService,
    trust: DesiredTrust,
    beside: bool,
) -> DesiredContainer | None:
    """The settings of a node's container; ``None`` where it runs in none.

    :param attributes: of the connector, as the site needs them.
    """
    container, connector = node.application.container, node.connector
    if container is None or connector is None:
        return None
    variables = _list_variables(node, connector, attributes)
    option, mount, missing_trust = _decide_trust(node, container, trust)
    ports, missing_ports = _decide_ports(classified, node, container, connector, service, beside)
    hosts = _decide_hosts(classified, node, container)
    differing = list(_compare(node, connector, container, attributes, variables))
    missing, without_effect = ([text for kind, text in differing if kind is one] for one in (True, False))
    given = {**variables, **option}
    missing_hosts = [item for item in hosts if item.rpartition(":")[0] not in container.resolves]
    return DesiredContainer(
        name=container.name,
        variables=given,
        ports=ports,
        mounts=mount,
        hosts=hosts,
        missing_settings=missing,
        missing_trust=missing_trust,
        missing_ports=missing_ports,
        missing_hosts=missing_hosts,
        without_effect=without_effect,
        compose=container_text.render_compose(container, node.kind, given, ports, mount, hosts),
        options=container_text.render_options(given, ports, mount, hosts),
        command=container_text.name_command(container),
    )


def _list_variables(node: Node, connector: Connector, attributes: dict[str, str | None]) -> dict[str, str]:
    """Name -> value of each variable; those at which the template's default is right are left out."""
    found = {
        variable: value for name, variable in VARIABLES.items() for value in [attributes.get(name)] if value is not None
    }
    if node.context_path:
        found[CONTEXT_PATH] = node.context_path
    if connector.port != USUAL_PORTS[node.kind]:
        found[PORT] = str(connector.port)
    return found


def _compare(
    node: Node,
    connector: Connector,
    container: Container,
    attributes: dict[str, str | None],
    variables: dict[str, str],
) -> Iterator[tuple[bool, str]]:
    """What is not as it has to be: whether a variable has to change (else it has no effect), and how it is now.

    Where nothing renders server.xml anew, what is in it stays, whatever the variables are.
    """
    given = {name.upper(): value for name, value in container.environment.items()}
    xml, now = node.application.server_xml, list_attributes(connector)
    rendered = bool(xml and xml.generated_by)
    for name, variable in VARIABLES.items():
        if name not in attributes:
            continue
        wanted = attributes[name] or DEFAULTS.get(name, "")
        has, told = now.get(name, ""), given.get(variable, "")
        where = f"{node.server_xml}:{connector.line}"
        told_right = (told or DEFAULTS.get(name, "")).lower() == wanted.lower()
        if has.lower() == wanted.lower():
            if rendered and not told_right:
                yield True, f"{where}: {name} is {has}, and the next start loses it: {_say(variable, told)}"
        elif told_right:
            yield False, f"{where}: {name} is {has or 'not set'}, although {_say(variable, told)}"
        else:
            yield True, f"{where}: {name} is {has or 'not set'}; {_say(variable, told)}"
            if not rendered:
                yield False, f"{node.server_xml}: nothing was found in the container that writes it from {variable}"
    for variable in (CONTEXT_PATH, PORT):
        told, wanted = given.get(variable, ""), variables.get(variable, "")
        if rendered and wanted and told.strip("/") != wanted.strip("/"):
            yield True, f"server.xml has {wanted}, and the next start loses it: {_say(variable, told)}"


def _say(variable: str, told: str) -> str:
    return f"{variable} is {told}" if told else f"{variable} is not set"


def decide_store(node: Node) -> str:
    """The trust store on the host that the container gets."""
    return node.settings.truststore_path or f"{STORES}/{node.kind}/cacerts"


def find_inner_store(node: Node) -> str:
    """Where the container sees that trust store."""
    return f"{STORES}/{posixpath.basename(decide_store(node))}"


def find_copied(node: Node, java: Java) -> str:
    """The store in the container that a store of its own begins with: that of its JVM, by its path there."""
    store = java.truststore
    own = f"{node.application.container.name if node.application.container else ''}:{find_inner_store(node)}"
    if store is not None and store.path != own:
        return _strip(store.path)
    return f"{_strip(java.home)}/lib/security/cacerts"


def _strip(path: str) -> str:
    return path[path.find(":/") + 1 :]


def _decide_trust(node: Node, container: Container, trust: DesiredTrust) -> tuple[dict[str, str], list[str], list[str]]:
    """The variable with the JVM's option, the mount, and what of both is missing."""
    if not (trust.path and trust.certificates):
        return {}, [], []
    inner = find_inner_store(node)
    java = node.application.java
    store = java.truststore if java else None
    root = node.given.root_fingerprint if node.given else ""
    given = {name.upper(): value for name, value in container.environment.items()}
    source = posixpath.dirname(trust.path)
    relabel = ",z" if node.facts.selinux == "enforcing" else ""
    mount = [f"{source}:{STORES}:ro{relabel}"]
    mounted = any(item.source == source and item.target == STORES for item in container.mounts)
    named = store is not None and store.path == f"{container.name}:{inner}"
    trusts = store is not None and bool(root) and root in store.fingerprints
    variable, value = _add_option(given, f"{_STORE}{inner}")
    if trusts and not named:
        return {}, [], []  # the image, or another store, has the authority
    missing = []
    if not mounted:
        missing.append(f"{source} of the host is not mounted on {STORES}")
    if not named:
        missing.append(f"the JVM reads {store.path if store else 'another trust store'}, not {inner}")
    return {variable: value}, mount, missing


def _add_option(given: dict[str, str], option: str) -> tuple[str, str]:
    """The variable that names the trust store to the JVM, with all that it has now.

    A value with a secret in it is not known as a whole, so another variable is taken, which every JVM reads.
    """
    name = next((name for name in JVM_OPTIONS if MASK not in given.get(name, "")), JVM_OPTIONS[-1])
    kept = _STORE_OPTION.sub("", given.get(name, "")).strip()
    return name, f"{kept} {option}".strip()


def _decide_ports(
    classified: ClassifiedSite,
    node: Node,
    container: Container,
    connector: Connector,
    service: DesiredService,
    beside: bool,
) -> tuple[list[str], list[str]]:
    """All ports that are to be published, and what is wrong now. Nothing is said where that is unknown."""
    if container.network == "host" and beside and not routing.is_loopback(connector.address):
        return [], [f"the container has the network of the host, and all reach port {connector.port} without the proxy"]
    if container.network == "host" or container.ports_unknown:
        return [], []
    wanted = [connector.port] + ([classified.site.rtc_port] if service.kind == "builtin" else [])
    ports = [item for item in container.ports if item.container_port not in wanted]
    missing: list[str] = []
    for port in wanted:
        there = [item for item in container.ports if item.container_port == port]
        good = [item for item in there if not beside or routing.is_loopback(item.address)]
        if classified.proxy is not None and not beside:
            if not classified.proxy.host:  # it may be in a container that has a network with this one
                ports += there
                continue
            good = [item for item in there if not routing.is_loopback(item.address)]
        by_address = beside and any(item.upstream.host in container.addresses for item in _list_routes(classified))
        missing += _explain_ports(port, there, good, beside, by_address)
        if not good and not by_address:
            address = LOOPBACK if beside else "0.0.0.0"  # noqa: S104 - named, not bound
            good = [PublishedPort(address, there[0].port if there else port, port)]
        ports += good
    return list(dict.fromkeys(map(routing.show_port, ports))), missing


def _list_routes(classified: ClassifiedSite) -> list[routing.ProxyRoute]:
    return [*classified.proxy.application, *classified.proxy.rtc] if classified.proxy else []


def _explain_ports(
    port: int, there: list[PublishedPort], good: list[PublishedPort], beside: bool, by_address: bool
) -> list[str]:
    if beside:
        wrong = [item for item in there if item not in good]
        if wrong:
            return [
                f"port {port} is published on {item.address}:{item.port}, where users reach it without the proxy"
                for item in wrong
            ]
        return [] if good or by_address else [f"port {port} is not published, and no proxy here forwards to it"]
    if good:
        return []
    if there:
        return [f"port {port} is published on {there[0].address}:{there[0].port} only, which no other host reaches"]
    return [f"port {port} is not published"]


def _decide_hosts(classified: ClassifiedSite, node: Node, container: Container) -> list[str]:
    """Names that the container needs in its /etc/hosts: the server name, where it means the host itself there.

    The application asks the RTC server by it. What leads to the host's loopback leads to the container's own there.
    """
    name = classified.site.server_name
    resolved = node.facts.resolves.get(name, [])
    if container.network != "own" or not node.facts.main_address:
        return []
    if name in container.resolves and not routing.is_loopback(container.resolves[name]):
        return [f"{name}:{container.resolves[name]}"]
    if resolved and all(map(routing.is_loopback, resolved)):
        return [f"{name}:{node.facts.main_address}"]
    return []


def decide_connector(node: Node, connector: Connector, beside: bool, evidence: dict[str, str]) -> DesiredConnector:
    """The connector of a container as the host sees it: by the port that leads there; nothing in it is changed."""
    container = node.application.container
    port, address = connector.port, ""
    if container is not None and container.network != "host":
        port = routing.find_reach(container, connector.port, beside)
        address = LOOPBACK if beside else ""
    elif beside:
        address = LOOPBACK
    return DesiredConnector(
        path=node.server_xml,
        port=port,
        scheme="https" if connector.ssl else "http",
        address=address,
        attributes={},
        differs=False,
        tomcat_version=node.application.tomcat_version,
        evidence=evidence,
    )
