# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RTC servers on one store behind a real proxy, and clients that write through it, all from one address, no cookies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections import Counter

import aiohttp
import rtc_support
from proxies.bench import NAME
from rtc_writers import Writer

from ansible_collections.collab.rtc.plugins.plugin_utils._plan.labels import label_nodes

EXTERNAL = "127.0.2.1"
OPENING_SECONDS = 20  # after which socket.io-client's Manager gives up (its option "timeout")
LABELS = list(label_nodes(["wiki1", "wiki2", "wiki3"]).values())
ANY_CERTIFICATE = ssl._create_unverified_context()  # whose it is, other tests look at


class Node(rtc_support.Server):
    """An RTC server with a label."""

    def __init__(self, directory, label, store_url, password, **sections):
        directory.mkdir()
        self.label = label
        journal = {"path": None, "store_url": store_url, "store_password": str(password)}
        server = {"label": label, "drain_seconds": 1, "trusted_proxies": ["127.0.0.0/8"]}
        limits = {"changes_burst": 1_000_000, "connections_per_user": 1000}
        super().__init__(directory, server=server, journal=journal, limits=limits, **sections)

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def entry(self):
        scheme = self.url.partition(":")[0]
        return {"scheme": scheme, "host": "127.0.0.1", "port": self.port, "label": self.label}


class Front:
    """The proxy: ``write`` gives it the virtual host for these nodes, as a run does."""

    def __init__(self, daemon, port, run_module, certificate=None, **more):
        self.daemon, self.port, self.run_module = daemon, port, run_module
        self.url = f"http{'s' if certificate else ''}://{EXTERNAL}:{port}"
        tls = {"certificate": certificate[0], "key": certificate[1]} if certificate else {}
        self.vhost = {
            **{"kind": daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME},
            **{"listen": [EXTERNAL], "port": port, "health": "/readyz"},
            **tls,
            **more,
        }

    def write(self, nodes, **changes):
        vhost = {**self.vhost, "upstreams": [node.entry() for node in nodes], **changes}
        result = self.run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(self.daemon.root)})
        assert not result.get("failed"), result
        return result


class Visitor(Writer):
    """Writes through the proxy, and comes back there whatever happens."""

    def __init__(self, front, number, project, upgrades=False):
        super().__init__(front, number, pause=0.02)
        self.project = project
        self.user = f"{project}{number}"
        self.upgrades = upgrades
        if upgrades:
            self.transport, self.revision = "polling", 4
        self.longest, self.last = 0.0, time.monotonic()
        self.sid = ""

    async def _come(self):
        client = await asyncio.wait_for(super()._come(), OPENING_SECONDS)
        self.sid = client.sid
        if self.upgrades:
            await asyncio.wait_for(client.upgrade(), 10)
        return client

    def _new(self):
        now, count = time.monotonic(), len(self.acknowledged)
        if count != getattr(self, "_before", -1):
            self.longest, self.last, self._before = max(self.longest, now - self.last), now, count
        return super()._new()


class Newcomer:
    """Opens a session again and again and counts what is refused."""

    def __init__(self, front):
        self.front, self.opened, self.refused, self.stopping = front, Counter(), Counter(), False

    def __str__(self):
        return f"new sessions by node {dict(self.opened)}, refused {dict(self.refused)}"

    async def run(self):
        url = f"{self.front.url}/socket.io/?EIO=4&transport=polling"
        # A connection that is kept may be closed while a request is on its way, which a browser sends again.
        connector = aiohttp.TCPConnector(ssl=ANY_CERTIFICATE, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            while not self.stopping:
                try:
                    async with http.get(url, timeout=aiohttp.ClientTimeout(15)) as answer:
                        text = await answer.text()
                    if answer.status == 200:
                        sid = json.loads(text[1:])["sid"]
                        self.opened[sid.rpartition(".")[2]] += 1
                        async with http.post(f"{url}&sid={sid}", data="1"):
                            pass  # it leaves again
                    else:
                        self.refused[f"{answer.status} {text[:80]}"] += 1
                except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as exc:
                    self.refused[repr(exc)[:120]] += 1
                await asyncio.sleep(0.03)


@contextlib.asynccontextmanager
async def visiting(front, number, project):
    """Visitors over every transport and a newcomer, for as long as the block runs."""
    visitors = [Visitor(front, at, project, upgrades=at % 3 == 2) for at in range(number)]
    newcomer = Newcomer(front)
    tasks = [asyncio.ensure_future(item.run()) for item in [*visitors, newcomer]]
    try:
        yield visitors, newcomer
        for visitor in visitors:
            visitor.stopping = True
        newcomer.stopping = True
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
    finally:
        for visitor in visitors:
            visitor.given_up = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def progress(visitors, *actions, each=8):
    """Something happens, and every visitor gets so many more acknowledgements; the longest time that one waited for any.

    :param actions: functions, each with its arguments.
    """
    for visitor in visitors:
        visitor.longest, visitor.last = 0.0, time.monotonic()
    for action, *arguments in actions:
        await asyncio.to_thread(action, *arguments)
    wanted = {visitor: len(visitor.acknowledged) + each for visitor in visitors}
    give_up = time.monotonic() + 30
    while behind := [visitor for visitor, count in wanted.items() if len(visitor.acknowledged) < count]:
        dead = [visitor for visitor in visitors if visitor.state.startswith("died")]
        assert not dead and time.monotonic() < give_up, "\n".join(map(str, dead or behind))
        await asyncio.sleep(0.02)
    return max(visitor.longest for visitor in visitors)


def account(postgres, visitors, database="rtc"):
    """How many acknowledged changes are lost or doubled; all saw them in one order."""
    final = postgres.query(
        "SELECT c.id FROM rtc.change c JOIN rtc.project p ON p.number = c.project"
        f" WHERE p.name = '{visitors[0].project}' ORDER BY c.revision",
        database,
    )
    for visitor in visitors:
        assert visitor.seen == final[: len(visitor.seen)], "another order"
    lost = sum(final[at - 1 : at] != [id] for visitor in visitors for id, at in visitor.acknowledged.items())
    return lost, len(final) - len(set(final))
