# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both clients with a server that lies: neither stops for good, nor asks without a pause, nor takes its program down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from aiohttp import web
from rtc_people import run_node
from rtc_support import PATIENCE, free_port
from test_real_clients import node as javascript  # the fixture

from collab_rtc_client import Change, Client, Listener, Status
from collab_rtc_client.wire import read_wait

__all__ = ["javascript"]
SCRIPT = Path(__file__).resolve().parent / "clients/liar.mjs"
MEMBERS = [{"member": "m", "user": "ann", "name": "Ann", "right": "edit"}]
GOOD = {
    "ok": True, "reset": False, "epoch": "e", "right": "edit", "member": "m", "members": MEMBERS, "changes": [],
    "more": False,
}  # fmt: skip


def change(revision: int) -> dict[str, Any]:
    return {"project": "p", "revision": revision, "id": f"c{revision}", "user": "bob", "time": 0, "data": 1}


class Liar:
    """Answers joins with ``lies`` and history with ``pages``, one after another, and then as it should."""

    def __init__(self, lies: tuple[Any, ...] = (), pages: tuple[Any, ...] = ()) -> None:
        self.lies = list(lies)
        self.pages = list(pages)
        self.joins: list[float] = []
        self.sio = socketio.AsyncServer(async_mode="aiohttp")
        self.sio.on("join", self._join)
        self.sio.on("history", self._page)
        self.url = ""
        self.sid = ""

    async def _join(self, sid: str, _body: Any) -> Any:
        self.joins.append(asyncio.get_running_loop().time())
        self.sid = sid
        return self.lies.pop(0) if self.lies else GOOD

    async def _page(self, _sid: str, _body: Any) -> Any:
        return self.pages.pop(0) if self.pages else {"ok": True, "changes": [], "more": False}

    @contextlib.asynccontextmanager
    async def lying(self) -> AsyncIterator[Liar]:
        app = web.Application()
        self.sio.attach(app)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{port}"
        yield self
        await runner.cleanup()


