# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy's sections mean: virtual hosts, routes, upstreams.

A frontend that chooses backends by host name becomes one virtual host for each set of names. ACLs are understood as far
as they compare the host name or the path; a condition of another kind narrows a route in a way that is not shown.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import ProxyListen, Route, Upstream, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import way
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import (
    HaproxyConfig,
    Line,
    Section,
    seconds,
)

_HOST = re.compile(
    r"(?:req\.|req_)?(?:hdr|fhdr|hdr_dom|hdr_beg|hdr_end|hdr_reg)\(host\b|(?:req\.|req_)?ssl_sni|ssl_fc_sni",
    re.IGNORECASE,
)
_PATH = re.compile(r"(?:path|path_beg|path_dir|url_beg|capture\.req\.uri|base_beg|url)\b")
# Configuration Manual, 11.1: what stands before the address; without a word of these it is TCP.
_BIND = re.compile(r"(?:(?:stream\+)?(?:ipv|m?p?tcp)([46])?@)?(\[[^\]]*\]|[^@]*?):(\d+)(?:-(\d+))?")
_NO_TCP = re.compile(r"/|(?:dgram\+|udp|quic|unix|ux|abns|fd|sockpair|rev|rhttp|stream\+(?:unix|abns|ux))\S*@")
_WHOLE_HOST = re.compile(
    r"(?:req\.)?f?hdr\(host(?:,-?1)?\)(?:,lower|,field\(1,:\))*|ssl_fc_sni|req_ssl_sni|req\.ssl_sni", re.IGNORECASE
)
_ANSWERS = ("deny", "redirect", "return", "tarpit", "auth", "reject", "silent-drop", "block", "use-service")
_CHANGES = ("set-path", "replace-path", "replace-uri", "set-uri", "set-pathq", "replace-pathq", "set-query")
_FLAGS_WITH_VALUE = ("-m", "-f", "-n", "-u")


@dataclass
class _Test:
    """What an ACL, or several together, ask of a request."""

    names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    exact: bool = False  # the paths are whole ones
    other: bool = False  # something else beside
    loose: bool = False  # names or paths are compared in another way: by their beginning, say
    either: bool = False  # one of name and path is enough
    seen: list[str] = field(default_factory=list)  # "name" or "path" for each criterion


def read_virtual_hosts(config: HaproxyConfig) -> list[VirtualHost]:
    """All frontends and listen sections that listen on an address."""
    found: list[VirtualHost] = []
    for section in config.sections:
        if section.kind in ("frontend", "listen") and not way.is_disabled(section):
            found += _FrontendReader(config, section).read_hosts()
    return found


def find_file(config: HaproxyConfig, base: str, name: str, file: str) -> str:
    """The path of a file that a line names, absolute where ``global`` tells it.

    :param base: the setting for files of this kind: ``crt-base``; "" for none.
    :param file: the configuration file of the line.
    """
    way = [*config.setting("default-path"), "", ""]
    directory = os.path.dirname(file)
    origin = {"config": directory, "parent": os.path.dirname(directory), "origin": way[1]}.get(way[0], "")
    return name if name.startswith("@") else os.path.join(origin, "".join(config.setting(base)[:1]), name)


