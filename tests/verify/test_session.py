# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clients of python-socketio against our service: what is right passes, and each kind of wrong is seen."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import socketio
from aiohttp import web

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify import session, trust
from ansible_collections.collab.rtc.tests.unit import servers
from rtc_server.journal import JournalError
from rtc_server.journal.sqlite import SqliteJournal

NAME = servers.NAME
ORIGIN = f"https://{NAME}"


def check(server, pki=None, **more):
    context = trust.context_of(server.url, [pki.root.pem] if pki else [])
    more.setdefault("token", server.token)
    more.setdefault("timeout", 5)
    return session.check(
        session.SessionOptions(server.url, project="check", connect_to="127.0.0.1", context=context, **more)
    )


def failed(result):
    return result["failed_step"], result["code"]


def test_two_clients_over_tls(rtc, pki):
    server = rtc()
    result = check(server, pki, origin=ORIGIN)
    assert result["ok"], result
    names = [step["name"] for step in result["steps"]]
    assert names == [
        "resolve",
        "connect",
        "tls",
        "websocket: connect",
        "polling: connect",
        "websocket: join",
        "polling: join",
        "websocket to polling",
        "polling to websocket",
        "changes at once",
        "websocket: reconnect",
        "polling: reconnect",
        "websocket to polling after reconnecting",
        "polling to websocket after reconnecting",
        "order",
        "snapshot",
    ]
    details = {step["name"]: step["detail"] for step in result["steps"]}
    assert details["websocket: connect"] == "over websocket"
    assert details["polling: connect"] == "over polling"
    assert details["websocket: reconnect"] == "missed revisions 9 to 9"
    assert details["order"] == "revisions 1 to 12, the same for both"
    assert result["revision"] == 12
    assert result["certificate"]["names"] == [NAME]
    assert server.token not in str(result)


def test_again_on_the_same_project(rtc, pki):
    server = rtc()
    assert [check(server, pki)["revision"] for _ in range(3)] == [12, 24, 36]


@pytest.mark.parametrize("keep", [0, 1_000])
def test_several_at_once_on_a_project_with_more_than_a_page(rtc, keep):
    """As nodes of one site check it: what others write meanwhile comes in pages, live, or is in their snapshots."""
    server = rtc(tls=False, limits=f"history_page = 2\nkeep_changes = {keep}")
    with ThreadPoolExecutor(4) as checks:
        results = [each.result() for each in [checks.submit(check, server) for _ in range(12)]]
    assert [failed(result) for result in results if not result["ok"]] == []
    assert max(result["revision"] for result in results) == 12 * 12


def test_whoever_joins_later_gets_a_snapshot(rtc):
    server = rtc(tls=False, limits="history_page = 12")
    check(server)

    async def join():
        client = socketio.AsyncClient()
        await client.connect(f"http://127.0.0.1:{server.port}", auth={"token": server.token})
        answer = await client.call("join", {"project": "check"})
        await client.disconnect()
        return answer

    answer = asyncio.run(join())
    assert answer["snapshot"] == {"revision": 12, "data": {"verified": 12}}
    assert answer["changes"] == []


def test_only_connecting_changes_nothing(rtc, pki):
    server = rtc()
    result = check(server, pki, write=False)
    assert result["ok"], result
    assert result["steps"][-1]["name"] == "polling: join"
    assert result["revision"] == 0


def test_connect_to_another_port(rtc):
    server = rtc(tls=False)
    options = session.SessionOptions(
        f"http://{NAME}:9083/", server.token, "check", f"127.0.0.1:{server.port}", timeout=5
    )
    assert session.check(options)["ok"]


# --- what is wrong ----------------------------------------------------------------------------------


def test_nothing_listens():
    options = session.SessionOptions(f"http://{NAME}:{servers.unused_port()}/", "a-token", "check", "127.0.0.1")
    assert failed(session.check(options)) == ("connect", "connection_refused")


def test_untrusted(rtc):
    server = rtc()
    other = servers.Authority("Other Root")
    context = trust.context_of(server.url, [other.pem])
    result = session.check(session.SessionOptions(server.url, server.token, "check", "127.0.0.1", context))
    assert failed(result) == ("tls", "tls_untrusted")


def test_proxy_that_drops_upgrade(rtc, plain_proxy):
    server = rtc(tls=False)
    proxy = plain_proxy(server.port)
    proxy.url, proxy.token = f"http://{NAME}:{proxy.port}/", server.token
    assert failed(check(proxy)) == ("websocket: connect", "upgrade_refused")


def test_refused_token(rtc, pki):
    server = rtc()
    assert failed(check(server, pki, token="no.token.atall")) == ("websocket: connect", "connect_refused")


def test_no_right_to_the_project(rtc, pki):
    server = rtc()
    token = server.tokens.make("probe", {"other": "edit"}, 60)
    assert failed(check(server, pki, token=token)) == ("websocket: join", "join_refused")


def test_right_to_view_only(rtc, pki):
    server = rtc()
    token = server.tokens.make("probe", {"check": "view"}, 60)
    assert failed(check(server, pki, token=token)) == ("websocket to polling", "change_refused")


def test_a_journal_that_is_away(rtc, pki, monkeypatch):
    async def fail(*_arguments):
        raise JournalError("the store is away")

    monkeypatch.setattr(SqliteJournal, "read_head", fail)
    result = check(rtc(), pki)
    assert failed(result) == ("websocket: join", "unavailable")
    assert "token" not in result["cause"] and "rtc_store_password" in result["remedy"]


