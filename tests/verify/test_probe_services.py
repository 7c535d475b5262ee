# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe against services that are right: ours, python-socketio's, both revisions of Engine.IO, over TLS."""

from __future__ import annotations

import pytest
import socketio
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ansible_collections.collab.rtc.plugins.module_utils._keystore import jks_edit
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import KeyStoreEntry
from ansible_collections.collab.rtc.plugins.module_utils._verify import probe, trust
from ansible_collections.collab.rtc.tests.unit import servers, stores

NAME = servers.NAME
ORIGIN = f"https://{NAME}"
ALL = {"polling": True, "websocket": True, "upgrade": True}


def run_probe(server, pki=None, scheme="http", **more):
    url = getattr(server, "url", f"{scheme}://{NAME}:{server.port}/")
    context = trust.context_of(url, [pki.root.pem] if pki else [])
    return probe.check(probe.ProbeOptions(url, connect_to="127.0.0.1", context=context, timeout=5, **more))


def names(result):
    return [step["name"] for step in result["steps"]]


def test_our_service_over_tls(rtc, pki):
    server = rtc()
    result = run_probe(server, pki, token=server.token, project="check", origin=ORIGIN)
    assert result["ok"], result
    assert names(result) == ["resolve", "connect", "tls"] + [
        name
        for kind in ("polling", "websocket", "upgrade")
        for name in (kind, f"{kind}: connect", f"{kind}: join", f"{kind}: echo")
    ]
    assert result["transports"] == ALL
    assert (result["protocol"], result["ping_interval"]) == (4, 25)
    assert result["certificate"]["names"] == [NAME]
    assert (result["failed_step"], result["code"], result["cause"], result["remedy"]) == ("", "", "", "")
    details = {step["name"]: step["detail"] for step in result["steps"]}
    assert details["upgrade: connect"] == "over websocket"
    assert details["tls"].startswith("TLSv1")


def test_presence_leaves_no_trace_and_a_change_does(rtc, pki):
    server = rtc()
    options = {"token": server.token, "project": "check", "transports": ["polling"]}
    seen = [
        step["detail"]
        for change in (False, True, False)
        for step in run_probe(server, pki, change=change, **options)["steps"]
    ]
    assert [detail for detail in seen if "revision" in detail] == [
        "revision 0, 1 members",
        "revision 0, 1 members",
        "change, revision 1",
        "revision 1, 1 members",
    ]


def test_older_dialect_of_our_service(rtc, pki):
    server = rtc()
    result = run_probe(server, pki, token=server.token, project="check", change=True, protocol=3)
    assert result["ok"], result
    assert result["protocol"] == 3
    assert {"polling: ping", "websocket: ping", "upgrade: ping"} <= set(names(result))
    assert result["transports"] == ALL


def test_a_project_with_more_than_a_page(rtc, pki):
    """What is written meanwhile comes in a page, and not in an event of its own."""
    server = rtc(limits="history_page = 1")
    results = [run_probe(server, pki, token=server.token, project="check", change=True) for _ in range(3)]
    assert [result["failed_step"] for result in results] == [""] * 3, results


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["upgrade"], ["polling", "websocket", "upgrade"]])
def test_revision_is_found_out(engine, transports):
    result = run_probe(engine(eio_versions=(3,)), transports=transports)
    assert result["ok"], result
    assert result["protocol"] == 3


def test_asked_revision_is_not_changed(engine):
    result = run_probe(engine(eio_versions=(3,)), protocol=4, transports=["polling"])
    assert result["code"] == "unsupported_version"
    assert result["protocol"] == 0


def test_service_that_speaks_neither_revision(engine):
    result = run_probe(engine(eio_versions=()))
    assert result["code"] == "unsupported_version"
    assert result["transports"] == dict.fromkeys(ALL, False)


def test_python_socketio(python_socketio):
    result = run_probe(python_socketio(cors_allowed_origins=[ORIGIN]), origin=ORIGIN)
    assert result["ok"], result
    assert result["transports"] == ALL
    assert result["protocol"] == 4


def test_python_socketio_knows_no_revision_3(python_socketio):
    result = run_probe(python_socketio(), protocol=3)
    assert result["code"] == "unsupported_version"


def test_python_socketio_refuses_a_foreign_origin_by_default(python_socketio):
    result = run_probe(python_socketio(), origin=ORIGIN)
    assert (result["failed_step"], result["code"]) == ("polling", "origin_refused")


def test_origin_that_is_not_on_our_list(rtc, pki):
    server = rtc(origins=["https://jira.example.com"])
    result = run_probe(server, pki, token=server.token, origin=ORIGIN)
    assert (result["failed_step"], result["code"]) == ("polling", "origin_refused")
    assert "allowed origins" in result["remedy"]


def test_proxy_that_drops_upgrade(rtc, plain_proxy):
    server = rtc(tls=False)
    proxy = plain_proxy(server.port)
    proxy.url = f"http://{NAME}:{proxy.port}/"
    result = run_probe(proxy, token=server.token, project="check")
    assert result["transports"] == {"polling": True, "websocket": False, "upgrade": False}
    assert (result["failed_step"], result["code"]) == ("websocket", "upgrade_refused")
    assert "proxy_http_version 1.1" in result["remedy"]


