# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several servers on one store, all active, under load: a server is killed, the store is killed and comes back, the store
fails over to a synchronous standby. Every acknowledged change is there, none twice, and all servers have one order.

``RTC_CLUSTER=long`` (``make test-rtc-cluster``) has one, two and three servers, and repeats each fault.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest
from rtc_support import PATIENCE, Client, Closed, Server, token

pytest.importorskip("asyncpg")
from postgres_support import Postgres
from rtc_cluster import LONG, Cluster, configured

ROUNDS = 4 if LONG else 1  # of each fault


@pytest.mark.parametrize("count", [1, 2, 3] if LONG else [2])
async def test_nothing_is_lost_and_one_order_is_seen(tmp_path: Path, count: int) -> None:
    async with Cluster() as cluster:
        primary = await cluster.add_machine(synchronous_standby_names="standby")
        standby = await cluster.add_standby()
        password = Path(primary.store().password)
        url = primary.url("rtc", standby)
        await cluster.start_servers([configured(tmp_path / f"node{at}", url, password) for at in range(count)])
        await cluster.begin_writing()
        for _ in range(ROUNDS):
            victim = random.choice(cluster.servers)
            await cluster.while_writing("a server is killed", victim.kill, victim.start)
            await cluster.while_writing("the store is killed", primary.kill, primary.start)
        await cluster.while_writing("the store fails over", primary.kill, standby.promote)
        await cluster.settle(standby, "kills and failover")


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


async def test_limits_of_connections_are_those_of_all_servers(tmp_path: Path) -> None:
    """Of a user, of a project's members, of everybody; those at a server that died count until its lease ends."""
    async with Cluster() as cluster:
        store = await cluster.add_machine()
        password = Path(store.store().password)
        limits = {"connections_per_user": 3, "members_per_project": 2, "total_connections": 6}
        await cluster.start_servers(
            [configured(tmp_path / f"node{at}", store.url(), password, limits=limits) for at in range(2)]
        )
        one, two = cluster.servers

        async def come(server: Server, user: str) -> Client:
            client = await Client.open(server.url)
            try:
                await client.connect(token(user))
            except Closed:
                await client.close()
                raise
            return client

        async def comes_in_the_end(server: Server, user: str) -> Client:
            give_up = time.monotonic() + PATIENCE
            while True:
                try:
                    return await come(server, user)
                except Closed:
                    assert time.monotonic() < give_up, "there is no room"
                    await asyncio.sleep(0.05)

        async def refused_in_the_end(server: Server, user: str, limit: int) -> None:
            """The other server hears of it a moment later; until then somebody may come in, who goes again."""
            give_up = time.monotonic() + PATIENCE
            while True:
                try:
                    extra = await come(server, user)
                except Closed as refusal:
                    assert f'"code":"too_many","limit":{limit}' in str(refusal)
                    return
                assert time.monotonic() < give_up, "it is not refused"
                await extra.close()
                await asyncio.sleep(0.05)

        ann = [await come(one, "ann"), await come(one, "ann"), await come(two, "ann")]
        for server in (one, two):
            await refused_in_the_end(server, "ann", 3)
        bob = [await come(two, "bob"), await come(two, "bob"), await come(one, "bob")]
        for server in (one, two):
            await refused_in_the_end(server, "cat", 6)
        assert (await ann[0].ask("join", {"project": "p"}))["ok"]
        await bob[0].ask("join", {"project": "p"})
        await ann[0].until(lambda: any(m["user"] == "bob" for b in ann[0].of("members") for m in b.get("joined", ())))
        for client in (ann[2], bob[2]):
            give_up = time.monotonic() + PATIENCE
            while (answer := await client.ask("join", {"project": "p"}))["ok"]:
                assert time.monotonic() < give_up, "a third member is not refused"
                await client.ask("leave", {"project": "p"})
                await asyncio.sleep(0.05)
            assert (answer["code"], answer["limit"]) == ("full", 2)
        await bob[0].close()
        bob[0] = await comes_in_the_end(two, "bob")
        await asyncio.to_thread(one.kill)
        ann[0], ann[1] = await comes_in_the_end(two, "ann"), await comes_in_the_end(two, "ann")
        for client in (*ann, *bob):
            await client.close()
