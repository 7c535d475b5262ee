# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets, payloads and frames by the examples of the protocol documents, and by a scripted server."""

from __future__ import annotations

import pytest

pytest.importorskip("cryptography")  # of the helper module

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import packets, websocket
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.connection import parse_url
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.http1 import Dialer
from ansible_collections.collab.rtc.plugins.module_utils._verify.client.steps import CheckError
from ansible_collections.collab.rtc.tests.unit import servers

# --- Engine.IO ----------------------------------------------------------------------------------------

PAYLOADS = {
    "4: one": (b"4hello", 4, ["4hello"]),
    "4: several": (b"4hello\x1e2\x1e4world", 4, ["4hello", "2", "4world"]),
    "4: binary": (b"4hello\x1ebAQIDBA==", 4, ["4hello", b"\x01\x02\x03\x04"]),
    "3: text": (b"6:4hello2:4\xe2\x82\xac", 3, ["4hello", "4€"]),
    "3: beyond the BMP": ("3:4\U0001f6001:2".encode(), 3, ["4\U0001f600", "2"]),
    "3: base64": (b"10:b4AQIDBA==", 3, [b"\x01\x02\x03\x04"]),
    "3: binary": (b"\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", 3, ["4hello", b"\x01\x02\x03\x04"]),
    "3: long binary": (b"\x00\x01\x02\xff4" + b"a" * 11, 3, ["4" + "a" * 11]),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payload(name):
    body, revision, wanted = PAYLOADS[name]
    assert packets.decode_payload(body) == (revision, wanted)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"9",
        b"6:4hell",
        b"3:4x",
        b"2:4x9",
        b"b!!",
        b"\xff\xfe",
        b"\x00\xff4",
        b"\x00\x09\xff4",
        b"\x01\x0a\xff",
    ],
)
def test_ill_formed_payload(body):
    with pytest.raises(packets.PacketError):
        packets.decode_payload(body)


@pytest.mark.parametrize("revision", [3, 4])
def test_payload_that_is_posted_reads_back(revision):
    posted = ["2probe", "4ä€\U0001f600", '42["x",1]']
    assert packets.decode_payload(packets.encode_payload(posted, revision)) == (revision, posted)


# --- Socket.IO ----------------------------------------------------------------------------------------

PACKETS = {
    "40": ("0", "/", None, None),
    '40{"sid":"x"}': ("0", "/", None, {"sid": "x"}),
    '40/admin,{"sid":"x"}': ("0", "/admin", None, {"sid": "x"}),
    "41": ("1", "/", None, None),
    "41/admin,": ("1", "/admin", None, None),
    '42["a",1]': ("2", "/", None, ["a", 1]),
    '4212["a"]': ("2", "/", 12, ["a"]),
    '42/admin,7["a"]': ("2", "/admin", 7, ["a"]),
    "4312[]": ("3", "/", 12, []),
    '44{"message":"no"}': ("4", "/", None, {"message": "no"}),
    '44"no"': ("4", "/", None, "no"),
    '451-["a",{"_placeholder":true,"num":0}]': ("2", "/", None, ["a", {"_placeholder": True, "num": 0}]),
    '461-3[{"_placeholder":true,"num":0}]': ("3", "/", 3, [{"_placeholder": True, "num": 0}]),
}


@pytest.mark.parametrize("text", PACKETS)
def test_packet(text):
    assert packets.decode(text) == PACKETS[text]


@pytest.mark.parametrize("text", ["4", "49", "42", '42{"a":1}', "42[", "42[]", "43", "4x"])
def test_ill_formed_packet(text):
    with pytest.raises(packets.PacketError):
        packets.decode(text)


def test_packet_that_is_sent():
    assert packets.encode(packets.CONNECT, {"token": "t"}) == '40{"token":"t"}'
    assert packets.encode(packets.EVENT, ["a", {"b": None}], 5) == '425["a",{"b":null}]'
    with pytest.raises(ValueError, match="Out of range"):
        packets.encode(packets.EVENT, ["a", float("nan")])


# --- WebSocket ----------------------------------------------------------------------------------------


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


# --- addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "connect_to", "authority", "origin", "place"),
    [
        ("https://a/", "", "a", "https://a", "a:443"),
        ("http://a:80", "", "a", "http://a", "a:80"),
        ("https://a:9083/x", "", "a:9083", "https://a:9083", "a:9083"),
        ("https://a:9083/", "192.0.2.1", "a:9083", "https://a:9083", "a:9083 (at 192.0.2.1:9083)"),
        ("https://a:9083/", "192.0.2.1:443", "a:9083", "https://a:9083", "a:9083 (at 192.0.2.1:443)"),
        (
            "http://[2001:db8::1]:90/",
            "[::1]:1",
            "[2001:db8::1]:90",
            "http://[2001:db8::1]:90",
            "2001:db8::1:90 (at ::1:1)",
        ),
        ("http://a:9083/", "::1", "a:9083", "http://a:9083", "a:9083 (at ::1:9083)"),
    ],
)
def test_endpoint(url, connect_to, authority, origin, place):
    endpoint = parse_url(url, connect_to)
    assert (endpoint.authority, endpoint.origin, endpoint.place) == (authority, origin, place)
