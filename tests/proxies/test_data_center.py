# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several active RTC servers behind each proxy: every session reaches its node, whatever comes and goes.

The servers, their store and the proxies are real. All clients have one address and keep no cookies, as browsers behind
a company's gateway whose page is of another origin.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
import socketio
import test_real_clients as real_clients
from proxies import cluster, figures
from proxies.bench import NAME
from proxies.cluster import LABELS, Front, Node
from rtc_support import Client, Closed, Server, hang_up, token

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import renderer

KINDS = ["nginx", "apache", "haproxy"]
TITLE = "RTC on several active nodes, six writers: lost 0, doubled 0"


javascript = real_clients.node  # the fixture: there is another ``node`` here


@pytest.fixture(scope="module")
def postgres():
    """The store."""
    from postgres_support import started  # its driver is there only where a store is tested

    with started() as server:
        yield server


@pytest.fixture(scope="module")
def nodes(postgres, certificates, tmp_path_factory):
    """Three servers on the store, those that do not run started: ``await nodes()``. The same for all tests: it takes
    longer to start them than what is done with them."""
    postgres.make_database("rtc")
    folder = tmp_path_factory.mktemp("nodes")
    made = {}

    async def running(tls=False, number=3):
        if tls not in made:
            certificate, key = certificates.issue()
            sections = {"tls": {"certificate": certificate, "key": key}} if tls else {}
            made[tls] = [
                Node(folder / f"{label}{tls}", label, postgres.url("rtc"), Path(postgres.store().password), **sections)
                for label in LABELS
            ]
        for node in made[tls][:number]:
            if not node.runs():
                await asyncio.to_thread(node.start)
        return made[tls]

    yield running
    for node in (node for items in made.values() for node in items):
        if node.runs():
            node.kill()


async def work(front, transport, upgrade=False):
    """A session that writes five changes; the label that its id ends in.

    httpd closes connections that are idle for five seconds, maybe while a request is on its way, which browsers send again:
    so each request has a connection of its own.
    """
    # httpd checks a node's certificate against the name that it is asked for.
    client = await Client.open(front.url, transport, headers={"Host": f"{NAME}:{front.port}"}, keep=False)
    try:
        await client.connect(token("ann"))
        if upgrade:
            await client.upgrade()
        assert (await client.ask("join", {"project": "p"}))["ok"]
        for number in range(5):
            told = await client.ask("change", {"project": "p", "id": f"{client.sid}{number}", "data": number})
            assert told["ok"], told
        return client.sid.rpartition(".")[2]
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("kind", "encryption"),
    [*itertools.product(KINDS, ("plain", "tls", "tls to the end")), ("apache before 2.4.47", "plain")],
)
async def test_every_request_of_a_session_reaches_its_node(
    kind, encryption, daemon, port, nodes, certificates, run_module, monkeypatch
):
    kind, _word, old = kind.partition(" ")
    if old:
        monkeypatch.setattr(renderer, "_UPGRADE_SINCE", (9, 9))
    certificate = certificates.issue() if encryption != "plain" else None
    to_the_end = encryption == "tls to the end"
    more = {"upstream_ca": str(certificates.authority)} if to_the_end else {}
    three = await nodes(to_the_end)
    front = Front(daemon(kind).start(), port, run_module, certificate, **more)
    await asyncio.to_thread(front.write, three)
    try:
        share = Counter()
        for transport, upgrade, number in (("polling", False, 12), ("websocket", False, 6), ("polling", True, 6)):
            share.update(await asyncio.gather(*(work(front, transport, upgrade) for _ in range(number))))
        # In turn; httpd gives the next session to who has the fewest requests that wait.
        assert min(share[label] for label in LABELS) >= 4, share
    finally:
        await hang_up()


async def open_session(front):
    """A session that stays, as people's do: a poll of it waits at its node. The client, and the node's label."""
    client = await Client.open(front.url, "polling", headers={"Host": f"{NAME}:{front.port}"}, keep=False)
    await client.connect(token("ann"))
    return client, client.sid.rpartition(".")[2]


