# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that RTC's requests (/socket.io/) take through a frontend of HAProxy, as far as reading tells.

Conditions are computed for a request: its host with the port, as browsers send it; its path; its Upgrade. What they ask
of other things is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import HaproxyConfig, Line, Section

PATH = "/socket.io/"
_SHARING = "access-control-allow-origin"
_FETCH = re.compile(r"(?:req\.|req_)?(\w+)(?:\((\w[\w-]*)[^)]*\))?(.*)")
_HOST_ONLY = re.compile(r",\s*(?:field\(1,:\)|host_only|word\(1,:\))")
_ENDS = {"accept", "allow", "auth", "deny", "redirect", "reject", "return", "silent-drop", "tarpit", "use-service"}
_CHANGES = {"set-path", "set-pathq", "set-uri", "replace-path", "replace-pathq", "replace-uri", "set-method", "lua"}


_PREDEFINED = {
    "TRUE": True, "HTTP": True, "METH_GET": True, "HTTP_1.1": True, "FALSE": False, "HTTP_1.0": False,
    "METH_POST": False, "METH_OPTIONS": False, "METH_CONNECT": False,
}  # fmt: skip


@dataclass
class _Request:
    host: str
    upgrade: str
    tls: bool


def follow(host: VirtualHost, config: HaproxyConfig, section: Section, passes: list[tuple[Line | None, Route]]) -> None:
    """Say of each route whether the requests go there, with their Upgrade; and what reading does not tell.

    :param passes: each ``use_backend`` and ``default_backend`` of this host's with the route that was read from it;
        ``None`` for the servers of the section itself.
    """
    listen = next(iter(host.listens), None)
    if listen is None:
        return
    usual = listen.port == (443 if listen.tls else 80)
    name = next((item for item in host.names if "*" not in item), "")
    authority = name if usual or not name else f"{name}:{listen.port}"
    for field, upgrade in (("polling", ""), ("websocket", "websocket")):
        chosen = _choose(host, section, _Request(authority, upgrade, listen.tls))
        for line, route in passes:
            setattr(route, field, None if chosen == "" else line is chosen)
        if isinstance(chosen, Line) and not any(line is chosen for line, _route in passes):
            host.doubts.append(f"{chosen.file}:{chosen.line} may take its requests")
    scopes: dict[int, Section] = {id(section): section}
    for line, route in passes:
        target = config.named(line.words[1]) if line else None
        if target and route.polling is not False:
            scopes[id(target)] = target
    for scope in scopes.values():
        for line in scope.all("http-request"):
            _judge_rule(host, [route for _line, route in passes], section, line, _Request(authority, "", listen.tls))
        _judge_others(host, scope)


def _judge_others(host: VirtualHost, scope: Section) -> None:
    for line in scope.all("server", inherit=False):
        if {"send-proxy", "send-proxy-v2"} & set(line.words) and "disabled" not in line.words:
            host.stops.append(f"{line.file}:{line.line} speaks the PROXY protocol to the service")
    for line in scope.all("http-response"):
        words = [word.lower() for word in line.words]
        if words[1:3] in (["add-header", _SHARING], ["del-header", _SHARING]):
            host.stops.append(f"{line.file}:{line.line} changes RTC's Access-Control-Allow-Origin: {words[1]}")
    for line in scope.all():
        if any(word == "src" or word.startswith("src,") for word in line.words[1:]):
            host.sources.append(f"{line.file}:{line.line} {' '.join(line.words)}")


def _judge_rule(host: VirtualHost, routes: list[Route], section: Section, line: Line, request: _Request) -> None:
    """A rule that ends the request, or changes what a WebSocket needs."""
    action, words = "".join(line.words[1:2]), [word.lower() for word in line.words[2:]]
    holds = _hold(section, line.words[2:], request)
    if holds is False:
        return
    where = f"{line.file}:{line.line} {' '.join(line.words)}"[:160]
    if action in _ENDS - {"accept", "allow"}:
        (host.stops if holds else host.doubts).append(where)
    elif action in _CHANGES:
        host.doubts.append(f"{where} changes paths")
    elif words[:1] in (["upgrade"], ["connection"]) and action in ("del-header", "set-header", "replace-header"):
        for route in routes:
            route.upgrade = False


