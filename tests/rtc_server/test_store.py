# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal on PostgreSQL: several servers, one order, and every way in which the store can go away."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from journal_support import change
from postgres_support import Cable, Postgres, opened_store, well
from rtc_support import eventually, free_port

from rtc_server.journal import Compact, JournalError, JournalLimits, Snapshot, Submission
from rtc_server.store_postgres import journal, reaching
from rtc_server.store_postgres.address import Address, parse_address
from rtc_server.store_postgres.connections import Store, make_context, prepare, read_version, try_disk
from rtc_server.store_postgres.reaching import connect


async def test_two_servers_deliver_one_order(store: Store) -> None:
    async with opened_store(store) as one, opened_store(store) as two:
        for keeper in (one, two):
            await keeper.hall.load("p")
        for at in range(40):
            for keeper, user in ((one, "ann"), (two, "bob")):
                for number in range(5):
                    assert keeper.journal.submit(change(5 * at + number, user=user))
            if at % 8 == 0:
                await one.journal.wait_idle()
        for keeper in (one, two):
            await keeper.journal.wait_idle()
            await eventually(lambda k=keeper: len(k.hall.seen["p"]) == 400)
            assert all(o.code == "" and not o.duplicate for o in keeper.outcomes)
        assert one.hall.seen == two.hall.seen
        assert not one.hall.renewed and not two.hall.renewed
        assert sorted(o.revision for o in one.outcomes + two.outcomes) == list(range(1, 401))


async def test_duplicates_over_servers(store: Store) -> None:
    async with opened_store(store) as one, opened_store(store) as two:
        await two.hall.load("p")
        await one.keep(change(1), change(2))
        outcomes = await two.keep(change(2), change(3), change(1, data="else"), change(3))
        assert [(o.revision, o.duplicate, o.code) for o in outcomes] == [
            (2, True, ""),
            (3, False, ""),
            (0, False, "id_reused"),
            (3, True, ""),
        ]
        assert two.hall.seen["p"] == ["c1", "c2", "c3"]


async def test_new_projects_in_opposite_orders(store: Store) -> None:
    async with opened_store(store) as one, opened_store(store) as two:
        names = [f"n{i:03}" for i in range(200)]
        for keeper, order in ((one, names), (two, names[::-1])):
            for name in order:
                assert keeper.journal.submit(change(1, name, user=str(id(keeper))))
        for keeper in (one, two):
            await keeper.journal.wait_idle()
            assert [o.code for o in keeper.outcomes] == [""] * 200
        assert {o.revision for o in one.outcomes + two.outcomes} == {1, 2}


async def test_a_name_that_cannot_be_kept_spoils_nothing(store: Store) -> None:
    async with opened_store(store) as one:
        bad = [Submission("p", "c9", user, "1", "") for user in ("a\0b", "a\ud800")]
        outcomes = await one.keep(change(1), *bad, change(2))
        assert [(o.code, o.revision) for o in outcomes] == [("", 1), ("unavailable", 0), ("unavailable", 0), ("", 2)]


async def test_a_quota(store: Store) -> None:
    async with opened_store(store, JournalLimits(project_bytes=1000)) as one:
        outcomes = await one.keep(change(1, data="x" * 300), change(2, data="x" * 900), change(3, data="x" * 10))
        assert [(o.code, o.revision) for o in outcomes] == [("", 1), ("quota", 0), ("", 2)]
        sizes = (700, 600, 500, 450, 50, 470, 20)  # of nearly as many that do not fit as there are
        outcomes = await one.keep(*[change(10 + at, data="x" * size) for at, size in enumerate(sizes)])
        assert [(o.code, o.revision) for o in outcomes] == [*[("quota", 0)] * 4, ("", 3), ("quota", 0), ("", 4)]
        await one.keep(Compact("p", Snapshot(2, "0"), keep=0))
        (outcome,) = await one.keep(change(2, data="x" * 600))
        give_up = time.monotonic() + 20
        while outcome.code:  # compacted a moment later
            assert outcome.code == "quota" and time.monotonic() < give_up
            (outcome,) = await one.keep(change(2, data="x" * 600))


