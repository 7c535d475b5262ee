# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates that a TLS 1.2 server sends, read from its first flight.

Why: before Python 3.10 the ``ssl`` module shows a program the leaf only; and a server that wants a client certificate
ends the handshake before anything is shown. Up to TLS 1.2 (RFC 5246) a server sends its chain in the clear, so that a
ClientHello and a reader of records are enough. Nothing is verified and no secret is exchanged: this reads a public
thing.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_HANDSHAKE, _ALERT = 22, 21
_SERVER_HELLO, _CERTIFICATE = 2, 11
_LIMIT = 1 << 20  # bytes of a first flight that are still plausible
# ECDHE, DHE and plain RSA with AES and ChaCha20; Triple DES for old servers; TLS_EMPTY_RENEGOTIATION_INFO_SCSV.
_CIPHERS = (
    0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC023, 0xC027, 0xC009, 0xC013, 0xC00A, 0xC014,
    0x009E, 0x009F, 0x0033, 0x0039, 0x009C, 0x009D, 0x003C, 0x003D, 0x002F, 0x0035, 0x000A, 0x00FF,
)  # fmt: skip
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019)
_SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201)
_ALERTS = {
    40: "handshake_failure",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    112: "unrecognized_name",
}


class HelloError(Exception):
    """The server did not send its certificates this way; the text says why."""


def read_chain(connection: socket.socket, server_name: str) -> list[bytes]:
    """Say hello as a TLS 1.2 client and read the server's chain.

    :param connection: connected, with a timeout; it is of no more use afterwards.
    :param server_name: what goes into SNI, in ASCII; empty for none.
    :returns: the certificates in DER, as they were sent: leaf first.
    :raises HelloError: an alert, something that is not TLS, or the end of the connection.
    :raises OSError: the connection failed or timed out.
    """
    connection.sendall(encode_client_hello(server_name))
    messages = b""
    while True:
        kind, body = _read_record(connection)
        if kind == _ALERT and len(body) >= 2:
            raise HelloError(f"the server answered with the alert {_ALERTS.get(body[1], body[1])}")
        if kind != _HANDSHAKE:
            raise HelloError("the server does not speak TLS here")
        messages += body
        if len(messages) > _LIMIT:
            raise HelloError("the server's first message does not end")
        while len(messages) >= 4 and len(messages) >= 4 + int.from_bytes(messages[1:4], "big"):
            size = int.from_bytes(messages[1:4], "big")
            if messages[0] == _CERTIFICATE:
                return _parse_certificates(messages[4 : 4 + size])
            if messages[0] != _SERVER_HELLO:
                raise HelloError("the server sent no certificate")
            messages = messages[4 + size :]


def encode_client_hello(server_name: str) -> bytes:
    """The record with a ClientHello (RFC 5246, 7.4.1.2; RFC 6066 for the name)."""
    name = server_name.encode("ascii")
    extensions = b""
    if name:
        extensions += _pack_extension(0, _pack_sized(b"\x00" + _pack_sized(name)))
    extensions += _pack_extension(10, _pack_sized(_pack_numbers(_GROUPS))) + _pack_extension(11, b"\x01\x00")
    extensions += _pack_extension(13, _pack_sized(_pack_numbers(_SIGNATURES)))
    body = (
        b"\x03\x03"
        + os.urandom(32)
        + b"\x00"
        + _pack_sized(_pack_numbers(_CIPHERS))
        + b"\x01\x00"
        + _pack_sized(extensions)
    )
    return b"\x16\x03\x01" + _pack_sized(b"\x01" + len(body).to_bytes(3, "big") + body)


def _parse_certificates(body: bytes) -> list[bytes]:
    found, position = [], 3
    while position + 3 <= len(body):
        size = int.from_bytes(body[position : position + 3], "big")
        found.append(body[position + 3 : position + 3 + size])
        position += 3 + size
    if position != len(body) or not found:
        raise HelloError("the server's list of certificates is ill-formed")
    return found


def _read_record(connection: socket.socket) -> tuple[int, bytes]:
    kind, major, _minor, size = struct.unpack(">BBBH", _read_exactly(connection, 5))
    if major != 3 or size > 1 << 14:
        raise HelloError("the server does not speak TLS here")
    return kind, _read_exactly(connection, size)


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise HelloError("the server closed the connection")
        data += piece
    return data


def _pack_numbers(values: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _pack_sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


def _pack_extension(number: int, data: bytes) -> bytes:
    return struct.pack(">H", number) + _pack_sized(data)
