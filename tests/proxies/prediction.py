# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the facts say of a request: where it goes, and as what it arrives there.

This is what the fields of ``VirtualHost`` and ``Route`` mean, written down as rules of the three servers. Where facts do
not tell, the answer is :class:`Untold` with the reason.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets


@dataclass
class Request:
    """A request, and the socket that it comes to."""

    address: str
    port: int
    name: str
    path: str  # with its query
    upgrade: bool = False

    @property
    def bare(self):
        return self.path.partition("?")[0]


@dataclass
class Passed:
    """It is passed on."""

    ports: set[int]  # of the upstreams, one of which gets it
    path: str | None  # None: facts do not tell
    upgrade: bool


@dataclass
class Kept:
    """The server answers itself."""


@dataclass
class Untold:
    """Facts do not tell."""

    reason: str


def predict(kind, hosts, request):
    """The outcome that the facts of a server's virtual hosts imply."""
    there = [
        (host, item)
        for host in hosts
        for item in host.listens
        if item.takes(request.port) and sockets.covers(item, request.address)
    ]
    exact = [pair for pair in there if pair[1].address == request.address]
    found = list({id(host): host for host, _item in exact or there}.values())
    if not found:
        return Untold("nothing was read for this socket")
    chosen = {"nginx": choose_nginx, "apache": choose_apache, "haproxy": choose_haproxy}[kind](found, request)
    if isinstance(chosen, Untold):
        return chosen
    route = find_route(kind, chosen, request)
    if route is not None and route.doubt:
        return Untold(re.sub(r"^\S+: ", "", route.doubt))
    if route is None or route in chosen.kept:
        return Kept()
    if not route.upstreams:
        return Untold("no upstream could be read")
    path = change_path(kind, route, request)
    return Passed({item.port for item in route.upstreams}, path, route.upgrade and request.upgrade)


def choose_nginx(found, request):
    """ngx_http_find_virtual_server: the exact name, the longest wildcard, a regular expression, the default."""
    name = request.name.lower()
    named = [(host, given.lower()) for host in found for given in host.names]
    for host, given in named:
        if given == name or given == "." + name:
            return host
    suffixes = [(given, host) for host, given in named if given[:1] in ("*", ".") and name.endswith(given.lstrip("*"))]
    prefixes = [(given, host) for host, given in named if given.endswith("*") and name.startswith(given[:-1])]
    if suffixes or prefixes:
        return max(suffixes or prefixes, key=lambda pair: len(pair[0]))[1]
    for host in found:
        for given in host.names:
            if given.startswith("~") and matches(given[1:], name):
                return host
    default = [host for host in found if any(item.default for item in host.listens if item.takes(request.port))]
    return (default or found)[0]


def choose_apache(found, request):
    """The first of an address whose name fits; else the first of them."""
    name = request.name.lower()
    for host in found:
        if any(fnmatch.fnmatch(name, given.lower()) for given in host.names):
            return host
    return found[0]


def choose_haproxy(found, request):
    """A frontend is one host for each set of names that its rules ask for: all rules that fit count, in their order."""
    name = request.name.lower()
    fitting = [host for host in found if not host.names or name in {given.lower() for given in host.names}]
    doubtful = [item for host in found for item in [*host.routes, *host.kept] if item.doubt and host not in fitting]
    merged = VirtualHost(routes=[item for host in fitting for item in host.routes])
    # What a rule asks for may be a part of the name, or a pattern: then its names are none.
    merged.kept = [item for host in fitting for item in host.kept] + doubtful
    return merged


def find_route(kind, host, request):
    path = request.bare
    routes = [*host.routes, *host.kept]
    if kind != "nginx":
        return next((item for item in sorted(routes, key=lambda item: item.order) if fits(kind, item, request)), None)
    exact = [item for item in routes if item.match == "exact" and item.path == path]
    slash = [item for item in host.routes if item.match in ("prefix", "final") and item.path == path + "/"]
    if slash and not exact and not any(item.path == path for item in routes):
        return None  # redirected to the path with a slash (auto_redirect)
    prefixes = [item for item in routes if item.match in ("prefix", "final") and path.startswith(item.path)]
    best = max(prefixes, key=lambda item: len(item.path), default=None)
    if exact or (best is not None and best.match == "final"):
        found = exact[0] if exact else best
    else:
        regular = (
            item for item in routes if item.match == "regex" and matches(item.path.lstrip("~* "), path, item.path)
        )
        found = next(regular, best)
    return found


def fits(kind, item, request):
    path = request.bare
    if item.only and item.only != ("upgrade" if request.upgrade else "plain"):
        return False
    if item.match == "regex":
        return matches(item.path.lstrip("~ "), path)
    if item.match == "exact":
        return path == item.path
    whole = kind != "apache" or item.path.endswith("/") or path[len(item.path) :][:1] in ("", "/")
    return whole and path.startswith(item.path)


def matches(pattern, text, sign=""):
    try:
        return re.search(pattern, text, re.IGNORECASE if sign.startswith("~*") else 0) is not None
    except re.error:
        return False


def change_path(kind, route, request):
    """The path at the upstream; None where facts do not tell."""
    if not route.upstream_path:
        return request.path
    if route.match == "regex" or "$" in route.upstream_path or (kind == "apache" and route.upstream_path == "/"):
        return None
    return route.upstream_path + request.path[len(route.path) :]
