# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about names, addresses, firewall and SELinux: RTC6xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import SELINUX_PORTS, HostFacts
from ansible_collections.collab.rtc.plugins.module_utils._proxy.selinux_firewalld import BOOLEANS
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredNode, DesiredProxy, DesiredSite
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node


def check_node(classified: ClassifiedSite, node: Node, wanted_node: DesiredNode) -> Iterator[Finding]:
    """Findings about the server name as an application's host sees it; one at most, the first cause."""
    name = classified.site.server_name
    if name not in node.facts.resolves:
        yield make("RTC608", node.host, f"{node.host} was not asked for the addresses of {name}.")
        return
    addresses = node.facts.resolves[name]
    if not addresses:
        yield make("RTC601", node.host, f"{name} does not resolve on {node.host}.")
        return
    service = wanted_node.service.address
    if wanted_node.beside_proxy and service in addresses:
        yield make("RTC606", node.host, f"{name} is {service} on {node.host}, where the RTC service itself is.")
        return
    expected = _find_expected(classified, node)
    if expected is not None and not any(routing.is_own(address, expected[1]) for address in addresses):
        listed = ", ".join(addresses)
        yield make("RTC602", node.host, f"{name} is {listed} on {node.host}, and not {expected[0]}.")


def _find_expected(classified: ClassifiedSite, node: Node) -> tuple[str, HostFacts] | None:
    """The host that the name should lead to, where that is known."""
    if classified.proxy is None:
        return node.host, node.facts
    return (classified.proxy.host, classified.proxy.facts) if classified.proxy.facts else None


def check_site(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Findings about the host that users' RTC connections arrive at, and those behind it."""
    port, proxy = classified.site.rtc_port, classified.proxy
    if proxy is None:
        for node in classified.nodes:
            yield from _check_firewall(node.host, node.facts, port)
    elif proxy.facts is not None:
        managed = wanted.proxy is not None and wanted.proxy.managed
        yield from _check_firewall(proxy.host, proxy.facts, port, by_role=managed)
        for node, wanted_node in zip(classified.nodes, wanted.nodes, strict=True):
            if not wanted_node.beside_proxy:
                yield from _check_firewall(node.host, node.facts, port)
        if wanted.proxy and wanted.proxy.managed:
            yield from _check_selinux(wanted.proxy, proxy.facts, port)
            yield from _check_listen(wanted.proxy, proxy.facts)


# What opens a port: firewalld in the zone of an interface, which need not be the default one.
_OPENERS = {
    "firewalld": "firewall-cmd --permanent --zone=ZONE --add-port={port}/tcp && firewall-cmd --reload, where ZONE is"
    " that of the interface (firewall-cmd --get-active-zones).",
    "ufw": "ufw allow {port}/tcp.",
    "nftables": "A rule that accepts tcp dport {port}.",
}


def _check_firewall(host: str, facts: HostFacts, port: int, by_role: bool = False) -> Iterator[Finding]:
    """:param by_role: where firewalld runs, each run sees to it that the port is open."""
    kind = facts.firewall
    if kind and not (by_role and kind == "firewalld"):
        remedy = _OPENERS[kind].format(port=port)
        yield make("RTC603", host, f"{kind} runs on {host}; port {port} has to be open.", remedy=remedy)


def _check_selinux(proxy: DesiredProxy, facts: HostFacts, port: int) -> Iterator[Finding]:
    if facts.selinux != "enforcing":
        return
    host, boolean = proxy.host, BOOLEANS[proxy.kind]
    reason = next((one.reason for one in facts.unreadable if one.what == SELINUX_PORTS), "")
    if reason:  # the run would have to stop when everything else of the proxy is written
        yield make("RTC609", host, f"SELinux is enforcing on {host}, and its ports are not known: {reason}.")
    elif port not in facts.selinux_ports:
        remedy = f"semanage port -a -t http_port_t -p tcp {port}. The role does it."
        text = f"SELinux is enforcing on {host}, and port {port} is not of type http_port_t."
        yield make("RTC604", host, text, remedy=remedy)
    may_connect = facts.selinux_haproxy_connect if proxy.kind == "haproxy" else facts.selinux_connect
    if may_connect is False:
        remedy = f"setsebool -P {boolean} on. The role does it."
        yield make("RTC605", host, f"SELinux is enforcing on {host}, and {boolean} is off.", remedy=remedy)


def _check_listen(proxy: DesiredProxy, facts: HostFacts) -> Iterator[Finding]:
    addresses = proxy.rtc.plan.listen
    if not addresses:
        yield make("RTC607", proxy.host, f"No address of {proxy.host} is known to listen on.", remedy="Set rtc_listen.")
    for address in addresses:
        if address not in routing.WILDCARDS and not routing.is_own(address, facts):
            yield make("RTC607", proxy.host, f"rtc_listen: {proxy.host} does not have the address {address}.")
