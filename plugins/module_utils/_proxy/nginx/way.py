# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way that RTC's requests (/socket.io/) take through a server of nginx, as far as reading tells."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import Route, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import locations, requests
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.requests import Request
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import (
    FEW_CONNECTIONS,
    HANDSHAKE,
    PATH,
    SHARING,
)

# What decides by a program whether a request is served, or where it goes; it holds for the blocks within too.
_PROGRAMS = re.compile(
    r"(?:server_rewrite|rewrite|access|content)_by_lua(?:_block|_file)?|js_(?:access|content)|auth_jwt"
)
_LENGTHS = {"content-length": ("$content_length", "$http_content_length"), "transfer-encoding": ("",)}
_SOME_PAGE = "https://page.example"  # where a server has no name of its own
_ADDRESS = re.compile(r"(?:binary_|realip_)?remote_addr|geoip2?_\w+")
_MAX_DEPTH = 4  # of maps that read maps
_SMALL_BODY = 64 * 1024
_OTHER_ANSWERS = re.compile(
    r"(?:fastcgi|uwsgi|scgi|grpc|memcached)_pass|empty_gif|stub_status|.*content_by_lua.*|js_content"
)


def follow(host: VirtualHost, http: Directive, server: Directive, passes: list[tuple[Directive, Route]]) -> None:
    """Say of each route whether the requests go there, with their Upgrade; and what reading does not tell.

    :param passes: each ``proxy_pass`` with the route that was read from it.
    """
    asked = requests.list_requests(host, http.all("map"))  # nothing else may hold one
    untold: list[Directive] = []
    chain = locations.choose(server, PATH, untold)
    host.doubts += [f"{item.file}:{item.line} may take its requests: {' '.join(item.args)}" for item in untold]
    outer = chain
    inner, computed = _end(host, server, chain[-1] if chain else server)
    if inner is not None and not any(inner is item for item in (server, *chain)):
        chain = [inner]  # a location by name has nothing around it but the server
    scopes = [http, server, *chain]
    taken = {id(item) for item in (inner or server).all("proxy_pass")}
    blocks = {id(item): block for block in (inner or server).all("if") for item in block.all("proxy_pass")}
    sent = next(filter(None, (read_sent(scope) for scope in reversed(scopes))), {})
    for item, route in passes:
        if inner is None or not (taken or blocks):  # nobody passes them on: something else answers
            route.polling = route.websocket = None if computed else False
            continue
        route.polling, route.websocket = _goes(item, taken, blocks, asked)
        if route.polling is not False or route.websocket is not False:
            _judge_target(host, item, route, asked, outer)
            _judge_upgrade(host, route, sent, asked[-1])
            if _is_off(scopes, "proxy_pass_request_headers"):  # without the key there is no handshake
                route.upgrade = False
    # A location that passes nothing on may lead the request to another one.
    for scope in {id(scope): scope for scope in (server, *outer[-1:], inner or server)}.values():
        _judge_rewriting(host, [http, server, *([scope] if scope is not server else [])], asked)
    for item in _find(scopes, "error_page"):
        if {"502", "503", "504"} & set(item.args[:-1]):
            host.pages = f"{item.file}:{item.line} error_page {' '.join(item.args)}"
    _judge_access(host, scopes, inner)
    _judge_kind(host, scopes, inner)
    _judge_sent(host, scopes, sent, [route for _item, route in passes])
    _judge_limits(host, scopes, http, asked[0])
    _judge_sharing(host, scopes, asked[:-1])  # a WebSocket is shared with every page


def judge_stream(host: VirtualHost, scopes: list[Directive]) -> None:
    """What a server that hands bytes on adds to them, and whom it lets in.

    :param scopes: the ``stream`` block and the server.
    """
    for item in [*_find(scopes, "proxy_protocol"), *_find(scopes, "proxy_ssl")]:
        if item.args == ["on"] and item.name == "proxy_ssl" and any(listen.tls for listen in host.listens):
            host.doubts.append(f"{item.file}:{item.line} takes TLS off and puts it on again")
        elif item.args == ["on"]:
            words = "the PROXY protocol" if item.name == "proxy_protocol" else "TLS"
            host.stops.append(f"{item.file}:{item.line} speaks {words} to the service")
    for item in scopes[-1].all("listen"):
        if "proxy_protocol" in item.args:
            host.sources.append(f"{item.file}:{item.line} expects the PROXY protocol of a proxy before it")
    _judge_access(host, scopes, None)


