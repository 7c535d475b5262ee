# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small blocking client of Engine.IO 3 and 4 and Socket.IO, made for looking at each step.

It keeps no heartbeat of its own: a session lasts as long as a check (seconds), a server's pings are answered.
"""

from __future__ import annotations

import json
import time
from collections import deque
from typing import Any, Callable
from urllib.parse import urlencode

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import http1, http_errors, packets
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import Connection
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.websocket import WebSocket


class PollingTransport:
    """HTTP long-polling: one request at a time on a kept connection."""

    name = "polling"

    def __init__(self, client: Client, connection: Connection | None) -> None:
        self._client = client
        self._http = http1.Http(client.dialer, connection)

    def receive(self) -> list[str | bytes]:
        """The packets of one poll."""
        answer = self._request("GET", None)
        try:
            revision, received = packets.decode_payload(answer.body)
        except packets.PacketError as exc:
            place = self._client.place
            known = http_errors.answer(place, answer.status, answer.headers, answer.body)
            raise known if known.code == "not_rtc" else http_errors.unexpected(place, str(exc)) from exc
        self._client.spoken = revision
        return received

    def send(self, packet: str) -> None:
        """Post one packet."""
        answer = self._request("POST", packets.encode_payload([packet], self._client.revision))
        if answer.body.strip().lower() != b"ok":
            raise http_errors.answer(self._client.place, answer.status, answer.headers, answer.body)

    def _request(self, method: str, body: bytes | None) -> http1.Response:
        client = self._client
        headers = dict(client.headers)
        if body is not None:
            headers["Content-Type"] = "text/plain;charset=UTF-8"
        answer = self._http.request(method, client.target("polling"), headers, body)
        if answer.status != 200:
            raise http_errors.answer(client.place, answer.status, answer.headers, answer.body)
        if client.origin and client.origin != client.dialer.endpoint.origin:
            refused = http_errors.cors(client.place, client.origin, answer.values("access-control-allow-origin"))
            # A page that is no RTC service has no such header either: that is the greater trouble.
            if refused is not None and answer.body[:1] != b"<":
                raise refused
        return answer

    def close(self) -> None:
        """End the connection, not the session."""
        self._http.close()


class WebSocketTransport:
    """A WebSocket: packets are messages."""

    name = "websocket"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._websocket = WebSocket.open(client.dialer, client.target("websocket"), client.headers)

    def receive(self) -> list[str | bytes]:
        """One packet."""
        self._websocket.connection.restart_clock()
        packet = self._websocket.receive()
        if isinstance(packet, bytes) and self._client.revision == 3:
            packet = packet[1:]  # its type byte
        return [packet]

    def send(self, packet: str) -> None:
        """Send one packet."""
        self._websocket.send(packet)

    def close(self) -> None:
        """Close the WebSocket, and so the session."""
        self._websocket.close()


class Client:
    """One session. Use :meth:`open`, perhaps :meth:`upgrade`, :meth:`connect`, then events; :meth:`close` always.

    All methods raise :class:`steps.CheckError` with the likely cause.

    :param path: of the service, ``/socket.io/``.
    :param origin: sent as ``Origin``, as a browser page would; the answers must then allow it.
    """

    def __init__(
        self, dialer: http1.Dialer, path: str = "/socket.io/", revision: int = 4, origin: str = "", token: str = ""
    ) -> None:
        self.dialer = dialer
        self.path = path
        self.revision = revision
        self.spoken = revision  # the form of the server's answers
        self.origin = origin
        self.headers = {"Origin": origin} if origin else {}
        self.place = dialer.endpoint.place
        self.handshake: dict[str, Any] = {}
        self._token = token
        self._transport: PollingTransport | WebSocketTransport | None = None
        self._waiting: deque[str | bytes] = deque()
        self._events: list[list[Any]] = []
        self._number = 0

    @property
    def transport(self) -> str:
        """``polling`` or ``websocket``, as it is now."""
        return self._transport.name if self._transport else ""

    def target(self, transport: str) -> str:
        """Path and query of a request."""
        query = {"EIO": str(self.revision), "transport": transport}
        if self.handshake:
            query["sid"] = self.handshake["sid"]
        elif self.revision == 3 and self._token:
            query["token"] = self._token  # the old dialect has no other place for it
        return f"{self.path}?{urlencode(query)}"

    def open(self, transport: str, connection: Connection | None = None) -> dict[str, Any]:
        """The Engine.IO handshake over ``polling`` or ``websocket``; returns what the server says of the session."""
        self._transport = PollingTransport(self, connection) if transport == "polling" else WebSocketTransport(self)
        received = deque(self._transport.receive())
        first = received.popleft() if received else ""
        if not isinstance(first, str) or first[:1] != packets.OPEN:
            raise http_errors.unexpected(self.place, f"no Engine.IO handshake, but {first[:40]!r}")
        try:
            handshake = json.loads(first[1:])
            if not isinstance(handshake.get("sid"), str):
                raise ValueError("no session id")
        except (ValueError, AttributeError, RecursionError) as exc:
            raise http_errors.unexpected(self.place, f"an ill-formed Engine.IO handshake: {exc}") from exc
        self.handshake = handshake
        self._waiting = received
        return self.handshake

    def upgrade(self) -> None:
        """Move a polling session to a WebSocket (Engine.IO protocol, "Upgrade")."""
        polling = self._transport
        websocket = WebSocketTransport(self)
        try:
            websocket.send(packets.PING + "probe")
            answer = websocket.receive()[0]
            if answer != packets.PONG + "probe":
                raise CheckError(
                    "probe_refused",
                    f"{self.place} answered {answer[:40]!r} to the probe of the upgrade.",
                    "The WebSocket reached another server than the polling session, or something changes its messages.",
                    "Make the load balancer keep a client on one node for this port.",
                )
            websocket.send(packets.UPGRADE)
        except CheckError:
            websocket.close()
            raise
        if polling is not None:
            polling.close()
        self._transport = websocket

    def connect(self) -> str:
        """Join the main namespace with the token; returns the socket's id ("" in the old dialect).

        A server of the old dialect joins by itself: its packet without id tells that it is one (``revision`` is 3
        then).
        """
        if self.revision == 4:
            self._post(packets.encode(packets.CONNECT, {"token": self._token} if self._token else None))
        while True:
            packet = self._next_message()
            if packet.namespace != "/":
                continue
            if packet.kind == packets.CONNECT_ERROR:
                raise self._refused(packet.data)
            if packet.kind == packets.DISCONNECT:
                raise self._refused("disconnected at once")
            if packet.kind == packets.CONNECT:
                if isinstance(packet.data, dict):
                    return str(packet.data.get("sid", ""))
                self.revision = 3
                return ""

    def _refused(self, data: Any) -> CheckError:
        words = data.get("message", data) if isinstance(data, dict) else data
        return CheckError(
            "connect_refused",
            f"{self.place} refused to connect: {words}.",
            "The transport works; the service did not accept the token: there is none, it has ended, it is signed with "
            "another key, or a clock is wrong.",
            "Make a fresh token with the service's own key (rtc-server token), and compare the clocks.",
        )

    def call(self, event: str, *args: Any) -> list[Any]:
        """Emit an event and wait for its acknowledgement; events that come meanwhile are kept for :meth:`wait_for`."""
        number = self._number
        self._number += 1
        self._post(packets.encode(packets.EVENT, [event, *args], number))
        while True:
            packet = self._next_message()
            if packet.kind == packets.ACK and packet.id == number:
                return list(packet.data)
            self._keep(packet)

    def wait_for(self, event: str, wanted: Callable[[list[Any]], bool] = lambda _args: True) -> list[Any]:
        """The arguments of the first event of that name which is wanted, also of those that came before.

        Each received packet restarts the time limit of the connection, so this has one of its own, as long.
        """
        end = time.monotonic() + self.dialer.timeout
        while True:
            for at, kept in enumerate(self._events):
                if kept[0] == event and wanted(kept[1:]):
                    return self._events.pop(at)[1:]
            if time.monotonic() > end:
                raise CheckError(
                    "no_event",
                    f"{self.place}: no event {event!r} within {self.dialer.timeout:g} s.",
                    "The service is connected, but does not deliver.",
                    "Look into the service's log.",
                )
            self._keep(self._next_message())

    def _keep(self, packet: packets.Packet) -> None:
        if packet.kind == packets.DISCONNECT:
            raise self._refused("disconnected")
        if packet.kind == packets.EVENT:
            self._events.append(packet.data)

    def ping(self) -> None:
        """A ping of the client and its answer: only revision 3 has it."""
        self._post(packets.PING)
        while self._next_packet() != packets.PONG:
            pass

    def _post(self, packet: str) -> None:
        if self._transport is None:
            raise RuntimeError("not open")
        self._transport.send(packet)

    def _next_packet(self) -> str | bytes:
        while not self._waiting:
            if self._transport is None:
                raise RuntimeError("not open")
            self._waiting.extend(self._transport.receive())
        return self._waiting.popleft()

    def _next_message(self) -> packets.Packet:
        while True:
            packet = self._next_packet()
            if not isinstance(packet, str):
                continue  # an attachment
            if packet[0] == packets.PING and self.revision == 4:
                self._post(packets.PONG + packet[1:])
            elif packet[0] == packets.CLOSE:
                raise self._refused("the session was closed")
            elif packet[0] == packets.MESSAGE:
                try:
                    return packets.decode(packet)
                except packets.PacketError as exc:
                    raise http_errors.unexpected(self.place, str(exc)) from exc

    def close(self) -> None:
        """End the session; never fails."""
        try:
            if isinstance(self._transport, PollingTransport) and self.handshake:
                self._transport.send(packets.CLOSE)
        except CheckError:
            pass
        if self._transport is not None:
            self._transport.close()
        self._transport = None
