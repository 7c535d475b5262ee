# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin listener as an attacker on the same machine has it, and where what it looks at lies, hangs or is old."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import test_admin
from aiohttp import web
from rtc_support import Site, config_text, eventually
from test_admin import HERE, TOKEN, Managed, managed, settings
from test_admin_path import answer_with

from rtc_server import looking
from rtc_server.admin import gate, path, state
from rtc_server.admin.path import PathWatch, try_path
from rtc_server.config import ConfigError, parse

directory = test_admin.directory


@pytest.fixture
async def server_of(directory: Path) -> AsyncIterator[Managed]:
    async with managed(directory) as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded; charset=nonsense", b"token=x"),
        ("application/x-www-form-urlencoded", b"token=\xff"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"x"),
        ("multipart/form-data", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=token; filename=a\r\n\r\nb\r\n--x--"),
    ],
)  # fmt: skip
async def test_who_has_no_token_cannot_fill_the_log(server_of: Managed, caplog: Any, kind: str, body: bytes) -> None:
    """With traces, which would also push what matters out of the panel's latest warnings."""
    async with server_of.browser(Origin=HERE) as http:
        for _ in range(3):
            async with http.post(f"{HERE}/login", data=body, headers={"Content-Type": kind}) as answer:
                assert answer.status in (400, 401)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(caplog.records) <= 1


@pytest.mark.parametrize("words", ["0{}", "0[]", '0{"sid":', "0" + '{"a":' * 1900, '0{"sid":null}'])
async def test_an_address_that_answers_nonsense_is_down(words: str) -> None:
    """And does not stay "being tried" for ever."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/readyz":
            return web.json_response({"status": "ready"})
        return web.Response(text=words)

    runner, url = await answer_with(answer)
    failed = (await try_path(url, "", "/socket.io/")).find_failed()
    await runner.cleanup()
    assert failed is not None and failed.name == "polling" and failed.text and failed.remedy


async def test_an_answer_in_pieces_is_one(site: Site) -> None:
    """Proxies cut where they like."""

    async def answer(request: web.Request) -> web.StreamResponse:
        found = web.StreamResponse()
        await found.prepare(request)
        text = b'{"status": "ready"}' if request.path == "/readyz" else b'0{"sid": "abc"}'
        for byte in text:
            await found.write(bytes([byte]))
            await asyncio.sleep(0.001)
        return found

    runner, url = await answer_with(answer)
    steps = {step.name: step.state for step in (await try_path(url, "", "/socket.io/")).steps}
    await runner.cleanup()
    assert (steps["service"], steps["polling"]) == ("ok", "ok")


async def test_an_old_up_is_not_said_of_now() -> None:
    """Somebody looks once an hour, as monitoring may, or comes back to an open tab."""
    now, found = [0.0], [path.Path(1.0), path.Path(2.0)]
    answered = asyncio.Event()
    answered.set()

    async def make_try() -> path.Path:
        await answered.wait()
        return found.pop(0)

    watch = PathWatch(make_try, lambda: now[0])
    first = await watch.look()
    assert first is not None and first.at == 1.0
    now[0] = 3600.0
    answered.clear()
    watch.patience = 0.01
    assert await watch.look() is None and watch.running
    answered.set()
    await eventually(lambda: not watch.running)
    second = await watch.look()
    assert second is not None and second.at == 2.0
    watch.end()


async def test_a_disk_that_hangs_hides_only_itself(server_of: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody looks, it takes one thread: names and certificates need some of the few that there are."""
    back, asked, real = threading.Event(), [], state.host.look_at_disk

    def hang(directory: str) -> Any:
        asked.append(directory)
        back.wait()
        return real(directory)

    monkeypatch.setattr(state.host, "look_at_disk", hang)
    monkeypatch.setattr(looking, "PATIENCE", 0.05)
    try:
        for _ in range(3):
            await server_of.post("/api/resume")  # what was seen before is old
            seen = await server_of.get("/api/state")
            assert seen["status"] == "unknown" and seen["disk"] is None and seen["journal_bytes"] is None
        assert len(asked) == 1
    finally:
        back.set()
    monkeypatch.setattr(looking, "PATIENCE", 20.0)
    await server_of.post("/api/resume")
    assert (await server_of.get("/api/state"))["disk"]["free"] > 0


