# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Apache httpd's configuration means: virtual hosts, routes, upstreams."""

from __future__ import annotations

import dataclasses
import itertools
import os
import re

from ansible_collections.collab.rtc.plugins.module_utils._facts import ProxyListen, Route, Upstream, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import conditions, way
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.parser import ApacheConfig
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import is_managed
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import FEW_CONNECTIONS, PATH

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ajp": 8009, "h2": 443, "h2c": 80}
_URL = re.compile(r"(\w+)://(\[[^\]]*\]|[^/:%$]*)(?::(\d+))?(.*)$")
_ELSEWHERE = ("proxy", "directory", "limit", "limitexcept")  # not for requests by their path
_GUARDS = ("require", "authtype", "deny", "satisfy", "setenvif", "sslrequire", "sslrequiressl", "sslverifyclient")
# In this order rules are looked at: mod_rewrite's of the server, ProxyPass in sections, ProxyPass of the server.
_RANK = 100000
_MEMBER_PATH = "path of a member"  # no option has this name
_ALWAYS, _REWRITTEN, _IN_SECTION, _IN_SERVER = (number * _RANK for number in range(4))
_PLACES = ("location", "locationmatch", "proxy", "if", "directory", "limit", "limitexcept", "else", "elseif")


def read_virtual_hosts(config: ApacheConfig) -> list[VirtualHost]:
    """All ``<VirtualHost>`` sections, and the main server when it forwards something itself."""
    main = Directive("", [], "", 0, config.directives)
    found = [_HostReader(config, main, item).host for item in main.all("virtualhost")]
    server = _HostReader(config, main, main).host
    if server.routes:
        server.file, server.line = server.routes[0].file, server.routes[0].line
        tls = main.last("sslengine")
        server.listens = [
            dataclasses.replace(item, tls=bool(tls and tls.args == ["on"])) for item in read_listens(config)
        ]
        found.append(server)
    return found


def read_listens(config: ApacheConfig) -> list[ProxyListen]:
    """The sockets of the ``Listen`` directives, which are of the whole server; one for each address of a name."""
    found: list[ProxyListen] = []
    for item in config.directives:
        if item.name == "listen" and item.args:
            address, port = split_listen(item.args[0])
            # Without an address, or with "::", it is one socket for both families (AP_ENABLE_V4_MAPPED).
            dual = address == "*" or sockets.normalize(address) == sockets.ALL6
            found += sockets.expand(ProxyListen(address, port, False, item.file, item.line, dual=dual))
    return found


def read_chains(config: ApacheConfig) -> dict[str, str]:
    """By certificate the file with those that lead from it to an authority, where a virtual host serves it with one.

    What others say counts; ours says what they said, and is asked when they are gone.
    """
    main = Directive("", [], "", 0, config.directives)
    found: dict[str, str] = {}
    for section in main.all("virtualhost"):
        reader = _HostReader(config, main, section)
        chain = reader.read_path("sslcertificatechainfile")
        certificate = reader.read_path("sslcertificatefile")
        if chain and (certificate not in found or not reader.host.managed):
            found[certificate] = chain
    return found


def split_listen(text: str, port: int = 80) -> tuple[str, int]:
    """``[address:]port``; "*" for all addresses, and the given port where there is none, or "*"."""
    match = re.fullmatch(r"(?:(\[[^\]]*\]|[^:]*):)?(\d+|\*)?", text)
    if not match:
        return text.strip("[]"), port
    address = (match.group(1) or "*").strip("[]")
    number = match.group(2)
    return address or "*", int(number) if number and number.isdigit() else port


