# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error code of the contract: what raises it, and that it tells its limit."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import rtc_contract
from rtc_support import Client, Closed, Site, running, token

from rtc_server import contract
from rtc_server.journal import sqlite

Case = Callable[[Site, Client], Awaitable[Any]]
CASES: list[tuple[str, dict[str, Any], Case]] = []


def case(code: str, **limits: Any) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        CASES.append((code, limits, function))
        return function

    return register


def change(client: Client, number: int = 1, data: Any = 0) -> asyncio.Future[Any]:
    return client.asked("change", {"project": "p", "id": f"c{number}", "data": data})


async def as_viewer(site: Site) -> Client:
    viewer = await site.connect(token("viewer", {"p": "view"}))
    assert (await viewer.ask("join", {"project": "p"}))["right"] == "view"
    return viewer


@case(contract.FORBIDDEN)
async def join_without_right(site: Site, ann: Client) -> Any:
    await change(ann)
    eve = await site.connect(token("eve", {"other": "edit"}))
    for event, more in (
        ("join", {}),
        ("change", {"id": "x", "data": 1}),
        ("presence", {"state": 1}),
        ("history", {}),
        ("snapshot", {}),
        ("snapshot", {"revision": 1, "data": 1}),
        ("leave", {}),
    ):
        existing = await eve.ask(event, {"project": "p", **more})
        missing = await eve.ask(event, {"project": "no such project", **more})
        assert existing == missing and existing["code"] == contract.FORBIDDEN
    return existing


@case(contract.READ_ONLY)
async def change_by_a_viewer(site: Site, ann: Client) -> Any:
    viewer = await as_viewer(site)
    assert (await viewer.ask("presence", {"project": "p", "state": 1})) == {"ok": True}
    assert (await viewer.ask("history", {"project": "p"}))["ok"]
    assert (await viewer.ask("snapshot", {"project": "p", "revision": 1, "data": 1}))["code"] == contract.READ_ONLY
    return await change(viewer)


@case(contract.NOT_JOINED)
async def change_before_joining(site: Site, ann: Client) -> Any:
    return await ann.ask("change", {"project": "q", "id": "c", "data": 1})


@case(contract.TOO_LARGE, change_bytes=1000, snapshot_bytes=1000, presence_bytes=100)
async def data_over_the_limit(site: Site, ann: Client) -> Any:
    assert (await change(ann, 1, "x" * 998))["ok"]  # with its quotes: exactly the limit
    assert (await ann.ask("presence", {"project": "p", "state": "x" * 99}))["limit"] == 100
    assert (await ann.ask("snapshot", {"project": "p", "revision": 1, "data": "x" * 999}))["limit"] == 1000
    answer = await change(ann, 2, "é" * 500)  # bytes, not characters
    assert answer["limit"] == 1000
    return answer


@case(contract.RATE, changes_per_second=1, changes_burst=5)
async def changes_too_fast(site: Site, ann: Client) -> Any:
    answers = await asyncio.gather(*[change(ann, i) for i in range(7)])
    assert [a["ok"] for a in answers] == [True] * 5 + [False] * 2
    assert answers[-1]["limit"] == 1 and answers[-1]["retry_after"] > 0
    other = await site.connect(token("ann"))  # of the same user: the limit is the user's
    await other.ask("join", {"project": "p"})
    assert (await change(other, 9))["code"] == contract.RATE
    bob = await site.connect(token("bob"))
    await bob.ask("join", {"project": "p"})
    assert (await change(bob, 1))["ok"]
    return answers[-1]


@case(contract.RATE, presence_per_second=1)
async def presence_too_fast(site: Site, ann: Client) -> Any:
    answers = [await ann.ask("presence", {"project": "p", "state": i}) for i in range(12)]
    await ann.emit("presence", {"project": "p", "state": 1})
    assert answers[0] == {"ok": True}
    await change(ann)
    assert ann.of("refused") == []  # volatile: dropped without a word
    return answers[-1]


@case(contract.RATE, reads_per_second=1)
async def reads_too_fast(site: Site, ann: Client) -> Any:
    answers = [await ann.ask("history", {"project": "p"}) for _ in range(101)]
    assert answers[0]["ok"]
    return answers[-1]


