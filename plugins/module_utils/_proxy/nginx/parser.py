# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's configuration language as a tree, includes followed.

The grammar is that of ``ngx_conf_file.c``: words in blanks, single or double quotes; ``;`` ends a directive, ``{``
opens a block; ``#`` starts a comment at the start of a word. Nothing here raises: what is odd becomes a note.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import MAX_DEPTH, Directive, ParsedConfig


@dataclass
class NginxConfig(ParsedConfig):
    """nginx's whole configuration."""

    directives: list[Directive] = field(default_factory=list)


@dataclass
class _Token:
    text: str
    line: int
    mark: bool = False  # one of ; { }


_WORD = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|""", re.DOTALL)
_BARE = re.compile(r"(?:\$\{[^}\s]*\}|\\.|[^\s;{}\\])+", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LUA = re.compile(
    r"""(?:--)?\[(=*)\[.*?\]\1\]|--[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[{}]""",
    re.DOTALL,
)


def _unquote(text: str) -> str:
    simple = {"n": "\n", "t": "\t", "r": "\r"}
    return _ESCAPE.sub(lambda found: simple.get(found[1], found[1] if found[1] in "\"'\\ ;{}" else found[0]), text)


def _skip_lua(text: str, at: int) -> int:
    # As the Lua module's own scanner does: braces in strings and comments are none.
    depth = 0
    for found in _LUA.finditer(text, at):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0 and found[0] == "}":
            return found.end()
    return len(text)


def tokens(text: str) -> Iterator[_Token]:
    """The words and marks of a file."""
    at, line, name = 0, 1, ""  # name: the directive that is being read
    while at < len(text):
        char = text[at]
        if char.isspace():
            line += char == "\n"
            at += 1
        elif char == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif char == "{" and name.endswith("_by_lua_block"):
            end = _skip_lua(text, at)
            yield _Token(";", line, True)
            line += text.count("\n", at, end)
            at, name = end, ""
        elif char in ";{}":
            yield _Token(char, line, True)
            at, name = at + 1, ""
        else:
            found = _WORD.match(text, at) if char in "\"'" else None
            quoted = bool(found and found.group())
            match = found if found and quoted else _BARE.match(text, at)
            if not match:  # a lone quote or backslash
                at += 1
                continue
            raw = match.group()
            word = _unquote(raw[1:-1]) if quoted else _unquote(raw)
            name = name or word
            yield _Token(word, line)
            line += raw.count("\n")
            at = match.end()


class _Parser:
    def __init__(self, prefix: str, locate: Callable[[str], str]) -> None:
        self.prefix = prefix  # relative includes start here: the main file's directory
        self.locate = locate
        self.config = NginxConfig()

    def file(self, path: str, depth: int) -> list[Directive]:
        text = self.config.read(path, depth)
        if text is None:
            return []
        stream = list(tokens(text))
        found, rest = self.block(stream, 0, path, depth, 0)
        while rest < len(stream):  # a closing brace too many
            self.config.notes.append(f"{path}:{stream[rest].line}: unexpected }}.")
            more, rest = self.block(stream, rest + 1, path, depth, 0)
            found += more
        return found

    def block(self, stream: list[_Token], at: int, path: str, depth: int, nesting: int) -> tuple[list[Directive], int]:
        found: list[Directive] = []
        words: list[_Token] = []
        while at < len(stream):
            token = stream[at]
            if not token.mark:
                words.append(token)
            elif token.text == "}":
                break
            elif token.text == ";":
                found += self.directive(words, path, depth)
                words = []
            elif nesting > MAX_DEPTH:
                self.config.notes.append(f"{path}:{token.line}: too many nested blocks; not read.")
                return found, len(stream)
            else:
                inner, at = self.block(stream, at + 1, path, depth, nesting + 1)
                line = words[0].line if words else token.line
                name = words[0].text if words else ""
                found.append(Directive(name, [word.text for word in words[1:]], path, line, inner))
                words = []
            at += 1
        if words:
            self.config.notes.append(f"{path}:{words[0].line}: {words[0].text} is not ended by a semicolon.")
        return found, at

    def directive(self, words: list[_Token], path: str, depth: int) -> list[Directive]:
        if not words:
            return []
        item = Directive(words[0].text, [word.text for word in words[1:]], path, words[0].line)
        if item.name != "include" or not item.args:
            return [item]
        pattern = self.locate(os.path.join(self.prefix, item.args[0]))
        if not glob.has_magic(pattern):
            return [item, *self.file(pattern, depth + 1)]
        found = [item]
        for name in self.config.find_files(pattern):
            found += self.file(name, depth + 1)
        return found


def parse(path: str, locate: Callable[[str], str] = str) -> NginxConfig:
    """A main configuration file and all that it includes.

    :param locate: turns a path that the configuration names into the path to open (for another root directory).
    """
    parser = _Parser(os.path.dirname(path), locate)
    parser.config.directives = parser.file(path, 0)
    return parser.config


def walk(directives: list[Directive], *names: str) -> Iterator[Directive]:
    """All directives of these names at any depth."""
    for item in directives:
        if item.name in names:
            yield item
        if item.block:
            yield from walk(item.block, *names)


def seconds(text: str, default: float = 0.0) -> float:
    """A time of nginx ("86400s", "1h 30m", "500ms", "60") in seconds."""
    units = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
    found = re.findall(r"(\d+)(ms|[smhdwMy]?)", text)
    return float(sum(int(number) * units[unit] for number, unit in found)) if found else default
