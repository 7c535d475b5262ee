# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspection of the application and its server.xml: RTC2xx and RTC007. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Connector, ServerXml
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import node as planning_node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Node, SiteState

POST_LIMIT = 2097152  # Tomcat's default maxPostSize in bytes


def node(item: Node) -> list[Finding]:
    """What is said about an application whatever its site is."""
    found = []
    application = item.application
    name = f"{application.kind.capitalize()} in {application.install_dir} on {item.host}"
    if application.process is None:
        found.append(make("RTC007", item.host, f"{name} does not run."))
    if application.java is None or not application.java.home:
        found.append(make("RTC222", item.host, f"The Java of {name} was not found."))
    xml = application.server_xml
    if xml is None or xml.error:
        found.append(_unread(item, xml))
    elif item.connector is None:
        found.append(_no_connector(item))
    else:
        found += _connector(item, item.connector)
    return found


def _unread(item: Node, xml: ServerXml | None) -> Finding:
    if xml is None:
        return make("RTC201", item.host, f"{item.server_xml}: there is no such file.")
    hidden = any(part.what == xml.path for part in item.facts.unreadable)
    return make("RTC201", item.host, xml.error, remedy="Run with become: true." if hidden else "")


def _no_connector(item: Node) -> Finding:
    connectors = item.application.server_xml.connectors if item.application.server_xml else []
    evidence = [f"{item.server_xml}:{one.line}: port {one.port}: {one.reason}" for one in connectors]
    wanted = item.wishes.connector_port
    what = f"no connector has port {wanted}" if wanted else "none of its connectors is clearly the users'"
    return make("RTC202", item.host, f"{item.server_xml}: {what}.", evidence)


def _connector(item: Node, connector: Connector) -> Iterator[Finding]:
    where = f"{item.server_xml}:{connector.line}"
    xml = item.application.server_xml
    if connector.attributes.get("proxyName") == "":
        yield make("RTC203", item.host, f'{where}: proxyName="".')
    if connector.unresolved:
        yield make("RTC213", item.host, f"{where}: the value of {', '.join(connector.unresolved)} is not known.")
    post = connector.attributes.get("maxPostSize", "")
    if not post or (post.isdigit() and 0 < int(post) <= POST_LIMIT):
        yield make("RTC212", item.host, f"{where}: maxPostSize is {post or 'not set'}.")
    others = [one for one in (xml.connectors if xml else []) if one is not connector]
    if others:
        ports = ", ".join(str(one.port) for one in others)
        yield make(
            "RTC218",
            item.host,
            f"{item.server_xml}: users arrive at port {connector.port}; port {ports} stays as it is.",
            [f"{item.server_xml}:{one.line}: {one.reason}" for one in (connector, *others) if one.reason],
        )
    if connector.ssl:
        yield from _key(item, connector, where)


def _key(item: Node, connector: Connector, where: str) -> Iterator[Finding]:
    forms = {host.form for host in connector.tls if host.keystore or host.certificate}
    if not forms:
        yield make("RTC207", item.host, f"{where}: SSLEnabled is true and no key is named.")
    elif forms == {"attributes"} and desired.version_tuple(item.application.tomcat_version) >= (10,):
        yield make(
            "RTC216", item.host, f"{where}: Tomcat {item.application.tomcat_version} knows no key store attributes."
        )


def in_site(state: SiteState, item: Node) -> list[Finding]:
    """What is said about an application as part of its site."""
    connector = item.connector
    if connector is None or item.presumed:
        return []
    where = f"{item.server_xml}:{connector.line}"
    found = [*_proxied(state, item, connector, where), *_scheme(state, item, connector, where)]
    found += _generated(state, item)
    found += _addresses(state, item, connector, where)
    reasons = planning_node.pending(item)
    if reasons:
        found.append(
            make("RTC214", item.host, f"{item.kind.capitalize()} on {item.host} has to be restarted.", reasons)
        )
    if (
        connector.ssl
        and desired.keeps_builtin(state, item)
        and any(host.form == "sslhostconfig" for host in connector.tls)
    ):
        found.append(make("RTC217", item.host, f"{where}: the key is in an SSLHostConfig."))
    for finding in found:
        finding.site = state.site.name
    return found


