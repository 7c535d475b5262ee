# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A WebSocket client over a :class:`connection.Connection` (RFC 6455), without extensions."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from typing import Mapping

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import http1, http_errors
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import Connection
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_CONTINUE, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_LIMIT = 4 << 20  # bytes of one message


def accept_key(key: str) -> str:
    """What the server has to answer to this key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 - as the RFC says


def mask(data: bytes, key: bytes) -> bytes:
    """Mask, or unmask, a payload (RFC 6455, 5.3)."""
    if not data:
        return b""
    pad = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


class WebSocket:
    """An open WebSocket. One reader and one writer: pings are answered inside :meth:`receive`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.place = connection.place

    @classmethod
    def open(cls, dialer: http1.Dialer, target: str, headers: Mapping[str, str] | None = None) -> WebSocket:
        """Shake hands on a new connection.

        :raises CheckError: no 101, or one that does not answer the key.
        """
        key = base64.b64encode(os.urandom(16)).decode()
        asked = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
        }
        connection = dialer.open()
        try:
            answer = http1.exchange(connection, dialer.endpoint, "GET", target, {**asked, **(headers or {})})
            if answer.status != 101:
                raise http_errors.answer(connection.place, answer.status, answer.headers, answer.body, websocket=True)
            if answer.headers.get("sec-websocket-accept", "").strip() != accept_key(key):
                raise http_errors.unexpected(connection.place, "the 101 does not answer the Sec-WebSocket-Key")
        except CheckError:
            connection.close()
            raise
        return cls(connection)

    def send(self, message: str | bytes) -> None:
        """Send one message: text, or binary."""
        if isinstance(message, str):
            self._send_frame(_TEXT, message.encode())
        else:
            self._send_frame(_BINARY, message)

    def _send_frame(self, opcode: int, body: bytes) -> None:
        size = len(body)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 65536:
            head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
        key = os.urandom(4)
        self.connection.send(head + key + mask(body, key))

    def receive(self) -> str | bytes:
        """The next message.

        :raises CheckError: ``websocket_closed`` at its end, ``no_answer`` after the connection's time limit.
        """
        kind, size = 0, 0
        parts: list[bytes] = []
        while True:
            final, opcode, body = self._read_frame()
            if opcode == _CLOSE:
                raise self._closed(body)
            if opcode == _PING:
                self._send_frame(_PONG, body)
            if opcode >= _CLOSE:
                continue
            if (opcode == _CONTINUE) != bool(parts):
                raise http_errors.unexpected(self.place, "WebSocket fragments out of order")
            kind = opcode or kind
            parts.append(body)
            size += len(body)
            if size > _LIMIT:
                raise http_errors.unexpected(self.place, "a WebSocket message of more than 4 MiB")
            if final:
                whole = b"".join(parts)
                return whole.decode("utf-8", "replace") if kind == _TEXT else whole

    def _read_frame(self) -> tuple[bool, int, bytes]:
        head = self._read_exact(2)
        size = head[1] & 0x7F
        if head[0] & 0x70 or head[1] & 0x80:
            raise http_errors.unexpected(self.place, "an ill-formed WebSocket frame")
        if size > 125:
            size = int.from_bytes(self._read_exact(2 if size == 126 else 8), "big")
        if size > _LIMIT:
            raise http_errors.unexpected(self.place, "a WebSocket frame of more than 4 MiB")
        return bool(head[0] & 0x80), head[0] & 0x0F, self._read_exact(size)

    def _read_exact(self, size: int) -> bytes:
        data = self.connection.read_exact(size)
        if len(data) < size:
            raise self._closed(b"")
        return data

    def _closed(self, body: bytes) -> CheckError:
        if len(body) >= 2:
            how = f"with code {int.from_bytes(body[:2], 'big')} {body[2:].decode('utf-8', 'replace')}".rstrip()
        else:
            how = "without a reason"
        return CheckError(
            "websocket_closed",
            f"{self.place} opened a WebSocket and closed it {how}.",
            "A device on the way admits the handshake but not the WebSocket itself (proxy with a time limit or an "
            "inspecting firewall), or the service restarted or refused the session.",
            "Look into the service's log; raise the proxy's time limits (proxy_read_timeout, ProxyTimeout, timeout "
            "tunnel).",
        )

    def close(self) -> None:
        """Say goodbye and end the connection; never fails."""
        with contextlib.suppress(CheckError):
            self._send_frame(_CLOSE, b"\x03\xe8")
        self.connection.close()
