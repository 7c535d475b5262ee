# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that RTC's requests (/socket.io/) take through a frontend of HAProxy, as far as reading tells.

Conditions are computed for a request: its host with the port, as browsers send it; its path; its Upgrade. What they ask
of other things is not known.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import criteria
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.criteria import Request
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import HaproxyConfig, Line, Section
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import (
    FEW_CONNECTIONS,
    HANDSHAKE,
    PATH,
    SHARING,
)

_ENDS = {"auth", "deny", "redirect", "reject", "return", "silent-drop", "tarpit", "use-service"}
_PASSES = {"accept", "allow"}
_CHANGES = {"set-path", "set-pathq", "set-uri", "replace-path", "replace-pathq", "replace-uri", "set-method", "lua"}
_HEADER_ACTIONS = ("add-header", "del-header", "set-header", "replace-header", "replace-value")
_ANSWERED = ("connection", "upgrade", SHARING)  # HAProxy computes a missing Sec-WebSocket-Accept itself
_HANDS_OVER = {"connection": "upgrade", "upgrade": "websocket"}  # what an answer that changes protocols says
_NEEDED = ("connection", "upgrade", "origin", *HANDSHAKE)
# What answers in place of a server that does not; a file may have any status.
_PAGES = ("errorfile", "errorfiles", "errorloc", "errorloc302", "errorloc303", "http-error")
_LEGACY = ("reqrep", "reqirep", "reqdeny", "reqideny", "reqtarpit", "reqitarpit", "reqdel", "reqidel")  # before 2.1
# Lines that act on requests, in the order in which HAProxy looks at them.
_RULES = (
    ("tcp-request", "connection"), ("tcp-request", "session"), ("tcp-request", "content"), ("block",),
    ("http-request",), ("redirect",),
)  # fmt: skip


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
    requests = criteria.list_requests(authority, listen.port, listen.tls)
    chosen = [_choose(host, section, request) for request in requests]
    for line, route in passes:
        route.polling = None if "" in chosen[:2] else all(item is line for item in chosen[:2])
        route.websocket = None if chosen[-1] == "" else chosen[-1] is line
    for item in chosen:
        if isinstance(item, Line) and not any(line is item for line, _route in passes):
            host.doubts.append(f"{item.file}:{item.line} may take its requests")
    scopes: dict[int, Section] = {id(section): section}
    for line, route in passes:
        target = config.named(line.words[1]) if line else None
        if target and (route.polling is not False or route.websocket is not False):
            scopes[id(target)] = target
    for scope in scopes.values():
        for request in requests:
            request.host = request.host or None  # rules see the name that is asked for, whatever the backend is for
            for kind in _RULES:
                _judge_rules(host, passes, scope, kind, request)
        _judge_others(host, scope)
        _judge_chosen(host, scope, requests)
        _judge_answers(host, passes, scope, requests)
        host.pages = host.pages or _find_page(scope)
        host.sources += _list_by_address(scope, requests)
    for found in (host.doubts, host.stops, host.sources):
        found[:] = list(dict.fromkeys(found))


def is_disabled(section: Section) -> bool:
    """Whether a section is switched off (``disabled``)."""
    words = [line.words[0] for line in section.all() if line.words[0] in ("disabled", "enabled")]
    return words[-1:] == ["disabled"]


def list_servers(section: Section) -> Iterator[Line]:
    """The servers of a section; a template (``server-template NAME NUMBER ADDRESS``), which makes several, is one."""
    for line in section.lines:
        if line.words[0] == "server":
            yield line
        elif line.words[0] == "server-template" and len(line.words) > 3:
            yield Line(["server", line.words[1], *line.words[3:]], line.file, line.line)


def list_options(section: Section, server: Line) -> list[str]:
    """The options of a server: those of ``default-server`` before it, of the defaults too, and its own."""
    found: list[str] = []
    for line in section.all():
        if (line.file, line.line) == (server.file, server.line):
            break
        found += line.words[1:] if line.words[0] == "default-server" else []
    return [*found, *server.words[3:]]


def is_on(options: list[str], *names: str) -> bool:
    """Whether one of these options is the last word on its subject: "no-ssl" takes "ssl" back."""
    on = False
    for word in options:
        on = True if word in names else False if word in [f"no-{name}" for name in names] else on
    return on