async def test_a_state_is_of_one_moment(server_of: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two panels: one looks, and the disk is slow; the other drains meanwhile."""
    looks, drained, real = threading.Event(), threading.Event(), state.host.look_at_disk

    def look(directory: str) -> Any:
        looks.set()
        drained.wait()
        return real(directory)

    monkeypatch.setattr(looking, "PATIENCE", 20.0)
    monkeypatch.setattr(state.host, "look_at_disk", look)
    seen = asyncio.ensure_future(server_of.get("/api/state"))
    try:
        await asyncio.to_thread(looks.wait)
        await server_of.post("/api/drain")
    finally:
        drained.set()
    found = await seen
    assert found["draining"] and found["status"] == "down"


# --- through the proxy ---------------------------------------------------------------------------

FRONT = "https://wiki.example.com:9083"
HOST = "wiki.example.com:9083"


async def test_without_a_front_nobody_comes_by_the_name_of_users(server_of: Managed) -> None:
    for name in ("/api/state", "/panel/api/state"):
        await server_of.get(name, 403, Host=HOST)


async def test_a_front_leads_to_the_panel_and_to_nothing_else(directory: Path) -> None:
    async with managed(directory, front=FRONT) as found:
        assert (await found.get("/panel/api/state", Host=HOST))["server"]["protocol"] == "HTTP"
        assert (await found.get("/panel/api/state", Host="WIKI.example.com:9083"))["at"]
        for name in ("/", "/api/state", "/metrics", "/panel", "/panel/metrics", "/panel/../metrics", "/panel/%2e%2e/metrics",
                     "/panelapi/state", "/PANEL/api/state"):  # fmt: skip
            await found.get(name, 404, Host=HOST)
        await found.get("/panel/panel/api/state", 404, Host=HOST)
        for host in (
            "wiki.example.com",
            "wiki.example.com:90830",
            "evil.example:9083",
            "a.wiki.example.com:9083",
            HOST + ":1",
        ):
            await found.get("/panel/api/state", 403, Host=host)
        await found.get("/panel/api/state", 401, Host=HOST, Authorization="Bearer wrong")


async def test_pages_of_others_can_do_nothing_through_a_front(directory: Path) -> None:
    """The application is at another port of the same name, and its pages are of many authors."""
    async with managed(directory, front=FRONT) as found, found.browser(Host=HOST) as http:
        url, data = f"{HERE}/panel", {"token": TOKEN}
        for origin in (
            "https://wiki.example.com",
            "http://wiki.example.com:9083",
            HERE,
            "null",
            "https://evil.example",
        ):
            async with http.post(
                f"{url}/login", data=data, headers={"Origin": origin}, allow_redirects=False
            ) as answer:
                assert answer.status == 403
        async with http.post(f"{url}/login", data=data, headers={"Origin": FRONT}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "./")
            cookie = answer.cookies["rtc-panel-9083"]
        assert cookie["secure"] and cookie["httponly"] and (cookie["path"], cookie["samesite"]) == ("/panel/", "Strict")
        session = {"Cookie": f"{cookie.key}={cookie.value}"}
        async with http.get(f"{url}/", headers=session) as answer:
            csrf = (await answer.text()).partition('name="csrf" content="')[2].partition('"')[0]
        for origin, status in (("https://wiki.example.com", 403), (HERE, 403), (FRONT, 200)):
            headers = {**session, "X-CSRF-Token": csrf, "Origin": origin}
            async with http.post(
                f"{url}/api/verify" if status == 403 else f"{url}/api/logout", headers=headers
            ) as answer:
                assert answer.status == status
        async with http.get(f"{url}/api/state", headers=session) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    "front", ["http://wiki.example.com", "wiki.example.com", "https://u@w", "https://w/panel", "", 1]
)
def test_a_front_that_would_show_the_token(directory: Path, front: Any) -> None:
    with pytest.raises(ConfigError, match=r"admin\.front"):
        parse(config_text(directory, admin=settings(directory, front=front)))


def test_the_port_of_https_is_not_named() -> None:
    assert gate.is_own_host("wiki.example.com", "https://wiki.example.com")
    assert gate.is_own_host("wiki.example.com:443", "https://wiki.example.com")
    assert not gate.is_own_host("wiki.example.com:80", "https://wiki.example.com")
    assert not gate.is_own_host("", "") and not gate.is_front("", "")
