# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nginx's configuration means: virtual hosts, routes, upstreams.

Inheritance as nginx has it: a directive holds in all blocks within, until a block says otherwise; ``proxy_set_header``
is taken from outside only by a block that has none of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._facts import ProxyListen, Route, Upstream, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import is_managed
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import locations, parser, way
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.parser import NginxConfig
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive

_STICKY = ("ip_hash", "hash", "sticky")
_MAIN_BLOCKS = ("events", "stream", "mail", "rtmp")  # a file that has one of them is no fragment of an http block
# Blocks within a location whose directives hold for the same path.
_SAME_PATH = ("if", "limit_except")


def read_virtual_hosts(config: NginxConfig) -> list[VirtualHost]:
    """All servers of the ``http`` and ``stream`` blocks; a fragment without them is read as if it stood in ``http``."""
    found: list[VirtualHost] = []
    https = list(parser.walk(config.directives, "http"))
    streams = list(parser.walk(config.directives, "stream"))
    if not https and not any(item.name in _MAIN_BLOCKS for item in config.directives):
        https = [Directive("http", [], "", 0, config.directives)]
    for http in https:
        pools = _find_pools(http)
        servers = [item for item in parser.walk(http.block or [], "server") if item.block is not None]
        flags = read_flags([http])
        found += [_ServerReader([http, server], pools, config, flags).host for server in servers]
    for stream in streams:
        pools = _find_pools(stream)
        found += [
            _read_stream_server(stream, server, pools, config)
            for server in stream.all("server")
            if server.block is not None
        ]
    return found


def read_flags(https: Iterable[Directive]) -> dict[tuple[str, int], dict[str, str]]:
    """What belongs to a socket, and so to all servers on it, whichever of them says it (``ngx_http_add_server``).

    :returns: for each address and port the words, with the place of one that says them.
    """
    found: dict[tuple[str, int], dict[str, str]] = {}
    for block, server in [(http, server) for http in https for server in parser.walk(http.block or [], "server")]:
        old = ["ssl"] if read_value([block, server], "ssl") == "on" else []  # before nginx 1.25.1
        for item in server.all("listen"):
            words = {"ssl", "http2", "proxy_protocol", "ipv6only=off"} & {*item.args[1:], *old}
            for listen in read_listen(item):
                there = found.setdefault((listen.address, listen.port), {})
                for word in words:
                    there.setdefault(word, f"{item.file}:{item.line}")
    return found


def _find_pools(http: Directive) -> dict[str, Directive]:
    return {item.args[0].lower(): item for item in parser.walk(http.block or [], "upstream") if item.args}


def _find_session_maps(http: Directive) -> dict[str, list[str]]:
    """Variables that lead each session to the upstream of its node -> names of all these upstreams."""
    return {
        item.args[1]: ["".join(row.args).lower() for row in item.block or []]
        for item in http.all("map")
        if len(item.args) == 2 and item.args[0] == "$arg_sid"
    }


def find_effective(scopes: list[Directive], name: str) -> Directive | None:
    """The directive that holds in the innermost scope."""
    for scope in reversed(scopes):
        found = scope.first(name)
        if found:
            return found
    return None


def read_value(scopes: list[Directive], name: str, default: str = "") -> str:
    """Its first word."""
    found = find_effective(scopes, name)
    return found.args[0] if found and found.args else default


def find_file(config: NginxConfig, name: str) -> str:
    """The file of a certificate: relative to the main file's directory (``ngx_conf_full_name``); "" for none."""
    if not name or re.match(r"(?:data|engine|store):|\$", name) or not config.files:
        return name
    return os.path.join(os.path.dirname(config.files[0]), name)


def read_headers(scopes: list[Directive]) -> dict[str, str]:
    """What ``proxy_set_header`` sets, names in lower case."""
    for scope in reversed(scopes):
        found = way.read_sent(scope)
        if found:
            return found
    return {}


def read_listen(item: Directive) -> list[ProxyListen]:
    """The sockets of a ``listen`` directive: one for each address of a name; none for UDP, QUIC and local ones."""
    text, options = (item.args or ["80"])[0], item.args[1:]
    if text.startswith("unix:") or "quic" in options or "udp" in options:
        return []
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)?(\d+)(?:-(\d+))?", text)
    address, first, last = match.groups() if match else (text, "80", None)
    dual = "ipv6only=off" in options and sockets.normalize(address or "") == sockets.ALL6
    tls, default = "ssl" in options, bool({"default_server", "default"} & set(options))
    found = ProxyListen(address or "*", int(first), tls, item.file, item.line, int(last or 0), dual, default)
    return sockets.expand(found)


def split_host(text: str, default: int) -> tuple[str, int]:
    """``host:port`` with an optional port and brackets."""
    match = re.fullmatch(r"(\[[^\]]*\]|[^:/]*)(?::(\d+))?", text)
    if not match:
        return text, default
    return match.group(1).strip("[]"), int(match.group(2) or default)