class _HostReader:
    """One server: its own section, followed by the main server's directives."""

    def __init__(self, config: ApacheConfig, main: Directive, section: Directive) -> None:
        self.config, self.main, self.section = config, main, section
        self.scopes = [main] if section is main else [main, section]
        self.pools = {
            item.args[0].rstrip("/").lower(): item
            for scope in self.scopes
            for item in scope.all("proxy")
            if item.args[:1] and "balancer:" in item.args[0]
        }
        for scope in self.scopes:
            for item in scope.all("balancermember"):
                if item.args and "balancer:" in item.args[0]:
                    pool = self.pools.setdefault(
                        item.args[0].rstrip("/").lower(), Directive("proxy", [], item.file, item.line, [])
                    )
                    (pool.block or []).append(Directive(item.name, item.args[1:], item.file, item.line))
        tls = self.read_value("sslengine").lower() == "on"
        self.host = VirtualHost(
            names=self.read_names(),
            certificate=self.read_path("sslcertificatefile"),
            key=self.read_path("sslcertificatekeyfile"),
            listens=[listen for text in section.args for listen in self.read_listen(text, tls)],
            file=section.file,
            line=section.line,
            managed=bool(section.file) and is_managed(section.file),
        )
        self.passes: list[tuple[Directive, Route]] = []
        self.workers: dict[str, dict[str, str]] = {}  # of a scope, by what their addresses begin with
        self.outer: dict[str, dict[str, str]] = {}  # of the main server, which come before those of the same name
        self.beneath: dict[int, str] = {}  # by the id of a route the path of its balancer's members
        self.numbers = itertools.count()
        for scope in self.scopes:  # those of the main server hold in all virtual hosts, and before theirs
            self.outer, self.workers = self.workers, {}
            self.rewrites = self.rewrites_here(scope)
            self.read_routes(scope, "/")
        self.lend_workers()
        if section is not main:
            way.follow(self.host, main, section, self.passes, self.beneath)
        self.read_upgrades()

    def read_listen(self, text: str, tls: bool) -> list[ProxyListen]:
        address, port = split_listen(text, 0)
        ports = [port] if port else self.find_ports(address) or [443 if tls else 80]
        listens = [ProxyListen(address, number, tls, self.section.file, self.section.line) for number in ports]
        return [item for listen in listens for item in sockets.expand(listen)]

    def find_ports(self, address: str) -> list[int]:
        """The ports of a section that names none: all of its address, but what another one has of its own
        (``httpd -S`` shows ``*``)."""
        mine = sockets.resolve(address) or (sockets.normalize(address),)
        others = [split_listen(text, 0) for item in self.main.all("virtualhost") for text in item.args]
        taken = {port for where, port in others if sockets.normalize(where) in mine}
        listens = [item for item in read_listens(self.config) if any(sockets.meets(item, one) for one in mine)]
        return sorted({item.port for item in listens} - taken)

    def read_names(self) -> list[str]:
        found = []
        for item in self.section.all("servername", "serveralias"):
            found += [re.sub(r"^\w+://|:\d+$", "", name) for name in item.args if not name.startswith("${")]
        return found

    def read_value(self, name: str, default: str = "") -> str:
        for scope in reversed(self.scopes):
            item = scope.last(name)
            if item and item.args:
                return item.args[0]
        return default

    def read_path(self, name: str) -> str:
        text = self.read_value(name)
        return os.path.join(self.config.root, text) if text and not re.match(r"\w+:|\$", text) else text

    def rewrites_here(self, scope: Directive) -> bool:
        """Whether rules of mod_rewrite are looked at; those of the main server are not the virtual host's."""
        return scope is self.section and conditions.is_on(self.main, scope)

    def read_routes(self, scope: Directive, path: str) -> None:
        conditions: list[Directive] = []
        inner = scope.name in _PLACES
        for item in scope.block or []:
            if item.name in ("proxypass", "proxypassmatch") and item.args:
                self.read_proxy_pass(item, path if inner else "")
            elif item.name == "proxy" and "://" in "".join(item.args[:1]) and any(item.all("proxyset")):
                self.share_worker(item.args[0], {})
            elif item.name == "jkmount":
                self.config.notes.append(f"{item.file}:{item.line}: JkMount {' '.join(item.args)} is not followed.")
            elif item.name == "rewritecond":
                conditions.append(item)
            elif item.name == "rewriterule":
                if item.args and (self.rewrites or (inner and _is_on(scope.last("rewriteengine")))):
                    self.read_rewrite(item, conditions, path, inner)
                conditions = []
            elif inner and (item.name in _GUARDS or item.name.startswith("redirect")) and not _is_open(item):
                self.keep(path, item, _ALWAYS, f"{item.file}:{item.line}: {item.name}")
            elif item.name in _PLACES and item.name not in _ELSEWHERE and item.block is not None:
                place = item.args[-1] if item.args and item.name in ("location", "locationmatch") else path
                if item.name.startswith("location"):
                    sign = "~ " if item.name == "locationmatch" or "~" in item.args[:1] else ""
                    self.read_routes(item, sign + place)
                else:
                    self.read_routes(item, path)

    def keep(self, path: str, item: Directive, rank: int, doubt: str = "") -> None:
        """Note a path that httpd answers itself, or of which it is not said."""
        order, match = self.next_order(rank), _describe_match(path)
        self.host.kept.append(Route(path, file=item.file, line=item.line, match=match, order=order, doubt=doubt))

    def next_order(self, rank: int) -> int:
        """Of the rules of one rank the first that fits counts; of sections the last."""
        number = next(self.numbers)
        return rank + (_RANK - number if rank == _IN_SECTION else number)

    def read_proxy_pass(self, item: Directive, place: str) -> None:
        args = [word for word in item.args if word not in ("nocanon", "interpolate", "noquery")]
        rank = _IN_SECTION if place else _IN_SERVER
        if not place:
            place, args = args[0], args[1:]
            if item.name == "proxypassmatch":
                place = "~ " + place
        if args[:1] == ["!"]:
            self.keep(place, item, rank)
            return
        if not args:
            return
        options = self.share_worker(args[0], _read_options(args[1:]), item.name == "proxypassmatch")
        upstreams, rest, member = self.read_target(args[0], item)
        if not upstreams:
            self.keep(place, item, rank, f"{item.file}:{item.line}: {item.name} to {args[0]}")
            return
        route = self.read_route(place, upstreams, item, {**member, **options})
        route.order, route.match = self.next_order(rank), _describe_match(place)
        route.upstream_path = "" if rest == place else rest or "/"
        if item.name == "proxypassmatch" and re.search(r"\$[0-9&]", rest):
            route.upstream_path = ""  # made of what the pattern found, as a rule the path itself
        if rest == "" and place.endswith("/") and route.match == "prefix":
            # What follows the slash is put right behind the port: only the path itself arrives.
            route.match, route.upstream_path = "exact", "" if place == "/" else "/"
        self.host.routes.append(route)
        self.passes.append((item, route))
        self.beneath[id(route)] = member.get(_MEMBER_PATH, "")
        most = {**member, **options}.get("max", "")
        if most.isdigit() and 0 < int(most) < FEW_CONNECTIONS:
            self.host.sources.append(f"{item.file}:{item.line} {item.name} {' '.join(item.args)}"[:160])

    def share_worker(self, url: str, options: dict[str, str], pattern: bool = False) -> dict[str, str]:
        """The options that count. A worker is for an address and all that begins with it: a later ``ProxyPass`` beneath
        an earlier one's gets that one's worker, and its own options are ignored ("because of worker sharing"). What
        ``<Proxy>`` sets for it is read for itself.

        :param pattern: of ``ProxyPassMatch``, whose worker is for what stands before the first ``$``, and its own.
        """
        plain = url.lower().partition("$")[0]
        if plain.startswith("balancer:"):
            return options
        known = [] if pattern else [name for name in self.workers if plain.startswith(name)]
        name = max(known, key=len) if known else plain
        own = self.workers.setdefault(name, options)
        return self.outer.get(name, own)

    def read_route(self, path: str, upstreams: list[Upstream], item: Directive, options: dict[str, str]) -> Route:
        timeout = options.get("timeout") or self.read_value("proxytimeout") or self.read_value("timeout", "60")
        return Route(
            path=path,
            upstreams=upstreams,
            file=item.file,
            line=item.line,
            upgrade=upstreams[0].scheme in ("ws", "wss") or _upgrades(options),
            read_timeout=float(timeout) if timeout.isdigit() else 0.0,
            forwarded_proto=self.read_forwarded_proto(),
            sticky=_describe_stickiness(options.get("stickysession", "")),
            # Of a virtual host the way says it.
            http11=self.section is not self.main
            or not any("force-proxy-request-1.0" in item.args for item in self.section.all("setenv")),
        )

    def read_forwarded_proto(self) -> str:
        found = ""
        places = [*self.scopes, *self.section.all("location")]
        for scope in places:
            for item in scope.all("requestheader"):
                args = [word for word in item.args if word.lower() != "early"]
                if len(args) > 2 and args[0].lower() in ("set", "append", "add", "setifempty"):
                    found = args[2] if args[1].lower().rstrip(":") == "x-forwarded-proto" else found
                elif [arg.lower() for arg in args[:2]] == ["unset", "x-forwarded-proto"]:
                    found = ""
        return found

    def read_target(self, url: str, item: Directive) -> tuple[list[Upstream], str, dict[str, str]]:
        match = _URL.match(url)
        if not match:
            self.config.notes.append(f"{item.file}:{item.line}: {item.name} to {url} could not be followed.")
            return [], "", {}
        scheme, host, port, rest = match.groups()
        scheme = scheme.lower()
        if scheme != "balancer":
            if not host:
                return [], "", {}
            there = [Upstream(scheme, host.strip("[]"), int(port or _PORTS.get(scheme, 80)))]
            return there, rest, self.read_worker(url)
        pool = self.pools.get(f"balancer://{host.lower()}")
        if pool is None:
            self.config.notes.append(f"{item.file}:{item.line}: there is no balancer://{host}.")
            return [], rest, {}
        members, options = self.read_members(pool, item)
        return members, options.get(_MEMBER_PATH, "") + rest, options

    def read_worker(self, url: str) -> dict[str, str]:
        """What ``<Proxy>`` of an upstream sets for it (``ProxySet upgrade=websocket``)."""
        options: dict[str, str] = {}
        for section in [item for scope in self.scopes for item in scope.all("proxy") if item.args]:
            if "://" in section.args[0] and url.startswith(section.args[0].rstrip("/*")):
                for setting in section.all("proxyset"):
                    options.update(_read_options(setting.args))
        return options

    def read_members(self, pool: Directive, item: Directive) -> tuple[list[Upstream], dict[str, str]]:
        found: list[Upstream] = []
        options: dict[str, str] = {}
        sets = [_read_options(member.args[1:]).get("lbset", "0") for member in pool.all("balancermember")]
        first = min((int(number) for number in sets if number.isdigit()), default=0)
        for member in pool.all("balancermember"):
            given = _read_options(member.args[1:])
            status = re.sub(r"-[A-Z]+", "", given.get("status", "").upper())
            upstreams, path, _options = self.read_target(member.args[0], member) if member.args else ([], "", {})
            later = given.get("lbset", "0") != str(first)  # asked when those of the sets before are out
            for upstream in upstreams:
                upstream.backup = later or bool({"H", "R"} & set(status))
            found += [] if {"D", "S", "N"} & set(status) else upstreams
            options.update({key: value for key, value in given.items() if key in ("upgrade", "timeout")})
            options[_MEMBER_PATH] = path  # what follows the balancer's name is put behind it
        for setting in pool.all("proxyset"):
            options.update(_read_options(setting.args))
        return found, options

    def read_rewrite(self, item: Directive, conditions: list[Directive], place: str, inner: bool) -> None:
        """A rule of the server, before everything else; or of a section, which is last and has the last word."""
        rank = _ALWAYS if inner else _REWRITTEN
        pattern = place if inner else "~ " + item.args[0]
        flags = item.args[2].strip("[]").upper().split(",") if len(item.args) > 2 else []
        target = item.args[1] if len(item.args) > 1 else "-"
        doubt = f"{item.file}:{item.line}: RewriteRule"
        if "P" not in flags and "PROXY" not in flags:
            if target != "-" or {"F", "G", "FORBIDDEN", "GONE"} & set(flags):
                self.keep(pattern, item, rank, doubt)
            return
        upstreams, rest, options = self.read_target(target, item)
        if not upstreams:
            self.keep(pattern, item, rank, doubt)
            return
        literal = None if inner else re.match(r"\^?/?([\w./-]*)", item.args[0])
        path = place if inner else "/" + (literal.group(1).lstrip("/") if literal and item.args[0] != ".*" else "")
        route = self.read_route(path, upstreams, item, options)
        route.order = self.next_order(rank)
        # In a section the pattern is compared with what a ProxyPass may have made of the path by then.
        keeps = rest == "%{REQUEST_URI}" if inner else _keeps_path(item.args[0], rest)
        route.upstream_path = "" if keeps else rest
        asked = [_read_upgrade_test(condition) for condition in conditions]
        # A pattern that is not bound to whole parts of the path fits more than the path says.
        bound = inner or (path.endswith("/") and (path == "/" or item.args[0].startswith("^")))
        if route.upstream_path or None in asked or not bound or len(set(asked)) > 1:
            route.doubt = doubt
        elif asked:
            route.only = "upgrade" if all(asked) else "plain"
        self.host.routes.append(route)
        self.passes.append((item, route))

    def lend_workers(self) -> None:
        """What a rule hands on goes by the worker that a ``ProxyPass`` has made for that address, wherever it stands
        (``ap_proxy_get_worker``), with the options of that one."""
        workers = {**self.workers, **self.outer}
        for item, route in self.passes:
            match = _URL.match(item.args[1]) if item.name == "rewriterule" and len(item.args) > 1 else None
            if match:
                plain = item.args[1][: match.start(4)].lower() + (route.upstream_path or PATH)
                known = [name for name in workers if plain.startswith(name.rstrip("/") + "/")]
                options = workers[max(known, key=len)] if known else {}
                route.upgrade = route.upgrade or _upgrades(options)

    def read_upgrades(self) -> None:
        """A rule that sends WebSockets to ``ws://`` serves the plain route of the same upstream too."""
        sockets = [route for route in self.host.routes if route.upgrade]
        for route in (route for route in self.host.routes if not route.websocket):
            ends = {(item.host, item.port) for item in route.upstreams}
            for other in sockets:
                beneath = route.path.startswith(other.path.rstrip("/")) or other.path.startswith(route.path.rstrip("/"))
                if beneath and ends & {(item.host, item.port) for item in other.upstreams}:
                    route.upgrade = True


