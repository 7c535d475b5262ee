# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the long-running tests counted; conftest prints it at the end, also from several workers."""

from __future__ import annotations

from collections import Counter
from typing import Any

FIGURES: Counter[str] = Counter()
HOSTILE: list[dict[str, Any]] = []  # one for each attack: hostile/scenario.py, Result
SOAK: list[str] = []  # lines of soak.py and test_cluster.py

ORDER = (
    "histories",
    "kills in histories",
    "kills",
    "acknowledged",
    "lost",
    "duplicated",
    "inputs fuzzed",
    "crashes",
    "attacks",
    "outlived",
)

# Heading, field of a Result, and how it is written.
_COLUMNS = (
    ("calm p99", "calm_p99", ".0f"),
    ("worst", "calm_worst", ".0f"),
    ("attacked", "worst", ".0f"),
    ("more", "more", "+.0f"),
    ("newcomer", "newcomer_worst", ".0f"),
    ("refused", "newcomers_refused", "d"),
    ("not ready", "not_ready", "d"),
    ("sent", "sent_mb", ".0f"),
    ("opened", "opened", "d"),
    ("before", "before_mb", ".0f"),
    ("peak", "peak_mb", ".0f"),
    ("after", "after_mb", ".0f"),
    ("outlived", "outlived", "d"),
    ("left", "left", "d"),
)
WANTED = 250.0  # ms, that a good client's worst latency may be above its undisturbed one


def line(figures: Counter[str]) -> str:
    """The figures in one line."""
    return ", ".join(f"{name} {figures[name]}" for name in ORDER)


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The attacks, one a line: milliseconds of a good client, of newcomers; MB sent and in memory; what is left."""
    lines = [f"{'attack':<26}{'server':<14}" + "".join(f"{head:>10}" for head, _, _ in _COLUMNS)]
    for row in sorted(rows, key=lambda row: (row["attack"], row["way"])):
        values = {**row, "more": row["worst"] - row["calm_worst"]}
        text = "".join(f"{format(values[field], form):>10}" for _, field, form in _COLUMNS)
        lines.append(f"{row['attack']:<26}{row['way']:<14}{text}  {'; '.join(row['faults'])}".rstrip())
    within = sum(row["worst"] - row["calm_worst"] <= WANTED for row in rows)
    lines.append(f"{within} of {len(rows)} attacks cost a good client {WANTED:.0f} ms or less (wanted: all)")
    return lines
