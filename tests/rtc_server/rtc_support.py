# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the RTC server share: servers in this process and beside it, and a plain client.

The client is written for tests only: it speaks both protocol revisions over both transports, does nothing
by itself (no reconnection, no upgrade unless asked) and keeps all that it was sent in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import rtc_contract

from rtc_server.app import Door, attend, make_journal, make_journal_limits, make_runner, make_tokens
from rtc_server.auth import Tokens
from rtc_server.config import Config, parse
from rtc_server.engine import eio_codec
from rtc_server.journal.sqlite import SqliteJournal
from rtc_server.journal.writer import Writer
from rtc_server.service import Service

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "files/rtc_server/src"
SECRET = b"a secret for tests, long enough for HS256 0123456789"
TOKENS = Tokens([SECRET])
_ANY_CERTIFICATE = ssl._create_unverified_context()
_PORTS = itertools.count(os.getpid() * 211)
# As systemd does it (sd_listen_fds(3)): sockets from 3 on, and variables for this process only.
_HAND_OVER = """\
import os, sys
at = sys.argv.index("--")
for number, given in enumerate(sys.argv[1:at]):
    os.dup2(int(given), 3 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(at - 1))
os.execv(sys.argv[at + 1], sys.argv[at + 1 :])
"""
PATIENCE = 20.0  # seconds until a condition that should come true is given up


def token(user: str = "ann", projects: dict[str, str] | None = None, ttl: float = 300, name: str = "") -> str:
    """A token that the servers of the tests accept; by default for editing every project."""
    return TOKENS.make(user, {"*": "edit"} if projects is None else projects, ttl, name)


def free_port() -> int:
    """A port that nobody uses now, outside the range from which the kernel gives ports to clients (ip(7)): until the
    server listens, any connection of another test could get it. Processes begin in different places."""
    while True:
        port = 12_000 + next(_PORTS) % 20_000
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def config_text(directory: Path, port: int = 9083, **sections: dict[str, Any]) -> str:
    """A configuration file with its key and journal in a directory; ``sections`` are added to the defaults."""
    key = directory / "token.key"
    if not key.exists():
        key.write_bytes(SECRET)
    document: dict[str, dict[str, Any]] = {
        "server": {"port": port, "drain_seconds": 0},
        "token": {"keys": [str(key)]},
        "journal": {"path": str(directory / "journal.db")},
        "limits": {}, "heartbeat": {}, "log": {"level": "warning"},
    }  # fmt: skip
    for name, values in sections.items():
        document.setdefault(name, {}).update(values)
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None)
        for name, values in document.items()
    )


class Site:
    """A server in this process."""

    def __init__(self, config: Config, service: Service, door: Door, writer: Writer | None) -> None:
        self.config = config
        self.writer = writer
        self.service = service
        self.door = door
        self.url = f"http://127.0.0.1:{config.server.port}"

    async def connect(self, bearer: str | None = None, **options: Any) -> Client:
        """A connected client, as the user ``ann`` who may edit everything unless a token is given."""
        client = await Client.open(self.url, **options)
        await client.connect(token() if bearer is None else bearer)
        return client


@contextlib.asynccontextmanager
async def running(directory: Path, *, pings: Any = None, **sections: dict[str, Any]) -> AsyncIterator[Site]:
    """A server in this process for as long as the block runs; without a writer if its journal is on a store."""
    config = parse(config_text(directory, free_port(), **sections))
    writer: Writer | None = None
    if config.journal.store_url:
        service = Service(config, make_tokens(config), make_journal(config))
        attend(service)
    else:
        writer = Writer(config.journal.path, make_journal_limits(config))
        service = Service(config, make_tokens(config), SqliteJournal(config.journal.path, writer))
    await service.journal.start(service.projects.on_outcomes)
    service.linger = 0.5
    door = Door(service)
    runner = make_runner(service, door.peers, shutdown_timeout=0.2)
    await door.open(runner, None)
    try:
        yield Site(config, service, door, writer)
    finally:
        await hang_up()
        for session in list(service.sessions.values()):
            session.close("test over")
        door.listener.stop()
        await runner.cleanup()
        door.peers.end()
        await service.journal.close()


