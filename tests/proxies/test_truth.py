# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict of the plan on virtual hosts that people wrote, against clients that use them: real servers, real RTC.

Counts are printed at the end of the run, rows when it fails. It is made twice: while RTC runs, and while it does not.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import dataclasses
import os
import re
import socket
import time
import urllib.request
from pathlib import Path

import aiohttp
import pytest
import rtc_support
import socketio
from aiohttp.abc import AbstractResolver
from proxies import figures, variants
from proxies.bench import NAME, Daemon, Upstream
from proxies.conftest import find_program

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._detect import passage
from ansible_collections.collab.rtc.plugins.module_utils._proxy import discover, registry
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.tests.unit import plan_cases

ORIGINS = {"origins": [f"http://{NAME}", f"https://{NAME}"]}
LIMITS = {"pending_per_address": 100_000}  # clients that fail leave their sessions behind
BLOCKS = {"nginx": 61, "apache": 62, "haproxy": 63}  # 127.0.61.1 and so on
BASES = plan_cases.load_bases()
RIGHT, WRONG, UNTOLD = "works", "broken", "cannot tell"
CLIENT_SECONDS = 10
HEADING = ("when", "variants", "agree", "cannot tell", "disagreements")


@dataclasses.dataclass
class Row:
    """One variant: how it is called, what clients find, and what the plan says."""

    kind: str
    name: str
    address: str
    text: str
    tls: bool
    truth: str = ""
    why: str = ""


class Bench:
    """All variants of one kind of server behind it, each on its own address; two RTC services and an application."""

    def __init__(self, tmp_path, certificates, rows, servers, application):
        self.rows, self.servers, self.application = rows, servers, application
        self.certificates = certificates
        self.port = servers[0].port
        self.daemons = []

    def words(self, row, number):
        certificate, key = self.certificates.issue()
        pem = Path(self.certificates.directory) / "both.pem"
        pem.write_text(Path(certificate).read_text() + Path(key).read_text())
        return {
            "ADDR": row.address, "PORT": str(self.port), "NAME": NAME, "RTC": f"127.0.0.1:{self.port}",
            "OTHER": f"127.0.0.1:{self.servers[1].port}", "APP": f"127.0.0.1:{self.application.port}",
            "DEAD": f"127.0.0.1:{rtc_support.free_port()}", "NN": str(number), "CERT": certificate, "KEY": key,
            "PEM": str(pem),
        }  # fmt: skip

    def start(self, daemon, kind):
        server = daemon
        mine = [row for row in self.rows if row.kind == kind]
        text = ""
        for number, row in enumerate(mine):
            words = self.words(row, number)
            text += re.sub("|".join(words), lambda found, words=words: words[found[0]], row.text)
        if kind == "nginx":
            server.config.write_text(
                server.config.read_text().replace("http {", "http {\n    map_hash_bucket_size 256;\n")
            )
            server.write("/etc/nginx/conf.d/variants.conf", text)
        elif kind == "haproxy":
            server.config.write_text(
                server.config.read_text().replace("maxconn 200", "maxconn 2000") + "    retries 0\n\n" + text
            )
        else:
            for module in ("proxy", "proxy_http", "proxy_balancer", "lbmethod_byrequests", "slotmem_shm", "proxy_wstunnel",
                           "rewrite", "headers", "ssl", "socache_shmcb", "setenvif"):  # fmt: skip
                for end in ("load", "conf"):
                    there = server.root / f"etc/apache2/mods-available/{module}.{end}"
                    link = server.root / f"etc/apache2/mods-enabled/{module}.{end}"
                    if there.exists() and not link.exists():
                        os.symlink(f"../mods-available/{module}.{end}", link)
            listens = "".join(f"Listen {row.address}:{self.port}\n" for row in mine)
            server.write("/etc/apache2/sites-enabled/variants.conf", listens + text)
        server.start()
        self.daemons.append(server)

    def await_checks(self):
        """Until HAProxy has asked again those servers that it took for down while RTC did not run."""
        end = time.monotonic() + 30
        for row in [row for row in self.rows if "RTC check" in row.text]:
            url = f"http://{row.address}:{self.port}/socket.io/?EIO=4&transport=polling"
            while True:
                with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
                    break
                assert time.monotonic() < end, f"{row.name}: HAProxy does not see that RTC runs"
                time.sleep(0.05)  # between two attempts

    def judge(self):
        """The plan's verdict on each row."""
        proxies = {}
        for server in self.daemons:
            (proxies[server.kind],) = discover.describe_servers(
                [registry.make_backend(server.kind, str(server.root))], print
            )

        def one(row):
            proxy = proxies[row.kind]
            hosts = [host for host in proxy.hosts if any(item.address == row.address for item in host.listens)]
            mine = dataclasses.replace(proxy, hosts=hosts, running=True)
            mine.passages = passage.look_through(mine, [NAME], [self.port], [])
            return (row.kind, row.tls, row.name), self.judge_one(row, mine)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return dict(pool.map(one, self.rows))

    def judge_one(self, row, proxy):
        data = plan_cases.make_input(BASES, {"base": "same_host"})
        facts = data["facts"]["wiki1"]
        connector = facts["applications"][0]["server_xml"]["connectors"][0]
        if not row.tls:
            connector.update(scheme="http", secure=False, proxy_port=80)
        facts["proxies"] = []
        facts["rtc"] = []
        facts["listeners"] = []
        facts["addresses"] = [row.address]
        plan_input = PlanInput(now=data["now"], groups=data["groups"])
        plan_input.facts["wiki1"] = _facts.from_dict(_facts.HostFacts, facts)
        plan_input.facts["wiki1"].proxies = [proxy]
        variables = {**data["vars"]["wiki1"], "rtc_port": self.port, "rtc_proxy": "wiki1", "rtc_proxy_kind": row.kind}
        load_inventory.add_host(plan_input, "wiki1", variables)
        findings = [item for item in make_plan(plan_input).findings if item.id.startswith("RTC4")]
        ids = {item.id for item in findings}
        words = "; ".join(
            f"{item.id} {item.message}" for item in findings if item.id not in ("RTC416", "RTC417", "RTC421")
        )
        if "RTC431" in ids:
            return UNTOLD, words
        return (RIGHT if "RTC415" in ids else WRONG), words


