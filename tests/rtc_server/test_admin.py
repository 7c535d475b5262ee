# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin listener: who is let in, what is bounded, what it tells, and that users never suffer from it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from rtc_support import Client, Closed, Server, Site, config_text, eventually, free_port, running, token
from strangers_support import HOST, Raw

from rtc_server import cli
from rtc_server.admin import gate, listener
from rtc_server.admin.opening import open_admin
from rtc_server.admin.state import find_port
from rtc_server.config import parse
from rtc_server.reload import find_fixed
from rtc_server.service import Service

TOKEN = "a token of administrators, long enough 0123"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HERE = "http://localhost"


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short enough for the path of a socket."""
    with tempfile.TemporaryDirectory(prefix="rtc") as name:
        Path(name, "admin-token").write_text(TOKEN + "\n")
        yield Path(name)


def settings(directory: Path, **more: Any) -> dict[str, Any]:
    return {"listen": f"{directory}/admin.sock", "token": f"{directory}/admin-token", **more}


class Managed:
    """A server in this process with its admin listener."""

    def __init__(self, site: Site, path: str) -> None:
        self.site = site
        self.path = path
        self.restarts = 0

    def restart(self) -> None:
        self.restarts += 1

    @contextlib.asynccontextmanager
    async def browser(self, **headers: str) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.UnixConnector(self.path)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=headers) as session:
            yield session

    async def get(self, path: str, status: int = 200, **headers: str) -> Any:
        async with self.browser(**{**BEARER, **headers}) as http, http.get(HERE + path) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        async with self.browser(**{**BEARER, **headers}) as http, http.post(HERE + path, json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()


@contextlib.asynccontextmanager
async def managed(directory: Path, **more: Any) -> AsyncIterator[Managed]:
    async with running(directory, admin=settings(directory, **more)) as site:
        found = Managed(site, f"{directory}/admin.sock")
        admin = await open_admin(site.service, found.restart, lambda record: True)
        assert admin.listener is not None
        try:
            yield found
        finally:
            await admin.close()


@pytest.fixture
async def server_of(directory: Path) -> AsyncIterator[Managed]:
    async with managed(directory) as found:
        yield found


async def log_in(http: aiohttp.ClientSession, given: str = TOKEN, origin: str | None = HERE) -> int:
    headers = {} if origin is None else {"Origin": origin}
    async with http.post(f"{HERE}/login", data={"token": given}, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def read_csrf(http: aiohttp.ClientSession) -> str:
    async with http.get(f"{HERE}/") as answer:
        return (await answer.text()).partition('name="csrf" content="')[2].partition('"')[0]


# --- who is let in -------------------------------------------------------------------------------


async def test_everything_needs_the_token(server_of: Managed) -> None:
    async with server_of.browser() as http:
        for path in ("/api/state", "/api/people", "/panel.js", "/nothing"):
            async with http.get(HERE + path) as answer:
                assert (answer.status, path) == (401, path)
        for path in ("verify", "restart", "drain", "resume", "disconnect", "logout"):
            async with http.post(f"{HERE}/api/{path}", json={"user": "ann"}) as answer:
                assert answer.status == 401
        async with http.get(f"{HERE}/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "login")
    assert server_of.restarts == 0 and not server_of.site.service.draining
    for wrong in (TOKEN[:-1], TOKEN + "x", "", "é"):
        await server_of.get("/api/state", 401, Authorization=f"Bearer {wrong}")
    assert (await server_of.get("/api/state"))["server"]["protocol"] == "HTTP"


async def test_wrong_tokens_are_limited_and_the_right_one_is_not(server_of: Managed, caplog: Any) -> None:
    statuses = []
    async with server_of.browser() as http:
        for _ in range(15):
            async with http.get(f"{HERE}/api/state", headers={"Authorization": "Bearer wrong"}) as answer:
                statuses.append(answer.status)
        assert await log_in(http, "wrong") == 429
        assert await log_in(http) == 303
    assert statuses[0] == 401 and statuses[-1] == 429
    lines = [record.getMessage() for record in caplog.records if "wrong token" in record.getMessage()]
    assert len(lines) == 1 and "wrong" in lines[0]


async def test_a_session_of_a_browser(server_of: Managed) -> None:
    async with server_of.browser() as http:
        assert await log_in(http, "something else") == 401
        assert await log_in(http) == 303
        cookie = next(iter(http.cookie_jar))
        assert cookie["httponly"] and cookie["samesite"] == "Strict" and int(cookie["max-age"]) <= 3600
        csrf = await read_csrf(http)
        assert len(csrf) > 30 and csrf != cookie.value
        async with http.get(f"{HERE}/api/state") as answer:
            assert answer.status == 200
        same = {"Origin": HERE, "X-CSRF-Token": csrf}
        async with http.post(f"{HERE}/api/logout", json={}, headers=same) as answer:
            assert answer.status == 200
        # the cookie that somebody has copied is void, too
        async with http.get(f"{HERE}/api/state", cookies={cookie.key: cookie.value}) as answer:
            assert answer.status == 401


async def test_a_session_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    door = gate.Gate(TOKEN.encode(), lambda: now[0])
    session = door.open_session()
    now[0] = gate.SESSION_SECONDS - 1
    assert door.find_session(session.id) is session and door.find_session("") is None
    now[0] += 1
    assert door.find_session(session.id) is None
    many = [door.open_session() for _ in range(40)]
    assert door.find_session(many[0].id) is None and door.find_session(many[-1].id) is many[-1]


async def test_pages_of_others_can_do_nothing(server_of: Managed) -> None:
    async with server_of.browser() as http:
        assert await log_in(http, origin="http://evil.example") == 403
        assert await log_in(http, origin="null") == 403
        assert await log_in(http, origin=None) == 403
        assert await log_in(http) == 303
        csrf = await read_csrf(http)
        for headers in (
            {"Origin": HERE},
            {"Origin": HERE, "X-CSRF-Token": csrf[:-1]},
            {"Origin": HERE, "X-CSRF-Token": ""},
            {"Origin": "http://localhost:81", "X-CSRF-Token": csrf},
            {"Origin": "null", "X-CSRF-Token": csrf},
            {"X-CSRF-Token": csrf},
            {"Origin": HERE, "Sec-Fetch-Site": "same-site", "X-CSRF-Token": csrf},
        ):
            async with http.post(f"{HERE}/api/restart", json={}, headers=headers) as answer:
                assert answer.status == 403, headers
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://e"}):
            async with http.get(f"{HERE}/api/state", headers=headers) as answer:
                assert answer.status == 403
                assert "Access-Control-Allow-Origin" not in answer.headers
        assert server_of.restarts == 0
        async with http.get(f"{HERE}/api/restart") as answer:
            assert answer.status == 405
        headers = {"Origin": HERE, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": csrf}
        async with http.post(f"{HERE}/api/restart", json={}, headers=headers) as answer:
            assert answer.status == 200
    await eventually(lambda: server_of.restarts == 1)


@pytest.mark.parametrize(
    ("host", "own"),
    [("localhost", True), ("localhost:9999", True), ("wiki.localhost:9999", True), ("127.0.0.1:1", True), ("[::1]", True),
     ("localhost.evil.example", False), ("evil.example", False), ("127.0.0.1.evil.example", False), ("", False),
     ("localhost@evil.example", False), ("127.0.0.2", False), ("localhost:x", False)],
)  # fmt: skip
async def test_names_that_lead_here_are_refused(server_of: Managed, host: str, own: bool) -> None:
    """DNS rebinding: the browser believes that the page of evil.example and this have one origin."""
    assert gate.is_own_host(host) is own
    await server_of.get("/api/state", 200 if own else 403, Host=host or " ")


async def test_nothing_is_kept_framed_or_scripted(server_of: Managed) -> None:
    async with server_of.browser() as http:
        assert await log_in(http) == 303
        for path, status in (("/", 200), ("/login", 200), ("/panel.js", 200), ("/api/state", 200), ("/no", 404)):
            async with http.get(HERE + path) as answer:
                assert answer.status == status
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy and answer.headers["X-Frame-Options"] == "DENY"
                assert answer.headers["Cache-Control"] == "no-store"
                text = await answer.text()
                if answer.content_type == "text/html":
                    assert "style=" not in text and "onclick" not in text and "<script>" not in text
                    assert "http://" not in text and "https://" not in text


# --- what is bounded -----------------------------------------------------------------------------


async def test_the_socket_is_for_its_user_alone(directory: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(f"{directory}/admin.sock")  # of a process that was killed
    stale.close()
    async with managed(directory) as found:
        assert stat.S_IMODE(os.stat(found.path).st_mode) == 0o600
        await found.get("/api/state")
    assert not os.path.exists(found.path)


async def test_large_requests_are_refused(server_of: Managed) -> None:
    await server_of.post("/api/disconnect", {"user": "x" * 10_000}, 413)
    for body in (None, {}, {"user": 1}, {"user": ""}, [], "ann"):
        await server_of.post("/api/disconnect", body, 400)


async def test_connections_make_room_and_end(server_of: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds as many as there may be keeps nobody out."""
    held = [await asyncio.open_unix_connection(server_of.path) for _ in range(listener.MOST_CONNECTIONS + 5)]
    assert await server_of.get("/api/state")
    assert await held[0][0].read() == b"" and await held[4][0].read() == b""
    for _, writer in held:
        writer.close()
    monkeypatch.setattr(listener, "SECONDS", 0.0)
    reader, writer = await asyncio.open_unix_connection(server_of.path)
    writer.write(b"GET / HTTP/1.1\r\n")
    assert await reader.read() == b""
    writer.close()


