# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arithmetic of a shell script (``$(( ))``, ``(( ))``, ``let``), as far as it can be known without running it."""

from __future__ import annotations

import operator
import re
from typing import Callable, Optional

Get = Callable[[str], Optional[str]]
Set = Callable[[str, Optional[int]], None]

_TOKEN = re.compile(
    r"\s*(0[xX][0-9a-fA-F]+|\d+|[A-Za-z_]\w*|<<=|>>=|\*\*|\+\+|--|&&|\|\||<=|>=|==|!=|<<|>>|[-+*/%&|^]=|[-+*/%<>=!~&|^()])"
)
# Names whose values change: "n++", "++n", "n = 2", "n += 2", an element of an array.
_CHANGED = re.compile(
    r"([A-Za-z_]\w*)(?:\[[^]]*\])?\s*(?:\+\+|--|(?:<<|>>|[-+*/%&|^])?=(?!=))|(?:\+\+|--)\s*([A-Za-z_]\w*)"
)
# From the loosest to the tightest, as in C (bash(1), "ARITHMETIC EVALUATION").
_LEVELS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"||": lambda one, two: int(bool(one or two))},
    {"&&": lambda one, two: int(bool(one and two))},
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": lambda one, two: int(one / two), "%": lambda one, two: one - two * int(one / two)},
)
_LARGEST = 1 << 52  # what the division above has no error for; counters are smaller


class _OddError(ValueError):
    """Not understood here, or not known."""


def calculate(text: str, get: Get, put: Set) -> int | None:
    """The value of an expression, ``None`` for unknown; then the variables that it changes are unknown too.

    :param get: the value of a variable, ``None`` where it is not set.
    :param put: sets a variable, ``None`` for unknown.
    """
    changed = dict.fromkeys(one or two for one, two in _CHANGED.findall(text))
    try:
        if changed and re.search(r"&&|\|\||,", text):  # perhaps it is not come to
            raise _OddError
        return _Expression(text, get, put).read() if text.strip() else 0
    except (_OddError, ZeroDivisionError, RecursionError):
        for name in changed:
            put(name, None)
        return None


class _Expression:
    def __init__(self, text: str, get: Get, put: Set) -> None:
        self.get, self.put, self.at = get, put, 0
        self.tokens: list[str] = []
        text = text.strip()
        while text:
            match = _TOKEN.match(text)
            if match is None:
                raise _OddError
            self.tokens.append(match[1])
            text = text[match.end() :].lstrip()

    def read(self) -> int:
        value = self._assignment()
        if self.at < len(self.tokens):
            raise _OddError
        return value

    def _peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def _assignment(self) -> int:
        name, sign = self._peek(), self._peek(1)
        if not _is_name(name) or sign not in ("=", "+=", "-=", "*=", "/=", "%="):
            return self._binary(0)
        self.at += 2
        before = 0 if sign == "=" else self._value_of(name)
        value = self._assignment()
        return self._assign(name, value if sign == "=" else _apply(sign[0], before, value))

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        value = self._binary(level + 1)
        while self._peek() in _LEVELS[level]:
            value = _apply(self._next(), value, self._binary(level + 1))
        return value

    def _unary(self) -> int:
        sign = self._next()
        if sign in ("++", "--") and _is_name(self._peek()):
            name = self._next()
            return self._assign(name, self._value_of(name) + (1 if sign == "++" else -1))
        if sign in ("-", "+", "!", "~"):
            value = self._unary()
            return {"-": -value, "+": value, "!": int(not value), "~": ~value}[sign]
        if sign == "(":
            value = self._assignment()
            if self._next() != ")":
                raise _OddError
            return value
        if not _is_name(sign):
            return _read_number(sign)
        value = self._value_of(sign)
        if self._peek() in ("++", "--"):
            self._assign(sign, value + (1 if self._next() == "++" else -1))
        return value

    def _assign(self, name: str, value: int) -> int:
        self.put(name, value)
        return value

    def _value_of(self, name: str) -> int:
        text = (self.get(name) or "").strip()
        sign = -1 if text[:1] == "-" else 1
        return sign * _read_number(text.lstrip("-")) if text else 0


def _apply(sign: str, one: int, two: int) -> int:
    found = next(level[sign] for level in _LEVELS if sign in level)(one, two)
    if abs(found) > _LARGEST:
        raise _OddError
    return int(found)


def _is_name(token: str) -> bool:
    return token[:1].isalpha() or token[:1] == "_"


def _read_number(text: str) -> int:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,12}|\d{1,15}", text):
        raise _OddError
    try:
        return int(text, 16) if text[1:2] in ("x", "X") else int(text, 8 if text[0] == "0" else 10)
    except ValueError:  # 08
        raise _OddError from None
