# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is full or takes no writes, and servers of one store that do not fit together: clear words, and nothing
that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from journal_support import change
from postgres_support import Postgres, config_file, opened_store, run, well
from rtc_support import SOURCE, Client, Closed, Server, eventually, running, token

pytest.importorskip("asyncpg")
from rtc_cluster import Cluster, configured

from rtc_server.journal import Compact, JournalError, JournalLimits, Snapshot
from rtc_server.store_postgres import checking, journal, reaching
from rtc_server.store_postgres.connections import Store

_SIZE = 24 << 20


@pytest.fixture
def small_disk(postgres: Postgres) -> Iterator[tuple[dict[str, str | None], Path]]:
    """A database on a small file system, as the section ``journal`` names it, and the place of that."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = postgres.directory / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "rtc", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        (place / "space").mkdir()
        for path in (place, place / "space"):
            postgres.own(path)
        postgres.make_role()
        postgres.query(f"CREATE TABLESPACE small LOCATION '{place}/space'")
        postgres.query("CREATE DATABASE small OWNER rtc TABLESPACE small")
        yield {"path": None, "store_url": postgres.url("small"), "store_password": postgres.store().password}, place
    finally:
        postgres.query("DROP DATABASE IF EXISTS small WITH (FORCE)")
        postgres.query("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", str(place)], check=True)


async def test_the_stores_disk_is_full(
    small_disk: tuple[dict[str, str | None], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    section, place = small_disk
    async with running(tmp_path, journal=section, limits={"change_bytes_burst": 1 << 30}) as site:
        ann = await site.connect()
        assert (await ann.ask("join", {"project": "p"}))["ok"]
        kept = 0

        async def write() -> dict[str, object]:
            body = {"project": "p", "id": str(kept + 1), "data": secrets.token_hex(50_000)}
            answer: dict[str, object] = await ann.ask("change", body)
            return answer

        while (answer := await write())["ok"]:
            kept += 1
            assert answer["revision"] == kept and kept < 1000
            if kept == 10:  # others fill the rest
                with (place / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
                    while True:
                        file.write(bytes(4096))
        assert (answer["code"], answer["retry_after"]) == ("unavailable", 1.0)
        await eventually(lambda: site.service.journal.is_disk_full)
        attempts = len(caplog.records)
        give_up = time.monotonic() + 2.5 * journal.RETRY
        while time.monotonic() < give_up:  # it tries again meanwhile, and is not deceived
            assert site.service.journal.is_disk_full and site.service.journal.fault
            await asyncio.sleep(0.01)
        said = [record.getMessage() for record in caplog.records]
        assert any("the store's disk is full" in line and "make room there" in line for line in said)
        assert len(caplog.records) - attempts <= 1  # it says so once
        bob = await site.connect(token("bob"))  # members stay, and what is in memory is read
        assert len((await bob.ask("join", {"project": "p", "since": kept - 2}))["changes"]) == 2
        (place / "ballast").unlink()
        await eventually(lambda: site.service.journal.fault is None)
        answer = await write()
        assert (answer["ok"], answer["revision"]) == (True, kept + 1)
        await bob.until(lambda: [body["revision"] for body in bob.of("change")] == [kept + 1], "bob gets it")


def test_a_warning_of_the_whole_server_is_no_doubt_of_a_commit(caplog: pytest.LogCaptureFixture) -> None:
    """PostgreSQL 15 with few numbers of transactions left says this with every one, and takes millions of changes yet;
    tried on one that was made so by pg_resetwal, which writes gigabytes."""
    taken: list[str] = []
    listeners: list[Any] = []
    connection = SimpleNamespace(add_log_listener=listeners.append)
    reaching.hear_warnings(connection, lambda _state, text: taken.append(text))
    for number, routine in enumerate(
        ["GetNewTransactionId", "SyncRepWaitForLSN", "GetNewTransactionId", "asyncQueueFillWarning", None]
    ):
        message = SimpleNamespace(sqlstate="01000", message=f"warning {number}", server_source_function=routine)
        listeners[0](connection, message)
    assert taken == ["warning 1", "warning 4"]
    assert [record.getMessage()[-1] for record in caplog.records] == ["0", "3"]  # each kind once


async def test_a_standby_takes_no_writes(tmp_path: Path, capsysbinary: object) -> None:
    async with Cluster() as cluster:
        primary = await cluster.add_machine()
        standby = await cluster.add_machine(primary)
        await eventually(lambda: standby.query("SELECT 1 FROM pg_database WHERE datname = 'rtc'"))
        async with opened_store(primary.store()) as keeper:
            await keeper.keep(change(1))
        status, said = run(capsysbinary, "check-config", config_file(tmp_path, standby, standby.store()))
        assert status == 1 and "takes no writes: it is a standby" in said
        async with opened_store(standby.store()) as keeper:
            assert keeper.journal.fault is not None and "takes no writes: it is a standby" in keeper.journal.fault
            assert [o.code for o in await keeper.keep(change(2))] == ["unavailable"]
            await asyncio.to_thread(primary.kill)
            await asyncio.to_thread(standby.promote)
            await well(keeper)
            assert [(o.code, o.revision) for o in await keeper.keep(change(2))] == [("", 2)]


async def test_ids_are_kept_by_the_stores_clock(
    store: Store,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server whose clock is ahead by days forgets no id that others promise to know."""
    monkeypatch.setattr(journal, "FORGET_ROUND", 0.0)
    monkeypatch.setattr(journal, "_CLEAN_PAUSE", 0.05)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3 * 86_400)
    database = store.address.database
    async with opened_store(store, JournalLimits(keep_ids_days=1)) as ahead:
        await ahead.keep(*[change(i) for i in range(1, 21)])
        await ahead.keep(Compact("p", Snapshot(20, "0"), keep=0))
        for name in ("old", "older"):  # what is forgotten is found in the order of projects
            await ahead.keep(*[change(i, name) for i in range(1, 6)])
            await ahead.keep(Compact(name, Snapshot(5, "0"), keep=0))
            where = f"project = (SELECT number FROM rtc.project WHERE name = '{name}')"
            postgres.query(f"UPDATE rtc.change SET at = at - {2 * 86_400_000} WHERE {where}", database)
            query = f"SELECT forgotten FROM rtc.project WHERE name = '{name}'"
            await eventually(lambda query=query: postgres.query(query, database) == ["5"])
        assert postgres.query("SELECT forgotten FROM rtc.project WHERE name = 'p'", database) == ["0"]
        assert [(o.revision, o.duplicate) for o in await ahead.keep(change(3))] == [(3, True)]


