# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /metrics says, beside what real clients have done to a real server."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from rtc_memory import MemoryClient, MemoryServer
from rtc_support import SOURCE, Client, Closed, Server, Site, eventually, free_port, hang_up, running, token

from rtc_server import looking, metrics
from rtc_server.histogram import Histogram
from rtc_server.service import Service

if TYPE_CHECKING:
    from postgres_support import Postgres


class Scraper:
    """Asks as Prometheus does."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.text = ""

    async def scrape(self) -> dict[str, float]:
        """``name{label="value"}`` -> value."""
        answer = await self.client.get("/metrics")
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        self.text = await answer.text()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(self.text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
        return found


@contextlib.asynccontextmanager
async def asking(service: Service) -> AsyncIterator[Scraper]:
    """``/metrics`` of a service on an application of its own."""
    app = web.Application()
    metrics.add_metrics(app, service)
    async with TestClient(TestServer(app)) as client:
        yield Scraper(client)


@pytest.fixture
async def scraper(site: Site) -> AsyncIterator[Scraper]:
    """Of the server ``site``."""
    async with asking(site.service) as found:
        yield found


def difference(before: dict[str, float], after: dict[str, float], *names: str) -> list[float]:
    return [after[name] - before[name] for name in names]


def test_buckets_include_their_bounds() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.0, 0.1, 0.5, 1.0, 1.1):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 2.7)


async def test_what_members_do_is_counted(site: Site, scraper: Scraper) -> None:
    ways = {"ann": {}, "bob": {"transport": "polling"}, "eve": {"revision": 3}}
    clients = {}
    for user, options in ways.items():
        query = f"&token={token(user)}" if options.get("revision") == 3 else ""
        clients[user] = await site.connect(token(user), query=query, **options)
        assert (await clients[user].ask("join", {"project": "plans"}))["ok"]
    ann, bob, eve = clients.values()
    await ann.until(lambda: any(member["user"] == "eve" for body in ann.of("members") for member in body["joined"]))
    before = await scraper.scrape()
    for number in range(7):
        assert (await ann.ask("change", {"project": "plans", "id": f"a{number}", "data": number}))["ok"]
    assert (await ann.ask("change", {"project": "plans", "id": "a6", "data": 6}))["duplicate"]
    assert (await bob.ask("snapshot", {"project": "plans", "revision": 7, "data": {}}))["ok"]
    for client in clients.values():
        await client.until(lambda client=client: len(client.of("change")) == 7)
    await eve.ask("presence", {"project": "plans", "state": 1})
    for client in (ann, bob):
        await client.until(lambda client=client: client.of("presence"))
    after = await scraper.scrape()
    assert difference(
        before, after, "rtc_changes_accepted_total", "rtc_changes_repeated_total", "rtc_snapshots_accepted_total",
        "rtc_journal_requests_total", "rtc_commit_duration_seconds_count",
    ) == [7, 1, 1, 9, 9]  # fmt: skip
    assert difference(before, after, "rtc_deliveries_total") == [3 * 7 + 2]
    names = ("rtc_connections", "rtc_users", "rtc_members", "rtc_projects", "rtc_sessions_pending", "rtc_ready")
    assert [after[name] for name in names] == [3, 3, 3, 1, 0, 1]
    for protocol, transport, number in (
        ("4", "websocket", 1), ("4", "polling", 1), ("3", "websocket", 1), ("3", "polling", 0)
    ):  # fmt: skip
        assert after[f'rtc_sessions{{protocol="{protocol}",transport="{transport}"}}'] == number
    assert (after['rtc_sessions_opened_total{protocol="4"}'], after['rtc_sessions_opened_total{protocol="3"}']) == (
        2,
        1,
    )
    assert after['rtc_journal_up{kind="sqlite"}'] == 1
    assert after["rtc_delivery_delay_seconds_count"] <= site.service.hub.turns
    assert after['rtc_delivery_delay_seconds_bucket{le="+Inf"}'] == after["rtc_delivery_delay_seconds_count"] > 0
    assert after["rtc_commit_duration_seconds_sum"] > 0
    await bob.close()
    await eventually(lambda: site.service.connected == 2)
    assert (await scraper.scrape())["rtc_members"] == 2


async def test_refusals_are_counted_by_reason(site: Site, scraper: Scraper) -> None:
    before = await scraper.scrape()
    viewer = await site.connect(token("bob", {"plans": "view"}))
    assert (await viewer.ask("join", {"project": "plans"}))["ok"]
    assert (await viewer.ask("change", {"project": "plans", "id": "1", "data": 1}))["code"] == "read_only"
    for _ in range(2):
        assert (await viewer.ask("join", {"project": "secret"}))["code"] == "forbidden"
    for bearer, code in (("nonsense", "token_invalid"), ("", "token_missing"), (token(ttl=-60), "token_expired")):
        with pytest.raises(Closed, match=code):
            await site.connect(bearer)
    with pytest.raises(Closed):
        await Client.open(site.url, revision=2, transport="polling")
    after = await scraper.scrape()
    assert difference(
        before, after, *(f'rtc_requests_refused_total{{reason="{code}"}}' for code in ("read_only", "forbidden", "rate"))
    ) == [1, 2, 0]  # fmt: skip
    assert difference(
        before, after,
        *(f'rtc_connects_refused_total{{reason="token_{what}"}}' for what in ("invalid", "missing", "expired")),
        'rtc_http_refused_total{reason="version"}', 'rtc_http_refused_total{reason="busy"}',
    ) == [1, 1, 1, 1, 0]  # fmt: skip


async def test_no_name_gets_out(site: Site, scraper: Scraper) -> None:
    client = await site.connect(token("zacharias"))
    await client.ask("join", {"project": "merger-of-2027"})
    await client.ask("change", {"project": "merger-of-2027", "id": "1", "data": "contents"})
    await client.ask("leave", {"project": "nowhere"})
    await scraper.scrape()
    assert not [word for word in ("zacharias", "merger", "nowhere", "contents", "127.0.0.1") if word in scraper.text]


def test_reasons_of_ends_are_words_of_the_source() -> None:
    """They are a label, which must have few values."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                name, owner = node.func.attr, ast.unparse(node.func.value)
                ends = {"close": ("self", "session", "one"), "leave": ("session",)}.get(name, ())
                if name == "send_away" or owner.split(".")[-1] in ends:
                    reason = node.args[1 if name == "send_away" else 0]
                    found |= {ast.unparse(one) for one in ast.walk(reason) if isinstance(one, (ast.Constant, ast.Name))}
                    found -= {"session", "self"}  # self.leaving is what leave() was given
    assert "'slow consumer'" in found and "'resync'" in found
    assert {text for text in found if text[0] != "'"} == {"reason"}, "send_away and leave pass on what they were given"


