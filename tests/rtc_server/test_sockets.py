# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening sockets that outlive the server: this test is the service manager that holds them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from rtc_support import PATIENCE, Client, Server, config_text, eventually, free_port, running, token

from rtc_server import cli, sockets

socketio = pytest.importorskip("socketio")


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


async def come_by_polling(http: aiohttp.ClientSession, server_url: str) -> str:
    """The address of a session that has shown its token, and is between two polls."""
    url = f"{server_url}/socket.io/?EIO=4&transport=polling"
    where = f"{url}&sid={json.loads((await (await http.get(url)).text())[1:])['sid']}"
    await http.post(where, data="40" + json.dumps({"token": token()}))
    assert (await (await http.get(where)).text())[:2] == "40"
    return where


async def test_who_comes_during_a_drain_waits_and_who_is_there_is_sent_away(server: Server) -> None:
    server.sockets = [listen(server.port)]
    server.start()
    client = await Client.open(server.url)
    await client.connect(token())
    async with aiohttp.ClientSession() as http:
        where = await come_by_polling(http, server.url)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        await client.until(client.closed.is_set, "it is sent away")
        waiting = ask(server.port)
        assert [body["reason"] for body in client.of("closing")] == ["restart"]
        assert server.process.poll() is None, "it does not wait for who is between two polls"
        said = await (await http.get(where)).text()
    assert said == '42["closing",{"reason":"restart","retry_after":0.0}]\x1e1'
    assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0
    server.start()
    assert read_status(waiting) == "HTTP/1.1 200 OK", "the server that was stopped answers 503"


class Gate:
    """A proxy that keeps its connections, and can keep polls back."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.held = 0

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[str]:
        """Its address, for as long as the block runs."""
        app = web.Application()
        app.router.add_route("*", "/socket.io/", self._pass_on)
        runner, port = web.AppRunner(app, shutdown_timeout=0.2), free_port()
        async with aiohttp.ClientSession() as self._http:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        if request.method == "GET" and not self.is_open.is_set():
            self.held += 1
            await self.is_open.wait()
        body, agent = await request.read(), {"User-Agent": request.headers["User-Agent"]}
        async with self._http.request(
            request.method, self._server.url + request.path_qs, data=body, headers=agent
        ) as to:
            return web.Response(status=to.status, body=await to.read(), content_type=to.content_type)


async def test_who_is_between_two_polls_hears_of_the_end_with_the_next(server: Server) -> None:
    """Of python-socketio's client, over connections that a proxy keeps."""
    server.sockets = [listen(server.port)]
    server.start()
    gate, client, told = Gate(server), socketio.AsyncClient(reconnection=False), list[dict[str, Any]]()
    client.on("closing", told.append)
    async with gate.run() as url:
        await client.connect(url, auth={"token": token()}, transports=["polling"])
        gate.is_open.clear()
        assert (await client.call("join", {"project": "p"}))["ok"]  # which answers the poll that waits
        await eventually(lambda: gate.held, "the next poll is on its way")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        await eventually(lambda: "draining" in server.log.read_text(), "it is being stopped")
        gate.is_open.set()
        # The library hands events on beside what it does itself.
        await eventually(lambda: told and not client.connected, "it is told why, and sent away")
        assert told == [{"reason": "restart", "retry_after": 0.0}]


async def test_who_never_polls_again_is_not_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path) as site, aiohttp.ClientSession() as http:
        where = await come_by_polling(http, site.url)
        await site.service.drain()
        assert not site.service.sessions and (await http.get(where)).status == 400


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
