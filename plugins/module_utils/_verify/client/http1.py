# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP/1.1 over a :class:`connection.Connection`, as little as checks need.

Not ``http.client``: a WebSocket begins as an HTTP answer and continues with the bytes after it, the whole answer has
one time limit, and each failure has to be explained.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass, field
from typing import Mapping

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import connection_errors, http_errors
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import (
    Connection,
    Endpoint,
    connect,
    resolve,
    start_tls,
)
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError, Checks

AGENT = "collab.rtc-check"
LIMIT = 4 << 20  # bytes of a body that are read; more is cut off


@dataclass
class Response:
    """An answer; header names in lower case, the first value of each in ``headers``, all in ``all``."""

    status: int
    http10: bool
    headers: dict[str, str]
    body: bytes = b""
    all: list[tuple[str, str]] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.all if key == name]


class Dialer:
    """Opens connections to one endpoint: its addresses, its TLS, its time limit (seconds, for each step)."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, timeout: float) -> None:
        self.endpoint = endpoint
        self.context = context
        self.timeout = timeout
        self.addresses: list[str] = []
        self.peer = ""  # the address that took the connection
        self.tls = ""  # "TLSv1.3"
        self.certificate: bytes = b""  # DER, of the peer; verified unless the step tls failed

    def check(self, checks: Checks) -> Connection:
        """A first connection, as the steps ``resolve``, ``connect`` and (for https) ``tls``."""
        with checks.step("resolve") as step:
            self.addresses = resolve(self.endpoint)
            asked = " (as connect_to says)" if self.endpoint.connect_host else ""
            step.detail = f"{self.endpoint.connect_host or self.endpoint.host}: {', '.join(self.addresses)}{asked}"
        with checks.step("connect") as step:
            sock = connect(self.endpoint, self.addresses, self.timeout)
            self.peer = sock.getpeername()[0]
            step.detail = f"{self.peer}:{sock.getpeername()[1]}"
        if self.context is None:
            return self._wrap(sock)
        with checks.step("tls") as step:
            try:
                tls = start_tls(sock, self.endpoint, self.context)
            except CheckError as exc:
                self.certificate = exc.certificate
                raise
            self.tls = tls.version() or ""
            self.certificate = tls.getpeercert(True) or b""
            step.detail = self.tls
        return self._wrap(tls)

    def open(self) -> Connection:
        """Another connection, to the address that took the first."""
        if not self.addresses:
            self.addresses = resolve(self.endpoint)
        sock = connect(self.endpoint, [self.peer] if self.peer else self.addresses, self.timeout)
        return self._wrap(sock if self.context is None else start_tls(sock, self.endpoint, self.context))

    def _wrap(self, sock: socket.socket) -> Connection:
        return Connection(sock, self.endpoint.place, self.timeout)


class Http:
    """Requests one after the other on a kept connection, which is opened anew when the server has ended it."""

    def __init__(self, dialer: Dialer, connection: Connection | None = None) -> None:
        self.dialer = dialer
        self.connection = connection

    def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Ask and read the whole answer.

        :raises CheckError: no connection, no answer, or not HTTP.
        """
        while True:
            fresh = self.connection is None
            connection = self.connection = self.connection or self.dialer.open()
            try:
                answer = exchange(connection, self.dialer.endpoint, method, target, headers, body)
            except CheckError as exc:
                self.close()
                if fresh or exc.code not in ("closed", "reset"):
                    raise
                continue  # a kept connection may end at any time
            if not keeps(answer):
                self.close()
            return answer

    def close(self) -> None:
        """End the connection."""
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def keeps(answer: Response) -> bool:
    """Whether the connection stays open after this answer (RFC 9112, 9.3)."""
    said = answer.headers.get("connection", "").lower()
    delimited = (
        "content-length" in answer.headers or "transfer-encoding" in answer.headers or answer.status in (204, 304)
    )
    return delimited and "close" not in said and (not answer.http10 or "keep-alive" in said)


def exchange(
    connection: Connection,
    endpoint: Endpoint,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Response:
    """One request and its answer. After a 101 the connection stands at the first byte of the new protocol."""
    connection.restart_clock()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {endpoint.authority}", f"User-Agent: {AGENT}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    connection.send("\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (body or b""))
    return _read_response(connection, endpoint, method)


def _read_response(connection: Connection, endpoint: Endpoint, method: str) -> Response:
    secure = endpoint.scheme == "https"
    while True:
        line = connection.read_line(4096)
        if not line:
            raise connection_errors.closed(connection.place, secure)
        parts = line.split(None, 2)
        if not line.startswith(b"HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
            raise http_errors.not_http(connection.place, line, secure)
        try:
            found = http.client.parse_headers(connection)  # it only calls readline
        except http.client.HTTPException as exc:
            raise http_errors.not_http(connection.place, line, secure) from exc
        pairs = [(name.lower(), str(value)) for name, value in found.items()]
        answer = Response(int(parts[1]), line.startswith(b"HTTP/1.0"), dict(reversed(pairs)), all=pairs)
        if answer.status == 101 or answer.status >= 200:
            break
    if answer.status != 101 and answer.status not in (204, 304) and method != "HEAD":
        answer.body = _read_body(connection, answer)
    return answer


def _read_body(connection: Connection, answer: Response) -> bytes:
    if "chunked" in answer.headers.get("transfer-encoding", "").lower():
        return _read_chunks(connection)
    length = answer.headers.get("content-length", "")
    size = int(length) if length.isdigit() else -1
    body = connection.read_exact(LIMIT if size < 0 else min(size, LIMIT))
    if len(body) < min(size, LIMIT):
        raise http_errors.unexpected(connection.place, f"the answer ended after {len(body)} of {size} bytes")
    return body


def _read_chunks(connection: Connection) -> bytes:
    parts, total = [], 0
    while total < LIMIT:
        line = connection.read_line(1024).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError as exc:
            raise http_errors.unexpected(connection.place, "the answer's chunks are ill-formed or cut short") from exc
        if size == 0:
            while connection.read_line(65536).strip():  # trailers
                pass
            break
        parts.append(connection.read_exact(size))
        total += size
        connection.read_line(16)
    return b"".join(parts)
