# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which proxy route leads to which host. PRIVATE to the collection.

A proxy names its upstream by address or by name, as the *proxy's* host sees it; this module says whether that is a given
host of the inventory.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import (
    HostFacts,
    Proxy,
    ProxyListen,
    Route,
    Upstream,
    VirtualHost,
)

WILDCARDS = ("", "*", "0.0.0.0", "::", "[::]")  # noqa: S104 - compared with, never bound


@dataclass
class Match:
    """A way into a proxy that ends at a host: one listener, one route, one upstream."""

    host: str  # inventory name of the proxy's host
    proxy: Proxy
    vhost: VirtualHost
    listen: ProxyListen
    route: Route
    upstream: Upstream

    @property
    def where(self) -> str:
        """Host, file and line, for evidence."""
        file, line = self.route.file or self.vhost.file, self.route.line or self.vhost.line
        return f"{self.host}: {file or self.proxy.config}:{line}"


def to_node(node: str, target: HostFacts, port: int, everyone: dict[str, HostFacts]) -> list[Match]:
    """Every way through any proxy of the inventory to ``port`` of the host ``target``, TLS listeners first."""
    found = []
    for host, facts in everyone.items():
        for proxy in facts.proxies:
            for vhost, route, upstream in _upstreams(proxy):
                if upstream.port == port and refers(upstream.host, node, target, facts):
                    found += [Match(host, proxy, vhost, listen, route, upstream) for listen in vhost.listens]
    return sorted(found, key=lambda match: not match.listen.tls)


def _upstreams(proxy: Proxy) -> list[tuple[VirtualHost, Route, Upstream]]:
    return [
        (vhost, route, upstream) for vhost in proxy.hosts for route in vhost.routes for upstream in route.upstreams
    ]


def refers(name: str, node: str, target: HostFacts, seen_from: HostFacts) -> bool:
    """Whether ``name`` (a name or an address), read on the host ``seen_from``, is the host ``target``."""
    name = name.strip("[]").lower()
    if is_own(name, seen_from):
        # Bridges of containers have the same address on every host: there, it is always the host itself.
        return same_machine(target, seen_from)
    if is_own(name, target) and not is_loopback(name):
        return True
    if name in names(node, target):
        return True
    return bool(set(seen_from.resolves.get(name, [])) & set(target.addresses))


def names(node: str, facts: HostFacts) -> set[str]:
    """The names that a host is known by in the inventory and to itself."""
    known = {node.lower(), facts.hostname.lower(), facts.hostname.lower().split(".")[0]}
    return known - {""}


def is_own(name: str, facts: HostFacts) -> bool:
    """Whether an address (or ``localhost``) is one of this host."""
    return name in facts.addresses or is_loopback(name)


def is_loopback(name: str) -> bool:
    """Whether a text is a loopback address or ``localhost``."""
    if name.lower() in ("localhost", "ip6-localhost", "localhost.localdomain"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def same_machine(one: HostFacts, other: HostFacts) -> bool:
    """Whether two inventory names are one machine: the same full set of addresses and the same name."""
    return one is other or (one.hostname == other.hostname and set(one.addresses) == set(other.addresses))


def covers(listen: str, address: str) -> bool:
    """Whether a socket on ``listen`` holds the port on ``address`` too.

    A wildcard counts as both families: nginx and Tomcat open ``::`` without IPV6_V6ONLY unless told otherwise.
    """
    listen, address = listen.strip("[]"), address.strip("[]")
    return listen in WILDCARDS or address in WILDCARDS or listen == address
