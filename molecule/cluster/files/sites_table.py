# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of sites, in the layout that the scenario ``fleet`` has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

FLEET = Path(__file__).resolve().parents[2] / "fleet/templates"
WORDS = ["", "site", "protocol", "proxy", "RTC", "application", "polling", "WebSocket", "upgrade", "session"]
WORDS += ["address", "from host", "JVM trust", "idempotent"]


def _load_layout() -> Any:
    loader = jinja2.FileSystemLoader(FLEET)
    return jinja2.Environment(loader=loader).get_template("row.j2").module  # noqa: S701 - text for a terminal


def heading() -> str:
    """The names of the columns."""
    return str(_load_layout().row(WORDS)).rstrip()


def find_site(report: dict[str, Any], product: str) -> dict[str, Any]:
    """The product's site in the plan of a run's report."""
    found: dict[str, Any] = next(one for one in report["plan"]["sites"] if one["application"] == product)
    return found


def render_row(planned: dict[str, Any], proxy: str, nodes: int, marks: Sequence[bool | None]) -> str:
    """A site's row; a mark for each column from ``polling`` on, None where nothing was tried."""
    layout = _load_layout()
    cells = [planned["topology"], planned["name"], planned["protocol"], proxy, "own"]
    cells.append(f"{planned['application'][:4]} on {nodes} node{'s' if nodes > 1 else ''}")
    return str(layout.row([*cells, *(str(layout.mark(mark)) for mark in marks)])).rstrip()