class _FrontendReader:
    def __init__(self, config: HaproxyConfig, section: Section) -> None:
        self.config, self.section = config, section
        self.listens: list[ProxyListen] = []
        self.certificate = ""
        for item in section.all("bind", inherit=False):
            self.read_bind(item)
        self.acls: dict[str, list[Line]] = {}
        for item in section.all("acl"):
            if len(item.words) > 2:
                self.acls.setdefault(item.words[1], []).append(item)

    def read_bind(self, item: Line) -> None:
        options = item.words[2:]
        tls = any(word == "ssl" and before != "name" for before, word in zip(["", *options], options))
        if "crt" in options[:-1] and not self.certificate:
            self.certificate = find_file(self.config, "crt-base", options[options.index("crt") + 1], item.file)
        for place in item.words[1].split(",") if len(item.words) > 1 and "namespace" not in options else []:
            if _NO_TCP.match(place):
                continue
            match = _BIND.fullmatch(place)
            if not match:
                self.config.notes.append(f"{item.file}:{item.line}: bind {place} could not be resolved.")
                continue
            family, address, first, last = match.groups()
            address = "::" if family == "6" and address in ("", "*") else address
            # Linux gives such a socket IPv4 connections too (net.ipv6.bindv6only is 0).
            dual = sockets.normalize(address) == sockets.ALL6 and "v6only" not in options
            found = ProxyListen(address, int(first), tls, item.file, item.line, int(last or 0), dual)
            self.listens += sockets.expand(found)[:1]  # of a name HAProxy takes the first address

    def read_hosts(self) -> list[VirtualHost]:
        self.groups: dict[tuple[str, ...], VirtualHost] = {}
        self.passes: dict[tuple[str, ...], list[tuple[Line | None, Route]]] = {}
        self.numbers = itertools.count()
        self.read_answers(self.section)
        for item in self.section.all("use_backend"):
            if len(item.words) > 1:
                self.add_routes(self.read_test(item.words[2:]), item)
        default = self.section.last("default_backend")
        if default and len(default.words) > 1:
            self.add_routes(_Test(), default)
        if self.section.kind == "listen" and any(True for _server in way.list_servers(self.section)):
            route = self.read_route(self.section, "/", None)
            self.add_route(self.find_host([]), route, None)
        found = sorted((host for host in self.groups.values() if host.routes), key=lambda host: not host.names)
        found = found or [self.find_host([])]
        for host in found:
            way.follow(host, self.config, self.section, self.passes.get(tuple(host.names), []))
        # What only answers itself is no virtual host: it may hold for the names of each.
        for other in (item for item in self.groups.values() if item not in found):
            for kept in other.kept:
                doubt = kept.doubt or (f"{kept.file}:{kept.line}: for {other.names[0]}" if other.names else "")
                for host in found:
                    host.kept.append(dataclasses.replace(kept, doubt=doubt))
        return found

    def find_host(self, names: list[str]) -> VirtualHost:
        """The virtual host for a set of names that rules ask for; none: for any name."""
        if tuple(names) not in self.groups:
            self.groups[tuple(names)] = self.make_host(names)
        return self.groups[tuple(names)]

    def add_routes(self, test: _Test, item: Line) -> None:
        if test.either:
            self.add_routes(_Test(names=test.names), item)
            self.add_routes(_Test(paths=test.paths, exact=test.exact), item)
            return
        if test.loose or self.config.named(item.words[1]) is None:
            self.keep(_Test(other=True), item)
        host = self.find_host(test.names)
        for route in self.read_backend(item.words[1], item, test.paths or ["/"]):
            route.match = "exact" if test.exact else "prefix"
            route.doubt = f"{item.file}:{item.line}: {item.words[0]}" if test.other else self.find_doubt(item.words[1])
            self.add_route(host, route, item)

    def find_doubt(self, name: str) -> str:
        """What a backend may do with a request instead of handing it on as it is."""
        section = self.config.named(name)
        for item in section.all() if section else []:
            answers = item.words[0] in ("redirect", "reqrep") or item.words[:2] == ["stats", "uri"]
            if answers or (item.words[0] == "http-request" and "".join(item.words[1:2]) in _ANSWERS + _CHANGES):
                return f"{item.file}:{item.line}: {' '.join(item.words[:2])}"
        return ""

    def read_answers(self, section: Section) -> None:
        """What a frontend answers itself: ``http-request deny``, ``redirect``, pages of its own."""
        for item in section.all():
            words = item.words[1:] if item.words[0] == "http-request" else item.words
            if item.words[0] == "monitor-uri" and len(item.words) > 1:
                self.keep(_Test(paths=item.words[1:2], exact=True), item)
            elif item.words[:2] == ["stats", "uri"] and len(item.words) > 2:
                self.keep(_Test(paths=item.words[2:3], other=True), item)
            elif words[:1] and (words[0] in _ANSWERS or (words[0] in _CHANGES and item.words[0] == "http-request")):
                at = next((at for at, word in enumerate(words) if word in ("if", "unless")), len(words))
                condition = "".join(words[at:])
                if condition in ("if!{ssl_fc}", "unless{ssl_fc}") and len({item.tls for item in self.listens}) == 1:
                    if self.listens[0].tls:
                        continue
                    self.keep(_Test(), item)
                else:
                    test = self.read_test(words[at:])
                    sure = words[0] in _ANSWERS and not test.other
                    self.keep(_Test(other=True) if test.loose or test.either else test, item, sure)

    def keep(self, test: _Test, item: Line, sure: bool = True) -> None:
        doubt = f"{item.file}:{item.line}: {' '.join(item.words[:2])}" if test.other or not sure else ""
        for path in test.paths or ["/"]:
            match = "exact" if test.exact else "prefix"
            kept = Route(path, file=item.file, line=item.line, match=match, order=next(self.numbers), doubt=doubt)
            self.find_host(test.names).kept.append(kept)

    def make_host(self, names: list[str]) -> VirtualHost:
        return VirtualHost(
            names=names, listens=[ProxyListen(**vars(item)) for item in self.listens],
            certificate=self.certificate, key=self.certificate, file=self.section.file, line=self.section.line,
        )  # fmt: skip

    def add_route(self, host: VirtualHost, route: Route, item: Line | None) -> None:
        route.order = next(self.numbers)
        host.routes.append(route)
        self.passes.setdefault(tuple(host.names), []).append((item, route))

    def read_backend(self, name: str, item: Line, paths: list[str]) -> list[Route]:
        section = self.config.named(name)
        if section is None:
            reason = "is computed" if "%[" in name else "does not exist"
            self.config.notes.append(f"{item.file}:{item.line}: the backend {name} {reason}.")
            return []
        return [self.read_route(section, path, item) for path in paths]

    def read_route(self, section: Section, path: str, item: Line | None) -> Route:
        upstreams = self.read_servers(section)
        return Route(
            path=path,
            upstreams=upstreams,
            file=item.file if item else section.file,
            line=item.line if item else section.line,
            upgrade=True,
            read_timeout=self.read_timeout(section),
            forwarded_proto=self.read_forwarded_proto(section),
            sticky=_describe_stickiness(section) if len(upstreams) > 1 else "",
        )

    def read_servers(self, section: Section) -> list[Upstream]:
        found = []
        mode = section.last("mode")
        tcp = bool(mode) and mode.words[1:] == ["tcp"] if mode else False
        for item in way.list_servers(section):
            options = way.list_options(section, item)
            if len(item.words) < 3 or way.is_out(options):
                continue
            address = re.sub(r"^(?:stream\+)?(?:ipv[46]|m?p?tcp[46]?)@", "", item.words[2])
            match = re.fullmatch(r"(\[[^\]]*\]|[^:/]*|[0-9A-Fa-f:]{3,}?):?([+-]?\d+)?", address)
            if not match:
                self.config.notes.append(f"{item.file}:{item.line}: the server {address} could not be understood.")
                continue
            port = int(match.group(2) or 0)
            if not match.group(2) or match.group(2)[0] in "+-":  # the port that the client came to, plus this
                port += self.listens[0].port if self.listens else 0
            secure = way.is_on(options, "ssl")
            scheme = "tcp" if tcp else "https" if secure else "http"
            found.append(Upstream(scheme, match.group(1).strip("[]"), port, "backup" in item.words[3:]))
        return found

    def read_timeout(self, section: Section) -> float:
        tunnel = section.last("timeout", "tunnel")
        if tunnel and len(tunnel.words) > 2:
            return seconds(tunnel.words[2])
        limits = []
        for scope, name in ((self.section, "client"), (section, "server")):
            item = scope.last("timeout", name)
            if item and len(item.words) > 2:
                limits.append(seconds(item.words[2]))
        return min(limits) if limits else 0.0

    def read_forwarded_proto(self, section: Section) -> str:
        found = ""
        for scope in {id(item): item for item in (self.section, section)}.values():
            for item in scope.all("http-request"):
                if item.words[1:2] in (["set-header"], ["add-header"]) and len(item.words) > 3:
                    found = item.words[3] if item.words[2].lower() == "x-forwarded-proto" else found
                elif [word.lower() for word in item.words[1:3]] == ["del-header", "x-forwarded-proto"]:
                    found = ""
            for item in scope.all("reqadd"):
                match = re.match(r"X-Forwarded-Proto:\s*(\S+)", " ".join(item.words[1:]), re.IGNORECASE)
                found = match.group(1) if match else found
        return found

    def read_test(self, words: list[str]) -> _Test:
        """``if``/``unless`` and what follows: names and paths are joined over all ACLs of the condition."""
        found = _Test()
        if not words or words[0] != "if":
            found.other = bool(words)
            return found
        inline: list[str] | None = None
        either = False
        for word in words[1:]:
            if word == "{":
                inline = []
            elif word == "}" and inline is not None:
                self.read_criterion(inline, found)
                inline = None
            elif inline is not None:
                inline.append(word)
            elif word in ("||", "or"):
                either = True
            elif word.startswith("!"):
                found.other = True
            else:
                lines = self.acls.get(word, [])
                for item in lines:
                    self.read_criterion(item.words[2:], found)
                # The lines of one name are alternatives.
                found.seen = list(dict.fromkeys(found.seen)) if len(lines) == len(found.seen) else found.seen
                found.other = found.other or not lines
        kinds = len(set(found.seen))
        plain = not found.other and not found.loose
        found.either = either and plain and 1 < kinds == len(found.seen)
        repeated = len(found.seen) > kinds and not either  # as if a request had two names
        found.loose = found.loose or repeated or (either and not found.either and (kinds > 1 or found.other))
        return found

    def read_criterion(self, words: list[str], found: _Test) -> None:
        values: list[str] = []
        rest = iter(words[1:])
        for word in rest:
            if word == "-f":  # one value a line; where they cannot be seen, at least it is not every name
                path = next(rest, "")
                lines = (self.config.read(path) or path).split("\n")
                values += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
            elif word in _FLAGS_WITH_VALUE:
                found.loose = found.loose or (next(rest, ""), word) != ("str", "-m")
            elif not re.fullmatch(r"-[iM-]|--", word):
                values.append(word)
        if words and _HOST.match(words[0]) and _is_regular(words):
            values = [_read_plain_name(value) for value in values]
            if "" in values or not values:  # no name that could be shown
                found.other = True
                return
        if words and _HOST.match(words[0]):
            found.names = list(dict.fromkeys([*found.names, *(re.sub(r":\d+$", "", value) for value in values)]))
            found.seen.append("name")
            found.loose = found.loose or not _WHOLE_HOST.fullmatch(words[0])
        elif words and _PATH.match(words[0]):
            exact = words[0] == "path"
            mixed = bool(found.paths) and exact != found.exact
            found.loose = found.loose or mixed or words[0] not in ("path", "path_beg")
            found.exact = exact
            paths = ("/" + value.strip("/") if not exact else value for value in values)
            found.paths = list(dict.fromkeys([*found.paths, *paths]))
            found.seen.append("path")
        else:
            found.other = True


