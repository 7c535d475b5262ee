# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures to rows, table, plot and targets."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from servers import CACHE, HERE, UnavailableError, made, tool
from tls import WAYS

# What ours with the journal on is meant to reach: times Node in open and in closed loop.
TARGETS = {"fanout_1x50": (10.0, 4.0), "fanout_20x10": (5.0, 2.5), "fanout_200x5": (2.0, 1.2)}
IDLE_KB = 18.0
OLD = 0.9  # of the fresh journal's deliveries, with an old one
BESIDE = 0.95  # of those of the other checkout
# Which server is to reach how much of which other.
_PAIRS = {
    "ours_durable_to_beside": BESIDE,
    "ours_durable_old_to_ours_durable": OLD,
    "ours_durable_old_to_beside_old": BESIDE,
}


def peers(name: str) -> set[str]:
    """Those that a server is compared with, one to one."""
    pairs = [set(pair.split("_to_")) for pair in _PAIRS]
    return {other for pair in pairs if name in pair for other in pair - {name}}


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 2) if one and other else None


def _middle_ratio(one: list[dict[str, Any]], other: list[dict[str, Any]], of: Callable[[Any], Any]) -> float | None:
    """The middle one of the ratios turn by turn: the two of a turn ran next to each other, in the same weather."""
    pairs = [(of(a), of(b)) for a, b in zip(one, other, strict=False)]
    ratios = [a / b for a, b in pairs if a and b]
    return round(statistics.median(ratios), 2) if ratios else None


def _per_cpu(figures: dict[str, Any] | None) -> int | None:
    """Deliveries for a second of CPU: says more than those of a second when other programs had a part of the core."""
    return round(figures["deliveries_s"] / figures["server_cpu"]) if figures and figures["server_cpu"] else None


