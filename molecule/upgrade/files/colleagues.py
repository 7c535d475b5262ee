# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who work while something happens to their server: they come back as they are told, and remember how it was."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

from proxies.cluster import Newcomer
from rtc_support import Client
from rtc_writers import Writer

TEAM = 10  # colleagues in a project
PAUSE = 4.0  # seconds between two batches of one of them: two cores for all hosts and all clients
WAYS = ("polling", "upgrade", *["websocket"] * 8)  # of each team


class Colleague(Writer):
    """One of a team."""

    token_seconds = 7200.0

    def __init__(self, url: str, number: int) -> None:
        super().__init__(SimpleNamespace(url=url), number, PAUSE)  # type: ignore[arg-type]  # of a server its address
        self.user, self.project = f"colleague{number}", f"team{number // TEAM}"
        self._way = WAYS[number % TEAM]
        self._comes_at = 0.0  # on the clock of time.monotonic()
        self._since: float | None = None  # it waits for an acknowledgement
        self.hurry = asyncio.Event()  # ends a pause
        self.longest, self.disconnected = 0.0, 0

    def begin(self) -> None:
        """Forget how it was until now."""
        self.longest, self.disconnected = 0.0, 0
        self.ends.clear()

    def is_at_ease(self) -> bool:
        """Whether it is connected and waits for nothing."""
        return self.state == "writes" and not self.unsure

    def list_refused(self) -> dict[str, int]:
        """Tries to come that failed, by their reasons."""
        return {why: count for why, count in self.ends.items() if why.startswith("comes: ")}

    def _choose_time(self) -> float:
        """When to come, unless told: as socket.io-client does it."""
        return time.monotonic() + random.uniform(0.5, 1.5)  # noqa: S311

    async def _come(self) -> Client:
        self.transport, self.revision = ("websocket" if self._way == "websocket" else "polling"), 4
        await asyncio.sleep(self._comes_at - time.monotonic())
        self._comes_at = self._choose_time()
        client = await super()._come()
        if self._way == "upgrade":
            await asyncio.wait_for(client.upgrade(), 10)
        return client

    async def _write(self, client: Client) -> None:
        try:
            await super()._write(client)
        except BaseException:
            self.disconnected += 1
            self._comes_at = max(self._comes_at, self._choose_time())
            raise

    async def _rest(self, client: Client) -> None:
        ends = [asyncio.ensure_future(event.wait()) for event in (client.closed, self.hurry)]
        seconds = random.uniform(0, 2 * self.pause)  # noqa: S311
        await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        self.hurry.clear()

    def _new(self) -> str:
        self._since = self._since or time.monotonic()
        return super()._new()

    def _take(self, client: Client) -> None:
        for told in client.of("closing"):
            self._comes_at = time.monotonic() + told["retry_after"]
        super()._take(client)
        if self._since is not None and not self.unsure:
            self.longest, self._since = max(self.longest, time.monotonic() - self._since), None


@contextlib.asynccontextmanager
async def working(url: str, number: int) -> AsyncIterator[tuple[list[Colleague], Newcomer]]:
    """Colleagues, and somebody who opens one session after another, for as long as the block runs."""
    colleagues, newcomer = [Colleague(url, at) for at in range(number)], Newcomer(SimpleNamespace(url=url))
    tasks = [asyncio.ensure_future(item.run()) for item in [*colleagues, newcomer]]
    try:
        yield colleagues, newcomer
        for item in [*colleagues, newcomer]:
            item.stopping = True
        for colleague in colleagues:
            colleague.hurry.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
    finally:
        for colleague in colleagues:
            colleague.given_up = True  # a cancelled one may take that for the end of its connection
        newcomer.stopping = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