async def test_compaction_and_forgotten_ids(store: Store, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FORGET_ROUND", 0.0)
    database = store.address.database
    async with opened_store(store) as one, opened_store(store, JournalLimits(keep_ids_days=1)) as two:
        await two.hall.load("p")
        await one.keep(*[change(i) for i in range(1, 21)])
        (outcome,) = await one.keep(Compact("p", Snapshot(15, '"s"'), keep=5))
        assert (outcome.revision, outcome.base) == (15, 10)
        assert await two.journal.read_snapshot("p") == Snapshot(15, '"s"')
        assert [c.revision for c in await two.journal.read_changes("p", 3, 99, 10**6)] == list(range(11, 21))
        await eventually(lambda: two.hall.base.get("p") == 10)
        (older,) = await one.keep(Compact("p", Snapshot(14, "0"), keep=0))
        assert older.code == "stale"
        await eventually(lambda: postgres.query("SELECT cleaned FROM rtc.project", database) == ["10"])
        (retry,) = await two.keep(change(3, data="what it was is not known any more"))
        assert (retry.revision, retry.duplicate) == (3, True)
        postgres.query(f"UPDATE rtc.change SET at = at - {2 * 86_400_000} WHERE revision <= 7", database)
        await eventually(lambda: postgres.query("SELECT forgotten FROM rtc.project", database) == ["7"])
        late = change(3)
        late.since = 2
        new = change(3)
        new.since = 20
        assert [o.code for o in await one.keep(late)] == ["unknown_id"]
        assert [o.revision for o in await one.keep(new)] == [21]


async def test_the_store_goes_away_and_comes_back(store: Store, postgres: Postgres) -> None:
    async with opened_store(store) as one, opened_store(store) as two:
        for keeper in (one, two):
            await keeper.hall.load("p")
        await one.keep(change(1))
        postgres.kill()
        (refused,) = await one.keep(change(2))
        assert refused.code == "unavailable" and refused.more == {"retry_after": 1.0}
        assert one.journal.fault
        postgres.start()
        await well(one)
        await well(two)
        (taken,) = await one.keep(change(2))
        assert (taken.code, taken.revision) == ("", 2)
        await eventually(lambda: two.hall.seen["p"] == ["c1", "c2"])
        assert not one.hall.renewed and not two.hall.renewed


@pytest.mark.parametrize("which", ["_writer", "_reader", "_listener"])
async def test_one_connection_of_three_breaks(store: Store, postgres: Postgres, which: str) -> None:
    async with opened_store(store) as one:
        await one.hall.load("p")
        await one.keep(change(1))
        line = getattr(one.journal, which)
        one.journal._compare_now.set()
        postgres.query(f"SELECT pg_terminate_backend({line.connection.get_server_pid()})")
        await eventually(lambda: getattr(one.journal, which) not in (line, None))
        await well(one)
        assert [(o.code, o.revision) for o in await one.keep(change(2))] == [("", 2)]
        assert one.hall.seen["p"] == ["c1", "c2"] and not one.hall.renewed


async def test_a_lost_cancellation_keeps_no_task_alive() -> None:
    """As ``wait_for`` loses one before Python 3.12: the journal would wait for that task for ever, and refuse nothing."""
    lost: list[int] = []

    async def work() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(1)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    await asyncio.wait_for(journal._end([task]), 5)
    assert lost and task.cancelled()


async def test_a_server_that_is_cut_off_notices(store: Store, postgres: Postgres) -> None:
    """Nothing comes through any more, and no connection breaks."""
    async with Cable(postgres.port) as cable:
        address = parse_address(f"postgresql://rtc@127.0.0.1:{cable.port}/{store.address.database}")
        async with opened_store(Store(address, "", store.password)) as cut, opened_store(store) as other:
            await cut.hall.load("p")
            await cut.keep(change(1))
            cable.cut()
            began = time.monotonic()
            await other.keep(change(2))
            await eventually(lambda: cut.journal.fault)
            assert time.monotonic() - began < journal.DEAF + 4
            assert [o.code for o in await cut.keep(change(3))] == ["unavailable"]
            assert [o.code for o in await other.keep(change(4))] == [""]
            cable.mend()
            await well(cut)
            assert [(o.code, o.revision) for o in await cut.keep(change(3))] == [("", 4)]
            assert cut.hall.seen["p"] == ["c1", "c2", "c4", "c3"] and not cut.hall.renewed


async def test_servers_start_at_a_time_on_an_empty_database(postgres: Postgres) -> None:
    """The schema that one has just made is nobody else's."""
    for number in range(5):
        name = f"empty{number}"
        postgres.make_database(name)
        lines = await asyncio.gather(*[connect(postgres.store(name)) for _ in range(6)])
        try:
            await asyncio.gather(*[prepare(line, postgres.store(name)) for line in lines])
            assert {await read_version(line, postgres.store(name)) for line in lines} == {1}
        finally:
            for line in lines:
                await line.close()


async def test_a_host_that_answers_with_an_error_is_passed_over(store: Store, postgres: Postgres) -> None:
    """As one that starts up, shuts down, or has no such database: the next one may take writes."""
    hosts = (("127.0.0.1", free_port()), *store.address.hosts)
    refusing = Postgres()
    try:
        refusing.start()
        address = Address((("127.0.0.1", refusing.port), *hosts), store.address.database, "rtc")
        async with opened_store(Store(address, "", store.password)) as one:
            assert [o.code for o in await one.keep(change(1))] == [""]
        postgres.query("CREATE DATABASE fixed OWNER rtc")
        postgres.query("ALTER DATABASE fixed SET default_transaction_read_only TO on")
        with pytest.raises(JournalError, match="takes no writes"):
            await connect(postgres.store("fixed"))
        nowhere = Address(address.hosts[:2], store.address.database, "rtc")
        with pytest.raises(JournalError, match=r"127\.0\.0\.1: .*not let in.*; 127\.0\.0\.1: no server listens"):
            await connect(Store(nowhere, "", store.password))
    finally:
        refusing.remove()


async def test_a_server_that_stood_still_is_not_deaf(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a machine that is moved to another host: nothing is wrong with its connections."""
    async with opened_store(store) as one, opened_store(store) as two:
        await two.hall.load("p")
        listener = one.journal._listener
        monkeypatch.setattr(journal, "DEAF", 2.0)
        await asyncio.sleep(1.5)
        time.sleep(4)  # longer than it may hear nothing
        await asyncio.sleep(1)
        assert one.journal._listener is listener and one.journal.fault is None
        assert [o.code for o in await one.keep(change(1))] == [""]
        await eventually(lambda: two.hall.seen["p"] == ["c1"])


async def test_a_store_that_refuses_md5(store: Store, postgres: Postgres) -> None:
    """As OpenSSL in FIPS mode has PostgreSQL do."""
    for argument in ("text", "bytea"):
        postgres.query(f"REVOKE ALL ON FUNCTION pg_catalog.md5({argument}) FROM PUBLIC", store.address.database)
    async with opened_store(store) as one, opened_store(store) as two:
        for keeper in (one, two):
            await keeper.hall.load("p")
        await one.keep(change(1, data={"t": "é😀\\"}))
        await eventually(lambda: two.hall.seen["p"] == ["c1"])
        for keeper in (one, two):
            assert keeper.journal._follower and keeper.journal._reader and keeper.journal._writer
            await keeper.journal._follower.compare(keeper.journal._reader, keeper.journal._writer)
            assert keeper.journal.fault is None and not keeper.hall.renewed
        assert one.journal._writer is not None
        await try_disk(one.journal._writer.connection)


async def test_a_server_that_hears_nothing_notices(store: Store, postgres: Postgres) -> None:
    async with opened_store(store) as one, opened_store(store) as two:
        await two.hall.load("p")
        assert two.journal._listener is not None
        await two.journal._listener.connection.reset()  # LISTEN is gone, the connection is not
        deaf = two.journal._listener
        await one.keep(change(1))
        await eventually(lambda: two.hall.seen["p"] == ["c1"])  # heads are compared
        await eventually(lambda: two.journal._listener is not None and two.journal._listener is not deaf)
        await well(two)
        await one.keep(change(2))
        await eventually(lambda: two.hall.seen["p"] == ["c1", "c2"])


async def test_another_history_begins_another_epoch(store: Store, postgres: Postgres) -> None:
    database = store.address.database
    async with opened_store(store) as one:
        for name in "pq":
            await one.keep(*[change(i, name) for i in range(1, 6)])
            await one.hall.load(name)
        before = dict(one.hall.epochs)
        await eventually(lambda: not one.hall.renewed)
        # as a copy from before revision 4, in which others have written since
        postgres.query("UPDATE rtc.change SET data='9' WHERE revision=5 AND project=(SELECT number FROM rtc.project"
                       " WHERE name='p')", database)  # fmt: skip
        await eventually(lambda: one.hall.renewed == ["p"])
        for name in "pq":
            await one.hall.load(name)
        assert one.hall.epochs["p"] != before["p"] and one.hall.epochs["q"] == before["q"]
        postgres.query("DELETE FROM rtc.change WHERE revision > 3 AND project=(SELECT number FROM rtc.project"
                       " WHERE name='q'); UPDATE rtc.project SET revision=3 WHERE name='q'", database)  # fmt: skip
        await eventually(lambda: one.hall.renewed == ["p", "q"])
        await one.hall.load("q")
        assert one.hall.epochs["q"] != before["q"]
        (outcome,) = await one.keep(change(9, "q"))
        assert outcome.revision == 4


async def test_a_wait_for_a_standby_that_is_given_up_is_no_success() -> None:
    """The row stays, so what was sent is found when it is sent again, and is acknowledged once a standby has it."""
    primary = Postgres(synchronous_standby_names="standby")
    standby: Postgres | None = None
    try:
        primary.start()

        primary.make_database()
        primary.query("ALTER ROLE rtc SET client_min_messages TO error")  # the warning has to come all the same
        standby = Postgres(primary)
        standby.start()
        await eventually(lambda: primary.query("SELECT 1 FROM pg_stat_replication WHERE sync_state='sync'"))
        async with opened_store(primary.store()) as one:
            await one.hall.load("p")
            assert [o.code for o in await one.keep(change(1))] == [""]
            standby.pause()
            assert one.journal.submit(change(2))
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event='SyncRep'"
            await eventually(lambda: primary.query(waiting))
            primary.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event='SyncRep'")
            await one.journal.wait_idle()
            assert [o.code for o in one.outcomes] == ["", "unavailable"]
            await well(one)
            assert one.journal.submit(change(2))  # nothing new is written, and all the same it has to wait
            await eventually(lambda: primary.query(waiting))
            assert len(one.outcomes) == 2
            standby.resume()
            await one.journal.wait_idle()
            assert [(o.code, o.revision, o.duplicate) for o in one.outcomes[2:]] == [("", 2, True)]
            assert one.hall.seen["p"] == ["c1", "c2"] and not one.hall.renewed
    finally:
        if standby is not None:
            standby.remove()
        primary.remove()


async def test_a_round_takes_no_longer_when_the_log_is_long(store: Store, postgres: Postgres) -> None:
    """Tables that were never analysed: the whole log would be read for each round."""
    database = store.address.database
    async with opened_store(store) as one:
        await one.keep(change(1), change(1, "q"))
        postgres.query("INSERT INTO rtc.change SELECT 1, n, 'bob', n::text, 1, '1' FROM generate_series(2, 50000) n;"
                       " UPDATE rtc.project SET revision=50000 WHERE number=1;", database)  # fmt: skip
        read = "SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE relname='change'"
        before = int(postgres.query(read, database)[0])
        for number in range(2, 12):
            assert [o.code for o in await one.keep(change(number), change(number, "q"))] == ["", ""]
    # numbers appear when a session ends
    await eventually(lambda: not postgres.query(f"SELECT 1 FROM pg_stat_activity WHERE datname='{database}' AND"
                                                " usename='rtc'"))  # fmt: skip
    assert int(postgres.query(read, database)[0]) == before


async def test_cleaning_that_takes_too_long_stops_nobody(
    store: Store, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a slow disk with millions of projects."""
    async with opened_store(store):
        pass
    postgres.query(
        "CREATE OR REPLACE FUNCTION rtc.clean_1(most bigint, cut bigint) RETURNS bigint LANGUAGE plpgsql AS $$"
        " BEGIN PERFORM pg_sleep(3600); RETURN 0; END $$", store.address.database,
    )  # fmt: skip
    monkeypatch.setitem(reaching._SESSION, "statement_timeout", "1400")
    async with opened_store(store) as one:
        await eventually(lambda: "old changes were not cleaned up" in caplog.text)
        assert one.journal.fault is None
        assert [o.code for o in await one.keep(change(1))] == [""]


async def test_the_certificate_and_the_name_in_it_are_checked(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    server = Postgres()
    try:
        server.start_with_tls(certificate)
        server.make_database()
        plain = server.store()
        named = parse_address(server.url().replace("127.0.0.1", "localhost"))
        good = Store(named, str(certificate[0]), plain.password)
        connection = await connect(good)
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        await connection.close()
        with pytest.raises(JournalError, match=r"not trusted.*doesn't match|not trusted.*not valid for"):
            await connect(Store(plain.address, str(certificate[0]), plain.password))
        for file in Path("/etc/ssl/certs").glob("*.pem"):  # of anybody else
            with pytest.raises(JournalError, match="not trusted"):
                await connect(Store(named, str(file), plain.password))
            break
    finally:
        server.remove()
    assert make_context(Store(parse_address("postgresql://rtc@db.example.org/rtc"))) is not None
    server = Postgres()
    try:
        server.start()
        server.make_database()
        with pytest.raises(JournalError, match=r"SSL|TLS"):  # a CA is named, and the store speaks no TLS
            await connect(Store(server.store().address, str(certificate[0]), server.store().password))
    finally:
        server.remove()
