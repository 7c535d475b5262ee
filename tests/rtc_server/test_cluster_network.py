# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network between one of several servers and the store is cut, by silence and by RST, while clients write at all of
them. The server is in a network namespace, and reaches the store by TLS, as over any network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rtc_support import PATIENCE

pytest.importorskip("asyncpg")
from postgres_support import Postgres
from rtc_certificates import make_pair
from rtc_cluster import LONG, Cluster, configured, is_ready
from rtc_network import Island

from rtc_server.store_postgres import journal

COUNT = 3 if LONG else 2
ROUNDS = 3 if LONG else 1
NOTICED = journal.DEAF + journal.BEAT + 2.0  # seconds; the machine has other work, too


@pytest.fixture
def island() -> Iterator[Island]:
    island = Island()
    yield island
    island.remove()


def wait_until(condition: Callable[[], bool], what: str) -> float:
    """Seconds until a condition holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE, f"never came true: {what}"
        time.sleep(0.02)
    return time.monotonic() - began


async def test_one_server_is_cut_off_from_the_store(tmp_path: Path, island: Island) -> None:
    async with Cluster() as cluster:
        store = await asyncio.to_thread(Postgres)
        cluster.machines.append(store)
        ca = await asyncio.to_thread(store.start_with_tls, make_pair(tmp_path, island.outside), island.outside)
        store.make_database()
        password = Path(store.store().password)
        servers = [configured(tmp_path / f"node{at}", store.url(), password) for at in range(COUNT - 1)]
        url = store.url().replace("127.0.0.1", island.outside)
        lonely = configured(
            tmp_path / "lonely", url, password, server={"address": "0.0.0.0"}, journal={"store_ca": str(ca)}
        )
        lonely.prefix, lonely.url = island.prefix, f"http://{island.inside}:{lonely.port}"
        await cluster.start_servers([*servers, lonely])
        await cluster.begin_writing()
        for writer in cluster.writers:  # as a load balancer that asks /readyz does with its clients
            writer.leaves_what_is_not_ready = True

        def go(cut: Callable[[int], None]) -> None:
            cut(store.port)
            noticed = wait_until(lambda: not is_ready(lonely), "it notices")
            assert noticed < NOTICED
            assert all(is_ready(server) for server in servers)
            island.mend()
            wait_until(lambda: is_ready(lonely), "it is back")

        for _ in range(ROUNDS):
            await cluster.while_writing("silence between one server and the store", lambda: go(island.cut))
            await cluster.while_writing("RST between one server and the store", lambda: go(island.reset))
        await cluster.settle(store, "one server cut off")
