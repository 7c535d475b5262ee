# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application's answers: what it sees, and what its JVM says."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("cryptography")

from ansible_collections.collab.rtc.tests.unit import servers
from ansible_collections.collab.rtc.tests.unit.servers import NAME, http

SEEN = {"scheme": "https", "serverName": NAME, "serverPort": 443, "secure": True, "contextPath": "/confluence"}
EXPECT = {"scheme": "https", "serverName": NAME, "serverPort": 443, "secure": True}


def answer(data):
    return http("200 OK", json.dumps(data).encode(), "application/json")


def ask(run_module, reply, expect=None, context=None, **more):
    requests = []

    def handle(connection):
        requests.append(servers.read_head(connection).decode())
        connection.sendall(reply)

    with servers.Server(handle, context) as server:
        scheme = "https" if context else "http"
        args = {
            "url": f"{scheme}://{NAME}:{server.port}/confluence/request.jsp",
            "connect_to": "127.0.0.1",
            "timeout": 5,
        }
        result = run_module("application_check", {**args, "expect": EXPECT if expect is None else expect, **more})
    result["request"] = requests[0] if requests else ""
    return result


def failed(result):
    assert result["ok"] is False
    assert result["cause"]
    assert result["remedy"]
    return result["failed_step"], result["code"]


def test_as_expected_over_tls(run_module, tmp_path):
    root = servers.Authority("Test Root")
    context = servers.server_context(tmp_path, root.leaf(NAME))
    result = ask(run_module, answer(SEEN), context=context, ca=[root.pem])
    assert result["ok"], result
    assert [step["name"] for step in result["steps"]] == ["resolve", "connect", "tls", "request", "values"]
    assert result["got"] == SEEN
    assert result["mismatches"] == []
    assert result["status"] == 200
    assert result["certificate"]["names"] == [NAME]
    assert result["changed"] is False


def test_host_header_and_query(run_module):
    result = ask(run_module, answer({"ok": True}), {"ok": True}, query={"url": "https://a/?b=1&c=2"})
    first, host = result["request"].split("\r\n")[:2]
    assert first == "GET /confluence/request.jsp?url=https%3A%2F%2Fa%2F%3Fb%3D1%26c%3D2 HTTP/1.1"
    assert host.startswith(f"Host: {NAME}:")


@pytest.mark.parametrize(
    ("seen", "names", "words"),
    [
        ({"scheme": "http", "secure": False}, ["scheme", "secure"], "scheme and secure"),
        ({"secure": False}, ["secure"], "scheme and secure"),
        ({"serverPort": 8090}, ["serverPort"], "proxyPort"),
        ({"serverName": "localhost", "serverPort": 8090}, ["serverName", "serverPort"], "proxyName"),
    ],
)
def test_mismatch(run_module, seen, names, words):
    result = ask(run_module, answer({**SEEN, **seen}))
    assert failed(result) == ("values", "mismatch")
    assert [item["name"] for item in result["mismatches"]] == names
    assert words in result["cause"]
    assert all(
        item["got"] == seen[item["name"]] and item["expected"] == EXPECT[item["name"]] for item in result["mismatches"]
    )


def test_missing_member(run_module):
    result = ask(run_module, answer({}), {"ok": True})
    assert result["mismatches"] == [{"name": "ok", "expected": True, "got": None}]


@pytest.mark.parametrize(
    ("got", "wanted", "equal"),
    [
        (443, 443, True), (443, "443", True), (True, "True", True), (False, "true", False), (True, True, True),
        ("https", "https", True),
        ("443", 443, False), (1, True, False), (None, "null", False), (None, None, True), (443, "80", False),
    ],
)  # fmt: skip
def test_texts_may_stand_for_numbers(run_module, got, wanted, equal):
    assert ask(run_module, answer({"x": got}), {"x": wanted})["ok"] is equal


JAVA = {
    "javax.net.ssl.SSLHandshakeException: PKIX path building failed: unable to find valid path": "tls_untrusted",
    "java.security.InvalidAlgorithmParameterException: the trustAnchors parameter must be non-empty": "tls_untrusted",
    "javax.net.ssl.SSLHandshakeException: NotAfter: Sun … certificate expired": "tls_expired",
    "javax.net.ssl.SSLHandshakeException: No subject alternative DNS name matching x.example found.": "tls_wrong_name",
    "java.net.UnknownHostException: wiki.example.com": "name_unresolved",
    "java.net.ConnectException: Connection refused": "connection_refused",
    "java.net.SocketTimeoutException: connect timed out": "connect_timeout",
    "javax.net.ssl.SSLException: Unsupported or unrecognized SSL message": "tls_not_spoken",
    "java.lang.IllegalStateException: odd": "java",
}


@pytest.mark.parametrize("error", JAVA)
def test_error_of_the_jvm(run_module, error):
    result = ask(run_module, answer({"ok": False, "error": error}), {"ok": True})
    assert failed(result) == ("values", JAVA[error])
    assert error in result["steps"][-1]["detail"]


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (http("200 OK", b"<html>Log in</html>", "text/html"), "not_json"),
        (http("200 OK", b"[1]", "application/json"), "not_json"),
        (http("404 Not Found", b"<h1>404</h1>", "text/html"), "not_found"),
        (http("302 Found", b"", "text/plain", "Location: /confluence/setup"), "redirected"),
        (http("503 Service Unavailable"), "upstream_down"),
        (http("401 Unauthorized"), "login"),
        (b"", "closed"),
    ],
)
def test_answer_that_is_no_data(run_module, reply, code):
    result = ask(run_module, reply)
    assert failed(result) == ("request", code)
    assert "RTC" not in result["cause"] + result["remedy"]


@pytest.mark.parametrize(
    "reply",
    [
        http("200 OK", b"<html>Dashboard</html>", "text/html"),
        http("302 Found", b"", "text/plain", "Location: /confluence/login.action"),
        http("302 Found", b"", "text/plain", "Location: https://login.example.com/sso"),
        http("303 See Other", b"", "text/plain", "Location: http://[broken"),
        http("401 Unauthorized"),
    ],
)
def test_an_application_answers(run_module, reply):
    result = ask(run_module, reply, {})
    assert result["ok"], result


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (http("200 OK", b"<title>Welcome to nginx!</title>", "text/html"), "default_page"),
        (http("200 OK", b"<title>Apache2 Debian Default Page: It works</title>", "text/html"), "default_page"),
        (http("200 OK", b"<title>HTTP Server Test Page powered by Rocky Linux</title>", "text/html"), "default_page"),
        (http("302 Found", b"", "text/plain", f"Location: http://{NAME}:8090/login"), "redirected"),
        (http("301 Moved Permanently", b"", "text/plain", f"Location: https://{NAME.upper()}/"), "redirected"),
        (http("404 Not Found", b"<h1>404</h1>", "text/html"), "not_found"),
        (http("502 Bad Gateway"), "upstream_down"),
        (http("504 Gateway Timeout"), "upstream_timeout"),
        (http("500 Internal Server Error"), "server_error"),
        (b"", "closed"),
    ],
)
def test_something_else_answers(run_module, reply, code):
    result = ask(run_module, reply, {})
    assert failed(result) == ("request", code)
    assert "RTC port" not in result["cause"] + result["remedy"]


def test_fails_only_when_asked(run_module):
    args = {"url": f"http://{NAME}:{servers.unused_port()}/", "connect_to": "127.0.0.1", "expect": {"ok": True}}
    assert "failed" not in run_module("application_check", args)
    assert run_module("application_check", {**args, "fail": True})["failed"]
