# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients/python tells its caller, against real servers; and random histories beside a model."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from engineio.base_client import connected_clients
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rtc_support import SOURCE, Server, eventually, free_port, running, token

from collab_rtc_client import Change, Client, Listener, Member, Pending, Project, Refused, Saved, Snapshot, Status


class Page(Listener):
    """A program whose state is the list of all changes' ids; what it was told."""

    def __init__(self, state: list[str] | None = None) -> None:
        self.state = list(state or ())
        self.own: list[str] = []
        self.refused: dict[str, str] = {}
        self.members: list[list[str]] = []
        self.presence: list[tuple[str, Any]] = []
        self.resets = self.lives = 0
        self.end: Refused | None = None

    def on_reset(self) -> None:
        self.state.clear()
        self.resets += 1

    def on_snapshot(self, snapshot: Snapshot) -> None:
        assert snapshot["data"][: len(self.state)] == self.state
        self.state = list(snapshot["data"])

    def on_change(self, change: Change, own: bool) -> None:
        assert change["revision"] == len(self.state) + 1
        self.state.append(change["id"])
        if own:
            self.own.append(change["id"])

    def on_refused(self, pending: Pending, why: Refused) -> None:
        self.refused[pending["id"]] = why.code

    def on_members(self, members: Mapping[str, Member]) -> None:
        self.members.append(sorted(member["user"] for member in members.values()))

    def on_presence(self, member: str, user: str, state: Any) -> None:
        self.presence.append((user, state))

    def on_live(self) -> None:
        self.lives += 1

    def on_end(self, why: Refused) -> None:
        self.end = why


@contextlib.asynccontextmanager
async def someone(
    url: str, user: str = "ann", saved: Saved | None = None, state: list[str] | None = None, **options: Any
) -> AsyncIterator[tuple[Client, Project, Page]]:
    """A client that has joined the project ``p``."""
    page = Page(state)
    rights = options.pop("rights", None)
    async with Client(url, lambda: token(user, rights), delay=0.1, **options) as client:
        yield client, await client.join("p", page, saved), page


def command(server: Server, *arguments: str) -> None:
    """A command of the server, which is stopped."""
    subprocess.run(
        [sys.executable, "-m", "rtc_server", *arguments, "--config", str(server.config)],
        env={"PYTHONPATH": str(SOURCE)}, check=True, capture_output=True,
    )  # fmt: skip


async def test_a_first_token_that_is_refused_is_an_error(server: Server) -> None:
    asked = []
    client = Client(server.url, lambda: asked.append(1) or "nonsense")
    with pytest.raises(Refused) as refused:
        await client.connect()
    assert refused.value.code == "token_invalid" and len(asked) == 1


async def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    server = Server(tmp_path)
    statuses: list[Status] = []
    client = Client(server.url, lambda: token("ann"), delay=0.1, on_status=statuses.append)
    connecting = asyncio.ensure_future(client.connect())
    await eventually(lambda: [s for s in statuses if s.state == "away" and s.reason == "unreachable"])
    await asyncio.to_thread(server.start)
    try:
        await connecting
    finally:
        await client.close()
        server.kill()
    assert statuses[-2:] == [Status("connected"), Status("closed")]


async def test_a_token_that_cannot_be_had_is_asked_for_again(server: Server) -> None:
    statuses: list[Status] = []

    async def make() -> str:
        if not [s for s in statuses if s.reason == "no_token"]:
            raise OSError("the issuer is away")
        return token("ann")

    async with Client(server.url, make, delay=0.1, on_status=statuses.append):
        assert [s.state for s in statuses] == ["connecting", "away", "connecting", "connected"]


async def test_members_and_presence(server: Server) -> None:
    async with someone(server.url) as (_, ann, of_ann):
        async with someone(server.url, "bob") as (_, bob, of_bob):
            await eventually(lambda: of_ann.members[-1] == ["ann", "bob"])
            assert bob.members[ann.member]["user"] == "ann" and bob.right == "edit"
            for x in range(100):
                bob.present({"x": x})
            await eventually(lambda: of_ann.presence[-1:] == [("bob", {"x": 99})])
            assert len(of_ann.presence) < 100, "states between may be left out"
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            await eventually(lambda: of_ann.lives == of_bob.lives == 2)
            bob.present({"x": 100})
            await eventually(lambda: of_ann.presence[-1] == ("bob", {"x": 100}))
            await bob.leave()
            assert of_bob.end is not None and of_bob.end.code == "left"
            with pytest.raises(Refused, match="left"):
                bob.submit(1)
        await eventually(lambda: of_ann.members[-1] == ["ann"])


