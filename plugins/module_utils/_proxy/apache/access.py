# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sections of httpd's configuration hold for RTC's requests, and whom they let in. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.module_utils._facts import VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import PATH

_GROUPS = ("requireall", "requireany", "requirenone")
_METHODS = ("GET", "POST")  # of RTC's requests
_PLACES = re.compile(r"(not )?(ip|host|forward-dns|local)\b")


def list_sections(host: VirtualHost, scopes: list[Directive], targets: Iterable[str]) -> list[Directive]:
    """The sections for RTC's path and for what it is passed on to, in the order in which they are merged.

    :param scopes: the main server and the virtual host.
    :param targets: what ``ProxyPass`` and rules name.
    """
    addresses = list(targets)
    found = [
        item
        for scope in scopes
        for item in scope.all("proxy", "proxymatch")
        if item.name == "proxymatch" or _is_of(item, addresses)
    ]
    for scope in scopes:
        for item in scope.all("location", "locationmatch"):
            fits = _takes(item)
            if fits:
                found.append(item)
            elif fits is None:
                host.doubts.append(f"{item.file}:{item.line} may hold for its requests: {' '.join(item.args)}")
    return found


def is_pattern(item: Directive) -> bool:
    """Whether the path of a section is a regular expression."""
    return item.name == "locationmatch" or item.args[:1] == ["~"]


def judge(host: VirtualHost, scopes: list[Directive], sections: list[Directive]) -> None:
    """Whom the sections let in: of ``Require`` those of the last section that has any count."""
    rules = next((found for item in reversed(sections) if (found := list(_list_rules(item)))), [])
    polls, posts = ([item for item, methods in rules if name in methods] for name in _METHODS)
    _judge_rules(host, polls, "" if polls == posts else " by GET")
    _judge_rules(host, posts if polls != posts else [], " by POST")
    _judge_old(host, sections)
    for scope in [*scopes, *sections]:
        for item in scope.block or []:
            words = " ".join(item.args).lower()
            if item.name == "allowmethods" and "reset" not in words and not {"get", "post"} <= set(words.split()):
                host.stops.append(f"{item.file}:{item.line} AllowMethods {' '.join(item.args)}")
            elif item.name == "remoteipproxyprotocol" and words == "on":
                host.sources.append(f"{item.file}:{item.line} expects the PROXY protocol of a proxy before it")
            elif item.name == "sslrequiressl" and not any(listen.tls for listen in host.listens):
                host.stops.append(f"{item.file}:{item.line} SSLRequireSSL, and there is no TLS")
            elif item.name in ("sslverifyclient", "sslrequire") and words not in ("none", "optional"):
                host.doubts.append(f"{item.file}:{item.line} decides who is let in: {item.name}")
            elif item.name in ("if", "elseif", "else") and _changes(item):
                host.doubts.append(f"{item.file}:{item.line} depends on <If> {' '.join(item.args)}"[:160])
    for section in sections:
        for item in section.all("redirect", "redirectpermanent", "redirecttemp", "redirectmatch"):
            host.stops.append(f"{item.file}:{item.line} {item.name} {' '.join(item.args)}")


def _takes(item: Directive) -> bool | None:
    if not item.args:
        return False
    text = item.args[-1]
    if is_pattern(item):
        return patterns.fits(text, PATH)
    if re.search(r"[*?\[]", text):  # no "*" takes a slash, and nothing may be left over
        shape = re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        return None if "[" in text else patterns.fits(f"^{shape}$", PATH)
    return f"{PATH.rstrip('/')}/".startswith(f"{text.rstrip('/')}/")


def _is_of(item: Directive, targets: list[str]) -> bool:
    beginning = (item.args or ["*"])[0].rstrip("*").rstrip("/").lower()
    return any(target.lower().startswith(beginning) for target in targets) or not beginning


def _list_rules(section: Directive, methods: tuple[str, ...] = _METHODS) -> Iterator[tuple[Directive, tuple[str, ...]]]:
    """Rules of ``Require``, and the methods that they are for; in ``<RequireNone>`` they say the opposite."""
    for item in section.block or []:
        if item.name == "require":
            yield item, methods
        elif item.name in _GROUPS:
            for rule, own in _list_rules(item, methods):
                opposite = item.name == "requirenone"
                yield (Directive("require", ["not", *rule.args], rule.file, rule.line) if opposite else rule), own
        elif item.name in ("limit", "limitexcept"):
            named = [word.upper() for word in item.args]
            yield from _list_rules(item, tuple(one for one in methods if (one in named) == (item.name == "limit")))


def _judge_rules(host: VirtualHost, rules: list[Directive], words: str) -> None:
    texts = [" ".join(item.args).lower() for item in rules]
    if not rules or set(texts) == {"all granted"}:
        return
    where = f"{rules[0].file}:{rules[0].line} Require {' '.join(rules[0].args)}"
    if set(texts) == {"all denied"}:
        host.stops.append(f"{where} lets nobody in{words}")
    elif any(_PLACES.match(text) for text in texts):
        host.sources.append(where)
    elif all(re.match(r"valid-user|user |group |ldap-|dbm-|file-", text) for text in texts):
        host.stops.append(f"{where} asks for a password{words}")
    elif not all(re.match(r"all granted|method ", text) for text in texts) or "all granted" not in texts:
        host.doubts.append(f"{where} decides who is let in")


def _judge_old(host: VirtualHost, sections: list[Directive]) -> None:
    """``Order``, ``Allow`` and ``Deny`` of ``mod_access_compat``."""
    rules = [item for section in sections for item in section.all("allow", "deny")]
    texts = {f"{item.name} {' '.join(item.args)}".lower() for item in rules}
    orders = [" ".join(item.args).lower().replace(" ", "") for section in sections for item in section.all("order")]
    last = [*rules, *(item for section in sections for item in section.all("order"))][-1:]
    where = "".join(f"{item.file}:{item.line} {item.name} {' '.join(item.args)}" for item in last)
    closed = orders[-1:] == ["allow,deny"]  # who is named by none, or by both, is not let in
    if texts == {"deny from all"} or (closed and texts in (set(), {"allow from all", "deny from all"})):
        host.stops.append(f"{where} lets nobody in")
    elif not texts <= {"allow from all", "deny from all"}:
        host.sources.append(where)


def _changes(item: Directive) -> bool:
    """Whether a condition on requests decides about them."""
    names = ("require", "redirect", "rewriterule", "proxypass", "requestheader", "deny", "sethandler", *_GROUPS)
    return any(rule.name.startswith(names) for rule in item.block or [])
