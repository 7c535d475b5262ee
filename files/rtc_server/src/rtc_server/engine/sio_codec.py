# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Socket.IO packets: protocol 5 (over Engine.IO 4) and its older dialect (over Engine.IO 3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .eio_codec import MESSAGE, Packet
from .errors import ProtocolError

# Socket.IO protocol 5, "Packet types": characters of the packet's text, as those of Engine.IO are.
CONNECT = "0"
DISCONNECT = "1"
EVENT = "2"
ACK = "3"
CONNECT_ERROR = "4"
BINARY_EVENT = "5"
BINARY_ACK = "6"
_KINDS = frozenset((CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK))

RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"})
_HEADER = re.compile(r"(?:(\d{1,4})-)?(?:(/[^,]*)(?:,|$))?(\d{1,15})?", re.ASCII)


class Json(Protocol):
    """What the codec needs of a JSON library, which must refuse both ways what is not JSON. Without ``default``, bytes
    are a TypeError."""

    def dumps(self, value: Any, default: Callable[[Any], Any] | None = None) -> str: ...

    def loads(self, text: str, at: int = 0) -> Any: ...


class SioPacket(NamedTuple):
    """A decoded packet; kinds are reduced to their text forms (EVENT, ACK)."""

    kind: str
    namespace: str
    id: int | None
    data: Any


class EventArgs(list[Any]):
    """Name and arguments of an event that came without attachments, and the packet whose JSON, from ``at`` on, they
    are."""

    __slots__ = ("at", "text")

    def __init__(self, args: list[Any], text: str, at: int) -> None:
        super().__init__(args)
        self.text = text
        self.at = at


class Codec:
    """Encoder, and decoder factory, around one JSON library."""

    def __init__(self, json_library: Json) -> None:
        self.json = json_library

    def encode(self, kind: str, namespace: str, data: Any = None, id: int | None = None) -> tuple[Packet, ...]:
        """Engine.IO packets of one Socket.IO packet: text, then its attachments in order."""
        attachments: list[bytes] = []

        def placeholder(value: Any) -> Any:
            if isinstance(value, (bytes, bytearray, memoryview)):
                attachments.append(bytes(value))
                return {"_placeholder": True, "num": len(attachments) - 1}
            raise TypeError(f"{type(value).__name__} cannot be sent")

        try:
            body = "" if data is None else self.json.dumps(data)
        except TypeError:
            body = self.json.dumps(data, placeholder)
        where = "" if namespace == "/" else namespace + ","
        number = "" if id is None else str(id)
        if not attachments:
            return (f"{MESSAGE}{kind}{where}{number}{body}",)
        kind = BINARY_EVENT if kind == EVENT else BINARY_ACK
        return (f"{MESSAGE}{kind}{len(attachments)}-{where}{number}{body}", *attachments)


class Decoder:
    """Per-session decoder: collects attachments ("Packet encoding", binary events and acks)."""

    __slots__ = ("_limit", "_loads", "_max_attachments", "_need", "_parts", "_size", "waiting")

    def __init__(self, codec: Codec, limit: int, max_attachments: int = 64) -> None:
        self._loads = codec.json.loads
        self._limit = limit
        self._max_attachments = max_attachments
        self.waiting: str | None = None  # a packet whose attachments are due. As text: decoded it is many times larger
        self._parts: list[bytes] = []
        self._size = 0
        self._need = 0

    def decode_plain_event(self, text: str, at: int) -> list[Any]:
        """The arguments of ``42[…`` or ``427[…``, an event of the main namespace and by far the most frequent packet.
        Its JSON begins at ``at``."""
        if self.waiting is not None:
            raise ProtocolError("text while attachments are due")
        return EventArgs(self._check_event(self._parse_json(text, at)), text, at)

    def decode_text(self, text: str) -> SioPacket | None:
        """Decode an Engine.IO text message (with its leading ``4``); None while attachments are due."""
        if self.waiting is not None:
            raise ProtocolError("text while attachments are due")
        kind = text[1:2]
        if kind not in _KINDS:
            raise ProtocolError("unknown Socket.IO packet type")
        head = _HEADER.match(text, 2)
        assert head is not None  # every group is optional
        if (head[1] is not None) != (kind in (BINARY_EVENT, BINARY_ACK)):
            raise ProtocolError("attachment count misplaced")
        if head[1] is not None and int(head[1]) > 0:
            self._need = int(head[1])
            if self._need > self._max_attachments:
                raise ProtocolError("too many attachments")
            self.waiting, self._parts, self._size = text, [], len(text)
            return None
        return self._decode(kind, head)

    def decode_binary(self, body: bytes) -> SioPacket | None:
        """Take one attachment; the packet when it was the last."""
        text = self.waiting
        if text is None:
            raise ProtocolError("attachment without packet")
        self._parts.append(body)
        self._size += len(body)
        if self._size > self._limit:
            raise ProtocolError("attachments too large")
        if len(self._parts) < self._need:
            return None
        self.waiting, parts = None, self._parts
        self._parts = []
        head = _HEADER.match(text, 2)
        assert head is not None
        packet = self._decode(text[1], head)
        try:
            return packet._replace(data=_fill_placeholders(packet.data, parts))
        except RecursionError as exc:
            raise ProtocolError("nested too deep") from exc

    def _decode(self, kind: str, head: re.Match[str]) -> SioPacket:
        """A packet from the match of its header."""
        namespace, number = head[2] or "/", head[3]
        id = int(number) if number else None
        data = self._parse_json(head.string, head.end()) if head.end() < len(head.string) else None
        if kind in (EVENT, BINARY_EVENT):
            args = self._check_event(data)
            return SioPacket(EVENT, namespace, id, EventArgs(args, head.string, head.end()) if kind == EVENT else args)
        if kind in (ACK, BINARY_ACK):
            if id is None or not isinstance(data, list):
                raise ProtocolError("invalid acknowledgement")
            return SioPacket(ACK, namespace, id, data)
        if kind == CONNECT:
            if id is not None or not (data is None or isinstance(data, dict)):
                raise ProtocolError("invalid CONNECT payload")
            return SioPacket(CONNECT, namespace, None, data)
        if kind == DISCONNECT and id is None and data is None:
            return SioPacket(DISCONNECT, namespace, None, None)
        raise ProtocolError("not a packet of a client")

    def _parse_json(self, text: str, at: int = 0) -> Any:
        try:
            return self._loads(text, at)
        except (ValueError, RecursionError) as exc:
            raise ProtocolError("invalid JSON") from exc

    @staticmethod
    def _check_event(data: Any) -> list[Any]:
        if not isinstance(data, list) or not data or not isinstance(data[0], str) or data[0] in RESERVED:
            raise ProtocolError("invalid event")
        return data


def _fill_placeholders(value: Any, parts: list[bytes]) -> Any:
    """Put attachments in the place of their placeholders."""
    if isinstance(value, list):
        return [_fill_placeholders(v, parts) for v in value]
    if isinstance(value, dict):
        if value.get("_placeholder") is True:
            num = value.get("num")
            if type(num) is not int or not 0 <= num < len(parts):
                raise ProtocolError("placeholder without attachment")
            return parts[num]
        return {k: _fill_placeholders(v, parts) for k, v in value.items()}
    return value