def _choose(host: VirtualHost, section: Section, request: _Request) -> Line | str | None:
    """The line that chooses the backend, ``None`` for none, "" where it cannot be told."""
    for line in (line for line in section.all("use_backend") if len(line.words) > 1):
        holds = _hold(section, line.words[2:], request)
        if holds is None:
            host.doubts.append(
                f"{line.file}:{line.line} depends on what cannot be computed: {' '.join(line.words[2:])}"[:160]
            )
            return ""
        if holds:
            if "%[" in line.words[1]:
                host.doubts.append(f"{line.file}:{line.line} computes its backend: {line.words[1]}")
                return ""
            return line
    return section.last("default_backend")


def _hold(section: Section, words: list[str], request: _Request) -> bool | None:
    """Whether a condition holds, from its ``if`` or ``unless`` on; ``None`` for unknown."""
    at = next((number for number, word in enumerate(words) if word in ("if", "unless")), None)
    if at is None:
        return True
    terms: list[list[bool | None]] = [[]]
    rest, negated = iter(words[at + 1 :]), False
    for word in rest:
        if word in ("||", "or"):
            terms.append([])
            continue
        negated = word.startswith("!")
        plain = word.lstrip("!") or next(rest, "")
        if plain == "{":
            inline: list[str] = []
            for part in rest:
                if part == "}":
                    break
                inline.append(part)
            found = _meets(inline, request)
        else:
            found = _meets_acl(section, plain, request)
        terms[-1].append(found if found is None or not negated else not found)
    joined = [False if False in term else None if None in term else True for term in terms]
    result = True if True in joined else None if None in joined else False
    return result if result is None or words[at] == "if" else not result


def _meets_acl(section: Section, name: str, request: _Request) -> bool | None:
    if name in _PREDEFINED:
        return _PREDEFINED[name]
    found = [_meets(line.words[2:], request) for line in section.all("acl") if line.words[1:2] == [name]]
    return None if not found else True if True in found else None if None in found else False


def _meets(words: list[str], request: _Request) -> bool | None:
    """Whether a request meets a criterion: a sample, flags, and values of which one has to fit."""
    match = _FETCH.fullmatch(words[0]) if words else None
    if match is None:
        return None
    name, argument, converters = match.group(1).lower(), (match.group(2) or "").lower(), match.group(3)
    if name == "ssl_fc" and not converters:
        return request.tls
    base, _line, method = name.partition("_")
    if base in ("hdr", "fhdr") and argument == "host":
        text = request.host
        if not text:
            return False  # what is for a name is not for this one
        text = text.partition(":")[0] if _HOST_ONLY.fullmatch(converters) else text
        converters = _HOST_ONLY.sub("", converters)
    elif base in ("hdr", "fhdr") and argument in ("upgrade", "connection"):
        text = request.upgrade if argument == "upgrade" else "Upgrade" if request.upgrade else "keep-alive"
        method = "dom" if argument == "connection" and not method else method
    elif base in ("path", "url"):
        text = PATH
    else:
        return None
    values = _read_values(words[1:])
    if values is None or converters not in ("", ",lower"):
        return None
    way, nocase, texts = values
    return _compare(way or method, text, texts, nocase or converters == ",lower")


def _read_values(words: list[str]) -> tuple[str, bool, list[str]] | None:
    """The way of comparing, whether letters are compared without case, and the values; ``None`` for a file of them."""
    way, nocase, rest = "", False, iter(words)
    values: list[str] = []
    for word in rest:
        if word in ("-f", "-u"):
            return None
        if word == "-m":
            way = next(rest, "")
        elif word in ("-i", "-n") and not values:
            nocase = nocase or word == "-i"
        elif word != "--":
            values.append(word)
    return way, nocase, values


def _compare(way: str, text: str, values: list[str], nocase: bool) -> bool | None:
    if way == "found":
        return bool(text)
    fold = str.lower if nocase else str
    one, several = fold(text), [fold(value) for value in values]
    tests = {
        "": lambda value: one == value,
        "str": lambda value: one == value,
        "beg": one.startswith,
        "end": one.endswith,
        "sub": lambda value: value in one,
        "dir": lambda value: f"/{value.strip('/')}/" in f"/{one.strip('/')}/",
        "dom": lambda value: bool(re.search(rf"(?:^|[./?:]){re.escape(value.strip('./?:'))}(?:$|[./?:])", one)),
        "reg": lambda value: bool(re.search(value, one, re.IGNORECASE if nocase else 0)),
    }
    if way not in tests:
        return None
    try:
        return any(map(tests[way], values if way == "reg" else several))
    except re.error:
        return None