@case(contract.FULL, members_per_project=2)
async def one_member_too_many(site: Site, ann: Client) -> Any:
    bob, carl = await site.connect(token("bob")), await site.connect(token("carl"))
    assert (await bob.ask("join", {"project": "p"}))["ok"]
    refused = await carl.ask("join", {"project": "p"})
    assert refused["limit"] == 2
    await bob.ask("leave", {"project": "p"})
    assert (await carl.ask("join", {"project": "p"}))["ok"]
    return refused


@case(contract.TOO_MANY, projects_per_connection=3)
async def one_project_too_many(site: Site, ann: Client) -> Any:
    for name in "qr":
        assert (await ann.ask("join", {"project": name}))["ok"]
    assert (await ann.ask("join", {"project": "p"}))["ok"]  # again
    return await ann.ask("join", {"project": "s"})


@case(contract.COMPACTED, keep_changes=0)
async def history_that_is_gone(site: Site, ann: Client) -> Any:
    await asyncio.gather(*[change(ann, i) for i in range(4)])
    assert (await ann.ask("snapshot", {"project": "p", "revision": 3, "data": 1}))["ok"]
    answer = await ann.ask("history", {"project": "p", "since": 1})
    assert answer["base"] == 3
    return answer


@case(contract.STALE)
async def snapshot_of_the_future(site: Site, ann: Client) -> Any:
    return await ann.ask("snapshot", {"project": "p", "revision": 1, "data": 1})


@case(contract.QUOTA, project_bytes=100_000)
async def change_to_a_project_at_its_quota(site: Site, ann: Client) -> Any:
    assert (await change(ann, 1, "x" * 99_000))["ok"]
    answer = await change(ann, 2, "x" * 1000)
    assert answer["limit"] == 100_000
    return answer


@case(contract.ID_REUSED)
async def another_change_under_a_used_id(site: Site, ann: Client) -> Any:
    assert (await change(ann, 1, "a"))["ok"]
    return await change(ann, 1, "b")


@case(contract.UNKNOWN_ID)
async def change_from_before_what_is_forgotten(site: Site, ann: Client) -> Any:
    with contextlib.closing(sqlite3.connect(site.service.projects.journal.path)) as db, db:
        db.execute("INSERT INTO project (name, revision, base, forgotten) VALUES ('p', 5, 5, 5)")
    return await ann.ask("change", {"project": "p", "id": "i", "data": 1, "since": 4})


@case(contract.UNAVAILABLE)
async def change_while_the_journal_fails(site: Site, ann: Client) -> Any:
    site.writer.open().execute("PRAGMA query_only=ON")
    assert (await change(ann))["code"] == contract.UNAVAILABLE
    return await change(ann)


@case(contract.OVERLOADED)
async def change_over_what_may_wait(site: Site, ann: Client) -> Any:
    previous, sqlite.MAX_WAITING = sqlite.MAX_WAITING, 0
    try:
        return await change(ann)
    finally:
        sqlite.MAX_WAITING = previous


@case(contract.DRAINING)
async def change_while_draining(site: Site, ann: Client) -> Any:
    site.service.handlers.draining = True
    return await change(ann)


# --- requests that are not as the contract says ---------------------------------------------------

MALFORMED: list[tuple[str, Any]] = [
    ("join", {}),
    ("join", {"project": 1}),
    ("join", {"project": ""}),
    ("join", {"project": "x" * 201}),
    ("join", {"project": "a\nb"}),
    ("join", {"project": "\ud800"}),
    ("join", {"project": "p", "since": -1}),
    ("join", {"project": "p", "since": "1"}),
    ("join", {"project": "p", "since": 1.5}),
    ("join", {"project": "p", "since": True}),
    ("join", {"project": "p", "epoch": 1}),
    ("join", "p"),
    ("join", None),
    ("join", ["p"]),
    ("change", {"project": "p", "data": 1}),
    ("change", {"project": "p", "id": 1, "data": 1}),
    ("change", {"project": "p", "id": "", "data": 1}),
    ("change", {"project": "p", "id": "x" * 129, "data": 1}),
    ("change", {"project": "p", "id": "é", "data": 1}),
    ("change", {"project": "p", "id": "\n", "data": 1}),
    ("change", {"project": "p", "id": "c"}),
    ("presence", {"project": "p"}),
    ("leave", {}),
    ("history", {"project": "p", "limit": 0}),
    ("history", {"project": "p", "limit": 1001}),
    ("history", {"project": "p", "since": "x"}),
    ("history", {"project": "p", "limit": 2**60}),
    ("snapshot", {"project": "p", "revision": 0, "data": 1}),
    ("snapshot", {"project": "p", "revision": "1", "data": 1}),
]


