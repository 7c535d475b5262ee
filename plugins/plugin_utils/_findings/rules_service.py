# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inspection of the RTC service and its port: RTC5xx. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import rules_proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired, routing, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Node, SiteState

MACHINES = ("x86_64", "aarch64")
PROXY_PROCESSES = {"nginx": ("nginx",), "apache": ("apache2", "httpd"), "haproxy": ("haproxy",)}


def node(state: SiteState, item: Node) -> list[Finding]:
    """What is said about the RTC service of one application."""
    found = [*_port(state, item), *_fight(state, item)]
    found += _builtin(state, item) if desired.keeps_builtin(state, item) else _deployed(state, item)
    for finding in found:
        finding.site = state.site.name
    return found


def _port(state: SiteState, item: Node) -> Iterator[Finding]:
    """Somebody else on the RTC port of the application host."""
    if desired.proxy_unseen(state):
        return
    port = state.site.rtc_port
    wanted = desired.rtc_address(state, item)
    for listener in item.facts.listeners:
        if listener.port == port and _in_the_way(state, item, listener, wanted):
            who = f"{listener.process or 'a process that cannot be seen'}" + (
                f" (pid {listener.pid})" if listener.pid else ""
            )
            yield make(
                "RTC501",
                item.host,
                f"Port {port} on {item.host} ({listener.address}) is in use by {who}.",
                remedy=""
                if listener.pid
                else "Run as root to see the process. Then stop it, or choose another rtc_port.",
            )
            return
    for instance in item.facts.rtc:
        if (
            instance.kind == "foreign"
            and instance.port == port
            and not any(one.port == port for one in item.facts.listeners)
        ):
            yield make(
                "RTC501", item.host, f"Port {port} on {item.host} is in use by {instance.process or 'another service'}."
            )
            return


def _in_the_way(state: SiteState, item: Node, listener: Listener, wanted: str) -> bool:
    if not routing.covers(listener.address, wanted):
        return False
    process = item.application.process
    if process and listener.pid and listener.pid == process.pid:
        return False  # the add-on's own: RTC504 or RTC503 speak of it
    known = [one for one in item.facts.rtc if one.port == listener.port and one.kind != "foreign" and one.active]
    if any(not listener.pid or not one.pid or one.pid == listener.pid for one in known):
        return False
    # A proxy that has the port on all addresses: RTC503 says it better, where it forwards to RTC.
    return not (_is_proxy(state, listener) and rules_proxy.same_host_conflict(state))


def _is_proxy(state: SiteState, listener: Listener) -> bool:
    return bool(state.proxy and listener.process in PROXY_PROCESSES.get(state.proxy.kind, ()))


def _fight(state: SiteState, item: Node) -> Iterator[Finding]:
    """Service and proxy on one host, one of them on all addresses."""
    if not desired.is_local(state, item):
        return
    port = state.site.rtc_port
    for match in rules_proxy.same_host_conflict(state):
        yield make(
            "RTC503",
            item.host,
            f"{match.where} listens on port {port} of all addresses, and the RTC service needs it on"
            f" {desired.rtc_address(state, item)}.",
        )
        break
    service = topology.builtin(item)
    if service and desired.keeps_builtin(state, item) and service.address in routing.WILDCARDS:
        # It follows the connector's address at its next start; before that, it is in the proxy's way.
        moved = item.connector is not None and routing.is_loopback(item.connector.address)
        yield make(
            "RTC503",
            item.host,
            f"The add-on's RTC service listens on port {port} of all addresses of {item.host}.",
            remedy='Set address="127.0.0.1" at the connector and restart the application; then run again.'
            if not moved
            else "",
        )


def _builtin(state: SiteState, item: Node) -> Iterator[Finding]:
    port = state.site.rtc_port
    yield make(
        "RTC505",
        item.host,
        f"Server name {state.site.server_name}, port {port}, expected protocol {state.site.protocol}.",
    )
    if item.application.process and not topology.builtin(item):
        yield make("RTC506", item.host, f"{item.kind.capitalize()} on {item.host} does not listen on port {port}.")


def _deployed(state: SiteState, item: Node) -> Iterator[Finding]:
    own = topology.builtin(item)
    if own:
        yield make(
            "RTC504",
            item.host,
            f"{item.kind.capitalize()} on {item.host} (pid {own.pid}) listens on port {own.port} itself.",
        )
    instance = topology.deployed(item)
    if instance and not instance.active:
        yield make("RTC502", item.host, f"{instance.unit or 'The RTC server'} on {item.host} does not run.")
    python, version = desired.python_for(item)
    if not python:
        what = item.wishes.server_python or "/usr/bin/python3"
        yield make("RTC508", item.host, f"{what} on {item.host} is Python {version or 'of unknown version'}.")
    if item.facts.machine and item.facts.machine not in MACHINES:
        yield make("RTC509", item.host, f"{item.host} is {item.facts.machine}.")
    if item.wishes.store_url:
        yield make(
            "RTC510",
            item.host,
            f"rtc_store_url is set for {state.site.name}; this version keeps journals in SQLite only.",
        )