def _is_regular(words: list[str]) -> bool:
    """Whether a criterion compares by regular expressions."""
    return "_reg(" in words[0] or ("reg" in words and words[words.index("reg") - 1] == "-m")


def _read_plain_name(pattern: str) -> str:
    """The name that a regular expression stands for, with or without a port; "" for more than one."""
    text = re.sub(r"\(:(?:\\d|\[0-9\])[+*]\)\?|:\d+$", "", re.sub(r"^\^|\$$", "", pattern))
    plain = text.replace("\\.", ".")
    return plain if re.fullmatch(r"[\w.-]+", plain) and "." in plain else ""


def _describe_stickiness(section: Section) -> str:
    if any("url_param(sid)" in item.words for item in section.all("use-server")):
        return "use-server sid"
    cookie = section.last("cookie")
    if cookie and len(cookie.words) > 1:
        return f"cookie {cookie.words[1]}"
    for item in section.all("stick"):
        if item.words[1:2] in (["on"], ["match"], ["store-request"]) and len(item.words) > 2:
            return f"stick {item.words[2]}"
    session = section.last("appsession")
    if session and len(session.words) > 1:
        return f"cookie {session.words[1]}"
    balance = section.last("balance")
    method = " ".join(balance.words[1:]) if balance else ""
    return method if method.startswith(("source", "uri", "hdr", "hash")) else ""
