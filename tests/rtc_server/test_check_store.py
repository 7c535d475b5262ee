# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``check-config --json``: what programs are told of a store. The plan of a run makes findings of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from postgres_support import Postgres, opened_store
from rtc_support import config_text

from rtc_server import cli


@pytest.fixture
def ask(postgres: Postgres, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Asks about a database of the test's own, which the function has as ``database``."""
    database = f"check{len(postgres.query('SELECT 1 FROM pg_database'))}"
    postgres.make_database(database)

    def ask(url: str = "", status: int = 0) -> dict[str, Any]:
        store = postgres.store(database)
        journal = {"path": None, "store_url": url or postgres.url(database), "store_password": store.password}
        path = tmp_path / "node.toml"
        path.write_text(config_text(tmp_path, journal=journal))
        assert cli.main(["check-config", "--json", str(path)]) == status
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    ask.database = database  # type: ignore[attr-defined]
    return ask


async def make_schema(postgres: Postgres, database: str) -> None:
    async with opened_store(postgres.store(database)):
        pass


def test_an_empty_store_with_its_risks(ask: Any) -> None:
    found = ask()
    assert found["complaints"] == []
    store = found["store"]
    assert (store["fault"], store["kind"], store["projects"]) == ("", "", 0)
    assert "no standby is synchronous" in store["risks"]["synchronous_standby_names"]
    assert abs(store["ahead"]) < 5


def test_projects_are_counted(ask: Any, postgres: Postgres) -> None:
    import asyncio

    asyncio.run(make_schema(postgres, ask.database))
    postgres.query(
        "INSERT INTO rtc.project (name, epoch) VALUES ('a', 'x'), ('b', 'x'), ('rtc-verify', 'x')", ask.database
    )
    assert ask()["store"]["projects"] == 2
    postgres.query("ALTER SCHEMA rtc RENAME TO rtc_moved", ask.database)  # as docs/scaling.md has it
    assert ask()["store"]["projects"] == 0


def test_kinds_of_faults(ask: Any, postgres: Postgres) -> None:
    import asyncio

    postgres.query(f"ALTER DATABASE {ask.database} SET default_transaction_read_only = on")
    assert ask(status=1)["store"]["kind"] == "read_only"
    postgres.query(f"ALTER DATABASE {ask.database} RESET default_transaction_read_only")
    asyncio.run(make_schema(postgres, ask.database))
    postgres.query("UPDATE rtc.meta SET value = '99'", ask.database)
    store = ask(status=1)["store"]
    assert (store["kind"], store["needs"]) == ("newer", 99) and "version 99" in store["fault"]
    store = ask(postgres.url("none"), status=1)["store"]
    assert store["kind"] == "" and "no database 'none'" in store["fault"] and store["projects"] == -1


def test_one_that_does_not_answer_beside_a_standby_may_be_the_primary(ask: Any, postgres: Postgres) -> None:
    from rtc_support import free_port

    postgres.query(f"ALTER DATABASE {ask.database} SET default_transaction_read_only = on")
    url = f"postgresql://rtc@127.0.0.1:{postgres.port},127.0.0.1:{free_port()}/{ask.database}"
    assert ask(url, status=1)["store"]["kind"] == ""


def test_without_a_store_and_with_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "node.toml"
    path.write_text(config_text(tmp_path))
    assert cli.main(["check-config", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"complaints": [], "store": None}
    path.write_text("x = 1\n")
    assert cli.main(["check-config", "--json", str(path)]) == 1
    assert "x: is not a section" in str(json.loads(capsys.readouterr().out)["complaints"])
