# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe against servers that are wrong: each failure is told apart, with cause and remedy."""

from __future__ import annotations

import ssl

import pytest

pytest.importorskip("cryptography")

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify import probe, trust
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.websocket import accept_key
from ansible_collections.collab.rtc.plugins.module_utils._verify.probe import ProbeOptions
from ansible_collections.collab.rtc.tests.unit import servers
from ansible_collections.collab.rtc.tests.unit.servers import http

NAME = servers.NAME
OPEN = b'0{"sid":"s1","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}'


def run_probe(server, scheme="http", ca=(), name=NAME, **more):
    url = f"{scheme}://{name}:{server.port}/"
    context = trust.context_of(url, list(ca))
    more.setdefault("connect_to", "127.0.0.1")
    more.setdefault("transports", ["polling"])
    return probe.check(ProbeOptions(url, context=context, timeout=more.pop("timeout", 5), **more))


def check_failure(result, step, code):
    assert result["ok"] is False
    assert (result["failed_step"], result["code"]) == (step, code), result
    assert result["cause"]
    assert result["remedy"]
    failed = next(item for item in result["steps"] if not item["ok"])
    assert failed["name"] == step
    assert failed["detail"]
    return result


# --- reaching it ------------------------------------------------------------------------------------


def test_name_without_address():
    result = probe.check(ProbeOptions("http://no-such-name.invalid:9083/"))
    check_failure(result, "resolve", "name_unresolved")
    assert "no-such-name.invalid" in result["steps"][0]["detail"]


def test_refused_port():
    port = servers.unused_port()
    result = probe.check(ProbeOptions(f"http://{NAME}:{port}/", connect_to="127.0.0.1"))
    check_failure(result, "connect", "connection_refused")
    assert [step["name"] for step in result["steps"]] == ["resolve", "connect"]
    assert f"127.0.0.1:{port}" in result["steps"][1]["detail"]


def test_connect_to_may_name_another_port():
    with servers.Server(servers.answering(http("404 Not Found"))) as server:
        result = probe.check(
            ProbeOptions(f"http://{NAME}:9083/", connect_to=f"127.0.0.1:{server.port}", transports=["polling"])
        )
    check_failure(result, "polling", "not_found")


def test_server_that_never_answers():
    with servers.Server(lambda connection: connection.recv(1 << 16) and connection.recv(1)) as server:
        check_failure(run_probe(server, timeout=0.3), "polling", "no_answer")


def test_server_that_trickles_is_not_waited_for_without_end():
    def trickle(connection):
        servers.read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            connection.recv(0)

    with servers.Server(trickle) as server:
        result = run_probe(server, timeout=0.3)
    assert result["code"] in ("no_answer", "not_rtc")


# --- TLS --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki():
    root = servers.Authority("Test Root")
    return root, servers.Authority("Test Issuing CA", root)


def tls_probe(tmp_path, leaf, chain=(), ca=(), **more):
    options = {key: more.pop(key) for key in ("highest", "lowest") if key in more}
    context = servers.server_context(tmp_path, leaf, chain, **options)
    with servers.Server(servers.answering(http("404 Not Found")), context) as server:
        return run_probe(server, "https", ca, **more)


def test_trusted_chain(tmp_path, pki):
    root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf(NAME, "127.0.0.1"), [issuing], [root.pem])
    check_failure(result, "polling", "not_found")  # TLS was fine, what answers is not the service
    assert [step["name"] for step in result["steps"] if step["ok"]] == ["resolve", "connect", "tls"]
    certificate = result["certificate"]
    assert certificate["subject"] == f"CN={NAME}"
    assert certificate["issuer"] == "CN=Test Issuing CA"
    assert certificate["names"] == [NAME, "127.0.0.1"]
    assert 88 <= certificate["days_left"] <= 90
    assert certificate["expires"].endswith("Z")


def test_issuing_ca_alone_is_trusted_as_java_does(tmp_path, pki):
    _root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf(NAME), [issuing], [issuing.pem])
    check_failure(result, "polling", "not_found")


@pytest.mark.parametrize("highest", [None, ssl.TLSVersion.TLSv1_2])
def test_untrusted_root(tmp_path, pki, highest):
    root, issuing = pki
    other = servers.Authority("Other Root")
    result = tls_probe(tmp_path, issuing.leaf(NAME), [issuing, root], [other.pem], highest=highest)
    check_failure(result, "tls", "tls_untrusted")
    assert "CN=Test Root" in result["cause"]
    assert result["certificate"]["names"] == [NAME]


