# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An echo server on the engine alone, and bare HTTP and WebSocket to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from rtc_server.engine import (
    ConnectRefused,
    Engine,
    Namespace,
    PreparedMessage,
    Session,
    Socket,
    SocketServer,
    sio_codec,
)
from rtc_server.strict_json import JSON

PATIENCE = 10.0
BOTH = pytest.mark.parametrize("eio_version", [4, 3])


class Echo(Engine):
    """Engine.IO alone: sends every message back."""

    def on_message(self, session: Session, packet: Any) -> None:
        session.send(packet)


def socket_server(**options: Any) -> SocketServer:
    """Socket.IO: the events that a conformance test needs, in ``/`` and ``/custom``."""
    server = SocketServer(json=JSON, **options)

    def authorize(_socket: Socket, auth: dict[str, Any]) -> None:
        if auth.get("refuse"):
            raise ConnectRefused("refused", {"why": "asked for"})

    for name in ("/", "/custom"):
        namespace = server.namespace(name)
        namespace.authorize = authorize
        namespace.on_connect = lambda socket: socket.emit("hello", socket.namespace.name)
        namespace.on("message")(lambda socket, *args: socket.emit("message-back", *args))
        namespace.on("answer")(lambda _socket, *args: args)
        namespace.on("leave-me")(lambda socket: socket.disconnect())
        namespace.on("ask-me")(lambda socket: socket.emit("question", 1, ack=lambda *a: socket.emit("told", *a)))

        async def slow(_socket: Socket) -> str:
            await asyncio.Event().wait()
            return "never"

        async def failing(_socket: Socket) -> None:
            raise RuntimeError("as it should")

        namespace.on("slow")(slow)
        namespace.on("failing")(failing)
    return server


def publish(namespace: Namespace, room: str, event: str, *args: Any) -> None:
    """Send an event to a room's members."""
    packets = namespace.codec.encode(sio_codec.EVENT, namespace.name, [event, *args])
    namespace.hub.publish(namespace.room(room), PreparedMessage(packets))


def encode_payload(eio_version: int, *texts: str) -> str:
    if eio_version == 4:
        return "\x1e".join(texts)
    return "".join(f"{len(t.encode('utf-16-le')) // 2}:{t}" for t in texts)


class Web:
    """Bare requests to one server."""

    def __init__(self, url: str, engine: Engine, http: aiohttp.ClientSession, runner: web.AppRunner) -> None:
        self.runner = runner
        self.base = url + "/socket.io/"
        self.engine = engine
        self.http = http

    async def get(self, query: str, **options: Any) -> tuple[int, str]:
        """Status and body."""
        async with self.http.get(f"{self.base}?{query}", **options) as answer:
            return answer.status, await answer.text()

    async def post(self, query: str, body: str | bytes, **options: Any) -> tuple[int, str]:
        async with self.http.post(f"{self.base}?{query}", data=body, **options) as answer:
            return answer.status, await answer.text()

    async def open(self, eio_version: int = 4) -> str:
        """A polling session; the query that names it."""
        _, text = await self.get(f"EIO={eio_version}&transport=polling")
        sid = json.loads(text[text.index("{") : text.rindex("}") + 1])["sid"]
        return f"EIO={eio_version}&transport=polling&sid={sid}"

    async def ws(self, query: str = "EIO=4&transport=websocket", **options: Any) -> WsClient:
        wire = WsClient(await self.http.ws_connect(f"{self.base}?{query}", max_msg_size=0, **options))
        if "sid=" not in query:
            wire.opened = json.loads((await wire.take())[1:])
        return wire


class WsClient:
    """A WebSocket to the engine. Pings of Engine.IO are answered unless ``mute``."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.opened: dict[str, Any] = {}
        self.mute = False

    async def send(self, *packets: str | bytes) -> None:
        for packet in packets:
            await (self.ws.send_str(packet) if isinstance(packet, str) else self.ws.send_bytes(packet))

    async def take(self) -> Any:
        """The next packet; None when the server closed."""
        while True:
            message = await asyncio.wait_for(self.ws.receive(), PATIENCE)
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return None
            if message.data == "2" and not self.mute:
                await self.ws.send_str("3")
                continue
            return message.data

    async def closes(self) -> bool:
        """Wait for the end; what comes before it is thrown away."""
        while await self.take() is not None:
            pass
        return True


@contextlib.asynccontextmanager
async def serving(
    engine: Engine, *, tls: ssl.SSLContext | None = None, handler_cancellation: bool = True
) -> AsyncIterator[Web]:
    """The engine on a port of its own."""
    engine.linger = 0.2
    app = web.Application()
    engine.attach(app, "/socket.io/")
    runner = web.AppRunner(app, access_log=None, handler_cancellation=handler_cancellation, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as http:
        try:
            yield Web(f"{'http' if tls is None else 'https'}://127.0.0.1:{port}", engine, http, runner)
        finally:
            for session in list(engine.sessions.values()):
                session.close("test over")
            await runner.cleanup()
