# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engine.IO on aiohttp: one route, requests to sessions."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Collection, Iterator
from typing import Any

from aiohttp import hdrs, web

from . import eio_codec as eio
from .errors import BrokenBody, ProtocolError, violations
from .hub import Hub
from .session import Handshake, Probe, Session
from .turns import PACKET_COST, Turns
from .websocket import Receiver, WebSocket, accept_key

logger = logging.getLogger(__name__)

# Error bodies of the reference server: status, code, message.
ERRORS = {
    "transport": (400, 0, "Transport unknown"),
    "sid": (400, 1, "Session ID unknown"),
    "method": (400, 2, "Bad handshake method"),
    "request": (400, 3, "Bad request"),
    "forbidden": (403, 4, "Forbidden"),
    "version": (400, 5, "Unsupported protocol version"),
    "size": (413, 3, "Payload too large"),
    "encoding": (415, 3, "Encoded bodies are not supported"),
    "jsonp": (400, 3, "JSONP is not supported"),
    "busy": (503, 3, "Too many sessions"),
    "draining": (503, 3, "Server is going away"),
}
_COUNT_INTERVAL = 0.02  # seconds between two counts of what waits for slow clients
_OCTETS = "application/octet-stream"
_MOST_PACKETS = 10_000  # in one POST; a client that was offline sends all at once
_STRANGERS_PACKETS = 16
_TAKEN_OVER = web.Response()  # what a handler returns for a connection that is a WebSocket's now; it is never sent