def test_untrusted_root_that_is_not_sent(tmp_path, pki):
    _root, issuing = pki
    other = servers.Authority("Other Root")
    result = tls_probe(tmp_path, issuing.leaf(NAME), [issuing], [other.pem])
    check_failure(result, "tls", "tls_untrusted")
    assert "CN=Test Root" in result["cause"]


def test_incomplete_chain(tmp_path, pki):
    root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf(NAME), [], [root.pem])
    check_failure(result, "tls", "tls_incomplete_chain")
    assert "CN=Test Issuing CA" in result["cause"]


def test_wrong_intermediate_is_an_incomplete_chain(tmp_path, pki):
    root, issuing = pki
    stale = servers.Authority("Last Year's Issuing CA", root)
    result = tls_probe(tmp_path, issuing.leaf(NAME), [stale], [root.pem])
    check_failure(result, "tls", "tls_incomplete_chain")


def test_incomplete_chain_of_a_server_with_tls_1_3_only(tmp_path, pki):
    root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf(NAME), [], [root.pem], lowest=ssl.TLSVersion.TLSv1_3)
    check_failure(result, "tls", "tls_incomplete_chain")
    assert "CN=Test Issuing CA" in result["cause"]


def test_self_signed(tmp_path, pki):
    leaf = servers.self_signed(NAME)
    check_failure(tls_probe(tmp_path, leaf, [], [pki[0].pem]), "tls", "tls_self_signed")


def test_wrong_name(tmp_path, pki):
    root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf("jira.example.com"), [issuing], [root.pem])
    check_failure(result, "tls", "tls_wrong_name")
    assert "jira.example.com" in result["cause"]
    assert NAME in result["remedy"]


def test_expired(tmp_path, pki):
    root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf(NAME, start=-30, end=-2), [issuing], [root.pem])
    check_failure(result, "tls", "tls_expired")
    assert result["certificate"]["days_left"] < 0


def test_not_yet_valid(tmp_path, pki):
    root, issuing = pki
    result = tls_probe(tmp_path, issuing.leaf(NAME, start=2), [issuing], [root.pem])
    check_failure(result, "tls", "tls_not_yet_valid")


def test_https_on_a_plain_port(pki):
    with servers.Server(servers.answering(http("400 Bad Request"))) as server:
        result = run_probe(server, "https", [pki[0].pem], timeout=0.3)
    # What it makes of our greeting differs: an answer in clear text, or the end of the connection.
    assert result["failed_step"] == "tls"
    assert result["code"] in ("tls_not_spoken", "no_answer")


def test_plain_answer_to_a_tls_greeting(pki):
    def refuse(connection):
        connection.recv(1 << 16)
        connection.sendall(http("400 Bad Request"))

    with servers.Server(refuse) as server:
        check_failure(run_probe(server, "https", [pki[0].pem]), "tls", "tls_not_spoken")


def test_http_on_a_tls_port(tmp_path, pki):
    context = servers.server_context(tmp_path, pki[1].leaf(NAME))
    with servers.Server(servers.answering(http("200 OK")), context) as server:
        result = run_probe(server)
    assert result["failed_step"] == "polling"
    assert result["code"] in ("plain_on_tls_port", "closed", "reset")


# --- answers ----------------------------------------------------------------------------------------

