# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP/1.1 over a :class:`connection.Link`, as little as checks need. PRIVATE to the collection.

Not ``http.client``: a WebSocket begins as an HTTP answer and goes on with the bytes behind it, the whole answer has one
time limit, and each failure has to be explained.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass, field
from typing import Mapping

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import (
    connection,
    connection_errors,
    http_errors,
    steps,
)

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


class Route:
    """Opens links to one endpoint: its addresses, its TLS, its time limit (seconds, for each step)."""

    def __init__(self, endpoint: connection.Endpoint, context: ssl.SSLContext | None, timeout: float) -> None:
        self.endpoint = endpoint
        self.context = context
        self.timeout = timeout
        self.addresses: list[str] = []
        self.peer = ""  # the address that took the connection
        self.tls = ""  # "TLSv1.3"
        self.certificate: bytes = b""  # DER, of the peer; verified unless the step tls failed

    def check(self, checks: steps.Checks) -> connection.Link:
        """A first link, as the steps ``resolve``, ``connect`` and (for https) ``tls``."""
        with checks.step("resolve") as step:
            self.addresses = connection.resolve(self.endpoint)
            asked = " (as connect_to says)" if self.endpoint.connect_host else ""
            step.detail = f"{self.endpoint.connect_host or self.endpoint.host}: {', '.join(self.addresses)}{asked}"
        with checks.step("connect") as step:
            sock = connection.connect(self.endpoint, self.addresses, self.timeout)
            self.peer = sock.getpeername()[0]
            step.detail = f"{self.peer}:{sock.getpeername()[1]}"
        if self.context is None:
            return self._link(sock)
        with checks.step("tls") as step:
            try:
                tls = connection.start_tls(sock, self.endpoint, self.context)
            except steps.CheckError as exc:
                self.certificate = exc.certificate
                raise
            self.tls = tls.version() or ""
            self.certificate = tls.getpeercert(True) or b""
            step.detail = self.tls
        return self._link(tls)

    def open(self) -> connection.Link:
        """Another link, to the address that took the first."""
        if not self.addresses:
            self.addresses = connection.resolve(self.endpoint)
        sock = connection.connect(self.endpoint, [self.peer] if self.peer else self.addresses, self.timeout)
        return self._link(sock if self.context is None else connection.start_tls(sock, self.endpoint, self.context))

    def _link(self, sock: object) -> connection.Link:
        return connection.Link(sock, self.endpoint.place, self.timeout)  # type: ignore[arg-type]  # socket or SSLSocket


class Http:
    """Requests one after the other on a kept connection, which is opened anew when the server has ended it."""

    def __init__(self, route: Route, link: connection.Link | None = None) -> None:
        self.route = route
        self.link = link

    def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Ask and read the whole answer.

        :raises CheckError: no connection, no answer, or not HTTP.
        """
        while True:
            fresh = self.link is None
            link = self.link = self.link or self.route.open()
            try:
                answer = exchange(link, self.route.endpoint, method, target, headers, body)
            except steps.CheckError as exc:
                self.close()
                if fresh or exc.code not in ("closed", "reset"):
                    raise
                continue  # a kept connection may end at any time
            if not keeps(answer):
                self.close()
            return answer

    def close(self) -> None:
        """End the connection."""
        if self.link is not None:
            self.link.close()
        self.link = None


def keeps(answer: Response) -> bool:
    """Whether the connection stays open after this answer (RFC 9112, 9.3)."""
    said = answer.headers.get("connection", "").lower()
    delimited = (
        "content-length" in answer.headers or "transfer-encoding" in answer.headers or answer.status in (204, 304)
    )
    return delimited and "close" not in said and (not answer.http10 or "keep-alive" in said)


def exchange(
    link: connection.Link,
    endpoint: connection.Endpoint,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Response:
    """One request and its answer. After a 101 the link stands at the first byte of the new protocol."""
    link.restart_clock()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {endpoint.authority}", f"User-Agent: {AGENT}", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    link.send("\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + (body or b""))
    return _read(link, endpoint, method)


def _read(link: connection.Link, endpoint: connection.Endpoint, method: str) -> Response:
    secure = endpoint.scheme == "https"
    while True:
        line = link.read_line(4096)
        if not line:
            raise connection_errors.closed(link.place, secure)
        parts = line.split(None, 2)
        if not line.startswith(b"HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
            raise http_errors.not_http(link.place, line, secure)
        try:
            found = http.client.parse_headers(link)  # it only calls readline
        except http.client.HTTPException as exc:
            raise http_errors.not_http(link.place, line, secure) from exc
        pairs = [(name.lower(), str(value)) for name, value in found.items()]
        answer = Response(int(parts[1]), line.startswith(b"HTTP/1.0"), dict(reversed(pairs)), all=pairs)
        if answer.status == 101 or answer.status >= 200:
            break
    if answer.status != 101 and answer.status not in (204, 304) and method != "HEAD":
        answer.body = _body(link, answer)
    return answer


def _body(link: connection.Link, answer: Response) -> bytes:
    if "chunked" in answer.headers.get("transfer-encoding", "").lower():
        return _chunks(link)
    length = answer.headers.get("content-length", "")
    size = int(length) if length.isdigit() else -1
    body = link.read_exact(LIMIT if size < 0 else min(size, LIMIT))
    if len(body) < min(size, LIMIT):
        raise http_errors.unexpected(link.place, f"the answer ended after {len(body)} of {size} bytes")
    return body


def _chunks(link: connection.Link) -> bytes:
    parts, total = [], 0
    while total < LIMIT:
        line = link.read_line(1024).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError as exc:
            raise http_errors.unexpected(link.place, "the answer's chunks are ill-formed or cut short") from exc
        if size == 0:
            while link.read_line(65536).strip():  # trailers
                pass
            break
        parts.append(link.read_exact(size))
        total += size
        link.read_line(16)
    return b"".join(parts)
