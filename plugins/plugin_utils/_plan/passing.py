# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether RTC passes a virtual host of a proxy: as its daemon answered, and where that cannot tell, as it reads. Pure.

What the daemon answered decides. RTC's own answer, over all ways that clients take, is right whatever was read; another
answer is not. Where the daemon says that its upstream is down, nothing on the way has refused the request, and reading
says whether that upstream is RTC and gets what a WebSocket needs. What neither tells is left as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import Passage, ProxyListen, Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import PATH
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import ClassifiedSite, ProxyUse
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.routing import ProxyRoute

PING_SECONDS = 45  # Engine.IO's default ping interval (25 s) and ping timeout (20 s)
_ASTRAY = ("RTC402", "RTC403", "RTC404")  # what keeps a request from the service
_SURE = ("RTC401", "RTC407", "RTC408", "RTC409")  # what reading knows whatever it doubts


@dataclass
class Candidate:
    """A virtual host on a name and port of the site, with its routes to where it should forward."""

    vhost: VirtualHost
    listen: ProxyListen
    routes: list[ProxyRoute] = field(default_factory=list)
    hiding: str = ""  # an address on which others answer in place of one for all addresses, with the place


@dataclass
class Verdict:
    """What is wrong with a virtual host; neither right nor with faults where that cannot be told."""

    faults: list[str] = field(default_factory=list)  # ids of findings
    right: bool = False
    doubt: str = ""
    answer: str = ""
    tls: bool = False


def judge(classified: ClassifiedSite, proxy: ProxyUse, found: Candidate, rtc_ports: Collection[int]) -> Verdict:
    """The verdict on an RTC virtual host.

    :param rtc_ports: of all sites: what answers at another one is another site's service.
    """
    passage = find_passage(classified, proxy, found)
    verdict = Verdict(tls=passage.tls if passage else _speaks_tls(classified, found))
    outcome = passage.outcome if passage else "unknown"
    verdict.faults = [] if verdict.tls == classified.tls else ["RTC401"]
    if passage and outcome == "stopped":
        verdict.answer = passage.words
        verdict.faults += _explain_stop(passage, found)
    elif outcome == "passed":
        verdict.faults += ["RTC402"] if _is_astray(classified, found, rtc_ports) else []
    else:
        verdict.faults += _read_way(found)
        verdict.answer = _read_stop(classified, found)
        verdict.faults += ["RTC430"] if verdict.answer else []
    verdict.faults += _read_limits(found)
    verdict.doubt = _find_doubt(found, passage, outcome, verdict.faults)
    if verdict.doubt:
        verdict.faults = []
    verdict.right = not verdict.faults and not verdict.doubt
    return verdict


def _speaks_tls(classified: ClassifiedSite, found: Candidate) -> bool:
    """Whether a virtual host speaks TLS, as it was read: one that hands bytes on speaks what the service does."""
    handed_on = bool(found.routes) and all(item.upstream.scheme == "tcp" for item in found.routes)
    return found.listen.tls or (handed_on and classified.site.protocol == "HTTPS")


def find_passage(classified: ClassifiedSite, proxy: ProxyUse, found: Candidate) -> Passage | None:
    """What came of asking for the site's RTC through the sockets of a virtual host: the worst of them."""
    addresses = {item.address for item in found.vhost.listens if item.takes(classified.site.rtc_port)}
    passages = [
        item
        for item in (proxy.proxy.passages if proxy.proxy else [])
        if item.name == classified.site.server_name
        and item.port == classified.site.rtc_port
        and item.address in addresses
        and item.outcome != "unknown"
    ]
    return min(passages, key=lambda item: ("stopped", "down", "passed").index(item.outcome), default=None)


def _explain_stop(passage: Passage, found: Candidate) -> list[str]:
    """Ids for an answer that is not RTC's: what reading knows of it, if it does."""
    if passage.polling == "stopped":
        known = [] if found.vhost.doubts else [item for item in _read_way(found) if item in _ASTRAY]
        if known == ["RTC404"] and _is_taken_away(found):
            return ["RTC430"]
        return known or ["RTC430"]
    return ["RTC406"] if found.routes and not any(item.route.http11 for item in found.routes) else ["RTC405"]


def _is_taken_away(found: Candidate) -> bool:
    """Whether a route would take RTC's requests to the service, path and all, if nothing else took them before."""
    ways = [item.route for item in found.routes if item.route.polling is False and keeps_path(item.route)]
    return any(PATH.startswith(f"{route.path.rstrip('/')}/") for route in ways)


