# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut short"),
        (b"\x30", "cut short"),
        (b"\x30\x05\x02\x01", "cut short"),
        (b"\x30\x00\x00", "1 bytes follow"),
        (b"\x1f\x81\x01\x00", "tag of several bytes"),
        (b"\x30\x85\x01\x01\x01\x01\x01", "a length that cannot be"),
        (b"\x30\x82\x01", "a length that cannot be"),
        (b"\x04\x80\x00\x00", "indefinite length"),
        (b"\x30\x80\x02\x01\x05", "cut short"),
        (b"\x30\x80" * 40, "indefinite length"),
    ],
)
def test_ill_formed(data, reason):
    with pytest.raises(asn1.DerError, match=reason):
        asn1.read(data)


def test_nesting_has_a_limit():
    data = b"\x05\x00"
    for _round in range(100):
        data = asn1.encode(asn1.SEQUENCE, data)
    value = asn1.read(data)
    with pytest.raises(asn1.DerError, match="too deeply"):
        while True:
            (value,) = value.children()


@pytest.mark.parametrize("number", [0, 1, 127, 128, 255, 256, -1, -128, -129, 1 << 64])
def test_integers(number):
    content = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
    assert asn1.read(asn1.encode(asn1.INTEGER, content)).integer() == number


@pytest.mark.parametrize(
    "text", ["1.2.840.113549.1.7.1", "2.5.4.3", "0.9.2342.19200300.100.1.25", "2.999.1", "2.16.840.1.113894.746875.1.1"]
)
def test_object_identifiers(text):
    assert asn1.read(asn1.encode_oid(text)).oid() == text


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths(size):
    assert asn1.read(asn1.encode(asn1.OCTET_STRING, b"x" * size)).octets() == b"x" * size


def test_octets_in_pieces_and_indefinite_length():
    assert asn1.read(b"\x24\x80\x04\x02ab\x04\x01c\x00\x00").octets() == b"abc"


@pytest.mark.parametrize(
    ("tag", "text", "moment"),
    [
        (asn1.UTC_TIME, "491231235959Z", datetime.datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (asn1.UTC_TIME, "500101000000Z", datetime.datetime(1950, 1, 1, tzinfo=UTC)),
        (asn1.GENERALIZED_TIME, "20500101000000Z", datetime.datetime(2050, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(tag, text, moment):
    assert asn1.read(asn1.encode(tag, text.encode())).time() == moment


def test_other_things_are_not_times():
    with pytest.raises(asn1.DerError, match="not a time"):
        asn1.read(asn1.encode(asn1.UTC_TIME, b"yesterday")).time()