async def test_what_is_refused_for_good_is_told(server: Server) -> None:
    async with someone(server.url) as (client, ann, page):
        assert await ann.submit(1, "x") == 1
        with pytest.raises(Refused) as reused:
            await ann.submit(2, "x")
        with pytest.raises(Refused) as large:
            await ann.submit("x" * 300_000, "y")
        assert (reused.value.code, large.value.code) == ("id_reused", "too_large") and large.value.details["limit"] > 0
        assert page.refused == {"x": "id_reused", "y": "too_large"} and page.state == ["x"]
        with pytest.raises(ValueError, match="joined"):
            await client.join("p", Page())
        assert await ann.submit(3) == 2
    async with someone(server.url, "eve", rights={"p": "view"}) as (client, eve, page):
        with pytest.raises(Refused) as refused:
            await eve.submit(1)
        assert refused.value.code == "read_only"
        with pytest.raises(Refused) as refused:
            await client.join("q", Page())
        assert refused.value.code == "forbidden"


def _contain_itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


NO_JSON = {
    "nan": float("nan"), "infinite": {"at": float("-inf")}, "set": {1, 2}, "bytes": [b"x"], "digits": 10**5000,
    "endless": _contain_itself(),
}  # fmt: skip


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_no_json_is_told_at_once_and_costs_nothing(server: Server, data: Any) -> None:
    """The server would hang up on it, or the library would not send it; after each reconnection again."""
    async with someone(server.url) as (_client, ann, page):
        with pytest.raises(ValueError, match="cannot be sent as JSON"):
            ann.submit(data, "x")
        with pytest.raises(ValueError, match="cannot be sent as JSON"):
            ann.present({"at": data})
        with pytest.raises(ValueError, match="cannot be sent as JSON"):
            await ann.keep_snapshot(data, 0)
        assert ann.save()["pending"] == []
        assert await ann.submit(1, "x") == 1
        assert page.lives == 1 and page.state == ["x"]


async def test_what_was_handed_over_stays_as_it_was(server: Server) -> None:
    """A program goes on working with its objects, and what it made is sent later, or again."""
    got: list[Any] = []
    async with someone(server.url) as (_client, ann, _page), someone(server.url, "bob") as (_, bob, page):
        page.on_change = lambda change, own: got.append(change["data"])  # type: ignore[method-assign]
        shape = {"x": [1]}
        outcomes = [ann.submit(shape)]
        shape["x"].append(2)
        outcomes.append(ann.submit(shape))
        shape["x"].append(3)
        pending = ann.save()["pending"]
        assert [one["data"] for one in pending] == [{"x": [1]}, {"x": [1, 2]}]
        pending[1]["data"]["x"].append(4)  # it is shown on top of the state, and worked with
        assert await asyncio.gather(*outcomes) == [1, 2]
        await eventually(lambda: got == [{"x": [1]}, {"x": [1, 2]}])
        state = ["1", "2"]
        keeping = asyncio.ensure_future(ann.keep_snapshot(state, 2))
        await asyncio.sleep(0)
        state.append("3")
        assert await keeping == 2
        assert await bob.read_snapshot() == {"revision": 2, "data": ["1", "2"]}
        assert shape == {"x": [1, 2, 3]}


async def test_many_large_changes_get_through_polling(server: Server) -> None:
    """As after some time without a connection. The library sends all that it has in one request, and a server takes
    ``limits.payload_bytes`` in one."""
    async with someone(server.url, transports=["polling"]) as (_client, ann, page):
        outcomes = [ann.submit("x" * 150_000, f"c{number}") for number in range(12)]
        assert await asyncio.gather(*outcomes) == list(range(1, 13))
        assert page.lives == 1 and page.state == [f"c{number}" for number in range(12)]


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
async def test_what_the_server_hangs_up_on_is_given_up(server: Server, transports: list[str]) -> None:
    """It is beyond ``limits.payload_bytes``, and what waits behind it gets through."""
    async with someone(server.url, transports=transports) as (_client, ann, page):
        large, small = ann.submit("x" * 1_200_000, "large"), ann.submit(1, "small")
        with pytest.raises(Refused) as refused:
            await large
        assert refused.value.code == "too_large"
        assert await small == 1
        with pytest.raises(Refused) as refused:
            await ann.keep_snapshot("x" * 1_200_000)
        assert refused.value.code == "too_large"
        with pytest.raises(ValueError, match="presence"):
            ann.present("x" * 1_200_000)
        assert await ann.submit(2, "next") == 2
        assert page.refused == {"large": "too_large"} and page.state == ["small", "next"]


async def test_a_rate_is_waited_for(tmp_path: Path) -> None:
    """The server says when; nobody is refused twice, or it would be closed for that."""
    async with running(tmp_path, limits={"changes_per_second": 50, "changes_burst": 5}) as site:
        statuses: list[Status] = []
        async with someone(site.url, on_status=statuses.append) as (_, ann, page):
            await asyncio.gather(*[ann.submit(n) for n in range(40)])
            assert len(page.own) == 40 and page.refused == {}
        assert [s.state for s in statuses] == ["connecting", "connected", "closed"]


