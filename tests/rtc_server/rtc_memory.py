# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers and clients without sockets: the real service and journal, sessions on transports made of lists.

Thousands of histories can be played this way in the time that some dozens take over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from rtc_support import SECRET, config_text, token

from rtc_server.app import make_tokens
from rtc_server.config import parse
from rtc_server.engine import ProtocolError, Session, eio_codec
from rtc_server.engine.session import Handshake
from rtc_server.journal.sqlite import SqliteJournal
from rtc_server.journal.writer import Writer
from rtc_server.service import Service


class Pipe:
    """What a session sees of a WebSocket and its transport."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.stuck = 0  # bytes that a peer which does not read leaves in the buffer
        self.aborted = False
        self.transport = self
        self.over = False
        self.peer = None
        self.limit = 0
        self.resting = False

    def rest(self) -> None:
        """No client reads here that something could come too early for."""

    def write(self, data: bytes) -> None:
        if not self.aborted:
            self.written.append(data)

    def get_write_buffer_size(self) -> int:
        return self.stuck

    @property
    def buffered_amount(self) -> int:
        return self.stuck

    @property
    def blocked(self) -> bool:
        return self.stuck > 0

    def abort(self) -> None:
        self.aborted, self.stuck = True, 0

    def is_closing(self) -> bool:
        return self.aborted

    def close(self, code: int = 1000) -> None:
        self.aborted = True


def frames(data: bytes) -> list[str | bytes]:
    """Payloads of the server's WebSocket frames."""
    found: list[str | bytes] = []
    at = 0
    while at < len(data):
        opcode, length = data[at] & 15, data[at + 1]
        at += 2
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        body = data[at : at + length]
        at += length
        found.append(body.decode() if opcode == 1 else body)
    assert at == len(data)
    return found


class MemoryServer:
    """A server that can be stopped in the middle of everything and begun again on the same journal."""

    def __init__(self, directory: Path, **limits: Any) -> None:
        limits = {"changes_burst": 1_000_000, "reads_per_second": 1e6, **limits}
        self.config = parse(config_text(directory, limits=limits))
        self.tokens = make_tokens(self.config)
        assert SECRET
        self.service: Service

    async def start(self) -> None:
        self.writer = Writer(self.config.journal.path)
        self.journal = SqliteJournal(self.config.journal.path, self.writer)
        self.service = Service(self.config, self.tokens, self.journal)
        self.service.loop = asyncio.get_running_loop()
        self.service.linger = 0.0
        self.alive = True
        await self.journal.start(lambda outcomes: self.service.projects.on_outcomes(outcomes) if self.alive else None)

    async def kill(self) -> None:
        """As ``kill -9``: what is in the committing thread may be kept or not, and is not acknowledged."""
        self.alive = False
        for session in list(self.service.sessions.values()):
            session._timer.cancel()
            session.closed = True
            for socket in session.app.sockets.values():
                if socket.app is not None and socket.app.expiry is not None:
                    socket.app.expiry.cancel()
        for task in list(self.service._tasks):
            task.cancel()
        self.journal._waiting.clear()
        self.journal._busy = False
        self.journal._idle.set()
        self.writer.flush_and_close = self.writer.close  # type: ignore[method-assign]  # changes stay in batches
        await self.journal.close()

    async def stop(self) -> None:
        """In order."""
        await self.service.drain()
        await self.journal.close()


class MemoryClient:
    """One connection. ``kind``: ``ws4``, ``ws3``, ``poll4``, ``poll3``."""

    def __init__(self, server: MemoryServer, user: str, kind: str, projects: dict[str, str] | None = None) -> None:
        self.service = server.service
        self.revision = int(kind[-1])
        bearer = token(user, projects)
        query = {"token": bearer} if self.revision == 3 else {}
        handshake = Handshake(query, "192.0.2.1", None, "")
        self.session: Session = self.service._open(handshake, self.revision, False, [])
        self.session.buffer.clear()
        self.pipe: Pipe | None = None
        if kind.startswith("ws"):
            self.pipe = Pipe()
            self.session.attach(self.pipe)  # type: ignore[arg-type]
        self._bearer = bearer
        self._number = 0
        self.events: list[tuple[str, Any]] = []
        self.answers: dict[int, Any] = {}
        self.log: list[tuple[str, Any]] = []  # events and answers ("ack", number) in order

    async def connect(self) -> None:
        waiting = self.service.on_open(self.session)
        if waiting is not None:
            await waiting
        if self.revision == 4:
            await self.feed("40" + json.dumps({"token": self._bearer}))

    async def feed(self, packet: str | bytes) -> None:
        """Let the server handle a packet of this client."""
        try:
            waiting = self.session.feed(packet)
            if waiting is not None:
                await waiting
        except ProtocolError:
            self.session.close("parse error")

    async def request(self, event: str, body: Any) -> int:
        """Send a request, by turns as browsers write JSON and as Python does; the number under which its answer will be
        found."""
        self._number += 1
        separators = (",", ":") if self._number % 2 else None
        await self.feed(f"42{self._number}" + json.dumps([event, body], separators=separators))
        return self._number

    def receive(self) -> None:
        """Take what the server has sent."""
        packets: list[str | bytes]
        if self.pipe is not None:
            packets = frames(b"".join(self.pipe.written))
            self.pipe.written.clear()
        elif self.session.buffer:
            payload = self.session.drain()
            iterate = eio_codec.iterate_payload_v4 if self.revision == 4 else eio_codec.iterate_payload_v3
            packets = list(iterate(payload))  # type: ignore[operator, arg-type]
        else:
            packets = []
        for packet in packets:
            if not isinstance(packet, str):
                continue
            if packet[:3] == "42[":
                name, body = json.loads(packet[2:])
                self.events.append((name, body))
                self.log.append((name, body))
            elif packet[:2] == "43":
                number, _, rest = packet[2:].partition("[")
                (self.answers[int(number)],) = json.loads("[" + rest)
                self.log.append(("ack", int(number)))

    async def lose(self) -> None:
        """The connection breaks: what was sent and not received is lost."""
        self.session.close("transport close")
        with contextlib.suppress(Exception):
            await self.service.wait_closed(timeout=1)