class Server:
    """A server in a process of its own, to be killed and started again."""

    def __init__(self, directory: Path, **sections: dict[str, Any]) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http{'s' if 'tls' in sections else ''}://127.0.0.1:{self.port}"
        self.config = directory / "config.toml"
        self.config.write_text(config_text(directory, self.port, **sections))
        self.descriptors = 0  # that the process may open; 0: as many as this one
        self.prefix: list[str] = []  # of its command
        self.source: Path | str = SOURCE  # of the release
        self.sockets: list[socket.socket] = []  # that are handed over, as systemd does
        self.process: subprocess.Popen[bytes] | None = None
        self.log = directory / "server.log"

    def start(self, status: int = 200) -> None:
        """Start and wait until ``/readyz`` answers with that status."""
        environment = {**os.environ, "PYTHONPATH": str(self.source)}
        command = [*self.prefix, sys.executable, "-m", "rtc_server", "serve", "--config", str(self.config)]
        if self.descriptors:
            command = ["sh", "-c", f'ulimit -n {self.descriptors} && exec "$@"', "sh", *command]
        given = [fcntl.fcntl(one, fcntl.F_DUPFD, 100) for one in self.sockets]  # not where they are to be
        if given:
            command = [sys.executable, "-c", _HAND_OVER, *map(str, given), "--", *command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, pass_fds=given)
        for number in given:
            os.close(number)
        give_up = time.monotonic() + PATIENCE
        while self.health("readyz")[0] != status:
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise AssertionError(f"the server did not start: {self.log.read_text()}")
            time.sleep(0.02)

    def health(self, name: str) -> tuple[int, dict[str, Any]]:
        """Status and answer of ``/healthz`` or ``/readyz``; 0 when nobody listens."""
        try:
            with urllib.request.urlopen(f"{self.url}/{name}", timeout=5, context=_ANY_CERTIFICATE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as exc:
            return exc.code, json.load(exc)
        except OSError:
            return 0, {}

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


async def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until a condition holds; its value."""
    give_up = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > give_up:
            raise AssertionError(f"never came true: {what or condition}")
        await asyncio.sleep(0.005)
    return value


_OPEN: set[Client] = set()
BREACHES: list[str] = []  # of the contract, since the test began


async def hang_up() -> None:
    """Close all clients that a test left open."""
    for client in list(_OPEN):
        await client.close()


class Closed(Exception):
    """The server ended the connection."""


class Client:
    """One Socket.IO client in the main namespace."""

    def __init__(self, url: str, transport: str, revision: int) -> None:
        self.base = url + "/socket.io/"
        self.transport = transport
        self.revision = revision
        self.sid = ""
        self.handshake: dict[str, Any] = {}
        self.events: list[tuple[str, Any]] = []  # name, body, in order
        self.other: list[str] = []  # Engine.IO packets that are not events or acknowledgements
        self.closed = asyncio.Event()
        self.news = asyncio.Event()
        self.check_contract = True
        self.breaches: list[str] = []  # of the contract, by the server
        self._acks: dict[int, tuple[str, asyncio.Future[Any]]] = {}
        self._number = 0
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._posting = asyncio.Lock()

    @classmethod
    async def open(
        cls, url: str, transport: str = "websocket", revision: int = 4, query: str = "", headers: Any = None,
        keep: bool = True,
    ) -> Client:  # fmt: skip
        """Do the Engine.IO handshake and start reading. ``keep``: connections for further requests."""
        self = cls(url, transport, revision)
        self._http = aiohttp.ClientSession(
            headers=headers, connector=aiohttp.TCPConnector(ssl=_ANY_CERTIFICATE, force_close=not keep)
        )
        _OPEN.add(self)
        where = f"{self.base}?EIO={revision}&transport={transport}{query}"
        try:
            if transport == "websocket":
                self._ws = await self._http.ws_connect(where, max_msg_size=0)
                first = await asyncio.wait_for(self._ws.receive(), PATIENCE)
                packets = [first.data]
            else:
                async with self._http.get(where) as answer:
                    if answer.status != 200:
                        raise Closed(f"{answer.status} {await answer.text()}")
                    packets = self._split(await answer.read(), answer.content_type)
        except BaseException:
            await self._http.close()
            raise
        self.handshake = json.loads(packets[0][1:])
        self.sid = self.handshake["sid"]
        self._reader = asyncio.ensure_future(self._read(packets[1:]))
        return self

    async def connect(self, bearer: str) -> None:
        """CONNECT with a token (the older clients have it in the query). Raises Closed when refused."""
        if self.revision == 4:
            await self.send("40" + json.dumps({"token": bearer}))
        await self.until(lambda: [p for p in self.other if p[:2] in ("40", "44")], "CONNECT is answered")
        refused = [p for p in self.other if p[:2] == "44"]
        if refused:
            raise Closed(refused[0])

    async def ask(self, event: str, body: Any) -> Any:
        """Emit and wait for the acknowledgement."""
        return await self.asked(event, body)

    def asked(self, event: str, body: Any) -> asyncio.Future[Any]:
        """Emit; a future of the acknowledgement, which fails with Closed when the connection ends before."""
        self._number += 1
        number = self._number
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda f: f.cancelled() or f.exception())
        self._acks[number] = (event, answer)
        if self.closed.is_set():
            answer.set_exception(Closed())
            return answer
        sending = asyncio.ensure_future(self.send(f"42{number}" + json.dumps([event, body])))

        def give_up(sent: asyncio.Future[None]) -> None:
            why = None if sent.cancelled() else sent.exception()
            if why is not None and not answer.done():
                answer.set_exception(Closed(repr(why)))

        sending.add_done_callback(give_up)
        return answer

    async def emit(self, event: str, body: Any) -> None:
        """Emit without acknowledgement."""
        await self.send("42" + json.dumps([event, body]))

    async def send(self, *packets: str) -> None:
        """Send Engine.IO packets as they are."""
        if self._ws is not None:
            for packet in packets:
                await self._ws.send_str(packet)
            return
        if self.revision == 4:
            body = "\x1e".join(packets)
        else:
            body = str(eio_codec.encode_payload_v3(packets, base64_only=True))
        async with self._posting, self._http.post(self._where(), data=body.encode()) as answer:
            if answer.status != 200:
                raise Closed(f"{answer.status} {await answer.text()}")

    async def upgrade(self) -> None:
        """Move from polling to WebSocket as the protocol says."""
        ws = await self._http.ws_connect(self._where().replace("polling", "websocket"), max_msg_size=0)
        await ws.send_str("2probe")
        assert (await ws.receive()).data == "3probe"
        assert self._reader is not None
        self.transport = "websocket"
        await self._reader  # the pending poll ends with NOOP
        async with self._posting:
            await ws.send_str("5")
            self._ws = ws
        self._reader = asyncio.ensure_future(self._read([]))

    def of(self, event: str, project: str | None = None) -> list[Any]:
        """Bodies of the events of that name."""
        return [b for n, b in self.events if n == event and (project is None or b.get("project") == project)]

    async def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Wait until a condition about this client holds; its value."""
        give_up = time.monotonic() + PATIENCE
        while not (value := condition()):
            if time.monotonic() > give_up:
                raise AssertionError(f"never came true: {what}; events {self.events[-5:]} other {self.other[-5:]}")
            if self.closed.is_set():
                if value := condition():
                    return value
                raise Closed(str(self.events[-3:] or self.other[-3:]))
            self.news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), 0.5)
        return value

    async def close(self) -> None:
        """Hang up without a word."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._ws is not None:
            await self._ws.close()
        await self._http.close()
        _OPEN.discard(self)
        self._ended()

    # --- receiving ----------------------------------------------------------------------------

    def _where(self) -> str:
        return f"{self.base}?EIO={self.revision}&transport=polling&sid={self.sid}"

    def _split(self, body: bytes, content_type: str) -> list[Any]:
        if self.revision == 4:
            return list(eio_codec.iterate_payload_v4(body.decode()))
        binary = content_type == "application/octet-stream"
        return list(eio_codec.iterate_payload_v3(body if binary else body.decode()))

    async def _read(self, packets: list[Any]) -> None:
        try:
            for packet in packets:
                await self._take(packet)
            while True:
                if self._ws is not None:
                    message = await self._ws.receive()
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    await self._take(message.data)
                else:
                    async with self._http.get(self._where()) as answer:
                        if answer.status != 200:
                            break
                        found = self._split(await answer.read(), answer.content_type)
                    for packet in found:
                        await self._take(packet)
                    if self.transport == "websocket":  # upgrading
                        return
                if "1" in self.other[-2:] or "41" in self.other[-2:]:
                    break
        except (aiohttp.ClientError, OSError):
            pass
        self._ended()

    async def _take(self, packet: str) -> None:
        if packet == "2" and self.revision == 4:
            await self.send("3")
        elif packet[:3] == "42[":
            name, body = json.loads(packet[2:])
            self.events.append((name, body))
            self._check(rtc_contract.check_event, name, body)
        elif packet[:2] == "43":
            number, _, rest = packet[2:].partition("[")
            event, answer = self._acks.pop(int(number), ("", None))
            if answer is None:  # to something that a test sent by itself
                return
            (value,) = json.loads("[" + rest)
            self._check(rtc_contract.check_answer, event, value)
            if not answer.done():
                answer.set_result(value)
        elif packet != "6":
            self.other.append(packet)
        self.news.set()

    def _check(self, check: Callable[[str, Any], None], name: str, value: Any) -> None:
        if not self.check_contract:
            return
        try:
            check(name, value)
        except AssertionError as exc:
            self.breaches.append(str(exc))
            BREACHES.append(str(exc))

    def _ended(self) -> None:
        self.closed.set()
        self.news.set()
        for _event, answer in self._acks.values():
            if not answer.done():
                answer.set_exception(Closed())
