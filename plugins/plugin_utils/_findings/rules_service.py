# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Findings about the RTC service itself: RTC5xx. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.catalog import make
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import DesiredNode, DesiredSite, DesiredState
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, Node

MACHINES = ("x86_64", "aarch64")
SYSTEMD = 247  # the first with LoadCredential=, by which the RTC server gets its secret (systemd.exec(5))
PROXY_PROCESSES = {"nginx": ("nginx",), "apache": ("apache2", "httpd"), "haproxy": ("haproxy",)}


def check_node(node: Node, wanted: DesiredSite, wanted_node: DesiredNode) -> Iterator[Finding]:
    """Findings about the RTC service of one application."""
    yield from _check_port(node, wanted, wanted_node)
    yield from _check_address_conflict(node, wanted, wanted_node)
    if wanted_node.service.kind == "builtin":
        yield from _check_builtin(node, wanted)
    else:
        yield from _check_deployed(node, wanted, wanted_node)


def check_site(classified: ClassifiedSite, wanted: DesiredSite) -> Iterator[Finding]:
    """Findings about addresses that the proxy is to have and the service beside it has."""
    proxy, seen = wanted.proxy, classified.proxy
    beside = next((node for node in wanted.nodes if node.beside_proxy), None)
    if not proxy or not proxy.managed or not beside or seen is None or seen.facts is None:
        return
    for address in proxy.rtc.plan.listen:
        is_there = address in routing.WILDCARDS or routing.is_own(address, seen.facts)  # else: RTC607
        if is_there and routing.covers(address, beside.service.address):
            yield make("RTC503", proxy.host, f"rtc_listen: {address} is where the RTC service itself listens.")


@dataclass(frozen=True)
class _Socket:
    """What the plan lets listen on a host. ``daemon``: sites share a socket of one daemon by their names."""

    site: str
    what: str
    daemon: str
    address: str


def check_hosts(state: DesiredState) -> Iterator[Finding]:
    """Findings about sockets that two sites need; those of one site are RTC503."""
    wanted: dict[tuple[str, int], list[_Socket]] = {}
    for site in state.sites:
        for host, socket in _list_sockets(site):
            others = wanted.setdefault((host, site.site.rtc_port), [])
            for other in others:
                shared = socket.daemon and socket.daemon == other.daemon
                if other.site != socket.site and not shared and routing.covers(other.address, socket.address):
                    yield make(
                        "RTC511",
                        host,
                        f"Port {site.site.rtc_port} of {host}: {other.what} and {socket.what} both need it"
                        f" ({other.address}, {socket.address}).",
                        site=site.site.name,
                    )
                    break
            others.append(socket)


def _list_sockets(wanted: DesiredSite) -> Iterator[tuple[str, _Socket]]:
    """The sockets on a site's RTC port, each with its host."""
    name, proxy = wanted.site.name, wanted.proxy
    for node in wanted.nodes:
        what = f"the RTC service of {name}"
        yield node.host, _Socket(name, what, "", node.service.address)
    if proxy and proxy.managed and proxy.rtc.written:
        for address in proxy.rtc.plan.listen:
            yield proxy.host, _Socket(name, f"{proxy.kind} for {name}", proxy.kind, address)


def _check_port(node: Node, wanted: DesiredSite, wanted_node: DesiredNode) -> Iterator[Finding]:
    """Somebody else on the RTC port of the application host."""
    if wanted.proxy_unseen:
        return
    port = wanted.site.rtc_port
    for listener in node.facts.listeners:
        if listener.port == port and _is_in_the_way(node, listener, wanted, wanted_node):
            who = f"{listener.process or 'a process that cannot be seen'}" + (
                f" (pid {listener.pid})" if listener.pid else ""
            )
            yield make(
                "RTC501",
                node.host,
                f"Port {port} on {node.host} ({listener.address}) is in use by {who}.",
                remedy=""
                if listener.pid
                else "Run as root to see the process. Then stop it, or choose another rtc_port.",
            )
            return


def _is_in_the_way(node: Node, listener: Listener, wanted: DesiredSite, wanted_node: DesiredNode) -> bool:
    if not routing.covers(listener.address, wanted_node.service.address):
        return False
    process = node.application.process
    if process and listener.pid and listener.pid == process.pid:
        return False  # the add-on's own: covered by RTC504 or RTC503
    ours = [one for one in node.facts.rtc if one.port == listener.port and one.kind != "foreign"]
    known = [one for one in ours if one.active or one.pid]  # systemd may have the port for a server that does not run
    if any(not listener.pid or not one.pid or one.pid == listener.pid for one in known):
        return False
    # A proxy that has the port on all addresses: RTC503 says it better, where it forwards to RTC.
    proxy = wanted.proxy
    return not (proxy and proxy.conflicts and listener.process in PROXY_PROCESSES.get(proxy.kind, ()))


def _check_address_conflict(node: Node, wanted: DesiredSite, wanted_node: DesiredNode) -> Iterator[Finding]:
    """Service and proxy on one host, one of them on all addresses."""
    if not wanted_node.beside_proxy or wanted.proxy is None:
        return
    port = wanted.site.rtc_port
    for where in wanted.proxy.conflicts[:1]:
        yield make(
            "RTC503",
            node.host,
            f"{where} listens on port {port} of all addresses, and the RTC service needs it on"
            f" {wanted_node.service.address}.",
        )
    service = node.builtin
    if service and wanted_node.service.kind == "builtin" and service.address in routing.WILDCARDS:
        # It follows the connector's address at its next start; before that, it is in the proxy's way.
        moved = node.connector is not None and routing.is_loopback(node.connector.address)
        yield make(
            "RTC503",
            node.host,
            f"The add-on's RTC service listens on port {port} of all addresses of {node.host}.",
            remedy='Set address="127.0.0.1" at the connector and restart the application; then run again.'
            if not moved
            else "",
        )


def _check_builtin(node: Node, wanted: DesiredSite) -> Iterator[Finding]:
    port = wanted.site.rtc_port
    yield make(
        "RTC505",
        node.host,
        f"Server name {wanted.site.server_name}, port {port}, expected protocol {wanted.site.protocol}.",
    )
    if node.application.process and not node.builtin and not node.makes_room:
        yield make("RTC506", node.host, f"{node.kind.capitalize()} on {node.host} does not listen on port {port}.")


def _check_deployed(node: Node, wanted: DesiredSite, wanted_node: DesiredNode) -> Iterator[Finding]:
    own = node.builtin
    if own:
        yield make(
            "RTC504",
            node.host,
            f"{node.kind.capitalize()} on {node.host} (pid {own.pid}) listens on port {own.port} itself.",
        )
    instance = node.deployed
    if instance and not instance.active:
        waits = " systemd has its port, and users wait for it." if instance.pid else ""
        yield make("RTC502", node.host, f"{instance.unit or 'The RTC server'} on {node.host} does not run.{waits}")
    service = wanted_node.service
    if not service.python_fits:
        version = service.python_version or "of unknown version"
        yield make("RTC508", node.host, f"{service.python} on {node.host} is Python {version}.")
    if node.facts.machine and node.facts.machine not in MACHINES:
        yield make("RTC509", node.host, f"{node.host} is {node.facts.machine}.")
    if 0 < node.facts.systemd < SYSTEMD:
        yield make("RTC512", node.host, f"{node.host} has systemd {node.facts.systemd}; {SYSTEMD} is needed.")
