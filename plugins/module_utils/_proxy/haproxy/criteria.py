# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conditions of HAProxy come to for a request of RTC. Pure."""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import Section
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import KINDS, PATH, make_query

_FETCH = re.compile(r"(?:req\.|req_)?(\w+)(?:\((\w[\w-]*)[^)]*\))?(.*)")
_HOST_ONLY = re.compile(r",\s*(?:field\(1,:\)|host_only|word\(1,:\))")
_SAME = re.compile(r"(?:,(?:url_dec|lower))*")  # converters that leave RTC's path and query as they are
_METHODS = {"METH_GET": ("GET", "HEAD"), "METH_POST": ("POST",)}
_GONE = ("hdr", "fhdr", "path", "pathq", "url", "urlp", "base", "query")
_PREDEFINED = {"TRUE": True, "HTTP": True, "HTTP_1.1": True, "FALSE": False, "HTTP_1.0": False, "HTTP_2.0": False}
_ORDERS = ("eq", "gt", "ge", "lt", "le")


@dataclass
class Request:
    """What a client asks with; ``host`` with the port, as browsers send it, "" for a name that nothing is for."""

    host: str | None  # None: any name
    port: int
    tls: bool
    method: str = "GET"
    upgrade: str = ""
    answered: bool = False  # seen by a rule on answers, to which a request's headers and path are no more

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return make_query(self.upgrade or "polling")


def list_requests(host: str, port: int, tls: bool) -> list[Request]:
    """One for each of ``KINDS``."""
    return [Request(host, port, tls, method, "" if way == "polling" else way) for method, way in KINDS]


def holds(section: Section, words: list[str], request: Request) -> bool | None:
    """Whether a condition holds, from its ``if`` or ``unless`` on; ``None`` for unknown.

    :param section: that the line stands in: names of ACLs are its own.
    """
    condition = _read_condition(tuple(words))
    if condition is None:
        return True
    result: bool | None = False
    for term in condition.terms:  # of those joined by "or" one is enough
        joined: bool | None = True
        for negated, name, inline in term:
            found = _meets(inline, request) if inline is not None else _meets_acl(section, name, request)
            found = found if found is None or not negated else not found
            if found is False:
                joined = False
                break
            joined = joined if found else None
        if joined:
            result = True
            break
        result = result if joined is False else None
    return result if result is None or not condition.negated else not result


@dataclass(frozen=True)
class _Condition:
    """``terms`` joined by "or", each of parts joined by "and": whether negated, an ACL by its name or a criterion."""

    negated: bool
    terms: tuple[tuple[tuple[bool, str, tuple[str, ...] | None], ...], ...]


@functools.lru_cache(maxsize=16384)  # each is asked for each virtual host
def _read_condition(words: tuple[str, ...]) -> _Condition | None:
    at = next((number for number, word in enumerate(words) if word in ("if", "unless")), None)
    if at is None:
        return None
    terms: list[list[tuple[bool, str, tuple[str, ...] | None]]] = [[]]
    rest = iter(words[at + 1 :])
    for word in rest:
        if word in ("||", "or"):
            terms.append([])
            continue
        plain = word.lstrip("!") or next(rest, "")
        inline = tuple(itertools.takewhile(lambda part: part != "}", rest)) if plain == "{" else None
        terms[-1].append((word.startswith("!"), plain, inline))
    return _Condition(words[at] == "unless", tuple(map(tuple, terms)))


def _meets_acl(section: Section, name: str, request: Request) -> bool | None:
    # One that somebody defines under the name of a predefined one counts.
    found = [_meets(tuple(line.words[2:]), request) for line in section.acl(name)]
    if not found and name.startswith("METH_"):
        return request.method in _METHODS.get(name, ())
    if not found:
        return _PREDEFINED.get(name)
    return True if True in found else None if None in found else False


