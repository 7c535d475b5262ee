# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Braces in a word of a bash script: ``{a,b}`` and ``{1..3}`` make several words of it."""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._shell.syntax import find_end

_MOST = 200  # words
_MOST_STEPS = 200_000  # characters that are looked at: each brace that does not end is looked for up to the end
UNSURE = "\x00"  # words.UNKNOWN


class _TooMuch(Exception):
    """Nobody writes that."""


def expand_braces(word: str) -> list[str]:
    """The raw words that a raw word stands for: itself where nothing in it is expanded (bash(1), "Brace Expansion")."""
    if "{" not in word or not ("," in word or ".." in word):
        return [word]
    try:
        return _expand(word, [_MOST_STEPS])
    except (_TooMuch, RecursionError):
        return [UNSURE]


def _expand(word: str, left: list[int]) -> list[str]:
    """What comes out of braces is not looked at again.

    :param left: how many characters may be looked at yet.
    """
    at = 0
    while at < len(word):
        if word[at] != "{":
            at = find_end(word, at)
            continue
        parts, end = _read_items(word, at + 1)
        left[0] -= (end or len(word)) - at
        if left[0] < 0:
            raise _TooMuch
        if len(parts) > 1:
            items = [item for part in parts for item in _expand(part, left)]
        else:
            items = _count(parts[0]) if parts else []
        if items:
            rests = _expand(word[end:], left)
            if len(items) * len(rests) > _MOST:
                raise _TooMuch
            return [word[:at] + item + rest for item in items for rest in rests]
        at += 1
    return [word]


def _read_items(word: str, at: int) -> tuple[list[str], int]:
    """What stands between commas up to the closing brace, and where that ends; nothing where it does not."""
    items, depth, start = [], 0, at
    while at < len(word):
        if word[at] in "{}," and (depth or word[at] != "{"):
            if depth == 0:
                items.append(word[start:at])
                start = at + 1
                if word[at] == "}":
                    return items, at + 1
            depth += {"{": 1, "}": -1}.get(word[at], 0)
        elif word[at] == "{":
            depth += 1
        at = at + 1 if word[at] in "{}," else find_end(word, at)
    return [], 0


def _count(text: str) -> list[str]:
    """The numbers or letters of ``1..3``, ``01..10`` or ``a..e..2``."""
    match = re.fullmatch(r"(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])(?:\.\.(-?\d{1,4}))?", text)
    if match is None or match[1].isalpha() != match[2].isalpha():
        return []
    letters = match[1].isalpha()
    first, last = (ord(match[1]), ord(match[2])) if letters else (int(match[1]), int(match[2]))
    step = abs(int(match[3] or 1)) or 1
    if abs(last - first) // step >= _MOST:
        raise _TooMuch
    padded = not letters and re.match(r"-?0\d|.*\.\.-?0\d", f"{match[1]}..{match[2]}")
    width = max(len(match[1]), len(match[2])) if padded else 0
    numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [chr(number) if letters else str(number).zfill(width) for number in numbers]
