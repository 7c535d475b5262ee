# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: what each host is to be, from facts and wishes. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog, evaluate
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import node as planning_node
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import HostPlan, Plan
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape, Node, SiteState

PACKAGES = {
    "debian": {"nginx": ["nginx"], "apache": ["apache2"], "haproxy": ["haproxy"]},
    "redhat": {"nginx": ["nginx"], "apache": ["httpd", "mod_ssl"], "haproxy": ["haproxy"]},
}
SYNCHRONY_PORT = 8091


def make_plan(landscape: Landscape) -> Plan:
    """The desired state of every host, and everything found. Never raises for what the facts hold."""
    states = topology.classify(landscape)
    hosts = {host: HostPlan(host) for host in landscape.facts}
    services = desired.services(states)
    for state in states:
        for node in state.nodes:
            planning_node.plan_node(state, node, hosts[node.host])
        if state.proxy and state.proxy.managed:
            _plan_proxy(state, services, hosts[state.proxy.host])
    findings = sorted(evaluate.everything(landscape, states), key=catalog.order)
    _mute(findings, landscape, {state.site.name: state.site.nodes for state in states})
    return Plan([state.site for state in states], hosts, findings)


def _mute(findings: list[Finding], landscape: Landscape, nodes: dict[str, list[str]]) -> None:
    for finding in findings:
        for host in [finding.host, *nodes.get(finding.site, [])]:
            for wishes in landscape.wishes.get(host, {}).values():
                for mute in wishes.ignore_findings:
                    if mute.id == finding.id:
                        finding.muted = mute.reason


# The proxy


def _plan_proxy(state: SiteState, services: desired.Services, host: HostPlan) -> None:
    proxy = state.proxy
    if proxy is None or proxy.facts is None:
        return
    vhosts = []
    if not desired.foreign_rtc(state):
        vhosts.append(_rtc_vhost(state, services))
    if state.wishes.manage_application_vhost and not desired.foreign_application(state):
        vhosts.append(_application_vhost(state))
    host.vhosts += vhosts
    if proxy.proxy is None:
        packages = PACKAGES.get(proxy.facts.os_family, PACKAGES["debian"])[proxy.kind]
        host.packages += [name for name in packages if name not in host.packages]
    for entry in _certificates(state) if vhosts else []:
        if entry not in host.certificates:
            host.certificates.append(entry)


def _rtc_vhost(state: SiteState, services: desired.Services) -> VhostPlan:
    site = state.site
    certificate, key = desired.certificate_paths(state)
    nodes = state.nodes
    shared = bool(state.wishes.store_url)
    upstreams = [
        _upstream(state, node, site.rtc_port, backup=bool(number) and not shared) for number, node in enumerate(nodes)
    ]
    return VhostPlan(
        site=site.name,
        kind=site.proxy_kind,
        role="rtc",
        name=_name(state),
        server_name=site.server_name,
        listen=desired.rtc_listen(state, services),
        port=site.rtc_port,
        upstreams=upstreams,
        certificate=certificate,
        key=key,
        upstream_ca=_upstream_ca(state),
        upstream_name=state.wishes.upstream_name,
        reuse=not any(state.service(node) == "builtin" for node in nodes),
    )


def _name(state: SiteState) -> str:
    """Of the file on the proxy. A proxy of many hosts has many sites with the same port; on one host a port is there once."""
    site = state.site
    local = state.proxy and state.proxy.local and site.placement == "same_host"
    return (
        f"rtc-{site.application}-{site.rtc_port}"
        if local
        else f"rtc-{site.application}-{site.server_name}-{site.rtc_port}"
    )


def _application_vhost(state: SiteState) -> VhostPlan:
    site = state.site
    certificate, key = desired.certificate_paths(state)
    first = state.nodes[0]
    listen = desired.everywhere(state.proxy.facts) if state.proxy and state.proxy.facts else ["*"]
    synchrony = ""
    if site.application == "confluence":
        synchrony = f"{_bracket(desired.upstream_host(state, first))}:{SYNCHRONY_PORT}"
    upstreams = [_upstream(state, node, node.connector.port if node.connector else 0) for node in state.nodes]
    return VhostPlan(
        site=site.name,
        kind=site.proxy_kind,
        role="application",
        name=f"{site.application}-{site.server_name}-{state.application_port}",
        server_name=site.server_name,
        listen=listen,
        port=state.application_port,
        upstreams=upstreams,
        context_path=site.context_path,
        certificate=certificate,
        key=key,
        synchrony=synchrony,
        upstream_ca=_upstream_ca(state),
        upstream_name=state.wishes.upstream_name,
    )


def _upstream(state: SiteState, node: Node, port: int, backup: bool = False) -> dict[str, str | int | bool]:
    scheme = "https" if state.site.protocol == "HTTPS" else "http"
    return {"scheme": scheme, "host": desired.upstream_host(state, node), "port": port, "backup": backup}


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _certificates(state: SiteState) -> list[dict[str, str]]:
    wishes, node, files = state.wishes, state.nodes[0], []
    if wishes.tls_certificate and state.tls:
        certificate, key = desired.certificate_paths(state)
        files.append(_file("rtc_tls_certificate", wishes.tls_certificate, certificate, "0644", node.host))
        files.append(_file("rtc_tls_key", wishes.tls_key, key, "0600", node.host))
    if _upstream_ca(state):
        files.append(_file("rtc_upstream_ca", wishes.upstream_ca, _upstream_ca(state), "0644", node.host))
    return files


def _upstream_ca(state: SiteState) -> str:
    """Where the authority of Tomcat's certificate is on the proxy host; "" for the system's."""
    encrypts_again = state.site.protocol == "HTTPS" and state.wishes.upstream_ca
    return f"{desired.directory(state)}/upstream-ca.pem" if encrypts_again else ""


def _file(variable: str, value: str, dest: str, mode: str, host: str) -> dict[str, str]:
    """A file for the proxy. PEM text is named by its variable: a key has no place in a plan that is printed."""
    source: dict[str, Any] = {"variable": variable, "from": host} if "-----BEGIN" in value else {"src": value}
    return {**source, "dest": dest, "mode": mode}
