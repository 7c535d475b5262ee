# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What administrators and networks do to sessions of the store: settings, ends at any moment, answers that never come,
servers and backends that stand still."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from journal_support import change
from postgres_support import Cable, Postgres, opened_store, well
from rtc_support import eventually

pytest.importorskip("asyncpg")
from rtc_cluster import LONG, Cluster, configured, is_ready
from test_cluster_network import wait_until

from rtc_server.store_postgres.address import parse_address
from rtc_server.store_postgres.connections import Store

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = 'rtc' AND datname = 'rtc'"
HOSTILE = {
    **{"synchronous_commit": "off", "client_min_messages": "error", "default_transaction_isolation": "serializable"},
    **{"statement_timeout": "1ms", "lock_timeout": "1ms", "idle_in_transaction_session_timeout": "1ms"},
    **{
        "idle_session_timeout": "10min",
        "transaction_timeout": "10min",
        "search_path": "public",
        "enable_indexscan": "off",
    },
    **{"standard_conforming_strings": "off", "client_encoding": "LATIN1", "array_nulls": "off", "lc_messages": "C"},
    **{"DateStyle": "SQL, DMY", "TimeZone": "Asia/Kathmandu", "extra_float_digits": "-5", "xmloption": "document"},
    **{
        "plpgsql.extra_errors": "all",
        "temp_file_limit": "0",
        "work_mem": "64kB",
        "default_transaction_deferrable": "on",
    },
}


async def test_what_is_set_for_role_and_database_changes_nothing(store: Store, postgres: Postgres) -> None:
    """Also timeouts that end sessions which only wait: each would cost all three, and a second."""
    database = store.address.database
    known = set(postgres.query("SELECT name FROM pg_settings"))
    for name, value in HOSTILE.items():
        if name in known or "." in name:
            postgres.query(f"ALTER ROLE rtc IN DATABASE {database} SET {name} TO '{value}'")
    async with opened_store(store) as one, opened_store(store) as two:
        await two.hall.load("p")
        outcomes = await one.keep(*[change(i, data={"t": "é😀\\'"}) for i in range(1, 50)])
        assert {o.code for o in outcomes} == {""}
        await eventually(lambda: len(two.hall.seen["p"]) == 49)
        assert one.journal._writer is not None
        limits = "SELECT name, setting FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')"
        assert {row[1] for row in await one.journal._writer.fetch(limits)} <= {"0"}
        assert (one.journal.fault, two.journal.fault, two.hall.renewed) == (None, None, [])


async def test_answers_that_do_not_come_are_no_refusal(store: Store, postgres: Postgres) -> None:
    """The store hears and is not heard: what it kept is found again, and is there once."""
    database = store.address.database
    async with Cable(postgres.port) as cable:
        address = parse_address(f"postgresql://rtc@127.0.0.1:{cable.port}/{database}")
        async with opened_store(Store(address, "", store.password)) as half, opened_store(store) as other:
            for keeper in (half, other):
                await keeper.hall.load("p")
            await half.keep(change(1))
            cable.cut_answers()
            assert half.journal.submit(change(2))
            await eventually(lambda: postgres.query("SELECT count(*) FROM rtc.change", database) == ["2"])
            await half.journal.wait_idle()
            assert [o.code for o in half.outcomes] == ["", "unavailable"]
            await eventually(lambda: other.hall.seen["p"] == ["c1", "c2"])
            cable.mend()
            await well(half)
            assert [(o.revision, o.duplicate) for o in await half.keep(change(2))] == [(2, True)]
            assert half.hall.seen["p"] == ["c1", "c2"] and not half.hall.renewed


async def test_sessions_end_and_stand_still_at_any_moment(tmp_path: Path) -> None:
    """An administrator ends and cancels them, a backend is stopped with whatever locks it has, a server is stopped until
    the others take it for gone."""
    async with Cluster() as cluster:
        machine = await cluster.add_machine()
        password = Path(machine.store().password)
        servers = [configured(tmp_path / f"node{at}", machine.url(), password) for at in range(2)]
        await cluster.start_servers(servers)
        await cluster.begin_writing()
        for function in ["pg_terminate_backend", "pg_cancel_backend"] * (20 if LONG else 3):
            await cluster.while_writing(
                function, lambda name=function: machine.query(f"SELECT {name}(pid) FROM ({SESSIONS} ORDER BY random()"
                                                              f" LIMIT {random.randint(1, 3)}) x")
            )  # fmt: skip
        for writer in cluster.writers:
            writer.leaves_what_is_not_ready = True

        def stop_a_backend() -> None:
            """Until one of the servers has noticed."""
            pid = int(random.choice(machine.query(f"{SESSIONS} AND query LIKE '%append_1%'")))
            os.kill(pid, signal.SIGSTOP)
            try:
                wait_until(lambda: not all(is_ready(server) for server in servers), "a server notices")
            finally:
                os.kill(pid, signal.SIGCONT)

        await cluster.while_writing("a backend is stopped", stop_a_backend)
        stopped, other = servers
        assert stopped.process is not None

        def stop_a_server() -> None:
            os.kill(stopped.process.pid, signal.SIGSTOP)
            try:
                wait_until(lambda: "was not heard of" in other.log.read_text(), "its lease ends")
            finally:
                os.kill(stopped.process.pid, signal.SIGCONT)

        await cluster.while_writing("a server is stopped", stop_a_server)
        await cluster.settle(machine, "sessions attacked")
