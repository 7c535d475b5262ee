# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several histories is the store's: a standby that was behind, a primary of before, two clusters."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from typing import Any

import pytest
from journal_support import change
from postgres_support import Postgres, opened_store, well
from rtc_support import eventually

pytest.importorskip("asyncpg")
from rtc_cluster import Cluster
from test_check_store import ask  # noqa: F401 - a fixture

from rtc_server.journal import JournalError
from rtc_server.store_postgres import journal, reaching
from rtc_server.store_postgres.address import parse_address
from rtc_server.store_postgres.checking import check_store
from rtc_server.store_postgres.connections import Store, Unusable

ROWS = "SELECT count(*) FROM rtc.change"


def has(machine: Postgres, changes: int) -> bool:
    """Whether so many changes are in the database."""
    tables = machine.query("SELECT 1 FROM pg_tables WHERE schemaname = 'rtc' AND tablename = 'change'", "rtc")
    return bool(tables) and machine.query(ROWS, "rtc") == [str(changes)]


async def read_epochs(store: Store) -> list[str]:
    """Of a project with changes, of one that never had any, as somebody has them who comes now."""
    async with opened_store(store) as keeper:
        return [(await keeper.journal.read_head(name)).epoch for name in "pq"]


@pytest.mark.parametrize("is_behind", [True, False])
async def test_a_standby_that_may_be_behind_begins_new_epochs(is_behind: bool) -> None:
    """Nobody has the project loaded, so that no server can compare; revisions that were lost are given again, and a
    client that has the lost ones must not take its history for this one. Where the standby is synchronous, nothing can be
    lost, and nobody starts over."""
    async with Cluster() as cluster:
        names = "" if is_behind else "standby"
        primary = await cluster.add_machine(synchronous_standby_names=names)
        if is_behind:
            standby = await cluster.add_machine(primary)
        else:
            standby = await cluster.add_standby()
        async with opened_store(primary.store()) as keeper:
            await keeper.keep(change(1))
        await eventually(lambda: has(standby, 1), "the standby has the change")
        before = await read_epochs(primary.store())
        if is_behind:
            await asyncio.to_thread(standby.stop)
            async with opened_store(primary.store()) as keeper:
                assert [o.revision for o in await keeper.keep(change(2), change(3), change(1, "q"))] == [2, 3, 1]
        await asyncio.to_thread(primary.kill)
        if is_behind:
            await asyncio.to_thread(standby.start)
        await asyncio.to_thread(standby.promote)
        standby.query("ALTER SYSTEM RESET synchronous_standby_names")
        standby.query("SELECT pg_reload_conf()")
        async with opened_store(standby.store()) as keeper:
            assert [o.revision for o in await keeper.keep(change(4))] == [2]
        after = await read_epochs(standby.store())
        assert [one != other for one, other in zip(before, after, strict=True)] == [is_behind, is_behind]
        assert await read_epochs(standby.store()) == after  # once is enough


async def test_whether_a_standby_is_synchronous_is_kept_while_servers_are_connected() -> None:
    """An administrator takes it away, and the standby goes on without being waited for."""
    async with Cluster() as cluster:
        machine = await cluster.add_machine()

        def set_names(names: str) -> None:
            machine.query(f"ALTER SYSTEM SET synchronous_standby_names TO {names}")
            machine.query("SELECT pg_reload_conf()")

        set_names("standby")
        await cluster.add_standby()
        kept = "SELECT split_part(value, ' ', 3) FROM rtc.meta WHERE key = 'history'"
        async with opened_store(machine.store()) as keeper:
            await keeper.hall.load("p")
            assert machine.query(kept, "rtc") == ["safe"]
            for names, word in (("''", "alone"), ("standby", "safe")):
                set_names(names)
                await eventually(lambda word=word: machine.query(kept, "rtc") == [word])
            assert keeper.journal.fault is None and [o.code for o in await keeper.keep(change(1))] == [""]


async def test_a_copy_that_was_promoted_as_another_one_was_has_epochs_of_its_own(
    postgres: Postgres,
    ask: Any,  # noqa: F811
) -> None:
    """Without its archive, a copy from before a failover begins a timeline of the failover's number."""
    store = postgres.store(ask.database)
    async with opened_store(store) as keeper:
        await keeper.keep(change(1))
    name = ask.database
    before, rows = await read_epochs(store), postgres.query("SELECT epoch FROM rtc.project", name)
    kept = postgres.query("SELECT key, value FROM rtc.meta WHERE key IN ('history', 'epoch')", name)
    found = [before]
    for _ in range(2):
        for key, value in (row.split("|") for row in kept):
            earlier = value.replace(" 1 ", " 77 ") if key == "history" else value
            postgres.query(f"UPDATE rtc.meta SET value = '{earlier}' WHERE key = '{key}'", name)
        postgres.query(f"UPDATE rtc.project SET epoch = '{rows[0]}'", name)
        found.append(await read_epochs(store))
    assert len({epoch for epochs in found for epoch in epochs}) == len({*before}) + 4


