# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that RTC's requests (/socket.io/) take through a virtual host of httpd, as far as reading tells.

Rules of mod_rewrite come before ``ProxyPass``, of which the first that fits counts. What stands in sections for paths
is left as it was read: it is the daemon that is asked first.
"""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._facts import Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive

PATH = "/socket.io/"
_SHARING = "access-control-allow-origin"
_PLAIN, _WEBSOCKET = {"upgrade": "", "connection": "keep-alive"}, {"upgrade": "websocket", "connection": "Upgrade"}
_VARIABLE = re.compile(r"%\{([^}]+)\}")


def follow(host: VirtualHost, main: Directive, section: Directive, passes: list[tuple[Directive, Route]]) -> None:
    """Say of each route whether the requests go there, with their Upgrade; and what reading does not tell.

    :param passes: each ``ProxyPass`` and ``RewriteRule`` with the route that was read from it.
    """
    routes = {id(item): route for item, route in passes}
    top = {id(item) for item in section.block or []}
    if passes and all(id(item) in top for item, _route in passes):
        for name, headers in (("polling", _PLAIN), ("websocket", _WEBSOCKET)):
            chosen = _choose(host, section, routes, name, headers)
            for route in routes.values():
                setattr(route, name, route is chosen if chosen or not host.doubts else None)
    _judge_headers(host, [main, section], list(routes.values()))
    for item in [item for scope in (main, section) for item in _walk(scope)]:
        words = " ".join(item.args).lower()
        if item.name == "require" and re.match(r"(not )?(ip|host|forward-dns|local)\b", words):
            host.sources.append(f"{item.file}:{item.line} Require {words}")
        elif item.name in ("allow", "deny") and not words.endswith("from all"):
            host.sources.append(f"{item.file}:{item.line} {item.name} {words}")


def _walk(scope: Directive) -> list[Directive]:
    found = []
    for item in scope.block or []:
        if item.block is None:
            found.append(item)
        elif item.name in ("location", "proxy", "requireany", "requireall", "requirenone"):
            found += _walk(item) if item.name != "location" or PATH.startswith("".join(item.args[-1:]) or "/") else []
    return found


def _choose(
    host: VirtualHost, section: Directive, routes: dict[int, Route], transport: str, headers: dict[str, str]
) -> Route | None:
    """The route of a request; ``None`` where there is none, or it cannot be told (there is a doubt then)."""
    conditions: list[Directive] = []
    for item in section.all("rewritecond", "rewriterule"):
        if item.name == "rewritecond":
            conditions.append(item)
            continue
        holds, conditions_of = _hold(conditions, transport, headers), conditions
        conditions = []
        if len(item.args) < 2 or holds is False or not _fits(item.args[0]):
            continue
        if holds is None:
            words = " ".join(conditions_of[0].args)
            host.doubts.append(f"{item.file}:{item.line} depends on what cannot be computed ({words})")
            return None
        if id(item) in routes:
            return routes[id(item)]
        if item.args[1] != "-":
            host.doubts.append(f"{item.file}:{item.line} changes paths: RewriteRule {' '.join(item.args)}")
            return None
    for item in section.all("proxypass", "proxypassmatch"):
        if not item.args:
            continue
        prefix = item.args[0].rstrip("/")
        fits = PATH.startswith(prefix + "/") if item.name == "proxypass" else _fits(item.args[0])
        if fits:
            return routes.get(id(item))
    return None


def _fits(pattern: str) -> bool:
    try:
        return bool(re.search(pattern.lstrip("!"), PATH)) != pattern.startswith("!")
    except re.error:
        return False


def _hold(conditions: list[Directive], transport: str, headers: dict[str, str]) -> bool | None:
    """Whether conditions hold: all of them, and of those joined by ``[OR]`` one."""
    result: bool | None = True
    group: list[bool | None] = []
    for item in conditions:
        flags = item.args[2].upper().strip("[]").split(",") if len(item.args) > 2 else []
        group.append(_holds(item, flags, transport, headers))
        if not {"OR", "ORNEXT"} & set(flags):
            one = True if True in group else None if None in group else False
            if one is False:
                return False
            result, group = one if result else result, []
    return result


def _holds(item: Directive, flags: list[str], transport: str, headers: dict[str, str]) -> bool | None:
    known = {
        "REQUEST_URI": PATH, "QUERY_STRING": f"EIO=4&transport={transport}", "REQUEST_METHOD": "GET",
        "HTTP:UPGRADE": headers["upgrade"], "HTTP:CONNECTION": headers["connection"], "REQUEST_FILENAME": PATH,
        "THE_REQUEST": f"GET {PATH}?EIO=4&transport={transport} HTTP/1.1",
    }  # fmt: skip
    if len(item.args) < 2 or any(name.upper() not in known for name in _VARIABLE.findall(item.args[0])):
        return None
    value = _VARIABLE.sub(lambda found: known[found[1].upper()], item.args[0])
    pattern, negated = item.args[1].lstrip("!"), item.args[1].startswith("!")
    if pattern.startswith("-"):
        return None
    nocase = bool({"NC", "NOCASE"} & set(flags))
    if pattern.startswith("="):
        same = value.lower() == pattern[1:].lower() if nocase else value == pattern[1:]
        return same != negated
    try:
        return bool(re.search(pattern, value, re.IGNORECASE if nocase else 0)) != negated
    except re.error:
        return None


def _judge_headers(host: VirtualHost, scopes: list[Directive], routes: list[Route]) -> None:
    for item in [item for scope in scopes for item in scope.all("header", "requestheader", "setenv")]:
        words = [word.lower() for word in item.args if word.lower() not in ("always", "early", "onsuccess")]
        where = f"{item.file}:{item.line}"
        if item.name == "setenv" and words[:1] == ["force-proxy-request-1.0"]:
            for route in routes:
                route.upgrade = route.http11 = False
        elif item.name == "requestheader" and words[:2] in (["unset", "upgrade"], ["unset", "connection"]):
            for route in routes:
                route.upgrade = False
        elif item.name == "header" and words[1:2] == [_SHARING] and len(item.args) <= 4:
            twice = words[0] in ("add", "append", "merge") or (words[0] == "set" and item.args[0].lower() == "always")
            if twice:
                host.stops.append(f"{where} adds an Access-Control-Allow-Origin to RTC's own")
            elif words[0] == "unset":
                host.stops.append(f"{where} takes RTC's Access-Control-Allow-Origin out")
