# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several servers on one store under load, and the account of what their clients were told."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from postgres_support import Postgres
from rtc_figures import SOAK
from rtc_support import Client, Server, eventually, token
from rtc_writers import Writer

LONG = os.environ.get("RTC_CLUSTER") == "long"


class Acknowledged(dict[str, int]):
    """Knows the longest time in which nothing was added."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.last = time.monotonic()

    def __setitem__(self, id: str, revision: int) -> None:
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now
        super().__setitem__(id, revision)


class ClusterWriter(Writer):
    """Comes back to any server, as through a load balancer: one that is not ready gets no clients."""

    def __init__(self, servers: list[Server], number: int) -> None:
        super().__init__(servers[number % len(servers)], number, pause=0.01)
        self._servers = servers
        self.acknowledged = Acknowledged()

    async def _come(self) -> Client:
        try:
            return await super()._come()
        except BaseException:
            self.server = random.choice(self._servers)
            raise

    async def _write(self, client: Client) -> None:
        try:
            await super()._write(client)
        finally:
            if self.leaves_what_is_not_ready and not await asyncio.to_thread(is_ready, self.server):
                self.server = random.choice(self._servers)

    leaves_what_is_not_ready = False


def is_ready(server: Server) -> bool:
    """What a load balancer asks."""
    return server.health("readyz")[0] == 200


def configured(directory: Path, store_url: str, password: Path, **sections: dict[str, Any]) -> Server:
    """A server on that store, not started."""
    directory.mkdir()
    journal = {"path": None, "store_url": store_url, "store_password": str(password), **sections.pop("journal", {})}
    limits = {"changes_burst": 1_000_000, **sections.pop("limits", {})}
    return Server(directory, journal=journal, limits=limits, **sections)


async def progress(writers: Sequence[ClusterWriter], each: int = 15) -> None:
    """Every writer gets so many more acknowledgements."""
    wanted = {writer: len(writer.acknowledged) + each for writer in writers}
    give_up = time.monotonic() + 60
    while behind := [writer for writer, count in wanted.items() if len(writer.acknowledged) < count]:
        dead = [writer for writer in writers if writer.state.startswith("died")]
        assert not dead and time.monotonic() < give_up, "\n".join(map(str, dead or behind))
        await asyncio.sleep(0.05)


async def see_all(server: Server, project: str) -> list[str]:
    """What a client that has nothing gets of a project at one server."""
    client = await Client.open(server.url)
    try:
        await client.connect(token("watcher"))
        page = await client.ask("join", {"project": project})
        found = list(page["changes"])
        if page["more"]:
            await client.until(lambda: any(not body["more"] for body in client.of("changes")), "all pages")
            found += [change for body in client.of("changes") for change in body["changes"]]
        return [change["id"] for change in found]
    finally:
        await client.close()


class Cluster:
    """Servers and writers, for as long as the block runs. ``machines``: servers of PostgreSQL that go with it."""

    def __init__(self) -> None:
        self.machines: list[Postgres] = []
        self.servers: list[Server] = []
        self.writers: list[ClusterWriter] = []
        self.pauses: dict[str, float] = {}
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        for writer in self.writers:
            writer.given_up = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for server in self.servers:
            if server.process is not None and server.process.poll() is None:
                server.kill()
        for machine in self.machines[::-1]:
            await asyncio.to_thread(machine.remove)

    async def add_machine(self, source: Postgres | None = None, **settings: str) -> Postgres:
        """A started server of PostgreSQL; the first one has a database for the servers."""
        machine = await asyncio.to_thread(lambda: Postgres(source, **settings))
        self.machines.append(machine)
        await asyncio.to_thread(machine.start)
        if source is None:
            machine.make_database()
        return machine

    async def add_standby(self) -> Postgres:
        """A synchronous one of the first machine, which has to name ``standby`` as such."""
        standby = await self.add_machine(self.machines[0])
        await eventually(lambda: self.machines[0].query("SELECT 1 FROM pg_stat_replication WHERE sync_state='sync'"))
        return standby

    async def start_servers(self, servers: list[Server]) -> None:
        """All at a time."""
        self.servers += servers
        await asyncio.gather(*[asyncio.to_thread(server.start) for server in servers])

    async def begin_writing(self, count: int = 6) -> None:
        """Until every writer has been acknowledged something."""
        self.writers += [ClusterWriter(self.servers, number) for number in range(count)]
        self._running += [asyncio.ensure_future(writer.run()) for writer in self.writers]
        await progress(self.writers)

    async def while_writing(
        self, what: str, *steps: Callable[[], Any], watched: Sequence[ClusterWriter] | None = None
    ) -> None:
        """Something happens at a random moment, then all go on. The longest pause of the ``watched`` (all) is noted."""
        watched = self.writers if watched is None else watched
        for writer in self.writers:
            writer.acknowledged.longest, writer.acknowledged.last = 0.0, time.monotonic()
        await asyncio.sleep(random.uniform(0, 0.2))
        for step in steps:
            await asyncio.to_thread(step)
        await progress(self.writers)
        self.pauses[what] = max(self.pauses.get(what, 0.0), *(w.acknowledged.longest for w in watched))

    async def settle(self, store: Postgres, about: str) -> None:
        """Writers end; nothing that was acknowledged is lost, nothing is there twice, and all servers and clients have
        the store's order."""
        for writer in self.writers:
            writer.stopping = True
        await asyncio.wait_for(asyncio.gather(*self._running), 60)
        lost, doubled = 0, 0
        for project in "pq":
            final = store.query(
                "SELECT c.id FROM rtc.change c JOIN rtc.project p ON p.number = c.project"
                f" WHERE p.name = '{project}' ORDER BY c.revision",
                "rtc",
            )
            members = [w for w in self.writers if w.project == project]
            for writer in members:
                lost += sum(final[at - 1 : at] != [id] for id, at in writer.acknowledged.items())
                assert writer.seen == final[: len(writer.seen)], "another order"
            doubled += len(final) - len(set(final))
            assert set(final) == {f"{w.user}-{i + 1}" for w in members for i in range(w.count)}
            for server in self.servers:
                assert await see_all(server, project) == final
        assert (lost, doubled) == (0, 0)
        kept = sum(len(w.acknowledged) for w in self.writers)
        told = ", ".join(f"{what} {pause:.1f} s" for what, pause in self.pauses.items())
        SOAK.append(
            f"{about}, {len(self.servers)} servers: {kept} acknowledged, lost = {lost}, doubled = {doubled};"
            f" longest pause: {told}"
        )