async def reach(front, node):
    """Open sessions until one is at a node: the proxy may have to hear of it first."""
    opened = []
    give_up = time.monotonic() + 15
    try:
        while node.label not in [label for _client, label in opened]:
            assert time.monotonic() < give_up, f"none at {node.label}: {Counter(label for _client, label in opened)}"
            opened.append(await open_session(front))
            await asyncio.sleep(0.1)
    finally:
        await asyncio.gather(*(client.close() for client, _label in opened))


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_lost_while_nodes_come_and_go(kind, daemon, port, nodes, postgres, run_module):
    one, two, three = every = await nodes()
    three.stop()
    front = Front(daemon(kind).start(), port, run_module)
    await asyncio.to_thread(front.write, [one, two])
    pauses, refused = {}, {}
    async with cluster.visiting(front, 6, kind) as (visitors, newcomer):

        async def step(what, *actions):
            newcomer.refused.clear()
            pauses[what] = await cluster.progress(visitors, *actions)
            refused[what] = dict(newcomer.refused)

        await step("at rest")
        await step("a node is added", (three.start,), (front.write, every))
        await reach(front, three)
        await step("a node is killed", (two.kill,))
        await step("it is back", (two.start,))
        await reach(front, two)
        await step("a node drains and stops", (one.stop,))
        await step("the proxy is reloaded", (front.write, [*every[1:], one]))
        await step("a node is removed", (front.write, every[1:]))
    assert cluster.account(postgres, visitors) == (0, 0)
    for what, pause in pauses.items():
        figures.add(TITLE, ("proxy", "what happens", "longest pause", "new sessions refused"),
                    (kind, what, f"{pause:.1f} s", sum(refused[what].values())))  # fmt: skip
    # httpd hands an answer of 503 on: until it has asked a node that drains, that one refuses who is new.
    passing = refused.pop("a node drains and stops") if kind == "apache" else {}
    assert all("draining" in text or text.startswith("503") for text in passing), passing
    # A request that the node has taken when it is killed has no answer; httpd asks no other node then.
    taken = refused.pop("a node is killed") if kind == "apache" else {}
    assert all(text.startswith("502") for text in taken) and sum(taken.values()) <= 1, taken
    assert not any(refused.values()), refused


@pytest.mark.parametrize("kind", KINDS)
async def test_a_node_that_comes_back_gets_sessions_whatever_it_did_before(kind, daemon, port, nodes, run_module):
    """The requests within its sessions are no debt to pay off: it has no session now."""
    one, two = (await nodes())[:2]
    front = Front(daemon(kind).start(), port, run_module)
    await asyncio.to_thread(front.write, [one, two])

    try:
        beside = [await open_session(front) for _number in range(4)]
        client = next(client for client, label in beside if label == two.label)
        assert (await client.ask("join", {"project": "p"}))["ok"]
        for number in range(300):  # two requests each
            assert (await client.ask("change", {"project": "p", "id": f"{client.sid}{number}", "data": number}))["ok"]
        await asyncio.to_thread(two.kill)
        await asyncio.to_thread(two.start)
        await reach(front, two)
    finally:
        await hang_up()


