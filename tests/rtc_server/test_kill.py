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
import os
import random

import pytest
from rtc_figures import FIGURES
from rtc_support import Client, Server, eventually, token
from rtc_writers import Writer, account


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
    account(server, writers)


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
    account(server, writers)