class _ServerReader:
    def __init__(
        self,
        scopes: list[Directive],
        pools: dict[str, Directive],
        config: NginxConfig,
        flags: dict[tuple[str, int], dict[str, str]],
    ) -> None:
        server = scopes[-1]
        self.flags = flags
        self.pools, self.notes = pools, config.notes
        self.session_maps = _find_session_maps(scopes[0])
        self.host = VirtualHost(
            names=[name for item in server.all("server_name") for name in item.args if name],
            listens=self.read_listens(scopes[0], server),
            certificate=find_file(config, read_value(scopes, "ssl_certificate")),
            key=find_file(config, read_value(scopes, "ssl_certificate_key")),
            file=server.file,
            line=server.line,
            managed=is_managed(server.file),
        )
        self.named = {
            item.args[0]: item for item in server.all("location") if item.args[:1] and item.args[0].startswith("@")
        }
        self.followed: list[Directive] = []
        self.passes: list[tuple[Directive, Route]] = []
        self.read_routes(scopes, "/")
        self.read_returned(scopes, server)
        way.follow(self.host, scopes[0], server, self.passes)
        self.judge_sockets()
        if any(server.all("return")):  # before any location is looked for
            self.host.kept, self.host.routes = [], []

    def read_listens(self, http: Directive, server: Directive) -> list[ProxyListen]:
        given = list(server.all("listen"))
        whole = read_value([http, server], "ssl") == "on"  # before nginx 1.25.1
        found = [listen for item in given for listen in read_listen(item)]
        for listen in found:
            flags = self.flags.get((listen.address, listen.port), {})
            listen.tls = "ssl" in flags
            listen.dual = listen.dual or (listen.address == sockets.ALL6 and "ipv6only=off" in flags)
        return found if given else [ProxyListen("*", 80, whole, server.file, server.line)]

    def judge_sockets(self) -> None:
        for listen in self.host.listens:
            flags = self.flags.get((listen.address, listen.port), {})
            if "proxy_protocol" in flags:
                self.host.sources.append(f"{flags['proxy_protocol']} expects the PROXY protocol of a proxy before it")
            if "http2" in flags and not listen.tls:
                # The version of the server is not known here: until 1.25.1 such a socket understands nothing else.
                self.host.doubts.append(f"{flags['http2']} may speak HTTP/2 alone: listen with http2 and without ssl")

    def read_routes(self, scopes: list[Directive], path: str) -> None:
        for item in scopes[-1].block or []:
            if item.name == "proxy_pass" and item.args:
                self.host.routes.append(self.read_route(scopes, path, item))
                self.passes.append((item, self.host.routes[-1]))
            elif item.name == "try_files" and item.args and item.args[-1] in self.named:
                named = self.named[item.args[-1]]
                if not any(named is item for item in self.followed):  # nginx takes a circle, too, until somebody asks
                    self.followed.append(named)
                    self.read_routes([*scopes[:2], named], path)
                    self.followed.pop()
            elif item.name == "location" and item.args[:1] and item.args[0] in self.named:
                continue  # read where it is named
            elif item.name == "location" and item.block is not None:
                self.read_location([*scopes, item])
            elif item.name in _SAME_PATH and item.block is not None:
                self.read_routes([*scopes, item], path)

    def read_returned(self, scopes: list[Directive], server: Directive) -> None:
        """Locations by name to which ``return`` leads, by the page for its code: "error_page 418 = @rtc;"."""
        pages = {code: item.args[-1] for item in server.all("error_page") for code in item.args[:-1]}
        for place in server.all("location"):
            for item in (page for page in place.all("error_page") if page.args):
                pages.update(dict.fromkeys(item.args[:-1], item.args[-1]))
        returned = [item.args[0] for item in parser.walk(server.block or [], "return") if item.args]
        for name in dict.fromkeys(pages[code] for code in returned if code in pages):
            if name in self.named:
                self.read_routes([*scopes[:2], self.named[name]], "/")

    def read_location(self, scopes: list[Directive]) -> None:
        item = scopes[-1]
        path, match = locations.read_location(item)
        before = len(self.host.routes)
        self.read_routes(scopes, path)
        found = [route for route in self.host.routes[before:] if route.path == path]
        for route in found:
            route.match, route.doubt = match, _find_doubt(scopes)
        if any(item.all("return")) or not found:
            self.host.routes = [route for route in self.host.routes if route not in found]
            doubt = "" if any(item.all("return")) else _find_doubt(scopes)
            self.host.kept.append(Route(path, file=item.file, line=item.line, match=match, doubt=doubt))

    def read_route(self, scopes: list[Directive], path: str, item: Directive) -> Route:
        sent = read_headers(scopes)
        upstreams, upstream_path, sticky = self.read_target(scopes, item)
        return Route(
            path=path,
            upstreams=upstreams,
            upstream_path=upstream_path,
            file=item.file,
            line=item.line,
            upgrade="upgrade" in sent.get("upgrade", "").lower() and sent.get("connection", "") not in ("", "close"),
            http11=read_value(scopes, "proxy_http_version", "1.0") != "1.0",
            read_timeout=parser.seconds(read_value(scopes, "proxy_read_timeout", "60s"), 60.0),
            forwarded_proto=sent.get("x-forwarded-proto", ""),
            sticky=sticky,
            buffering=read_value(scopes, "proxy_buffering", "on") != "off",
        )

    def read_target(self, scopes: list[Directive], item: Directive) -> tuple[list[Upstream], str, str]:
        text = _replace(item.args[0], _read_variables(scopes))
        # Passes the path on as it is, with what follows it; a target with variables loses that otherwise.
        text = re.sub(r"^(https?://[^/$]*)(?:\$request_uri|\$uri(?:\$is_args|\?)\$(?:args|query_string))$", r"\1", text)
        match = re.match(r"(https?)://(\$\w+|[^/$]*)([/$].*)?$", text)
        if not match or ("$" in match.group(2) and match.group(2) not in self.session_maps):
            self.notes.append(f"{item.file}:{item.line}: proxy_pass {item.args[0]} could not be followed.")
            return [], "", ""
        scheme, authority, path = match.group(1), match.group(2), match.group(3) or ""
        if authority == "unix:":  # a local socket leads to no port
            return [], path, ""
        default = 443 if scheme == "https" else 80
        if authority in self.session_maps:
            pools = [self.pools[name] for name in self.session_maps[authority] if name in self.pools]
            members = [member for pool in pools for member in _list_members(pool, scheme, default)]
            once = {(member.host, member.port): member for member in reversed(members)}
            return list(reversed(once.values())), path, "map $arg_sid"
        pool = self.pools.get(authority.lower())
        if pool is None:
            host, port = split_host(authority, default)
            return [Upstream(scheme, host, port)], path, ""
        return _list_members(pool, scheme, default), path, _describe_stickiness(pool)


