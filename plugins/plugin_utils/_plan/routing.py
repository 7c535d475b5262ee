# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which proxy route leads to which host. Pure.

A proxy names its upstream by address or by name, as the *proxy's* host sees it; this module says whether that is a
given host of the inventory.
"""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import Container, PublishedPort
from ansible_collections.collab.rtc.plugins.module_utils._facts import (
    HostFacts,
    Proxy,
    ProxyListen,
    Route,
    Upstream,
    VirtualHost,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets

WILDCARDS = ("", "*", "0.0.0.0", "::", "[::]")  # noqa: S104 - compared with, never bound

Machine = tuple[str, frozenset[str]]  # host name and addresses


@dataclass
class ProxyRoute:
    """A route through a proxy that ends at a host: one listener, one path, one upstream."""

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


class RouteIndex:
    """Every route through any proxy of the inventory, found by where it leads: a fleet has thousands."""

    def __init__(self, everyone: dict[str, HostFacts]) -> None:
        self._routes: dict[tuple[Machine | str, int], list[ProxyRoute]] = {}
        self._hosts: dict[str, list[str]] = {}  # address -> inventory names
        self._everyone = everyone
        for host, facts in everyone.items():
            for address in facts.addresses:
                self._hosts.setdefault(address, []).append(host)
            for proxy in facts.proxies:
                self._add(host, facts, proxy)

    def _add(self, host: str, facts: HostFacts, proxy: Proxy) -> None:
        for vhost in proxy.hosts:
            for route in vhost.routes:
                for upstream in route.upstreams:
                    found = [ProxyRoute(host, proxy, vhost, listen, route, upstream) for listen in vhost.listens]
                    for name in _list_target_names(sockets.normalize(upstream.host), facts):
                        self._routes.setdefault((name, upstream.port), []).extend(found)

    def find_routes(self, node: str, target: HostFacts, port: int) -> list[ProxyRoute]:
        """Every route to ``port`` of the host ``target``, TLS listeners first."""
        names: list[Machine | str] = [identify(target), *sorted(list_names(node, target))]
        names += [address for address in target.addresses if not is_loopback(address)]
        found = {id(item): item for name in dict.fromkeys(names) for item in self._routes.get((name, port), [])}
        return sorted(found.values(), key=lambda item: (not item.listen.tls, item.host))

    def find_routes_into(
        self, node: str, target: HostFacts, container: Container | None, port: int
    ) -> list[ProxyRoute]:
        """Every route to a port of an application: in a container, by the host's ports that lead to it, or by the
        container's own address, which means the same on its own host only.

        :param container: that the application is in; ``None`` for the host itself.
        """
        if container is None or container.network == "host":
            return self.find_routes(node, target, port)
        ports = {item.port for item in container.ports if item.container_port == port}
        ports |= {port} if container.ports_unknown or not container.network else set()
        found = [item for number in sorted(ports) for item in self.find_routes(node, target, number)]
        for address in container.addresses:
            there = self._routes.get((address, port), [])
            found += [item for item in there if identify(self._everyone[item.host]) == identify(target)]
        return sorted(found, key=lambda item: (not item.listen.tls, item.host))

    def find_hosts(self, addresses: list[str]) -> list[str]:
        """Inventory names of the hosts that have one of the addresses."""
        return [host for address in addresses for host in self._hosts.get(address, [])]


def _list_target_names(name: str, seen_from: HostFacts) -> list[Machine | str]:
    """What ``name`` (a name or an address), read on the host ``seen_from``, may stand for."""
    if is_own(name, seen_from):
        # Bridges of containers have the same address on every host: there, it is always the host itself.
        return [identify(seen_from)]
    return [name, *(item for item in seen_from.resolves.get(name, []) if item != name)]


def find_reach(container: Container | None, port: int, local: bool) -> int:
    """The port of the host that leads to a port of an application; the same one where no other is known to.

    :param local: for a proxy on the host itself, else for others.
    """
    there = [item for item in (container.ports if container else []) if item.container_port == port]
    there.sort(key=lambda item: is_loopback(item.address) is not local)
    return there[0].port if there else port


def show_port(item: PublishedPort) -> str:
    """A published port as Docker and Compose write it: "127.0.0.1:8090:8090"."""
    address = "" if item.address in WILDCARDS else item.address
    address = f"[{address}]" if ":" in address else address
    return ":".join(filter(None, (address, str(item.port), str(item.container_port))))


def identify(facts: HostFacts) -> Machine:
    """What tells machines apart: inventory names do not, one machine may have several."""
    return facts.hostname, frozenset(facts.addresses)


def list_names(node: str, facts: HostFacts) -> set[str]:
    """The names that a host is known by in the inventory and to itself."""
    known = {node.lower(), facts.hostname.lower(), facts.hostname.lower().split(".")[0]}
    return known - {""}


def is_own(name: str, facts: HostFacts) -> bool:
    """Whether an address (or ``localhost``) is one of this host."""
    return name in facts.addresses or is_loopback(name)


@functools.lru_cache(maxsize=65536)
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
    return one is other or (one.hostname == other.hostname and identify(one) == identify(other))


def covers(listen: str, address: str) -> bool:
    """Whether a socket on ``listen`` holds the port on ``address`` too.

    A wildcard counts as both families: by default, nginx and Tomcat open ``::`` without IPV6_V6ONLY.
    """
    one, two = sockets.normalize(listen), sockets.normalize(address)
    return sockets.is_wildcard(one) or sockets.is_wildcard(two) or one == two