def is_out(options: list[str]) -> bool:
    """Whether a server gets no requests of new clients."""
    states = [word for word in options if word in ("disabled", "enabled")]
    weights = [value for word, value in zip(options, options[1:]) if word == "weight"]
    return states[-1:] == ["disabled"] or weights[-1:] == ["0"]


def _judge_others(host: VirtualHost, scope: Section) -> None:
    if scope.conditional:
        host.doubts.append(f"{scope.conditional} depends on a condition (.if) that is not decided")
    if is_disabled(scope):
        host.stops.append(f"{scope.file}:{scope.line} {scope.kind} {scope.name} is disabled")
    _judge_servers(host, scope)
    _judge_checks(host, scope)
    for line in scope.all("maxconn"):
        if scope.kind in ("frontend", "listen") and _is_few("".join(line.words[1:2])):
            host.sources.append(f"{line.file}:{line.line} {' '.join(line.words)}")
    for line in scope.all("bind", inherit=False):
        if any(pair == ("proto", "h2") for pair in zip(line.words, line.words[1:])):
            host.stops.append(f"{line.file}:{line.line} speaks HTTP/2 alone: {' '.join(line.words)}"[:160])
        if "accept-proxy" in line.words:
            host.sources.append(f"{line.file}:{line.line} expects the PROXY protocol of a proxy before it")
    for line in scope.all("stats", "uri"):
        if PATH.startswith("".join(line.words[2:3]) or "/"):
            host.stops.append(f"{line.file}:{line.line} {' '.join(line.words)} takes its requests")
    for line in scope.all("monitor-uri"):
        if "".join(line.words[1:2]).startswith(PATH):
            host.doubts.append(f"{line.file}:{line.line} {' '.join(line.words)} may take its requests")
    for line in (line for keyword in _LEGACY for line in scope.all(keyword)):
        host.doubts.append(f"{line.file}:{line.line} {' '.join(line.words)} changes requests"[:160])


def _find_page(scope: Section) -> str:
    for line in (line for keyword in _PAGES for line in scope.all(keyword)):
        if line.words[0] == "errorfiles" or {"502", "503", "504"} & set(line.words):
            return f"{line.file}:{line.line} {' '.join(line.words[:3])}"
    return ""


def _list_by_address(scope: Section, requests: list[Request]) -> Iterator[str]:
    """Rules that may hold for RTC's requests, and decide by the address of the client."""
    if scope.by_address is None:
        scope.by_address = list(_find_by_address(scope))
    for line in scope.by_address:
        if any(criteria.holds(scope, line.words, request) is None for request in requests):
            yield f"{line.file}:{line.line} {' '.join(line.words)}"[:160]


def _find_by_address(scope: Section) -> Iterator[Line]:
    named = {line.words[1] for line in scope.all("acl") if len(line.words) > 2 and _is_address(line.words[2])}
    for line in (line for kind in (*_RULES, ("use_backend",)) for line in scope.all(*kind)):
        at = next((at for at, word in enumerate(line.words) if word in ("if", "unless")), len(line.words))
        asked = any(_is_address(word) or word.lstrip("!") in named for word in line.words[at:])
        if asked and set(line.words[:at]) & {*_ENDS, *_PASSES, "block", "use_backend"}:
            yield line


def _is_address(word: str) -> bool:
    return word == "src" or word.startswith("src,")


def _judge_checks(host: VirtualHost, scope: Section) -> None:
    """Checks of health that ask for something that RTC may not answer: HAProxy takes the server out then.

    The check by which RTC is asked for what its clients ask is right, and so is a connection alone.
    """
    asked = [line for line in scope.all("option") if line.words[1:2] and line.words[1].endswith(("chk", "-check"))]
    asks = asked[-1:] if asked and asked[-1].words[1:] != ["tcp-check"] else []
    whole = " ".join(" ".join(line.words) for line in [*asks, *scope.all("http-check")])
    steps = [*scope.all("tcp-check"), *scope.all("http-check")]
    for line in list_servers(scope):
        options = list_options(scope, line)
        if is_out(options) or not is_on(options, "check", "agent-check"):
            continue
        where = f"{line.file}:{line.line}"
        ports = [value for word, value in zip(options, options[1:]) if word == "port"]
        if (asks or steps) and not (PATH in whole and "EIO=" in whole):
            first = [*asks, *steps][0]
            host.doubts.append(f"{where} is out where its check fails: {' '.join(first.words)}"[:160])
        elif ports and not "".join(line.words[2:3]).endswith(f":{ports[-1]}"):
            host.doubts.append(f"{where} is out where its check fails: port {ports[-1]}")
        elif {"addr", "check-ssl", "agent-check", "check-send-proxy", "check-proto", "observe"} & set(options):
            host.doubts.append(f"{where} is out where its check fails: {' '.join(line.words)}"[:160])