def _describe_stickiness(name: str) -> str:
    """httpd looks for the name among the parameters of the address, then among the cookies."""
    first = name.split("|", maxsplit=1)[0]
    return f"stickysession {first}" if first == "sid" else f"cookie {first}" if first else ""


def _read_options(words: list[str]) -> dict[str, str]:
    """``name=value``; httpd takes the names in any case."""
    return {name.lower(): value for name, _sign, value in (word.partition("=") for word in words if "=" in word)}


def _upgrades(options: dict[str, str]) -> bool:
    return options.get("upgrade", "").lower() in ("websocket", "any")


def _describe_match(path: str) -> str:
    return "regex" if path.startswith("~ ") else "prefix"


def _is_on(switch: Directive | None) -> bool:
    return switch is not None and [word.lower() for word in switch.args[:1]] == ["on"]


def _is_open(item: Directive) -> bool:
    """Whether an access rule lets everybody in."""
    return [word.lower() for word in item.args] in (["all", "granted"], ["none"])


def _keeps_path(pattern: str, target: str) -> bool:
    """Whether a rule hands the path on as it is: ``^/?(.*)`` to ``/$1``."""
    plain = re.sub(r"^\^|\$$", "", pattern).replace("/?", "/").replace("\\", "")
    if plain in (".*", "(.*)", "") and target == "%{REQUEST_URI}":
        return True
    plain = plain.replace("(.*)", "$1", 1)
    return plain in (target, target.lstrip("/")) or (plain == "$1" and target == "$1")


def _read_upgrade_test(condition: Directive) -> bool | None:
    """Whether a condition asks for the upgrade to a WebSocket, or for none; None where it asks for something else."""
    subject, test = [*condition.args, "", ""][:2]
    if subject.lower() not in ("%{http:upgrade}", "%{http:connection}"):
        return None
    plain = test.lower().strip("=^$!")
    return not test.startswith("!") if plain in ("websocket", "upgrade") else None