class Engine:
    """Sessions and the aiohttp handler. Subclass and override the ``on_`` methods.

    ``allowed_origins`` is an allow list; ``"*"`` admits every origin; empty admits only the origin of the
    request's own host. Requests without Origin do not come from a browser page and pass.
    """

    def __init__(
        self,
        *,
        ping_interval: float = 25.0,
        ping_timeout: float = 20.0,
        upgrade_timeout: float = 10.0,
        max_payload: int = 1_000_000,
        stranger_payload: int = 0,
        buffer_limit: int = 4 << 20,
        volatile_limit: int = 64 << 10,
        allowed_origins: Collection[str] | str = (),
        total_buffer_limit: int = 256 << 20,
        linger: float = 5.0,
        max_sessions: int = 0,
        max_poll_packets: int = 0,
        short_poll_agents: tuple[str, ...] = ("Python/", "python-"),
        eio_versions: Collection[int] = (3, 4),
        hub: Hub | None = None,
        label: str = "",
    ) -> None:
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.upgrade_timeout = upgrade_timeout
        self.max_payload = max_payload
        self.stranger_payload = stranger_payload or max_payload  # of a session that was not admitted
        self._most_packets = _STRANGERS_PACKETS if stranger_payload else _MOST_PACKETS
        self.buffer_limit = buffer_limit
        self.volatile_limit = volatile_limit
        self.total_buffer_limit = total_buffer_limit  # bytes that may wait for all slow clients together
        self.linger = linger  # seconds that a closed session has to take what was written to it
        self.max_sessions = max_sessions  # 0: any number
        self.max_poll_packets = max_poll_packets  # packets of one poll answer; 0: any number
        # python-engineio's client loses a poll answer of more than 16 packets
        self.short_poll_agents = short_poll_agents
        self.draining = False  # no new sessions
        self.allowed_origins = allowed_origins
        self.eio_versions = {str(r): r for r in eio_versions}
        self.hub = hub or Hub()
        # What session ids end in, so that a proxy in front of several servers can tell whose a session is. "": nothing.
        self.suffix = f".{label}" if label else ""
        self.turns = Turns()
        self.sessions: dict[str, Session] = {}
        self.opened = Counter[int]()  # sessions since the start, by version of Engine.IO
        self.ended = Counter[str]()  # by reason
        self.refused = Counter[str]()  # requests of HTTP, by key of ERRORS
        self.loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # set by the first request
        self._tasks: set[asyncio.Future[Any]] = set()
        self.slow_bytes = 0  # that wait for slow clients: counted now and then, added to in between
        self._slow_sessions: set[Session] = set()
        self._slow_timer: asyncio.TimerHandle | None = None

    # --- for the layer above ----------------------------------------------------------------

    def on_open(self, session: Session) -> Awaitable[None] | None:
        """A session was opened; its OPEN packet is on the way."""

    def on_message(self, session: Session, packet: eio.Packet) -> Awaitable[None] | None:
        """A message (text with its ``4``, or binary); may return an awaitable, in order per session."""

    def on_close(self, session: Session) -> None:
        """A session ended; ``session.reason`` is the cause."""

    def on_slow(self, session: Session, backlog: int) -> None:
        """A client's buffer is full and data for it were dropped: it must be closed, and can resume when it comes
        back."""
        session.close("slow consumer")

    def address_of(self, request: web.Request) -> str:
        """The client's address; override where a proxy stands in front of the server."""
        return request.remote or ""

    def admit(self, handshake: Handshake) -> tuple[int, str] | None:
        """None, or the HTTP status and message that a new session is refused with. May end another to make room."""
        return None

    def on_request(self, session: Session, request: web.Request) -> None:
        """A request of that session is about to be handled."""

    def on_buffers_full(self, waiting: int) -> None:
        """So many bytes wait for slow clients, which is more than may; those with most are cut off."""

    def poll_limit(self, handshake: Handshake) -> int:
        """Most packets in one poll answer for that client; 0: any number."""
        if self.max_poll_packets == 0 and handshake.user_agent.startswith(self.short_poll_agents):
            return 16
        return self.max_poll_packets

    # --- the limit that all slow clients share ------------------------------------------------

    def track_slow(self, session: Session) -> None:
        """Session: bytes wait for it that its client has not taken."""
        self._slow_sessions.add(session)
        if self._slow_timer is None:
            self._slow_timer = self.loop.call_later(_COUNT_INTERVAL, self._enforce_total_limit)

    def _enforce_total_limit(self) -> None:
        """Count what waits for slow clients, and cut off those with most until all together are within the limit."""
        self._slow_timer = None
        slow = [(s.backlog, s) for s in self._slow_sessions if s.ws is not None or not s.closed]
        self._slow_sessions = {s for size, s in slow if size}
        total = sum([size for size, _ in slow])
        if total > self.total_buffer_limit:
            self.on_buffers_full(total)
            slow.sort(key=lambda item: (item[1].closed, item[0]))  # the last ones go first: those that are being closed
            while slow and total > self.total_buffer_limit:
                size, session = slow.pop()
                session.cut_off()
                total -= size
        self.slow_bytes = total
        if self._slow_sessions:
            self._slow_timer = self.loop.call_later(_COUNT_INTERVAL, self._enforce_total_limit)

    # --- routing ----------------------------------------------------------------------------

    def attach(self, app: web.Application, path: str) -> None:
        """Serve under ``path``, and close all sessions when the application shuts down."""
        app.router.add_route("*", path, self.handle)
        app.on_shutdown.append(self._shut_down)

    async def _shut_down(self, _app: web.Application) -> None:
        for session in list(self.sessions.values()):
            session.close("server shutting down")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The one handler: handshake, poll, post, upgrade, preflight."""
        if self.loop is None:
            self.loop = asyncio.get_running_loop()
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not self._allows_origin(origin, request):
            return self._refuse("forbidden", request, None)
        if request.method == hdrs.METH_OPTIONS:
            return self._answer_preflight(origin)
        query = request.rel_url.query
        transport, sid = query.get("transport"), query.get("sid")
        if transport not in ("polling", "websocket"):
            return self._refuse("transport", request, origin)
        if "j" in query:
            return self._refuse("jsonp", request, origin)
        upgrade = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        accept = accept_key(request) if upgrade else None
        if (transport == "websocket") != (accept is not None):
            return self._refuse("request", request, origin)
        if sid is None:
            eio_version = self.eio_versions.get(query.get("EIO", ""))
            if eio_version is None:
                return self._refuse("version", request, origin)
            if request.method != hdrs.METH_GET:
                return self._refuse("method", request, origin)
            refused = self._check_handshake(request, origin)
            if not isinstance(refused, Handshake):
                return refused
            if accept is not None:
                return self._open_websocket(request, accept, eio_version, refused)
            session = self._open(refused, eio_version, query.get("b64") in ("1", "true"), ["websocket"])
            self.on_request(session, request)
            await self._announce_open(session)
            return self._answer_payload(session.drain(), origin)
        session_or_none = self.sessions.get(sid)
        if session_or_none is not None and session_or_none.is_expired():
            session_or_none.close("ping timeout")
            session_or_none = None
        if session_or_none is None:
            return self._refuse("sid", request, origin)
        session = session_or_none
        self.on_request(session, request)
        if accept is not None:
            return self._upgrade(request, accept, session)
        if session.ws is not None:
            return self._refuse("request", request, origin)
        if request.method == hdrs.METH_GET:
            if session.poll is not None:  # "HTTP long-polling": one GET at a time
                session.close("transport error" if session.is_poll_lost() else "overlapping polls")
                return self._refuse("request", request, origin)
            return self._answer_payload(await session.wait_poll(request), origin)
        if request.method == hdrs.METH_POST:
            return await self._post(request, session, origin)
        return self._refuse("request", request, origin)

    # --- handshake --------------------------------------------------------------------------

    def _check_handshake(self, request: web.Request, origin: str | None) -> web.Response | Handshake:
        """What is to be kept of an admitted handshake, or else the answer that refuses it."""
        if self.draining:
            return self._refuse("draining", request, origin)
        headers = request.headers
        agent = headers.get(hdrs.USER_AGENT, "")[:200]
        handshake = Handshake(dict(request.rel_url.query), self.address_of(request), origin, agent)
        refusal = self.admit(handshake)
        if self.max_sessions and len(self.sessions) >= self.max_sessions:
            return self._refuse("busy", request, origin)
        if refusal is None:
            return handshake
        status, message = refusal
        return web.json_response(
            {"code": 3, "message": message}, status=status, headers=self._make_cors_headers(origin)
        )

    def _open(self, handshake: Handshake, eio_version: int, base64_only: bool, upgrades: list[str]) -> Session:
        # No dot is in the first part, and Apache takes what follows the first dot for the route.
        session = Session(self, secrets.token_urlsafe(15) + self.suffix, eio_version, base64_only, handshake)
        self.sessions[session.id] = session
        self.opened[eio_version] += 1
        parameters = {
            "sid": session.id,
            "upgrades": upgrades,
            "pingInterval": round(self.ping_interval * 1000),
            "pingTimeout": round(self.ping_timeout * 1000),
            "maxPayload": self.max_payload,
        }
        session.buffer.append(eio.OPEN + json.dumps(parameters, separators=(",", ":")))
        return session

    async def _announce_open(self, session: Session) -> None:
        waiting = self.on_open(session)
        if waiting is not None:
            await waiting

    def _open_websocket(
        self, request: web.Request, accept: bytes, eio_version: int, handshake: Handshake
    ) -> web.StreamResponse:
        session = self._open(handshake, eio_version, False, [])
        self.on_request(session, request)
        ws = self._make_websocket(request, accept, session)
        ws.rest()
        session.attach(ws)
        waiting = self.on_open(session)
        if waiting is not None:
            ws.wait(waiting)
        return _TAKEN_OVER

    def _make_websocket(self, request: web.Request, accept: bytes, receiver: Receiver) -> WebSocket:
        ws = WebSocket(self.loop, receiver, self.stranger_payload, self.linger, self.turns)
        ws.take_over(request, accept)
        return ws

    def _upgrade(self, request: web.Request, accept: bytes, session: Session) -> web.StreamResponse:
        """ "Upgrade". A second attempt is opened and closed at once."""
        probe = Probe(session)
        ws = self._make_websocket(request, accept, probe)
        if session.ws is not None or session.upgrading or session.closed:
            ws.close()
        else:
            probe.begin(ws)
        return _TAKEN_OVER

    # --- polling ----------------------------------------------------------------------------

    async def _post(self, request: web.Request, session: Session, origin: str | None) -> web.Response:
        if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
            return self._refuse("encoding", request, origin)
        if session.posting:  # "HTTP long-polling": one POST at a time
            session.close("overlapping posts")
            return self._refuse("request", request, origin)
        session.posting = True
        try:
            body = await self._read_body(request, session)
            if body is None:
                session.close("payload too large")
                return self._refuse("size", request, origin)
            await self._feed_all(session, self._iterate(body, request, session.eio_version), len(body))
        except (ProtocolError, BrokenBody) as exc:
            violations.log(logger, logging.INFO, str(exc), "session %s: %s", session.id, exc)
            session.close("parse error")
            return self._refuse("request", request, origin)
        finally:
            session.posting = False
        return web.Response(text="ok", headers=self._make_cors_headers(origin))

    async def _feed_all(self, session: Session, packets: Iterator[eio.Packet], size: int) -> None:
        """Have a session handle packets of so many bytes, a share of each turn. Raises ProtocolError."""
        turns, number = self.turns, 0
        going_on = True
        while going_on:
            share = left = await turns.wait_share(size)
            began = time.perf_counter()
            waiting = None
            try:
                while left > 0 and waiting is None:
                    packet = next(packets, None)
                    if packet is None or session.closed:
                        going_on = False
                        break
                    number += 1
                    if number > (_MOST_PACKETS if session.admitted else self._most_packets):
                        raise ProtocolError("too many packets at once")
                    left -= len(packet) + PACKET_COST
                    waiting = session.feed(packet)
            finally:
                turns.settle(share, share - left)
                turns.pause_large(time.perf_counter() - began)
            if waiting is not None:
                await waiting

    async def _read_body(self, request: web.Request, session: Session) -> bytes | None:
        """The request body, or None when it is larger than the session's may be. A client that takes longer than its
        heartbeat may is disconnected, and its session ends."""
        limit = self.max_payload if session.admitted else self.stranger_payload
        if (request.content_length or 0) > limit:
            return None
        chunks: list[bytes] = []
        size = 0
        transport = request.transport
        assert transport is not None

        def give_up() -> None:
            session.close("ping timeout")
            transport.abort()

        late = self.loop.call_later(self.ping_interval + self.ping_timeout, give_up)
        try:
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > limit:
                    return None
                chunks.append(chunk)
        finally:
            late.cancel()
        return b"".join(chunks)

    @staticmethod
    def _iterate(body: bytes, request: web.Request, eio_version: int) -> Iterator[eio.Packet]:
        if eio_version == 3 and request.content_type == _OCTETS and body[:1] in (b"\0", b"\1"):
            return eio.iterate_payload_v3(body)
        try:
            text = body.decode()
        except UnicodeDecodeError as exc:
            raise ProtocolError("invalid UTF-8") from exc
        return eio.iterate_payload_v3(text) if eio_version == 3 else eio.iterate_payload_v4(text)

    def _answer_payload(self, payload: eio.Packet, origin: str | None) -> web.Response:
        headers = {**self._make_cors_headers(origin), hdrs.CACHE_CONTROL: "no-store"}
        if isinstance(payload, bytes):
            return web.Response(body=payload, content_type=_OCTETS, headers=headers)
        return web.Response(text=payload, headers=headers)

    # --- origins ----------------------------------------------------------------------------

    def _allows_origin(self, origin: str, request: web.Request) -> bool:
        allowed = self.allowed_origins
        if allowed == "*" or (not isinstance(allowed, str) and origin in allowed):
            return True
        host = request.headers.get(hdrs.HOST, "").lower()
        origin_host = origin.partition("://")[2].lower()
        return host != "" and origin_host == host

    @staticmethod
    def _make_cors_headers(origin: str | None) -> dict[str, str]:
        # no Allow-Credentials: sessions know no cookies
        return {} if origin is None else {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin, hdrs.VARY: "Origin"}

    def _answer_preflight(self, origin: str | None) -> web.Response:
        return web.Response(
            status=204,
            headers={
                **self._make_cors_headers(origin),
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Content-Type",
                hdrs.ACCESS_CONTROL_MAX_AGE: "600",
            },
        )

    def _refuse(self, what: str, request: web.Request, origin: str | None) -> web.Response:
        self.refused[what] += 1
        status, code, message = ERRORS[what]
        headers = self._make_cors_headers(origin)
        if status == 503:
            headers[hdrs.RETRY_AFTER] = "5"
        return web.json_response({"code": code, "message": message}, status=status, headers=headers)

    # --- end of sessions --------------------------------------------------------------------

    def spawn(self, work: Awaitable[Any]) -> None:
        """Run work beside everything else, such as the end of a session; a message must never cost a task."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, session: Session) -> None:
        """Session: it is closed."""
        self.sessions.pop(session.id, None)
        self.ended[session.reason] += 1
        self.on_close(session)