def _is_astray(classified: ClassifiedSite, found: Candidate, rtc_ports: Collection[int]) -> bool:
    """Whether it is the RTC of another site that answers."""
    own = classified.site.rtc_port
    ports = {item.port for route in found.vhost.routes if takes(route) for item in route.upstreams}
    return not found.routes and bool(ports) and own not in ports and ports <= set(rtc_ports)


def _read_way(found: Candidate) -> list[str]:
    """Ids of what reading says is wrong with the way to the service.

    Several routes may lead to the port: Apache's for polling, and one for WebSockets under /socket.io/.
    """
    good = found.routes
    if not good:
        return ["RTC402" if found.vhost.routes else "RTC403"]
    faults = []
    if not any(takes(item.route) and keeps_path(item.route) for item in good):
        faults.append(
            "RTC404" if any(map(takes, found.vhost.routes)) is False or not _leads_astray(found) else "RTC402"
        )
    upgrading = [item for item in good if item.route.upgrade and item.route.websocket is not False]
    if not upgrading:
        faults.append("RTC405")
    if not any(item.route.http11 for item in good):
        faults.append("RTC406")
    return faults


def _read_stop(classified: ClassifiedSite, found: Candidate) -> str:
    """What reading knows to keep requests from the service, or browsers from its answers; "" for nothing."""
    if found.vhost.managed:
        return ""
    wanted = ("https", "wss") if classified.site.protocol == "HTTPS" else ("http", "ws")
    for item in found.routes:
        if takes(item.route) and item.upstream.scheme not in (*wanted, "tcp"):
            return f"it speaks {item.upstream.scheme} to the service, which speaks {wanted[0]}"
    return next(iter(found.vhost.stops), "")


def _leads_astray(found: Candidate) -> bool:
    """Whether RTC's requests go another way than to the service, although a route to it is there."""
    good = [id(item.route) for item in found.routes]
    return any(route.polling and id(route) not in good for route in found.vhost.routes)


def _read_limits(found: Candidate) -> list[str]:
    """Ids of what shows in time only: idle connections that are cut, clients that are scattered."""
    good = [item for item in found.routes if item.route.polling is not False or item.route.websocket is not False]
    upgrading = [item for item in good if item.route.upgrade and item.route.websocket is not False]
    faults = []
    if any(0 < item.route.read_timeout < PING_SECONDS for item in upgrading or good):
        faults.append("RTC408" if good[0].proxy.kind == "haproxy" else "RTC407")
    if any(_scatters(item) for item in good):
        faults.append("RTC409")
    return faults


def _find_doubt(found: Candidate, passage: Passage | None, outcome: str, faults: list[str]) -> str:
    """Why it cannot be told, "" where it can."""
    if found.vhost.managed:
        return ""  # it is written anew
    if any(item in _SURE for item in faults):
        return ""
    # A socket that is for another proxy closes what does not begin with the PROXY protocol.
    refused = bool(passage and outcome == "stopped" and passage.words.startswith(("403", "the connection was closed")))
    if found.vhost.sources and (refused or outcome != "stopped"):
        return f"it lets in some clients and not others ({found.vhost.sources[0]})"
    if outcome in ("passed", "stopped") or "RTC430" in faults:
        return ""
    if outcome == "down" and faults == ["RTC406"]:
        return "it speaks HTTP/1.0 to the service, which may take a WebSocket over that"
    doubts = [*([f"{found.hiding} answers whoever comes there"] if found.hiding else []), *found.vhost.doubts]
    if not doubts:
        return ""
    why = "its upstream does not answer yet" if outcome == "down" else "nothing could be seen through it"
    return f"{why}, and {doubts[0]}"


def takes(route: Route) -> bool:
    """Whether RTC's first requests go this way: as was read, or by the path."""
    return is_root(route.path) if route.polling is None else route.polling


def keeps_path(route: Route) -> bool:
    """Whether RTC's path arrives as it is: a path that is replaced may be replaced by itself."""
    if not route.upstream_path:
        return True
    path = route.path or "/"
    if not PATH.startswith(path):
        return is_root(route.upstream_path)
    rest = PATH[len(path) :]
    return (route.upstream_path + rest).replace("//", "/") == PATH


def is_root(path: str) -> bool:
    """Whether a path of a route is the root; a route of Apache or nginx for Engine.IO's path alone counts too."""
    return path in ("", "/", "/socket.io", "/socket.io/")


def _scatters(proxy_route: ProxyRoute) -> bool:
    """Whether the requests of one client go to several upstreams."""
    active = {(item.host, item.port) for item in proxy_route.route.upstreams if not item.backup}
    return len(active) > 1 and not proxy_route.route.sticky
