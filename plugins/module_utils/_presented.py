# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates that a TLS server presents, trusted or not. PRIVATE to the collection.

Python tells about an untrusted chain only from 3.13 on. In TLS 1.2 the chain travels in clear text (RFC 5246, 7.4.2),
so it is read from the bytes of a handshake that is broken off; a server that insists on TLS 1.3 shows its own
certificate only, unless Python can do better.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

_HANDSHAKE, _CERTIFICATE = 22, 11  # RFC 5246, 6.2.1 and 7.4
SEES_ALL = hasattr(ssl.SSLSocket, "get_unverified_chain")  # Python 3.13: the whole chain with TLS 1.3 too
_LIMIT = 1 << 20  # a server that sends more than this as its greeting is not one


def fetch(sock: socket.socket, server_name: str) -> list[bytes]:
    """The chain (DER, the server's own certificate first) that is presented on a fresh connection; ``[]`` if none is seen.

    The socket's time limit holds for each read. The connection is of no use afterwards.
    """
    context = _blind_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    seen = b""
    try:
        while len(seen) < _LIMIT:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
            chain = chain_in(seen)
            if chain:
                return chain
            data = sock.recv(65536)
            if not data:
                break
            seen += data
            incoming.write(data)
    except OSError:  # refused, reset, timed out, TLS 1.3 only: what was seen counts
        pass
    return chain_in(seen)


def fetch_any(sock: socket.socket, server_name: str) -> list[bytes]:
    """As :func:`fetch`, for a server that speaks TLS 1.3 only: at least its own certificate."""
    try:
        with _blind_context().wrap_socket(sock, server_hostname=server_name) as tls:
            return _unverified(tls)
    except OSError:
        return []


def _unverified(tls: Any) -> list[bytes]:
    if SEES_ALL:
        return [bytes(item) for item in tls.get_unverified_chain()]
    own = tls.getpeercert(True)
    return [own] if own else []


def _blind_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # nothing is sent or believed: it is only looked at
    context.verify_mode = ssl.CERT_NONE
    return context


def chain_in(data: bytes) -> list[bytes]:
    """The certificates of the Certificate message in a server's TLS 1.2 records; ``[]`` while it is not complete."""
    messages, at = b"", 0
    while at + 5 <= len(data):
        size = int.from_bytes(data[at + 3 : at + 5], "big")
        if data[at] != _HANDSHAKE or at + 5 + size > len(data):
            break
        messages += data[at + 5 : at + 5 + size]
        at += 5 + size
    at = 0
    while at + 4 <= len(messages):
        size = int.from_bytes(messages[at + 1 : at + 4], "big")
        body = messages[at + 4 : at + 4 + size]
        if len(body) == size and messages[at] == _CERTIFICATE:
            return _split(body[3:])
        at += 4 + size
    return []


def _split(body: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 3 <= len(body):
        size = int.from_bytes(body[at : at + 3], "big")
        found.append(body[at + 3 : at + 3 + size])
        at += 3 + size
    return found