def _proxied(state: SiteState, item: Node, connector: Connector, where: str) -> Iterator[Finding]:
    site = state.site
    if state.proxy is None:
        if connector.proxy_name and connector.proxy_name.lower() != site.server_name:
            yield make(
                "RTC204",
                item.host,
                f"{where}: proxyName is {connector.proxy_name}, the server name is {site.server_name}.",
                remedy="Correct proxyName, or rtc_server_name.",
            )
        if connector.scheme == "https" and not connector.ssl:
            yield make(
                "RTC209",
                item.host,
                f"{where}: scheme is https, and nothing before Tomcat ends TLS.",
                remedy="Remove scheme and secure, or name the proxy with rtc_proxy.",
            )
        return
    if not connector.proxy_name:
        if "proxyName" not in connector.attributes:
            yield make("RTC205", item.host, f"{where}: no proxyName, and {state.proxy.evidence}.")
        return
    if connector.proxy_name.lower() != site.server_name:
        yield make(
            "RTC204", item.host, f"{where}: proxyName is {connector.proxy_name}, the server name is {site.server_name}."
        )
    wrong = []
    if connector.proxy_port and connector.proxy_port != state.application_port:
        wrong.append(f"proxyPort is {connector.proxy_port}, users come by {state.application_port}")
    if not connector.ssl and (connector.scheme == "https") != state.tls:
        wrong.append(f"scheme is {connector.scheme}, users speak {'https' if state.tls else 'http'}")
    if not connector.proxy_port and state.application_port != connector.port:
        wrong.append(f"there is no proxyPort, users come by {state.application_port}")
    if wrong:
        yield make("RTC209", item.host, f"{where}: {'; '.join(wrong)}.")


def _scheme(state: SiteState, item: Node, connector: Connector, where: str) -> Iterator[Finding]:
    if connector.ssl:
        return
    if connector.scheme == "https" and not connector.secure:
        yield make("RTC208", item.host, f'{where}: scheme="https" without secure="true".')
    if connector.secure and not state.tls:
        yield make("RTC215", item.host, f'{where}: secure="true", and users of {state.site.base_url} speak HTTP.')
    xml = item.application.server_xml
    if xml is None or xml.remote_ip_valve is None or state.proxy is None:
        return
    header = xml.remote_ip_valve.get("protocolHeader", "X-Forwarded-Proto")
    if header.lower() != "x-forwarded-proto":
        return
    wanted = "https" if state.tls else "http"
    for match in state.proxy.application:
        sent = match.route.forwarded_proto
        # A variable is right by construction: it is the protocol of the request, as the proxy saw it.
        seen = ("https" if match.listen.tls else "http") if sent in ("$scheme", "%{REQUEST_SCHEME}s") else sent
        if match.listen.tls == state.tls and sent and seen in ("http", "https") and seen != wanted:
            yield make(
                "RTC210",
                item.host,
                f"{match.where} sends {header}: {sent}, and users speak {wanted}.",
                [f"{item.server_xml}: RemoteIpValve"],
            )
            return


def _generated(state: SiteState, item: Node) -> Iterator[Finding]:
    xml = item.application.server_xml
    if xml and xml.generated_by and planning_node.differs(state, item):
        yield make("RTC211", item.host, f"{xml.path} has to change, but is written anew: {xml.generated_by}.")


def _addresses(state: SiteState, item: Node, connector: Connector, where: str) -> Iterator[Finding]:
    loopback = routing.is_loopback(connector.address)
    if desired.is_local(state, item):
        if not loopback:
            yield make("RTC206", item.host, f"{where}: address is {connector.address or 'not set'}.")
    elif state.proxy is None:
        if loopback and item.wishes.proxy != NO_PROXY:
            yield make("RTC220", item.host, f"{where}: address is {connector.address}.")
    elif loopback and not desired.proxy_unseen(state):
        yield make(
            "RTC221",
            item.host,
            f"{where}: address is {connector.address}, the proxy is on {state.proxy.host or 'another host'}.",
        )
