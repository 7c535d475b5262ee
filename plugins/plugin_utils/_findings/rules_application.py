# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the application and its server.xml: RTC2xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, Connector, ServerXml
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.tls_source import ENCRYPTION_KEY
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import contained
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import NO_PROXY
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredNode, DesiredSite
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.versions import parse_version

POST_LIMIT = 2097152  # Tomcat's default maxPostSize in bytes


def check_node(node: Node) -> list[Finding]:
    """Findings about an application, whatever its site is."""
    found = []
    application = node.application
    name = f"{application.kind.capitalize()} in {application.install_dir} on {node.host}"
    if application.java is None or not application.java.home:
        why = "Neither a process, setenv.sh, a unit nor the installation names one that is there."
        found.append(make("RTC222", node.host, f"The Java of {name} was not found.", [why]))
    others = _list_other_writers(application)
    if others:
        found.append(make("RTC223", node.host, f"{name} can be changed by others.", others))
    xml = application.server_xml
    if xml is None or xml.error:
        found.append(_report_unread(node, xml))
    elif node.connector is None:
        found.append(_report_no_connector(node))
    else:
        found += _check_connector(node, node.connector)
    found += [
        make("RTC224", node.host, f"{one.where}: {one.what} is '{one.text}': {one.why}.", remedy=one.remedy)
        for one in node.unusable
    ]
    return found


def check_cookies(sites: list[ClassifiedSite]) -> Iterator[Finding]:
    """Two applications under one name and path."""
    seen: dict[tuple[str, str], ClassifiedSite] = {}
    for classified in sites:
        key = (classified.site.server_name, classified.site.context_path)
        if key in seen and classified.site.application != seen[key].site.application:
            yield make(
                "RTC219",
                classified.nodes[0].host,
                f"{seen[key].site.base_url} and {classified.site.base_url} differ by the port only.",
                site=classified.site.name,
            )
        seen.setdefault(key, classified)


def _list_other_writers(application: Application) -> list[str]:
    """Who besides root and the user that it runs as, with his group, can change an application or its Java."""
    own = tuple(f"{kind} {application.user} (" for kind in ("user", "group") if application.user)
    writers = [*application.writers, *(application.java.writers if application.java else [])]
    return [item for item in dict.fromkeys(writers) if not item.startswith(own)]


def _report_unread(node: Node, xml: ServerXml | None) -> Finding:
    if xml is None:
        return make("RTC201", node.host, f"{node.server_xml}: there is no such file.")
    hidden = any(part.what == xml.path for part in node.facts.unreadable)
    return make("RTC201", node.host, xml.error, remedy="Run with become: true." if hidden else "")


def _report_no_connector(node: Node) -> Finding:
    connectors = node.application.server_xml.connectors if node.application.server_xml else []
    evidence = [f"{node.server_xml}:{one.line}: port {one.port}: {one.reason}" for one in connectors]
    wanted = node.settings.connector_port
    what = f"no connector has port {wanted}" if wanted else "none of its connectors is clearly the users'"
    return make("RTC202", node.host, f"{node.server_xml}: {what}.", evidence)


def _check_connector(node: Node, connector: Connector) -> Iterator[Finding]:
    where = f"{node.server_xml}:{connector.line}"
    xml = node.application.server_xml
    if connector.attributes.get("proxyName") == "" and node.application.container is None:
        yield make("RTC203", node.host, f'{where}: proxyName="".')
    errors = {one.what for one in node.unusable}
    unknown = [name for name in connector.unresolved if name not in errors]
    if unknown:
        yield make("RTC213", node.host, f"{where}: the value of {', '.join(unknown)} is not known.")
    post = connector.attributes.get("maxPostSize", "")
    if not post or (post.isdigit() and 0 < int(post) <= POST_LIMIT):
        yield make("RTC212", node.host, f"{where}: maxPostSize is {post or 'not set'}.")
    others = [one for one in (xml.connectors if xml else []) if one is not connector]
    if others:
        ports = ", ".join(str(one.port) for one in others)
        yield make(
            "RTC218",
            node.host,
            f"{node.server_xml}: users arrive at port {connector.port}; port {ports} stays as it is.",
            [f"{node.server_xml}:{connector.line}: {node.connector_why}"]
            if node.connector_why
            else [f"{node.server_xml}:{one.line}: {one.reason}" for one in (connector, *others) if one.reason],
        )
    if connector.ssl:
        yield from _check_key(node, connector, where)


def _check_key(node: Node, connector: Connector, where: str) -> Iterator[Finding]:
    forms = {host.form for host in connector.tls if host.keystore or host.certificate}
    if not forms:
        reasons = [host.missing for host in connector.tls if host.missing]
        yield make("RTC207", node.host, f"{where}: {'; '.join(['SSLEnabled is true and no key is named', *reasons])}.")
    elif forms == {"attributes"} and parse_version(node.application.tomcat_version) >= (10,):
        yield make(
            "RTC216", node.host, f"{where}: Tomcat {node.application.tomcat_version} knows no key store attributes."
        )