def _end(host: VirtualHost, server: Directive, start: Directive) -> tuple[Directive | None, bool]:
    """The block at the end of all ways by name, see :func:`_go_on`."""
    inner, seen = start, [start]
    while True:
        found, guessed = _go_on(host, server, inner)
        if found is None or found is inner:
            return found, guessed
        if any(found is item for item in seen):  # a circle: nginx gives it up
            return None, False
        inner = found
        seen.append(inner)


def _go_on(host: VirtualHost, server: Directive, inner: Directive) -> tuple[Directive | None, bool]:
    """The block whose ``proxy_pass`` counts, ``None`` where nothing is passed on; and whether that is only guessed."""
    tried = inner.first("try_files") or (server.first("try_files") if inner is server else None)
    if tried and tried.args:
        target = tried.args[-1]
        if target.startswith("="):
            return None, False
        if not target.startswith("@"):
            host.doubts.append(f"{tried.file}:{tried.line} leads elsewhere: try_files {' '.join(tried.args)}")
            return None, True
        named = locations.find_named(server, target)
        return (named, False) if named else (None, True)
    answer = inner.first("return")
    pages = [*inner.all("error_page"), *server.all("error_page")]
    if answer or not (any(inner.all("proxy_pass")) or any(inner.all("if"))):
        code = answer.args[0] if answer and answer.args else ""
        for page in pages:  # "return 418;" with a page for it is a usual way to another location
            named = locations.find_named(server, page.args[-1]) if page.args else None
            if named is not None and code in page.args[:-1]:
                return named, False
            if (
                named is not None
                and not answer
                and not any(_OTHER_ANSWERS.fullmatch(i.name) for i in inner.block or [])
            ):
                host.doubts.append(f"{page.file}:{page.line} may take its requests: error_page {' '.join(page.args)}")
                return None, True
        return None, False
    return inner, False


def _goes(
    item: Directive, taken: set[int], blocks: dict[int, Directive], asked: list[Request]
) -> tuple[bool | None, bool | None]:
    """Whether polling, and a WebSocket, go by this ``proxy_pass``: one in an ``if`` that holds comes first."""
    polling, socket = asked[0], asked[-1]
    if id(item) in blocks:
        return polling.decide(blocks[id(item)]), socket.decide(blocks[id(item)])
    if id(item) not in taken:
        return False, False
    within = list(blocks.values())
    return not any(map(polling.decide, within)), not any(map(socket.decide, within))


def _judge_target(
    host: VirtualHost, item: Directive, route: Route, asked: list[Request], chain: list[Directive]
) -> None:
    """A target with variables is taken as it is, path and all (``ngx_http_proxy_eval``)."""
    if "$" not in item.args[0]:
        return
    if not route.upstreams:
        host.doubts.append(f"{route.file}:{route.line} has a target that is computed: {' '.join(item.args)}")
    elif route.upstream_path:
        found = locations.capture(chain, PATH)
        try:
            request = Request({**asked[0].values, **found}, asked[0].maps)
            same = request.compute(route.upstream_path) == request.values["request_uri"]
        except requests.UnknownError as exc:
            host.doubts.append(f"{route.file}:{route.line} computes the path: {exc.args[0]}")
            return
        route.upstream_path = "" if same else route.upstream_path
        if not same:
            route.polling = route.websocket = False


def read_sent(scope: Directive) -> dict[str, str]:
    """What ``proxy_set_header`` of a block sets, names in lower case. Of a name that is there twice nginx sends both,
    but no empty ones, and servers take the first."""
    found: dict[str, str] = {}
    for item in scope.all("proxy_set_header"):
        name = "".join(item.args[:1]).lower()
        found[name] = found.get(name, "") or " ".join(item.args[1:])
    return found


