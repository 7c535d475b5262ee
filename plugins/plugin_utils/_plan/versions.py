# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of programs as numbers."""

from __future__ import annotations

import re


def parse_version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: "10.1.34" is (10, 1, 34). Empty where there is none, so lower than any."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", text)
    return tuple(int(item) for item in found.group().split(".")) if found else ()
