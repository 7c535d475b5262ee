# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of one server: fan-out in closed and open loop, at a given load, connections, a reconnect storm."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from servers import DEPLOYED, RECOVERY, Kind, OverloadedError, Running, running

P99_LIMIT = 50.0  # ms, in open loop
DELIVERED = 0.97  # of what was offered
BUSY = 0.9  # of its core: then the generator may be what limits
ATTEMPTS = 3  # at a rate: disk and processor have other users, and one stall is more than a p99 allows in a short probe
LATE = 0.01  # of the messages, sent more than 20 ms after they were due: then, too


class GeneratorLimitError(Exception):
    """The generator was the bottleneck, so the figure would say nothing of the server."""


class Row(NamedTuple):
    """Rooms, members of each, messages in flight for each room in closed loop."""

    rooms: int
    members: int
    window: int


ROWS = {
    "fanout_1x50": Row(1, 50, 16),
    "fanout_20x10": Row(20, 10, 8),
    "fanout_200x5": Row(200, 5, 4),
    "fanout_1x500": Row(1, 500, 16),
}


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds of a closed-loop run, of an open-loop probe, of a run at a given load, of idling; most
    probes, and where they begin (times the closed loop's rate)."""

    closed: float = 3.0
    probe: float = 1.5
    equal: float = 3.0
    idle: float = 2.0
    probes: int = 8
    begin: float = 0.7
    warm: float = 1.0  # times the kind's own


QUICK = Effort(closed=0.4, probe=0.4, equal=0.4, idle=0.3, probes=1, begin=0.2, warm=0.2)


def _shape(row: Row) -> tuple[object, ...]:
    return "-r", row.rooms, "-m", row.members


def _limited(figures: dict[str, Any]) -> bool:
    return bool(figures["gen_cpu"] > BUSY or figures.get("late", 0) > LATE)


def closed_loop(run: Running, row: Row, effort: Effort) -> dict[str, Any]:
    """Deliveries a second with a fixed number of messages in flight. Raises GeneratorLimitError."""
    figures = run.load(*_shape(row), "-w", row.window, "-W", run.kind.warm * effort.warm, "-d", effort.closed)
    if not figures["sent_s"]:
        raise OverloadedError(f"{run.kind.title}, closed loop: nothing came back")
    if figures["gen_cpu"] > BUSY:
        raise GeneratorLimitError(f"{run.kind.title}, closed loop: generator at {figures['gen_cpu']:.0%} of its core")
    return figures


class Search:
    """The highest rate that a server keeps up with. After a failed probe the server is a fresh one."""

    def __init__(self, kind: Kind, row: Row, effort: Effort, loop: str) -> None:
        self._kind, self._row, self._effort, self._loop = kind, row, effort, loop
        self._stack = contextlib.ExitStack()
        self._run: Running | None = None

    def _server(self) -> Running:
        if self._run is None:
            self._run = self._stack.enter_context(running(self._kind, self._loop))
            closed_loop(self._run, self._row, Effort(closed=0.2, warm=self._effort.warm))
        return self._run

    def _probe(self, rate: float) -> dict[str, Any] | None:
        """The figures at that rate, None when it was too much. Raises GeneratorLimitError."""
        limit = ""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(OverloadedError):
                figures = self._server().load(*_shape(self._row), "-R", f"{rate:.1f}", "-W", 0.5, "-d", self._effort.probe)
                wanted = DELIVERED * rate * (self._row.members - 1)
                if figures["deliveries_s"] >= wanted and figures["p99_ms"] <= P99_LIMIT:
                    return figures
                limit = ""
                if _limited(figures):
                    limit = f"generator at {figures['gen_cpu']:.0%} of its core, {figures['late']:.0%} sent late"
            self._stack.close()
            self._run = None
        if limit:
            raise GeneratorLimitError(f"{self._kind.title}, open loop at {rate:.0f} messages/s: {limit}")
        return None

    def best(self, rate: float) -> dict[str, Any] | None:
        """Figures at the highest rate found, from a first guess; None when no rate was kept up with. ``at_least``: what is more
        the generator cannot offer. Raises GeneratorLimitError when it could offer nothing that was kept up with."""
        low, high = 0.0, 0.0
        best: dict[str, Any] | None = None
        limit: GeneratorLimitError | None = None
        with self._stack:
            for _ in range(self._effort.probes):
                figures = None
                try:
                    figures = self._probe(rate)
                except GeneratorLimitError as exc:
                    limit = exc
                else:
                    limit = limit if figures else None
                if figures is None:
                    high = rate
                    rate = (low + high) / 2 if low else high * 0.6
                else:
                    low, best = rate, {**figures, "rate": rate}
                    rate = (low + high) / 2 if high else low * 1.5
                if high and low and high / low < 1.09:
                    break
        if best is None and limit is not None:
            raise limit
        return best and {**best, "at_least": limit is not None}


def fresh_closed_loop(kind: Kind, row: Row, effort: Effort, loop: str = DEPLOYED) -> dict[str, Any]:
    """Closed loop of a fresh server. Raises GeneratorLimitError."""
    with running(kind, loop) as run:
        return closed_loop(run, row, effort)


def open_loop(kind: Kind, row: Row, effort: Effort, loop: str, sent_s: float) -> dict[str, Any] | None:
    """The highest rate kept up with, looked for from the closed loop's messages a second. Raises GeneratorLimitError."""
    guess = effort.begin * sent_s * (2.0 if kind.contract else 1.0)
    return Search(kind, row, effort, loop).best(guess)


def under_load(run: Running, row: Row, rate: float, effort: Effort) -> dict[str, Any]:
    """Latencies and CPU at that many messages a second: of three runs the one in the middle by p99. Raises GeneratorLimitError."""
    runs = [run.load(*_shape(row), "-R", f"{rate:.1f}", "-W", 0.5, "-d", effort.equal) for _ in range(3)]
    good = sorted([figures for figures in runs if not _limited(figures)], key=lambda figures: float(figures["p99_ms"]))
    if not good:
        raise GeneratorLimitError(f"{run.kind.title} at {rate:.0f} messages/s: {runs[0]['late']:.0%} sent late")
    return good[(len(good) - 1) // 2]


def at_load(kind: Kind, row: Row, rate: float, effort: Effort, loop: str = DEPLOYED) -> dict[str, Any]:
    """The same of a fresh server that was made warm."""
    with running(kind, loop) as run:
        closed_loop(run, row, Effort(closed=0.2, warm=effort.warm))
        return under_load(run, row, rate, effort)


def connections(kind: Kind, number: int, effort: Effort, loop: str = DEPLOYED) -> dict[str, Any]:
    """So many connections that do nothing: kilobytes for each, and how many came in a second."""
    with running(kind, loop) as run:
        run.load("-r", 1, "-m", 2, "-w", 1, "-W", 0.2, "-d", 0.2)  # code and buffers that the first client needs
        time.sleep(0.5)
        return run.load("-C", number, "-d", effort.idle)


def storm(kind: Kind, rooms: int, members: int, missed: int, loop: str = DEPLOYED) -> dict[str, Any]:
    """All but one of each room hang up, miss messages and come back at once; until they have all of them."""
    kind = kind if kind.contract else RECOVERY
    with running(kind, loop) as run:
        return run.load("-r", rooms, "-m", members, "-S", missed, *(() if kind.contract else ("-v",)))
