# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets and payloads by the examples of the protocol documents."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._verify.client import packets

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
