# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command with a store: projects out of it and into it, and what ``check-config`` says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from journal_support import change, opened
from postgres_support import Postgres, config_file, opened_store, run, well
from rtc_support import eventually, free_port

from rtc_server.journal import Compact, JournalError, Snapshot, Submission, export_import
from rtc_server.store_postgres import reaching, transfer
from rtc_server.store_postgres.connections import Store


async def test_projects_move_between_both_journals(
    store: Store, postgres: Postgres, path: Path, tmp_path: Path, capsysbinary: Any
) -> None:
    async with opened(path) as embedded:
        await embedded.keep(*[change(i, data={"text": "é😀\u2028", "i": i}) for i in range(1, 2501)])
        await embedded.keep(Compact("p", Snapshot(6, '{"s": 1}'), keep=2))
        spaced = change(2501)
        await embedded.keep(
            Submission("p", spaced.id, "ann", '{"t": [1, "x"]}', spaced.label)
        )  # as Python's clients send
    lines = list(export_import.export_project(str(path), "p"))
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(transfer.import_project, store, lines).result() == ("p", 2501)
        assert pool.submit(lambda: list(transfer.export_project(store, "p"))).result() == lines
        with pytest.raises(JournalError, match="has a project 'p' already"):
            pool.submit(transfer.import_project, store, lines).result()
        with pytest.raises(JournalError, match="cut short"):
            pool.submit(transfer.import_project, store, lines[:-1], replace=True).result()
    async with opened_store(store) as keeper:
        await keeper.hall.load("p")
        epoch = keeper.hall.epochs["p"]
        (retry,) = await keeper.keep(change(2, data="compacted, so what it was is not known any more"))
        assert (retry.revision, retry.duplicate) == (2, True)
        (retry,) = await keeper.keep(change(9, data={"i": 9, "text": "é😀\u2028"}))
        assert (retry.revision, retry.duplicate) == (9, True)
        config = config_file(tmp_path, postgres, store)
        status, listed = run(capsysbinary, "list-projects", "--config", config)
        assert (status, listed.split("\t")[:3]) == (0, ["p", "2501", "2497"])
        file = tmp_path / "export"
        file.write_text("\n".join(lines) + "\n")
        with file.open() as text, pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", text)
            assert run(capsysbinary, "import", "--config", config, "--replace")[0] == 0  # while a server runs
        await eventually(lambda: keeper.hall.renewed == ["p"])
        await keeper.hall.load("p")
        assert keeper.hall.epochs["p"] != epoch
        assert run(capsysbinary, "export", "--config", config, "--project", "p") == (0, "\n".join(lines) + "\n")
    status, text_ = run(capsysbinary, "verify-journal", "--config", config)
    assert status == 1 and "for the embedded journal" in text_
    postgres.query("ALTER SCHEMA rtc RENAME TO rtc_moved", store.address.database)  # put away, as docs/scaling.md says
    assert run(capsysbinary, "list-projects", "--config", config) == (0, "")
    assert not postgres.query("SELECT 1 FROM pg_namespace WHERE nspname = 'rtc'", store.address.database)


async def test_a_project_whose_import_takes_longer_than_a_round_may(
    store: Store, postgres: Postgres, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(path) as embedded:
        await embedded.keep(change(1))
    lines = list(export_import.export_project(str(path), "p"))
    async with opened_store(store):
        pass
    postgres.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END $$;"
        " CREATE TRIGGER slow BEFORE INSERT ON rtc.change EXECUTE FUNCTION slow()", store.address.database,
    )  # fmt: skip
    monkeypatch.setitem(reaching._SESSION, "statement_timeout", "1400")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(transfer.import_project, store, lines).result() == ("p", 1)


async def test_check_config_tries_the_store(
    store: Store, postgres: Postgres, tmp_path: Path, capsysbinary: Any
) -> None:
    def check(expected: int, *words: str, **journal: Any) -> None:
        status, said = run(capsysbinary, "check-config", config_file(tmp_path, postgres, store, **journal))
        assert status == expected and all(word in said for word in words), said
        assert "rtc's secret" not in said and "wrong one" not in said

    database = store.address.database
    check(0, "good", "no standby is synchronous")
    assert postgres.query("SELECT to_regclass('rtc.meta')", database) == [""]  # nothing was made
    async with opened_store(store) as keeper:
        await keeper.keep(change(1))
    check(0, "good")
    other = tmp_path / "other"
    other.write_text("wrong one\n")
    check(1, "is not let in", "store_password", store_password=str(other))
    check(1, "cannot be read", store_password=str(tmp_path / "none"))
    check(1, "there is no database", store_url=postgres.url("none"))
    check(1, "no server listens", store_url=f"postgresql://rtc@127.0.0.1:{free_port()}/rtc")
    check(1, "is no file of CA certificates", store_ca=str(tmp_path / "token.key"), store_password=store.password)
    postgres.query("UPDATE rtc.meta SET value='9' WHERE key='needs'", database)
    check(1, "version 1 and needs an rtc-server that knows 9", "install that version")
    async with opened_store(store) as keeper:
        assert keeper.journal.fault is not None and "knows 9" in keeper.journal.fault
        assert [o.code for o in await keeper.keep(change(2))] == ["unavailable"]
        postgres.query("UPDATE rtc.meta SET value='1' WHERE key='needs'; UPDATE rtc.meta SET value='2' WHERE"
                       " key='version'", database)  # fmt: skip
        await well(keeper)  # a newer schema that this release can use
        assert [o.code for o in await keeper.keep(change(2))] == [""]
    postgres.query(f"REVOKE ALL ON ALL TABLES IN SCHEMA rtc FROM rtc; ALTER TABLE rtc.meta OWNER TO postgres;"
                   f" REVOKE ALL ON rtc.meta FROM rtc; ALTER DATABASE {database} OWNER TO postgres", database)  # fmt: skip
    check(1, "permission denied", "must belong to rtc")
    postgres.query(f"ALTER DATABASE {database} SET default_transaction_read_only TO on")
    check(1, "takes no writes")
