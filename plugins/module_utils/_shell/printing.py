# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``printf`` makes of its arguments, and ``read`` of a line."""

from __future__ import annotations

import re

from ansible_collections.collab.rtc.plugins.module_utils._shell.syntax import unescape


def split_line(line: str, separators: str, most: int) -> list[str]:
    """A line as ``read`` splits it; the last of ``most`` fields (0: as many as there are) has the rest."""
    blanks = "".join(char for char in separators if char.isspace())
    line = line.strip(blanks) if blanks else line
    if not separators or most == 1:
        return [line]
    sign = re.escape("".join(set(separators) - set(blanks)))
    space = f"[{re.escape(blanks)}]" if blanks else "(?!)"
    border = f"(?:{space}*[{sign}]{space}*|{space}+)" if sign else f"{space}+"
    return [item for item in re.split(border, line, maxsplit=max(0, most - 1)) if item or sign]


def format_printf(layout: str, items: list[str]) -> str | None:
    """What ``printf`` prints, for texts and whole numbers only."""
    parts = re.split(r"%[sdi]", layout)
    if "%" in "".join(parts).replace("%%", ""):
        return None
    out = ""
    while True:
        for at, part in enumerate(parts):
            out += ((items.pop(0) if items else "") if at else "") + unescape(part).replace("%%", "%")
        if not items or len(parts) == 1:
            return out
