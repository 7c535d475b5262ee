# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who listens where in a site as it is intended, and which virtual hosts are there already. PRIVATE to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import FrozenSet, Tuple

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts, ProxyListen, VirtualHost
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import Match
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Node, SiteState

LOOPBACK = "127.0.0.1"
ALL = "0.0.0.0"  # noqa: S104 - what the RTC server's configuration wants for all addresses
ALL_IPV6 = "::"
MIN_PYTHON = (3, 10)
PING_SECONDS = 45  # Engine.IO's default ping interval (25 s) and ping timeout (20 s)


def is_local(state: SiteState, node: Node) -> bool:
    """Whether the site's proxy is on the node's own machine."""
    return bool(state.proxy and state.proxy.local == node.host)


def proxy_unseen(state: SiteState) -> bool:
    """Whether the inventory names a proxy's host that there are no facts of: then nothing can be said about who is where."""
    return bool(state.proxy and state.proxy.host and state.proxy.facts is None)


def connector_address(state: SiteState, node: Node) -> str:
    """The address that the connector is to have, "" for all."""
    current = node.connector.address if node.connector else ""
    if is_local(state, node):
        return current if routing.is_loopback(current) else LOOPBACK
    if state.proxy and routing.is_loopback(current):
        return ""  # the proxy is elsewhere and could not reach it
    return "" if current in routing.WILDCARDS else current


def rtc_address(state: SiteState, node: Node) -> str:
    """The address that the RTC service of the node has: where the connector listens."""
    address = connector_address(state, node)
    if address.lower() in ("localhost", "ip6-localhost"):
        return LOOPBACK
    if not address:
        return ALL_IPV6 if ":" in node.facts.main_address else ALL
    return address


def upstream_host(state: SiteState, node: Node) -> str:
    """How the proxy reaches the node."""
    if is_local(state, node):
        return rtc_address(state, node)
    address = connector_address(state, node)
    if address:
        return address
    known = [match for match in (state.proxy.application if state.proxy else []) if _leads_to(match, node)]
    if known:
        return known[0].upstream.host  # the way that works already
    return node.facts.main_address or (node.facts.addresses[0] if node.facts.addresses else node.host)


def _leads_to(match: Match, node: Node) -> bool:
    host = match.upstream.host.strip("[]").lower()
    return host in node.facts.addresses or host in routing.names(node.host, node.facts)


Services = FrozenSet[Tuple[routing.Machine, int]]  # where an RTC service of any site is, and its port


def services(states: list[SiteState]) -> Services:
    """The RTC services of all sites."""
    return frozenset((routing.machine(node.facts), state.site.rtc_port) for state in states for node in state.nodes)


def rtc_listen(state: SiteState, others: Services) -> list[str]:
    """The addresses of the proxy host that the RTC virtual host listens on; empty when none is known."""
    proxy = state.proxy
    if proxy is None or proxy.facts is None:
        return []
    if state.wishes.listen:
        return state.wishes.listen
    if not proxy.local and (routing.machine(proxy.facts), state.site.rtc_port) not in others:
        return everywhere(proxy.facts)
    facts = proxy.facts
    resolved = set(facts.resolves.get(state.site.server_name, []))
    named = [address for address in facts.addresses if address in resolved]
    # Debian gives a host's own name the address 127.0.1.1; the application then connects there.
    named += sorted(
        item for item in resolved if routing.is_loopback(item) and item not in (LOOPBACK, "::1", "localhost")
    )
    if any(not routing.is_loopback(item) for item in named):
        return named
    main = facts.main_address or next(iter(facts.addresses), "")
    return ([main] if main else []) + named


def everywhere(facts: HostFacts) -> list[str]:
    """All addresses of a proxy host, as proxy_vhost takes them: "*" is IPv4 only."""
    return ["*", "::"] if any(":" in address for address in facts.addresses) else ["*"]


def python_for(node: Node) -> tuple[str, str]:
    """Interpreter and version for the RTC server; an empty path when there is none that is new enough."""
    facts, wanted = node.facts, node.wishes.server_python
    known = dict(facts.pythons)
    if facts.python:
        known.setdefault("/usr/bin/python3", facts.python)
    if wanted:
        version = known.get(wanted, "")
        return (wanted, version) if not version or version_tuple(version) >= MIN_PYTHON else ("", version)
    if version_tuple(facts.python) >= MIN_PYTHON:
        return "/usr/bin/python3", facts.python
    fit = [
        (version_tuple(version), path, version)
        for path, version in known.items()
        if version_tuple(version) >= MIN_PYTHON
    ]
    return max(fit)[1:] if fit else ("", facts.python)