def test_origin_not_allowed(rtc, pki):
    server = rtc(origins=["https://jira.example.com"])
    assert failed(check(server, pki, origin=ORIGIN)) == ("websocket: connect", "origin_refused")


def test_two_servers_behind_one_address(rtc):
    """A balancer before two servers that are both active: a cluster without a shared store."""
    first = rtc(tls=False)
    second = rtc(tls=False)
    turns = [0]

    def handle(connection):
        # by transport: each client stays with one server, as with a balancer that goes by the source
        head = servers.read_head(connection)
        turns[0] += 1
        port = (first if b"transport=websocket" in head else second).port
        servers.relay(connection, socket.create_connection(("127.0.0.1", port), 10), head)

    with servers.Server(handle) as balancer:
        balancer.url, balancer.token = f"http://{NAME}:{balancer.port}/", first.token
        result = check(balancer, timeout=3)
    assert turns[0] > 2
    assert failed(result) == ("members", "not_shared")
    assert "shared store" in result["remedy"]


class Contract:
    """A server of our contract with a fault of choice, on python-socketio's server."""

    def __init__(self, fault):
        self.fault = fault
        self.log = []
        self.sio = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*")
        for event, handler in (("join", self.join), ("change", self.change), ("snapshot", self.snapshot)):
            self.sio.on(event, handler)
        self.present = []
        self.sio.on("disconnect", lambda sid, _reason: self.present.remove(sid) if sid in self.present else None)

    async def app(self):
        app = web.Application()
        self.sio.attach(app)
        return app

    async def join(self, sid, body):
        await self.sio.enter_room(sid, "all")
        if self.fault == "late members":  # as from another server of the same store
            known = list(self.present)
            asyncio.get_running_loop().call_later(0.2, self.tell, sid, known)
            self.present = []
        self.present.append(sid)
        since = body.get("since")
        changes = [c for c in self.log if since is not None and c["revision"] > since]
        if self.fault == "forgets what was missed":
            changes = []
        if self.fault == "twice":
            changes = changes * 2
        return {
            "ok": True,
            "revision": len(self.log),
            "epoch": "e",
            "right": "edit",
            "member": sid,
            "changes": changes,
            "members": [{"member": one} for one in self.present],
            "reset": False,
            "more": False,
        }

    async def snapshot(self, sid, body):
        code = {"later snapshot": "stale", "no snapshots": "invalid"}.get(self.fault)
        return {"ok": False, "code": code, "message": "no"} if code else {"ok": True, "revision": body["revision"]}

    def tell(self, sid, known):
        self.present = known + self.present
        body = {"project": "check", "joined": [{"member": one, "user": "u"} for one in known], "left": []}
        self.task = asyncio.ensure_future(self.sio.emit("members", body, to=sid))

    async def change(self, sid, body):
        revision = len(self.log) + 1
        change = {**body, "revision": revision, "user": "u", "time": 0}
        self.log.append(change)
        if self.fault == "wrong order" and revision == 4:
            return {"ok": True, "revision": revision}
        late = [self.log[-2]] if self.fault == "wrong order" and revision == 5 else []
        skip = sid if self.fault == "not to the sender" else None
        if not (self.fault == "lost" and len(self.log) == 2):
            for one in [change, *late]:
                await self.sio.emit("change", one, room="all", skip_sid=skip)
        if self.fault == "no revision":
            return {"ok": True}
        return {"ok": True, "revision": revision + (self.fault == "another revision")}


@pytest.mark.parametrize(
    ("fault", "step", "code"),
    [
        ("", "", ""),
        ("late members", "", ""),
        ("later snapshot", "", ""),
        ("no snapshots", "snapshot", "change_refused"),
        ("lost", "polling to websocket", "no_event"),
        ("not to the sender", "websocket to polling", "no_event"),
        ("no revision", "websocket to polling", "change_refused"),
        ("another revision", "websocket to polling", "no_event"),
        ("wrong order", "order", "not_shared"),
        ("forgets what was missed", "websocket: reconnect", "no_event"),
        ("twice", "order", "not_shared"),
    ],
)
def test_fault_of_the_service(start, fault, step, code):
    server = start(Contract(fault).app)
    server.url, server.token = f"http://{NAME}:{server.port}/", "a-token"
    result = check(server, timeout=1 if code == "no_event" else 10)
    assert failed(result) == (step, code), result
    assert result["ok"] == (step == "")


# --- the module -------------------------------------------------------------------------------------


def test_module(run_module, rtc, pki):
    server = rtc()
    args = {
        "url": server.url,
        "connect_to": "127.0.0.1",
        "ca": [pki.path],
        "token": server.token,
        "project": "check",
    }
    assert run_module("rtc_session", args, check=True)["revision"] == 0
    result = run_module("rtc_session", args)
    assert result["ok"], result
    assert result["revision"] == 12


def test_module_says_which_library_is_missing(run_module, monkeypatch):
    monkeypatch.setattr(session, "IMPORT_ERRORS", {"python-socketio": "Traceback"})
    result = run_module("rtc_session", {"url": "http://x/", "token": "a-token", "project": "p"})
    assert result["failed"]
    assert "python-socketio" in result["msg"]


def test_connect_to_with_an_address_in_the_url():
    with pytest.raises(RtcError, match="connect_to"):
        session.check(session.SessionOptions("http://192.0.2.1:9083/", "a-token", "check", "127.0.0.1"))
