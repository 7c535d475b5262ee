# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packets of Engine.IO 3 and 4 and of Socket.IO, as a client reads and writes them.

A packet of Engine.IO is text with its type digit (``"4hello"``), or bytes: the body of a binary message. Rules are
those of the Engine.IO protocol documents, revisions 3 and 4, and of the Socket.IO protocol, revision 5 and its older
dialect.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NamedTuple

# Types of packets of Engine.IO; 6 (noop) is only ever passed over.
OPEN = "0"
CLOSE = "1"
PING = "2"
PONG = "3"
MESSAGE = "4"
UPGRADE = "5"
# Types of packets of Socket.IO.
CONNECT = "0"
DISCONNECT = "1"
EVENT = "2"
ACK = "3"
CONNECT_ERROR = "4"
BINARY_EVENT = "5"
BINARY_ACK = "6"
_SEPARATOR = "\x1e"
_HEAD = re.compile(r"([0-6])(?:\d+-)?(?:(/[^,]*),?)?(\d+)?", re.ASCII)


class PacketError(ValueError):
    """Not what the protocol says."""


class Packet(NamedTuple):
    """A packet of Socket.IO. Attachments of binary events stay placeholders: no check needs their bytes."""

    kind: str
    namespace: str
    id: int | None
    data: Any


def decode_payload(body: bytes) -> tuple[int, list[str | bytes]]:
    """The packets of an answer to a poll, and the revision whose form it has (which may not be the one asked for).

    :raises PacketError: neither form.
    """
    if body[:1] in (b"\0", b"\1"):
        return 3, _split_binary_v3(body)
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise PacketError("the payload is not UTF-8") from exc
    if re.match(r"\d+:", text):
        return 3, _split_text_v3(text)
    return 4, [_decode_base64(part[1:]) if part[:1] == "b" else _check_packet(part) for part in text.split(_SEPARATOR)]


def _split_text_v3(text: str) -> list[str | bytes]:
    # Lengths count UTF-16 code units.
    units = text.encode("utf-16-le")
    packets: list[str | bytes] = []
    at = 0
    while at < len(units):
        head = re.match(r"(\d{1,9}):", units[at : at + 20].decode("utf-16-le", "replace"))
        if head is None:
            raise PacketError("a payload without length")
        at += 2 * head.end()
        end = at + 2 * int(head[1])
        if end > len(units):
            raise PacketError("the payload is cut short")
        part = units[at:end].decode("utf-16-le", "replace")
        packets.append(_decode_base64(part[2:]) if part[:2] == "b4" else _check_packet(part))
        at = end
    return packets


def _split_binary_v3(body: bytes) -> list[str | bytes]:
    packets: list[str | bytes] = []
    at = 0
    while at < len(body):
        mark = body.find(b"\xff", at, at + 12)
        digits = body[at + 1 : mark]
        if mark < 0 or body[at] > 1 or not digits or max(digits) > 9:
            raise PacketError("an ill-formed binary payload")
        end = mark + 1 + int("".join(map(str, digits)))
        if end > len(body):
            raise PacketError("the payload is cut short")
        if body[at] == 1:
            packets.append(body[mark + 2 : end])  # after its type byte
        else:
            # Lengths of text count characters in some servers and bytes in others; ASCII is all that a check meets.
            packets.append(_check_packet(body[mark + 1 : end].decode("utf-8", "replace")))
        at = end
    return packets


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise PacketError("ill-formed base64") from exc


def _check_packet(text: str) -> str:
    if text[:1] not in tuple("0123456"):
        raise PacketError(f"not an Engine.IO packet: {text[:40]!r}")
    return text


def encode_payload(packets: list[str], revision: int) -> bytes:
    """The body of a POST; text packets only."""
    if revision == 3:
        return "".join(f"{len(packet.encode('utf-16-le')) // 2}:{packet}" for packet in packets).encode()
    return _SEPARATOR.join(packets).encode()


def decode(message: str) -> Packet:
    """The Socket.IO packet in an Engine.IO message (with its leading ``4``).

    :raises PacketError: ill-formed.
    """
    head = _HEAD.match(message, 1)
    if head is None:
        raise PacketError(f"not a Socket.IO packet: {message[:40]!r}")
    rest = message[head.end() :]
    try:
        data = json.loads(rest) if rest else None
    except (ValueError, RecursionError) as exc:
        raise PacketError("a Socket.IO packet without proper JSON") from exc
    kind = {BINARY_EVENT: EVENT, BINARY_ACK: ACK}.get(head[1], head[1])
    if kind in (EVENT, ACK) and (not isinstance(data, list) or (kind == EVENT and not data)):
        raise PacketError("a Socket.IO event or acknowledgement without its list")
    return Packet(kind, head[2] or "/", int(head[3]) if head[3] else None, data)


def encode(kind: str, data: Any = None, number: int | None = None) -> str:
    """A Socket.IO packet of the main namespace as an Engine.IO message."""
    body = "" if data is None else json.dumps(data, separators=(",", ":"), allow_nan=False)
    return f"{MESSAGE}{kind}{'' if number is None else number}{body}"
