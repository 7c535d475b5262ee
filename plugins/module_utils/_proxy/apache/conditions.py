# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conditions and rules of ``mod_rewrite`` come to for a request of RTC. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._facts import VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import KINDS, PATH, make_query

_VARIABLE = re.compile(r"%\{([^}]+)\}")


# Directives of ``mod_setenvif``, names in lower case.
SETTERS = ("setenvif", "setenvifnocase", "browsermatch", "browsermatchnocase")
# What the usual browsers call themselves; a pattern for one of them holds for many people.
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
)


@dataclass
class Outcome:
    """What the rules of a virtual host make of a request."""

    kind: str  # "on": nothing, it goes on to ProxyPass | "proxy" | "stopped" | "unknown"
    rule: Directive | None = None
    by_address: bool = False  # what the host asks itself does not tell of other clients


def list_requests(host: VirtualHost) -> list[dict[str, str]]:
    """What a client of RTC asks with: polling by GET and by POST, and last for a WebSocket."""
    known = {"REQUEST_URI": PATH, "REQUEST_FILENAME": PATH, "SCRIPT_FILENAME": PATH, "SERVER_PROTOCOL": "HTTP/1.1"}
    ports = {item.port for item in host.listens}
    secure = {item.tls for item in host.listens}
    if len(secure) == 1:
        tls = secure.pop()
        known.update({"HTTPS": "on" if tls else "off", "REQUEST_SCHEME": "https" if tls else "http"})
        if len(ports) == 1 and len(host.names) == 1 and not re.search(r"[*?]", host.names[0]):
            port = next(iter(ports))
            usual = port == (443 if tls else 80)
            known["HTTP_HOST"] = known["HTTP:HOST"] = host.names[0] if usual else f"{host.names[0]}:{port}"
    if len(ports) == 1:
        known["SERVER_PORT"] = str(next(iter(ports)))
    found = []
    for method, transport in KINDS:
        query, socket = make_query(transport), transport == "websocket"
        more = {"REQUEST_METHOD": method, "QUERY_STRING": query, "THE_REQUEST": f"{method} {PATH}?{query} HTTP/1.1"}
        more["HTTP:UPGRADE"] = more["HTTP_UPGRADE"] = "websocket" if socket else ""
        # A browser may say more than the word that counts: Firefox does.
        more["HTTP:CONNECTION"] = more["HTTP_CONNECTION"] = "keep-alive, Upgrade" if socket else "keep-alive"
        found.append({**known, **more})
    return found


def is_on(main: Directive, section: Directive) -> bool:
    """Whether rules of a server are looked at. A virtual host takes ``RewriteEngine`` over from the main server where
    it has anything of ``mod_rewrite`` itself; one without is none of its configurations."""
    switch = section.last("rewriteengine")
    if switch is None and any(section.all("rewriteoptions", "rewriterule", "rewritecond", "rewritemap")):
        switch = main.last("rewriteengine")
    return _says_on(switch)


def is_on_within(scopes: list[Directive], section: Directive) -> bool:
    """Whether rules of a section are looked at: what is around it counts, too."""
    found = (scope.last("rewriteengine") for scope in (section, *reversed(scopes)))
    return _says_on(next(filter(None, found), None))


def _says_on(switch: Directive | None) -> bool:
    return switch is not None and [word.lower() for word in switch.args[:1]] == ["on"]


def add_inherited(main: Directive, section: Directive) -> Directive:
    """A virtual host with the rules of the main server, where ``RewriteOptions`` take these over."""
    own, above = (
        {word.lower() for item in scope.all("rewriteoptions") for word in item.args} for scope in (section, main)
    )
    down = set() if "ignoreinherit" in own else above
    before = "inheritbefore" in own or "inheritdownbefore" in down
    if section is main or not (before or "inherit" in own or "inheritdown" in down):
        return section
    theirs, mine = (list(scope.all("rewritecond", "rewriterule")) for scope in (main, section))
    rules = [*theirs, *mine] if before else [*mine, *theirs]
    return Directive(section.name, section.args, section.file, section.line, rules)


