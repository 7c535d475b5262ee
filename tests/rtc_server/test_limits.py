# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits in bytes, how true ``retry_after`` is, and who is hung up on."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtc_support import Client, Closed, eventually, running, token

from rtc_server.limits import Allowance, TokenBucket

# --- the allowance ---------------------------------------------------------------------------------


def test_requests_and_bytes() -> None:
    allowance = Allowance(2, 3, 100, 1000, 0.0)
    assert allowance.take(0.0, 900) and not allowance.take(0.0, 200)
    assert allowance.find_shortage() == (100, "bytes", pytest.approx(1.001, abs=0.001), 200)
    assert allowance.take(0.0, 100) and allowance.take(0.0)  # there is no debt
    assert not allowance.take(0.0)
    assert allowance.find_shortage()[:2] == (2, "requests")


def test_more_than_the_whole_budget_is_taken_when_it_is_full() -> None:
    allowance = Allowance(1000, 1000, 100, 1000, 0.0)
    assert allowance.take(0.0, 5000)
    assert allowance.find_debt(0.0) == 40 and allowance.find_debt(30.0) == pytest.approx(10)
    assert not allowance.take(1.0) and not allowance.full(49.0)
    assert allowance.take(40.5) and not allowance.take(40.5, 5000)
    assert allowance.full(50.0) and allowance.take(50.0, 5000)


def test_what_a_read_cost_is_paid_off() -> None:
    allowance = Allowance(1000, 1000, 100, 1000, 0.0)
    assert allowance.take(0.0)
    allowance.charge(1500)
    assert allowance.find_debt(0.0) == 5 and not allowance.take(0.0)
    assert allowance.find_shortage().unit == "bytes"
    assert allowance.take(allowance.find_shortage().wait)


_RATES = st.floats(0.01, 1e6)


@given(
    rate=_RATES,
    burst=st.floats(1, 1e6),
    byte_rate=_RATES,
    byte_burst=st.floats(1, 1e9),
    start=st.floats(0, 1e7),
    steps=st.lists(st.tuples(st.floats(0, 10), st.integers(0, 1 << 25)), min_size=1, max_size=30),
)
def test_who_waits_as_told_is_not_refused(
    rate: float, burst: float, byte_rate: float, byte_burst: float, start: float, steps: list[tuple[float, int]]
) -> None:
    now = start
    allowance = Allowance(rate, burst, byte_rate, byte_burst, now)
    for passed, size in steps:
        now += passed
        if not allowance.take(now, size):
            now += allowance.find_shortage().wait + 1e-6 * now  # times are exact to a few digits only
            assert allowance.take(now, size)


def test_any_amount() -> None:
    bucket = TokenBucket(1, 10, 0.0)
    assert bucket.take(0.0, 9.5) and not bucket.take(0.0) and bucket.take(0.5)


# --- editors ---------------------------------------------------------------------------------------


def change(client: Client, number: int, data: Any, project: str = "p") -> asyncio.Future[Any]:
    return client.asked("change", {"project": project, "id": f"c{number}", "data": data})


