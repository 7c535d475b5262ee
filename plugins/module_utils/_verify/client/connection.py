# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections for checks: an address, a TCP connection, TLS that trusts what it is told to. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Iterable
from urllib.parse import urlsplit

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._verify.client import connection_errors
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate, server_certificate

_PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN; ssl names it from Python 3.10 on


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
    if not text:
        return "", 0
    found = re.match(
        r"^\[([0-9A-Fa-f:.%\w]+)\](?::(\d{1,5}))?$|^([^:\s\[\]]+)(?::(\d{1,5}))?$|^([0-9A-Fa-f:.]+)$", text
    )
    if found is None:
        raise RtcError(f"connect_to: {text!r} is not an address.", "Write address, address:port or [IPv6]:port.")
    return found[1] or found[3] or found[5], int(found[2] or found[4] or 0)


# --- trust ------------------------------------------------------------------------------------------


def certificates_of(source: str) -> list[bytes]:
    """The certificates (DER) of a PEM text, or of a file in PEM, DER or PKCS#7.

    :raises RtcError: unreadable, or no certificate in it.
    """
    if "-----BEGIN" in source:
        found = certificate.parse_pem(source, "ca")
    else:
        found = certificate.parse(_files.read_bytes(source, 4 << 20), source)
    return [item.der for item in found]


def trust(certificates: Iterable[bytes], system: bool = False) -> ssl.SSLContext:
    """A TLS client that trusts these certificates (DER), and the system's only when asked.

    Each of them is trusted as it stands, an issuing CA or a server's own certificate too: so does Java.

    :raises RtcError: one of them is not a certificate that OpenSSL reads.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags(_PARTIAL_CHAIN)
    if system:
        context.load_default_certs()
    try:
        for der in certificates:
            context.load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError) as exc:
        raise RtcError(f"ca: a certificate cannot be read: {exc}.", "Give PEM certificates.") from exc
    return context


def trust_more(context: ssl.SSLContext, certificates: Iterable[bytes]) -> None:
    """Trust these too, as far as OpenSSL can read them: a Java trust store holds whatever was put into it."""
    for der in certificates:
        with contextlib.suppress(ssl.SSLError, ValueError):
            context.load_verify_locations(cadata=der)


# --- connections ------------------------------------------------------------------------------------


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
        chain: list[certificate.Certificate] = []
        whole = True
        if isinstance(exc, ssl.SSLCertVerificationError):
            chain, whole = presented(address, port, endpoint.host, timeout)
        failed = connection_errors.tls(endpoint.place, endpoint.host, exc, chain, whole)
        failed.certificate = chain[0].der if chain else b""
        raise failed from exc


def presented(address: str, port: int, name: str, timeout: float) -> tuple[list[certificate.Certificate], bool]:
    """What the server presents, read without believing it (``[]``: cannot be seen), and whether that is all of it."""
    try:
        return server_certificate.fetch_chain(address, port, name, timeout), True
    except RtcError:
        pass  # a server of TLS 1.3 alone, and an old Python without the program openssl: the leaf is to be had
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is sent or believed: it is only looked at
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), timeout) as sock, context.wrap_socket(
            sock, server_hostname=name
        ) as tls:
            return [certificate.parse_der(tls.getpeercert(True) or b"")], False
    except (OSError, ValueError, RtcError):
        return [], False


class Link:
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
