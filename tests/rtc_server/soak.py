# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long run of mixed load: honest clients, attacks, kills, stops, backups. Used by ``test_soak.py``.

In the first half the server is killed or stopped again and again; the second half is one life, in which memory and
descriptors must stay flat. Attacks go on all the time, one after another, at a low rate. At the end every writer
accounts for what it was told: nothing lost, nothing doubled, one order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from hostile import attacks_connections, attacks_editors, attacks_packets
from hostile.attack import ATTACKS
from hostile.processes import Helper, tokens
from rtc_figures import FIGURES, SOAK
from rtc_support import SOURCE, Client, Closed, Server, token
from rtc_writers import Writer, account

from rtc_server.journal.verify import verify_journal

assert attacks_connections and attacks_editors and attacks_packets  # they fill the list

WRITERS = 8
PAUSE = 0.4  # seconds between a writer's batches, on average: about a hundred changes a second in total
LIMITS = {"connect_seconds": 2}
HEARTBEAT = {"interval": 3, "timeout": 3}
WARM = 0.3  # part of the last life that is not looked at
LATER = 4  # descriptors that the journal opens with the first reading, and keeps
SHORT = 180.0  # seconds of a run, in which the server is hardly warm


def bound(seconds: float) -> float:
    """Megabytes that memory may grow over the rest of the last life, by its slope."""
    return 20.0 if seconds > SHORT else 40.0


@dataclass
class Samples:
    """Of one life of the server: seconds, megabytes, descriptors."""

    at: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    descriptors: list[float] = field(default_factory=list)

    def take(self, process: int) -> None:
        """One more."""
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        self.at.append(time.monotonic())
        self.resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
        self.descriptors.append(len(os.listdir(f"/proc/{process}/fd")))

    def warm(self) -> Samples:
        """Without the beginning."""
        begin = int(len(self.at) * WARM)
        return Samples(self.at[begin:], self.resident[begin:], self.descriptors[begin:])


def growth(at: list[float], values: list[float]) -> float:
    """How much values grew from the first to the last moment, by the line of least squares through them."""
    middle, mean = sum(at) / len(at), sum(values) / len(values)
    spread = sum((t - middle) ** 2 for t in at)
    slope = sum((t - middle) * (v - mean) for t, v in zip(at, values, strict=True)) / spread if spread else 0.0
    return slope * (at[-1] - at[0])


