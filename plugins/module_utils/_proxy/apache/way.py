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
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import HANDSHAKE, PATH, SHARING

_HTTP10 = "force-proxy-request-1.0"
_PAGES = ("http://", "https://")
_FLAGS = ("nocanon", "interpolate", "noquery")


def follow(
    host: VirtualHost,
    main: Directive,
    section: Directive,
    passes: list[tuple[Directive, Route]],
    beneath: dict[int, str],
) -> None:
    """Say of each route whether the requests go there, with their Upgrade; and what reading does not tell.

    :param passes: each ``ProxyPass`` and ``RewriteRule`` with the route that was read from it.
    :param beneath: by the id of a route the path that the members of its balancer have.
    """
    scopes, routes = [main, section], {id(item): route for item, route in passes}
    targets = [word for item, _route in passes for word in item.args if "://" in word]
    sections = access.list_sections(host, scopes, targets)
    if passes:
        asked = []
        for request in conditions.list_requests(host):
            before = len(host.doubts)
            chosen = _choose(host, scopes, sections, routes, request, beneath)
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
    request: dict[str, str], beneath: dict[int, str],
) -> Route | None:  # fmt: skip
    """The route of a request; ``None`` where there is none, or it cannot be told (there is a doubt then)."""
    for scope in scopes:
        for item in scope.all("jkmount"):
            if item.args and fnmatch.fnmatchcase(PATH, item.args[0].partition("|")[0]):
                host.doubts.append(f"{item.file}:{item.line} may take its requests: JkMount {' '.join(item.args)}")
    for scope in [scopes[-1], *sections]:
        whole = scope is scopes[-1]
        if not (conditions.is_on(scopes[0], scope) if whole else conditions.is_on_within(scopes, scope)):
            continue
        outcome = conditions.run(conditions.add_inherited(scopes[0], scope) if whole else scope, request)
        rule = outcome.rule
        if rule is not None and not whole:  # its pattern sees what was made of the path by then
            host.doubts.append(f"{rule.file}:{rule.line} decides in a section: RewriteRule {' '.join(rule.args)}")
            return None
        words = f"{rule.file}:{rule.line} RewriteRule {' '.join(rule.args)}" if rule else ""
        if outcome.kind == "unknown":
            host.doubts.append(f"{words} depends on what cannot be computed, or changes paths")
            host.sources += [words] if outcome.by_address and words not in host.sources else []
            return None
        if outcome.kind == "stopped":
            host.stops.append(f"{words} answers itself")
            return None
        if rule is not None:
            return _find(host, routes, rule)
    return _choose_pass(host, scopes, sections, routes, beneath)


def _choose_pass(
    host: VirtualHost, scopes: list[Directive], sections: list[Directive], routes: dict[int, Route],
    beneath: dict[int, str],
) -> Route | None:  # fmt: skip
    for section in reversed([item for item in sections if item.name.startswith("location")]):
        item = next(iter(section.all("proxypass", "proxypassmatch")), None)
        if item is None:
            continue
        # The path of the section is compared again, as text: that of a pattern fits with ProxyPassMatch only.
        place = section.args[-1]
        if item.name == "proxypass" and access.is_pattern(section):
            break
        return _land(host, item, place, [word for word in item.args if word not in _FLAGS], routes, beneath)
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
            return _land(host, item, item.args[0], args, routes, beneath)
    return None


def _find(host: VirtualHost, routes: dict[int, Route], item: Directive) -> Route | None:
    route = routes.get(id(item))
    if route is None:
        host.doubts.append(f"{item.file}:{item.line} has a target that could not be followed: {' '.join(item.args)}")
    return route


def _land(
    host: VirtualHost, item: Directive, place: str, args: list[str], routes: dict[int, Route], beneath: dict[int, str]
) -> Route | None:
    """The route of a ``ProxyPass``, if RTC's path arrives as it is: text is put in the place of text."""
    if args[:1] == ["!"]:
        return None
    route = _find(host, routes, item)
    rest = re.sub(r"^\w+://[^/$]*", "", args[0]) if args else ""
    if route is None:
        return None
    rest = beneath.get(id(route), "") + rest
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
    _judge_http10(host, scopes, routes)
    for item in [item for scope in scopes for item in scope.all("requestheader")]:
        _judge_request_header(host, item, routes)
    for item in [item for scope in scopes for item in scope.all("header")]:
        _judge_answer_header(host, item)
    for item in [item for scope in scopes for item in scope.all("proxyblock")]:
        ends = {upstream.host for route in routes for upstream in route.upstreams}
        if any(word == "*" or any(word.lower() in end.lower() for end in ends) for word in item.args):
            host.stops.append(f"{item.file}:{item.line} ProxyBlock {' '.join(item.args)}")
        elif item.args:
            host.doubts.append(
                f"{item.file}:{item.line} may keep it from its upstream: ProxyBlock {' '.join(item.args)}"
            )


