# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that RTC's requests (/socket.io/) take through a virtual host of httpd, as far as reading tells.

Rules of mod_rewrite come first, then ``ProxyPass`` of the last section for the path that has one, then those outside of
sections, of which the first that fits counts: those of the main server are before those of the virtual host.
"""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.collab.rtc.plugins.module_utils._facts import Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import access, conditions
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import PATH

_SHARING = "access-control-allow-origin"
_FLAGS = ("nocanon", "interpolate", "noquery")


def follow(host: VirtualHost, main: Directive, section: Directive, passes: list[tuple[Directive, Route]]) -> None:
    """Say of each route whether the requests go there, with their Upgrade; and what reading does not tell.

    :param passes: each ``ProxyPass`` and ``RewriteRule`` with the route that was read from it.
    """
    scopes, routes = [main, section], {id(item): route for item, route in passes}
    targets = [word for item, _route in passes for word in item.args if "://" in word]
    sections = access.list_sections(host, scopes, targets)
    if passes:
        asked = []
        for request in conditions.list_requests(host):
            before = len(host.doubts)
            chosen = _choose(host, scopes, sections, routes, request)
            asked.append((chosen, chosen is not None or len(host.doubts) == before))
        *polling, (socket, told) = asked
        for route in routes.values():
            goes = [found is route for found, _told in polling]
            route.polling = all(goes) if all(known for _found, known in polling) else None
            route.websocket = socket is route if told else None
    host.doubts = list(dict.fromkeys(host.doubts))
    host.stops = list(dict.fromkeys(host.stops))
    _judge_headers(host, [*scopes, *sections], list(routes.values()))
    access.judge(host, scopes, sections)


def _choose(
    host: VirtualHost, scopes: list[Directive], sections: list[Directive], routes: dict[int, Route],
    request: dict[str, str],
) -> Route | None:  # fmt: skip
    """The route of a request; ``None`` where there is none, or it cannot be told (there is a doubt then)."""
    for scope in scopes:
        for item in scope.all("jkmount"):
            if item.args and fnmatch.fnmatchcase(PATH, item.args[0].partition("|")[0]):
                host.doubts.append(f"{item.file}:{item.line} may take its requests: JkMount {' '.join(item.args)}")
    for scope in [scopes[-1], *sections]:
        switch = scope.last("rewriteengine")
        if not switch or [word.lower() for word in switch.args] != ["on"]:
            continue
        outcome = conditions.run(scope, request)
        rule = outcome.rule
        if rule is not None and scope is not scopes[-1]:  # its pattern sees what was made of the path by then
            host.doubts.append(f"{rule.file}:{rule.line} decides in a section: RewriteRule {' '.join(rule.args)}")
            return None
        words = f"{rule.file}:{rule.line} RewriteRule {' '.join(rule.args)}" if rule else ""
        if outcome.kind == "unknown":
            host.doubts.append(f"{words} depends on what cannot be computed, or changes paths")
            return None
        if outcome.kind == "stopped":
            host.stops.append(f"{words} answers itself")
            return None
        if rule is not None:
            return _find(host, routes, rule)
    return _choose_pass(host, scopes, sections, routes)


def _choose_pass(
    host: VirtualHost, scopes: list[Directive], sections: list[Directive], routes: dict[int, Route]
) -> Route | None:
    for section in reversed([item for item in sections if item.name.startswith("location")]):
        item = next(iter(section.all("proxypass", "proxypassmatch")), None)
        if item is None:
            continue
        # The path of the section is compared again, as text: that of a pattern fits with ProxyPassMatch only.
        place = section.args[-1]
        if item.name == "proxypass" and access.is_pattern(section):
            break
        return _land(host, item, place, [word for word in item.args if word not in _FLAGS], routes)
    for item in [item for scope in scopes for item in scope.all("proxypass", "proxypassmatch")]:
        if len(item.args) < 2:
            continue
        args = [word for word in item.args[1:] if word not in _FLAGS]
        if item.name == "proxypass":
            fits: bool | None = f"{PATH.rstrip('/')}/".startswith(f"{item.args[0].rstrip('/')}/")
        else:
            fits = conditions.fits(item.args[0])
        if fits is None:
            host.doubts.append(f"{item.file}:{item.line} may take its requests: {item.name} {' '.join(item.args)}")
            return None
        if fits:
            return _land(host, item, item.args[0], args, routes)
    return None


def _find(host: VirtualHost, routes: dict[int, Route], item: Directive) -> Route | None:
    route = routes.get(id(item))
    if route is None:
        host.doubts.append(f"{item.file}:{item.line} has a target that could not be followed: {' '.join(item.args)}")
    return route


def _land(host: VirtualHost, item: Directive, place: str, args: list[str], routes: dict[int, Route]) -> Route | None:
    """The route of a ``ProxyPass``, if RTC's path arrives as it is: text is put in the place of text."""
    if args[:1] == ["!"]:
        return None
    route = _find(host, routes, item)
    rest = re.sub(r"^\w+://[^/$]*", "", args[0]) if args else ""
    if route is None:
        return None
    if item.name == "proxypass":
        arrives = rest + PATH[len(place) :] if len(place) <= len(PATH) else rest
    else:
        pattern = patterns.compile_pattern(place)
        match = pattern.search(PATH) if pattern else None
        if match is None:
            return route
        # Without what the pattern found the whole path is put behind.
        values = {str(number): value or "" for number, value in enumerate((match[0], *match.groups()))}
        filled = re.sub(r"\$(\d)", lambda found: values.get(found[1], ""), rest)
        arrives = filled if filled != rest else rest + PATH
    if arrives != PATH:
        route.match = "exact"
        return None
    route.upstream_path = ""
    return route


def _judge_headers(host: VirtualHost, scopes: list[Directive], routes: list[Route]) -> None:
    for item in [item for scope in scopes for item in scope.all("header", "requestheader", "setenv")]:
        words = [word.lower() for word in item.args if word.lower() not in ("always", "early", "onsuccess")]
        where = f"{item.file}:{item.line}"
        if item.name == "setenv" and words[:1] == ["force-proxy-request-1.0"]:
            for route in routes:
                route.upgrade = route.http11 = False
        elif item.name == "requestheader" and words[:2] in (["unset", "upgrade"], ["unset", "connection"]):
            if len(words) > 2:
                host.doubts.append(f"{where} depends on a condition: RequestHeader {' '.join(item.args)}")
                continue
            for route in routes:
                route.upgrade = False
        elif item.name == "header" and words[1:2] == [_SHARING] and len(item.args) <= 4:
            twice = words[0] in ("add", "append", "merge") or (words[0] == "set" and item.args[0].lower() == "always")
            if twice:
                host.stops.append(f"{where} adds an Access-Control-Allow-Origin to RTC's own")
            elif words[0] == "unset":
                host.stops.append(f"{where} takes RTC's Access-Control-Allow-Origin out")
