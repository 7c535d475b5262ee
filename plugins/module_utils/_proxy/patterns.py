# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Regular expressions of the servers, which are PCRE's; what Python's cannot tell is said as unknown."""

from __future__ import annotations

import re
import warnings

_NAMED = re.compile(r"\(\?<(?=\w+>)")


def compile_pattern(text: str, nocase: bool = False) -> re.Pattern[str] | None:
    """A pattern as Python has it; ``None`` where it means something else there, or nothing."""
    if "[[" in text:  # classes of POSIX: Python takes them for letters
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as a flag in the middle, which is for all of it
            return re.compile(_NAMED.sub("(?P<", text), re.IGNORECASE if nocase else 0)
    except (re.error, Warning, OverflowError, RecursionError):
        return None


def fits(pattern: str, text: str, nocase: bool = False) -> bool | None:
    """Whether a pattern is found in a text; ``None`` where that cannot be told."""
    found = compile_pattern(pattern, nocase)
    return None if found is None else bool(found.search(text))