async def test_with_a_window_of_one_own_order_is_kept_whatever_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"changes_per_second": 50, "changes_burst": 5}) as site:
        async with someone(site.url, window=1) as (_, ann, page):
            ids = [f"c{n}" for n in range(20)]
            await asyncio.gather(*[ann.submit(id, id) for id in ids])
        assert page.state == ids


async def test_snapshots_and_history(server: Server) -> None:
    async with someone(server.url) as (_, ann, page):
        assert await ann.read_snapshot() is None
        for n in range(300):
            ann.submit(n)
        await ann.submit(300)
        assert [change["data"] async for change in ann.history()] == list(range(301))
        assert [change["data"] async for change in ann.history(298)] == [298, 299, 300]
        assert await ann.keep_snapshot(page.state) == 301
        with pytest.raises(Refused) as stale:
            await ann.keep_snapshot([], 5)
        assert stale.value.code == "stale"
        found = await ann.read_snapshot()
        assert found is not None and (found["revision"], found["data"]) == (301, page.state)
        await ann.submit("after")
        async with someone(server.url, "bob") as (_, bob, of_bob):
            assert of_bob.state == page.state and bob.revision == 302


async def test_history_that_is_only_in_the_snapshot(tmp_path: Path) -> None:
    limits = {"keep_changes": 0, "reads_per_second": 1000}
    async with running(tmp_path, limits=limits) as site, someone(site.url) as (_, ann, page):
        await asyncio.gather(*[ann.submit(n) for n in range(10)])
        await ann.keep_snapshot(page.state)
        with pytest.raises(Refused) as compacted:
            while True:  # they are deleted a moment later
                async for _change in ann.history():
                    pass
        assert compacted.value.code == "compacted" and compacted.value.details["base"] == 10


async def test_another_history_starts_all_over(server: Server) -> None:
    async with someone(server.url) as (_, ann, page):
        await ann.submit(1, "one")
        assert await asyncio.to_thread(server.stop) == 0
        late = ann.submit(2, "late")
        await asyncio.to_thread(command, server, "new-epoch")
        await asyncio.to_thread(server.start)
        with pytest.raises(Refused) as refused:
            await late
        assert refused.value.code == "reset" and page.refused == {"late": "reset"}
        await eventually(lambda: page.state == ["one"])
        assert page.resets == 1 and await ann.submit(3) == 2


async def test_a_program_that_is_restarted_goes_on(server: Server) -> None:
    """What it kept has changes that were sent, one that never was, and nothing is doubled."""
    async with someone(server.url) as (_, ann, page):
        await ann.submit(0, "first")
        server.kill()
        for n in range(3):
            ann.submit(n, f"late{n}")
        saved, state = ann.save(), page.state
    assert [pending["id"] for pending in saved["pending"]] == ["late0", "late1", "late2"]
    await asyncio.to_thread(server.start)
    for _ in range(2):  # as a program that dies before it has written down what came of it
        async with someone(server.url, saved=saved, state=state) as (_, ann, page):
            await eventually(lambda a=ann: not a.save()["pending"])
            await eventually(lambda p=page: p.state == ["first", "late0", "late1", "late2"])
            assert page.refused == {}


async def test_ids_that_the_server_has_forgotten(server: Server) -> None:
    """Nobody knows whether such a change was kept: it is not sent as a new one, and the caller is told."""
    async with someone(server.url) as (_, ann, page):
        for n in range(3):
            await ann.submit(n, f"i{n}")
        saved = ann.save()
    assert await asyncio.to_thread(server.stop) == 0
    with contextlib.closing(sqlite3.connect(server.directory / "journal.db")) as db:
        db.execute("DELETE FROM change_id")
        db.execute("UPDATE project SET forgotten=3")
        db.commit()
    await asyncio.to_thread(server.start)
    saved["pending"] = [Pending(id="i2", data=2, since=2)]
    async with someone(server.url, saved=saved, state=page.state) as (_, ann, page):
        await eventually(lambda: page.refused == {"i2": "unknown_id"})
        assert await ann.submit(3) == 4