async def send_plain(client: Client, number: int, size: int) -> None:
    """A change as most clients write it: it takes the fast path."""
    packet = '42["change",{"project":"p","id":"f%d","data":"%s"}]'
    await client.send(packet % (number, "x" * (size - 2)))


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
async def test_changes_count_with_their_bytes(tmp_path: Path, letter: str) -> None:
    limits = {"change_bytes_per_second": 100, "change_bytes_burst": 10_000}
    async with running(tmp_path, limits=limits) as site:
        ann = await site.connect()
        await ann.ask("join", {"project": "p"})
        data = letter * (2998 // (len(json.dumps(letter)) - 2))  # as it is sent, with escapes
        answers = [await change(ann, n, data) for n in range(4)]
        assert [a["ok"] for a in answers] == [True, True, True, False]
        assert answers[3]["code"] == "rate" and answers[3]["limit"] == 100 and 15 < answers[3]["retry_after"] < 25
        assert (await change(ann, 5, "small"))["ok"]
        other = await site.connect()  # of the same user
        await other.ask("join", {"project": "p"})
        snapshot = {"project": "p", "revision": 1, "data": data}
        assert (await other.ask("snapshot", snapshot))["code"] == "rate"
        await send_plain(other, 1, 2900)
        refused = await other.until(lambda: other.of("refused"))
        assert refused[0]["code"] == "rate" and refused[0]["limit"] == 100
        bob = await site.connect(token("bob"))
        await bob.ask("join", {"project": "p"})
        await send_plain(bob, 1, 2900)
        await ann.until(lambda: ann.of("change", "p")[-1]["user"] == "bob")


async def test_a_change_larger_than_the_budget(tmp_path: Path) -> None:
    limits = {"change_bytes_per_second": 1000, "change_bytes_burst": 1000}
    async with running(tmp_path, limits=limits) as site:
        ann = await site.connect()
        await ann.ask("join", {"project": "p"})
        assert (await change(ann, 1, "x" * 3000))["ok"]
        answer = await change(ann, 2, "x" * 100)
        assert answer["code"] == "rate"
        await asyncio.sleep(answer["retry_after"])
        assert (await change(ann, 2, "x" * 100))["ok"]


async def test_presence_counts_with_its_bytes(tmp_path: Path) -> None:
    limits = {"presence_bytes_per_second": 1000}
    async with running(tmp_path, limits=limits) as site:
        ann = await site.connect()
        await ann.ask("join", {"project": "p"})
        answers = [await ann.ask("presence", {"project": "p", "state": "x" * 900}) for _ in range(3)]
        assert [a["ok"] for a in answers] == [True, True, False]
        assert answers[2]["code"] == "rate" and answers[2]["limit"] == 1000 and answers[2]["retry_after"] > 0


@pytest.mark.parametrize("what", ["history", "join", "snapshot"])
async def test_reads_of_what_is_not_ascii_count_with_their_bytes(tmp_path: Path, what: str) -> None:
    """Each of these characters is four."""
    async with running(tmp_path, limits={"read_bytes_per_second": 10_000, "page_bytes": 20_000}) as site:
        bob = await site.connect(token("bob"))
        await bob.ask("join", {"project": "p"})
        text = "\U0001f600" * 2_000  # as browsers write it, without escapes
        for n in range(4):
            await bob.send(f'42["change",{{"project":"p","id":"{n}","data":"{text}"}}]')
        await bob.until(lambda: len(bob.of("change")) == 4)
        await bob.send(f'42["snapshot",{{"project":"p","revision":1,"data":"{text}"}}]')
        ann = await site.connect()
        assert (await ann.ask("join", {"project": "p", "since": 4}))["ok"]
        reads = site.service.users["ann"].reads
        before, now = reads._bytes, time.monotonic()
        answer = await ann.ask(what, {"project": "p", "since": 2} if what != "snapshot" else {"project": "p"})
        assert len(answer.get("changes", [1])) == (1 if what == "snapshot" else 2)
        spent = before + (time.monotonic() - now) * 10_000 - reads._bytes
        assert spent > (8_000 if what == "snapshot" else 16_000)
        answer = await ann.ask("history", {"project": "p", "since": 0})
        assert [c["revision"] for c in answer["changes"]] == [1, 2]  # 16 kB: a third would be beyond the page


async def test_reads_count_with_their_bytes(tmp_path: Path) -> None:
    limits = {"read_bytes_per_second": 10_000, "keep_changes": 0}
    async with running(tmp_path, limits=limits) as site:
        bob = await site.connect(token("bob"))
        await bob.ask("join", {"project": "p"})
        for n in range(10):
            assert (await change(bob, n, "x" * 10_000))["ok"]
        assert (await bob.ask("history", {"project": "p"}))["ok"]  # 100 kB; the budget is of 50
        answer = await bob.ask("history", {"project": "p"})
        assert answer["code"] == "rate" and answer["limit"] == 10_000 and 3 < answer["retry_after"] < 6
        assert (await bob.ask("join", {"project": "q"}))["code"] == "rate"
        assert (await bob.ask("snapshot", {"project": "p"}))["code"] == "rate"
        ann = await site.connect()
        assert (await ann.ask("join", {"project": "p", "since": 0}))["ok"]  # from memory
        assert (await ann.ask("history", {"project": "p"}))["code"] == "rate"


async def test_pages_after_a_join_come_at_the_pace_of_the_budget(tmp_path: Path) -> None:
    limits = {"read_bytes_per_second": 100_000, "page_bytes": 60_000}
    async with running(tmp_path, limits=limits) as site:
        bob = await site.connect(token("bob"))
        await bob.ask("join", {"project": "p"})
        for n in range(60):
            await change(bob, n, "x" * 10_000)
        ann = await site.connect()
        answer = await ann.ask("join", {"project": "p", "since": 0})
        assert answer["more"]
        reads = site.service.users["ann"].reads
        await ann.until(lambda: reads.find_debt(time.monotonic()) > 0.0)
        await ann.until(lambda: ann.of("changes"))
        assert ann.of("changes")[-1]["more"] and reads.find_debt(time.monotonic()) > 0.0
        await ann.until(lambda: not ann.of("changes")[-1]["more"])
        got = [c["revision"] for page in [answer, *ann.of("changes")] for c in page["changes"]]
        assert got == list(range(1, 61))


# --- who goes on with refused requests ---------------------------------------------------------------


async def flood(client: Client, packet: str) -> None:
    """Send it until the server hangs up."""
    client.check_contract = False
    try:
        for _ in range(10_000):
            await client.send(packet)
            if client.closed.is_set():
                break
    except (Closed, ConnectionError):
        pass
    await eventually(client.closed.is_set, "the server hangs up")


def packet(event: str, body: Any, number: int | str = "") -> str:
    return f"42{number}" + json.dumps([event, body])


@pytest.mark.parametrize(
    "sent",
    [
        packet("join", {"project": "forbidden"}, 7),
        packet("join", {"project": "forbidden"}),
        packet("change", {"project": "p"}, 7),
        packet("change", {"project": "not joined", "id": "x", "data": 1}, 7),
        packet("change", {"project": "p", "id": "x", "data": 1}),
        packet("history", {"project": "p", "limit": 1 << 40}, 7),
        packet("presence", {"project": "p", "state": "x"}, 7),
        packet("presence", {"project": "p", "state": "x"}),
        packet("snapshot", {"project": "p", "revision": 99, "data": 1}, 7),
        packet("leave", {"project": "q"}),
    ],
)
async def test_a_flood_of_refusals_ends(tmp_path: Path, sent: str) -> None:
    limits = {"refusals_per_second": 1, "changes_per_second": 1, "changes_burst": 1, "presence_per_second": 1}
    async with running(tmp_path, limits=limits) as site:
        bearer = token("eve", {"p": "edit", "q": "edit"})
        eve = await site.connect(bearer)
        await eve.ask("join", {"project": "p"})
        await flood(eve, sent)
        assert eve.of("closing") == [{"reason": "refused", "retry_after": 25.0}]
        again = await site.connect(bearer)  # coming back gives nothing back
        await flood(again, packet("join", {"project": "forbidden"}))
        assert len(again.of("refused")) <= 3
        assert site.service.users["eve"].connections == 0


async def test_heeding_refusals_is_not_counted(tmp_path: Path) -> None:
    limits = {"refusals_per_second": 0.1, "changes_per_second": 20, "changes_burst": 1}
    async with running(tmp_path, limits=limits) as site:
        ann = await site.connect()
        await ann.ask("join", {"project": "p"})
        refused = number = 0
        while refused <= 10:  # five are borne
            while not (answer := await change(ann, number, 1))["ok"]:
                refused += 1
                await asyncio.sleep(answer["retry_after"])
            number += 1
        assert not ann.closed.is_set()


async def test_a_large_refused_message_weighs_more(tmp_path: Path) -> None:
    limits = {"refusals_per_second": 20, "change_bytes_per_second": 100, "change_bytes_burst": 100}
    async with running(tmp_path, limits=limits) as site:
        eve = await site.connect(token("eve"))
        await eve.ask("join", {"project": "p"})
        assert (await change(eve, 0, "x" * 200_000))["ok"]
        await flood(eve, packet("change", {"project": "p", "id": "x", "data": "x" * 200_000}))
        assert len(eve.of("refused")) < 200
        assert eve.of("closing")[0]["reason"] == "refused"


async def test_what_the_server_fails_at_is_not_counted(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"refusals_per_second": 0.1}) as site:
        ann = await site.connect()
        await ann.ask("join", {"project": "p"})
        site.service.handlers.draining = True
        assert {(await change(ann, n, 1))["code"] for n in range(50)} == {"draining"}
        assert not ann.closed.is_set()


async def test_what_parsers_of_others_give_up_on_reaches_nobody(tmp_path: Path) -> None:
    """Change, presence and snapshot; and the connection stays: who sends it learns why."""
    deep = json.loads("[" * 201 + "]" * 201)
    async with running(tmp_path) as site:
        ann, bob = await site.connect(), await site.connect(token("bob"))
        for client in (ann, bob):
            assert (await client.ask("join", {"project": "p"}))["ok"]
        assert (await ann.ask("change", {"project": "p", "id": "1", "data": deep[0]}))["revision"] == 1
        answers = [
            await ann.ask("change", {"project": "p", "id": "2", "data": deep}),
            await ann.ask("presence", {"project": "p", "state": deep}),
            await ann.ask("snapshot", {"project": "p", "revision": 1, "data": deep}),
        ]
        assert [(a["ok"], a["code"], a["limit"]) for a in answers] == [(False, "invalid", 200)] * 3
        assert (await ann.ask("change", {"project": "p", "id": "2", "data": 2}))["revision"] == 2
        await eventually(lambda: [b["data"] for name, b in bob.events if name == "change"] == [deep[0], 2])
        assert not [name for name, _ in bob.events if name in ("presence", "closing")]
