# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw the result of bench.py: ``plot.py RESULT.json PICTURE.png``. Runs in an environment of its own with
matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, NullFormatter

NAMES = {
    "ours": "ours, journal off",
    "ours_durable": "ours, journal on",
    "node": "Node, ws",
    "node_uws": "Node, uWebSockets",
    "netty": "netty-socketio",
    "python": "python-socketio",
}
COLOURS = {
    "ours": "#7fb3d5",
    "ours_durable": "#1f618d",
    "node": "#e59866",
    "node_uws": "#f5cba7",
    "netty": "#7d6608",
    "python": "#a6acaf",
}


def bars(axes: Any, title: str, unit: str, groups: dict[str, dict[str, Any]], log: bool = False) -> None:
    """Groups of bars, one for each server; a figure that was refused has none."""
    kinds = [k for k in NAMES if any(group.get(k) for group in groups.values())]
    width = 0.85 / max(1, len(kinds))
    for at, kind in enumerate(kinds):
        values = [group.get(kind) or 0 for group in groups.values()]
        places = [n + (at - (len(kinds) - 1) / 2) * width for n in range(len(groups))]
        drawn = axes.bar(places, values, width, label=NAMES[kind], color=COLOURS[kind])
        least = ["≥ " * (kind in (group.get("at_least") or ())) for group in groups.values()]
        axes.bar_label(
            drawn, [mark + short(v) for mark, v in zip(least, values, strict=True)], fontsize=6, rotation=90, padding=2
        )
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(unit, fontsize=8)
    axes.set_xticks(range(len(groups)), list(groups), fontsize=8)
    axes.tick_params(axis="y", which="both", labelsize=7)
    if log and kinds:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: short(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def short(value: float) -> str:
    """A figure beside its bar."""
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    if value >= 1e3:
        return f"{value / 1e3:.0f}k" if value >= 1e4 else f"{value / 1e3:.1f}k"
    return f"{value:.1f}" if value else ""


def draw(result: dict[str, Any], path: Path) -> None:
    """Four charts."""
    rows = result["rows"]
    fan = {n.removeprefix("fanout_").replace("x", " x "): row for n, row in rows.items() if n.startswith("fanout_")}
    idle = {n.removeprefix("idle_") + " idle": row for n, row in rows.items() if n.startswith("idle_")}
    figure, ((first, second), (third, fourth)) = pyplot.subplots(2, 2, figsize=(13, 9), layout="constrained")
    bars(first, "Open loop: highest rate with p99 at most 50 ms", "deliveries/s", fan, log=True)
    bars(second, "Closed loop", "deliveries/s", {n: row["closed"] for n, row in fan.items()}, log=True)
    equal = {
        n: {k: v["p99_ms"] for k, v in row.get("equal_load", {}).items() if isinstance(v, dict)}
        for n, row in fan.items()
    }
    bars(third, "p99 at half of Node's open-loop rate", "ms", equal, log=True)
    bars(
        fourth,
        "Memory of an idle connection",
        "kB",
        {n: {k: v["kb_each"] for k, v in row.items()} for n, row in idle.items()},
    )
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    figure.suptitle("Socket.IO room servers on one core (rooms x members)", fontsize=12)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