def run(section: Directive, request: dict[str, str]) -> Outcome:
    """Follow the rules of a virtual host to the first that ends them."""
    rules = _list_rules(section)
    for item, conditions in rules:
        flags = list_flags(item)
        target = item.args[1] if len(item.args) > 1 else "-"
        fits = _fits(item.args[0], "NC" in flags or "NOCASE" in flags)
        holds = False if fits is False else _hold(conditions, request)
        if holds is False:
            if {"C", "CHAIN"} & flags:  # those that are chained to it do not count either
                while {"C", "CHAIN"} & flags:
                    flags = list_flags(next(rules, (Directive("", [], "", 0), []))[0])
            continue
        if fits is None or holds is None:
            return Outcome("unknown", item, any(map(_asks_for_address, conditions)))
        skip = next((flag for flag in flags if re.match(r"(S|SKIP)=\d+$", flag)), "")
        for _skipped in itertools.islice(rules, int(skip.partition("=")[2][:6] or 0)):
            pass
        if {"F", "FORBIDDEN", "G", "GONE"} & flags or any(re.match(r"(R|REDIRECT)(=|$)", flag) for flag in flags):
            return Outcome("stopped", item)
        if {"P", "PROXY"} & flags:
            return Outcome("proxy" if _keeps_query(target, flags) else "unknown", item)
        if target != "-" or {"N", "NEXT"} & {flag.partition("=")[0] for flag in flags}:
            outside = re.match(r"https?://", target)
            return Outcome("stopped" if outside else "unknown", item)
        if {"L", "LAST", "END"} & flags:
            break
    return Outcome("on")


def _asks_for_address(item: Directive) -> bool:
    return bool(re.search(r"\bREMOTE_(?:ADDR|HOST)\b", " ".join(item.args).upper()))


def _keeps_query(target: str, flags: set[str]) -> bool:
    """Whether the query arrives: one in the target takes its place, and what the pattern found may be escaped."""
    names = {flag.partition("=")[0] for flag in flags}
    if {"QSD", "QSDISCARD", "B", "BNE", "BCTLS", "BNP"} & names:
        return False
    _path, mark, query = target.partition("?")
    return not mark or "%{QUERY_STRING}" in query or bool({"QSA", "QSAPPEND"} & names)


def list_flags(item: Directive) -> set[str]:
    """The flags of a rule or a condition, in capitals."""
    text = item.args[2].strip("[]") if len(item.args) > 2 else ""
    return {flag.strip().upper() for flag in text.split(",") if flag.strip()}


def fits(pattern: str) -> bool | None:
    """Whether a pattern that may be negated fits RTC's path; ``None`` where that cannot be told."""
    return _fits(pattern, False)


def _list_rules(section: Directive) -> Iterator[tuple[Directive, list[Directive]]]:
    conditions: list[Directive] = []
    for item in section.all("rewritecond", "rewriterule"):
        if item.name == "rewritecond":
            conditions.append(item)
        elif item.args:
            yield item, conditions
            conditions = []


def _fits(pattern: str, nocase: bool) -> bool | None:
    found = patterns.fits(pattern[1:] if pattern.startswith("!") else pattern, PATH, nocase)
    return None if found is None else found != pattern.startswith("!")


def _hold(conditions: list[Directive], request: dict[str, str]) -> bool | None:
    """Whether conditions hold: all of them, and of those joined by ``[OR]`` one."""
    result: bool | None = True
    group: list[bool | None] = []
    for item in conditions:
        flags = list_flags(item)
        group.append(_holds(item, flags, request))
        if not {"OR", "ORNEXT"} & flags:
            one = True if True in group else None if None in group else False
            if one is False:
                return False
            result, group = one if result else result, []
    return result


def _holds(item: Directive, flags: set[str], request: dict[str, str]) -> bool | None:
    if (
        len(item.args) < 2
        or item.args[0].lower() == "expr"
        or any(name.upper() not in request for name in _VARIABLE.findall(item.args[0]))
    ):
        return None
    value = _VARIABLE.sub(lambda found: request[found[1].upper()], item.args[0])
    pattern, negated = item.args[1].lstrip("!"), item.args[1].startswith("!")
    if re.match(r"-|<|>", pattern) or "%{" in pattern or re.search(r"[$%]\d", value):
        return None  # files, an order, what another pattern found
    nocase = bool({"NC", "NOCASE"} & flags)
    if pattern.startswith("="):
        wanted = pattern[1:].strip('"')
        same = value.lower() == wanted.lower() if nocase else value == wanted
        return same != negated
    found = patterns.fits(pattern, value, nocase)
    return None if found is None else found != negated


def list_set(item: Directive) -> dict[str, bool]:
    """Variables that a directive of ``mod_setenvif`` sets, or takes away (``!name``), names in lower case."""
    words = item.args[1 if item.name.startswith("browser") else 2 :]
    return {word.lstrip("!").partition("=")[0].lower(): not word.startswith("!") for word in words}


def holds_for_browser(item: Directive) -> bool | None:
    """Whether a condition of ``mod_setenvif`` holds when a browser opens a WebSocket; ``None``: unknown."""
    browsers = item.name.startswith("browser")
    words = ["user-agent", *item.args] if browsers else item.args
    if len(words) < 2:
        return False
    values = {"request_uri": (PATH,), "user-agent": _BROWSERS, "upgrade": ("websocket",), "request_method": ("GET",)}
    there = values.get(words[0].lower())
    if there is None:
        return None
    found = [patterns.fits(words[1], value, item.name.endswith("nocase")) for value in there]
    return True if True in found else None if None in found else False