@pytest.mark.parametrize("bearer", ["", "not.a.token", "expired"])
def test_token_that_is_refused(rtc, pki, bearer):
    server = rtc()
    if bearer == "expired":
        bearer = server.tokens.make("probe", {"check": "edit"}, -60)
    result = run_probe(server, pki, token=bearer, transports=["websocket"])
    assert (result["failed_step"], result["code"]) == ("websocket: connect", "connect_refused")
    if bearer:
        assert bearer not in str(result)


def test_project_that_the_token_does_not_name(rtc, pki):
    server = rtc()
    result = run_probe(server, pki, token=server.token, project="other")
    assert (result["failed_step"], result["code"]) == ("polling: join", "join_refused")


def test_right_to_view_only(rtc, pki):
    server = rtc()
    viewer = server.tokens.make("probe", {"check": "view"}, 300)
    assert run_probe(server, pki, token=viewer, project="check")["ok"]
    result = run_probe(server, pki, token=viewer, project="check", change=True)
    assert (result["failed_step"], result["code"]) == ("polling: echo", "change_refused")


# --- the module -------------------------------------------------------------------------------------


@pytest.fixture
def store(pki, tmp_path):
    """A Java trust store with the root in it."""
    der = pki.root.certificate.public_bytes(Encoding.DER)
    path = tmp_path / "cacerts"
    path.write_bytes(jks_edit.write([KeyStoreEntry("root", "trusted", (der,))], "changeit"))
    return {"path": str(path), "password": "changeit"}


def test_module_trusts_what_java_trusts(run_module, rtc, store):
    server = rtc()
    args = {
        "url": server.url,
        "connect_to": "127.0.0.1",
        "truststore": store,
        "token": server.token,
        "project": "check",
    }
    result = run_module("rtc_probe", args)
    assert result["ok"], result
    assert result["changed"] is False
    assert server.token not in str({key: value for key, value in result.items() if key != "invocation"})


def test_module_with_a_store_that_lacks_the_root(run_module, rtc, store, tmp_path):
    other = servers.Authority("Another Root").certificate.public_bytes(Encoding.DER)
    path = tmp_path / "cacerts"
    path.write_bytes(jks_edit.write([KeyStoreEntry("other", "trusted", (other,))], "changeit"))
    server = rtc()
    result = run_module("rtc_probe", {"url": server.url, "connect_to": "127.0.0.1", "truststore": store})
    assert "failed" not in result
    assert (result["ok"], result["failed_step"], result["code"]) == (False, "tls", "tls_untrusted")
    assert "trust store" in result["remedy"]


def test_module_trusts_the_certificate_of_a_key_in_the_store_as_java_does(run_module, start, tmp_path):
    certificate, key = servers.self_signed(NAME)
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    entry = KeyStoreEntry(
        "tomcat", "key", (certificate.public_bytes(Encoding.DER),), 0, stores.lock_jks_key(pkcs8, "changeit")
    )
    path = tmp_path / "keystore"
    path.write_bytes(jks_edit.write([entry], "changeit"))

    async def make():
        app = web.Application()
        socketio.AsyncServer(async_mode="aiohttp").attach(app)
        return app

    server = start(make, servers.server_context(tmp_path, (certificate, key)))
    args = {"url": f"https://{NAME}:{server.port}/", "connect_to": "127.0.0.1"}
    assert run_module("rtc_probe", {**args, "truststore": {"path": str(path), "password": "changeit"}})["ok"]


@pytest.mark.parametrize("check", [False, True])
def test_module_in_check_mode_writes_nothing(run_module, rtc, pki, check):
    server = rtc()
    args = {
        "url": server.url,
        "connect_to": "127.0.0.1",
        "ca": [pki.path],
        "token": server.token,
        "project": "check",
        "change": True,
        "transports": ["polling"],
    }
    assert run_module("rtc_probe", args, check=check)["ok"]
    again = run_module("rtc_probe", dict(args, change=False))
    revision = next(step["detail"] for step in again["steps"] if step["name"] == "polling: join")
    assert revision.startswith("revision 0," if check else "revision 1,")


def test_module_fails_only_when_asked(run_module):
    args = {"url": f"http://{NAME}:{servers.unused_port()}/", "connect_to": "127.0.0.1"}
    assert "failed" not in run_module("rtc_probe", args)
    result = run_module("rtc_probe", dict(args, fail=True))
    assert result["failed"]
    assert result["msg"].startswith("connect: No connection to wiki.example.com")
    assert result["code"] == "connection_refused"
    assert result["remedy"] in result["msg"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "nothing to trust"),
        ({"ca": ["/no/such/file.pem"]}, "/no/such/file.pem"),
        ({"ca": ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]}, "certificate"),
        ({"truststore": {"path": "STORE", "password": "wrong"}}, "password"),
        ({"system_trust": True, "timeout": 0}, "timeout"),
        ({"system_trust": True, "connect_to": "a b"}, "connect_to"),
    ],
)
def test_module_refuses_bad_options(run_module, store, more, words):
    if "truststore" in more:
        more = {"truststore": {"path": store["path"], "password": "wrong"}}
    result = run_module("rtc_probe", {"url": f"https://{NAME}:9083/", **more})
    assert result["failed"]
    assert words in result["msg"]
