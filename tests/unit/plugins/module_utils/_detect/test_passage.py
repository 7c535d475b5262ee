# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back when RTC is asked for; against servers that say what a test wants. Real ones: tests/proxies."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import threading

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._detect import passage
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen, Route, Upstream, VirtualHost

NAME = "wiki.example.com"
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
OPEN = '0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}'


@pytest.fixture
def server():
    """A function: what to send to each request, or how to treat the connection -> port, and the requests that came."""
    sockets = []

    def start(answer):
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        seen = []

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = listener.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection):
            with contextlib.suppress(OSError), connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    part = connection.recv(65536)
                    if not part:
                        return
                    data += part
                seen.append(data.decode())
                text = answer(data.decode())
                if text is None:  # no answer
                    connection.recv(1)
                else:
                    connection.sendall(text.encode("latin-1"))

        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1], seen

    yield start
    for item in sockets:
        item.close()


def http(status, body="", *headers):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", body])


def polling_alone(payload, *headers):
    """A service, or a way to it, without WebSockets."""

    def answer(request):
        if "Upgrade: websocket" in request:
            return http(400, "no")
        return http(200, "ok" if request.startswith("POST") else payload, *headers)

    return answer


ORIGIN = f"Access-Control-Allow-Origin: http://{NAME}"


@pytest.mark.parametrize("payload", [OPEN, f"{len(OPEN)}:{OPEN}2:40", f"\x00\x08\x04\xff{OPEN}"])
def test_forms_of_the_first_packet(server, payload):
    port, seen = server(polling_alone(payload, ORIGIN))
    found = passage.ask(passage.Question(NAME, "127.0.0.1", port))
    assert (found.polling, found.websocket, found.upgrade, found.outcome) == ("passed", "stopped", "stopped", "stopped")
    assert f"Host: {NAME}:{port}\r\n" in seen[0]
    assert f"Origin: http://{NAME}\r\n" in seen[0]
    (post,) = [request for request in seen if request.startswith("POST")]
    assert ("EIO=3" in post) == (payload != OPEN)


@pytest.mark.parametrize(
    ("answer", "outcome", "words"),
    [
        (http(403, "<html><head><title>403 Forbidden</title></head>", "Server: nginx"), "stopped", "403 Forbidden, Server: nginx"),
        (http(302, "", "Location: https://wiki.example.com/login?secret=1"), "stopped", "a redirect to https://wiki.example.com/login)"),
        (http(200, "<html>Log in</html>"), "stopped", "200 came back"),
        (http(200, '0{"no":"session"}'), "stopped", "200 came back"),
        (http(404, '{"message": "null for uri"}'), "stopped", "404 came back"),
        (http(503), "down", "503 came back"),
        (http(429), "unknown", "429 came back"),
        (http(400, '{"code": 0, "message": "Transport unknown"}'), "stopped", "RTC answered 400: Transport unknown"),
        (http(503, '{"code": 3, "message": "busy"}'), "unknown", "RTC answered 503: busy"),
        (http(200, OPEN, ORIGIN, "Access-Control-Allow-Origin: *"), "stopped", "comes 2 times"),
        (http(200, OPEN, "Access-Control-Allow-Origin: *, *"), "stopped", "comes 2 times"),
        (http(200, OPEN), "stopped", "is taken out"),
        (http(200, OPEN, "Access-Control-Allow-Origin: https://other.example.com"), "stopped", "is https://other.example.com"),
        ("SSH-2.0-OpenSSH\r\n", "stopped", "no HTTP"),
        ("", "stopped", "closed without an answer"),
    ],
)  # fmt: skip
def test_other_answers(server, answer, outcome, words):
    port, _seen = server(lambda request: answer)
    found = passage.ask(passage.Question(NAME, "127.0.0.1", port))
    assert (found.polling, found.outcome) == (outcome, outcome)
    assert words in found.words
    assert "secret" not in found.words


