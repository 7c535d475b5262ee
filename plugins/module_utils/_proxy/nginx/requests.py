# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nginx's variables, maps and conditions come to for a request of RTC. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._facts import VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import patterns
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rtc_requests import KINDS, PATH, make_query

_MAX_DEPTH = 4  # of maps that read maps
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class UnknownError(LookupError):
    """A value that reading does not tell; its only argument says which."""


@dataclass
class Request:
    """What a request brings, as values of nginx's variables."""

    values: dict[str, str]
    maps: list[Directive] = field(default_factory=list)

    def compute(self, text: str, depth: int = 0) -> str:
        """A text with its variables replaced.

        :raises UnknownError: a variable is not known.
        """

        def replace(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if name in self.values:
                return self.values[name]
            item = next((item for item in reversed(self.maps) if item.args[1:] == ["$" + name]), None)
            if item is None or depth > _MAX_DEPTH:
                raise UnknownError(found[0])
            return self.compute(_map(self.compute(item.args[0], depth + 1), item), depth + 1)

        return _VARIABLE.sub(replace, text)

    def decide(self, condition: Directive) -> bool | None:
        """Whether the condition of an ``if`` holds (``ngx_http_rewrite_if_condition``); ``None`` for unknown."""
        words = _list_words(condition.args)
        try:
            value = self.compute(words[0]) if words and words[0].startswith("$") else None
            if value is None or len(words) == 2:
                return None  # whether a file is there
            if len(words) == 1:
                return value not in ("", "0")
            sign, wanted = words[1], " ".join(words[2:])
            if sign in ("=", "!="):
                return (value == self.compute(wanted)) == (sign == "=")
            fits = patterns.fits(wanted, value, "*" in sign)
            return None if fits is None or "~" not in sign else fits != sign.startswith("!")
        except UnknownError:
            return None


def list_requests(host: VirtualHost, maps: Iterable[Directive]) -> list[Request]:
    """What a client of RTC asks with: polling by GET and by POST, and last for a WebSocket."""
    schemes = {"https" if item.tls else "http" for item in host.listens}
    ports = {item.port for item in host.listens if not item.last_port}
    names = [name for name in host.names if not re.search(r"[*~]|^\.|^_$|^$", name)]
    there = list(maps)
    known = {"uri": PATH, "document_uri": PATH, "server_protocol": "HTTP/1.1", "is_args": "?", "arg_EIO": "4"}
    known.update({"arg_sid": "", "http_x_http_method_override": ""})
    if len(schemes) == 1:
        scheme = schemes.pop()
        known.update({"scheme": scheme, "https": "on" if scheme == "https" else ""})
    if len(ports) == 1:
        known["server_port"] = str(next(iter(ports)))
    if len(names) == 1 and len(host.names) == 1:
        known["host"] = names[0].lower()
        port = known.get("server_port", "")
        if "scheme" in known:  # the page is another port of the same name, and as safe as RTC is
            known["http_origin"] = f"{known['scheme']}://{known['host']}"
        if port and "scheme" in known:
            usual = port == {"https": "443", "http": "80"}[known["scheme"]]
            known["http_host"] = known["host"] if usual else f"{known['host']}:{port}"
    found = []
    for method, transport in KINDS:
        query = make_query(transport)
        socket = transport == "websocket"
        more = {"request_method": method, "args": query, "query_string": query, "arg_transport": transport}
        more.update({"request_uri": f"{PATH}?{query}", "http_upgrade": "websocket" if socket else ""})
        more["http_connection"] = "keep-alive, Upgrade" if socket else "keep-alive"  # as Firefox says it
        found.append(Request({**known, **more}, there))
    return found


def _list_words(args: list[str]) -> list[str]:
    """The words between the brackets of an ``if``: they may stand close or not."""
    words = list(args)
    if words and words[0].startswith("("):
        words = [words[0][1:], *words[1:]] if words[0] != "(" else words[1:]
    if words and words[-1] == ")":
        return words[:-1]
    return [*words[:-1], words[-1][:-1]] if words and words[-1].endswith(")") else words


def _map(value: str, item: Directive) -> str:
    rows = [(row.name, "".join(row.args)) for row in item.block or []]
    if any(name in ("include", "hostnames") for name, _result in rows):
        raise UnknownError(item.args[-1])
    for key, result in rows:
        plain = key[1:] if key.startswith("\\") else key  # so that "\default" and "\~x" are what they look like
        if plain.lower() == value.lower() and key not in ("default", "volatile"):
            return result
    for key, result in rows:
        if key.startswith("~"):
            fits = patterns.fits(key[2:] if key.startswith("~*") else key[1:], value, key.startswith("~*"))
            if fits is None:
                raise UnknownError(item.args[-1])
            if fits:
                return result
    return next((result for name, result in rows if name == "default"), "")
