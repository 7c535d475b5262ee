# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's configuration as sections of lines.

Words as section 2.2 of its configuration manual says: blanks part them, a backslash escapes, single quotes keep
everything, double quotes keep all but backslashes and ``${VARIABLE}``; ``#`` starts a comment. Nothing here raises.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Dict

from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import ParsedConfig

_SECTIONS = {
    "global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "mailers", "resolvers", "program",
    "ring", "cache", "http-errors", "fcgi-app", "log-forward", "crt-list", "crt-store", "log-profile", "traces",
    "acme", "namespace_list",
}  # fmt: skip
_PROXIES = {"frontend", "backend", "listen"}
# Before another character a backslash stays, as patterns need it (parse_line in tools.c).
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", " ": " ", "\\": "\\", "#": "#", '"': '"', "'": "'", "$": "$"}
# A line is made of these; what stands side by side without a blank is one word. A quote that is not closed ends with
# the line, and a backslash at the end is itself.
_PIECE = re.compile(
    r"""
      (?P<blank>\s+)
    | (?P<comment>\#.*)
    | '(?P<single>[^']*)'?
    | "(?P<double>(?:[^"\\]|\\.)*)"?
    | \\(?P<escaped>x[0-9A-Fa-f]{2}|.)
    | (?P<plain>[^\s\#'"\\]+|\\\Z)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,  # blanks are those of C
)
_VARIABLE = r"\$(?:(\w+)|\{(\w+)(?:-([^}]*))?\})"
_IN_DOUBLE_QUOTES = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)|" + _VARIABLE, re.DOTALL)
# The word of a line that is an address: there HAProxy puts variables in without quotes too (str2sa_range).
_ADDRESSES = {"bind": 1, "server": 2, "server-template": 3}


@dataclass
class Line:
    """One line: its words, the keyword first."""

    words: list[str]
    file: str
    line: int


@dataclass
class Section:
    """A section; ``inherited`` is the ``defaults`` section that holds for it."""

    kind: str
    name: str
    file: str
    line: int
    lines: list[Line] = field(default_factory=list)
    inherited: Section | None = None
    conditional: str = ""  # the place of a condition (``.if``) on which lines of it depend
    _index: dict[str, list[Line]] = field(default_factory=dict, repr=False, compare=False)  # lines by their first word
    _indexed: int = field(default=0, repr=False, compare=False)
    _acls: dict[str, list[Line]] | None = field(default=None, repr=False, compare=False)
    by_address: list[Line] | None = field(
        default=None, repr=False, compare=False
    )  # what asks for "src", once looked for

    def all(self, *keywords: str, inherit: bool = True) -> Iterator[Line]:
        """The lines that begin with these words, those of its defaults first."""
        if inherit and self.inherited is not None:
            yield from self.inherited.all(*keywords)
        size = len(keywords)
        for item in self._list(keywords[0]) if keywords else self.lines:
            if size < 2 or tuple(item.words[:size]) == keywords:
                yield item

    def _list(self, keyword: str) -> list[Line]:
        """The own lines of a keyword: frontends have hundreds, which are looked for again and again."""
        for item in self.lines[self._indexed :]:
            self._index.setdefault(item.words[0], []).append(item)
        self._indexed = len(self.lines)
        return self._index.get(keyword, [])

    def acl(self, name: str) -> list[Line]:
        """The lines of an ACL; those of its defaults first."""
        if self._acls is None:
            self._acls = {}
            for item in (item for item in self.all("acl") if len(item.words) > 1):
                self._acls.setdefault(item.words[1], []).append(item)
        return self._acls.get(name, [])

    def last(self, *keywords: str, inherit: bool = True) -> Line | None:
        """The one that counts."""
        found = list(self.all(*keywords, inherit=inherit))
        return found[-1] if found else None

    def option(self, name: str) -> bool:
        """Whether an ``option`` is on here."""
        on = False
        for item in (self.inherited.lines if self.inherited else []) + self.lines:
            if item.words[:2] == ["option", name]:
                on = True
            elif item.words[:3] == ["no", "option", name]:
                on = False
        return on


@dataclass
class HaproxyConfig(ParsedConfig):
    """HAProxy's whole configuration."""

    sections: list[Section] = field(default_factory=list)

    def setting(self, keyword: str) -> list[str]:
        """The words after a keyword of ``global``, the last one's; none where it is not set."""
        found = [line.words[1:] for item in self.sections if item.kind == "global" for line in item.all(keyword)]
        return found[-1] if found else []

    def named(self, name: str) -> Section | None:
        """A backend (or listen section) by its name."""
        return next((item for item in self.sections if item.name == name and item.kind in ("backend", "listen")), None)


def words(text: str, environment: dict[str, str]) -> list[str]:
    """The words of a line."""
    found: list[str] = []
    word: str | None = None  # None between two words; a pair of quotes alone makes an empty one
    for piece in _PIECE.finditer(text):
        kind = piece.lastgroup or ""
        value = piece[kind]
        if kind == "comment":
            break
        if kind == "blank":
            found += [] if word is None else [word]
            word = None
            continue
        if kind == "double":
            value = substitute(value, environment)
        elif kind == "escaped":
            value = _unescape(value)
        word = (word or "") + value
    return found if word is None else [*found, word]


def substitute(text: str, environment: dict[str, str]) -> str:
    """A text with its escapes and variables replaced, as within double quotes."""
    return _IN_DOUBLE_QUOTES.sub(lambda match: _replace(match, environment), text)


def _unescape(char: str) -> str:
    """What a backslash before a character stands for."""
    return chr(int(char[1:], 16)) if len(char) > 1 else _ESCAPES.get(char, f"\\{char}")


def _replace(match: re.Match[str], environment: dict[str, str]) -> str:
    """What an escape or a variable within double quotes stands for; a variable that is not known stays."""
    char, plain, braced, default = match.groups()
    if char:
        return _unescape(char)
    name = plain or braced
    if name not in environment and (default is not None or not isinstance(environment, ProcessEnvironment)):
        return match[0] if default is None else default
    return environment.get(name, "")


class ProcessEnvironment(Dict[str, str]):
    """All variables of the process that reads the configuration: one that is not there is empty."""


def parse(paths: list[str], environment: dict[str, str] | None = None) -> HaproxyConfig:
    """Several files, in order, as with several ``-f``: ``defaults`` hold beyond the end of their file."""
    config = HaproxyConfig()
    environment = copy.copy(environment or {})
    defaults: Section | None = None
    named: dict[str, Section] = {}
    for path in paths:
        text = config.read(path)
        if text is None:
            continue
        current: Section | None = None
        condition, nested = "", 0
        for number, raw in enumerate(text.split("\n"), 1):  # and at nothing else that Python takes for an end
            line = words(raw, environment)
            if not line:
                continue
            at = _ADDRESSES.get(line[0], len(line))
            line[at : at + 1] = [substitute(word, environment) for word in line[at : at + 1]]
            if line[0] in _SECTIONS:
                current = _open_section(line, path, number, defaults, named)
                current.conditional = condition
                config.sections.append(current)
                if current.kind == "defaults":
                    defaults = current
                    named[current.name] = current
            elif line[0].startswith("."):
                nested += {".if": 1, ".endif": -1}.get(line[0], 0)
                condition = "" if nested <= 0 else condition or f"{path}:{number}"
                config.notes.append(
                    f"{path}:{number}: conditions ({' '.join(line)}) are not decided; all branches are read."
                )
            elif current is not None:
                current.lines.append(Line(line, path, number))
                current.conditional = current.conditional or condition
                if current.kind == "global":
                    _set_variables(line, environment)
            else:
                config.notes.append(f"{path}:{number}: {line[0]} stands in no section.")
    return config


def _set_variables(line: list[str], environment: dict[str, str]) -> None:
    """Configuration Manual, 3.1: from this line on the environment is another."""
    keyword, names = line[0], line[1:]
    if keyword == "setenv" or (keyword == "presetenv" and names and names[0] not in environment):
        environment.update({names[0]: names[1]} if len(names) > 1 else {})
    elif keyword in ("unsetenv", "resetenv"):
        for name in names if keyword == "unsetenv" else set(environment) - set(names):
            environment.pop(name, None)


def _open_section(
    line: list[str], path: str, number: int, defaults: Section | None, named: dict[str, Section]
) -> Section:
    kind, rest = line[0], line[1:]
    source = ""
    if "from" in rest:
        at = rest.index("from")
        source = rest[at + 1] if at + 1 < len(rest) else ""
        rest = rest[:at]
    section = Section(kind, rest[0] if rest else "", path, number)
    if source:
        section.inherited = named.get(source)
    elif kind in _PROXIES:
        section.inherited = defaults
    if kind in ("frontend", "listen") and len(rest) > 1:  # the address on the section's own line, before 2.1
        section.lines.append(Line(["bind", *rest[1:]], path, number))
    return section


def seconds(text: str) -> float:
    """A time of HAProxy ("50000" is milliseconds; "1h", "30s") in seconds; 0 for none. It reads "15min" as "15m"."""
    match = re.match(r"(\d+)(us|ms|s|m|h|d)?", text)
    if not match:
        return 0.0
    units = {"us": 0.000001, "ms": 0.001, None: 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return int(match.group(1)) * units[match.group(2)]
