# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames by the examples of RFC 6455, and by a scripted server."""

from __future__ import annotations

import pytest

pytest.importorskip("cryptography")  # of the helper module

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import websocket
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import parse_url
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.http1 import Dialer
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.tests.unit import servers


def test_examples_of_rfc_6455():
    assert websocket.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert websocket.mask(b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("7f9f4d5158")
    assert websocket.mask(b"", b"abcd") == b""


def talk(script):
    """A WebSocket to a server that runs ``script(connection)`` after the handshake."""

    def handle(connection):
        head = servers.read_head(connection).decode()
        key = next(line[18:].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
        accept = websocket.accept_key(key)
        connection.sendall(f"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        script(connection)

    server = servers.Server(handle)
    server.__enter__()
    dialer = Dialer(parse_url(f"http://127.0.0.1:{server.port}/"), None, 5)
    return server, websocket.WebSocket.open(dialer, "/")


def read_frame(connection):
    """First byte and unmasked payload of a client's frame."""

    def exact(size):
        data = b""
        while len(data) < size:
            data += connection.recv(size - len(data))
        return data

    first, second = exact(2)
    size = second & 0x7F
    assert second & 0x80, "a client masks"
    if size > 125:
        size = int.from_bytes(exact(2 if size == 126 else 8), "big")
    key = exact(4)
    return first, websocket.mask(exact(size), key)


def test_fragments_with_a_ping_between():
    seen = []

    def script(connection):
        connection.sendall(b"\x01\x03Hel" + b"\x89\x04ping" + b"\x80\x02lo")
        seen.append(read_frame(connection))
        connection.sendall(b"\x82\x03\x00\x01\x02")
        connection.recv(1)

    server, socket = talk(script)
    with server:
        assert socket.receive() == "Hello"
        assert socket.receive() == b"\x00\x01\x02"
        socket.close()
    assert seen == [(0x8A, b"ping")]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 300000])
def test_sizes_both_ways(size):
    def script(connection):
        first, body = read_frame(connection)
        assert first == 0x81
        if size < 126:
            head = bytes([0x81, size])
        elif size < 65536:
            head = b"\x81\x7e" + size.to_bytes(2, "big")
        else:
            head = b"\x81\x7f" + size.to_bytes(8, "big")
        connection.sendall(head + body)
        connection.recv(1)

    server, socket = talk(script)
    with server:
        text = ("abcdefg" * (size // 7 + 1))[:size]
        socket.send(text)
        assert socket.receive() == text
        socket.close()


def test_end_in_the_middle_of_a_frame():
    server, socket = talk(lambda connection: connection.sendall(b"\x81\x05He"))
    with server, pytest.raises(CheckError) as caught:
        socket.receive()
    socket.close()
    assert caught.value.code == "websocket_closed"