class _OneAddress(AbstractResolver):
    def __init__(self, address):
        self.address = address

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": self.address, "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        ]

    async def close(self):
        pass


async def talk(client, url, page, transports, who):
    token = rtc_support.token(who)  # one user for each variant: users have their limits
    await client.connect(url, {"Origin": page}, {"token": token}, transports, wait_timeout=CLIENT_SECONDS)
    answer = await client.call("join", {"project": who}, timeout=CLIENT_SECONDS)
    assert answer.get("ok"), answer
    assert client.transport() == transports[-1], "it stays with polling"
    await client.disconnect()


async def visit(row, port, context):
    """What a browser's client finds: sessions over polling, a WebSocket and the upgrade, and headers for a page."""
    scheme = "https" if row.tls else "http"
    page = f"{scheme}://{NAME}"
    url = f"{scheme}://{NAME}:{port}"
    failed = []
    for kind, transports in (
        ("polling", ["polling"]),
        ("websocket", ["websocket"]),
        ("upgrade", ["polling", "websocket"]),
    ):
        connector = aiohttp.TCPConnector(resolver=_OneAddress(row.address), ssl=context if row.tls else True)
        async with aiohttp.ClientSession(connector=connector) as session:
            client = socketio.AsyncClient(http_session=session, reconnection=False, request_timeout=CLIENT_SECONDS)
            try:
                await asyncio.wait_for(talk(client, url, page, transports, row.address), CLIENT_SECONDS)
            except Exception as exc:  # whatever the client says
                failed.append(f"{kind}: {str(exc or type(exc))[:60]}")
            finally:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(client.shutdown(), 1)
    connector = aiohttp.TCPConnector(resolver=_OneAddress(row.address), ssl=context if row.tls else True)
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.get(f"{url}/socket.io/?EIO=4&transport=polling", headers={"Origin": page}) as answer:
                values = answer.headers.getall("Access-Control-Allow-Origin", [])
                if values not in (["*"], [page]):
                    failed.append(f"sharing: {values}")
        except aiohttp.ClientError as exc:
            failed.append(f"sharing: {exc}")
    row.truth, row.why = (WRONG if failed else RIGHT), "; ".join(failed)


async def visit_all(rows, port, context):
    turns = asyncio.Semaphore(12)

    async def one(row):
        async with turns:
            await visit(row, port, context)

    await asyncio.gather(*map(one, rows))


def make_rows():
    rows = []
    for kind, block in BLOCKS.items():
        texts = [(False, *item) for item in variants.TEXTS[kind].items()] + [
            (True, *item) for item in variants.TLS[kind].items()
        ]
        for number, (tls, name, text) in enumerate(texts, 1):
            rows.append(Row(kind, name, f"127.0.{block}.{number}", text, tls))
    return rows


@pytest.fixture
def bench(tmp_path, certificates, daemon_of):
    rows = make_rows()
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        servers.append(rtc_support.Server(tmp_path / name, server=ORIGINS, limits=LIMITS))
    application = Upstream(name="application", websockets=False)
    found = Bench(tmp_path, certificates, rows, servers, application)
    for kind in BLOCKS:
        found.start(daemon_of(kind), kind)
    yield found
    for server in servers:
        if server.process:
            server.stop()
    application.close()


@pytest.fixture
def daemon_of(request, tmp_path):
    """As ``daemon``, with a directory for each kind."""
    made = []

    def make(kind):
        made.append(Daemon(kind, find_program(kind), tmp_path / kind))
        return made[-1]

    yield make
    for item in made:
        item.stop()


def compare(title, rows, verdicts):
    """The rows on which the plan and the clients differ, and how many cannot be told; the counts go to the figures."""
    counts = collections.Counter()
    wrong, lines = [], []
    for row in rows:
        verdict, words = verdicts[row.kind, row.tls, row.name]
        expected = WRONG if (row.kind, row.name) in variants.SLOW else row.truth
        agrees = verdict in (expected, UNTOLD)
        counts[verdict if verdict == UNTOLD else "agree" if agrees else "disagreements"] += 1
        lines.append(f"{row.kind:8} {row.name[:48]:48} {row.truth:8} {verdict:12} {words[:150]}")
        if not agrees:
            wrong.append(
                f"{row.kind}, {row.name}: clients find that it {row.truth} ({row.why}), the plan says {verdict}: {words}"
            )
    figures.add("Truth table", HEADING, (title, len(rows), counts["agree"], counts[UNTOLD], counts["disagreements"]))
    print("\n".join(lines))
    return wrong, counts[UNTOLD]


def test_verdicts_are_the_truth(bench):
    """While RTC runs the daemons' answers decide; before, these and what was read."""
    for server in bench.servers:
        server.start()
    bench.await_checks()
    context = bench.certificates.context()
    asyncio.run(visit_all(bench.rows, bench.port, context))
    wrong, untold = compare("RTC runs", bench.rows, bench.judge())
    for server in bench.servers:
        server.stop()
    wrong_before, untold_before = compare("RTC does not run yet", bench.rows, bench.judge())
    assert len(bench.rows) >= 60
    assert wrong == []
    assert untold <= 6
    assert wrong_before == []
    assert untold_before <= len(bench.rows) // 10
