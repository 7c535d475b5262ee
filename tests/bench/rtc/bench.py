# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RTC server beside those that people use, in one run: ``make bench-rtc``, which sets PYTHONPATH.

The server runs on core 0, the generator (gen.c) on core 1, a fresh server for each row. Deliveries are counted as what
members get from others; ours deliver a sender's own copy and an acknowledgement besides. Open loop is the highest rate
with 97 % delivered and a p99 of 50 ms at most. A figure that the generator limited is refused: it is null, and the exit
status is 1. Where a server keeps up with all that the generator can offer, the highest rate below that is given as what
it is, "at least". Ours and python-socketio run on the distribution's Python, as on a server. Servers are measured in
turns: of rates the best counts (who is behind tries what a peer reached, in each turn), of latencies at an equal load
the middle one, of two servers that are compared one to one the middle one of the turns' ratios. The rows tls and loops
are about ours with the journal on: plain and with TLS, with asyncio and with uvloop. The row old is about ours with a
journal of 10 million changes in 10,000 projects beside a fresh one. The row store is about one, two and three servers
that share a PostgreSQL, ours and Node's, which keeps nothing there. ``--beside`` measures the server of another checkout
in turns with ours, in the rows of deliveries. Progress goes to standard error; the table, where the plot is,
and one line of JSON go to standard output.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import on_store
import report
import tls
from measure import (
    OLD_ROWS,
    QUICK,
    ROWS,
    Effort,
    GeneratorLimitError,
    Row,
    Search,
    at_load,
    closed_loop,
    connections,
    fresh_closed_loop,
    middle,
    storm,
    under_load,
)
from servers import (
    CACHE,
    DEPLOYED,
    KINDS,
    SOURCE,
    Kind,
    OverloadedError,
    UnavailableError,
    beside,
    generator,
    old_journal,
    running,
    with_old_journal,
)

OTHER_ROWS = ("idle", "storm", "tls", "loops", "store")
ALL_ROWS = (*ROWS, *OLD_ROWS, *OTHER_ROWS)
# By default left out where ours with the journal on is not asked for.
OURS_ALONE = ("tls", "loops", "store", *OLD_ROWS)
STORE_LOAD = 200  # messages a second: what 1, 2 and 3 servers on a store have the same of
TLS_LOAD = 1_000  # messages a second: what plain and TLS have the same of
LOOPS = ("asyncio", "uvloop")
WITH_CATCH_UP = ("ours", "ours_durable", "node")  # the others have nothing like it


_T = TypeVar("_T")


