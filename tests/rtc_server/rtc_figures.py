# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the long-running tests counted; conftest prints it at the end, also from several workers."""

from __future__ import annotations

from collections import Counter

FIGURES: Counter[str] = Counter()

ORDER = (
    "histories",
    "kills in histories",
    "kills",
    "acknowledged",
    "lost",
    "duplicated",
    "inputs fuzzed",
    "crashes",
)


def line(figures: Counter[str]) -> str:
    """The figures in one line."""
    return ", ".join(f"{name} {figures[name]}" for name in ORDER)
