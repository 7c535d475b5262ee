# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random histories against a reference model.

Clients of all kinds join, change, retry, take snapshots, lose their connection and come back; the server is
killed and started again. Whatever happens, at the end:

* every acknowledged change is in the journal at the revision that was acknowledged;
* no change is there twice, and all that is there was submitted as it is;
* what each client saw, over all its connections, is the journal's sequence without gap, repetition or
  reordering (a snapshot stands for what it says it stands for);
* a client's own copy came before its acknowledgement, unless it was catching up;
* who has no right to the project saw nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rtc_figures import FIGURES
from rtc_memory import MemoryClient, MemoryServer

from rtc_server.journal.verify import verify_journal

KINDS = ("ws4", "poll4", "ws3", "poll3")
CLIENTS = len(KINDS)
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # these histories are not about the disk

who = st.integers(0, CLIENTS - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), who, st.integers(1, 6)),
        st.tuples(st.just("change"), who, st.integers(1, 6)),
        st.tuples(st.just("retry"), who),
        st.tuples(st.just("receive"), who),
        st.tuples(st.just("wait until idle")),
        st.tuples(st.just("turn")),
        st.tuples(st.just("lose"), who),
        st.tuples(st.just("rejoin"), who),
        st.tuples(st.just("leave"), who),
        st.tuples(st.just("snapshot"), who),
        st.tuples(st.just("kill")),
        st.tuples(st.just("restart")),
    ),
    min_size=10,
    max_size=60,
)


class Person:
    """A client over all its connections, as an application would write it."""

    def __init__(self, number: int) -> None:
        self.user = f"user{number}"
        self.kind = KINDS[number]
        self.client: MemoryClient | None = None
        self.seen: list[str] = []  # ids of changes by revision - 1: the state
        self.epoch: str | None = None
        self.catching = False
        self.joined = False
        self.joining = False  # what comes before the answer belongs to the membership before
        self.count = 0
        self.open: dict[int, str] = {}  # request number -> id of the change it carries
        self.unsure: list[str] = []  # ids that no acknowledgement came for
        self.acknowledged: dict[str, int] = {}
        self._taken = 0
        self._join = 0

    async def arrive(self, server: MemoryServer) -> None:
        self.client = MemoryClient(server, self.user, self.kind)
        await self.client.connect()
        self._taken = 0
        await self.join()

    async def join(self) -> None:
        assert self.client is not None
        body = {"project": "p", "since": len(self.seen), "epoch": self.epoch}
        self.joined, self.catching, self.joining = False, False, True
        self._join = await self.client.request("join", body)

    async def change(self, id: str) -> None:
        assert self.client is not None
        if id not in self.unsure:
            self.unsure.append(id)
        number = await self.client.request("change", {"project": "p", "id": id, "data": {"of": self.user, "id": id}})
        self.open[number] = id

    async def snapshot(self) -> None:
        assert self.client is not None
        if self.seen:
            await self.client.request("snapshot", {"project": "p", "revision": len(self.seen), "data": self.seen})

    def receive(self) -> None:
        """Take in order what came, checking as one goes."""
        if self.client is None:
            return
        self.client.receive()
        log, self._taken = self.client.log[self._taken :], len(self.client.log)
        for name, value in log:
            if self.joining and name in ("change", "changes"):
                continue
            if name == "change":
                assert not self.catching, "a change before catching up was complete"
                self._take(value)
            elif name == "changes":
                assert self.catching
                self._page(value)
            elif name == "ack":
                self._answered(value, self.client.answers[value])
            else:
                assert name in ("members", "closing"), (name, value)

    def _answered(self, number: int, answer: Any) -> None:
        if number == self._join:
            assert answer["ok"], answer
            assert answer["reset"] is False
            self.joined, self.joining, self.epoch = True, False, answer["epoch"]
            self._page(answer)
            if not self.catching:
                assert len(self.seen) == answer["revision"]
        elif number in self.open:
            id = self.open.pop(number)
            if answer["ok"]:
                self.acknowledged[id] = answer["revision"]
                if id in self.unsure:
                    self.unsure.remove(id)
                if self.joined and not self.catching:
                    assert self.seen[answer["revision"] - 1] == id, "acknowledged before it was delivered"
            else:
                assert answer["code"] in ("not_joined", "unavailable", "draining"), answer

    def _page(self, page: Any) -> None:
        if "snapshot" in page:
            assert page["snapshot"]["data"][: len(self.seen)] == self.seen
            assert len(page["snapshot"]["data"]) == page["snapshot"]["revision"]
            self.seen = list(page["snapshot"]["data"])
        self.catching = page["more"]
        for change in page["changes"]:
            self._take(change)

    def _take(self, change: Any) -> None:
        assert change["revision"] == len(self.seen) + 1, (change, len(self.seen))
        assert change["data"] == {"of": change["user"], "id": change["id"]}
        self.seen.append(change["id"])

    def gone(self) -> None:
        self.client, self.joined, self.catching, self.joining = None, False, False, False
        self.open.clear()


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, st.sampled_from([3, 1000]), st.sampled_from([0, 2, 1000]))
def test_every_history_agrees_with_the_model(steps: list[Any], page: int, keep: int) -> None:
    with tempfile.TemporaryDirectory(dir=FAST) as name:
        asyncio.run(_history(Path(name), steps, page, keep))
    FIGURES["histories"] += 1