@pytest.mark.parametrize(("pages", "outcome"), [("", "stopped"), ("/etc/nginx/x:1 error_page 502 /50x.html", "down")])
def test_a_page_for_an_upstream_that_does_not_answer(server, pages, outcome):
    """It comes with any status: that of the page is "404" where the file is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = Upstream("http", "127.0.0.1", listener.getsockname()[1])
    port, _seen = server(lambda request: http(404))
    found = passage.ask(passage.Question(NAME, "127.0.0.1", port, pages=pages), [nobody])
    assert (found.polling, found.outcome) == (outcome, outcome)
    assert pages in found.words
    there, _seen = server(polling_alone(OPEN, ORIGIN))
    answering = [Upstream("http", "127.0.0.1", there)]
    assert passage.ask(passage.Question(NAME, "127.0.0.1", port, pages=pages), answering).outcome == "stopped"


@pytest.mark.parametrize("missing", ["", "Upgrade", "Connection", "Sec-WebSocket-Accept"])
def test_what_browsers_ask_of_a_handshake(server, missing):
    def answer(request):
        key = re.search("Sec-WebSocket-Key: (.*)\r", request)
        if not key:
            return http(200, "ok" if request.startswith("POST") else OPEN, ORIGIN)
        accept = base64.b64encode(hashlib.sha1((key[1] + GUID).encode()).digest()).decode()
        lines = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if name != missing)
        return f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n\x81{chr(len(OPEN))}{OPEN}"

    port, _seen = server(answer)
    found = passage.ask(passage.Question(NAME, "127.0.0.1", port))
    assert (found.polling, found.websocket) == ("passed", "stopped" if missing else "passed")


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = passage.ask(passage.Question(NAME, "127.0.0.1", port))
    assert (found.outcome, found.words) == ("unknown", f"nothing listens on 127.0.0.1 port {port}")


def test_a_page_of_another_origin_is_admitted_only(server):
    def answer(request):
        return http(403, '{"code": 4, "message": "Forbidden"}') if "Origin:" in request else http(200, OPEN)

    port, _seen = server(answer)
    assert passage.ask(passage.Question(NAME, "127.0.0.1", port)).polling == "passed"


def test_what_says_that_a_running_service_is_down_is_in_its_way(server):
    way, _seen = server(lambda request: http(503))
    service, _seen = server(polling_alone(OPEN, ORIGIN))
    upstreams = [Upstream("https", "127.0.0.1", service)]
    found = passage.ask(passage.Question(NAME, "127.0.0.1", way), upstreams)
    assert found.outcome == "stopped"
    assert found.words.endswith("and RTC answers when it is asked directly")


def test_what_has_rtcs_place_behind_a_proxy_is_not_in_the_proxys_way(server):
    def refuse(request):
        return http(404, "<title>Error response</title>Nothing matches the given URI.")

    service, _seen = server(refuse)
    way, _seen = server(lambda request: refuse(request).replace("Connection:", "Server: nginx\r\nConnection:"))
    found = passage.ask(passage.Question(NAME, "127.0.0.1", way), [Upstream("http", "127.0.0.1", service)])
    assert (found.outcome, found.polling) == ("down", "down")
    assert found.words == "404 came back (Error response, Server: nginx), as from its upstream itself"


@pytest.mark.parametrize(
    "direct", [http(404, "not that page"), http(403, "a page"), polling_alone(OPEN, ORIGIN)(""), ""]
)
def test_a_proxy_whose_upstream_answers_otherwise_is_in_the_way(server, direct):
    way, _seen = server(lambda request: http(404, "a page"))
    service, _seen = server(lambda request: direct)
    found = passage.ask(passage.Question(NAME, "127.0.0.1", way), [Upstream("http", "127.0.0.1", service)])
    assert (found.outcome, found.words) == ("stopped", "404 came back")


def test_httpd_is_not_sent_to_a_service_that_does_not_run(server):
    port, seen = server(lambda request: http(400))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = listener.getsockname()[1]
    question = passage.Question(NAME, "127.0.0.1", port, kind="apache")
    assert passage.ask(question, [Upstream("http", "127.0.0.1", nowhere)]).outcome == "down"
    assert all("Max-Forwards: 0" in request for request in seen)


def test_a_proxy_that_does_not_answer_takes_its_time_and_no_more(server, monkeypatch):
    monkeypatch.setattr(passage, "STEP_SECONDS", 30.0)
    monkeypatch.setattr(passage, "ALL_SECONDS", 0.3)
    port, _seen = server(lambda request: None)
    other, _seen = server(polling_alone(OPEN, ORIGIN))
    hosts = [
        VirtualHost([NAME, "*.example.com", "~^x"], [ProxyListen("127.0.0.1", item)], [Route("/")])
        for item in (port, other)
    ]
    done = []
    proxy = Proxy("nginx", hosts=hosts)
    thread = threading.Thread(
        target=lambda: done.append(passage.look_through(proxy, [], [port, other], [])), daemon=True
    )
    thread.start()
    thread.join(20)
    ((found,),) = done
    assert (found.name, found.port) == (NAME, other)


@pytest.mark.parametrize(
    ("address", "dual", "place"),
    [("*", False, "10.0.0.1"), ("::", False, "fd00::1"), ("::", True, "10.0.0.1"), ("192.0.2.7", False, "192.0.2.7")],
)
def test_whom_it_asks_for_what(address, dual, place):
    hosts = [
        VirtualHost(
            [], [ProxyListen(address, 9083, True, dual=dual)], certificate_names=["*.example.com", NAME.upper()]
        ),
        VirtualHost(["other.example.com"], [ProxyListen("*", 443)]),
    ]
    targets = passage._list_targets(
        Proxy("haproxy", hosts=hosts),
        ["jira.example.com"],
        {9083, 9093},
        ["10.0.0.9", "10.0.0.1", "fd00::1"],
        "10.0.0.1",
    )
    asked = [(item.name, item.address, item.port, item.tls) for _listen, item, _upstreams in targets]
    assert asked == [("jira.example.com", place, 9083, True), (NAME, place, 9083, True)]
