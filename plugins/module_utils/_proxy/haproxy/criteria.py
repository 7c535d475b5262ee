# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What conditions of HAProxy come to for a request of RTC. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import Section

PATH = "/socket.io/"
_FETCH = re.compile(r"(?:req\.|req_)?(\w+)(?:\((\w[\w-]*)[^)]*\))?(.*)")
_HOST_ONLY = re.compile(r",\s*(?:field\(1,:\)|host_only|word\(1,:\))")
_SAME = re.compile(r"(?:,(?:url_dec|lower))*")  # converters that leave RTC's path and query as they are
_METHODS = {"METH_GET": ("GET", "HEAD"), "METH_POST": ("POST",)}
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

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return f"EIO=4&transport={self.upgrade or 'polling'}"


def list_requests(host: str, port: int, tls: bool) -> list[Request]:
    """Polling by GET and by POST, and last a WebSocket."""
    return [
        Request(host, port, tls),
        Request(host, port, tls, method="POST"),
        Request(host, port, tls, upgrade="websocket"),
    ]


def holds(section: Section, words: list[str], request: Request) -> bool | None:
    """Whether a condition holds, from its ``if`` or ``unless`` on; ``None`` for unknown.

    :param section: that the line stands in: names of ACLs are its own.
    """
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


def _meets_acl(section: Section, name: str, request: Request) -> bool | None:
    # One that somebody defines under the name of a predefined one counts.
    found = [_meets(line.words[2:], request) for line in section.all("acl") if line.words[1:2] == [name]]
    if not found and name.startswith("METH_"):
        return request.method in _METHODS.get(name, ())
    if not found:
        return _PREDEFINED.get(name)
    return True if True in found else None if None in found else False


def _meets(words: list[str], request: Request) -> bool | None:
    """Whether a request meets a criterion: a sample, flags, and values of which one has to fit."""
    match = _FETCH.fullmatch(words[0]) if words else None
    if match is None:
        return None
    name, argument, converters = match.group(1).lower(), (match.group(2) or "").lower(), match.group(3)
    if name in ("ssl_fc", "always_true", "always_false") and not converters:
        return request.tls if name == "ssl_fc" else name == "always_true"
    values = _read_values(words[1:])
    if values is None:
        return None
    way, nocase, texts = values
    if name in ("dst_port", "fc_dst_port") and not converters and not way:
        return _compare_number(request.port, texts)
    base, _line, method = name.partition("_")
    if base in ("hdr", "fhdr") and argument == "host":
        if not request.host:  # what is for a name is not for this one; what is for a part of names may be
            return False if request.host is not None and (way or method) in ("", "str", "dom") else None
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
    return _compare(way or method, text, texts, nocase or ",lower" in converters)


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
    }
    if way == "reg":
        matched = [patterns.fits(value, text, nocase) for value in values]
        return True if True in matched else None if None in matched else False
    return any(map(tests[way], several)) if way in tests else None