async def _wait_until_idle(server: MemoryServer) -> None:
    """Let everything that was begun come to its end."""
    for _ in range(3):
        await server.journal.wait_idle()
        if server.service._tasks:
            await asyncio.wait(set(server.service._tasks), timeout=0.2)
        await asyncio.sleep(0.006)  # the hub's longest pause


async def _history(directory: Path, steps: list[Any], page: int, keep: int) -> None:
    server = MemoryServer(directory, history_page=page, keep_changes=keep)
    await server.start()
    people = [Person(n) for n in range(CLIENTS)]
    stranger = await _stranger(server)
    for step in steps:
        person = people[step[1]] if len(step) > 1 else None
        if step[0] in ("kill", "restart"):
            if step[0] == "kill":
                FIGURES["kills in histories"] += 1
                await server.kill()
            else:
                await server.stop()
            assert not [e for e in _seen_by(stranger) if e[0] not in ("closing",)]
            for other in people:
                if step[0] == "restart":
                    other.receive()
                other.gone()
            await server.start()
            stranger = await _stranger(server)
        elif step[0] == "wait until idle":
            await _wait_until_idle(server)
        elif step[0] == "turn":
            await asyncio.sleep(0)
        elif person is not None:
            await _act(server, person, step)
    await _finish(server, people, stranger, directory)


async def _stranger(server: MemoryServer) -> MemoryClient:
    stranger = MemoryClient(server, "stranger", "ws4", {"q": "edit"})
    await stranger.connect()
    await stranger.request("join", {"project": "p"})
    await stranger.request("history", {"project": "p"})
    return stranger


def _seen_by(stranger: MemoryClient) -> list[tuple[str, Any]]:
    stranger.receive()
    assert all(a["code"] == "forbidden" for a in stranger.answers.values())
    return stranger.events


async def _act(server: MemoryServer, person: Person, step: Any) -> None:
    what = step[0]
    if what == "lose" and person.client is not None:
        await person.client.lose()
        person.gone()
    elif what == "receive":
        person.receive()
    elif person.client is None:
        await person.arrive(server)
    elif what == "rejoin":
        person.receive()
        await person.join()
    elif what == "leave":
        await _wait_until_idle(server)
        person.receive()
        person.joined = False  # an acknowledgement may come without a copy now
        await person.client.request("leave", {"project": "p"})
        await _wait_until_idle(server)
        person.receive()  # what was delivered before still counts
        person.catching = False
    elif what == "change":
        for _ in range(step[2]):
            person.count += 1
            await person.change(f"{person.user}-{person.count}")
    elif what == "retry":
        for id in person.unsure[:5]:
            await person.change(id)
    elif what == "snapshot":
        await person.snapshot()


async def _finish(server: MemoryServer, people: list[Person], stranger: MemoryClient, directory: Path) -> None:
    """Everybody comes back, sends again what is unsure, and must end with the journal's sequence."""
    await _wait_until_idle(server)
    for person in people:
        person.receive()
        if person.client is not None:
            await person.client.lose()
            person.gone()
        await person.arrive(server)
    await _wait_until_idle(server)
    for person in people:
        person.receive()
    for _ in range(200):
        if not any(p.catching or not p.joined for p in people):
            break
        await _wait_until_idle(server)
        for person in people:
            person.receive()
    for person in people:
        assert person.joined and not person.catching
        for id in list(person.unsure):
            await person.change(id)
    await _wait_until_idle(server)
    for person in people:
        person.receive()
        assert person.unsure == []
    assert _seen_by(stranger) == []
    await server.stop()
    wrong, _counts = verify_journal(server.config.journal.path)
    assert wrong == []
    final = people[0].seen
    assert len(set(final)) == len(final), "a change twice"
    assert len(final) == sum(p.count for p in people)
    for person in people:
        assert person.seen == final
        for id, revision in person.acknowledged.items():
            assert final[revision - 1] == id, "an acknowledged change is lost or moved"
        FIGURES["acknowledged"] += len(person.acknowledged)