def _judge_http10(host: VirtualHost, scopes: list[Directive], routes: list[Route]) -> None:
    """Variables that make httpd speak HTTP/1.0 to the service, with which there are no WebSockets."""
    last: dict[str, Directive] = {}
    for item in [item for scope in scopes for item in scope.all("setenv", "unsetenv")]:
        last.update({word.lower(): item for word in (item.args if item.name == "unsetenv" else item.args[:1])})
    found = last.get(_HTTP10)
    on: bool | None = found is not None and found.name == "setenv"
    for item in [item for scope in scopes for item in scope.all(*conditions.SETTERS)]:
        set_to = conditions.list_set(item).get(_HTTP10)
        held = conditions.holds_for_browser(item) if set_to is not None else False
        if held is None:
            host.doubts.append(f"{item.file}:{item.line} may make it HTTP/1.0: {item.name} {' '.join(item.args)}")
        elif held:
            on = set_to
    for item in [item for scope in scopes for item in scope.all("rewriterule")]:
        if any(
            flag.startswith(("E=" + _HTTP10.upper(), "ENV=" + _HTTP10.upper())) for flag in conditions.list_flags(item)
        ):
            host.doubts.append(f"{item.file}:{item.line} may make it HTTP/1.0: RewriteRule {' '.join(item.args)}")
    for route in routes if on else []:
        route.upgrade = route.http11 = False


def _judge_request_header(host: VirtualHost, item: Directive, routes: list[Route]) -> None:
    """What becomes of the headers that a handshake, and the check of a page's origin, need."""
    words = [word.lower() for word in item.args if word.lower() != "early"]
    action, name = [*words, "", ""][:2]
    name = name.rstrip(":")
    if name not in ("upgrade", "connection", "origin", *HANDSHAKE):
        return
    where = f"{item.file}:{item.line}"
    if action != "unset" or len(words) > 2:
        if name != "connection":  # httpd makes that one anew
            host.doubts.append(f"{where} depends on a condition, or changes it: RequestHeader {' '.join(item.args)}")
    elif name == "origin":
        host.stops.append(f"{where} takes the Origin of pages out: RTC does not share its answers with them")
    else:
        for route in routes:
            route.upgrade = False


def _judge_answer_header(host: VirtualHost, item: Directive) -> None:
    """Whether an ``Access-Control-Allow-Origin`` comes once, for the site's pages. ``always`` is a table of its own."""
    always = item.args[0].lower() == "always" if item.args else False
    words = [word.lower() for word in item.args[1 if always or item.args[:1] == ["onsuccess"] else 0 :]]
    where, action = f"{item.file}:{item.line}", "".join(words[:1])
    if "".join(words[1:2]).rstrip(":") != SHARING:
        return
    value = "".join(words[2:3])
    if len(words) > 3 or "%" in value or value.startswith("expr="):
        if action.startswith("edit") or always or action in ("add", "append", "merge"):
            host.doubts.append(f"{where} may change RTC's Access-Control-Allow-Origin: Header {' '.join(item.args)}")
    elif action in ("add", "append", "merge") or (always and action in ("set", "setifempty")):
        host.stops.append(f"{where} adds an Access-Control-Allow-Origin to RTC's own")
    elif action == "unset" and not always:
        host.stops.append(f"{where} takes RTC's Access-Control-Allow-Origin out")
    elif action.startswith("edit"):
        host.doubts.append(f"{where} changes RTC's Access-Control-Allow-Origin: Header {' '.join(item.args)}")
    elif action == "set" and value not in (
        "*",
        *(scheme + name.lower() for scheme in _PAGES for name in host.names),
    ):
        host.stops.append(f"{where} shares RTC's answers with other pages: Header {' '.join(item.args)}")