def _judge_upgrade(host: VirtualHost, route: Route, sent: dict[str, str], request: Request) -> None:
    try:
        values = [request.compute(sent.get(name, "")) for name in ("upgrade", "connection")]
    except requests.UnknownError as exc:
        host.doubts.append(f"{route.file}:{route.line} passes {exc.args[0]} on as Upgrade or Connection")
        return
    route.upgrade = values[0].lower() == "websocket" and "upgrade" in values[1].lower()


def _judge_rewriting(host: VirtualHost, scopes: list[Directive], asked: list[Request]) -> None:
    """The directives of ``ngx_http_rewrite_module`` of the innermost of some blocks."""
    scope = scopes[-1]
    led = {code for page in _find(scopes, "error_page") for code in page.args[:-1]}
    for item in scope.all("if"):
        held = [request.decide(item) for request in asked]
        words = f"if {' '.join(item.args)}"
        if True in held and any("".join(answer.args[:1]) in led for answer in item.all("return")):
            host.doubts.append(f"{item.file}:{item.line} leads to the page for its status: {words}")
        elif True in held and any(item.all("return")):
            host.stops.append(f"{item.file}:{item.line} answers itself: {words}")
        changing = any(item.all("return", "rewrite", "set", "break", "deny"))
        # A "proxy_pass" in one that holds for sure was followed already.
        if not (True in held and any(item.all("return"))) and (
            (changing and set(held) != {False}) or (None in held and any(item.all("proxy_pass")))
        ):
            host.doubts.append(f"{item.file}:{item.line} depends on {words}")
            if None in held and _is_by_address(words, scopes[0]):
                host.sources.append(f"{item.file}:{item.line} {words}")
    for item in (item for item in scope.all("rewrite") if len(item.args) > 1):
        fits, words = patterns.fits(item.args[0], PATH), f"rewrite {' '.join(item.args)}"
        if fits and (re.match(r"https?://|\$scheme", item.args[1]) or item.args[2:] in (["redirect"], ["permanent"])):
            host.stops.append(f"{item.file}:{item.line} leads away: {words}")
        elif fits is not False:
            host.doubts.append(f"{item.file}:{item.line} changes paths: {words}")


def _is_by_address(text: str, http: Directive, depth: int = 0) -> bool:
    """Whether a text comes to something else for other clients: what the host asks itself does not tell of them."""
    names = set(re.findall(r"\$\{?(\w+)", text))
    if any(_ADDRESS.fullmatch(name) for name in names):
        return True
    if any(item.args[-1:] and item.args[-1].lstrip("$") in names for item in http.all("geo")):
        return True
    maps = [item for item in http.all("map") if len(item.args) > 1 and item.args[1].lstrip("$") in names]
    return depth < _MAX_DEPTH and any(_is_by_address(item.args[0], http, depth + 1) for item in maps)


def _find(scopes: list[Directive], *names: str) -> list[Directive]:
    """The directives of these names in the innermost block that has one."""
    return next((found for scope in reversed(scopes) if (found := list(scope.all(*names)))), [])


def _is_off(scopes: list[Directive], name: str) -> bool:
    return any(item.args == ["off"] for item in _find(scopes, name))


def _judge_access(host: VirtualHost, scopes: list[Directive], inner: Directive | None) -> None:
    """Who is let in: rules for addresses, of which the first that fits counts; passwords; programs."""
    rules, methods = _find(scopes, "allow", "deny"), []
    for item in inner.all("limit_except") if inner is not None else []:
        if "POST" not in item.args:
            methods += list(item.all("allow", "deny"))
    either = any(item.args == ["any"] for item in _find(scopes, "satisfy"))
    asking = [item for item in _list_asking(scopes) if item.args != ["off"]]
    for found in (rules, methods):
        first = found[0] if found else None
        if first is None or (first.args == ["all"] and first.name == "allow"):
            continue
        where = f"{first.file}:{first.line} {first.name} {' '.join(first.args)}"
        if first.args == ["all"] and not (either and asking):
            host.stops.append(f"{where} lets nobody in" + (" by POST" if found is methods else ""))
        else:
            host.sources.append(where)
    for item in asking:
        words = f"{item.file}:{item.line} {item.name} {' '.join(item.args)}".rstrip()
        if item.name == "auth_basic" and "$" not in "".join(item.args) and not (either and rules):
            host.stops.append(f"{words} asks for a password")
        else:
            host.doubts.append(f"{words} decides who is let in")