def _replace(text: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda found: variables.get("$" + found[1], found[0]), text)


def _read_variables(scopes: list[Directive]) -> dict[str, str]:
    """What ``set`` gives in a block: the server's run, and those of the location itself, not those around it."""
    found: dict[str, str] = {}
    inside = [scope for scope in scopes[2:] if scope.name == "location"][-1:]
    inside += [scopes[-1]] if scopes[-1].name == "if" else []
    for scope in [scopes[1], *inside]:
        for item in scope.all("set"):
            if len(item.args) == 2:
                found[item.args[0]] = _replace(item.args[1], found)
        for condition in (block for block in scope.all("if") if block is not scopes[-1]):
            for item in condition.all("set"):  # nobody knows here whether it holds
                found.pop("".join(item.args[:1]), None)
    return found


def _find_doubt(scopes: list[Directive]) -> str:
    """What may answer a request, or lead it elsewhere, before it is passed on."""
    for name in ("auth_basic", "auth_request", "deny"):
        found = find_effective(scopes, name)
        if found and found.args[:1] != ["off"]:
            return f"{found.file}:{found.line}: {name}"
    for scope in scopes[1:]:  # these hold for their own block
        for item in scope.all("if", "rewrite", "limit_except", "internal", "try_files", "error_page"):
            if item.name != "error_page" or scope is scopes[-1]:
                return f"{item.file}:{item.line}: {item.name}"
    return ""


def _list_members(pool: Directive, scheme: str, default: int) -> list[Upstream]:
    found = []
    for item in pool.all("server"):
        if not item.args or item.args[0].startswith("unix:") or "down" in item.args:
            continue
        host, port = split_host(item.args[0], default)
        found.append(Upstream(scheme, host, port, "backup" in item.args))
    return found


def _describe_stickiness(pool: Directive) -> str:
    found = next(pool.all(*_STICKY), None)
    return " ".join([found.name, *found.args]) if found else ""


def _read_stream_server(
    stream: Directive, server: Directive, pools: dict[str, Directive], config: NginxConfig
) -> VirtualHost:
    host = VirtualHost(
        listens=[listen for item in server.all("listen") for listen in read_listen(item)],
        certificate=find_file(config, read_value([server], "ssl_certificate")),
        key=find_file(config, read_value([server], "ssl_certificate_key")),
        file=server.file,
        line=server.line,
    )
    way.judge_stream(host, [stream, server])
    for item in server.all("proxy_pass"):
        target = (item.args or [""])[0]
        if "$" in target or target.startswith("unix:"):
            config.notes += [f"{item.file}:{item.line}: proxy_pass {target} could not be followed."] * ("$" in target)
            continue
        pool = pools.get(target.lower())
        name, port = split_host(target, 0)
        members = _list_members(pool, "tcp", 0) if pool else [Upstream("tcp", name, port)]
        # A stream passes every byte on: the Upgrade too.
        timeout = parser.seconds(read_value([server], "proxy_timeout", "10m"), 600.0)
        sticky = _describe_stickiness(pool) if pool else ""
        route = Route("/", members, file=item.file, line=item.line, upgrade=True, read_timeout=timeout, sticky=sticky)
        host.routes.append(route)
    return host
