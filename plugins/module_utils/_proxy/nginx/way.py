# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that RTC's requests (/socket.io/) take through a server of nginx, as far as reading tells."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._facts import Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive

PATH = "/socket.io/"
_SHARING = "access-control-allow-origin"
# Of the request that asks for a WebSocket.
_REQUEST = {"http_upgrade": "websocket", "http_connection": "Upgrade", "http_origin": "https://page.example"}
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def follow(host: VirtualHost, http: Directive, server: Directive, passes: list[tuple[Directive, Route]]) -> None:
    """Say of each route whether the requests go there, with their Upgrade; and what reading does not tell.

    :param passes: each ``proxy_pass`` with the route that was read from it.
    """
    chain = choose(server, PATH)
    inner = chain[-1] if chain else server
    taken = {id(item) for item in inner.all("proxy_pass")}
    inside = {id(item) for block in inner.all("if") for item in block.all("proxy_pass")}
    elsewhere = bool(taken or inside)
    scopes = [http, server, *chain]
    sent = next(filter(None, (_read(scope.all("proxy_set_header")) for scope in reversed(scopes))), {})
    for item, route in passes:
        if not elsewhere:
            continue
        route.polling = route.websocket = id(item) in taken or (None if id(item) in inside else False)
        if route.polling is not False:
            _judge_upgrade(host, route, sent, list(parser.walk(http.block or [], "map")))
    for item in inner.all("if"):
        if any(True for _item in item.all("proxy_pass", "rewrite", "return", "set")):
            host.doubts.append(f"{item.file}:{item.line} depends on if {' '.join(item.args)}")
    for item in [
        item for scope in scopes[1:] for item in scope.all("rewrite", "rewrite_by_lua_block", "rewrite_by_lua_file")
    ]:
        host.doubts.append(f"{item.file}:{item.line} changes paths: {item.name} {' '.join(item.args)}")
    if not passes:
        host.doubts += [f"{item.file}:{item.line} has a target that is computed" for item in inner.all("proxy_pass")]
    _judge_access(host, scopes)
    _judge_sharing(host, scopes)


def choose(scope: Directive, path: str) -> list[Directive]:
    """The locations that a path is served by, the outer first (``ngx_http_core_find_location``)."""
    best: Directive | None = None
    for item in scope.all("location"):
        sign, text = item.args if len(item.args) == 2 else ("", "".join(item.args))
        if not text:
            continue
        if sign == "=" and text == path:
            return [item]
        longer = best is None or len(text) > len(best.args[-1])
        if sign in ("", "^~") and not text.startswith(("@", "~")) and path.startswith(text) and longer:
            best = item
    within = [best, *choose(best, path)] if best else []
    final = within[-1].args[:1] in (["^~"], ["="]) or _is_pattern(within[-1]) if within else False
    if not final:
        for item in scope.all("location"):
            if _is_pattern(item) and _matches(item, path):
                return [item, *choose(item, path)]
    return within


def _is_pattern(item: Directive) -> bool:
    return item.args[:1] in (["~"], ["~*"]) or "".join(item.args).startswith("~")


def _matches(item: Directive, path: str) -> bool:
    text = "".join(item.args)
    pattern = text.lstrip("~").lstrip("*") if text.startswith("~*") else text[1:]
    try:
        return bool(re.search(pattern, path, re.IGNORECASE if text.startswith("~*") else 0))
    except re.error:
        return False


def _read(directives: Iterable[Directive]) -> dict[str, str]:
    return {item.args[0].lower(): " ".join(item.args[1:]) for item in directives if item.args}


def _judge_upgrade(host: VirtualHost, route: Route, sent: dict[str, str], maps: list[Directive]) -> None:
    try:
        values = [_compute(sent.get(name, ""), maps, 0) for name in ("upgrade", "connection")]
    except LookupError as exc:
        host.doubts.append(f"{route.file}:{route.line} passes {exc.args[0]} on as Upgrade or Connection")
        return
    route.upgrade = values[0].lower() == "websocket" and "upgrade" in values[1].lower()


def _compute(text: str, maps: list[Directive], depth: int) -> str:
    """A value for the request that asks for a WebSocket.

    :raises LookupError: a variable is not known.
    """

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name in _REQUEST:
            return _REQUEST[name]
        item = next((item for item in reversed(maps) if item.args[1:] == ["$" + name]), None)
        if item is None or depth > 4:
            raise LookupError(found[0])
        return _compute(_map(_compute(item.args[0], maps, depth + 1), item), maps, depth + 1)

    return _VARIABLE.sub(replace, text)


def _map(value: str, item: Directive) -> str:
    rows = {row.name: "".join(row.args) for row in item.block or []}
    if {"include", "hostnames"} & set(rows):
        raise LookupError(item.args[-1])
    for key, result in rows.items():
        if key.lower() == value.lower() and key != "default":
            return result
    for key, result in rows.items():
        try:
            fits = key.startswith("~") and re.search(key.lstrip("~*"), value, re.IGNORECASE if "*" in key[:2] else 0)
        except re.error:
            raise LookupError(item.args[-1]) from None
        if fits:
            return result
    return rows.get("default", "")


def _judge_access(host: VirtualHost, scopes: list[Directive]) -> None:
    for scope in reversed(scopes):
        rules = list(scope.all("allow", "deny"))
        if rules:
            if rules[0].args != ["all"]:
                item = rules[0]
                host.sources.append(f"{item.file}:{item.line} {item.name} {' '.join(item.args)}")
            return


def _judge_sharing(host: VirtualHost, scopes: list[Directive]) -> None:
    hidden = any(_SHARING in " ".join(item.args).lower() for scope in scopes for item in scope.all("proxy_hide_header"))
    for scope in reversed(scopes):
        added = list(scope.all("add_header"))
        for item in added:
            if item.args[:1] and item.args[0].lower() == _SHARING and not hidden:
                host.stops.append(f"{item.file}:{item.line} adds an Access-Control-Allow-Origin to RTC's own")
        if added:
            return
