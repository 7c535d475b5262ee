# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PKCS#12 key stores that no tool at hand makes: parts of them, and stores changed into another form."""

from __future__ import annotations

import hashlib
import hmac

from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

_DATA, _HMAC_SHA256 = "1.2.840.113549.1.7.1", "1.2.840.113549.2.9"
_PBKDF2, _PBMAC1 = "1.2.840.113549.1.5.12", "1.2.840.113549.1.5.14"
_BAG, _FORM = "1.2.840.113549.1.12.10.1.", "1.2.840.113549.1.9.22.1"
_KEY_ID = "1.2.840.113549.1.9.21"


def integer(number: int) -> bytes:
    return asn1.encode(asn1.INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def sequence(*parts: bytes) -> bytes:
    return asn1.encode(asn1.SEQUENCE, *parts)


def explicit(content: bytes) -> bytes:
    return asn1.encode(0xA0, content)


def wrap(content: bytes) -> bytes:
    """A ContentInfo of the type *data*."""
    return sequence(asn1.encode_oid(_DATA), explicit(asn1.encode(asn1.OCTET_STRING, content)))


def unwrap(info: asn1.Value) -> asn1.Value:
    return asn1.read(info.children()[1].children()[0].octets())


def write_as_ber(value: asn1.Value) -> bytes:
    """The same value as old tools write it (BER): indefinite lengths, octets in two pieces."""
    if value.tag == asn1.OCTET_STRING and len(value.body) > 8:
        half = len(value.body) // 2
        return b"\x24\x80" + asn1.encode(4, value.body[:half]) + asn1.encode(4, value.body[half:]) + b"\x00\x00"
    if value.tag == 0x80 and len(value.body) > 8:  # the encrypted content, [0] IMPLICIT
        return b"\xa0\x80" + asn1.encode(4, value.body) + b"\x00\x00"
    if value.tag & 0x20:
        return bytes([value.tag]) + b"\x80" + b"".join(write_as_ber(one) for one in value.children()) + b"\x00\x00"
    return value.raw


def add_pbmac1(data: bytes, password: str) -> bytes:
    """A store without a password, with the integrity check of RFC 9579; built by the RFC."""
    version, safes = asn1.read(data).children()
    body = safes.children()[1].children()[0].octets()
    prf = sequence(asn1.encode_oid(_HMAC_SHA256), asn1.encode(asn1.NULL))
    options = sequence(asn1.encode(4, b"saltsalt"), integer(2048), integer(32), prf)
    parameters = sequence(sequence(asn1.encode_oid(_PBKDF2), options), prf)
    algorithm = sequence(asn1.encode_oid(_PBMAC1), parameters)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), b"saltsalt", 2048, 32)
    info = sequence(algorithm, asn1.encode(4, hmac.new(key, body, "sha256").digest()))
    return sequence(version.raw, safes.raw, sequence(info, asn1.encode(4, b"ignored"), integer(1)))


def add_bag(data: bytes, bag: bytes) -> bytes:
    """A store without a password, with one more bag at the end of its first safe."""
    version, content = asn1.read(data).children()
    first, *others = unwrap(content).children()
    contents = sequence(*(one.raw for one in unwrap(first).children()), bag)
    return sequence(version.raw, wrap(sequence(wrap(contents), *(one.raw for one in others))))


def make_bag(number: int, value: bytes, *attributes: bytes) -> bytes:
    """A SafeBag of the type with this number (RFC 7292, 4.2)."""
    rest = [asn1.encode(asn1.SET, *attributes)] if attributes else []
    return sequence(asn1.encode_oid(f"{_BAG}{number}"), explicit(value), *rest)


def make_attribute(oid: str, value: bytes) -> bytes:
    return sequence(asn1.encode_oid(oid), asn1.encode(asn1.SET, value))


def make_certificate_bag(der: bytes, key_id: bytes = b"") -> bytes:
    value = sequence(asn1.encode_oid(_FORM), explicit(asn1.encode(4, der)))
    return make_bag(3, value, *([make_attribute(_KEY_ID, asn1.encode(4, key_id))] if key_id else []))


def make_key_bag(key_id: bytes) -> bytes:
    return make_bag(1, sequence(b""), make_attribute(_KEY_ID, asn1.encode(4, key_id)))


def name_only(subject: int, issuer: int) -> bytes:
    """What has the names of a certificate at their places, and nothing else that makes one."""
    names = [sequence(integer(number)) for number in (issuer, subject)]
    fields = [integer(subject), sequence(), names[0], sequence(), names[1], sequence()]
    return sequence(sequence(explicit(integer(2)), *fields), sequence(), asn1.encode(asn1.BIT_STRING, b"\0"))


def lock_jks_key(key: bytes, password: str) -> bytes:
    """A private key as JKS encrypts it (``sun.security.provider.KeyProtector``)."""
    secret, salt = password.encode("utf-16-be"), b"twenty bytes of salt"
    stream, piece = b"", salt
    while len(stream) < len(key):
        piece = hashlib.sha1(secret + piece).digest()
        stream += piece
    hidden = bytes(left ^ right for left, right in zip(key, stream, strict=False))
    algorithm = sequence(asn1.encode_oid("1.3.6.1.4.1.42.2.17.1.1"), asn1.encode(asn1.NULL))
    return sequence(algorithm, asn1.encode(4, salt + hidden + hashlib.sha1(secret + key).digest()))


SECRET_BAG = make_bag(5, sequence(asn1.encode_oid("1.2.3"), explicit(asn1.encode(4, b"secret"))))
UNKNOWN_BAG = make_bag(4, sequence(asn1.encode_oid("1.2.4"), explicit(asn1.encode(4, b"a CRL"))))
UNKNOWN_ATTRIBUTE = make_attribute("1.2.3.4.5", asn1.encode(0x0C, b"of somebody else"))