async def test_a_member_that_reads_too_slowly(tmp_path: Path) -> None:
    server = MemoryServer(tmp_path, buffer_bytes=100_000)
    await server.start()
    ann, slow = MemoryClient(server, "ann", "ws4"), MemoryClient(server, "slow", "ws4")
    for client in (ann, slow):
        await client.connect()
        await client.request("join", {"project": "p"})
    await eventually(lambda: sum(len(p.members) for p in server.service.projects.loaded.values()) == 2)
    async with asking(server.service) as scraper:
        assert (await scraper.scrape())['rtc_sessions_ended_total{reason="slow consumer"}'] == 0
        assert slow.pipe is not None
        slow.pipe.stuck = 99_500
        found = await scraper.scrape()
        assert (found["rtc_buffer_bytes"], found["rtc_slow_sessions"]) == (99_500, 1)
        await ann.request("change", {"project": "p", "id": "1", "data": "x" * 1000})
        await eventually(lambda: slow.session.closed)
        assert (await scraper.scrape())['rtc_sessions_ended_total{reason="slow consumer"}'] == 1
    await server.stop()


async def test_a_journal_that_refuses_and_a_server_that_drains(site: Site, scraper: Scraper) -> None:
    client = await site.connect()
    await client.ask("join", {"project": "p"})
    assert (await client.ask("change", {"project": "p", "id": "0", "data": 0}))["ok"]
    found = await scraper.scrape()
    files = site.service.journal.measure().files
    assert found["rtc_journal_bytes"] >= Path(files[0]).stat().st_size > 0
    assert found["rtc_journal_disk_free_bytes"] > 0 and found["rtc_journal_disk_reserve_bytes"] > 0
    Path(files[0]).rename(Path(files[0]).with_name("away"))
    for number in range(1, 10_000):
        if (await client.ask("change", {"project": "p", "id": str(number), "data": 1})).get("code") == "unavailable":
            break
        await asyncio.sleep(0.02)  # fewer than a user may send, however long it takes
    found = await scraper.scrape()
    assert (found['rtc_journal_up{kind="sqlite"}'], found["rtc_ready"], found["rtc_draining"]) == (0, 0, 0)
    await site.service.drain()
    assert (await scraper.scrape())["rtc_draining"] == 1