HTML = b"<html><head><title>Dashboard - Confluence</title><style>p{}</style></head><body>Log in</body></html>"
VERSION = b'{"code":5,"message":"Unsupported protocol version"}'
ANSWERS = {
    "502": (
        http("502 Bad Gateway", b"<html><h1>502 Bad Gateway</h1></html>", "text/html", "Server: nginx"),
        "upstream_down",
    ),
    "503": (http("503 Service Unavailable"), "upstream_down"),
    "504": (http("504 Gateway Time-out"), "upstream_timeout"),
    "500": (http("500 Internal Server Error"), "server_error"),
    "404": (http("404 Not Found", b"<html>404</html>", "text/html"), "not_found"),
    "html": (http("200 OK", HTML, "text/html"), "not_rtc"),
    "text": (http("200 OK", b"it works"), "not_rtc"),
    "redirect": (http("301 Moved", b"", "text/plain", "Location: https://wiki.example.com/"), "redirected"),
    "login": (http("401 Unauthorized"), "login"),
    "403": (http("403 Forbidden"), "forbidden"),
    "engine forbidden": (
        http("403 Forbidden", b'{"code":4,"message":"Forbidden"}', "application/json"),
        "origin_refused",
    ),
    "engineio origin": (
        http("400 Bad Request", b'"https://wiki.example.com is not an accepted origin."'),
        "origin_refused",
    ),
    "unknown sid": (http("400 Bad Request", b'{"code":1,"message":"Session ID unknown"}'), "unknown_session"),
    "tls port": (
        http("400 Bad Request", b"<h1>The plain HTTP request was sent to HTTPS port</h1>"),
        "plain_on_tls_port",
    ),
    "version": (http("400 Bad Request", VERSION, "application/json"), "unsupported_version"),
    "ssh": (b"SSH-2.0-OpenSSH_9.2p1\r\n", "not_http"),
    "alert": (b"\x15\x03\x03\x00\x02\x02\x46", "plain_on_tls_port"),
    "cut": (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort", "unexpected"),
    "bad chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "unexpected"),
    "bad handshake": (http("200 OK", b'0{"sid":5}'), "unexpected"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer(name):
    answer, code = ANSWERS[name]

    def handle(connection):
        servers.read_head(connection)
        connection.sendall(answer)

    with servers.Server(handle) as server:
        check_failure(run_probe(server), "polling", code)


def test_html_of_the_application_is_named():
    with servers.Server(servers.answering(http("200 OK", HTML, "text/html"))) as server:
        result = run_probe(server)
    assert "Confluence answers" in result["cause"]
    assert "p{}" not in result["steps"][-1]["detail"]


def test_connection_closed_without_an_answer():
    with servers.Server(servers.read_head) as server:
        check_failure(run_probe(server), "polling", "closed")


def test_chunked_answer_is_read():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(OPEN), OPEN)
    with servers.Server(servers.answering(chunked, http("502 Bad Gateway"))) as server:
        result = check_failure(run_probe(server), "polling: connect", "upstream_down")
    assert result["ping_interval"] == 25


# --- origins ----------------------------------------------------------------------------------------

ORIGIN = f"https://{NAME}"


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([], False),
        ([f"Access-Control-Allow-Origin: {ORIGIN}"], True),
        (["Access-Control-Allow-Origin: *"], True),
        (["Access-Control-Allow-Origin: https://other.example.com"], False),
        (["Access-Control-Allow-Origin: *", "Access-Control-Allow-Origin: *"], False),
        (["Access-Control-Allow-Origin: *, *"], False),
    ],
)
def test_browser_may_read_the_answer(headers, passes):
    answers = http("200 OK", OPEN, "text/plain", *headers), http("502 Bad Gateway")
    with servers.Server(servers.answering(*answers)) as server:
        result = run_probe(server, origin=ORIGIN)
    if passes:
        check_failure(result, "polling: connect", "upstream_down")
    else:
        check_failure(result, "polling", "origin_not_allowed")


# --- WebSocket --------------------------------------------------------------------------------------


def without_upgrade(answer):
    """What a service behind a proxy that drops Upgrade does."""

    def handle(connection):
        while True:
            head = servers.read_head(connection)
            if not head:
                return
            connection.sendall(answer if b"transport=websocket" in head else http("200 OK", OPEN))

    return handle


