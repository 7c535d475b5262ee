# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The codecs: examples from the protocol documents, and that decoding undoes encoding."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st

from rtc_server.engine import ProtocolError, eio_codec, sio_codec
from rtc_server.strict_json import JSON

# Engine.IO protocol: a text packet begins with its type; binary is always a message.
text_packets = st.builds(
    lambda kind, rest: kind + rest,
    st.sampled_from("0123456"),
    st.text(alphabet=st.characters(exclude_characters="\x1e", exclude_categories=["Cs"])),
)
packets = st.lists(text_packets | st.binary(), min_size=1, max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 53), 1 << 53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(), v, max_size=4),
    max_leaves=12,
)


def test_examples_of_engine_io_4() -> None:
    # "HTTP long-polling": several packets are joined by the record separator, binary is base64 behind b
    assert eio_codec.encode_payload_v4(["4hello", "2", b"\1\2\3\4"]) == "4hello\x1e2\x1ebAQIDBA=="
    assert list(eio_codec.iterate_payload_v4("4hello\x1e2\x1ebAQIDBA==")) == ["4hello", "2", b"\1\2\3\4"]


def test_examples_of_engine_io_3() -> None:
    # "Payload encoding": <length>:<packet>, the length in UTF-16 code units; binary: 0|1, digits, 255, content
    assert eio_codec.encode_payload_v3(["4hello", "2"], base64_only=False) == "6:4hello1:2"
    assert eio_codec.encode_payload_v3(["4€", b"\1\2\3\4"], base64_only=True) == "2:4€10:b4AQIDBA=="
    assert eio_codec.encode_payload_v3(["4😀"], base64_only=False) == "3:4😀"
    assert eio_codec.encode_payload_v3(["4€", b"\1\2\3\4"], base64_only=False) == (
        b"\x00\x04\xff4\xe2\x82\xac\x01\x05\xff\x04\x01\x02\x03\x04"
    )


@given(packets)
def test_payload_4_round_trip(sent: list[str | bytes]) -> None:
    assert list(eio_codec.iterate_payload_v4(eio_codec.encode_payload_v4(sent))) == sent


@given(packets, st.booleans())
def test_payload_3_round_trip(sent: list[str | bytes], base64_only: bool) -> None:
    assert list(eio_codec.iterate_payload_v3(eio_codec.encode_payload_v3(sent, base64_only=base64_only))) == sent


@given(st.text() | st.binary())
def test_any_payload_decodes_or_is_refused(body: str | bytes) -> None:
    for decode in (eio_codec.iterate_payload_v3, eio_codec.iterate_payload_v4):
        if decode is eio_codec.iterate_payload_v4 and isinstance(body, bytes):
            continue
        try:
            for packet in decode(body):  # type: ignore[operator]
                assert isinstance(packet, bytes) or packet[0] in "0123456"
        except ProtocolError:
            pass


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_frames_have_the_lengths_of_rfc_6455(length: int) -> None:
    frame = eio_codec.encode_frame(b"x" * length)
    head = 2 if length < 126 else 4 if length < 65536 else 10
    assert len(frame) == head + length and frame[0] == 0x81
    assert int.from_bytes(frame[2:head], "big") == (length if head > 2 else 0)


# Socket.IO protocol 5, "Packet encoding": wire form, and what it means
SIO = [
    ("40", sio_codec.SioPacket("0", "/", None, None)),
    ('40/admin,{"token":"1"}', sio_codec.SioPacket("0", "/admin", None, {"token": "1"})),
    ("41/admin,", sio_codec.SioPacket("1", "/admin", None, None)),
    ('42["foo"]', sio_codec.SioPacket("2", "/", None, ["foo"])),
    ('42/admin,["bar"]', sio_codec.SioPacket("2", "/admin", None, ["bar"])),
    ('4212["foo"]', sio_codec.SioPacket("2", "/", 12, ["foo"])),
    ('43/admin,13["bar"]', sio_codec.SioPacket("3", "/admin", 13, ["bar"])),
]


@pytest.mark.parametrize(("wire", "meaning"), SIO)
def test_socket_io_examples(wire: str, meaning: sio_codec.SioPacket) -> None:
    assert sio_codec.Decoder(sio_codec.Codec(JSON), 1000).decode_text(wire) == meaning


def test_binary_event_of_socket_io() -> None:
    codec = sio_codec.Codec(JSON)
    wire = codec.encode(sio_codec.EVENT, "/admin", ["baz", b"\1", [b"\2"]], 7)
    assert wire == (
        '452-/admin,7["baz",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]',
        b"\1",
        b"\2",
    )
    decoder = sio_codec.Decoder(codec, 1000)
    assert decoder.decode_text(wire[0]) is None  # type: ignore[arg-type]
    assert decoder.decode_binary(b"\1") is None
    assert decoder.decode_binary(b"\2") == sio_codec.SioPacket("2", "/admin", 7, ["baz", b"\1", [b"\2"]])


@given(st.sampled_from(["/", "/a"]), st.lists(json_values, max_size=3), st.none() | st.integers(0, 999))
def test_events_round_trip(namespace: str, args: list[object], number: int | None) -> None:
    codec = sio_codec.Codec(JSON)
    (wire,) = codec.encode(sio_codec.EVENT, namespace, ["e", *args], number)
    assert sio_codec.Decoder(codec, 1000).decode_text(str(wire)) == sio_codec.SioPacket(
        "2", namespace, number, ["e", *args]
    )


BAD = [
    "4",
    "4x",
    "47",
    "42",
    "42{}",
    "42[]",
    "42[1]",
    '42["connect"]',
    '42["x",NaN]',
    '42["x",1e999]',
    '42["x"',
    "43[]",
    '431{"a":1}',
    "40[]",
    "401",
    "44",
    '41["x"]',
    '45["x"]',
    '451["x"]',
    '421-["x"]',
    '4599999-["x"]',
    '4599-["x"]',
    "42" + "[" * 100_000,
    '42["x",' + "9" * 5000 + "]",
]


@pytest.mark.parametrize("wire", BAD, ids=lambda w: w[:20])
def test_bad_packets_are_refused(wire: str) -> None:
    with pytest.raises(ProtocolError):
        sio_codec.Decoder(sio_codec.Codec(JSON), 1000).decode_text(wire)


def test_attachments_out_of_place_are_refused() -> None:
    for wire, then in (
        ('451-["x",{"_placeholder":true,"num":1}]', b"x"),
        ('451-["x",{"_placeholder":true,"num":0}]', "42"),
    ):
        decoder = sio_codec.Decoder(sio_codec.Codec(JSON), 1000)
        decoder.decode_text(wire)
        with pytest.raises(ProtocolError):
            decoder.decode_binary(then) if isinstance(then, bytes) else decoder.decode_text(then)
    with pytest.raises(ProtocolError):
        sio_codec.Decoder(sio_codec.Codec(JSON), 1000).decode_binary(b"x")
    decoder = sio_codec.Decoder(sio_codec.Codec(JSON), 10)
    decoder.decode_text('452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    with pytest.raises(ProtocolError):
        decoder.decode_binary(b"x" * 11)


def test_what_no_json_parser_takes_is_never_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        JSON.dumps(float("nan"))
    assert JSON.dumps("\ud800") == '"\\ud800"'  # a lone surrogate cannot be UTF-8