def tell(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """One run over some rows and servers."""

    def __init__(self, kinds: list[Kind], rows: list[str], effort: Effort, loop: str) -> None:
        self.kinds, self.names, self.effort, self.loop = kinds, rows, effort, loop
        self.rows: dict[str, dict[str, Any]] = {}
        self.refused: list[str] = []

    def _refuse(self, what: str, exc: Exception) -> None:
        limit = "the generator was the bottleneck: " if isinstance(exc, GeneratorLimitError) else ""
        self.refused.append(f"{what}: {limit}{exc}")
        tell(f"  refused: {self.refused[-1]}")

    def _try(self, what: str, function: Callable[..., _T], *arguments: Any) -> _T | None:
        """A measurement, or None and why there is none."""
        try:
            return function(*arguments)
        except (GeneratorLimitError, OverloadedError) as exc:
            self._refuse(what, exc)
            return None

    def _in_turns(
        self, what: str, measures: Mapping[str, Callable[[], dict[str, Any]]], times: int = 1
    ) -> dict[str, list[dict[str, Any]]]:
        """Several measurements of each, in turn. What could never be measured is refused, and not among them.

        Each turn begins with another one: what a server leaves to the kernel, as a journal to delete, is always paid for
        by the next."""
        found: dict[str, list[dict[str, Any]]] = {}
        errors: dict[str, Exception] = {}
        turns, titles = self.effort.turns * times, list(measures)
        for turn in range(turns):
            first = turn % max(len(measures), 1)
            for title in (*titles[first:], *titles[:first]):
                tell(f"  {what}, {title}, {turn + 1} of {turns}")
                try:
                    found.setdefault(title, []).append(measures[title]())
                except (GeneratorLimitError, OverloadedError) as exc:
                    errors[title] = exc
        for title in measures:
            if not found.get(title):
                self._refuse(f"{what}, {title}", errors[title])
        return {title: runs for title, runs in found.items() if runs}

    def old(self, name: str) -> None:
        """Ours, and the one beside it, with a fresh and with an old journal."""
        fresh = [kind for kind in self.kinds if kind.name in ("ours_durable", "beside")]
        for kind in fresh:  # this takes minutes, the first time
            tell(f"  {name}: {old_journal(kind.root)}")
        self.fan_out(name, OLD_ROWS[name], [k for kind in fresh for k in (kind, with_old_journal(kind))])

    def fan_out(self, name: str, shape: Row, kinds: list[Kind]) -> None:
        """One row for these servers, then all at half of what Node can."""
        compared = any(report.peers(one.name) & {other.name for other in kinds} for one in kinds)
        turns = self._in_turns(
            f"{name}, closed loop",
            {k.title: partial(fresh_closed_loop, k, shape, self.effort, self.loop) for k in kinds},
            times=2 if compared else 1,
        )
        closed = {title: max(runs, key=itemgetter("deliveries_s")) for title, runs in turns.items()}
        searches = {k.title: Search(k, shape, self.effort, self.loop) for k in kinds if k.title in closed}
        for title, search in searches.items():
            self._try(f"{name}, {title}", search.begin, closed[title]["sent_s"])
            tell(f"  {name:<14}{title:<28}" + report.fan_out_text(closed[title], search.best))
        for turn in range(1, 3 * self.effort.turns + 1):
            tell(f"  {name}, a step more for each, turn {turn}")
            tried = [k for k in kinds if k.title in searches]
            rose = [k.title for k in tried if searches[k.title].again(reached_by_peers(k, tried, searches))]
            if turn >= self.effort.turns and not rose:
                break
        found = {
            k.name: {"closed": closed[k.title], "open": searches[k.title].best, "turns": turns[k.title]}
            if k.title in closed
            else {}
            for k in kinds
        }
        row = self.rows[name] = report.fan_out_row(found)
        node = (found.get("node") or {}).get("open")
        if node:
            rate = node["rate"] / 2
            row["equal_load"] = {"messages_s": round(rate)}
            loaded = self._in_turns(
                f"{name} at Node's half",
                {k.title: partial(at_load, k, shape, rate, self.effort, self.loop) for k in kinds},
            )
            for kind in kinds:
                row["equal_load"][kind.name] = report.latencies(
                    middle(loaded[kind.title]) if kind.title in loaded else None
                )
        for kind in kinds:
            if found[kind.name]:
                text = report.fan_out_text(found[kind.name]["closed"], found[kind.name]["open"])
                tell(f"  {name:<14}{kind.title:<28}{text}, at equal load {row.get('equal_load', {}).get(kind.name)}")

    def connections(self, number: int) -> None:
        """Memory of idle connections, and how fast they come in."""
        row = self.rows[f"idle_{number}"] = {}
        for kind in self.kinds:
            figures = self._try(
                f"{number} connections, {kind.title}", connections, kind, number, self.effort, self.loop
            )
            if figures:
                row[kind.name] = {
                    "kb_each": figures["kb_each"],
                    "connects_s": figures["per_second"],
                    "server_cpu_s": figures["server_cpu_s"],
                }
            tell(f"  idle_{number:<9}{kind.title:<28}{row.get(kind.name)}")

    def storm(self, rooms: int, members: int, missed: int) -> None:
        """Everybody comes back at once."""
        name = f"storm_{rooms * members}x{missed}"
        row = self.rows[name] = {}
        for kind in self.kinds:
            if kind.name in WITH_CATCH_UP:
                figures = self._try(f"{name}, {kind.title}", storm, kind, rooms, members, missed, self.loop)
                if figures:
                    row[kind.name] = {k: figures[k] for k in ("seconds", "per_second", "server_cpu_s")}
                tell(f"  {name:<14}{kind.title:<28}{row.get(kind.name)}")

    def tls(self) -> list[str]:
        """Plain and with TLS: closed loop, and an equal load. Returns what could not be measured, and why."""
        kind, shape = KINDS["ours_durable"], ROWS["fanout_20x10"]
        row = self.rows["tls_20x10"] = {}
        ways, missing = tls.ways()
        for way in ways:
            title, reach = tls.WAYS[way]
            with reach(kind, self.loop) as run:
                closed = self._try(f"tls_20x10, {title}, closed loop", closed_loop, run, shape, self.effort)
                what = f"tls_20x10, {TLS_LOAD} messages/s"
                loaded = self._in_turns(what, {title: partial(under_load, run, shape, TLS_LOAD, self.effort)}).get(
                    title
                )
            row[way] = report.way_figures(closed, middle(loaded) if loaded else None, TLS_LOAD)
            tell(f"  tls_20x10     {title:<28}{row[way]}")
        return missing

    def loops(self) -> list[str]:
        """Closed loop with each event loop. Returns what could not be measured, and why."""
        kind = KINDS["ours_durable"]
        row = self.rows["loops"] = {}
        missing = [f"loops: {name} is not installed" for name in LOOPS if importlib.util.find_spec(name) is None]
        if missing:
            return missing
        for name in ("20x10", "200x5"):
            closed = {}
            for loop in LOOPS:
                with running(kind, loop) as run:
                    closed[loop] = self._try(
                        f"loops {name}, {loop}", closed_loop, run, ROWS[f"fanout_{name}"], self.effort
                    )
            row[name] = report.loop_figures(closed)
            tell(f"  loops {name:<8}{row[name]}")
        return []

    def store(self) -> list[str]:
        """One, two and three servers on a PostgreSQL: closed loop, and an equal load. Returns what could not be
        measured, and why."""
        shape, missing = ROWS["fanout_20x10"], []
        row = self.rows["store_20x10"] = {}
        counts = (2,) if self.effort is QUICK else on_store.COUNTS
        for kind in on_store.STORE_KINDS:
            if kind.beside not in [other.name for other in self.kinds]:
                continue
            try:
                kind.kind.command()
                for count in counts:
                    title = f"{kind.kind.title}, {count}"
                    what = f"store_20x10, {STORE_LOAD} messages/s"
                    with on_store.running_on_store(kind, count) as run:
                        closed = self._try(f"store_20x10, {title}, closed loop", closed_loop, run, shape, self.effort)
                        measure = partial(under_load, run, shape, STORE_LOAD, self.effort)
                        loaded = self._in_turns(what, {title: measure}).get(title)
                    row[title] = report.store_figures(closed, middle(loaded) if loaded else None)
                    tell(f"  store_20x10   {title:<40}{row[title]}")
            except UnavailableError as exc:
                missing.append(f"store, {kind.kind.title}: {exc}")
        return missing


def reached_by_peers(kind: Kind, kinds: list[Kind], searches: Mapping[str, Search]) -> float:
    """The highest rate, in messages a second, of those that a row compares with this one; 0 without any."""
    peers = report.peers(kind.name)
    bests = [searches[other.title].best for other in kinds if other.name in peers]
    return max((float(best["rate"]) for best in bests if best), default=0.0)


def choose(wanted: list[Kind]) -> tuple[list[Kind], list[str]]:
    """Servers that can be had here, and why the others cannot."""
    kinds, missing = [], []
    for kind in wanted:
        try:
            kind.command()
            kinds.append(kind)
        except UnavailableError as exc:
            missing.append(f"{kind.title}: {exc}")
    return kinds, missing


def options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: short, few servers and rows; figures mean little"
    )
    parser.add_argument("--servers", default=os.environ.get("BENCH_SERVERS", ""), help=f"some of {','.join(KINDS)}")
    parser.add_argument("--rows", default=os.environ.get("BENCH_ROWS", ""), help=f"some of {','.join(ALL_ROWS)}")
    parser.add_argument("--beside", type=Path, metavar="TREE", help="another checkout, whose server is measured, too")
    parser.add_argument(
        "--loop", default=DEPLOYED, choices=LOOPS, help="event loop of ours; uvloop is what is deployed"
    )
    chosen = parser.parse_args(arguments)
    chosen.servers = (chosen.servers or ("ours_durable,python" if chosen.quick else ",".join(KINDS))).split(",")
    default = [row for row in ALL_ROWS if row not in OURS_ALONE or "ours_durable" in chosen.servers]
    chosen.rows = (chosen.rows or ("fanout_20x10" if chosen.quick else ",".join(default))).split(",")
    for name in [n for n in chosen.servers if n not in KINDS] + [n for n in chosen.rows if n not in ALL_ROWS]:
        parser.error(f"there is no {name}")
    if chosen.beside is not None:
        chosen.beside = chosen.beside.resolve()
        if not (chosen.beside / SOURCE).is_dir():
            parser.error(f"{chosen.beside / SOURCE} is no directory")
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Measure, report; the exit status."""
    chosen = options(arguments)
    if len(os.sched_getaffinity(0)) < 2:
        print("Two processor cores are needed: one for the server, one for the generator.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers have sessions of their own: end them, too
    CACHE.mkdir(parents=True, exist_ok=True)
    generator()
    wanted = [KINDS[name] for name in chosen.servers]
    if chosen.beside is not None:
        wanted.append(beside(chosen.beside))
    kinds, missing = choose(wanted)
    before = os.getloadavg()[0]
    bench = Bench(kinds, chosen.rows, QUICK if chosen.quick else Effort(), chosen.loop)
    for name in [n for n in chosen.rows if n in ROWS]:
        tell(f"==> {name}")
        bench.fan_out(name, ROWS[name], kinds)
    for name in [n for n in chosen.rows if n in OLD_ROWS]:
        tell(f"==> {name}")
        try:
            bench.old(name)
        except UnavailableError as exc:
            missing.append(f"{name}: {exc}")
    if "idle" in chosen.rows:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        for number in (200,) if chosen.quick else (2_000, 10_000):
            if number + 200 < most:
                bench.connections(number)
            else:
                missing.append(f"{number} connections: the limit on open files is {most} (ulimit -Hn)")
    if "storm" in chosen.rows:
        bench.storm(*((4, 10, 20) if chosen.quick else (40, 50, 100)))
    for name, measure in (("tls", bench.tls), ("loops", bench.loops), ("store", bench.store)):
        if name in chosen.rows:
            tell(f"==> {name}")
            missing += measure()
    result = {
        "rows": bench.rows,
        "refused": bench.refused,
        "missing": missing,
        "short_of_target": report.short_of_target(bench.rows),
        "load_average": [round(before, 1), round(os.getloadavg()[0], 1)],
    }
    print(report.table(bench.rows, {kind.name: kind.title for k in wanted for kind in (k, with_old_journal(k))}))
    if not chosen.quick and chosen.beside is None and any(name.startswith(("fanout_", "idle_")) for name in bench.rows):
        print(report.plot(result))
    for title, lines in (
        ("Missing", missing),
        ("Refused", bench.refused),
        ("Short of the target", result["short_of_target"]),
    ):
        for line in lines:
            print(f"{title}: {line}")
    print(
        f"Load average of the machine before and after: {result['load_average']}; the run itself makes about 2 of it."
    )
    print(json.dumps(result))
    return 1 if bench.refused else 0


if __name__ == "__main__":
    sys.exit(main())