async def test_an_older_copy_in_the_stores_place_begins_new_epochs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a snapshot of the machine that is gone back to, while servers run that have no project loaded. A crash is none."""
    monkeypatch.setattr(journal, "COMPARE", 0.2)
    epochs, log = "SELECT epoch FROM rtc.project", "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
    async with Cluster() as cluster:
        machine = await cluster.add_machine()
        async with opened_store(machine.store()) as one, opened_store(machine.store()) as two:

            async def restart() -> None:
                await eventually(lambda: one.journal.fault and two.journal.fault, "both notice")
                await asyncio.to_thread(machine.start)
                for keeper in (one, two):
                    await well(keeper)

            await one.keep(change(1))
            await asyncio.to_thread(machine.stop)
            copy = machine.directory / "copy"
            subprocess.run(["cp", "-a", machine.data, copy], check=True)
            await restart()
            await one.keep(*[change(number) for number in range(2, 50)])
            before, seen = machine.query(epochs, "rtc"), int(machine.query(log)[0])
            await eventually(lambda: min(keeper.journal._memory._flushed for keeper in (one, two)) >= seen)
            await asyncio.to_thread(machine.kill)
            await restart()
            assert machine.query(epochs, "rtc") == before
            await asyncio.to_thread(machine.kill)
            shutil.rmtree(machine.data)
            copy.rename(machine.data)
            await restart()
            after = machine.query(epochs, "rtc")
            assert after != before and has(machine, 1)
            two.journal._compare_now.set()
            await two.keep(change(1, "q"))
            assert machine.query(epochs + " WHERE name = 'p'", "rtc") == after


async def test_a_primary_of_before_a_failover_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """It was started again, and nobody made a standby of it: whoever connects now must not write there."""
    async with Cluster() as cluster:
        old = await cluster.add_machine()
        new = await cluster.add_machine(old)
        async with opened_store(old.store()) as keeper:
            await keeper.keep(change(1))
        await eventually(lambda: has(new, 1))
        await asyncio.to_thread(new.promote)
        both = old.store("rtc", new)  # the old one is named first
        async with opened_store(both) as keeper:
            assert [o.revision for o in await keeper.keep(change(2))] == [2]
        assert (has(old, 1), has(new, 2)) == (True, True)
        assert f"127.0.0.1:{old.port} takes writes, too" in caplog.text
        assert f"127.0.0.1:{old.port} takes writes, too" in (await check_store(both)).risks["primaries"]


async def test_two_clusters_are_refused_and_one_by_two_names_is_not(postgres: Postgres, ask: Any) -> None:  # noqa: F811
    other = Postgres()
    try:
        await asyncio.to_thread(other.start)
        other.make_database(ask.database)
        with pytest.raises(Unusable, match="more than one host takes writes") as refusal:
            await check_store(postgres.store(ask.database, other))
        assert refusal.value.kind == "primaries"
        async with opened_store(postgres.store(ask.database, other)) as keeper:
            assert [o.code for o in await keeper.keep(change(1))] == ["unavailable"]
    finally:
        await asyncio.to_thread(other.remove)
    url = f"postgresql://rtc@127.0.0.1:{postgres.port},localhost:{postgres.port}/{ask.database}"
    twice = Store(parse_address(url), "", postgres.store().password)
    assert "primaries" not in (await check_store(twice)).risks


async def test_a_host_that_answers_nothing_delays_nobody(
    postgres: Postgres,
    ask: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is named first, and takes connections without a word, as one that is stopped."""
    silent = await asyncio.start_server(lambda reader, _: reader.read(), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    url = f"postgresql://rtc@127.0.0.1:{port},127.0.0.1:{postgres.port}/{ask.database}"
    try:
        monkeypatch.setattr(reaching, "CONNECT_SECONDS", 3600.0)
        async with asyncio.timeout(60), opened_store(
            Store(parse_address(url), "", postgres.store().password)
        ) as keeper:
            assert [o.code for o in await keeper.keep(change(1))] == [""]
        monkeypatch.setattr(reaching, "CONNECT_SECONDS", 0.1)
        with pytest.raises(JournalError, match="no answer in time"):
            nowhere = parse_address(f"postgresql://rtc@127.0.0.1:{port}/{ask.database}")
            await check_store(Store(nowhere, "", postgres.store().password))
    finally:
        silent.close()