class Told(Listener):
    """What a client is told, in order."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[list[Any]] = asyncio.Queue()

    def on_status(self, status: Status) -> None:
        if status.state == "away":
            self.queue.put_nowait(["away", status.reason, status.seconds])

    def on_change(self, change: Change, own: bool) -> None:
        self.queue.put_nowait(["change", change["id"]])

    def on_live(self) -> None:
        self.queue.put_nowait(["live"])

    async def until(self, what: str) -> list[Any]:
        while True:
            found = await asyncio.wait_for(self.queue.get(), PATIENCE)
            if found[0] == what:
                return found


@contextlib.asynccontextmanager
async def program(kind: str, url: str, packages: Path) -> AsyncIterator[Told]:
    """A program with a client of that kind, which joins and then reads history."""
    told = Told()

    async def run_python() -> None:
        def on_status(status: Status) -> None:
            told.on_status(status)
            if status.reason == "disconnected":
                asyncio.get_running_loop().call_later(0.5, want)

        def want() -> None:
            told.queue.put_nowait(["wanted"])
            client.come_back()

        async with Client(url, lambda: "token", delay=0.1, patience=60, on_status=on_status) as client:
            project = await client.join("p", told)
            told.queue.put_nowait(["history", *[one["id"] async for one in project.history()]])
            await asyncio.Event().wait()

    async def run_javascript() -> None:
        async with run_node(SCRIPT, {"url": url, "packages": str(packages)}) as process:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                told.queue.put_nowait(json.loads(line))

    running = asyncio.ensure_future(run_python() if kind == "python" else run_javascript())
    try:
        yield told
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture(params=["python", "javascript"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


LIES: tuple[Any, ...] = (
    None, [], "yes", (1, 2), {}, {"ok": "yes"}, {"ok": True}, {**GOOD, "changes": None}, {**GOOD, "members": [1]},
    {**GOOD, "changes": [{}]}, {"ok": False, "code": "rate", "message": "", "retry_after": "soon"},
    {"ok": False, "code": "rate", "message": "", "retry_after": -5},
)  # fmt: skip


async def test_answers_that_are_none(kind: str, javascript: Path) -> None:
    async with Liar(LIES).lying() as liar, program(kind, liar.url, javascript) as told:
        await told.until("history")


@pytest.mark.parametrize("event", ["change", "changes", "members", "presence", "closing"])
async def test_events_that_are_none(kind: str, javascript: Path, event: str) -> None:
    async with Liar().lying() as liar, program(kind, liar.url, javascript) as told:
        await told.until("history")
        for number, body in enumerate([None, 1, "p", [], {}, {"project": "p"}, {"project": "p", "revision": "x"}]):
            heard = asyncio.ensure_future(told.until("change"))
            await liar.sio.emit(event, body, to=liar.sid)
            while not heard.done():
                await liar.sio.emit("change", change(number + 1), to=liar.sid)  # its connection may be over
                await asyncio.wait([heard], timeout=0.05)
            assert heard.result() == ["change", f"c{number + 1}"]


TIMES: tuple[tuple[Any, float, float], ...] = (
    ("soon", 0, 0.1), (-1, 0, 0.1), (None, 0, 0.1), (True, 0, 0.1), ([1], 0, 0.1), (0.05, 0.05, 0.05), (1e300, 3600, 3600),
)  # fmt: skip


async def test_times_that_are_none(kind: str, javascript: Path) -> None:
    """A browser takes more than 24 days for no time at all, and would come back at once, again and again."""
    async with Liar().lying() as liar, program(kind, liar.url, javascript) as told:
        for wait, least, most in TIMES:
            await told.until("live")
            await liar.sio.emit("closing", {"reason": "restart", "retry_after": wait}, to=liar.sid)
            await liar.sio.disconnect(liar.sid)
            _, reason, seconds = await told.until("away")
            assert reason == "restart" and least <= seconds <= most, wait


@pytest.mark.parametrize(
    ("told", "wait"),
    [(3, 3.0), (10**400, 3600.0), (math.inf, 3600.0), (math.nan, None), (-math.inf, None), ("3", None), (True, None)],
)
def test_what_json_of_python_may_have(told: Any, wait: float | None) -> None:
    assert read_wait(told) == wait


async def test_a_gap_that_stays_is_not_asked_for_without_a_pause(kind: str, javascript: Path) -> None:
    gap = {**GOOD, "changes": [change(5)]}
    async with Liar((gap, gap, gap)).lying() as liar, program(kind, liar.url, javascript) as told:
        await told.until("live")
        assert len(liar.joins) == 4 and liar.joins[-1] - liar.joins[0] > 3 * 0.4


async def test_a_history_that_does_not_go_on_ends(kind: str, javascript: Path) -> None:
    page = {"ok": True, "changes": [change(1)], "more": True}
    async with Liar((), (page, page, page)).lying() as liar, program(kind, liar.url, javascript) as told:
        assert await told.until("history") == ["history", "c1", "c1"]


async def test_who_was_disconnected_comes_back_when_the_user_wants_to(kind: str, javascript: Path) -> None:
    """By an administrator: as docs/panel.md says. The program is a member again then."""
    async with Liar().lying() as liar, program(kind, liar.url, javascript) as told:
        await told.until("history")
        for _ in range(2):
            await liar.sio.emit("closing", {"reason": "disconnected", "retry_after": 0}, to=liar.sid)
            await liar.sio.disconnect(liar.sid)
            _, reason, seconds = await told.until("away")
            assert reason == "disconnected" and seconds in (None, math.inf)  # JSON has no infinity
            assert [(await asyncio.wait_for(told.queue.get(), PATIENCE))[0] for _ in range(2)] == ["wanted", "live"]


async def test_who_joins_anew_on_the_same_connection_has_lost_none() -> None:
    """A large change is given up once its connections end, and not for gaps between others."""
    liar = Liar()
    enough = asyncio.Event()

    async def keep(sid: str, _body: Any) -> Any:
        if len(liar.joins) > 4:
            enough.set()
        else:
            await liar.sio.emit("change", change(9), to=sid)
        await enough.wait()
        return {"ok": True, "revision": 1}

    liar.sio.on("change", keep)
    async with liar.lying(), Client(liar.url, lambda: "token", delay=0.01) as client:
        project = await client.join("p", Listener())
        assert await asyncio.wait_for(project.submit("x" * 600_000), PATIENCE) == 1
        assert len(liar.joins) == 5
