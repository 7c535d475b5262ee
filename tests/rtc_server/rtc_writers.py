# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that write under kills and restarts, and the account of what they were told."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import aiohttp
from rtc_figures import FIGURES
from rtc_support import Client, Closed, Server, token

from rtc_server.journal import export_import
from rtc_server.journal.verify import verify_journal

if TYPE_CHECKING:
    from rtc_people import Person

KINDS = [("websocket", 4), ("polling", 4), ("websocket", 3), ("polling", 3), ("websocket", 4), ("websocket", 4)]
WINDOW = 8  # changes of one writer that wait for an acknowledgement


class Writer:
    """A client that never gives up. ``pause``: seconds between its batches."""

    def __init__(self, server: Server, number: int, pause: float = 0.0) -> None:
        self.server = server
        self.pause = pause
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
        self.ends: Counter[str] = Counter()  # why its connections ended, and how often
        self.state = "not begun"

    def __str__(self) -> str:
        ends = "; ".join([f"{count} x {why}" for why, count in self.ends.most_common(5)])
        return (
            f"{self.user} ({self.transport}, EIO {self.revision}) {self.state}: {len(self.acknowledged)} acknowledged,"
            f" {len(self.unsure)} unsure, {self.connections} connections; they ended with: {ends or 'nothing'}"
        )

    async def run(self) -> None:
        """Write until told to stop, then until nothing is unsure. Raises what a correct server cannot cause."""
        while not self.given_up and (not self.stopping or self.unsure):
            try:
                self.state = "comes"
                client = await self._come()
                try:
                    self.state = "writes"
                    await self._write(client)
                finally:
                    await client.close()
                    self._take(client)
            except (Closed, aiohttp.ClientError, OSError, asyncio.TimeoutError, AssertionError) as exc:
                self.ends[f"{self.state}: {exc!r:.200}"] += 1
            except BaseException as exc:
                self.state = f"died: {exc!r:.500}"
                raise
            await asyncio.sleep(0.02)
        self.state = "ended"

    async def _come(self) -> Client:
        bearer = token(self.user)
        query = f"&token={bearer}" if self.revision == 3 else ""
        client = await Client.open(self.server.url, self.transport, self.revision, query)
        client.check_contract = False  # other tests do; here speed is wanted
        try:
            await client.connect(bearer)
            joined = await asyncio.wait_for(client.ask("join", {"project": self.project, "since": len(self.seen)}), 10)
            if not joined["ok"]:
                await asyncio.sleep(joined.get("retry_after", 0))
                raise Closed(str(joined))
            if joined["reset"]:
                raise RuntimeError(f"{self.user}: what was seen up to {len(self.seen)} is not true any more: {joined}")
            for change in joined["changes"]:
                self._see(change)
            if joined["more"]:  # others have written more than a page meanwhile
                await client.until(lambda: any(not body["more"] for body in client.of("changes")), "all pages")
                self._take(client)
        except BaseException:
            await client.close()
            raise
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
            for change in {"change": [body], "changes": body.get("changes")}.get(name, ()):
                self._see(change)

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
            wait = 0.0
            for id, answer in answers.items():
                told = await asyncio.wait_for(answer, 10)
                if told["ok"]:
                    self.acknowledged[id] = told["revision"]
                    self.unsure.remove(id)
                elif "retry_after" in told:
                    wait = told["retry_after"]
                    self.ends[f"not an end: {told['message']}"] += 1
                else:
                    raise Closed(str(told))
            self._take(client)
            if wait:  # who came back at once instead would have as many connections as a user may have, before long
                await asyncio.sleep(wait)
                again = list(self.unsure)
            if self.pause:
                await asyncio.sleep(random.uniform(0, 2 * self.pause))

    def _new(self) -> str:
        self.count += 1
        id = f"{self.user}-{self.count}"
        self.unsure.append(id)
        return id


def account(server: Server, writers: Sequence[Writer | Person]) -> None:
    """After the server's end: what was acknowledged is there once, in the order in which all saw it."""
    path = str(server.directory / "journal.db")
    wrong, _ = verify_journal(path)
    assert wrong == []
    for project in sorted({writer.project for writer in writers}):
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
