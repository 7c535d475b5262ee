# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which virtual hosts of its proxy a site finds there already, and whether they do what they should. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import names
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import order
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import passing, routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.desired import ExistingVhost, MisplacedRoute
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.passing import Candidate, Verdict
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute


@dataclass
class Judged:
    """What a proxy has for a site's RTC."""

    existing: list[ExistingVhost]  # virtual hosts on its port
    misplaced: list[MisplacedRoute]  # routes from elsewhere
    hidden: list[str]  # virtual hosts that would answer in place of the one to be written
    conflicts: list[str]  # what takes the service's address


def judge_rtc(classified: ClassifiedSite, proxy: ProxyUse, plan: VhostPlan, rtc_ports: Collection[int]) -> Judged:
    """What is there for RTC.

    :param plan: the virtual host that is to be there.
    :param rtc_ports: of the RTC services of all sites.
    """
    candidates = _find_candidates(classified, proxy, classified.site.rtc_port, proxy.rtc)
    hiding = [] if candidates else _find_answering(classified, proxy, plan)
    conflicts = _find_conflicts(classified, proxy)
    existing: list[ExistingVhost] = []
    hidden: list[str] = []
    for item in candidates + hiding:
        verdict = passing.judge(classified, proxy, item, rtc_ports)
        takes = any(proxy_route.vhost is item.vhost for proxy_route in conflicts)
        described = _describe(proxy, item, verdict, takes)
        if item in hiding and verdict.faults:
            hidden.append(described.place)
        else:
            existing.append(described)
    misplaced = _find_misplaced(classified, proxy, [item.vhost for item in candidates + hiding])
    return Judged(existing, misplaced, hidden, [proxy_route.where for proxy_route in conflicts])


def _find_answering(classified: ClassifiedSite, proxy: ProxyUse, plan: VhostPlan) -> list[Candidate]:
    """The virtual host of no name of the site that answers for it: because a wildcard fits, or as the default one.

    Of Apache the one that would answer in place of the one to be written too.
    """
    if proxy.proxy is None:
        return []
    hiding = None
    if proxy.kind == "apache":
        directory = order.find_directory(proxy.proxy.config)
        hiding = order.find_hiding(plan, proxy.proxy, f"{directory}/{plan.name}.conf")
    for vhost in [hiding] if hiding else proxy.proxy.hosts:
        listen = next((item for item in vhost.listens if item.takes(plan.port)), None)
        if listen is None or vhost.managed:
            continue
        routes = [item for item in proxy.rtc if item.vhost is vhost and item.listen is listen]
        found = Candidate(vhost, listen, routes)
        passage = passing.find_passage(classified, proxy, found)
        if hiding or (routes and passage and passage.outcome in ("passed", "down")):
            return [found]
    return []


def judge_application(classified: ClassifiedSite, proxy: ProxyUse) -> list[ExistingVhost]:
    """The virtual hosts on the application's port: right when they forward to the connector with the right protocol."""
    return [
        _describe(proxy, item, Verdict(right=bool(item.routes) and item.listen.tls == classified.tls))
        for item in _find_candidates(classified, proxy, classified.application_port, proxy.application)
    ]


def _find_candidates(
    classified: ClassifiedSite, proxy: ProxyUse, port: int, proxy_routes: list[ProxyRoute]
) -> list[Candidate]:
    """The virtual hosts on the server name and ``port``."""
    found = []
    for vhost in proxy.proxy.hosts if proxy.proxy else []:
        listen = next((item for item in vhost.listens if item.takes(port)), None)
        # Of httpd one for whatever comes ("*") answers too where it stands before.
        fits = proxy.kind == "apache" and order.find_fitting(vhost, classified.site.server_name)
        if listen is None or not (fits or _serves(vhost, classified, proxy)):
            continue
        routes = [item for item in proxy_routes if item.vhost is vhost and item.listen is listen]
        # A managed one without names is another site's, unless it leads here.
        if routes or vhost.names or not vhost.managed:
            found.append(Candidate(vhost, listen, routes))
    if proxy.kind == "haproxy":
        # A frontend of HAProxy has its port for itself. What it does for this name counts; else what it does for any.
        named = [item for item in found if classified.site.server_name in item.vhost.names]
        return named or [item for item in found if not item.vhost.names] or found
    served = [item for item in found if _serves(item.vhost, classified, proxy)]
    if not served or served[0].vhost.managed:  # what hides a managed one, the module refuses by its place
        found = served
    if proxy.kind == "apache":  # the first that fits
        ranks = list(range(len(found)))
    else:
        ranks = [names.rank(proxy.kind, item.vhost.names, classified.site.server_name) for item in found]
    best: dict[str, int] = {}
    for item, rank in zip(found, ranks):
        best[item.listen.address] = min(rank, best.get(item.listen.address, rank))
    best_ones = [item for item, rank in zip(found, ranks) if rank == best[item.listen.address]]
    known = {listen.address for item in found for listen in item.vhost.listens if listen.takes(port)}
    for item in best_ones:
        item.hiding = _find_nearer(item, known, port, proxy.proxy.hosts if proxy.proxy else [])
    return best_ones


def _find_nearer(item: Candidate, known: Collection[str], port: int, hosts: list[VirtualHost]) -> str:
    """An address that others have for themselves: nginx and httpd choose by address before they look at names.

    :param known: addresses on which the site's name is served.
    """
    if item.listen.address not in routing.WILDCARDS:
        return ""
    for vhost in hosts:
        for listen in vhost.listens:
            near = listen.address not in routing.WILDCARDS and not routing.is_loopback(listen.address)
            if near and listen.takes(port) and listen.address not in known and not vhost.managed:
                return f"{vhost.file}:{vhost.line} on {listen.address}"
    return ""


def _serves(vhost: VirtualHost, classified: ClassifiedSite, proxy: ProxyUse) -> bool:
    server_name = classified.site.server_name
    if proxy.kind == "haproxy":
        return not (vhost.managed and vhost.names and server_name not in vhost.names)
    # A server of nginx's stream block has its port for all names.
    stream = not vhost.names and any(item.scheme == "tcp" for route in vhost.routes for item in route.upstreams)
    return stream or names.rank(proxy.kind, vhost.names, server_name) < names.NOT


def _find_misplaced(classified: ClassifiedSite, proxy: ProxyUse, known: list[VirtualHost]) -> list[MisplacedRoute]:
    """Routes to the RTC port that are not at the root of the RTC port of the server name."""
    found = []
    for item in proxy.rtc:
        if item.vhost in known:
            continue
        below, elsewhere = not passing.is_root(item.route.path), not item.listen.takes(classified.site.rtc_port)
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


def _describe(proxy: ProxyUse, item: Candidate, verdict: Verdict, takes_service_address: bool = False) -> ExistingVhost:
    place = f"{item.vhost.file}:{item.vhost.line}"
    first = item.routes[0] if item.routes else None
    return ExistingVhost(
        place=place,
        where=first.where if first else f"{proxy.host}: {place}",
        managed=item.vhost.managed,
        tls=verdict.tls,
        faults=verdict.faults,
        right=verdict.right,
        read_timeout=first.route.read_timeout if first else 0.0,
        buffering=bool(first and first.route.buffering),
        takes_service_address=takes_service_address,
        doubt=verdict.doubt,
        answer=verdict.answer,
    )
