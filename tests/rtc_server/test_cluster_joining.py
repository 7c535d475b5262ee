# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that comes from another server of the store, and knows more than this one has delivered: its state is of the
same history, and ``reset`` would have it throw away what it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from rtc_support import Client, Site, running, token

pytest.importorskip("asyncpg")
from postgres_support import Postgres

from rtc_server.store_postgres import journal


@pytest.fixture
async def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Postgres, Site, Site]]:
    """Two servers of one store. The second one hears of nothing that the first one keeps."""
    monkeypatch.setattr(journal, "COMPARE", 3600.0)
    machine = Postgres()
    try:
        machine.start()
        machine.make_database()
        for name in "ab":
            (tmp_path / name).mkdir()
        section: dict[str, Any] = {
            "path": None, "store_url": machine.url(), "store_password": machine.store().password}  # fmt: skip
        async with running(tmp_path / "a", journal=section) as quick, running(tmp_path / "b", journal=section) as slow:
            monkeypatch.setattr(slow.service.journal._follower, "want", lambda *_: None)  # type: ignore[attr-defined]
            yield machine, quick, slow
    finally:
        machine.remove()


async def write(site: Site, numbers: range) -> tuple[Client, str]:
    """Somebody who writes there, and the project's epoch."""
    client = await site.connect()
    epoch: str = (await client.ask("join", {"project": "p"}))["epoch"]
    for number in numbers:
        assert (await client.ask("change", {"project": "p", "id": str(number), "data": number}))["revision"] == number
    return client, epoch


async def test_whoever_knows_more_is_not_of_another_history(sites: tuple[Postgres, Site, Site]) -> None:
    _, quick, slow = sites
    bob = await slow.connect(token("bob"))
    assert (await bob.ask("join", {"project": "p"}))["revision"] == 0
    _, epoch = await write(quick, range(1, 4))
    carl = await slow.connect(token("carl"))
    joined = await carl.ask("join", {"project": "p", "since": 2, "epoch": epoch})
    assert (joined["reset"], [change["revision"] for change in joined["changes"]]) == (False, [3])
    await bob.until(lambda: [body["revision"] for body in bob.of("change")] == [1, 2, 3], "bob gets them, too")
    joined = await carl.ask("join", {"project": "p", "since": 4, "epoch": epoch})
    assert (joined["reset"], len(joined["changes"])) == (True, 3)  # nobody has a fourth one
    assert (await carl.ask("join", {"project": "p", "since": 3, "epoch": "another"}))["reset"]


async def test_an_epoch_that_another_server_knows_already(sites: tuple[Postgres, Site, Site]) -> None:
    machine, quick, slow = sites
    await write(quick, range(1, 3))
    bob = await slow.connect(token("bob"))
    assert (await bob.ask("join", {"project": "p"}))["revision"] == 2
    machine.query("UPDATE rtc.project SET epoch = 'another'", "rtc")
    carl = await slow.connect(token("carl"))
    joined = await carl.ask("join", {"project": "p", "since": 2, "epoch": "another"})
    assert joined["code"] == "unavailable"
    joined = await carl.ask("join", {"project": "p", "since": 2, "epoch": "another"})
    assert (joined["reset"], joined["epoch"], joined["changes"]) == (False, "another", [])
    await bob.until(lambda: bob.of("closing"), "bob starts over")


async def test_what_cannot_be_told_is_no_other_history(sites: tuple[Postgres, Site, Site]) -> None:
    """The store is away: whether it has what the client knows is asked again later."""
    machine, quick, slow = sites
    bob = await slow.connect(token("bob"))
    assert (await bob.ask("join", {"project": "p"}))["revision"] == 0
    _, epoch = await write(quick, range(1, 3))
    machine.kill()
    carl = await slow.connect(token("carl"))
    refused = await carl.ask("join", {"project": "p", "since": 2, "epoch": epoch})
    assert (refused["ok"], refused["code"], refused["retry_after"]) == (False, "unavailable", 1.0)
    assert (await carl.ask("join", {"project": "p", "since": 0, "epoch": epoch}))["revision"] == 0  # from memory
