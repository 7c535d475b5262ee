# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets that outlive the server: this test is the service manager that holds them."""

from __future__ import annotations

import contextlib
import io
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rtc_support import PATIENCE, Client, Server, config_text, free_port, token

from rtc_server import cli, sockets


def listen(port: int, address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if ":" in address:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(64)
    return sock


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, log={"level": "info"})
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.kill()
        for one in server.sockets:
            one.close()


def ask(port: int) -> socket.socket:
    """Connect and ask for readiness; the answer is to be read later."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return sock


def read_status(sock: socket.socket) -> str:
    with sock, sock.makefile("rb") as file:
        return file.readline().decode().strip()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_newcomers_wait_for_the_next_process(server: Server, end: str) -> None:
    server.sockets = [listen(server.port)]
    server.start()
    server.stop() if end == "stop" else server.kill()
    waiting = [ask(server.port) for _ in range(20)]
    server.start()
    assert {read_status(one) for one in waiting} == {"HTTP/1.1 200 OK"}
    assert server.stop() == 0
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), "the socket of the manager listens"


def test_without_a_socket_that_outlives_it_newcomers_are_refused(server: Server) -> None:
    server.start()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        ask(server.port)


async def test_who_comes_during_a_drain_waits_and_who_is_there_is_sent_away(server: Server) -> None:
    server.sockets = [listen(server.port)]
    server.start()
    client = await Client.open(server.url)
    await client.connect(token())
    # It never answers the end of its connection, so that the drain takes a while.
    silent = socket.create_connection(("127.0.0.1", server.port))
    silent.sendall(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")  # fmt: skip
    assert silent.recv(12) == b"HTTP/1.1 101"
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    await client.until(client.closed.is_set, "it is sent away")
    assert ("closing", {"reason": "restart"}) in [
        (n, {"reason": b["reason"]}) for n, b in client.events if n == "closing"
    ]
    assert server.process.poll() is None, "the drain is over too early to see anything"
    waiting = ask(server.port)
    silent.close()
    assert server.process.wait(PATIENCE) == 0
    server.start()
    assert read_status(waiting) == "HTTP/1.1 200 OK", "the server that was stopped answers 503"


def run_refused(server: Server) -> str:
    with pytest.raises(AssertionError, match="did not start"):
        server.start()
    assert server.process is not None and server.process.wait(PATIENCE) == 1
    return server.log.read_text()


def test_sockets_of_another_configuration_are_refused(server: Server) -> None:
    other = free_port()
    server.sockets = [listen(other)]
    words = f"systemd listens on 127.0.0.1:{other} instead of 127.0.0.1:{server.port} (server.address, server.port)"
    assert words in run_refused(server)


def test_a_socket_that_does_not_listen_is_refused(server: Server) -> None:
    server.sockets = [socket.socket()]
    assert f"instead of 127.0.0.1:{server.port}" in run_refused(server)


def test_a_unit_without_its_socket_says_where_to_look(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a network of its own the server would listen for nobody."""
    monkeypatch.setenv(sockets.UNIT_VARIABLE, "rtc-server@x.socket")
    assert f"rtc-server@x.socket does not listen on 127.0.0.1:{server.port}: see systemctl status" in run_refused(
        server
    )
    server.sockets = [listen(server.port)]
    server.start()


def test_sockets_of_another_process_are_none_of_ours(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LISTEN_PID", "1"), ("LISTEN_FDS", "7")):
        monkeypatch.setenv(name, value)
    server.start()


def test_all_addresses_are_two_sockets(server: Server, tmp_path: Path) -> None:
    server.config.write_text(config_text(tmp_path, server.port, server={"address": "::"}))
    try:
        server.sockets = [listen(server.port, "0.0.0.0"), listen(server.port, "::")]
    except OSError:
        pytest.skip("no IPv6 here")
    server.start()
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, server.port), timeout=PATIENCE) as sock:
            sock.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.0 200"


@pytest.mark.parametrize(
    ("address", "places", "status"),
    [
        ("127.0.0.1", ["127.0.0.1:9083"], 0),
        ("127.0.0.1", ["127.0.0.1:9084"], 1),
        ("127.0.0.1", ["0.0.0.0:9083"], 1),
        ("0:0::1", ["[::1]:9083"], 0),
        ("::", ["[::]:9083", "0.0.0.0:9083"], 0),
        ("::", ["0.0.0.0:9083"], 0),  # what systemd makes of both where the kernel has no IPv6
        ("::", ["[::]:9083"], 1),
        ("127.0.0.1", ["127.0.0.1:9083", "[::1]:9083"], 1),
        ("127.0.0.1", ["nonsense"], 1),
    ],
)
def test_whether_sockets_are_those_of_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, places: list[str], status: int
) -> None:
    text = config_text(tmp_path, 9083, server={"address": address})
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert cli.main(["check-sockets", "-", *places]) == status
    assert bool(said.getvalue()) == bool(status)