@pytest.mark.parametrize(
    "answer",
    [
        http("400 Bad Request", b'{"code":3,"message":"Bad request"}', "application/json"),
        http("400 Bad Request", b'"Invalid websocket upgrade"', "application/json"),
        http("426 Upgrade Required"),
        http("200 OK", OPEN),
        b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("transport", ["websocket", "upgrade"])
def test_upgrade_refused(answer, transport):
    with servers.Server(without_upgrade(answer)) as server:
        check_failure(run_probe(server, transports=[transport]), transport, "upgrade_refused")


def test_upstream_down_is_not_called_a_refused_upgrade():
    with servers.Server(without_upgrade(http("502 Bad Gateway"))) as server:
        check_failure(run_probe(server, transports=["websocket"]), "websocket", "upstream_down")


def accepting(after):
    def handle(connection):
        head = servers.read_head(connection).decode()
        if not head:
            return
        key = next(line[18:].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode()
            + after
        )

    return handle


@pytest.mark.parametrize("after", [b"", b"\x88\x02\x03\xf0", b"\x88\x00"])
def test_websocket_that_closes_at_once(after):
    with servers.Server(accepting(after)) as server:
        result = check_failure(run_probe(server, transports=["websocket"]), "websocket", "websocket_closed")
    assert ("1008" in result["steps"][-1]["detail"]) == (after == b"\x88\x02\x03\xf0")


@pytest.mark.parametrize("after", [b"\xff\x00", b"\x81\x80", b"\x80\x01x", b"\x81\x7f" + b"\xff" * 8, b"\x81\x02hi"])
def test_websocket_with_ill_formed_frames(after):
    with servers.Server(accepting(after)) as server:
        check_failure(run_probe(server, transports=["websocket"]), "websocket", "unexpected")


@pytest.mark.parametrize("polling", [True, False])
def test_silence_is_blamed_on_upgrade_only_where_polling_works(polling):
    def handle(connection):
        while True:
            head = servers.read_head(connection)
            if not head or b"transport=websocket" in head or not polling:
                return
            if head.startswith(b"POST"):
                connection.sendall(http("200 OK", b"ok"))
            else:
                connection.sendall(http("200 OK", b'40{"sid":"x"}' if b"sid=" in head else OPEN))

    with servers.Server(handle) as server:
        result = run_probe(server, transports=["polling", "websocket"])
    assert result["transports"] == {"polling": polling, "websocket": False}
    if polling:
        check_failure(result, "websocket", "upgrade_refused")
        assert "Polling works" in result["steps"][-1]["detail"]
    else:
        check_failure(result, "polling", "closed")


def test_handshake_with_a_made_up_accept_key():
    answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: cached\r\n\r\n"
    with servers.Server(servers.answering(answer)) as server:
        check_failure(run_probe(server, transports=["websocket"]), "websocket", "unexpected")


def test_other_transports_are_tried_after_a_failure():
    with servers.Server(without_upgrade(http("426 Upgrade Required"))) as server:
        result = run_probe(server, transports=["websocket", "polling", "upgrade"])
    names = [step["name"] for step in result["steps"]]
    assert names[2:4] == ["websocket", "polling"]
    assert "upgrade" in names
    assert result["failed_step"] == "websocket"
    assert result["transports"] == {"websocket": False, "polling": False, "upgrade": False}


def test_service_that_contradicts_itself():
    """Asked for 4 it answers in the form of 3, and the other way round: this must end."""

    def handle(connection):
        while True:
            head = servers.read_head(connection)
            if not head:
                return
            connection.sendall(http("200 OK", b"%d:%s" % (len(OPEN), OPEN) if b"EIO=4" in head else OPEN))

    with servers.Server(handle) as server:
        check_failure(run_probe(server), "polling", "unsupported_version")
        check_failure(run_probe(server, protocol=4), "polling", "unsupported_version")


# --- Socket.IO --------------------------------------------------------------------------------------


def test_refused_token():
    answers = http("200 OK", OPEN), http("200 OK", b"ok"), http("200 OK", b'44{"message":"the token has expired"}')
    with servers.Server(servers.answering(*answers)) as server:
        result = check_failure(run_probe(server, token="s3cret"), "polling: connect", "connect_refused")
    assert "the token has expired" in result["steps"][-1]["detail"]
    assert "s3cret" not in str(result)


# --- options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "connect_to"),
    [
        ("ftp://wiki.example.com/", ""),
        ("wiki.example.com:9083", ""),
        ("https://", ""),
        ("http://user:secret@wiki.example.com/", ""),
        ("http://wiki.example.com:99999/", ""),
        ("http://wiki.example.com/", "[::1"),
        ("http://wiki.example.com/", "a b"),
    ],
)
def test_bad_address(url, connect_to):
    with pytest.raises(RtcError) as caught:
        probe.check(ProbeOptions(url, connect_to=connect_to))
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("/", "/socket.io/"), ("/confluence", "/confluence/socket.io/"), ("/socket.io", "/socket.io/")],
)
def test_path_of_the_service(path, wanted):
    assert probe.service_path(path) == wanted