async def test_the_certificate(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    from cryptography import x509

    ends = x509.load_pem_x509_certificate(certificate[0].read_bytes()).not_valid_after_utc.timestamp()
    tls = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    name = "rtc_certificate_not_after_timestamp_seconds"
    async with running(tmp_path, tls=tls) as site, asking(site.service) as scraper:
        assert (await scraper.scrape())[name] == ends
    (tmp_path / "plain").mkdir()
    async with running(tmp_path / "plain") as site, asking(site.service) as scraper:
        assert name not in await scraper.scrape()


async def test_a_disk_that_hangs_hides_only_itself(
    site: Site, scraper: Scraper, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, real = threading.Event(), metrics.look_at_disk

    def hang(directory: str) -> Any:
        back.wait()
        return real(directory)

    monkeypatch.setattr(metrics, "look_at_disk", hang)
    monkeypatch.setattr(looking, "PATIENCE", 0.05)
    try:
        for _ in range(2):
            found = await scraper.scrape()
            assert found["rtc_ready"] == 1 and "rtc_journal_disk_free_bytes" not in found
    finally:
        back.set()
    monkeypatch.setattr(looking, "PATIENCE", 20.0)
    assert (await scraper.scrape())["rtc_journal_disk_free_bytes"] > 0


async def test_a_loop_that_stands_still(site: Site, scraper: Scraper) -> None:
    time.sleep(2 * metrics.LAG_INTERVAL)  # this is what is measured
    while (found := await scraper.scrape())["rtc_loop_lag_seconds_count"] == 0:
        await asyncio.sleep(0.01)
    assert found["rtc_loop_lag_seconds_sum"] >= metrics.LAG_INTERVAL / 2
    assert found['rtc_loop_lag_seconds_bucket{le="0.1"}'] < found["rtc_loop_lag_seconds_count"]


async def test_every_metric_is_there(site: Site, scraper: Scraper) -> None:
    found = {name.partition("{")[0] for name in await scraper.scrape()}
    missing = {name for name in metrics.METRICS if not found & {name, f"{name}_count"}}
    assert missing == {"rtc_certificate_not_after_timestamp_seconds", "rtc_store_servers"}
    assert {
        "process_open_fds",
        "process_max_fds",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    } <= found


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus")
async def test_prometheus_finds_nothing_to_say_about_the_names(site: Site, scraper: Scraper) -> None:
    await scraper.scrape()
    found = subprocess.run(
        ["promtool", "check", "metrics"], input=scraper.text, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


async def test_servers_on_a_store(postgres: Postgres, tmp_path: Path) -> None:
    postgres.make_database("metrics")
    store = {"path": None, "store_url": postgres.url("metrics"), "store_password": postgres.store("metrics").password}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with contextlib.AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(tmp_path / "one", journal=store))
        two = await stack.enter_async_context(running(tmp_path / "two", journal=store))
        scraper = await stack.enter_async_context(asking(one.service))
        await eventually(lambda: one.service.projects.company.count_others() == 1)
        client = await two.connect()
        await client.ask("join", {"project": "p"})
        assert (await client.ask("change", {"project": "p", "id": "1", "data": 1}))["ok"]
        found = await scraper.scrape()
        assert (found["rtc_store_servers"], found['rtc_journal_up{kind="postgresql"}']) == (1, 1)
        assert (found["rtc_changes_accepted_total"], found["rtc_connections"]) == (0, 0)  # those are the other's
        assert "rtc_journal_bytes" not in found and "rtc_journal_disk_free_bytes" not in found
        async with asking(two.service) as other:
            theirs = await other.scrape()
            assert (theirs["rtc_changes_accepted_total"], theirs["rtc_commit_duration_seconds_count"]) == (1, 1)
        postgres.kill()
        try:
            await eventually(lambda: one.service.journal.fault)
            assert (await scraper.scrape())['rtc_journal_up{kind="postgresql"}'] == 0
        finally:
            postgres.start()


async def test_the_admin_listener_has_them_and_the_port_of_users_has_not(tmp_path: Path) -> None:
    secret, port = "a token of administrators, long enough 0123", free_port()
    (tmp_path / "admin-token").write_text(secret)
    server = Server(tmp_path, admin={"listen": f"127.0.0.1:{port}", "token": f"{tmp_path}/admin-token"})
    server.start()
    try:
        client = await Client.open(server.url)
        await client.connect(token())
        await client.ask("join", {"project": "p"})
        for number in range(3):
            assert (await client.ask("change", {"project": "p", "id": str(number), "data": 1}))["ok"]
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/metrics") as refused:
                assert refused.status == 401 and "rtc_" not in await refused.text()
            async with http.get(f"{server.url}/metrics") as missing:
                assert missing.status == 404
        headers = {"Authorization": f"Bearer {secret}"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as http:
            found = await Scraper(http).scrape()
        assert (found["rtc_changes_accepted_total"], found["rtc_members"], found["rtc_ready"]) == (3, 1, 1)
        assert found["process_start_time_seconds"] <= time.time()
        await hang_up()
    finally:
        assert server.stop() == 0


def test_without_metrics_prometheus_is_not_imported() -> None:
    code = "import sys, rtc_server.app, rtc_server.cli; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}, check=False).returncode == 0