async def test_a_clock_that_is_apart_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    for shift in (0.0, 60.0, -60.0):
        monkeypatch.setattr(time, "time", lambda shift=shift: real() + shift)
        told = (await checking.check_store(store)).risks.get("clock", "")
        assert ("60 s apart from the store's" in told) == (shift != 0) == bool(told)


async def test_servers_with_clocks_apart(tmp_path: Path) -> None:
    """One is a minute ahead, and one a few seconds behind, which is less than ``token.leeway``."""
    async with Cluster() as cluster:
        store = await cluster.add_machine()
        password = Path(store.store().password)
        servers = [configured(tmp_path / f"node{at}", store.url(), password) for at in range(2)]
        for server, shift in zip(servers, (60, -6), strict=True):
            (server.directory / "sitecustomize.py").write_text(
                f"import time\n_real = time.time\ntime.time = lambda: _real() + {shift}\n"
            )
            server.source = f"{server.directory}:{SOURCE}"
        await cluster.start_servers(servers)
        for server, shift in zip(servers, (60, 6), strict=True):
            assert f"the clock here is {shift} s apart from the store's" in server.log.read_text()
        await cluster.begin_writing()
        await cluster.settle(store, "clocks apart")


async def test_servers_with_other_secrets(tmp_path: Path) -> None:
    """Who is let in at one server is refused at the other: both say so in their logs, without a secret."""
    async with Cluster() as cluster:
        store = await cluster.add_machine()
        password = Path(store.store().password)
        secret = b"another secret, which is long enough for HS256"
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys/token.key").write_bytes(secret)
        servers = [
            configured(tmp_path / "node0", store.url(), password),
            configured(tmp_path / "node1", store.url(), password, token={"keys": [str(tmp_path / "keys/token.key")]}),
        ]
        await cluster.start_servers(servers)

        def told(server: Server) -> bool:
            return "another server of this store" in server.log.read_text()

        await eventually(lambda: all(told(server) for server in servers), "both say so")
        for server in servers:
            log = server.log.read_bytes()
            assert b"token.keys" in log and secret not in log
        client = await Client.open(servers[1].url)
        with pytest.raises(Closed, match="token_invalid"):
            await client.connect(token("ann"))
        await client.close()


async def test_a_schema_that_needs_a_newer_release_is_refused_while_others_run(tmp_path: Path) -> None:
    """Who runs goes on until it connects again; who starts says why it takes nothing, and lives to be asked."""
    async with Cluster() as cluster:
        store = await cluster.add_machine()
        password = Path(store.store().password)
        servers = [configured(tmp_path / f"node{at}", store.url(), password) for at in range(2)]
        await cluster.start_servers(servers[:1])
        store.query("UPDATE rtc.meta SET value = '9' WHERE key = 'needs'", "rtc")
        await asyncio.to_thread(servers[1].start, 503)
        cluster.servers.append(servers[1])
        assert "needs an rtc-server that knows 9" in servers[1].log.read_text()
        async with opened_store(store.store()) as keeper:
            with pytest.raises(JournalError, match="knows 9"):
                await keeper.journal.read_head("p")