def _is_few(text: str) -> bool:
    return text.isdigit() and 0 < int(text) < FEW_CONNECTIONS


def _judge_chosen(host: VirtualHost, scope: Section, requests: list[Request]) -> None:
    """Lines that give a request to one server of several, whatever its weight is."""
    for line in (line for line in scope.all("use-server") if len(line.words) > 1):
        if any(criteria.holds(scope, line.words[2:], request) is not False for request in requests):
            words = " ".join(line.words)
            if "url_param(sid)" not in words:  # of a session that is open: it stays where it was opened
                host.doubts.append(f"{line.file}:{line.line} chooses its server: {words}"[:160])


def _judge_servers(host: VirtualHost, scope: Section) -> None:
    for line in scope.all("server-template", inherit=False):
        if len(line.words) > 3 and line.words[2] != "1":
            host.doubts.append(f"{line.file}:{line.line} may lead to several servers: {' '.join(line.words)}"[:160])
    for line in list_servers(scope):
        options = list_options(scope, line)
        if is_out(options):
            continue
        where = f"{line.file}:{line.line}"
        if is_on(options, "send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"):
            host.stops.append(f"{where} speaks the PROXY protocol to the service")
        if [value for word, value in zip(options, options[1:]) if word == "proto"][-1:] == ["h2"]:
            host.stops.append(f"{where} speaks HTTP/2 to the service")
        if [value for word, value in zip(options, options[1:]) if word == "ws"][-1:] == ["h2"]:
            host.doubts.append(f"{where} speaks HTTP/2 with WebSockets to the service")
        most = [value for word, value in zip(options, options[1:]) if word == "maxconn"][-1:]
        if _is_few("".join(most)):
            host.sources.append(f"{where} {' '.join(line.words)}"[:160])


def _judge_answers(
    host: VirtualHost, passes: list[tuple[Line | None, Route]], scope: Section, requests: list[Request]
) -> None:
    """Lines that make something else of RTC's answers; an ``Access-Control-Allow-Origin`` comes once, for its pages."""
    pages = ["*", *(scheme + name.lower() for name in host.names for scheme in ("http://", "https://"))]
    requests = [dataclasses.replace(request, answered=True) for request in requests]
    for line in (*scope.all("http-response"), *scope.all("http-after-response"), *scope.all("rspadd")):
        words = [word.lower() for word in line.words]
        where = f"{line.file}:{line.line}"
        held = [criteria.holds(scope, line.words, request) for request in requests]
        action, value = "".join(words[1:2]), "".join(words[3:4])
        if set(held) == {False}:
            continue
        if words[0] == "rspadd" and action.startswith(SHARING):
            host.stops.append(f"{where} changes RTC's Access-Control-Allow-Origin: {action}")
        elif action in _ENDS:
            sure = set(held) == {True}
            (host.stops if sure else host.doubts).append(f"{where} {' '.join(line.words)}"[:160])
            if sure:
                return
        elif action in _PASSES:
            return
        elif action == "set-status":
            (host.stops if set(held) == {True} else host.doubts).append(f"{where} {' '.join(line.words)}"[:160])
        elif action in _HEADER_ACTIONS and len(words) > 2:
            names = _names(action, line.words[2:], _ANSWERED)
            taken = action == "set-header" and _HANDS_OVER.get("".join(words[2:3]), "") not in value
            if {"connection", "upgrade"} & {*names} and (action == "del-header" or taken):
                if held[-1]:  # of a WebSocket, whose answer says both
                    _take_upgrade(passes)
                elif held[-1] is None:
                    host.doubts.append(f"{where} may take the upgrade out of answers: {' '.join(line.words)}"[:160])
            elif SHARING in names and (action != "set-header" or value not in pages):
                constant = action == "set-header" and "%" not in value and len(pages) > 1
                sure = constant or action in ("add-header", "del-header")
                words_shown = f"{where} changes RTC's Access-Control-Allow-Origin: {action} {value}".rstrip()
                (host.stops if sure and None not in held else host.doubts).append(words_shown)


