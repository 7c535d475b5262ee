# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import pbe, pkcs12, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    KeyStoreError,
    UnsupportedKeyStoreError,
    WrongPasswordError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1, certificate
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
KEY_STORES = ["key.p12", "key-legacy.p12", "key-3des.p12", "key-plain.p12"]


def integer(number):
    return asn1.encode(asn1.INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def content(name):
    return (DATA / name).read_bytes()


def fingerprint(name):
    return certificate.parse_certificates(content(name), name)[0].fingerprint


@pytest.mark.parametrize(
    ("name", "protected", "encrypted"),
    [("nopass.p12", False, False), ("aes.p12", True, True), ("legacy.p12", True, True)],
)
def test_reads_what_keytool_wrote(name, protected, encrypted):
    store = reader.read(content(name), "changeit", name)
    assert (store.type, store.protected, store.encrypted) == ("pkcs12", protected, encrypted)
    assert store.trusted() == {fingerprint("root.pem"): "root", fingerprint("own.pem"): "größe"}


@pytest.mark.parametrize("password", [None, "", "anything"])
def test_a_store_without_a_password_opens_with_any(password):
    assert len(reader.read(content("nopass.p12"), password).entries) == 2


@pytest.mark.parametrize("name", ["aes.p12", "legacy.p12", "key.p12", "key-3des.p12", "key-plain.p12"])
def test_a_wrong_password_is_said_as_such(name):
    with pytest.raises(WrongPasswordError, match="does not open /a/store"):
        reader.read(content(name), "wrong", "/a/store")


@pytest.mark.parametrize("name", ["aes.p12", "key.p12"])
def test_an_encrypted_store_needs_its_password(name):
    with pytest.raises(WrongPasswordError, match="is encrypted"):
        reader.read(content(name), None)


@pytest.mark.parametrize("name", ["aes.p12", "legacy.p12"])
def test_a_wrong_password_without_an_integrity_check(name):
    version, safes, _mac = asn1.read(content(name)).children()
    with pytest.raises(WrongPasswordError):
        reader.read(asn1.encode(asn1.SEQUENCE, version.raw, safes.raw), "wrong")


def test_certificates_that_java_does_not_see():
    store = reader.read(content("certificates.p12"), "changeit")
    assert store.entries == {}
    assert len(store.ignored) == 2


@pytest.mark.parametrize("name", KEY_STORES)
def test_keys_with_their_chains(name):
    (entry,) = reader.read(content(name), "changeit").entries.values()
    chain = [certificate.parse_der(der) for der in entry.certificates]
    assert (entry.alias, entry.kind) == ("tomcat", "key")
    assert [one.common_name for one in chain] == ["rtc.example", "Example Issuing CA"]
    key = pkcs12.unlock(entry, "changeit")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    loaded = serialization.load_der_private_key(key, None)
    assert loaded.private_numbers() == serialization.load_pem_private_key(content("leaf.key"), None).private_numbers()


def test_a_key_with_another_password():
    (entry,) = reader.read(content("key.p12"), "changeit").entries.values()
    with pytest.raises(WrongPasswordError):
        pkcs12.unlock(entry, "wrong", "'tomcat'")


def test_keys_and_trusted_certificates_together():
    store = reader.read(content("mixed.p12"), "changeit")
    assert {alias: entry.kind for alias, entry in store.entries.items()} == {"tomcat": "key", "root": "trusted"}


def test_removing_keeps_the_rest_as_it_was():
    data = content("nopass.p12")
    new = pkcs12.without(data, {"root"})
    store = reader.read(new, None)
    assert list(store.entries) == ["größe"]
    assert store.entries["größe"] == reader.read(data, None).entries["größe"]
    assert pkcs12.without(data, set()) == data


def test_a_store_with_a_password_is_not_written_here():
    with pytest.raises(UnsupportedKeyStoreError, match="only Java can write it"):
        pkcs12.without(content("aes.p12"), {"root"})


def indefinite(value):
    """The same value as old tools write it (BER): indefinite lengths, octets in two pieces."""
    if value.tag == asn1.OCTET_STRING and len(value.body) > 8:
        half = len(value.body) // 2
        return b"\x24\x80" + asn1.encode(4, value.body[:half]) + asn1.encode(4, value.body[half:]) + b"\x00\x00"
    if value.tag == 0x80 and len(value.body) > 8:  # the encrypted content, [0] IMPLICIT
        return b"\xa0\x80" + asn1.encode(4, value.body) + b"\x00\x00"
    if value.tag & 0x20:
        return bytes([value.tag]) + b"\x80" + b"".join(indefinite(one) for one in value.children()) + b"\x00\x00"
    return value.raw


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "legacy.p12", "key.p12", "mixed.p12"])
def test_reads_ber(name):
    data = content(name)
    assert reader.read(indefinite(asn1.read(data)), "changeit") == reader.read(data, "changeit")


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "key-3des.p12"])
def test_a_store_cut_short(name):
    data = content(name)
    for cut in range(1, len(data), 97):
        with pytest.raises(DamagedKeyStoreError):
            reader.read(data[:cut], "changeit")