def _meets(words: tuple[str, ...], request: Request) -> bool | None:
    """Whether a request meets a criterion: a sample, flags, and values of which one has to fit."""
    criterion = _read_criterion(words)
    if criterion is None:
        return None
    name, argument, converters, way, nocase, texts = criterion
    if name in ("ssl_fc", "always_true", "always_false") and not converters:
        return request.tls if name == "ssl_fc" else name == "always_true"
    if name in ("dst_port", "fc_dst_port") and not converters and not way:
        return _compare_number(request.port, texts)
    base, _line, method = name.partition("_")
    if request.answered and base in _GONE:  # HAProxy warns of it: "will never match"
        return False
    if base in ("hdr", "fhdr") and argument == "host":
        if not request.host:  # what is for a name is not for this one; what is for a part of names may be
            return False if request.host is not None and _is_of_others(way or method, texts) else None
        text: str | None = request.host.partition(":")[0] if _HOST_ONLY.search(converters) else request.host
        converters = _HOST_ONLY.sub("", converters)
    elif base in ("hdr", "fhdr"):
        text = _read_header(argument, request)
        method = "dom" if argument == "connection" and not method else method
    else:
        text = _read_target("urlp" if name == "url_param" else base, argument, request)
        method = "" if name == "url_param" else method
    if text is None or not _SAME.fullmatch(converters):
        return None
    if not text:  # what a request does not have is like nothing
        return False
    # Methods are compared as they are (pat_match_meth).
    return compare(way or method, text, texts, (nocase and base != "method") or ",lower" in converters)


def _is_of_others(way: str, names: list[str]) -> bool:
    """Whether names are those of other sites: of the domains that "dom" takes, too, one may be the site's own."""
    return way in ("", "str") or (way == "dom" and all(name.strip(".").count(".") > 1 for name in names))


def _read_header(name: str, request: Request) -> str | None:
    return {"upgrade": request.upgrade, "connection": "Upgrade" if request.upgrade else "keep-alive"}.get(name)


def _read_target(sample: str, argument: str, request: Request) -> str | None:
    """What a sample of the request's line is; ``None`` for one that is not known."""
    whole = f"{PATH}?{request.query}"
    if sample == "urlp":
        return {"eio": "4", "sid": "", "transport": request.upgrade or "polling"}.get(argument)
    if sample == "base":
        return f"{request.host}{PATH}" if request.host else None
    known = {"path": PATH, "pathq": whole, "url": whole, "query": request.query, "method": request.method}
    return known.get(sample)


def _compare_number(number: int, values: list[str]) -> bool | None:
    order, rest = (values[0], values[1:]) if values[:1] and values[0] in _ORDERS else ("eq", values)
    tests = {"eq": "__eq__", "gt": "__gt__", "ge": "__ge__", "lt": "__lt__", "le": "__le__"}
    found = False
    for value in rest:
        first, colon, last = value.partition(":")
        if not re.fullmatch(r"\d*:?\d*", value) or not value.strip(":"):
            return None
        if colon:
            found = found or (int(first or 0) <= number <= int(last or 65535))
        else:
            found = found or bool(getattr(number, tests[order])(int(value)))
    return found if rest else None


@functools.lru_cache(maxsize=16384)
def _read_criterion(words: tuple[str, ...]) -> tuple[str, str, str, str, bool, list[str]] | None:
    """Sample, its argument and converters; the way of comparing, whether without case, and the values.

    :returns: ``None`` for what is not understood, and for values that are in a file.
    """
    match = _FETCH.fullmatch(words[0]) if words else None
    if match is None:
        return None
    way, nocase, rest = "", False, iter(words[1:])
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
    return match.group(1).lower(), (match.group(2) or "").lower(), match.group(3), way, nocase, values


def compare(way: str, text: str, values: list[str], nocase: bool) -> bool | None:
    """Whether a text is like one of the values, by a way of comparing (``-m``); ``None``: unknown."""
    if way == "found":
        return bool(text)
    fold = str.lower if nocase else str
    one, several = fold(text), [fold(value) for value in values]
    if way in ("", "str"):
        return one in several
    tests = {
        "beg": one.startswith,
        "end": one.endswith,
        "sub": lambda value: value in one,
        "dir": lambda value: f"/{value.strip('/')}/" in f"/{one.strip('/')}/",
        "dom": lambda value: bool(re.search(rf"(?:^|[./?:]){re.escape(value.strip('./?:'))}(?:$|[./?:])", one)),
    }
    if way == "reg":
        matched = [patterns.fits(value, text, nocase) for value in values]
        return True if True in matched else None if None in matched else False
    return any(map(tests[way], several)) if way in tests else None
