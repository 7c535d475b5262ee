# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several servers on one store, all active, under load: a server is killed, the store is killed and comes back, the store
fails over to a synchronous standby. Every acknowledged change is there, none twice, and all servers have one order.

``RTC_CLUSTER=long`` (``make test-rtc-cluster``) has one, two and three servers, and repeats each fault.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rtc_figures import SOAK
from rtc_support import Client, Server, eventually, token

pytest.importorskip("asyncpg")
from postgres_support import Postgres
from rtc_writers import Writer

LONG = os.environ.get("RTC_CLUSTER") == "long"
ROUNDS = 4 if LONG else 1  # of each fault


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
    """Comes back to any server, as through a load balancer."""

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


def configured(directory: Path, store_url: str, password: Path) -> Server:
    directory.mkdir()
    journal = {"path": None, "store_url": store_url, "store_password": str(password)}
    return Server(directory, journal=journal, limits={"changes_burst": 1_000_000})


async def progress(writers: list[ClusterWriter], each: int = 15) -> None:
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


@pytest.mark.parametrize("count", [1, 2, 3] if LONG else [2])
async def test_nothing_is_lost_and_one_order_is_seen(tmp_path: Path, count: int) -> None:
    primary = Postgres(synchronous_standby_names="standby")
    machines = [primary]
    servers: list[Server] = []
    writers: list[ClusterWriter] = []
    running: list[Any] = []
    pauses: dict[str, float] = {}

    async def while_writing(what: str, *steps: Callable[[], None]) -> None:
        for writer in writers:
            writer.acknowledged.longest, writer.acknowledged.last = 0.0, time.monotonic()
        await asyncio.sleep(random.uniform(0, 0.2))  # the moment is to be a random one
        for step in steps:
            await asyncio.to_thread(step)
        await progress(writers)
        pauses[what] = max(pauses.get(what, 0.0), *(w.acknowledged.longest for w in writers))

    try:
        await asyncio.to_thread(primary.start)
        primary.make_database()
        standby = await asyncio.to_thread(Postgres, primary)
        machines.append(standby)
        await asyncio.to_thread(standby.start)
        await eventually(lambda: primary.query("SELECT 1 FROM pg_stat_replication WHERE sync_state='sync'"))
        password = Path(primary.store().password)
        url = primary.url("rtc", standby)
        servers += [configured(tmp_path / f"node{at}", url, password) for at in range(count)]
        await asyncio.gather(*[asyncio.to_thread(server.start) for server in servers])
        writers += [ClusterWriter(servers, number) for number in range(6)]
        running += [asyncio.ensure_future(writer.run()) for writer in writers]
        await progress(writers)
        for _ in range(ROUNDS):
            victim = random.choice(servers)
            await while_writing("a server is killed", victim.kill, victim.start)
            await while_writing("the store is killed", primary.kill, primary.start)
        await while_writing("the store fails over", primary.kill, standby.promote)
        for writer in writers:
            writer.stopping = True
        await asyncio.wait_for(asyncio.gather(*running), 60)
        lost, doubled = 0, 0
        for project in "pq":
            final = standby.query(
                "SELECT c.id FROM rtc.change c JOIN rtc.project p ON p.number = c.project"
                f" WHERE p.name = '{project}' ORDER BY c.revision",
                "rtc",
            )
            members = [w for w in writers if w.project == project]
            for writer in members:
                lost += sum(final[at - 1 : at] != [id] for id, at in writer.acknowledged.items())
                assert writer.seen == final[: len(writer.seen)], "another order"
            doubled += len(final) - len(set(final))
            assert set(final) == {f"{w.user}-{i + 1}" for w in members for i in range(w.count)}
            for server in servers:
                assert await see_all(server, project) == final
        assert (lost, doubled) == (0, 0)
        kept = sum(len(w.acknowledged) for w in writers)
        told = ", ".join(f"{what} {pause:.1f} s" for what, pause in pauses.items())
        SOAK.append(f"{count} servers: {kept} acknowledged, lost = {lost}, doubled = {doubled}; longest pause: {told}")
    finally:
        for writer in writers:
            writer.given_up = True
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for server in servers:
            if server.process is not None and server.process.poll() is None:
                server.kill()
        for machine in machines[::-1]:
            await asyncio.to_thread(machine.remove)


async def test_members_and_presence_of_all_servers(tmp_path: Path) -> None:
    store = Postgres()
    servers: list[Server] = []
    clients: list[Client] = []
    try:
        await asyncio.to_thread(store.start)
        store.make_database()
        password = Path(store.store().password)
        servers += [configured(tmp_path / f"node{at}", store.url(), password) for at in range(2)]
        for server in servers:
            await asyncio.to_thread(server.start)
        for server, user in zip(servers, ("ann", "bob"), strict=True):
            clients.append(await Client.open(server.url))
            await clients[-1].connect(token(user))
        ann, bob = clients

        def there(client: Client, user: str) -> bool:
            return any(m["user"] == user for body in client.of("members") for m in body.get("joined", ()))

        await asyncio.sleep(0)
        first = await ann.ask("join", {"project": "p"})
        second = await bob.ask("join", {"project": "p"})
        assert first["ok"] and second["ok"]
        await ann.until(lambda: there(ann, "bob"), "bob is announced to ann")
        await bob.until(lambda: there(bob, "ann") or any(m["user"] == "ann" for m in second["members"]), "ann to bob")
        await ann.emit("presence", {"project": "p", "state": {"x": 1}})
        await bob.until(lambda: [b for b in bob.of("presence") if b["state"] == {"x": 1}], "presence reaches bob")
        sent = await ann.ask("change", {"project": "p", "id": "1", "data": 1})
        await bob.until(
            lambda: [b["revision"] for b in bob.of("change")] == [sent["revision"]], "the change reaches bob"
        )
        await asyncio.to_thread(servers[1].kill)
        await ann.until(lambda: any(second["member"] in b.get("left", ()) for b in ann.of("members")), "the lease ends")
    finally:
        for client in clients:
            await client.close()
        for server in servers:
            if server.process is not None and server.process.poll() is None:
                server.kill()
        await asyncio.to_thread(store.remove)