def test_absurd_rounds_are_refused():
    version, safes, mac = asn1.read(content("aes.p12")).children()
    info, salt, _rounds = mac.children()
    mac = asn1.encode(asn1.SEQUENCE, info.raw, salt.raw, integer(2**40))
    with pytest.raises(DamagedKeyStoreError, match="rounds of key derivation"):
        reader.read(asn1.encode(asn1.SEQUENCE, version.raw, safes.raw, mac), "changeit")


def test_other_algorithms_are_named():
    version, safes, mac = asn1.read(content("aes.p12")).children()
    old, new = asn1.encode_oid("2.16.840.1.101.3.4.2.1"), asn1.encode_oid("2.16.840.1.101.3.4.2.9")
    with pytest.raises(UnsupportedKeyStoreError, match=r"2\.16\.840\.1\.101\.3\.4\.2\.9"):
        reader.read(asn1.encode(asn1.SEQUENCE, version.raw, safes.raw, mac.raw.replace(old, new)), "changeit")


def test_pbmac1():
    """RFC 9579: HMAC with a key from PBKDF2, as Java 26 and OpenSSL 3.4 write it on request; built here by the RFC."""
    hashlib, hmac = pytest.importorskip("hashlib"), pytest.importorskip("hmac")
    version, safes = asn1.read(content("nopass.p12")).children()
    body = safes.children()[1].children()[0].octets()
    prf = asn1.encode(asn1.SEQUENCE, asn1.encode_oid("1.2.840.113549.2.9"), asn1.encode(asn1.NULL))
    options = asn1.encode(asn1.SEQUENCE, asn1.encode(4, b"saltsalt"), integer(2048), integer(32), prf)
    derivation = asn1.encode(asn1.SEQUENCE, asn1.encode_oid("1.2.840.113549.1.5.12"), options)
    parameters = asn1.encode(asn1.SEQUENCE, derivation, prf)
    algorithm = asn1.encode(asn1.SEQUENCE, asn1.encode_oid("1.2.840.113549.1.5.14"), parameters)
    digest = hmac.new(hashlib.pbkdf2_hmac("sha256", b"changeit", b"saltsalt", 2048, 32), body, "sha256").digest()
    info = asn1.encode(asn1.SEQUENCE, algorithm, asn1.encode(4, digest))
    mac = asn1.encode(asn1.SEQUENCE, info, asn1.encode(4, b"ignored"), integer(1))
    data = asn1.encode(asn1.SEQUENCE, version.raw, safes.raw, mac)
    assert len(reader.read(data, "changeit").entries) == 2
    with pytest.raises(WrongPasswordError):
        reader.read(data, "wrong")


def test_key_derivation_has_the_length_that_is_asked():
    for size in (1, 20, 21, 40, 41, 64, 100):
        long = pbe.derive(b"\0s\0e\0\0", b"salt", 1, 3, 100)
        assert pbe.derive(b"\0s\0e\0\0", b"salt", 1, 3, size) == long[:size]


def test_anything_is_read_or_refused():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    samples = [content(name) for name in ("nopass.p12", "trust.jks", "key-plain.p12")]

    @hypothesis.given(
        strategies.sampled_from(samples),
        strategies.integers(0, 5000),
        strategies.binary(max_size=6),
        strategies.integers(0, 6),
    )
    @hypothesis.settings(deadline=None)
    def check(data, place, piece, gone):
        place %= len(data)
        try:
            reader.read(data[:place] + piece + data[place + gone :], None)
        except KeyStoreError as exc:
            assert exc.message

    check()