def check_node_of_site(
    classified: ClassifiedSite, node: Node, wanted: DesiredSite, wanted_node: DesiredNode
) -> list[Finding]:
    """Findings about an application as part of its site."""
    connector = node.connector
    if connector is None or node.presumed:
        return []
    where = f"{node.server_xml}:{connector.line}"
    if wanted_node.container is not None:
        return [*contained.check_node(node, wanted_node), *_check_restart(node, wanted_node)]
    found = [
        *_check_proxy_attributes(classified, node, connector, where),
        *_check_scheme(classified, node, connector, where, wanted_node),
    ]
    found += [*_check_generated(node, wanted_node), *_check_mounted(node, wanted_node)]
    found += _check_address(classified, node, wanted, wanted_node)
    found += _check_service(node, wanted_node)
    found += _check_restart(node, wanted_node)
    if (
        connector.ssl
        and wanted_node.service.kind == "builtin"
        and any(host.form == "sslhostconfig" for host in connector.tls)
    ):
        found.append(make("RTC217", node.host, f"{where}: the key is in an SSLHostConfig."))
    if connector.ssl and wanted_node.service.kind == "deployed":
        found += _check_encrypted(node, connector, where)
    if wanted_node.service.tls_from and wanted_node.service.kind == "deployed":
        found += _check_secrets(node, connector, where)
    return found


