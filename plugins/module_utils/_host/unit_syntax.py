# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How systemd reads units and environment files: lines, words, quotes. A shell does it otherwise.

Rules: systemd.syntax(7), systemd.exec(5), and the code of 252 where these are silent (``config_parse``,
``extract_first_word``, ``parse_env_file_internal``).
"""

from __future__ import annotations

import re

_LINE_END = re.compile("\r\n|[\n\r\0]")
_BLANKS = " \t\n\r"
_UNQUOTED = re.compile(r"(?:\\.|[^\\\n\r])*", re.DOTALL)  # a comment, or a value, with the lines that it goes on in
_QUOTED = re.compile(r'(?:\\.|[^\\"])*', re.DOTALL)
_TO_EQUALS, _TO_LINE_END = re.compile(r"(.[^=\n\r]*)="), re.compile(r"[^\n\r]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})|(.))|\\\Z", re.DOTALL)
_SIGNS = {**dict(zip("abfnrtvs", "\a\b\f\n\r\t\v ")), **{sign: sign for sign in "\\\"'"}}


class _WrongError(ValueError):
    """systemd refuses it."""


def settings(text: str, section: str = "Service") -> list[tuple[str, str]]:
    """The settings of a section of a unit, in order, continued lines joined.

    A comment does not go on, and may stand between lines that do.
    """
    found = []
    here = begun = ""
    for raw in _LINE_END.split(text[1:] if text[:1] == "\ufeff" else text):
        if raw.lstrip(_BLANKS)[:1] in ("#", ";"):
            continue
        line = begun + raw
        if (len(line) - len(line.rstrip("\\"))) % 2:
            begun = line[:-1] + " "
            continue
        begun, line = "", line.strip(_BLANKS)
        if line.startswith("[") and line.endswith("]"):
            here = line[1:-1]
        elif here == section and line:
            key, _equals, value = line.partition("=")
            found.append((key.strip(_BLANKS), value.strip(_BLANKS)))
    return found


def split_words(text: str, lenient: bool = False) -> tuple[list[str], bool]:
    """The words of a setting, and whether all of it could be read: of what follows a mistake nothing counts.

    :param lenient: an unknown escape stays as it is, as in ``ExecStart=``; else it is a mistake.
    """
    words: list[str] = []
    at = 0
    try:
        while True:
            while at < len(text) and text[at] in _BLANKS:
                at += 1
            if at == len(text):
                return words, True
            word, at = _read_word(text, at, lenient)
            words.append(word)
    except _WrongError:
        return words, False


def _read_word(text: str, at: int, lenient: bool) -> tuple[str, int]:
    out: list[str] = []
    quote = ""
    while at < len(text) and (quote or text[at] not in _BLANKS):
        char = text[at]
        if char == "\\":
            piece, at = _read_escape(text, at, lenient)
            out.append(piece)
            continue
        if char == quote:
            quote = ""
        elif not quote and char in "\"'":
            quote = char
        else:
            out.append(char)
        at += 1
    if quote:
        raise _WrongError
    return "".join(out), at


def _read_escape(text: str, at: int, lenient: bool) -> tuple[str, int]:
    match = _ESCAPE.match(text, at)
    if match is None or match[0] == "\\":
        if lenient:
            return "\\", at + 1
        raise _WrongError
    if match[5]:
        if match[5] not in _SIGNS and not lenient:
            raise _WrongError
        return _SIGNS.get(match[5], match[0]), match.end()
    code = int(match[4], 8) if match[4] else int(match[1] or match[2] or match[3], 16)
    if not 0 < code < 0x110000:
        if lenient:
            return "\\", at + 1
        raise _WrongError
    return chr(code), match.end()


def parse_environment_line(text: str) -> dict[str, str]:
    """The variables of a line ``Environment=``: words ``NAME=value``; what is none of these counts for nothing."""
    pairs = (word.partition("=") for word in split_words(text)[0])
    return {name: value for name, equals, value in pairs if equals and _NAME.fullmatch(name)}


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables of a file of ``EnvironmentFile=``. A value in quotes may have several lines."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        while at < len(text) and text[at] in _BLANKS:
            at += 1
        if text[at : at + 1] in ("#", ";"):
            at = _UNQUOTED.match(text, at).end()  # type: ignore[union-attr]
            continue
        match = _TO_EQUALS.match(text, at)
        if match is None:
            at = _TO_LINE_END.match(text, at).end() + 1  # type: ignore[union-attr] # it matches everything
            continue
        value, at = _read_value(text, match.end())
        name = match[1].strip(_BLANKS)
        if _NAME.fullmatch(name):
            found[name] = value
    return found


def _read_value(text: str, at: int) -> tuple[str, int]:
    """A value and where it ends: pieces in quotes and, at last, one without, which has quotes as they are."""
    out: list[str] = []
    while at < len(text) and text[at] not in "\n\r":
        char = text[at]
        if char == "'":
            end = text.find("'", at + 1)
            end = len(text) if end < 0 else end
            out.append(text[at + 1 : end])
            at = end + 1
        elif char == '"':
            match = _QUOTED.match(text, at + 1)
            out.append(re.sub(r"\\(.)", _replace_in_quotes, match[0], flags=re.DOTALL))  # type: ignore[index]
            at = match.end() + 1  # type: ignore[union-attr] # it matches everything
        elif char in _BLANKS:
            at += 1
        else:
            match = _UNQUOTED.match(text, at)
            end = match.end()  # type: ignore[union-attr] # it matches everything
            out.append(re.sub(r"\\(.)", lambda found: found[1].strip("\n\r"), _cut_end(text[at:end]), flags=re.DOTALL))
            return "".join(out), len(text) if text[end:] == "\\" else end
    return "".join(out), at


def _cut_end(raw: str) -> str:
    """Without the blanks at the end, but for one that an escape made."""
    cut = raw.rstrip(" \t")
    escapes = (len(cut) - len(cut.rstrip("\\"))) % 2
    return raw[: len(cut) + escapes]


def _replace_in_quotes(match: re.Match[str]) -> str:
    return match[1] if match[1] in '"\\`$' else "" if match[1] == "\n" else match[0]
