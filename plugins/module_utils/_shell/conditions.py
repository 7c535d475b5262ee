# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conditions of a shell script: ``[ ... ]`` and ``[[ ... ]]``, as far as they can be known without running it."""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._shell import patterns
from ansible_collections.collab.rtc.plugins.module_utils._shell.words import UNKNOWN, Words

_FILE_TESTS = ("-e", "-f", "-d", "-r", "-x", "-s", "-h", "-L", "-a")


class Conditions(Words):
    """What a test says; ``None`` for unknown."""

    def evaluate_test(self, items: list[str]) -> bool | None:
        """``[ ... ]``, by the number of arguments as POSIX says; ``None`` for unknown."""
        for operator, neutral in (("-o", False), ("-a", True)):
            at = next((at for at in range(1, len(items) - 1) if items[at] == operator), 0)
            if at and len(items) > 3:
                return _join(self.evaluate_test(items[:at]), self.evaluate_test(items[at + 1 :]), neutral)
        if items[:1] == ["!"] and len(items) > 1:
            inner = self.evaluate_test(items[1:])
            return None if inner is None else not inner
        if len(items) == 3 and items[0] != "(":
            return self._compare(items[0], items[1], items[2])
        if items[:1] == ["("] and items[-1:] == [")"]:
            return self.evaluate_test(items[1:-1])
        if len(items) == 2:
            return self._evaluate_unary(*items)
        return _is_full(items[0]) if len(items) == 1 else False

    def _evaluate_unary(self, operator: str, item: str) -> bool | None:
        if operator in ("-z", "-n"):
            full = _is_full(item)
            return None if full is None else full == (operator == "-n")
        if operator == "-v":
            return item in self.variables or item in self.arrays
        if operator not in _FILE_TESTS or self.exists is None or UNKNOWN in item:
            return None if operator.startswith("-") else False
        path = self.locate(item)
        return None if UNKNOWN in path else self.exists(path)

    def _compare(self, left: str, operator: str, right: str) -> bool | None:
        if UNKNOWN in left or UNKNOWN in right:
            return None
        if operator in ("=", "==", "!="):
            return (left == right) == (operator != "!=")
        numbers = {"-eq": "==", "-ne": "!=", "-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">="}
        if operator in numbers and re.fullmatch(r"-?\d{1,18}", left) and re.fullmatch(r"-?\d{1,18}", right):
            one, two = int(left), int(right)
            return (one < two and operator in ("-lt", "-le", "-ne")) or (
                (one == two and operator in ("-eq", "-le", "-ge")) or (one > two and operator in ("-gt", "-ge", "-ne"))
            )
        return None

    def evaluate_double(self, words: list[str]) -> bool | None:
        """``[[ ... ]]``; words are raw."""
        for operator, neutral in (("||", False), ("&&", True)):
            depth = 0
            for at, word in enumerate(words):
                depth += {"(": 1, ")": -1}.get(word, 0)
                if word == operator and depth == 0:
                    one, two = self.evaluate_double(words[:at]), self.evaluate_double(words[at + 1 :])
                    return _join(one, two, neutral)
        if words[:1] == ["!"]:
            inner = self.evaluate_double(words[1:])
            return None if inner is None else not inner
        if words[:1] == ["("] and words[-1:] == [")"]:
            return self.evaluate_double(words[1:-1])
        if len(words) == 3 and words[1] in ("=", "==", "!="):
            left, pattern = self.expand(words[0]), self.pattern(words[2])
            unsure = UNKNOWN in left or UNKNOWN in pattern
            return None if unsure else patterns.matches(left, pattern) == (words[1] != "!=")
        if words[1:2] == ["=~"]:
            pattern, text = self.expand("".join(words[2:])), self.expand(words[0])
            self.arrays["BASH_REMATCH"] = [self.unknown()]
            self.variables["BASH_REMATCH"] = self.unknown()
            return None if UNKNOWN in pattern + text else patterns.search(pattern, text)
        if len(words) == 3:
            return self._compare(self.expand(words[0]), words[1], self.expand(words[2]))
        return self.evaluate_test([self.expand(word) for word in words]) if len(words) < 3 else None


def _join(one: bool | None, two: bool | None, neutral: bool) -> bool | None:
    """ "and" (``neutral`` true) or "or" of two conditions that may be unknown."""
    if one is (not neutral) or two is (not neutral):
        return not neutral
    return None if one is None or two is None else neutral


def _is_full(text: str) -> bool | None:
    return None if text and not text.replace(UNKNOWN, "") else bool(text)
