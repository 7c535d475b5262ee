# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check page and its links: what they let in, and that nothing of it touches anybody's projects."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rtc_support import PATIENCE, SECRET, TOKENS, Client, Closed, Site, config_text, eventually, running, token

from rtc_server import checking, cli
from rtc_server.auth import EDIT, TokenError, Tokens

WHERE = "https://wiki.example.org:9083/socket.io/"
PAGE = checking.read_page()


def make_link(ttl: float = 300) -> tuple[str, str]:
    """Token and project of a link."""
    made = TOKENS.make_check(WHERE, ttl)
    return made, TOKENS.check(made).check


class Browser:
    """What the page is to the server, over WebSocket."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.got: list[str] = []

    async def until(self, beginning: str) -> str:
        """The next packet that begins so."""
        while True:
            message = await asyncio.wait_for(self.ws.receive(), PATIENCE)
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise Closed(str(self.got))
            self.got.append(message.data)
            if message.data.startswith(beginning):
                return str(message.data)

    async def connect(self, bearer: str) -> None:
        """Into the namespace of checks. Raises Closed with the refusal."""
        await self.ws.send_str("40/check," + json.dumps({"token": bearer}))
        answer = await self.until("4")
        if answer.startswith("44"):
            raise Closed(answer)

    async def ask(self, event: str, **body: Any) -> dict[str, Any]:
        """The acknowledgement."""
        await self.ws.send_str("42/check,7" + json.dumps([event, body]))
        (answer,) = json.loads((await self.until("43/check,7"))[len("43/check,7") :])
        return dict(answer)


@contextlib.asynccontextmanager
async def browsing(site: Site, bearer: str = "", origin: str = "null") -> AsyncIterator[Browser]:
    """A page, connected if it has a token."""
    where = f"{site.url}/socket.io/?EIO=4&transport=websocket"
    async with aiohttp.ClientSession() as http, http.ws_connect(where, headers={"Origin": origin}) as ws:
        browser = Browser(ws)
        await browser.until("0")
        if bearer:
            await browser.connect(bearer)
        yield browser


# --- the page ------------------------------------------------------------------------------------


async def test_the_page_is_given_with_a_policy_that_lets_only_itself_run(site: Site) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{site.url}/check") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert await answer.text() == PAGE
        assert answer.headers["Cache-Control"] == "no-store"
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with aiohttp.ClientSession() as http, http.post(f"{site.url}/check") as answer:
        assert answer.status == 405


async def test_a_connection_gives_one_page(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.config.server.port)
    writer.write(b"GET /check HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    got = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert got.count(b"<!doctype html>") == 1


@pytest.mark.parametrize("kind", ["script", "style"])
def test_both_policies_name_the_script_and_style_of_the_page(kind: str) -> None:
    (text,) = re.findall(f"<{kind}>(.*?)</{kind}>", PAGE, re.DOTALL)
    value = "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
    assert re.findall(rf"{kind}-src ('sha256[^;\"]*)", PAGE) == [value]
    assert f"{kind}-src {value};" in checking.make_headers(PAGE)["Content-Security-Policy"]


def test_the_page_is_small_and_names_no_other_place() -> None:
    assert len(PAGE.encode()) < 40_000
    assert "@import" not in PAGE
    assert re.findall(r"""(?:src|href)=["']([^"']*)""", PAGE) == ["data:,"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", PAGE)


async def test_cookies_are_counted_and_not_repeated(site: Site) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{site.url}/check/cookies") as answer:
            assert await answer.json() == {"cookies": 0, "bytes": 0}
        async with http.get(f"{site.url}/check/cookies", headers={"Cookie": "a=secret; b=2"}) as answer:
            assert await answer.text() == '{"cookies": 2, "bytes": 13}'


# --- what a link lets in ---------------------------------------------------------------------------


async def test_two_tabs_of_a_link_see_each_other_and_nothing_is_kept(site: Site) -> None:
    bearer, project = make_link()
    async with browsing(site, bearer) as one, browsing(site, bearer) as two:
        first = await one.ask("join", project=project)
        assert (await two.ask("join", project=project))["revision"] == 0
        assert (await one.ask("change", project=project, id="a", data={"text": "<b>"}))["revision"] == 1
        change = json.loads((await two.until('42/check,["change"'))[len("42/check,") :])[1]
        assert (change["revision"], change["data"]) == (1, {"text": "<b>"})
        assert (await two.ask("presence", project=project, state={"x": 1}))["ok"]
        await one.until('42/check,["presence"')
        async with browsing(site, bearer) as late:
            assert len((await late.ask("join", project=project))["changes"]) == 1
        for event in ("history", "snapshot"):
            assert event not in site.service.namespaces["/check"].deferred
    assert (await site.service.journal.read_head(project)).revision == 0
    await eventually(lambda: not site.service.check.projects.loaded, "the project goes with its members")
    async with browsing(site, bearer) as again:
        anew = await again.ask("join", project=project)
    assert anew["revision"] == 0
    assert anew["epoch"] != first["epoch"]


async def test_a_link_opens_no_project_of_others(site: Site) -> None:
    bearer, project = make_link()
    _other, strange = make_link()
    with pytest.raises(Closed, match="token_invalid"):
        await site.connect(bearer)
    with pytest.raises(Closed, match="token_invalid"):
        await site.connect(bearer, revision=3, transport="polling", query=f"&token={bearer}")
    async with browsing(site, bearer) as browser:
        for name in ("wiki", strange, "*"):
            assert (await browser.ask("join", project=name))["code"] == "forbidden"
        # A project of that name is another one: nothing passes between them.
        ann = await site.connect()
        await ann.ask("join", {"project": project})
        await browser.ask("join", project=project)
        assert (await browser.ask("change", project=project, id="a", data=1))["revision"] == 1
        assert (await ann.ask("change", {"project": project, "id": "b", "data": 2}))["revision"] == 1
        assert [change["data"] for change in ann.of("change")] == [2]
        assert not [packet for packet in browser.got if '"data":2' in packet]


async def test_other_tokens_do_not_open_a_check(site: Site) -> None:
    async with browsing(site) as browser:
        with pytest.raises(Closed, match="token_invalid"):
            await browser.connect(token())
    async with browsing(site) as browser:
        with pytest.raises(Closed, match="token_expired"):
            await browser.connect(TOKENS.make_check(WHERE, -60))
    async with browsing(site) as browser:
        with pytest.raises(Closed, match="token_missing"):
            await browser.connect("")


@pytest.mark.parametrize(("transport", "revision"), [("polling", 4), ("websocket", 4), ("polling", 3)])
async def test_a_page_from_a_disk_may_only_check(site: Site, transport: str, revision: int) -> None:
    options = {"transport": transport, "revision": revision, "headers": {"Origin": "null"}}
    query = f"&token={token()}" if revision == 3 else ""
    with pytest.raises(Closed, match=r"token_invalid|check the connection"):
        await site.connect(query=query, **options)
    assert site.service.connected == 0


async def test_only_pages_without_an_origin_are_let_to_the_handshake(site: Site) -> None:
    where = f"{site.url}/socket.io/?EIO=4&transport=polling"
    for origin, status in (("null", 200), ("https://evil.example.org", 403), ("NULL", 403), ("file://", 403)):
        async with aiohttp.ClientSession() as http, http.get(where, headers={"Origin": origin}) as answer:
            assert answer.status == status, origin
            assert answer.headers.get("Access-Control-Allow-Origin") == ("null" if status == 200 else None)


async def test_a_session_over_polling_from_a_disk(site: Site) -> None:
    bearer, _project = make_link()
    client = await Client.open(site.url, transport="polling", headers={"Origin": "null"})
    await client.send("40/check," + json.dumps({"token": bearer}))
    await client.until(lambda: [p for p in client.other if p.startswith("40/check,")])


async def test_links_have_limits_of_their_own(site: Site) -> None:
    async with contextlib.AsyncExitStack() as stack:
        bearer, _project = make_link()
        for _ in range(checking.LIMITS.connections_per_user):
            await stack.enter_async_context(browsing(site, bearer))
        browser = await stack.enter_async_context(browsing(site))
        with pytest.raises(Closed, match='"too_many","limit":20'):
            await browser.connect(bearer)
        for _ in range(checking.MOST_CONNECTIONS - checking.LIMITS.connections_per_user):
            await stack.enter_async_context(browsing(site, make_link()[0]))
        with pytest.raises(Closed, match='"too_many","limit":100'):
            await browser.connect(make_link()[0])
        assert (await (await site.connect()).ask("join", {"project": "wiki"}))["ok"]
    await eventually(lambda: not site.service.check._connected)
    async with browsing(site, make_link()[0]) as browser:
        assert browser.got and len(site.service.check._links) == 1, "links that have spent nothing are forgotten"


async def test_users_find_room_where_checks_have_taken_all(tmp_path: Path) -> None:
    """One link of somebody's mail is enough for twenty connections."""
    async with running(tmp_path, limits={"connections": 10}) as site, contextlib.AsyncExitStack() as stack:
        bearer, _project = make_link()
        checks = [await stack.enter_async_context(browsing(site, bearer)) for _ in range(10)]
        assert (await (await site.connect()).ask("join", {"project": "wiki"}))["ok"]
        with pytest.raises(Closed):
            await checks[0].until("nothing that comes")
        await stack.enter_async_context(browsing(site, bearer))  # and it checks at the cost of other checks only
        assert site.service.connected == 1


async def test_a_link_that_comes_again_has_spent_what_it_had(site: Site) -> None:
    bearer, project = make_link()
    check = site.service.check
    async with browsing(site, bearer) as browser:
        await browser.ask("join", project=project)
        await browser.ask("change", project=project, id="a", data=1)
        link = check._links[project]
    await eventually(lambda: not check._connected)
    async with browsing(site, bearer):
        assert check._links[project] is link


async def test_a_check_holds_few_changes_and_all_of_them(site: Site) -> None:
    bearer, project = make_link()
    async with browsing(site, bearer) as browser:
        await browser.ask("join", project=project)
        assert (await browser.ask("change", project=project, id="a", data="x" * 600))["code"] == "too_large"
        link = next(iter(site.service.check._links.values()))
        link.changes.burst = link.changes._left = 1000.0
        link.changes.byte_burst = link.changes._bytes = 1e9
        answers = [
            await browser.ask("change", project=project, id=f"c{n}", data="x" * 490)
            for n in range(checking.MOST_CHANGES + 1)
        ]
        assert [answer.get("revision") for answer in answers[:-1]] == list(range(1, checking.MOST_CHANGES + 1))
        assert answers[-1]["code"] == "quota"
        async with browsing(site, bearer) as late:
            assert len((await late.ask("join", project=project))["changes"]) == checking.MOST_CHANGES


async def test_a_connection_ends_with_its_link(tmp_path: Path) -> None:
    async with running(tmp_path, token={"leeway": 0}) as site, browsing(site, make_link(1)[0]) as browser:
        assert "token_expired" in await browser.until('42/check,["closing"')


# --- tokens and the command --------------------------------------------------------------------------


def test_a_links_token_has_its_own_rights_only() -> None:
    found = TOKENS.check(make_link()[0])
    assert dict(found.projects) == {found.check: EDIT}
    assert found.right("wiki") is None
    for check in ("", "x", "0" * 15, "../etc", "<b>0000000000000", 7, None, ["0" * 16]):
        import jwt

        claims = {"sub": "ann", "aud": "rtc-server", "exp": 4e9, "projects": {"*": EDIT}, "check": check}
        bearer = jwt.encode(claims, SECRET, algorithm="HS256")
        if check == "":  # as if it had none
            assert not TOKENS.check(bearer).check
        else:
            with pytest.raises(TokenError):
                TOKENS.check(bearer)
    with pytest.raises(TokenError):
        TOKENS.check(make_link()[0], in_query=True)


@pytest.mark.parametrize(
    ("server", "options", "expected"),
    [
        ({"name": "wiki.example.org"}, [], "http://wiki.example.org:9083"),
        ({"name": "wiki.example.org", "origins": ["https://wiki.example.org"]}, [], "https://wiki.example.org:9083"),
        ({"name": "wiki", "admin": {"url": "https://wiki.example.org:9083"}}, [], "https://wiki.example.org:9083"),
        ({"name": "wiki.example.org"}, ["--url", "https://Wiki.example.org:9083/"], "https://wiki.example.org:9083"),
        ({}, ["--url", "https://[::1]:9083"], "https://[::1]:9083"),
    ],
)
def test_the_command_prints_a_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: dict[str, Any], options: list[str], expected: str
) -> None:
    config = tmp_path / "config.toml"
    admin = server.pop("admin", {})
    config.write_text(config_text(tmp_path, server=server, admin=admin))
    assert cli.main(["check-link", "--config", str(config), "--minutes", "2", *options]) == 0
    place, _, bearer = capsys.readouterr().out.strip().partition("#")
    assert place == f"{expected}/check"
    assert Tokens([SECRET]).check(bearer).check
    part = bearer.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["url"] == f"{expected}/socket.io/"
    assert claims["exp"] - claims["iat"] == 120


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ([], 1, "server.name"),
        (["--url", "wiki.example.org"], 2, "scheme, name and port"),
        (["--url", "https://wiki.example.org:9083/x"], 2, "scheme, name and port"),
        (["--url", "https://wiki:9083", "--minutes", "0"], 2, "1 to 60"),
        (["--url", "https://wiki:9083", "--minutes", "61"], 2, "1 to 60"),
    ],
)
def test_what_the_command_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], status: int, word: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(config_text(tmp_path))
    assert cli.main(["check-link", "--config", str(config), *options]) == status
    said = capsys.readouterr()
    assert word in said.err
    assert not said.out
