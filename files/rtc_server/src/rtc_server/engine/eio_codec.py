# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engine.IO packets, polling payloads and WebSocket frames, protocol versions 3 and 4.

A packet is held in the form in which WebSocket text carries it: ``str`` is a text packet with its
type digit (``"4hello"``), ``bytes`` is the body of a binary message (always of type MESSAGE).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence

from .errors import ProtocolError

Packet = str | bytes

# Engine.IO protocol, "Packet types". A type is a character of the packet's text, compared for every packet: so these
# are plain strings, not members of an Enum.
OPEN = "0"
CLOSE = "1"
PING = "2"
PONG = "3"
MESSAGE = "4"
UPGRADE = "5"
NOOP = "6"
TYPES = frozenset((OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP))

_TEXT, _BINARY = 1, 2  # opcodes of WebSocket frames (RFC 6455, 5.2)

SEPARATOR = "\x1e"  # Engine.IO 4, "Packet encoding / HTTP long-polling": the record separator
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_MOST_DIGITS = 9
_DIGITS = re.compile(r"[0-9]{1,9}")


def check_packet(packet: Packet) -> Packet:
    """Return the packet, or refuse one without a known type digit."""
    if isinstance(packet, str) and packet[:1] not in TYPES:
        raise ProtocolError("unknown packet type")
    return packet


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProtocolError("invalid base64") from exc


# --- Engine.IO 4 polling payloads -------------------------------------------------------------


def encode_payload_v4(packets: Iterable[Packet]) -> str:
    """Join packets with the record separator; binary is base64 behind a ``b``."""
    return SEPARATOR.join([p if isinstance(p, str) else "b" + base64.b64encode(p).decode() for p in packets])


def iterate_payload_v4(body: str) -> Iterator[Packet]:
    """The packets of a POST body, each looked at only when it is asked for. Raises ProtocolError at an invalid one."""
    at = 0
    while at >= 0:
        end = body.find(SEPARATOR, at)
        packet = body[at:] if end < 0 else body[at:end]
        yield _decode_base64(packet[1:]) if packet[:1] == "b" else check_packet(packet)
        at = end + 1 if end >= 0 else -1


# --- Engine.IO 3 polling payloads -------------------------------------------------------------


def _count_utf16_units(text: str) -> int:
    """Length in UTF-16 code units: what Engine.IO 3 counts ("Payload encoding, XHR1")."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def encode_payload_v3(packets: Sequence[Packet], *, base64_only: bool) -> Packet:
    """``<length>:<packet>`` text, or the binary form when the client takes it and there is binary."""
    if not base64_only and any(isinstance(p, bytes) for p in packets):
        out = bytearray()
        for p in packets:  # "XHR2": 0|1, one byte for each digit of the length, 0xff, content
            content = p.encode() if isinstance(p, str) else b"\x04" + p
            out.append(0 if isinstance(p, str) else 1)
            out += bytes(int(d) for d in str(len(content)))
            out.append(255)
            out += content
        return bytes(out)
    texts = [p if isinstance(p, str) else "b4" + base64.b64encode(p).decode() for p in packets]
    return "".join([f"{_count_utf16_units(t)}:{t}" for t in texts])


def iterate_payload_v3(body: Packet) -> Iterator[Packet]:
    """The packets of a POST body of either form, as :func:`iterate_payload_v4`."""
    return _iterate_v3_binary(body) if isinstance(body, bytes) else _iterate_v3_text(body)


def _iterate_v3_text(body: str) -> Iterator[Packet]:
    if not body:
        raise ProtocolError("empty payload")
    # Lengths count code units of UTF-16: beyond the characters of one unit each, a text of bytes finds them at once.
    wide = body.encode("utf-16-le", "surrogatepass") if _ASTRAL.search(body) else None
    size = len(body) if wide is None else len(wide) // 2

    def cut(start: int, end: int) -> str:
        return body[start:end] if wide is None else wide[2 * start : 2 * end].decode("utf-16-le", "replace")

    at = 0
    while at < size:
        head = cut(at, at + _MOST_DIGITS + 1)
        m = _DIGITS.match(head)
        if m is None or head[m.end() : m.end() + 1] != ":":
            raise ProtocolError("invalid payload length")
        start = at + m.end() + 1
        at = start + int(m[0])
        if at > size or at == start:
            raise ProtocolError("payload is cut short")
        text = cut(start, at)
        if text[0] == "b":
            if text[1:2] != MESSAGE:
                raise ProtocolError("binary packet is not a message")
            yield _decode_base64(text[2:])
        else:
            yield check_packet(text)


def _iterate_v3_binary(body: bytes) -> Iterator[Packet]:
    if not body:
        raise ProtocolError("empty payload")
    at = 0
    while at < len(body):
        end = body.find(b"\xff", at + 1, at + 12)
        digits = body[at + 1 : end]
        if body[at] > 1 or end < 0 or not digits or max(digits) > 9:
            raise ProtocolError("invalid binary payload header")
        start, at = end + 1, end + 1 + int("".join(map(str, digits)))
        content = body[start:at]
        if at > len(body) or not content:
            raise ProtocolError("binary payload is cut short")
        if body[end - len(digits) - 1] == 0:
            try:
                yield check_packet(content.decode())
            except UnicodeDecodeError as exc:
                raise ProtocolError("invalid UTF-8") from exc
        else:
            yield strip_type(content)


def strip_type(content: bytes) -> bytes:
    """Engine.IO 3 puts the packet type before a binary body; only messages are binary."""
    if content[:1] != b"\x04":
        raise ProtocolError("binary packet is not a message")
    return content[1:]


# --- WebSocket frames ---------------------------------------------------------------------------


def _make_frame_header(size: int, opcode: int) -> bytes:
    """What precedes the body of an unmasked, final frame (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")


TEXT_HEADERS = [_make_frame_header(size, _TEXT) for size in range(2048)]  # each message has one, and most are short


def encode_frame(body: bytes, opcode: int = _TEXT) -> bytes:
    """One unmasked, final frame."""
    return _make_frame_header(len(body), opcode) + body


def encode_packet_frame(packet: Packet, eio_version: int) -> bytes:
    """The frame of one packet; text is UTF-8, binary carries its type byte only in version 3."""
    if isinstance(packet, str):
        return encode_frame(packet.encode())
    return encode_frame(b"\x04" + packet if eio_version == 3 else packet, _BINARY)
