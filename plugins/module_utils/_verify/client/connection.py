# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections for checks: from a URL to an address, a TCP connection and TLS."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify.client import connection_errors
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.plugins.module_utils._x509 import served_chain
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate, parse_der

_HOST = re.compile(r"[^:\s\[\]]+")  # a name or an IPv4 address
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class Endpoint:
    """Whom to ask for what, and where that is."""

    scheme: str  # "http" | "https"
    host: str  # as in the URL: name to resolve, SNI, Host header, name in the certificate
    port: int
    path: str  # starts with "/"
    query: str = ""
    connect_host: str = ""  # where to connect instead, "" for the host itself
    connect_port: int = 0  # 0 for the port itself

    @property
    def authority(self) -> str:
        """What the ``Host`` header says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The origin of this URL, as a browser writes it."""
        return f"{self.scheme}://{self.authority}"

    @property
    def place(self) -> str:
        """For messages: ``name:port`` and, when it is not the same, where it was looked for."""
        where = f"{self.host}:{self.port}"
        if not self.connect_host:
            return where
        return f"{where} (at {self.connect_host}:{self.connect_port or self.port})"


def parse_url(url: str, connect_to: str = "") -> Endpoint:
    """Take a URL and a ``connect_to`` (``address``, ``address:port``, ``[address]:port``) apart.

    :raises RtcError: not an http or https URL with a host, or an address that is not one.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise RtcError(f"{url!r} is not a URL: {exc}.", "Write it as https://name:port/.") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RtcError(f"{url!r} is not an http or https URL.", "Write it as https://name:port/.")
    if parts.username or parts.password:
        raise RtcError("The URL holds a user name or password.", "Leave it out: it would show in logs.")
    host, other = _split_address(connect_to)
    return Endpoint(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or (443 if parts.scheme == "https" else 80),
        path=parts.path or "/",
        query=parts.query,
        connect_host=host,
        connect_port=other,
    )


def _split_address(text: str) -> tuple[str, int]:
    """Host (name or address) and port of ``connect_to``; "" and 0 for what it leaves out."""
    if not text or _is_ipv6(text):
        return text, 0  # an IPv6 address alone: its colons belong to it
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, "0"
    bracketed = host[:1] == "[" and host[-1:] == "]"
    host = host[1:-1] if bracketed else host
    fits = _is_ipv6(host) if bracketed else _HOST.fullmatch(host)
    if not fits or not _PORT.fullmatch(port):
        raise RtcError(f"connect_to: {text!r} is not an address.", "Write address, address:port or [IPv6]:port.")
    return host, int(port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])  # before Python 3.9 it takes no zone
    except ValueError:
        return False
    return True


def resolve(endpoint: Endpoint) -> list[str]:
    """The addresses to connect to, in the order of the system's preference.

    :raises CheckError: the name has none.
    """
    name = endpoint.connect_host or endpoint.host
    try:
        found = socket.getaddrinfo(name, endpoint.connect_port or endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise connection_errors.unresolved(name, exc) from exc
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def connect(endpoint: Endpoint, addresses: list[str], timeout: float) -> socket.socket:
    """A TCP connection to the first address that takes one; the time limit (seconds) is for each address.

    :raises CheckError: none does.
    """
    port = endpoint.connect_port or endpoint.port
    errors: list[tuple[str, OSError]] = []
    for address in addresses:
        try:
            sock = socket.create_connection((address, port), timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as exc:
            errors.append((f"{address}:{port}", exc))
    raise connection_errors.unreachable(endpoint.place, errors, timeout)


def start_tls(sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext) -> ssl.SSLSocket:
    """TLS on a connection, with the chain and the name verified.

    :raises CheckError: with what is wrong with the certificate; the socket is closed then.
    """
    address, port = sock.getpeername()[:2]
    timeout = sock.gettimeout() or 10.0
    try:
        return context.wrap_socket(sock, server_hostname=endpoint.host)
    except (OSError, ValueError) as exc:
        sock.close()
        chain: list[Certificate] = []
        whole = True
        if isinstance(exc, ssl.SSLCertVerificationError):
            chain, whole = presented(address, port, endpoint.host, timeout)
        failed = connection_errors.tls(endpoint.place, endpoint.host, exc, chain, whole)
        failed.certificate = chain[0].der if chain else b""
        raise failed from exc


def presented(address: str, port: int, name: str, timeout: float) -> tuple[list[Certificate], bool]:
    """What the server presents, read without believing it (``[]``: cannot be seen), and whether that is all of it."""
    try:
        return served_chain.fetch_chain(address, port, name, timeout), True
    except RtcError:
        pass  # a server of TLS 1.3 alone, an old Python and no openssl: at least the leaf can be seen
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is sent or believed: it is only looked at
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), timeout) as sock, context.wrap_socket(
            sock, server_hostname=name
        ) as tls:
            return [parse_der(tls.getpeercert(True) or b"")], False
    except (OSError, ValueError, RtcError):
        return [], False


class Connection:
    """A connection that is read with one time limit for all of an answer, not for each piece of it."""

    def __init__(self, sock: socket.socket, place: str, timeout: float) -> None:
        self.place = place
        self.timeout = timeout
        self._sock = sock
        self._buffer = b""
        self._deadline = time.monotonic() + timeout

    def restart_clock(self) -> None:
        """The time limit counts from now."""
        self._deadline = time.monotonic() + self.timeout

    def send(self, data: bytes) -> None:
        """Write all of it."""
        try:
            self._sock.settimeout(self.timeout)
            self._sock.sendall(data)
        except OSError as exc:
            raise self._failed(exc) from exc

    def read_line(self, limit: int = 65536) -> bytes:
        """A line with its end; what is there, when the connection ends before."""
        while b"\n" not in self._buffer and len(self._buffer) < limit and self._fill():
            pass
        at = self._buffer.find(b"\n") + 1 or len(self._buffer)
        return self._take(min(at, limit))

    # the name that http.client.parse_headers wants
    readline = read_line

    def read_exact(self, size: int) -> bytes:
        """So many bytes; fewer only when the connection ends."""
        while len(self._buffer) < size and self._fill():
            pass
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _fill(self) -> bool:
        left = self._deadline - time.monotonic()
        try:
            if left <= 0:
                raise socket.timeout
            self._sock.settimeout(left)
            data = self._sock.recv(65536)
        except OSError as exc:
            raise self._failed(exc) from exc
        self._buffer += data
        return bool(data)

    def _failed(self, exc: OSError) -> CheckError:
        return connection_errors.interrupted(self.place, exc, self.timeout)

    def close(self) -> None:
        """End the connection; never fails."""
        with contextlib.suppress(OSError):
            self._sock.close()
