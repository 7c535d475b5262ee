# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured of one server: fan-out in closed and open loop, at a given load, connections, a reconnect storm.

Processor and disk often have other users, who make both slower by half for seconds or minutes. So servers are measured
in turns, each several times; of a highest rate the best counts, and is looked for until nobody rises any more; of a
latency the middle one.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

from servers import DEPLOYED, RECOVERY, Kind, OverloadedError, Running, running

P99_LIMIT = 50.0  # ms, in open loop
DELIVERED = 0.97  # of what was offered
BUSY = 0.9  # of its core: then the generator may be what limits
ATTEMPTS = 2  # at a rate, when it is looked for: one stall is more than a p99 allows in a short probe
STEP = 1.08  # how much more is tried in a further turn
FINEST = 1.01  # less more than this is not tried: the noise is larger
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
OLD_ROWS = {"old_20x10": ROWS["fanout_20x10"]}  # beside a fresh journal, one with a year of changes


@dataclass(frozen=True)
class Effort:
    """How long to measure: seconds of a closed-loop run, of an open-loop probe, of a run at a given load, of idling;
    most probes, and where they begin (times the closed loop's rate); turns, at least."""

    closed: float = 2.0
    probe: float = 1.5
    equal: float = 2.0
    idle: float = 2.0
    probes: int = 8
    begin: float = 0.7
    warm: float = 1.0  # times the kind's own
    turns: int = 4


QUICK = Effort(closed=0.4, probe=0.4, equal=0.4, idle=0.3, probes=1, begin=0.2, warm=0.2, turns=1)


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
    """The highest rate that a server keeps up with: figures at it in ``best``, with the ``rate``; None when there is
    none. ``at_least`` among them: what is more the generator cannot offer. After a failed probe the server is a fresh
    one."""

    def __init__(self, kind: Kind, row: Row, effort: Effort, loop: str) -> None:
        self.best: dict[str, Any] | None = None
        self._kind, self._row, self._effort, self._loop = kind, row, effort, loop
        self._stack = contextlib.ExitStack()
        self._run: Running | None = None

    def _server(self) -> Running:
        if self._run is None:
            self._run = self._stack.enter_context(running(self._kind, self._loop))
            closed_loop(self._run, self._row, Effort(closed=0.2, warm=self._effort.warm))
        return self._run

    def _stop(self) -> None:
        self._stack.close()
        self._run = None

    def _probe(self, rate: float, attempts: int) -> bool:
        """Whether it keeps up with that rate. Raises GeneratorLimitError."""
        limit = ""
        for _ in range(attempts):
            with contextlib.suppress(OverloadedError):
                figures = self._server().load(
                    *_shape(self._row), "-R", f"{rate:.1f}", "-W", 0.5, "-d", self._effort.probe
                )
                wanted = DELIVERED * rate * (self._row.members - 1)
                if figures["deliveries_s"] >= wanted and figures["p99_ms"] <= P99_LIMIT:
                    self.best = {**figures, "rate": rate, "at_least": False}
                    return True
                limit = ""
                if _limited(figures):
                    limit = f"generator at {figures['gen_cpu']:.0%} of its core, {figures['late']:.0%} sent late"
            self._stop()
        if limit:
            raise GeneratorLimitError(f"{self._kind.title}, open loop at {rate:.0f} messages/s: {limit}")
        return False

    def begin(self, sent_s: float) -> None:
        """Look for it from the closed loop's messages a second. Raises GeneratorLimitError when the generator could
        offer nothing that was kept up with."""
        rate = self._effort.begin * sent_s * (2.0 if self._kind.contract else 1.0)
        low, high = 0.0, 0.0
        limit: GeneratorLimitError | None = None
        with self._stack:
            for _ in range(self._effort.probes):
                kept_up = False
                try:
                    kept_up = self._probe(rate, ATTEMPTS)
                except GeneratorLimitError as exc:
                    limit = exc
                else:
                    limit = limit if kept_up else None
                if kept_up:
                    low = rate
                    rate = (low + high) / 2 if high else low * 1.5
                else:
                    high = rate
                    rate = (low + high) / 2 if low else high * 0.6
                if high and low and high / low < 1.09:
                    break
        self._stop()
        if self.best is not None:
            self.best["at_least"] = limit is not None
        elif limit is not None:
            raise limit

    def again(self, reached: float = 0.0) -> bool:
        """Try what a peer ``reached`` (messages a second), else half of the way there, on a fresh server; who is not
        behind tries a step more. Whether it kept up. A peer's rate may have been found in a good moment of the machine:
        who is behind gets the same chances at it, and is not said to be behind by a whole step for less."""
        if self.best is None or self.best["at_least"]:
            return False
        known = self.best["rate"]
        for rate in (reached, (reached + known) / 2) if reached > known else (known * STEP,):
            if rate > known * FINEST:
                try:
                    if self._probe(rate, 1):
                        return True
                except GeneratorLimitError:
                    self.best["at_least"] = True
                    return False
                finally:
                    self._stop()
        return False


def fresh_closed_loop(kind: Kind, row: Row, effort: Effort, loop: str = DEPLOYED) -> dict[str, Any]:
    """Closed loop of a fresh server. Raises GeneratorLimitError."""
    with running(kind, loop) as run:
        return closed_loop(run, row, effort)


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run in the middle by p99."""
    return sorted(runs, key=lambda figures: float(figures["p99_ms"]))[(len(runs) - 1) // 2]


def under_load(run: Running, row: Row, rate: float, effort: Effort) -> dict[str, Any]:
    """Latencies and CPU at that many messages a second. Raises GeneratorLimitError."""
    figures = run.load(*_shape(row), "-R", f"{rate:.1f}", "-W", 0.5, "-d", effort.equal)
    if _limited(figures):
        raise GeneratorLimitError(f"{run.kind.title} at {rate:.0f} messages/s: {figures['late']:.0%} sent late")
    return figures


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