async def test_a_server_that_answers_nothing_is_left(server: Server) -> None:
    """Stopped as a machine that hangs: its connections stay open and say nothing."""
    import signal

    statuses: list[Status] = []
    async with someone(server.url, patience=0.5, on_status=statuses.append) as (_, ann, page):
        await ann.submit(1, "one")
        assert server.process is not None
        server.process.send_signal(signal.SIGSTOP)
        under_way = ann.submit(2, "two")
        await eventually(lambda: [s for s in statuses if s.reason == "lost"])
        server.process.send_signal(signal.SIGCONT)
        assert await under_way == 2
        assert page.state == ["one", "two"]


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]], ids="+".join)
async def test_closing_leaves_nothing_behind(server: Server, transports: list[str]) -> None:
    """Whether it is connected or about to be."""
    before = asyncio.all_tasks()
    async with someone(server.url, transports=transports) as (_, ann, _page):
        await ann.submit(1)
        for wait in (0.0, 0.005, 0.01, 0.02, 0.05):
            other = Client(server.url, lambda: token("bob"), transports=transports)
            connecting = asyncio.ensure_future(other.connect())
            await asyncio.sleep(wait)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await other.close()  # it may have been quicker
        with pytest.raises(RuntimeError, match="another client"):
            await other.connect()
    assert asyncio.all_tasks() <= before
    assert connected_clients == []


async def test_a_mistake_of_the_listener_costs_nothing_else(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(Page):
        def on_change(self, change: Change, own: bool) -> None:
            super().on_change(change, own)
            raise RuntimeError("a mistake")

    page = Wrong()
    async with Client(server.url, lambda: token("ann")) as client:
        project = await client.join("p", page)
        assert [await project.submit(n) for n in range(2)] == [1, 2]
    assert len(page.state) == 2 and "on_change of the listener failed" in caplog.text


# --- random histories ------------------------------------------------------------------------------

_WHO = st.integers(0, 1)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), _WHO, st.integers(1, 20)),
        st.tuples(st.just("lose"), _WHO, st.just(0)),  # the connection
        st.tuples(st.just("die"), _WHO, st.just(0)),  # the program, which goes on from what it has kept
        st.tuples(st.just("snapshot"), _WHO, st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0)),  # the server
        st.tuples(st.just("turn"), st.just(0), st.integers(0, 5)),
    ),
    max_size=25,
)


class Author:
    """A program and what it has kept. Its model: each change that it made is in the project once, in its order."""

    def __init__(self, number: int, url: str) -> None:
        self.user, self.url = f"user{number}", url
        self.count = 0
        self.page = Page()
        self.saved: Saved | None = None

    async def begin(self) -> None:
        self.page = Page(self.page.state)
        # More patience than the test has: what hangs fails.
        self.client = Client(self.url, lambda: token(self.user), delay=0.02, window=4, patience=60)
        await self.client.connect()
        self.project = await self.client.join("p", self.page, self.saved)

    async def die(self) -> None:
        self.saved, state = self.project.save(), list(self.page.state)
        await self.client.close()
        self.page.state = state

    def lose(self) -> None:
        if self.client.connection is not None:
            ws = self.client.connection._sio.eio.ws
            connection = ws._response.connection if ws is not None else None
            if connection is not None and connection.transport is not None:  # it may be lost already
                connection.transport.abort()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(_STEPS, st.sampled_from([3, 1000]))
@example([("submit", 0, 18), ("restart", 0, 0), ("submit", 0, 18), ("turn", 0, 5), ("restart", 0, 0)] * 2, 3)
def test_every_history_agrees_with_the_model(steps: list[tuple[str, int, int]], page: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_live(Path(name), steps, page))


async def _live(directory: Path, steps: list[tuple[str, int, int]], page: int) -> None:
    options = {
        "server": {"port": free_port()},
        "limits": {"history_page": page, "keep_changes": 2, "changes_burst": 10**6},
    }
    async with contextlib.AsyncExitStack() as servers:
        site = await servers.enter_async_context(running(directory, **options))
        authors = [Author(number, site.url) for number in range(2)]
        for author in authors:
            await author.begin()
        for what, who, number in steps:
            author = authors[who]
            if what == "submit":
                for _ in range(number):
                    author.count += 1
                    author.project.submit(author.count, f"{author.user}-{author.count}")
            elif what == "lose":
                author.lose()
            elif what == "die":
                await author.die()
                await author.begin()
            elif what == "snapshot" and author.project.revision:
                with contextlib.suppress(Refused):  # the other one's is later
                    await author.project.keep_snapshot(list(author.page.state))
            elif what == "restart":
                await servers.aclose()
                await servers.enter_async_context(running(directory, **options))
            for _ in range(number if what == "turn" else 1):
                await asyncio.sleep(0.001)
        made = sum(author.count for author in authors)
        await eventually(lambda: all(len(a.page.state) == made and not a.project.save()["pending"] for a in authors))
        state = authors[0].page.state
        assert len(set(state)) == made and authors[1].page.state == state
        for author in authors:
            assert author.page.refused == {} and author.page.resets == 0
            own = [id for id in state if id.startswith(author.user)]
            assert own == [f"{author.user}-{n + 1}" for n in range(author.count)], "its own order"
            await author.client.close()
