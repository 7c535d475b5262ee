# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers on loopback for tests of clients: certificates, TLS, and servers that answer wrongly on purpose."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
NAME = "wiki.example.com"


class Authority:
    """A CA; ``issuer`` None makes it a root."""

    def __init__(self, name, issuer=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.issuer = issuer
        self.certificate = _certificate(name, self.key, issuer, ca=True)

    @property
    def pem(self):
        return _pem(self.certificate)

    def leaf(self, *names, start=-1, end=90):
        """A server's key and certificate as (Certificate, key), valid from and to so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _certificate(names[0], key, self, names=names, start=start, end=end), key


def self_signed(*names):
    key = ec.generate_private_key(ec.SECP256R1())
    return _certificate(names[0], key, None, names=names), key


def _certificate(name, key, issuer, ca=False, names=(), start=-1, end=90):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start * DAY)
        .not_valid_after(NOW + end * DAY)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(item) for item in names]), critical=False)
    return builder.sign((issuer.key if issuer else key), hashes.SHA256())


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def server_context(directory, leaf, chain=(), highest=None, lowest=None):
    """TLS of a server that presents the leaf and these authorities."""
    certificate, key = leaf
    path = directory / f"server-{certificate.serial_number}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path.write_text(private + _pem(certificate) + "".join(item.pem for item in chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    if highest:
        context.maximum_version = highest
    if lowest:
        context.minimum_version = lowest
    return context


class Server:
    """Runs ``handler(connection)`` for each connection, in threads of its own; use as a context manager."""

    def __init__(self, handler, context=None):
        self._handler = handler
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._open = set()
        self._ended = False

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exc):
        self._ended = True
        # wakes the accepting thread: closing alone does not
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.close()

    def _accept(self):
        while not self._ended:
            try:
                connection, _peer = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(20)
        self._open.add(connection)
        with contextlib.suppress(OSError, ValueError), connection:
            if self._context is None:
                self._handler(connection)
                return
            with self._context.wrap_socket(connection, server_side=True) as tls:
                self._handler(tls)


def read_head(connection):
    """The head of a request; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


def answering(*answers):
    """A handler that gives these answers (bytes) to a connection's requests, the last again and again."""

    def handle(connection):
        at = 0
        while read_head(connection):
            connection.sendall(answers[min(at, len(answers) - 1)])
            at += 1

    return handle


def http(status, body=b"", kind="text/plain", *headers):
    """An answer of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def unused_port():
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def relay(connection, upstream, first=b""):
    """Pass bytes both ways until one side ends; ``first`` was read already."""

    def pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for side in (source, target):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    with upstream:
        upstream.sendall(first)
        back = threading.Thread(target=pump, args=(upstream, connection), daemon=True)
        back.start()
        pump(connection, upstream)
        back.join(10)
