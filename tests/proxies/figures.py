# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What these tests counted; conftest prints it at the end."""

from __future__ import annotations

TABLES: dict[str, list[tuple[str, ...]]] = {}  # by title: the heading, then rows


def add(title: str, heading: tuple[str, ...], row: tuple[object, ...]) -> None:
    """One more row of a table."""
    TABLES.setdefault(title, [heading]).append(tuple(map(str, row)))


def merge(tables: dict[str, list[tuple[str, ...]]]) -> None:
    """The tables of another process."""
    for title, (heading, *rows) in tables.items():
        for row in rows:
            add(title, tuple(heading), tuple(row))


def render() -> list[str]:
    """All tables as lines."""
    lines = []
    for title, rows in TABLES.items():
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
        lines += ["", title]
        lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return lines
