# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of one application: connector, trust, RTC service, restart. Pure. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils import _rtc_unit
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import (
    ConnectorPlan,
    HostPlan,
    RestartPlan,
    RtcPlan,
    TrustOptionPlan,
    TrustPlan,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Node, SiteState

CLOCK_SLACK = 1.0  # seconds: the start of a process is known to about that from /proc


def plan_node(state: SiteState, node: Node, host: HostPlan) -> None:
    """Add what the roles do for one application to the plan of its host."""
    connector = _connector(state, node)
    if connector:
        host.connectors.append(connector)
    trust = _trust(state, node)
    if trust:
        host.trust.append(trust)
    option = _trust_option(state, node, trust)
    if option:
        host.trust_options.append(option)
    host.rtc.append(_rtc(state, node))
    host.restarts.append(_restart(state, node))


def _connector(state: SiteState, node: Node) -> ConnectorPlan | None:
    connector = node.connector
    if connector is None or node.presumed:
        return None
    attributes = connector_attributes(state, node)
    if not attributes:
        return None
    return ConnectorPlan(
        state.site.name, node.server_xml, connector.port, attributes, properties(node), node.application.tomcat_version
    )


def properties(node: Node) -> dict[str, str]:
    """The system properties of the application's JVM, for ``${...}`` in server.xml; secrets were masked by detection."""
    return {name: value for name, value in node.application.properties.items() if set(value) != {"*"}}


def connector_attributes(state: SiteState, node: Node) -> dict[str, str | None]:
    """The attributes that the site needs of the connector; a null for one that has to go.

    What Tomcat does by itself is left out: for plain HTTP there is no need to write scheme and secure.
    """
    connector = node.connector
    wanted: dict[str, str | None] = {}
    if connector is None:
        return wanted
    if state.proxy is None:
        if connector.attributes.get("proxyName") == "":
            wanted["proxyName"] = None
        return wanted
    address = desired.connector_address(state, node)
    if desired.is_local(state, node):
        wanted["address"] = address
    elif not address and routing.is_loopback(connector.address):
        wanted["address"] = None
    same = connector.proxy_name.lower() == state.site.server_name
    wanted["proxyName"] = connector.proxy_name if same else state.site.server_name
    wanted["proxyPort"] = str(state.application_port)
    if connector.ssl:
        return wanted  # Tomcat ignores scheme and secure where SSLEnabled is true
    if state.tls:
        wanted["scheme"], wanted["secure"] = "https", "true"
    else:
        wanted.update(
            {
                name: None
                for name, wrong in (("scheme", connector.scheme == "https"), ("secure", connector.secure))
                if wrong
            }
        )
    return wanted


def _trust(state: SiteState, node: Node) -> TrustPlan | None:
    java = node.application.java
    if not state.tls or java is None or not java.home:
        return None
    now = java.truststore.path if java.truststore else ""
    if (
        java.option and java.option.ours == now
    ):  # what the JVM uses where our block goes, and what a lost store begins with
        now = java.option.otherwise
    path = node.wishes.truststore_path or now
    certificates = trusted(state, node)
    if not certificates or not path:
        return None
    return TrustPlan(state.site.name, path, java.home, certificates, seed_from=now if path != now else "")


def _trust_option(state: SiteState, node: Node, trust: TrustPlan | None) -> TrustOptionPlan | None:
    java, own = node.application.java, node.wishes.truststore_path
    option = java.option if java else None
    if option is None:
        return None
    if not own and option.ours and not option.obstacle:
        return TrustOptionPlan(state.site.name, option.path)
    if own and trust and not unnamed(node)[0]:
        return TrustOptionPlan(state.site.name, option.path, own, trust.seed_from)
    return None


def unnamed(node: Node) -> tuple[str, str]:
    """Why the trust store of its own cannot be named to the application's JVM, and what the administrator does about it.

    :returns: two sentences; empty ones when nothing is in the way.
    """
    own, java, process = node.wishes.truststore_path, node.application.java, node.application.process
    by_hand = f"Add -Djavax.net.ssl.trustStore={own} to what starts the application's JVM, and restart it."
    option = java.option if java else None
    if option is None:
        if java and java.truststore and java.truststore.path == own:
            return "", ""
        return f"{node.application.install_dir}/bin/setenv.sh is not there or cannot be read.", by_hand
    running = process.properties.get("javax.net.ssl.trustStore", "") if process else ""
    current = process is not None and option.mtime <= process.started - CLOCK_SLACK
    other = option.elsewhere or (running if current and running not in (option.ours, own) else "")
    if other and other != own:
        return (
            f"The option -Djavax.net.ssl.trustStore={other} is set already, not by this collection.",
            f"Remove that option, or set rtc_truststore_path to {other}.",
        )
    if option.obstacle:
        return option.obstacle, ""
    if current and option.ours == own and running != own:
        return f"Process {process.pid} was started without what {option.path} says.", by_hand  # type: ignore[union-attr]
    return "", ""


def trusted(state: SiteState, node: Node) -> list[dict[str, str]]:
    """The certificates that the application's Java has to trust, as options of java_truststore."""
    if node.given and node.given.root_pem:
        return [{"pem": node.given.root_pem}]
    if node.wishes.tls_fetch:
        return [{"host": state.site.server_name, "port": str(state.application_port)}]
    return []


def _rtc(state: SiteState, node: Node) -> RtcPlan:
    python, version = desired.python_for(node)
    origin = state.site.base_url[: len(state.site.base_url) - len(state.site.context_path)]
    address, origins = desired.rtc_address(state, node), node.wishes.origins or [origin]
    proxies = _trusted_proxies(state, node)
    tls = state.site.protocol == "HTTPS"
    return RtcPlan(
        site=state.site.name,
        instance=node.kind,
        service=state.service(node),
        address=address,
        port=state.site.rtc_port,
        server_name=state.site.server_name,
        origins=origins,
        python=python or node.wishes.server_python or "/usr/bin/python3",
        python_version=".".join(version.split(".")[:2]),
        machine=node.facts.machine or "x86_64",
        trusted_proxies=proxies,
        config=_rtc_unit.server_config(
            node.kind, address, state.site.rtc_port, state.site.server_name, origins, proxies, tls=tls
        ),
        tls_from=node.server_xml if tls else "",
        tls_port=node.connector.port if tls and node.connector else 0,
        tls_name=(node.wishes.upstream_name or state.site.server_name) if tls else "",
        properties=properties(node) if tls else {},
        jre_home=node.application.java.home if tls and node.application.java else "",
    )


def _trusted_proxies(state: SiteState, node: Node) -> list[str]:
    if state.proxy is None:
        return []
    if desired.is_local(state, node):
        return ["127.0.0.1", "::1"]
    if state.proxy.facts:
        return list(state.proxy.facts.addresses)
    return sorted(node.facts.resolves.get(state.site.server_name, []))


def _restart(state: SiteState, node: Node) -> RestartPlan:
    service = node.application.service
    return RestartPlan(
        site=state.site.name,
        kind=node.kind,
        service=service.name if service else "",
        service_kind=service.kind if service else "none",
        port=node.connector.port if node.connector else 0,
        address=desired.connector_address(state, node) or desired.LOOPBACK,
        context_path=state.site.context_path,
        pending=pending(node),
        scheme="https" if node.connector and node.connector.ssl else "http",
    )


def pending(node: Node) -> list[str]:
    """Why the running application should have been restarted already."""
    process = node.application.process
    if process is None:
        return []
    reasons = []
    xml, java = node.application.server_xml, node.application.java
    if xml and xml.mtime > process.started + CLOCK_SLACK:
        reasons.append(f"{xml.path} is newer than the process {process.pid}")
    store = java.truststore if java else None
    if store and store.mtime > process.started + CLOCK_SLACK:
        reasons.append(f"{store.path} is newer than the process {process.pid}")
    option = java.option if java else None
    named = process.properties.get("javax.net.ssl.trustStore", "")
    if option and option.ours not in ("", named) and option.mtime > process.started + CLOCK_SLACK:
        reasons.append(f"{option.path} is newer than the process {process.pid}")
    return reasons


def differs(state: SiteState, node: Node) -> bool:
    """Whether the connector has to be changed at all."""
    connector = node.connector
    if connector is None:
        return False
    now = {
        "address": connector.address,
        "proxyName": connector.proxy_name,
        "proxyPort": str(connector.proxy_port or ""),
        "scheme": connector.scheme,
        "secure": str(connector.secure).lower(),
    }
    wanted = connector_attributes(state, node)
    return any(value is None or now.get(name, "") != value for name, value in wanted.items())