def _judge_kind(host: VirtualHost, scopes: list[Directive], inner: Directive | None) -> None:
    """Whether requests from outside are served at all, and are passed on as what they are."""
    for item in _find(scopes, "internal"):
        if inner is not None and inner.args[:1] and not inner.args[0].startswith("@"):
            host.stops.append(f"{item.file}:{item.line} internal: nobody is served from outside")
    for name in ("proxy_method", "proxy_pass_request_body", "proxy_set_body"):
        for item in _find(scopes, name):
            if item.args not in (["on"], ["$request_method"], ["$request_body"]):
                host.doubts.append(f"{item.file}:{item.line} changes requests: {item.name} {' '.join(item.args)}")
    kept = [item for item in _find(scopes, "proxy_cache") if item.args != ["off"]]
    for item in _find(scopes, "proxy_ignore_headers"):
        if kept and "cache-control" in " ".join(item.args).lower():  # by which RTC says that nothing is to be kept
            host.doubts.append(f"{item.file}:{item.line} keeps answers: {item.name} {' '.join(item.args)}")
    types = " ".join(word for item in _find(scopes, "sub_filter_types") for word in item.args)
    for item in _find(scopes, "sub_filter") if re.search(r"\*|text/plain", types) else ():
        host.doubts.append(f"{item.file}:{item.line} changes answers: sub_filter {' '.join(item.args)}")


def _list_asking(scopes: list[Directive]) -> Iterator[Directive]:
    for name in ("auth_basic", "auth_request"):
        yield from _find(scopes, name)
    programs = {item.name for scope in scopes for item in scope.block or [] if _PROGRAMS.fullmatch(item.name)}
    for name in sorted(programs):
        yield from _find(scopes, name)


def _judge_sent(host: VirtualHost, scopes: list[Directive], sent: dict[str, str], routes: list[Route]) -> None:
    """What becomes of the headers that a handshake, the check of a page's origin, and a POST need."""
    where = next((item for scope in reversed(scopes) for item in scope.all("proxy_set_header")), None)
    place = f"{where.file}:{where.line}" if where else ""
    for name, value in sent.items():
        given = value.lower() == "$http_" + name.replace("-", "_")
        if name in HANDSHAKE and not value:
            for route in routes:
                route.upgrade = False
        elif name == "origin" and not value:
            host.stops.append(f"{place} takes the Origin of pages out: RTC does not share its answers with them")
        elif (name in (*HANDSHAKE, "origin") and not given) or value not in _LENGTHS.get(name, (value,)):
            host.doubts.append(f"{place} changes what RTC is asked: {name} {value}".rstrip())
    for item in _find(scopes, "proxy_hide_header"):
        if "".join(item.args).lower() in ("sec-websocket-accept", "upgrade"):
            for route in routes:
                route.upgrade = False


def _judge_limits(host: VirtualHost, scopes: list[Directive], http: Directive, request: Request) -> None:
    """Limits that RTC's clients reach at once, or when they are a few."""
    for kind in ("conn", "req"):
        if any(item.args == ["on"] for item in _find(scopes, f"limit_{kind}_dry_run")):
            continue
        for item in (one for one in _find(scopes, f"limit_{kind}") if _counts(one, http, request)):
            words = f"{item.file}:{item.line} {item.name} {' '.join(item.args)}"
            if kind == "req":
                host.doubts.append(f"{words} refuses what comes too fast")
            elif item.args[1:2] and _read_size(item.args[1]) < FEW_CONNECTIONS:
                host.sources.append(words)
    for item in _find(scopes, "client_max_body_size")[-1:]:
        if 0 < _read_size("".join(item.args)) < _SMALL_BODY:
            host.sources.append(
                f"{item.file}:{item.line} client_max_body_size {' '.join(item.args)}: of short messages"
            )
    ends = {(upstream.host, upstream.port) for route in host.routes for upstream in route.upstreams}
    for item in [item for pool in http.all("upstream") for item in pool.all("server")]:
        most = next((word[10:] for word in item.args if word.startswith("max_conns=")), "")
        known = any(item.args[0] == f"{name}:{port}" for name, port in ends) if item.args else False
        if known and 0 < _read_size(most) < FEW_CONNECTIONS:
            host.sources.append(f"{item.file}:{item.line} server {' '.join(item.args)}")


