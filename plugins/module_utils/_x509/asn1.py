# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and writing ASN.1 values in DER, and reading BER as old key store tools write it.

Only what certificates and key stores need (X.690): tags of one byte, definite and indefinite lengths.
"""

from __future__ import annotations

import datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
SEQUENCE, SET = 0x30, 0x31
_CONSTRUCTED = 0x20
_MAX_DEPTH = 24
_MAX_OID = 128  # bytes; real ones have ten, and a number of a million digits takes for ever

# Tags of the text types and how their bytes are text. T61String (0x14) is Latin-1 in practice.
_TEXT = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


class DerError(ValueError):
    """The bytes are not a well-formed value, or not the one that was expected. Callers say which file it was."""


class Value:
    """One ASN.1 value: its tag, its content, and the bytes of the whole."""

    __slots__ = ("body", "depth", "raw", "tag")

    def __init__(self, tag: int, body: bytes, raw: bytes, depth: int = 0) -> None:
        self.tag = tag
        self.body = body
        self.raw = raw
        self.depth = depth

    def expect(self, *tags: int) -> Value:
        """This value, when its tag is one of these.

        :raises DerError: it is another.
        """
        if self.tag not in tags:
            wanted = " or ".join(f"0x{tag:02x}" for tag in tags)
            raise DerError(f"expected ASN.1 tag {wanted}, found 0x{self.tag:02x}")
        return self

    def children(self, *tags: int) -> list[Value]:
        """The values inside; with ``tags``, this value's own tag is checked first."""
        if tags:
            self.expect(*tags)
        if self.depth >= _MAX_DEPTH:
            raise DerError("values are nested too deeply")
        found, position = [], 0
        while position < len(self.body):
            value, position = _parse(self.body, position, self.depth + 1)
            found.append(value)
        return found

    def integer(self) -> int:
        """The number of an INTEGER."""
        return int.from_bytes(self.expect(INTEGER).body, "big", signed=True)

    def octets(self) -> bytes:
        """The bytes of an OCTET STRING, also of one in pieces (BER)."""
        if self.tag == OCTET_STRING | _CONSTRUCTED:
            return b"".join(piece.octets() for piece in self.children())
        return self.expect(OCTET_STRING).body

    def bits(self) -> bytes:
        """The bytes of a BIT STRING, without the count of unused bits."""
        body = self.expect(BIT_STRING).body
        if not body:
            raise DerError("an empty BIT STRING")
        return body[1:]

    def oid(self) -> str:
        """The dotted form of an OBJECT IDENTIFIER."""
        return dotted(self.expect(OID).body)

    def text(self) -> str:
        """The text of any string type, with undecodable bytes replaced: names are shown so, and compared as DER."""
        if self.tag not in _TEXT:
            raise DerError(f"expected a text, found ASN.1 tag 0x{self.tag:02x}")
        return self.body.decode(_TEXT[self.tag], "replace")

    def time(self) -> datetime.datetime:
        """The moment of a UTCTime or GeneralizedTime, in UTC (RFC 5280, 4.1.2.5: always with seconds and ``Z``)."""
        text = self.expect(UTC_TIME, GENERALIZED_TIME).body.decode("ascii", "replace")
        if self.tag == UTC_TIME:
            text = ("19" if text[:2] >= "50" else "20") + text
        layout = "%Y%m%d%H%M%SZ" if len(text) == 15 else "%Y%m%d%H%MZ"
        try:
            return datetime.datetime.strptime(text, layout).replace(tzinfo=datetime.timezone.utc)
        except ValueError as exc:
            raise DerError(f"not a time: {text!r}") from exc


def read(data: bytes) -> Value:
    """The one value that the bytes are.

    :raises DerError: ill-formed, cut short, or something follows it.
    """
    value, end = _parse(data, 0, 0)
    if end != len(data):
        raise DerError(f"{len(data) - end} bytes follow the value")
    return value


def read_first(data: bytes) -> Value:
    """The first value in the bytes; what follows is not looked at."""
    return _parse(data, 0, 0)[0]


def dotted(body: bytes) -> str:
    """The content of an OBJECT IDENTIFIER as text: ``2.5.4.3``."""
    if not body or body[-1] & 0x80:
        raise DerError("an OBJECT IDENTIFIER is cut short")
    if len(body) > _MAX_OID:
        raise DerError("an OBJECT IDENTIFIER that is too long")
    arcs, number = [], 0
    for byte in body:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(number)
            number = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in [first, arcs[0] - 40 * first, *arcs[1:]])


def encode(tag: int, *parts: bytes) -> bytes:
    """A value of this tag whose content is the parts, one after the other."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def encode_oid(text: str) -> bytes:
    """The OBJECT IDENTIFIER of a dotted text."""
    arcs = [int(part) for part in text.split(".")]
    body = bytearray()
    for arc in [arcs[0] * 40 + arcs[1], *arcs[2:]]:
        groups = range(max(arc.bit_length() - 1, 0) // 7, -1, -1)  # of seven bits, the highest first
        body += bytes(arc >> 7 * group & 0x7F | (0x80 if group else 0) for group in groups)
    return encode(OID, bytes(body))


def _parse(data: bytes, position: int, depth: int) -> tuple[Value, int]:
    start = position
    if position + 2 > len(data):
        raise DerError("the value is cut short")
    tag, first = data[position], data[position + 1]
    if tag & 0x1F == 0x1F:
        raise DerError("a tag of several bytes")
    position += 2
    if first == 0x80:
        return _parse_indefinite(data, start, depth)
    length = first
    if first & 0x80:
        count = first & 0x7F
        if count > 4 or position + count > len(data):
            raise DerError("a length that cannot be")
        length = int.from_bytes(data[position : position + count], "big")
        position += count
    end = position + length
    if end > len(data):
        raise DerError("the value is cut short")
    return Value(tag, data[position:end], data[start:end], depth), end


def _parse_indefinite(data: bytes, start: int, depth: int) -> tuple[Value, int]:
    # X.690, 8.1.3.6: the content is values up to two zero bytes.
    if depth >= _MAX_DEPTH or not data[start] & _CONSTRUCTED:
        raise DerError("an indefinite length where it cannot be")
    position = body = start + 2
    while data[position : position + 2] != b"\x00\x00":
        position = _parse(data, position, depth + 1)[1]
    return Value(data[start], data[body:position], data[start : position + 2], depth), position + 2
