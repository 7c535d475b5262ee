# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kill -9`` under load, at random moments: every acknowledged change is there, none twice, one order for all.

The clients write as fast as they are answered, over both transports and protocol revisions; when the server
dies they come back to the next one, catch up and send again what they are unsure of.
``RTC_KILLS`` sets how often the server dies (6; ``make test-rtc`` of the long form: 50 and more).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from typing import Any

import aiohttp
import pytest
from rtc_figures import FIGURES
from rtc_support import Client, Closed, Server, eventually, token

from rtc_server.journal import export_import
from rtc_server.journal.verify import verify_journal

KINDS = [("websocket", 4), ("polling", 4), ("websocket", 3), ("polling", 3), ("websocket", 4), ("websocket", 4)]
WINDOW = 8  # changes of one writer that wait for an acknowledgement


class Writer:
    """A client that never gives up."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.user = f"user{number}"
        self.project = "pq"[number % 2]
        self.transport, self.revision = KINDS[number % len(KINDS)]
        self.seen: list[str] = []  # ids by revision - 1
        self.acknowledged: dict[str, int] = {}
        self.unsure: list[str] = []
        self.count = 0
        self.connections = 0
        self.stopping = False  # write nothing new
        self.given_up = False

    async def run(self) -> None:
        """Write until told to stop, then until nothing is unsure."""
        while not self.given_up and (not self.stopping or self.unsure):
            with contextlib.suppress(Closed, aiohttp.ClientError, OSError, AssertionError):
                client = await self._come()
                try:
                    await self._write(client)
                finally:
                    await client.close()
                    self._take(client)
            await asyncio.sleep(0.02)

    async def _come(self) -> Client:
        bearer = token(self.user)
        query = f"&token={bearer}" if self.revision == 3 else ""
        client = await Client.open(self.server.url, self.transport, self.revision, query)
        client.check_contract = False  # other tests do; here speed is wanted
        try:
            await client.connect(bearer)
            joined = await asyncio.wait_for(client.ask("join", {"project": self.project, "since": len(self.seen)}), 10)
        except BaseException:
            await client.close()
            raise
        assert joined["ok"] and not joined["more"] and not joined["reset"], joined
        for change in joined["changes"]:
            self._see(change)
        self.connections += 1
        return client

    def _see(self, change: Any) -> None:
        if change["revision"] != len(self.seen) + 1:
            raise RuntimeError(f"{self.user}: revision {change['revision']} after {len(self.seen)}")
        self.seen.append(change["id"])

    def _take(self, client: Client) -> None:
        """The events that came, in order (once for each connection: at its end or at a pause)."""
        events, client.events = client.events, []
        for name, body in events:
            if name == "change":
                self._see(body)

    async def _write(self, client: Client) -> None:
        again = list(self.unsure)
        while not self.given_up and (not self.stopping or self.unsure):
            batch = again[:WINDOW] or [self._new() for _ in range(0 if self.stopping else random.randint(1, WINDOW))]
            again = again[len(batch) :] if again else []
            if not batch:
                return
            answers = {
                id: client.asked("change", {"project": self.project, "id": id, "data": {"id": id, "pad": "x" * 100}})
                for id in batch
            }
            for id, answer in answers.items():
                told = await asyncio.wait_for(answer, 10)
                if not told["ok"]:
                    raise Closed(str(told))
                self.acknowledged[id] = told["revision"]
                self.unsure.remove(id)
            self._take(client)

    def _new(self) -> str:
        self.count += 1
        id = f"{self.user}-{self.count}"
        self.unsure.append(id)
        return id


@pytest.mark.parametrize("kills", [int(os.environ.get("RTC_KILLS", "6"))])
async def test_nothing_acknowledged_is_lost(server: Server, kills: int) -> None:
    writers = [Writer(server, n) for n in range(8)]
    running = [asyncio.ensure_future(w.run()) for w in writers]

    def so_far() -> tuple[int, int]:
        return sum(w.connections for w in writers), sum(len(w.acknowledged) for w in writers)

    connections, acknowledged = 0, 0
    try:
        for _ in range(kills):
            await eventually(lambda c=connections, a=acknowledged: so_far()[0] >= c + 4 and so_far()[1] > a + 20)
            await asyncio.sleep(random.uniform(0, 0.2))  # the moment is to be a random one
            await asyncio.to_thread(server.kill)
            connections, acknowledged = so_far()
            FIGURES["kills"] += 1
            await asyncio.to_thread(server.start)
        for writer in writers:
            writer.stopping = True
        await asyncio.wait_for(asyncio.gather(*running), 60)
    finally:
        for writer in writers:
            writer.given_up = True
    assert await asyncio.to_thread(server.stop) == 0
    _account(server, writers)


def _account(server: Server, writers: list[Writer]) -> None:
    path = str(server.directory / "journal.db")
    wrong, _ = verify_journal(path)
    assert wrong == []
    for project in "pq":
        final = _ids(path, project)
        members = [w for w in writers if w.project == project]
        submitted = {f"{w.user}-{i + 1}" for w in members for i in range(w.count)}
        FIGURES["duplicated"] += len(final) - len(set(final))
        for writer in members:
            FIGURES["acknowledged"] += len(writer.acknowledged)
            lost = [id for id, at in writer.acknowledged.items() if final[at - 1 : at] != [id]]
            FIGURES["lost"] += len(lost)
            assert lost == []
            assert writer.seen == final[: len(writer.seen)], "another order"
        assert len(final) == len(set(final))
        assert set(final) == submitted


def _ids(path: str, project: str) -> list[str]:
    lines = [json.loads(line) for line in export_import.export_project(path, project)]
    return [line["id"] for line in lines if "data" in line]


async def test_a_stop_in_order_tells_everybody_and_loses_nothing(server: Server) -> None:
    writers = [Writer(server, n) for n in range(4)]
    running = [asyncio.ensure_future(w.run()) for w in writers]
    await eventually(lambda: all(len(w.acknowledged) > 30 for w in writers))
    watcher = await Client.open(server.url)
    await watcher.connect(token())
    assert await asyncio.to_thread(server.stop) == 0
    await watcher.closed.wait()
    assert watcher.of("closing")[0]["reason"] == "restart"
    await watcher.close()
    await asyncio.to_thread(server.start)
    for writer in writers:
        writer.stopping = True
    for task in running:
        await asyncio.wait_for(task, 60)
    assert await asyncio.to_thread(server.stop) == 0
    _account(server, writers)