def _counts(limit: Directive, http: Directive, request: Request) -> bool:
    """Whether a limit counts requests to RTC: nginx leaves out those whose key is empty."""
    words = [word[5:] if word.startswith("zone=") else word for word in limit.args]
    for zone in http.all(f"{limit.name}_zone"):
        if any(word.startswith(f"zone={name}:") for word in zone.args[1:] for name in words[:1]):
            with contextlib.suppress(requests.UnknownError):
                return request.compute(zone.args[0]) != ""
    return True


def _read_size(text: str) -> int:
    """A number of nginx, or a size such as "1m"; 0 for another."""
    match = re.fullmatch(r"(\d{1,12})([kKmMgG]?)", text)
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[match[2].lower()] if match else 0


def _judge_sharing(host: VirtualHost, scopes: list[Directive], asked: list[Request]) -> None:
    """Whether an ``Access-Control-Allow-Origin`` comes once, for the site's pages. An ``if`` that holds is a block of
    its own, the last one of several: the many who take "wide open" headers from a page add them so."""
    for request in asked:
        blocks = [(block, request.decide(block)) for block in scopes[-1].all("if")]
        _judge_shared(host, [*scopes, *[block for block, held in blocks if held][-1:]], request)
        for item in [item for block, held in blocks if held is None for item in block.all("add_header")]:
            if item.args[:1] and item.args[0].lower() == SHARING:
                host.doubts.append(f"{item.file}:{item.line} may add an Access-Control-Allow-Origin to RTC's own")
    host.stops, host.doubts = list(dict.fromkeys(host.stops)), list(dict.fromkeys(host.doubts))


def _judge_shared(host: VirtualHost, scopes: list[Directive], request: Request) -> None:
    hiding = [item for item in _find(scopes, "proxy_hide_header") if SHARING in " ".join(item.args).lower()]
    added = [item for item in _find(scopes, "add_header") if item.args[:1] and item.args[0].lower() == SHARING]
    for item in added:
        where, values = f"{item.file}:{item.line}", _compute_sharing(host, item, request)
        if values is None and hiding:
            host.doubts.append(f"{where} computes an Access-Control-Allow-Origin: {' '.join(item.args)}")
        elif values is None or (values and not hiding):
            host.stops.append(f"{where} adds an Access-Control-Allow-Origin to RTC's own")
        elif hiding and not values:
            host.stops.append(f"{where} takes RTC's Access-Control-Allow-Origin out")
        elif hiding and not values & {"*", *_list_pages(host)} and not _list_pages(host):
            host.doubts.append(f"{where} shares RTC's answers with some pages: {' '.join(item.args)}")
        elif hiding and not values & {"*", *_list_pages(host)}:
            host.stops.append(f"{where} shares RTC's answers with other pages: {' '.join(item.args)}")
    for item in [] if added else hiding:
        host.stops.append(f"{item.file}:{item.line} takes RTC's Access-Control-Allow-Origin out")


def _list_pages(host: VirtualHost) -> list[str]:
    """Origins of the pages that a site may have."""
    names = [name.lower() for name in host.names if re.fullmatch(r"[\w-]+(?:\.[\w-]+)+", name)]
    return [f"{scheme}://{name}" for name in names for scheme in ("https", "http")]


def _compute_sharing(host: VirtualHost, item: Directive, request: Request) -> set[str] | None:
    """The header's values for the site's own pages: nginx leaves an empty one out. ``None``: unknown."""
    found = set()
    for page in _list_pages(host) or [_SOME_PAGE]:
        try:
            found.add(Request({**request.values, "http_origin": page}, request.maps).compute("".join(item.args[1:2])))
        except requests.UnknownError:
            return None
    return {value.lower() for value in found if value}