def _judge_rules(
    host: VirtualHost,
    passes: list[tuple[Line | None, Route]],
    section: Section,
    kind: tuple[str, ...],
    request: Request,
) -> None:
    """Rules of a kind, up to the one that ends them: they end the request, let it pass, or change it."""
    unsure = False  # whether one before may have let it pass
    for line in section.all(*kind):
        rest = line.words[len(kind) :]
        action = "redirect" if kind == ("redirect",) else "deny" if kind == ("block",) else "".join(rest[:1])
        words = [word.lower() for word in rest[1:]]
        # What decides by addresses is noted for itself; a content rule may wait for what is there at last.
        holds = criteria.holds(section, rest, request)
        if holds is False:
            continue
        where = f"{line.file}:{line.line} {' '.join(line.words)}"[:160]
        if action in _PASSES:
            if holds:
                return
            unsure = True
        elif action == "expect-proxy":
            host.sources.append(f"{where} expects the PROXY protocol of a proxy before it")
        elif action in _ENDS:
            if holds and not unsure:
                host.stops.append(where)
                return
            host.doubts.append(where)
        elif action in _CHANGES:
            host.doubts.append(f"{where} changes paths")
        elif action in _HEADER_ACTIONS and words:
            _judge_header(host, passes, where, action, rest[1:], request if holds else None)
            changes_name = action not in ("add-header", "del-header") and words[0] == "host"
            if changes_name and section.kind != "backend" and _asks_for_names(section):
                host.doubts.append(f"{where} changes the name that other rules see")


def _judge_header(
    host: VirtualHost, passes: list[tuple[Line | None, Route]], where: str, action: str, words: list[str],
    request: Request | None,
) -> None:  # fmt: skip
    """What becomes of the headers that a handshake, and the check of a page's origin, need.

    :param request: that the rule holds for; ``None``: perhaps.
    """
    for name in _names(action, words):
        value = "".join(words[1:2]).lower()
        gone = action == "del-header"
        if name == "origin" and gone and request:
            host.stops.append(f"{where} takes the Origin of pages out: RTC does not share its answers with them")
        elif name == "connection":
            # HAProxy makes that one anew of what it knows by then; but "close" counts.
            if request and request.upgrade and not gone and "upgrade" not in value:
                _take_upgrade(passes)
            elif not request and not gone:
                host.doubts.append(f"{where} may change a WebSocket's Connection")
        elif name == "upgrade":
            kept = action == "set-header" and value == "websocket"
            if request and request.upgrade and action in ("del-header", "set-header"):
                for _line, route in passes:
                    route.upgrade = route.upgrade and kept
            elif not request or bool(request.upgrade) != kept:
                host.doubts.append(f"{where} may change a WebSocket's Upgrade")
        elif name in HANDSHAKE and gone and request:
            _take_upgrade(passes)
        elif name in (*HANDSHAKE, "origin"):
            host.doubts.append(f"{where} changes what RTC is asked")


def _asks_for_names(section: Section) -> bool:
    """Whether it chooses by the name in the header Host."""
    lines = [*section.all("use_backend"), *section.all("acl")]
    return any(re.search(r"hdr\w*\(host", word, re.IGNORECASE) for line in lines for word in line.words)


def _take_upgrade(passes: list[tuple[Line | None, Route]]) -> None:
    for _line, route in passes:
        route.upgrade = False


def _names(action: str, words: list[str], needed: Iterable[str] = _NEEDED) -> list[str]:
    """Which of some headers a rule is about, names in lower case: "del-header" takes a way to compare them too."""
    way = words[2] if action == "del-header" and words[1:2] == ["-m"] and len(words) > 2 else ""
    # Its own names of headers are in small letters, and only a whole name is compared without regard to that.
    return [name for name in needed if criteria.compare(way, name, words[:1], way in ("", "str")) is not False]


def _choose(host: VirtualHost, section: Section, request: Request) -> Line | str | None:
    """The line that chooses the backend, ``None`` for none, "" where it cannot be told."""
    for line in (line for line in section.all("use_backend") if len(line.words) > 1):
        holds = criteria.holds(section, line.words[2:], request)
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