@case(contract.INVALID)
async def malformed(site: Site, ann: Client) -> Any:
    for event, body in MALFORMED:
        answer = await ann.ask(event, body)
        assert answer["code"] == contract.INVALID, (event, body)
        await ann.emit(event, body)
        await ann.until(lambda: ann.of("refused"))
        (refused,) = ann.of("refused")
        assert {**answer, "event": event} == refused
        ann.events.clear()
    return answer


@pytest.mark.parametrize(("code", "limits", "function"), CASES, ids=lambda v: getattr(v, "__name__", None))
async def test_refusal(tmp_path: Path, code: str, limits: dict[str, Any], function: Case) -> None:
    async with running(tmp_path, limits=limits) as site:
        ann = await site.connect(token("ann"))
        assert (await ann.ask("join", {"project": "p"}))["ok"]
        answer = await function(site, ann)
        assert answer["code"] == code
        assert not ann.closed.is_set()


def test_every_code_of_the_contract_has_a_case() -> None:
    codes = rtc_contract.follow("#/components/schemas/code")["enum"]
    assert set(codes) == set(contract.CODES) == {code for code, _, _ in CASES}


async def test_binary_in_a_change_is_refused(site: Site) -> None:
    ann = await site.connect()
    await ann.ask("join", {"project": "p"})
    answer = ann.asked("change", {"project": "p", "id": "never sent so", "data": 0})
    await answer
    await ann.send('451-["change",{"project":"p","id":"b","data":{"_placeholder":true,"num":0}}]')
    assert ann._ws is not None
    await ann._ws.send_bytes(b"\1\2")
    await ann.until(lambda: ann.of("refused"))
    assert ann.of("refused")[0]["code"] == "invalid" and not ann.closed.is_set()


# --- limits that end the connection or keep it out -------------------------------------------------


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_payload_over_the_limit_ends_the_connection(tmp_path: Path, transport: str) -> None:
    limits = {"payload_bytes": 5000, "change_bytes": 1000, "snapshot_bytes": 1000}
    async with running(tmp_path, limits=limits) as site:
        ann = await site.connect(transport=transport)
        assert ann.handshake["maxPayload"] == 5000
        with contextlib.suppress(Closed, ConnectionError):
            await ann.send("42" + "x" * 5000)
        await ann.closed.wait()


async def test_a_user_has_only_so_many_connections(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"connections_per_user": 2}) as site:
        first, _ = await site.connect(token("ann")), await site.connect(token("ann"))
        with pytest.raises(Closed, match=r'"code":"too_many","limit":2'):
            await site.connect(token("ann"))
        await site.connect(token("bob"))
        await first.close()
        while True:  # the server learns of the end a little later
            try:
                await site.connect(token("ann"))
                break
            except Closed:
                await asyncio.sleep(0.01)


async def test_the_number_of_connections_is_limited(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"connections": 2}) as site:
        for _ in range(2):
            await site.connect()
        with pytest.raises(Closed, match="503"):
            await Client.open(site.url, "polling")


async def test_who_shows_no_token_in_time_is_disconnected(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"connect_seconds": 0.1}) as site:
        silent = await Client.open(site.url)
        await silent.closed.wait()


async def test_refused_tokens_end_the_connection_but_not_the_neighbours(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"refused_tokens_per_minute": 2}) as site:
        for _ in range(4):
            client = await Client.open(site.url)
            with contextlib.suppress(Closed):
                await client.connect("nonsense")
        await client.closed.wait()  # no second attempt any more
        await site.connect(token("neighbour"))


async def test_users_that_are_away_are_forgotten_once_they_have_spent_nothing_lately(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"changes_per_second": 0.01, "changes_burst": 2}) as site:
        service = site.service
        service._sweep_at = 3
        for name in ("spent", "idle", "here"):
            client = await site.connect(token(name))
            await client.ask("join", {"project": "p"})
            if name == "spent":
                assert (await change(client))["ok"]
            if name != "here":
                await client.close()
        while sum(u.connections for u in service.users.values()) > 1:
            await asyncio.sleep(0.005)
        await site.connect(token("new"))
        assert set(service.users) == {"spent", "here", "new"}