async def test_the_port_of_users_has_nothing_of_it(server_of: Managed) -> None:
    async with aiohttp.ClientSession(headers=BEARER) as http:
        for path in ("/", "/login", "/api/state", "/panel.js"):
            async with http.get(server_of.site.url + path) as answer:
                assert answer.status == 404


async def test_its_failure_leaves_users_alone(directory: Path, caplog: Any) -> None:
    taken = socket.create_server(("127.0.0.1", free_port()))
    port = taken.getsockname()[1]
    with taken:
        async with running(directory, admin=settings(directory, listen=f"127.0.0.1:{port}")) as site:
            assert (await open_admin(site.service, None, lambda record: True)).listener is None
            assert (await (await site.connect()).ask("join", {"project": "p"}))["ok"]
    assert f"administrators are not served, users are: 127.0.0.1:{port}" in caplog.text


async def test_routes_that_fail_leave_users_alone(directory: Path, caplog: Any) -> None:
    """Those are behind the same gate; what is wrong with them is a fault, and no more."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="figures")

    def add(app: web.Application, _service: Service) -> None:
        app.router.add_get("/figures", answer)

    def fail(_app: web.Application, _service: Service) -> None:
        raise RuntimeError

    async with running(directory, admin=settings(directory)) as site:
        assert (await open_admin(site.service, None, lambda record: True, fail)).listener is None
        assert "administrators are not served, users are" in caplog.text
        admin = await open_admin(site.service, None, lambda record: True, add)
        found = Managed(site, f"{directory}/admin.sock")
        async with found.browser() as http, http.get(f"{HERE}/figures") as refused:
            assert refused.status == 401
        async with found.browser(**BEARER) as http, http.get(f"{HERE}/figures") as answered:
            assert await answered.text() == "figures"
        await admin.close()


@pytest.mark.parametrize("content", ["short", "", "é" * 40])
def test_a_token_that_is_none(directory: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(directory, "admin-token").write_text(content)
    server = Server(directory, admin=settings(directory))
    assert cli.main(["check-config", str(server.config)]) == 1
    words = capsys.readouterr().err
    assert "admin.token: has" in words and (not content or content not in words)
    Path(directory, "admin-token").unlink()
    assert cli.main(["check-config", str(server.config)]) == 1
    assert "admin.token: cannot be read" in capsys.readouterr().err


# --- what it tells, and does ---------------------------------------------------------------------


def test_what_a_reload_takes(directory: Path) -> None:
    def make(**more: Any) -> Any:
        return parse(config_text(directory, **({"admin": settings(directory, **more)} if more else {})))

    one = make(url="http://a:1")
    assert find_fixed(one, make(url="https://b:1", ca="/ca.pem")) == []
    assert find_fixed(one, make(listen="127.0.0.1:9", url="http://a:1")) == ["admin.listen"]
    assert find_fixed(one, make()) == ["admin.listen", "admin.token"]


async def test_state(server_of: Managed) -> None:
    site = server_of.site
    ann = await site.connect(token("ann", name="Ann"))
    bob = await Client.open(site.url, "polling")
    await bob.connect(token("bob"))
    for client in (ann, bob):
        assert (await client.ask("join", {"project": "<b>plans</b>"}))["ok"]
    stranger = await Client.open(site.url)
    assert (await ann.ask("change", {"project": "<b>plans</b>", "id": "c1", "data": 1}))["ok"]
    logging.getLogger("rtc_server.service").warning("something is %s", "odd")
    state = await server_of.get("/api/state")
    assert state["connections"]["with_token"] == state["connections"]["users"] == 2
    assert (state["connections"]["websocket"], state["connections"]["polling"]) == (1, 1)
    assert state["connections"]["without_token"] == 1 and stranger.sid
    assert state["projects"] == {"loaded": 1, "members": 2}
    assert state["counts"]["requests"] == 1 and state["counts"]["writes"] > 0
    assert (state["status"], state["server"]["port"]) == ("unknown", site.config.server.port)
    assert state["disk"]["free"] > 0 and state["journal_bytes"] > 0 and state["journal"]["fault"] == ""
    assert state["recent"][0]["text"] == "something is odd" and state["recent"][0]["where"] == "service"
    people = await server_of.get("/api/people")
    assert [one["user"] for one in people["people"]] == ["ann", "bob"]
    one = people["people"][0]
    assert (one["name"], one["projects"], one["transport"]) == ("Ann", ["<b>plans</b>"], "websocket")
    assert one["address"] == "127.0.0.1" and one["since"] <= state["at"] + 2
    for secret in (ann.sid, bob.sid, TOKEN, token()[:20]):  # with a session's id one could read in its place
        assert secret not in str(people) + str(state)
    assert [one["user"] for one in (await server_of.get("/api/people?search=BOB"))["people"]] == ["bob"]
    assert (await server_of.get("/api/people?search=PLANS"))["total"] == 2
    for page in ("0", "-1", "99", "x", "1" * 30, "²"):
        assert (await server_of.get(f"/api/people?page={page}"))["page"] == 1


async def test_who_reads_slowly(server_of: Managed) -> None:
    """Somebody who joins over polling, and then does not poll."""
    ann = await server_of.site.connect(token("ann"))
    assert (await ann.ask("join", {"project": "p"}))["ok"]
    where = server_of.site.url + "/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        async with http.get(where) as answer:
            where += "&sid=" + json.loads((await answer.text())[1:])["sid"]
        bob = token("bob")
        for packet in (f'40{{"token":"{bob}"}}', '420["join",{"project":"p"}]'):
            async with http.post(where, data=packet) as answer:
                assert answer.status == 200
            async with http.get(where) as answer:
                assert answer.status == 200
        for number in range(3):
            assert (await ann.ask("change", {"project": "p", "id": f"c{number}", "data": "x" * 1000}))["ok"]
    (slow,) = (await server_of.get("/api/state"))["waiting"]["slow"]
    assert (slow["user"], slow["projects"], slow["transport"]) == ("bob", ["p"], "polling")
    assert slow["waiting"] > 3000


async def test_a_user_is_disconnected_and_no_other(server_of: Managed) -> None:
    ann, again, bob = [await server_of.site.connect(token(user)) for user in ("ann", "ann", "bob")]
    answer = await server_of.post("/api/disconnect", {"user": "ann"})
    assert answer["number"] == 2
    for client in (ann, again):
        await asyncio.wait_for(client.closed.wait(), 10)
        assert client.of("closing") == [{"reason": "disconnected", "retry_after": 0.0}]
        assert "41" in client.other  # so that clients do not come back by themselves
    assert (await bob.ask("join", {"project": "p"}))["ok"]
    assert (await server_of.post("/api/disconnect", {"user": "nobody"}))["number"] == 0


async def test_who_is_disconnected_between_two_polls_learns_of_it_with_the_next(server_of: Managed) -> None:
    raw = await Raw.open(server_of.site.config.server.port)
    path = await raw.handshake()
    connect = b"40" + json.dumps({"token": token()}).encode()
    raw.send(b"POST " + path.encode() + HOST + b"Content-Length: %d\r\n\r\n" % len(connect) + connect)
    assert await raw.answer() == "ok"
    assert (await raw.get(path)).startswith("40")
    assert (await server_of.post("/api/disconnect", {"user": "ann"}))["number"] == 1
    closing = '42["closing",{"reason":"disconnected","retry_after":0.0}]'
    assert (await raw.get(path)).split("\x1e") == [closing, "41", "1"]
    raw.close()


async def test_drain_and_resume(server_of: Managed) -> None:
    ann = await server_of.site.connect()
    await server_of.post("/api/drain")
    await asyncio.wait_for(ann.closed.wait(), 10)
    assert [body["reason"] for body in ann.of("closing")] == ["restart"]
    with pytest.raises(Closed):
        await Client.open(server_of.site.url, "polling")
    state = await server_of.get("/api/state")
    assert state["draining"] and state["status"] == "down" and "Resume" in state["remedy"]

    async def resumed() -> bool:
        async with server_of.browser(**BEARER) as http, http.post(f"{HERE}/api/resume", json={}) as answer:
            return answer.status == 200

    while not await resumed():  # those who do not read have a moment
        await asyncio.sleep(0.02)
    assert (await (await server_of.site.connect()).ask("join", {"project": "p"}))["ok"]


async def test_a_restart_needs_who_starts_it_again(directory: Path) -> None:
    async with running(directory, admin=settings(directory)) as site:
        admin = await open_admin(site.service, None, lambda record: True)
        found = Managed(site, f"{directory}/admin.sock")
        assert not (await found.get("/api/state"))["can_restart"]
        assert "nobody would start it again" in (await found.post("/api/restart", status=409))["error"]
        assert (await found.post("/api/verify", status=409))["error"].startswith("admin.url")
        await admin.close()


async def test_a_restart_of_a_process_that_systemd_has_started(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as by SIGTERM: drained, with status 0. Before that, a stop while an administrator is connected."""
    monkeypatch.setenv("INVOCATION_ID", "0" * 32)
    server = Server(directory, admin=settings(directory))
    for signalled in (True, False):
        server.start()
        assert server.process is not None
        client = await Client.open(server.url)
        await client.connect(token())
        held = await asyncio.open_unix_connection(f"{directory}/admin.sock")
        if signalled:
            server.process.send_signal(signal.SIGTERM)
        else:
            connector = aiohttp.UnixConnector(f"{directory}/admin.sock")
            url = f"{HERE}/api/restart"
            async with aiohttp.ClientSession(connector=connector) as http, http.post(url, headers=BEARER) as answer:
                assert answer.status == 200
        await asyncio.wait_for(client.closed.wait(), 30)
        assert [body["reason"] for body in client.of("closing")] == ["restart"]
        assert await asyncio.to_thread(server.process.wait, 30) == 0
        held[1].close()
        await client.close()
    assert "an administrator restarts the server" in server.log.read_text()
    assert TOKEN not in server.log.read_text()


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://wiki.example.org", 443), ("https://wiki.example.org:443", 443), ("http://wiki.example.org", 80),
     ("https://wiki.example.org:9093", 9093), (None, 9083)],
)  # fmt: skip
def test_the_port_that_users_come_by(tmp_path: Path, url: str | None, port: int) -> None:
    assert find_port(parse(config_text(tmp_path, admin={"url": url}))) == port