def version_tuple(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "10.1.34" is (10, 1, 34)."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", text)
    return tuple(int(item) for item in found.group().split(".")) if found else ()


# Virtual hosts that exist


@dataclass
class Existing:
    """A virtual host on the site's name and port, with its routes to the port that it should forward to."""

    vhost: VirtualHost
    listen: ProxyListen
    routes: list[Match] = field(default_factory=list)


def existing(state: SiteState, port: int, matches: list[Match]) -> list[Existing]:
    """Virtual hosts of the site's proxy on its server name and ``port``."""
    found = []
    for vhost in state.proxy.proxy.hosts if state.proxy and state.proxy.proxy else []:
        listen = next((item for item in vhost.listens if item.port == port), None)
        if listen and _serves(vhost, state):
            routes = [item for item in matches if item.vhost is vhost and item.listen is listen]
            if routes or not (
                vhost.managed and not vhost.names
            ):  # ours without names: another site's, unless it leads here
                found.append(Existing(vhost, listen, routes))
    # A frontend of HAProxy has its port for itself. What it does for our name is what counts; else what it does for any.
    named = [item for item in found if state.site.server_name in item.vhost.names]
    return named or [item for item in found if not item.vhost.names] or found


def _serves(vhost: VirtualHost, state: SiteState) -> bool:
    if state.proxy and state.proxy.kind == "haproxy":
        return not (vhost.managed and vhost.names and state.site.server_name not in vhost.names)
    names = [name.lower() for name in vhost.names]
    parent = state.site.server_name.partition(".")[2]
    return state.site.server_name in names or f"*.{parent}" in names or f".{parent}" in names


def foreign_rtc(state: SiteState) -> list[Existing]:
    """Virtual hosts on the RTC port that somebody else wrote."""
    matches = state.proxy.rtc if state.proxy else []
    return [item for item in existing(state, state.site.rtc_port, matches) if not item.vhost.managed]


def foreign_application(state: SiteState) -> list[Existing]:
    """Virtual hosts for the application that somebody else wrote."""
    matches = state.proxy.application if state.proxy else []
    return [item for item in existing(state, state.application_port, matches) if not item.vhost.managed]


def rtc_faults(state: SiteState, found: Existing) -> list[str]:
    """Ids of what is wrong with an RTC virtual host; empty when it is right.

    Several routes may lead to the port: Apache's for polling, and one for WebSockets under /socket.io/.
    """
    faults = [] if found.listen.tls == state.tls else ["RTC401"]
    good = found.routes
    if not good:
        return [*faults, "RTC402" if found.vhost.routes else "RTC403"]
    if not any(root(match.route.path) and root(match.route.upstream_path) for match in good):
        faults.append("RTC404")
    upgrading = [match for match in good if match.route.upgrade]
    if not upgrading:
        faults.append("RTC405")
    if not any(match.route.http11 for match in good):
        faults.append("RTC406")
    if any(0 < match.route.read_timeout < PING_SECONDS for match in upgrading or good):
        faults.append("RTC408" if good[0].proxy.kind == "haproxy" else "RTC407")
    if any(_scattered(match) for match in good):
        faults.append("RTC409")
    return faults


def _scattered(match: Match) -> bool:
    active = {(item.host, item.port) for item in match.route.upstreams if not item.backup}
    return len(active) > 1 and not match.route.sticky


def root(path: str) -> bool:
    """Whether a path of a route is the root; Apache's and nginx's way for Engine.IO alone counts too."""
    return path in ("", "/", "/socket.io", "/socket.io/")


def application_right(state: SiteState, found: Existing) -> bool:
    """Whether an application's virtual host forwards to the connector with the right protocol."""
    return bool(found.routes) and found.listen.tls == state.tls


def certificate_paths(state: SiteState) -> tuple[str, str]:
    """Certificate and key on the proxy host, "" where none is known or none is needed."""
    if not state.tls or state.proxy is None:
        return "", ""
    if state.wishes.tls_certificate:
        return f"{directory(state)}/fullchain.pem", f"{directory(state)}/privkey.pem"
    for match in state.proxy.application + state.proxy.rtc:
        if match.listen.tls and match.vhost.certificate:
            return match.vhost.certificate, match.vhost.key or match.vhost.certificate
    return "", ""


def directory(state: SiteState) -> str:
    """Where this collection keeps the certificates of a site on its proxy."""
    return f"/etc/rtc-proxy/{state.site.server_name}"


def keeps_builtin(state: SiteState, node: Node) -> bool:
    """Whether the add-on's own RTC service stays."""
    return state.service(node) == "builtin"
