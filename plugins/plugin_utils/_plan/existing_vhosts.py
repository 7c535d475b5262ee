# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which virtual hosts of its proxy a site finds there already, and whether they do what they should. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import ProxyListen, VirtualHost
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import ExistingVhost, MisplacedRoute
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute

PING_SECONDS = 45  # Engine.IO's default ping interval (25 s) and ping timeout (20 s)


@dataclass
class _Candidate:
    """A virtual host on a name and port of the site, with its routes to where it should forward."""

    vhost: VirtualHost
    listen: ProxyListen
    routes: list[ProxyRoute] = field(default_factory=list)


def judge_rtc(
    classified: ClassifiedSite, proxy: ProxyUse
) -> tuple[list[ExistingVhost], list[MisplacedRoute], list[str]]:
    """What is there for RTC: virtual hosts on its port, routes from elsewhere, takers of the service's address."""
    candidates = _find_candidates(classified, proxy, classified.site.rtc_port, proxy.rtc)
    conflicts = _find_conflicts(classified, proxy)
    existing = []
    for item in candidates:
        faults = _list_faults(classified, item)
        takes = any(proxy_route.vhost is item.vhost for proxy_route in conflicts)
        existing.append(_describe(proxy, item, faults, not faults, takes))
    misplaced = _find_misplaced(classified, proxy, [item.vhost for item in candidates])
    return existing, misplaced, [proxy_route.where for proxy_route in conflicts]


def judge_application(classified: ClassifiedSite, proxy: ProxyUse) -> list[ExistingVhost]:
    """The virtual hosts on the application's port: right when they forward to the connector with the right protocol."""
    return [
        _describe(proxy, item, [], bool(item.routes) and item.listen.tls == classified.tls)
        for item in _find_candidates(classified, proxy, classified.application_port, proxy.application)
    ]


def _find_candidates(
    classified: ClassifiedSite, proxy: ProxyUse, port: int, proxy_routes: list[ProxyRoute]
) -> list[_Candidate]:
    """The virtual hosts on the server name and ``port``."""
    found = []
    for vhost in proxy.proxy.hosts if proxy.proxy else []:
        listen = next((item for item in vhost.listens if item.takes(port)), None)
        if listen is None or not _serves(vhost, classified, proxy):
            continue
        routes = [item for item in proxy_routes if item.vhost is vhost and item.listen is listen]
        # A managed one without names is another site's, unless it leads here.
        if routes or vhost.names or not vhost.managed:
            found.append(_Candidate(vhost, listen, routes))
    # A frontend of HAProxy has its port for itself. What it does for this name counts; else what it does for any.
    named = [item for item in found if classified.site.server_name in item.vhost.names]
    return named or [item for item in found if not item.vhost.names] or found


def _serves(vhost: VirtualHost, classified: ClassifiedSite, proxy: ProxyUse) -> bool:
    server_name = classified.site.server_name
    if proxy.kind == "haproxy":
        return not (vhost.managed and vhost.names and server_name not in vhost.names)
    names = [name.lower() for name in vhost.names]
    parent = server_name.partition(".")[2]
    return server_name in names or f"*.{parent}" in names or f".{parent}" in names


def _list_faults(classified: ClassifiedSite, found: _Candidate) -> list[str]:
    """Ids of what is wrong with an RTC virtual host; empty when it is right.

    Several routes may lead to the port: Apache's for polling, and one for WebSockets under /socket.io/.
    """
    faults = [] if found.listen.tls == classified.tls else ["RTC401"]
    good = found.routes
    if not good:
        return [*faults, "RTC402" if found.vhost.routes else "RTC403"]
    if not any(_is_root(item.route.path) and _is_root(item.route.upstream_path) for item in good):
        faults.append("RTC404")
    upgrading = [item for item in good if item.route.upgrade]
    if not upgrading:
        faults.append("RTC405")
    if not any(item.route.http11 for item in good):
        faults.append("RTC406")
    if any(0 < item.route.read_timeout < PING_SECONDS for item in upgrading or good):
        faults.append("RTC408" if good[0].proxy.kind == "haproxy" else "RTC407")
    if any(_scatters(item) for item in good):
        faults.append("RTC409")
    return faults


def _scatters(proxy_route: ProxyRoute) -> bool:
    """Whether the requests of one client go to several upstreams."""
    active = {(item.host, item.port) for item in proxy_route.route.upstreams if not item.backup}
    return len(active) > 1 and not proxy_route.route.sticky


def _is_root(path: str) -> bool:
    """Whether a path of a route is the root; a route of Apache or nginx for Engine.IO's path alone counts too."""
    return path in ("", "/", "/socket.io", "/socket.io/")


def _find_misplaced(classified: ClassifiedSite, proxy: ProxyUse, known: list[VirtualHost]) -> list[MisplacedRoute]:
    """Routes to the RTC port that are not at the root of the RTC port of the server name."""
    found = []
    for item in proxy.rtc:
        if item.vhost in known:
            continue
        below, elsewhere = not _is_root(item.route.path), not item.listen.takes(classified.site.rtc_port)
        if below or elsewhere:
            fault = "RTC404" if below else "RTC402"
            found.append(MisplacedRoute(item.where, item.route.path, item.listen.port, fault))
    return found


def _find_conflicts(classified: ClassifiedSite, proxy: ProxyUse) -> list[ProxyRoute]:
    """Listeners of a proxy beside the service that take the RTC port on all addresses, the service's own too."""
    if not proxy.local or proxy.proxy is None:
        return []
    return [
        item
        for item in proxy.rtc
        if item.listen.takes(classified.site.rtc_port)
        and item.listen.address in routing.WILDCARDS
        and not item.vhost.managed
    ]


def _describe(
    proxy: ProxyUse, item: _Candidate, faults: list[str], right: bool, takes_service_address: bool = False
) -> ExistingVhost:
    place = f"{item.vhost.file}:{item.vhost.line}"
    first = item.routes[0] if item.routes else None
    return ExistingVhost(
        place=place,
        where=first.where if first else f"{proxy.host}: {place}",
        managed=item.vhost.managed,
        tls=item.listen.tls,
        faults=faults,
        right=right,
        read_timeout=first.route.read_timeout if first else 0.0,
        buffering=bool(first and first.route.buffering),
        takes_service_address=takes_service_address,
    )
