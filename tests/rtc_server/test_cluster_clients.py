# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of clients/ with two servers on one store behind one address, while a node is lost: lost 0, doubled 0, one
order for all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from rtc_people import People
from rtc_support import Server
from test_real_clients import node as javascript  # the fixture

pytest.importorskip("asyncpg")
from rtc_cluster import Cluster, configured

__all__ = ["javascript"]


@contextlib.asynccontextmanager
async def balancing(servers: Sequence[Server]) -> AsyncIterator[str]:
    """An address that passes each connection on to the next server in turn that takes it, as a load balancer does."""
    turns = itertools.count()

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(turns)
        for at in range(len(servers)):
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", servers[(first + at) % len(servers)].port)
                await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))
                return
        writer.close()

    front = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{front.sockets[0].getsockname()[1]}"
    finally:
        front.close()


async def test_a_node_is_lost(tmp_path: Path, javascript: Path) -> None:
    async with Cluster() as cluster:
        store = await cluster.add_machine()
        password = Path(store.store().password)
        await cluster.start_servers([configured(tmp_path / f"node{at}", store.url(), password) for at in range(2)])
        async with balancing(cluster.servers) as address, People(address, javascript, ways=("ws", "ws2")) as people:
            await people.progress()
            for server in cluster.servers:
                await asyncio.to_thread(server.kill)
                await people.progress()
                await asyncio.to_thread(server.start)
            await people.progress()
        query = "SELECT c.id FROM rtc.change c JOIN rtc.project p ON p.number = c.project WHERE p.name = 'p' ORDER BY c.revision"
        final = store.query(query, "rtc")
    assert max(person.count_connections() for person in people.all) > 1, "nobody was at a node that was killed"
    assert len(final) == len(set(final)) == sum(person.count for person in people.all)
    for person in people.all:
        assert person.refused == {} and person.seen == final[: len(person.seen)], "another order"
        assert [final[at - 1] for at in person.acknowledged.values()] == list(person.acknowledged), "lost"