class Soak:
    """One run of so many seconds."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self.seconds = seconds
        self.server = Server(directory, limits=LIMITS, heartbeat=HEARTBEAT)
        self.writers = [Writer(self.server, n, PAUSE) for n in range(WRITERS)]
        self.life = Samples()
        self.counts = dict.fromkeys(("kills", "stops", "backups", "attacks", "snapshots"), 0)
        self.ended = False

    async def run(self) -> None:
        """All of it. Raises AssertionError for what must not be."""
        await asyncio.to_thread(self.server.start)
        assert self.server.process is not None
        idle = Samples()
        idle.take(self.server.process.pid)
        begin = time.monotonic()
        writing = [asyncio.ensure_future(w.run()) for w in self.writers]
        beside = [asyncio.ensure_future(work()) for work in (self._sample, self._attack, self._draw, self._back_up)]
        try:
            await self._restart(begin + self.seconds / 2)
            while (left := begin + self.seconds - time.monotonic()) > 0:
                await asyncio.wait(writing + beside, timeout=min(left, 60), return_when=asyncio.FIRST_EXCEPTION)
                for task in writing + beside:
                    assert not task.done(), task.exception()
                self._tell(f"{left / 60:.0f} minutes left, {self.life.resident[-1]:.0f} MB, {self.counts}")
            self.ended = True
            await asyncio.wait(beside)
            for writer in self.writers:
                writer.stopping = True
            await asyncio.wait_for(asyncio.gather(*writing), 120)
            await asyncio.gather(*beside)
            flat = await self._are_descriptors_back(idle.descriptors[0])
        finally:
            self.ended = True
            for writer in self.writers:
                writer.given_up = True
        assert await asyncio.to_thread(self.server.stop) == 0
        await asyncio.to_thread(account, self.server, self.writers)
        self._report(flat, idle.descriptors[0])

    def _tell(self, text: str) -> None:
        print(f"soak: {text}", flush=True)

    def _report(self, descriptors: float, idle: float) -> None:
        life = self.life.warm()
        grown = growth(life.at, life.resident)
        hours = (life.at[-1] - life.at[0]) / 3600
        acknowledged = sum(len(w.acknowledged) for w in self.writers)
        SOAK.append(
            f"soak: {self.seconds / 60:.1f} minutes, acknowledged {acknowledged}, lost 0, doubled 0, "
            + ", ".join(f"{name} {number}" for name, number in self.counts.items())
            + f"; last life: memory {life.resident[0]:.0f} to {life.resident[-1]:.0f} MB, by its slope {grown:+.1f} MB in "
            f"{hours * 60:.1f} minutes; descriptors {growth(life.at, life.descriptors):+.1f} by their slope, "
            f"{descriptors:.0f} at the end, {idle:.0f} when it began"
        )
        self._tell(SOAK[-1])
        assert grown < bound(self.seconds), SOAK[-1]
        assert descriptors <= idle + LATER, SOAK[-1]

    async def _are_descriptors_back(self, idle: float) -> float:
        now = Samples()
        assert self.server.process is not None
        give_up = time.monotonic() + 60
        while True:
            now.take(self.server.process.pid)
            if now.descriptors[-1] <= idle + LATER or time.monotonic() > give_up:
                return now.descriptors[-1]
            await asyncio.sleep(0.1)

    async def _restart(self, until: float) -> None:
        """Kill and stop in turns, until the second half."""
        every = min(180.0, max(5.0, self.seconds / 12))
        for number in itertools.count():
            pause = random.uniform(0.5, 1.5) * every
            if time.monotonic() + pause > until:
                break
            await asyncio.sleep(pause)
            if number % 2:
                assert await asyncio.to_thread(self.server.stop) == 0, "SIGTERM did not end it in order"
                self.counts["stops"] += 1
            else:
                await asyncio.to_thread(self.server.kill)
                self.counts["kills"] += 1
                FIGURES["kills"] += 1
            if self.life.at:
                self._tell(
                    f"a life ended with {self.life.resident[-1]:.0f} MB, {self.life.descriptors[-1]:.0f} descriptors"
                )
            await asyncio.to_thread(self.server.start)
            self.life = Samples()

    async def _sample(self) -> None:
        while not self.ended:
            with contextlib.suppress(OSError, IndexError):  # between two lives
                assert self.server.process is not None
                self.life.take(self.server.process.pid)
            await asyncio.sleep(0.25)

    async def _attack(self) -> None:
        """One after another, in an order that is another one each time."""
        names = [a.name for a in ATTACKS.values() if not a.tls and not a.files]
        while not self.ended:
            attacker = Helper("attacker", name=random.choice(names), scale=0.05, megabytes=2.0, seconds=1.0,
                              tokens=tokens(), port=self.server.port, tls=False)  # fmt: skip
            try:
                for _ in range(2):  # it is ready; it is over
                    await asyncio.to_thread(attacker.hear)
                    attacker.go_on()
                await asyncio.to_thread(attacker.hear)
                self.counts["attacks"] += 1
            finally:
                attacker.close()
            await asyncio.sleep(1)

    async def _draw(self) -> None:
        """A project that is compacted: changes, presence, a snapshot now and then, history."""
        count = 0
        while not self.ended:
            with contextlib.suppress(Closed, aiohttp.ClientError, OSError, AssertionError):
                client = await Client.open(self.server.url, random.choice(["websocket", "polling"]))
                client.check_contract = False
                try:
                    await client.connect(token("drawer"))
                    await asyncio.wait_for(client.ask("join", {"project": "drawn"}), 10)
                    while not self.ended:
                        count += 1
                        body = {"project": "drawn", "id": f"d{time.time_ns()}", "data": "x" * random.randint(1, 3000)}
                        answer = await asyncio.wait_for(client.ask("change", body), 10)
                        await client.emit("presence", {"project": "drawn", "state": count})
                        if answer["ok"] and count % 100 == 0:
                            await self._compact(client, answer["revision"])
                        client.events.clear()
                        client.other.clear()
                        await asyncio.sleep(0.05)
                finally:
                    await client.close()
            await asyncio.sleep(0.1)

    async def _compact(self, client: Client, revision: int) -> None:
        body = {"project": "drawn", "revision": revision, "data": "x" * 100_000}
        kept = await asyncio.wait_for(client.ask("snapshot", body), 10)
        self.counts["snapshots"] += kept["ok"]
        await asyncio.wait_for(client.ask("history", {"project": "drawn", "since": max(0, revision - 50)}), 10)

    async def _back_up(self) -> None:
        """A copy of the running journal now and then, which must be whole."""
        copy = self.server.directory / "copy.db"
        while not self.ended:
            await asyncio.sleep(min(300.0, self.seconds / 8))
            done = await asyncio.to_thread(self._copy, copy)
            assert done.returncode == 0, done.stderr
            wrong, _ = await asyncio.to_thread(verify_journal, str(copy))
            assert wrong == []
            self.counts["backups"] += 1
            for path in self.server.directory.glob("copy.db*"):
                path.unlink()

    def _copy(self, target: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rtc_server", "backup", "--config", str(self.server.config), str(target)]
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