@pytest.mark.parametrize("kind", KINDS)
async def test_real_clients_that_poll_come_back_when_their_node_is_gone(kind, daemon, port, nodes, run_module):
    """They get 400 or 502 for a session that no node knows, and have to take that as the end of it."""
    one, two = (await nodes())[:2]
    front = Front(daemon(kind).start(), port, run_module)
    await asyncio.to_thread(front.write, [one, two])
    clients, sids = [], []
    try:
        while len({sid.rpartition(".")[2] for sid in sids}) < 2:
            client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.3)
            clients.append(client)
            await client.connect(front.url, transports=["polling"], auth={"token": token("ann")})
            sids.append(client.eio.sid)
        one.kill()
        moved = [client for client, sid in zip(clients, sids) if sid.endswith(one.label)]
        for client in moved:
            await wait_until(
                lambda it=client: it.connected and it.eio.sid.endswith(two.label), lambda: "it is not back"
            )
            assert (await client.call("join", {"project": "p"}, timeout=5))["ok"]
        stayed = [client.eio.sid for client, sid in zip(clients, sids) if sid.endswith(two.label)]
        assert set(stayed) <= set(sids), "sessions of the other node were ended, too"
    finally:
        for client in clients:
            await client.disconnect()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_browsers_client_comes_to_another_node(kind, daemon, port, nodes, postgres, run_module, javascript):
    """socket.io-client 4 over polling, WebSocket and the upgrade, while each node is killed once: all is there once, and
    everybody sees one order."""
    one, two = (await nodes(number=2))[:2]
    front = Front(daemon(kind).start(), port, run_module)
    await asyncio.to_thread(front.write, [one, two])
    project, count = f"browser-{kind}", 300
    command = ["node", str(javascript / "people.cjs"), front.url, token("ann"), str(count), str(3 * count), "4"]
    running = asyncio.ensure_future(real_clients.people(command, project))

    def kept():
        query = f"SELECT revision FROM rtc.project WHERE name = '{project}'"
        return running.done() or int((postgres.query(query, "rtc") or ["0"])[0])

    async def reaches(number):
        give_up = time.monotonic() + 60
        while (there := await asyncio.to_thread(kept)) is not True and there < number:
            assert time.monotonic() < give_up, f"{there} changes are kept"
            await asyncio.sleep(0.01)

    try:
        for number, node in ((60, one), (300, two)):
            await reaches(number)
            await asyncio.to_thread(node.kill)
            await asyncio.to_thread(node.start)
        everybody = await running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [person["me"] for person in everybody] == ["js4-websocket", "js4-polling", "js4-upgrade"]
    order = everybody[0]["seen"]
    assert len(order) == len(set(order)) == 3 * count
    assert max(person["connects"] for person in everybody) >= 2, "nobody was at a node that was killed"
    for person in everybody:
        assert person["seen"] == order, person["me"]
        assert [order[at - 1] for at in person["told"].values()] == list(person["told"])


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_store_one_node_serves_and_another_stands_by(kind, daemon, port, tmp_path, run_module):
    """No labels: a session is with whichever node is active. HAProxy asks that one's /readyz."""
    pair = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        pair.append(Server(tmp_path / name))
        await asyncio.to_thread(pair[-1].start)
    first, second = pair
    front = Front(daemon(kind).start(), port, run_module)
    upstreams = [{"scheme": "http", "host": "127.0.0.1", "port": node.port, "backup": node is second} for node in pair]
    await asyncio.to_thread(front.write, [], upstreams=upstreams)

    async def is_served_by(node):
        try:
            client = await Client.open(front.url, "polling")
        except (Closed, aiohttp.ClientError):
            return False
        try:
            await client.connect(token("ann"))
            await client.ask("join", {"project": "p"})
            told = await client.ask("change", {"project": "p", "id": client.sid, "data": 1})
            where = f"{node.url}/socket.io/?EIO=4&transport=polling&sid={client.sid}"
            async with aiohttp.ClientSession() as http, http.post(where, data="3") as answer:
                return told["ok"] and answer.status == 200
        except (Closed, aiohttp.ClientError):
            return False
        finally:
            await client.close()

    async def comes_to(node):
        give_up = time.monotonic() + 15
        while not await is_served_by(node):
            assert time.monotonic() < give_up, node.log.read_text()
            await asyncio.sleep(0.1)

    try:
        assert all([await is_served_by(first) for _ in range(4)])
        await asyncio.to_thread(first.kill)
        await comes_to(second)
        left = await Client.open(front.url)
        await left.connect(token("bob"))
        await asyncio.to_thread(first.start)
        await comes_to(first)
        if kind == "haproxy":  # nobody writes into the journal of the node that stood by
            await asyncio.wait_for(left.closed.wait(), 15)
    finally:
        await hang_up()
        for node in pair:
            if node.process.poll() is None:
                node.kill()


async def wait_until(condition, what):
    give_up = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < give_up, what()
        await asyncio.sleep(0.02)