def _check_restart(node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    reasons = wanted_node.restart.reasons
    if reasons:
        yield make("RTC214", node.host, f"{node.kind.capitalize()} on {node.host} has to be restarted.", reasons)


def _check_encrypted(node: Node, connector: Connector, where: str) -> Iterator[Finding]:
    """Passwords that Atlassian's tool encrypted; PEM files need none as a rule."""
    if connector.tls and all(host.certificate for host in connector.tls):
        return
    for name, value in connector.attributes.items():
        if value and name.lower().endswith(ENCRYPTION_KEY):
            yield make("RTC225", node.host, f"{where}: {name} is set, so the key store's password is encrypted.")


def _check_secrets(node: Node, connector: Connector, where: str) -> Iterator[Finding]:
    """What the role needs to find and open the key, and cannot read."""
    xml = node.application.server_xml
    names = [f"${{{item.name}}}" for item in (xml.secrets if xml else []) if item.key and not item.file]
    paths = [path for host in connector.tls for path in (host.keystore, host.certificate, host.key) if "${" in path]
    if names or paths:
        yield make("RTC226", node.host, f"{where}: the value of {', '.join([*names, *paths])} cannot be read.")


def _check_service(node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    """What restarts the application; of no interest where the inventory leaves that to the administrator."""
    service, obstacle = node.application.service, wanted_node.restart.obstacle
    if not obstacle or node.settings.restart_application == "never":
        return
    name = f"{node.kind.capitalize()} in {node.application.install_dir} on {node.host}"
    if service is not None and service.kind != "none":
        yield make(
            "RTC228",
            node.host,
            f"{name}: {obstacle}.",
            remedy=(
                f"Stop it the way it was started, then start the service {service.name}. If another one starts it, name"
                " that with rtc_application_service."
            ),
        )
    elif node.settings.application_service:
        yield make("RTC227", node.host, f"{name}: {obstacle}.")
    else:
        yield make("RTC229", node.host, f"{name} cannot be restarted by a run: {obstacle}.")


def _check_proxy_attributes(
    classified: ClassifiedSite, node: Node, connector: Connector, where: str
) -> Iterator[Finding]:
    site = classified.site
    if classified.proxy is None:
        if connector.proxy_name and connector.proxy_name.lower() != site.server_name:
            yield make(
                "RTC204",
                node.host,
                f"{where}: proxyName is {connector.proxy_name}, the server name is {site.server_name}.",
                remedy="Correct proxyName, or rtc_server_name.",
            )
        if connector.scheme == "https" and not connector.ssl:
            yield make(
                "RTC209",
                node.host,
                f"{where}: scheme is https, and nothing in front of Tomcat ends TLS.",
                remedy="Remove scheme and secure, or name the proxy with rtc_proxy.",
            )
        return
    if not connector.proxy_name:
        if "proxyName" not in connector.attributes:
            yield make("RTC205", node.host, f"{where}: no proxyName, and {classified.proxy.evidence}.")
        return
    if connector.proxy_name.lower() != site.server_name:
        yield make(
            "RTC204", node.host, f"{where}: proxyName is {connector.proxy_name}, the server name is {site.server_name}."
        )
    wrong = []
    if connector.proxy_port and connector.proxy_port != classified.application_port:
        wrong.append(f"proxyPort is {connector.proxy_port}, users come by {classified.application_port}")
    if not connector.ssl and (connector.scheme == "https") != classified.tls:
        wrong.append(f"scheme is {connector.scheme}, users speak {'https' if classified.tls else 'http'}")
    if not connector.proxy_port and classified.application_port != connector.port:
        wrong.append(f"there is no proxyPort, users come by {classified.application_port}")
    if wrong:
        yield make("RTC209", node.host, f"{where}: {'; '.join(wrong)}.")


def _check_scheme(
    classified: ClassifiedSite, node: Node, connector: Connector, where: str, wanted_node: DesiredNode
) -> Iterator[Finding]:
    if connector.ssl:
        return
    planned = "secure" in wanted_node.connector.attributes
    if connector.scheme == "https" and not connector.secure:
        remedy = "" if planned else "Remove scheme, or name the proxy that ends TLS with rtc_proxy."
        yield make("RTC208", node.host, f'{where}: scheme="https" without secure="true".', remedy=remedy)
    if connector.secure and not classified.tls:
        # Without a proxy, the plan leaves scheme and secure of a connector alone.
        remedy = "" if planned else "Remove secure from the connector, or set TLS up."
        what = f'{where}: secure="true", and users of {classified.site.base_url} speak HTTP.'
        yield make("RTC215", node.host, what, remedy=remedy)
    xml = node.application.server_xml
    if xml is None or xml.remote_ip_valve is None or classified.proxy is None:
        return
    header = xml.remote_ip_valve.get("protocolHeader", "X-Forwarded-Proto")
    if header.lower() != "x-forwarded-proto":
        return
    wanted = "https" if classified.tls else "http"
    for proxy_route in classified.proxy.application:
        sent = proxy_route.route.forwarded_proto
        # A variable is right by construction: it is the protocol of the request, as the proxy saw it.
        seen = ("https" if proxy_route.listen.tls else "http") if sent in ("$scheme", "%{REQUEST_SCHEME}s") else sent
        if proxy_route.listen.tls == classified.tls and sent and seen in ("http", "https") and seen != wanted:
            yield make(
                "RTC210",
                node.host,
                f"{proxy_route.where} sends {header}: {sent}, and users speak {wanted}.",
                [f"{node.server_xml}: RemoteIpValve"],
            )
            return
        if sent and proxy_route.listen.port == classified.application_port and not _is_rendered(classified):
            yield from _check_valve_port(classified, node, xml.remote_ip_valve, f"{proxy_route.where} sends {header}")


def _is_rendered(classified: ClassifiedSite) -> bool:
    """Whether the plan writes the virtual host of the application, in the way that suits the valve."""
    settings = classified.settings
    return bool(classified.proxy and classified.proxy.managed and settings.manage_application_vhost)


def _check_valve_port(classified: ClassifiedSite, node: Node, valve: dict[str, str], why: str) -> Iterator[Finding]:
    """Tomcat's RemoteIpValve.setPorts: the header's port, or one for each protocol, beats the connector's proxyPort."""
    name, default = ("httpsServerPort", "443") if classified.tls else ("httpServerPort", "80")
    port = valve.get(name, default)
    if not valve.get("portHeader") and port.isdecimal() and int(port) != classified.application_port:
        yield make(
            "RTC239",
            node.host,
            f"{node.server_xml}: with the RemoteIpValve the application sees port {port}, and users come by "
            f"{classified.application_port}.",
            [why],
            remedy=f'Give the valve {name}="{classified.application_port}" and restart the application, or let the '
            "proxy send no X-Forwarded-Proto.",
        )


def _check_generated(node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    xml = node.application.server_xml
    if xml and xml.generated_by and wanted_node.connector.differs:
        yield make("RTC211", node.host, f"{xml.path} has to change, but is written anew: {xml.generated_by}.")


def _check_mounted(node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    xml, connector = node.application.server_xml, wanted_node.connector
    if xml and xml.mounted and connector.differs:
        wanted = [
            f"{name} has to go" if value is None else f'{name}="{value}"'
            for name, value in connector.attributes.items()
        ]
        where = f"{xml.path}:{node.connector.line if node.connector else 0}"
        what = f"{where}: the connector has to change, and the file is a mount point."
        yield make("RTC230", node.host, what, [f"the plan wants {', '.join(wanted)}"])


def _check_address(
    classified: ClassifiedSite, node: Node, wanted: DesiredSite, wanted_node: DesiredNode
) -> Iterator[Finding]:
    address = node.connector.address if node.connector else ""
    what = f"{node.server_xml}:{node.connector.line if node.connector else 0}: address is {address or 'not set'}"
    loopback = routing.is_loopback(address)
    if wanted_node.beside_proxy:
        if not loopback:
            yield make("RTC206", node.host, f"{what}.")
    elif classified.proxy is None:
        if loopback and node.settings.proxy != NO_PROXY:
            yield make("RTC220", node.host, f"{what}.")
    elif loopback and not wanted.proxy_unseen and not wanted_node.connector.address:
        yield make("RTC221", node.host, f"{what}, the proxy is on {classified.proxy.host or 'another host'}.")
