# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspection of names, addresses, firewall and SELinux: RTC6xx. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Node, SiteState


def node(state: SiteState, item: Node) -> list[Finding]:
    """What is said about the server name as an application host sees it."""
    name = state.site.server_name
    if name not in item.facts.resolves:
        return [
            make("RTC608", item.host, f"{item.host} was not asked for the addresses of {name}.", site=state.site.name)
        ]
    addresses = item.facts.resolves[name]
    if not addresses:
        return [make("RTC601", item.host, f"{name} does not resolve on {item.host}.", site=state.site.name)]
    listed = ", ".join(addresses)
    if desired.is_local(state, item):
        service = desired.rtc_address(state, item)
        if service in addresses:
            return [
                make(
                    "RTC606",
                    item.host,
                    f"{name} is {service} on {item.host}, where the RTC service itself is.",
                    site=state.site.name,
                )
            ]
    expected = _expected(state, item)
    if expected is not None and not any(routing.is_own(address, expected[1]) for address in addresses):
        return [
            make(
                "RTC602", item.host, f"{name} is {listed} on {item.host}, and not {expected[0]}.", site=state.site.name
            )
        ]
    return []


def _expected(state: SiteState, item: Node) -> tuple[str, HostFacts] | None:
    """The host that the name should lead to, where that is known."""
    if state.proxy is None:
        return item.host, item.facts
    return (state.proxy.host, state.proxy.facts) if state.proxy.facts else None


def site(state: SiteState, others: desired.Services) -> list[Finding]:
    """What is said about the host that users' RTC connections arrive at."""
    found: list[Finding] = []
    port = state.site.rtc_port
    if state.proxy is None:
        for item in state.nodes:
            found += _firewall(item.host, item.facts, port)
    elif state.proxy.facts is not None:
        found += _firewall(state.proxy.host, state.proxy.facts, port)
        found += _behind(state)
        if state.proxy.managed:
            found += _selinux(state.proxy.host, state.proxy.facts, port)
            found += _listen(state, others)
    for finding in found:
        finding.site = state.site.name
    return found


def _firewall(host: str, facts: HostFacts, port: int) -> Iterator[Finding]:
    if facts.firewall:
        yield make("RTC603", host, f"{facts.firewall} runs on {host}; port {port} has to be open.")


def _behind(state: SiteState) -> Iterator[Finding]:
    for item in state.nodes:
        if not desired.is_local(state, item):
            yield from _firewall(item.host, item.facts, state.site.rtc_port)


def _selinux(host: str, facts: HostFacts, port: int) -> Iterator[Finding]:
    if facts.selinux != "enforcing":
        return
    if port not in facts.selinux_ports:
        yield make("RTC604", host, f"SELinux is enforcing on {host}, and port {port} is not of type http_port_t.")
    if facts.selinux_connect is False:
        yield make("RTC605", host, f"SELinux is enforcing on {host}, and httpd_can_network_connect is off.")


def _listen(state: SiteState, others: desired.Services) -> Iterator[Finding]:
    proxy = state.proxy
    if proxy is None or proxy.facts is None:
        return
    addresses = desired.rtc_listen(state, others)
    if not addresses:
        yield make("RTC607", proxy.host, f"No address of {proxy.host} is known to listen on.", remedy="Set rtc_listen.")
    for address in addresses:
        if address not in routing.WILDCARDS and not routing.is_own(address, proxy.facts):
            yield make("RTC607", proxy.host, f"rtc_listen: {proxy.host} does not have the address {address}.")
        elif proxy.local and routing.covers(address, _service_address(state)):
            yield make("RTC503", proxy.host, f"rtc_listen: {address} is where the RTC service itself listens.")


def _service_address(state: SiteState) -> str:
    item: Node = next(one for one in state.nodes if desired.is_local(state, one))
    return desired.rtc_address(state, item)