def latencies(figures: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of a run at a given load."""
    if figures is None:
        return None
    return {k: figures[k] for k in ("p50_ms", "p99_ms", "p999_ms", "server_cpu", "deliveries_s")}


def fan_out_text(closed: dict[str, Any], best: dict[str, Any] | None) -> str:
    """One line of progress."""
    cores = f"server {closed['server_cpu']:.0%}, generator {closed['gen_cpu']:.0%}"
    text = f"closed {closed['deliveries_s']:>9,.0f}/s ({cores})"
    if best is None:
        return text + "  open: none"
    return text + (
        f"  open {'≥ ' if best['at_least'] else ''}{best['deliveries_s']:>9,.0f}/s p99 {best['p99_ms']:.1f} ms"
        f" (server {best['server_cpu']:.0%}, generator {best['gen_cpu']:.0%})"
    )


def fan_out_row(found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Open-loop deliveries a second by server, closed-loop ones below ``closed``, and the ratios. ``found``: for each
    server its best figures in ``open`` and ``closed`` loop, and those of the closed loop's ``turns``."""

    def of(name: str, kind: str) -> float | None:
        figures = found.get(name, {}).get(kind)
        return figures["deliveries_s"] if figures else None

    row: dict[str, Any] = {name: of(name, "open") for name in found}
    row["closed"] = {name: of(name, "closed") for name in found}
    row["ratio"] = _ratio(of("ours", "open"), of("node", "open"))
    row["ratio_durable"] = _ratio(of("ours_durable", "open"), of("node", "open"))
    row["ratio_closed"] = _ratio(of("ours", "closed"), of("node", "closed"))
    row["ratio_durable_closed"] = _ratio(of("ours_durable", "closed"), of("node", "closed"))
    row["ratio_netty"] = _ratio(of("ours_durable", "open"), of("netty", "open"))
    row["ratio_netty_closed"] = _ratio(of("ours_durable", "closed"), of("netty", "closed"))
    for pair in _PAIRS:
        one, _, other = pair.partition("_to_")
        if one in found and other in found:
            turns = [found[name].get("turns", []) for name in (one, other)]
            row[pair] = {
                "open loop": _ratio(of(one, "open"), of(other, "open")),
                "closed loop": _middle_ratio(*turns, itemgetter("deliveries_s")),
                "per CPU s": _middle_ratio(*turns, _per_cpu),
            }
    row["at_least"] = [name for name, f in found.items() if f and f["open"] and f["open"]["at_least"]]
    row["p99_ms"] = {name: f["open"]["p99_ms"] for name, f in found.items() if f and f["open"]}
    return row


def way_figures(closed: dict[str, Any] | None, loaded: dict[str, Any] | None, messages: int) -> dict[str, Any]:
    """Of one way to the server: deliveries in closed loop, by the second and by the second of CPU, and an equal load.
    CPU is that of server and proxy, in cores; ``proxy_cpu`` is the part of the proxy. What was refused is null."""
    figures: dict[str, Any] = {
        "closed": closed["deliveries_s"] if closed else None,
        "per_cpu_s": _per_cpu(closed),
        "messages_s": messages,
    }
    for name in ("deliveries_s", "p50_ms", "p99_ms", "p999_ms", "server_cpu"):
        figures[name] = loaded[name] if loaded else None
    figures["proxy_cpu"] = loaded["front_cpu"] if loaded else None
    figures["tls"] = next((f["tls"] for f in (closed, loaded) if f), "") or None
    return figures


def loop_figures(closed: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
    """Deliveries in closed loop for each event loop, by the second and by the second of CPU; ``ratio``: uvloop to
    asyncio."""
    names = ("deliveries_s", "p50_ms", "p99_ms", "server_cpu")
    row: dict[str, Any] = {
        loop: {**{k: f[k] for k in names}, "per_cpu_s": _per_cpu(f)} if f else None for loop, f in closed.items()
    }
    for ratio, key in (("ratio", "deliveries_s"), ("ratio_per_cpu", "per_cpu_s")):
        row[ratio] = _ratio(*((row[loop] or {}).get(key) for loop in ("uvloop", "asyncio")))
    return row


def short_of_target(rows: Mapping[str, dict[str, Any]]) -> list[str]:
    """What ours with the journal on does not reach."""
    short = []

    def want(what: str, value: float | None, least: float) -> None:
        if value is not None and value < least:
            short.append(f"{what}: {value}, wanted {least} or more")

    for name, row in rows.items():
        if name in TARGETS:
            want(f"{name}, times Node in open loop", row["ratio_durable"], TARGETS[name][0])
            want(f"{name}, times Node in closed loop", row["ratio_durable_closed"], TARGETS[name][1])
        if "ratio_netty" in row:
            want(f"{name}, times netty-socketio", row["ratio_netty"], 1.0)
        for pair, least in _PAIRS.items():
            for kind, ratio in row.get(pair, {}).items():
                want(f"{name}, {pair.replace('_to_', ' to ')}, {kind}", ratio, least)
        load = row.get("equal_load", {})
        ours, node = load.get("ours_durable"), load.get("node")
        if ours and node and ours["p99_ms"] > node["p99_ms"]:
            short.append(f"{name}, p99 at Node's half-maximum: {ours['p99_ms']} ms, Node {node['p99_ms']} ms")
        if name.startswith("idle_") and row.get("ours_durable", {}).get("kb_each", 0) > IDLE_KB:
            short.append(f"{name}: {row['ours_durable']['kb_each']} kB for each connection, wanted {IDLE_KB} or less")
    return short


def store_figures(closed: dict[str, Any] | None, loaded: dict[str, Any] | None) -> dict[str, Any]:
    """Of some servers on a store: deliveries in closed loop, latencies at an equal load. What was refused is null."""
    figures: dict[str, Any] = {"closed": closed["deliveries_s"] if closed else None}
    for name in ("deliveries_s", "p50_ms", "p99_ms", "p999_ms"):
        figures[name] = loaded[name] if loaded else None
    return figures


def _store_table(name: str, row: Mapping[str, dict[str, Any]]) -> list[str]:
    lines = ["", f"{name:<42}{'closed loop/s':>14}{'at equal load: /s':>20}{'p50':>10}{'p99':>10}{'p99.9':>10}"]
    for title, f in row.items():
        cells = [_cell(f["closed"], ",.0f"), _cell(f["deliveries_s"], ",.0f")]
        cells += [_cell(f[key], ".2f") for key in ("p50_ms", "p99_ms", "p999_ms")]
        widths = (14, 20, 10, 10, 10)
        lines.append(f"  {title:<40}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    return lines


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _tls_table(name: str, row: Mapping[str, dict[str, Any]]) -> list[str]:
    load = next(iter(row.values()))["messages_s"]
    lines = [
        "",
        f"{name + ' (journal on)':<30}{'closed loop/s':>14}{'x plain':>9}{'per CPU s':>11}{'x plain':>9}"
        f"{f'at {load:,} messages/s: p50':>28}{'p99':>8}{'p99.9':>8}{'CPU':>6}{'proxy':>7}  protocol",
    ]
    plain = row.get("plain", {})
    for way, f in row.items():
        ratios = {key: _cell(_ratio(f[key], plain.get(key)), ".2f") for key in ("closed", "per_cpu_s")}
        lines.append(
            f"  {WAYS[way][0]:<28}{_cell(f['closed'], ',.0f'):>14}{ratios['closed']:>9}"
            f"{_cell(f['per_cpu_s'], ',.0f'):>11}{ratios['per_cpu_s']:>9}"
            f"{_cell(f['p50_ms'], '.2f'):>28}{_cell(f['p99_ms'], '.2f'):>8}{_cell(f['p999_ms'], '.2f'):>8}"
            f"{_cell(f['server_cpu'], '.0%'):>6}{_cell(f['proxy_cpu'], '.0%'):>7}  {f['tls'] or '-'}"
        )
    return lines


def _loops_table(name: str, row: Mapping[str, dict[str, Any]]) -> list[str]:
    lines = [
        "",
        f"{name + ' (journal on)':<30}{'closed loop/s':>14}{'x asyncio':>11}{'per CPU s':>11}{'x asyncio':>11}"
        f"{'p50':>9}{'p99':>9}{'CPU':>6}",
    ]
    for shape, figures in row.items():
        for loop in ("asyncio", "uvloop"):
            f = figures[loop] or {}
            ratio, per_cpu = (figures[key] if loop == "uvloop" else 1.0 for key in ("ratio", "ratio_per_cpu"))
            lines.append(
                f"  {shape + ', ' + loop:<28}{_cell(f.get('deliveries_s'), ',.0f'):>14}{_cell(ratio, '.2f'):>11}"
                f"{_cell(f.get('per_cpu_s'), ',.0f'):>11}{_cell(per_cpu, '.2f'):>11}"
                f"{_cell(f.get('p50_ms'), '.2f'):>9}{_cell(f.get('p99_ms'), '.2f'):>9}"
                f"{_cell(f.get('server_cpu'), '.0%'):>6}"
            )
    return lines


def table(rows: Mapping[str, dict[str, Any]], titles: Mapping[str, str]) -> str:
    """The figures for people."""
    lines = []
    for name, row in rows.items():
        if not row:
            continue
        if name.startswith("tls_"):
            lines += _tls_table(name, row)
        elif name.startswith("store_"):
            lines += _store_table(name, row)
        elif name == "loops":
            lines += _loops_table(name, row)
        elif "closed" in row:
            lines += [
                "",
                f"{name:<30}{'open loop/s':>12}{'x Node':>8}{'closed loop/s':>15}{'x Node':>8}"
                f"{'at equal load: p50':>20}{'p99':>8}{'p99.9':>8}{'CPU':>6}",
            ]
            for kind in row["closed"]:
                best, closed, load = row[kind], row["closed"][kind], row.get("equal_load", {}).get(kind)
                rates = [f"{rate:,.0f}" if rate else "none" for rate in (best, closed)]
                rates[0] = "≥ " * (kind in row["at_least"]) + rates[0]
                line = (
                    f"  {titles[kind]:<28}{rates[0]:>12}{_ratio(best, row.get('node')) or '-':>8}"
                    f"{rates[1]:>15}{_ratio(closed, row['closed'].get('node')) or '-':>8}"
                )
                if load:
                    line += f"{load['p50_ms']:>20.2f}{load['p99_ms']:>8.2f}{load['p999_ms']:>8.2f}"
                    line += f"{load['server_cpu']:>6.0%}"
                lines.append(line)
            for pair in _PAIRS:
                if pair in row:
                    lines.append(
                        f"  {pair.replace('_', ' ')}: "
                        + ", ".join(f"{kind} {_cell(ratio, '.2f')}" for kind, ratio in row[pair].items())
                    )
        else:
            heads = list(next(iter(row.values())))
            lines += ["", f"{name:<30}" + "".join(f"{h:>14}" for h in heads)]
            lines += [f"  {titles[k]:<28}" + "".join(f"{v:>14,.2f}" for v in f.values()) for k, f in row.items()]
    return "\n".join(lines)


def plot(result: dict[str, Any]) -> str:
    """Draw the figures, in an environment made for it; where the picture is, or why there is none."""
    wanted = HERE / "plot-requirements.txt"

    def make(folder: Any) -> None:
        tool(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        tool(
            folder / "venv/bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            wanted,
            cwd=folder,
        )

    data, picture = CACHE / "result.json", CACHE / "bench-rtc.png"
    data.write_text(json.dumps(result), encoding="utf-8")
    try:
        python = made("plot", [wanted], make) / "venv/bin/python"
    except UnavailableError as exc:
        return f"\nNo plot: {exc}"
    subprocess.run([str(python), str(HERE / "plot.py"), str(data), str(picture)], check=True)
    return f"\nPlot: {picture}"
