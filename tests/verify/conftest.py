# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real services for the checks to look at: ours, python-socketio's, and proxies in front, each in its own thread."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from types import SimpleNamespace

import pytest
import socketio
from aiohttp import web

from ansible_collections.collab.rtc.tests.unit import module_runner, servers
from rtc_server.app import make_app, make_tokens
from rtc_server.config import parse
from rtc_server.engine import SocketServer
from rtc_server.journal.sqlite import SqliteJournal
from rtc_server.service import Service
from rtc_server.strict_json import JSON

NAME = servers.NAME
ORIGIN = f"https://{NAME}"


class Running:
    """An aiohttp application on a port of its own, in a thread of its own."""

    def __init__(self, make, context=None):
        self._make = make
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error = None
        self.port = 0

    def start(self):
        self._thread.start()
        self._ready.wait()
        if self._error:
            raise self._error
        return self

    def _run(self):
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except Exception as exc:
            self._error = exc
            return
        finally:
            self._ready.set()
        self._loop.run_forever()
        self._loop.close()

    async def _start(self):
        self._runner = web.AppRunner(await self._make(), handler_cancellation=True, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    def stop(self):
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)


@pytest.fixture
def start():
    """Start an application made by a coroutine function, for as long as the test runs."""
    running = []

    def begin(make, context=None):
        running.append(Running(make, context).start())
        return running[-1]

    yield begin
    for one in reversed(running):
        one.stop()


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A root, an issuing CA, a server's TLS for the name of the tests, and the root in a Java trust store."""
    directory = tmp_path_factory.mktemp("pki")
    root = servers.Authority("Lab Root")
    issuing = servers.Authority("Lab Issuing CA", root)
    path = directory / "root.pem"
    path.write_text(root.pem)
    context = servers.server_context(directory, issuing.leaf(NAME), [issuing])
    return SimpleNamespace(root=root, issuing=issuing, path=str(path), context=context, directory=directory)


@pytest.fixture
def rtc(start, tmp_path, pki):
    """Our RTC server; call it to start one: ``rtc(tls=True, origins=[...])``."""

    numbers = itertools.count()

    def begin(tls=True, origins=(ORIGIN,), limits=""):
        key = tmp_path / "token.key"
        key.write_bytes(b"a secret of the tests that is long enough for HS256")
        config = parse(
            f'[server]\nport = 9083\norigins = {list(origins)!r}\n[token]\nkeys = ["{key}"]\n'
            f'[journal]\npath = "{tmp_path}/journal-{next(numbers)}.db"\n[limits]\n{limits}\n'
        )
        tokens = make_tokens(config)

        async def make():
            service = Service(config, tokens, SqliteJournal(config.journal.path))
            await service.journal.start(service.projects.on_outcomes)
            app = make_app(service)

            async def close(_app):
                await service.journal.close()

            app.on_cleanup.append(close)
            return app

        server = start(make, pki.context if tls else None)
        server.url = f"{'https' if tls else 'http'}://{NAME}:{server.port}/"
        server.token = tokens.make("probe", {"check": "edit"}, 300)
        server.tokens = tokens
        return server

    return begin


@pytest.fixture
def engine(start):
    """The engine alone, with one namespace that lets everybody in; options as those of the engine."""

    def begin(**options):
        async def make():
            app = web.Application()
            server = SocketServer(json=JSON, **options)
            server.namespace("/")
            server.attach(app, "/socket.io/")
            return app

        return start(make)

    return begin


@pytest.fixture
def python_socketio(start):
    """python-socketio's server, written by others."""

    def begin(**options):
        async def make():
            app = web.Application()
            socketio.AsyncServer(async_mode="aiohttp", **options).attach(app)
            return app

        return start(make)

    return begin


@pytest.fixture
def plain_proxy():
    """A reverse proxy as an untouched configuration makes it: HTTP/1.0 to the service, no Upgrade passed on."""
    running = []

    def begin(port):
        def handle(connection):
            head = servers.read_head(connection)
            if not head:
                return
            first, *lines = head.partition(b"\r\n\r\n")[0].split(b"\r\n")
            kept = [line for line in lines if line.split(b":")[0].lower() not in (b"upgrade", b"connection")]
            request = [first.replace(b"HTTP/1.1", b"HTTP/1.0"), *kept, b"Connection: close", b"", b""]
            with socket.create_connection(("127.0.0.1", port), 10) as upstream:
                upstream.sendall(b"\r\n".join(request) + head.partition(b"\r\n\r\n")[2])
                _copy_body(connection, upstream, head)
                while data := upstream.recv(65536):
                    connection.sendall(data)

        server = servers.Server(handle)
        running.append(server.__enter__())
        return server

    yield begin
    for server in running:
        server.__exit__(None, None, None)


def _copy_body(connection, upstream, head):
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    missing = int(length.partition(b":")[2]) - len(head.partition(b"\r\n\r\n")[2])
    while missing > 0:
        data = connection.recv(missing)
        if not data:
            return
        upstream.sendall(data)
        missing -= len(data)
