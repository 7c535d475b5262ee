# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of the contract once more, with the journal on PostgreSQL: clients see no difference."""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import test_contract
from postgres_support import Postgres
from rtc_support import Site, eventually, running, token
from test_contract import *  # noqa: F403 - pytest collects what is here

del test_after_restoring_an_older_copy_clients_start_over  # noqa: F821 - it copies files
_NAMES = itertools.count()


@pytest.fixture
def store(postgres: Postgres) -> dict[str, str | None]:
    """A database of its own, as the section ``journal`` names it."""
    name = f"contract{next(_NAMES)}"
    postgres.make_database(name)
    return {"path": None, "store_url": postgres.url(name), "store_password": postgres.store(name).password}


@pytest.fixture(autouse=True)
def _on_store(store: dict[str, str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that a test starts by itself have it, too: the same one after a restart."""
    monkeypatch.setattr(test_contract, "running", functools.partial(running, journal=store))


@pytest.fixture
async def site(store: dict[str, str | None], tmp_path: Path) -> AsyncIterator[Site]:
    """A server in this process whose journal is on the store."""
    async with running(tmp_path, journal=store) as site:
        yield site


async def test_without_the_store_refusals_say_when_to_try_again(site: Site, postgres: Postgres) -> None:
    ann, bob = await site.connect(), await site.connect(token("bob"))
    assert (await ann.ask("join", {"project": "p"}))["ok"]
    assert (await ann.ask("change", {"project": "p", "id": "1", "data": 1}))["revision"] == 1
    postgres.kill()
    try:
        await eventually(lambda: site.service.journal.fault)
        for answer in (
            await ann.ask("change", {"project": "p", "id": "2", "data": 2}),
            await bob.ask("join", {"project": "q"}),
        ):
            assert (answer["code"], answer["retry_after"]) == ("unavailable", 1.0)
        joined = await bob.ask("join", {"project": "p"})  # from memory
        assert [change["id"] for change in joined["changes"]] == ["1"]
    finally:
        postgres.start()
    await eventually(lambda: site.service.journal.fault is None)
    assert (await ann.ask("change", {"project": "p", "id": "2", "data": 2}))["revision"] == 2
    await bob.until(lambda: [body["revision"] for body in bob.of("change")] == [2], "the change reaches bob")
    assert (await bob.ask("join", {"project": "q"}))["ok"]
