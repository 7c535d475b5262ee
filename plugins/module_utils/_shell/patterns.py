# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Patterns and regular expressions of a shell, in time that does not explode: whoever wrote the script chose them.

``fnmatch`` as a whole is not used: before Python 3.9 a pattern with ten stars takes for ever.
"""

from __future__ import annotations

import fnmatch
import re

_TOKEN = re.compile(r"\[!?\]?[^\]]*\]|\*|.", re.DOTALL)
_LONGEST = 4096  # characters of a pattern
# Of a regular expression: what makes each further character cost double (an option, a group with a choice), and what
# makes it cost the length of the text.
_DOUBLING = re.compile(r"\?|\([^()|]*\|")
_REPEATING = re.compile(r"[*+{]")
_MOST_DOUBLING, _MOST_REPEATING, _MOST_SEARCHED = 4, 2, 400


def matches(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern of ``fnmatch``: what is between stars is taken where it comes first."""
    if len(pattern) > _LONGEST:
        return text == pattern
    pieces: list[list[str]] = [[]]
    for token in _TOKEN.findall(pattern):
        if token == "*":  # noqa: S105 - no secret
            pieces.append([])
        else:
            pieces[-1].append(token)
    try:
        # Without the end that fnmatch gives them. Each has one length.
        fixed = [re.compile(fnmatch.translate("".join(piece))[:-2]) for piece in pieces]
    except re.error:
        return text == pattern
    begin = fixed[0].match(text)
    if begin is None or len(pieces) == 1:
        return begin is not None and begin.end() == len(text)
    at = begin.end()
    for piece in fixed[1:-1]:
        found = piece.search(text, at)
        if found is None:
            return False
        at = found.end()
    last = len(text) - len(pieces[-1])
    return last >= at and fixed[-1].match(text, last) is not None


def search(pattern: str, text: str) -> bool | None:
    """Whether a regular expression of the shell is in a text; ``None`` for one that is not sure to end soon."""
    slow = re.search(r"\)[*+{]", pattern) or len(pattern) + len(text) > _MOST_SEARCHED
    slow = slow or len(_DOUBLING.findall(pattern)) > _MOST_DOUBLING
    if slow or "[[" in pattern or len(_REPEATING.findall(pattern)) > _MOST_REPEATING:
        return None
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return None
