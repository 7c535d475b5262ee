# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's configuration as sections of lines.

Words as section 2.2 of its configuration manual says: blanks part them, a backslash escapes, single quotes keep everything,
double quotes keep all but backslashes and ``${VARIABLE}``; ``#`` starts a comment. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

_SECTIONS = {
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "mailers",
    "resolvers",
    "program",
    "ring",
    "cache",
    "http-errors",
    "fcgi-app",
    "log-forward",
    "crt-list",
    "crt-store",
    "log-profile",
    "traces",
    "acme",
    "namespace_list",
}
_PROXIES = {"frontend", "backend", "listen"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


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

    def all(self, *keywords: str, inherit: bool = True) -> Iterator[Line]:
        """The lines that begin with these words, those of its defaults first."""
        if inherit and self.inherited is not None:
            yield from self.inherited.all(*keywords)
        size = len(keywords)
        for item in self.lines:
            if tuple(item.words[:size]) == keywords:
                yield item

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
class Tree:
    """A whole configuration."""

    sections: list[Section] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def named(self, name: str) -> Section | None:
        """A backend (or listen section) by its name."""
        return next((item for item in self.sections if item.name == name and item.kind in ("backend", "listen")), None)


def words(text: str, environment: dict[str, str]) -> list[str]:
    """The words of a line."""
    found: list[str] = []
    current: str | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        if quote == "'":
            quote, current = ("", current) if char == "'" else (quote, (current or "") + char)
        elif char == "\\" and at + 1 < len(text):
            at += 1
            current = (current or "") + _ESCAPES.get(text[at], text[at])
        elif quote == '"' and char == '"':
            quote = ""
        elif char == "$" and quote == '"' and (match := re.match(r"\$\{?(\w+)\}?", text[at:])):
            current = (current or "") + environment.get(match.group(1), match.group())
            at += len(match.group()) - 1
        elif quote:
            current = (current or "") + char
        elif char in "\"'":
            quote, current = char, current or ""
        elif char == "#":
            break
        elif char.isspace():
            if current is not None:
                found.append(current)
            current = None
        else:
            current = (current or "") + char
        at += 1
    if current is not None:
        found.append(current)
    return found


def parse(paths: list[str], environment: dict[str, str] | None = None) -> Tree:
    """Several files, in order, as with several ``-f``: ``defaults`` hold beyond the end of their file."""
    tree = Tree()
    defaults: Section | None = None
    named: dict[str, Section] = {}
    for path in paths:
        try:
            text = _files.read_bytes(path, 8 * 1024 * 1024).decode("utf-8", "surrogateescape")
        except RtcError as exc:
            tree.notes.append(exc.message)
            continue
        tree.files.append(path)
        current: Section | None = None
        for number, raw in enumerate(text.replace("\ufeff", "").splitlines(), 1):
            line = words(raw, environment or {})
            if not line:
                continue
            if line[0] in _SECTIONS:
                current = _section(line, path, number, defaults, named)
                tree.sections.append(current)
                if current.kind == "defaults":
                    defaults = current
                    named[current.name] = current
            elif line[0].startswith("."):
                tree.notes.append(
                    f"{path}:{number}: conditions ({' '.join(line)}) are not decided; all branches are read."
                )
            elif current is not None:
                current.lines.append(Line(line, path, number))
            else:
                tree.notes.append(f"{path}:{number}: {line[0]} stands in no section.")
    return tree


def _section(line: list[str], path: str, number: int, defaults: Section | None, named: dict[str, Section]) -> Section:
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
    """A time of HAProxy ("50000" is milliseconds; "1h", "30s") in seconds; 0 for none."""
    match = re.fullmatch(r"(\d+)(us|ms|s|m|h|d)?", text)
    if not match:
        return 0.0
    units = {"us": 0.000001, "ms": 0.001, None: 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return int(match.group(1)) * units[match.group(2)]
