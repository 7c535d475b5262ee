# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer between a server and its store, in each of its modes: refused, before anything is kept."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres_binaries
import pytest
from journal_support import change
from postgres_support import Postgres, config_file, opened_store, run
from rtc_support import eventually, free_port

pytest.importorskip("asyncpg")

from rtc_server.store_postgres import reaching
from rtc_server.store_postgres.address import parse_address
from rtc_server.store_postgres.connections import Store

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
LISTED = ", ".join(sorted(set(reaching._SESSION) - {"client_encoding", "application_name"}))
Bouncer = Callable[[str, bool], Store]


@pytest.fixture
def bounce(postgres: Postgres, store: Store, tmp_path: Path) -> Iterator[Bouncer]:
    """Starts PgBouncer in a mode, with the parameters of sessions passed over or not; the store through it."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed here")
    running: list[subprocess.Popen[bytes]] = []
    folder = postgres.directory / f"bouncer{free_port()}"
    folder.mkdir()
    postgres.own(folder)

    def bounce(mode: str, ignores: bool) -> Store:
        port = free_port()
        file = folder / "pgbouncer.ini"
        database = store.address.database
        file.write_text(
            f"[databases]\n{database} = host=127.0.0.1 port={postgres.port} user=rtc password='rtc''s secret'\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\nlogfile = {folder}/log\n"
            + (f"ignore_startup_parameters = {LISTED}\n" if ignores else "")
        )
        file.chmod(0o644)
        running.append(subprocess.Popen([*postgres_binaries.as_postgres(), PROGRAM, "-q", str(file)]))
        give_up = time.monotonic() + 20
        while not (folder / "log").exists() or "process up" not in (folder / "log").read_text():
            assert running[-1].poll() is None and time.monotonic() < give_up, "pgbouncer does not start"
            time.sleep(0.02)
        return Store(parse_address(f"postgresql://rtc@127.0.0.1:{port}/{database}"), "", store.password)

    yield bounce
    for process in running:
        process.terminate()
        process.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
async def test_a_pooler_is_refused(
    mode: str, ignores: bool, bounce: Bouncer, postgres: Postgres, tmp_path: Path, capsysbinary: Any
) -> None:
    """PgBouncer refuses the parameters that sessions begin with, and names the setting by which it passes over them;
    with that, sessions have the defaults of the store, and several servers share them."""
    pooled = await asyncio.to_thread(bounce, mode, ignores)
    file = config_file(tmp_path, postgres, pooled, store_url=f"{pooled.address}")
    status, said = await asyncio.to_thread(run, capsysbinary, "check-config", file)
    assert status == 1 and "a pooler is between" in said and "name host and port of PostgreSQL itself" in said
    async with opened_store(pooled) as keeper:
        assert keeper.journal.fault is not None and "a pooler is between" in keeper.journal.fault
        assert [o.code for o in await keeper.keep(change(1))] == ["unavailable"]
        with pytest.MonkeyPatch.context() as patch:  # again, when sessions have been used before
            patch.setattr("rtc_server.store_postgres.journal.RETRY", 0.05)
            await eventually(lambda: keeper.journal.fault is not None)
            assert "a pooler is between" in str(keeper.journal.fault)
    assert postgres.query("SELECT to_regclass('rtc.meta')", pooled.address.database) == [""]  # nothing was made
