# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _certificates, _der, _pbe, _pkcs12, _truststore

DATA = Path(__file__).resolve().parents[2] / "data" / "truststore"
KEY_STORES = ["key.p12", "key-legacy.p12", "key-3des.p12", "key-plain.p12"]


def content(name):
    return (DATA / name).read_bytes()


def fingerprint(name):
    return _certificates.parse(content(name), name)[0].fingerprint


@pytest.mark.parametrize(
    ("name", "protected", "encrypted"),
    [("nopass.p12", False, False), ("aes.p12", True, True), ("legacy.p12", True, True)],
)
def test_reads_what_keytool_wrote(name, protected, encrypted):
    store = _truststore.read(content(name), "changeit", name)
    assert (store.type, store.protected, store.encrypted) == ("pkcs12", protected, encrypted)
    assert store.trusted() == {fingerprint("root.pem"): "root", fingerprint("own.pem"): "größe"}


@pytest.mark.parametrize("password", [None, "", "anything"])
def test_a_store_without_a_password_opens_with_any(password):
    assert len(_truststore.read(content("nopass.p12"), password).entries) == 2


@pytest.mark.parametrize("name", ["aes.p12", "legacy.p12", "key.p12", "key-3des.p12", "key-plain.p12"])
def test_a_wrong_password_is_said_as_such(name):
    with pytest.raises(_truststore.WrongPassword, match="does not open /a/store"):
        _truststore.read(content(name), "wrong", "/a/store")


@pytest.mark.parametrize("name", ["aes.p12", "key.p12"])
def test_an_encrypted_store_needs_its_password(name):
    with pytest.raises(_truststore.WrongPassword, match="is encrypted"):
        _truststore.read(content(name), None)


@pytest.mark.parametrize("name", ["aes.p12", "legacy.p12"])
def test_a_wrong_password_without_an_integrity_check(name):
    version, safes, _mac = _der.read(content(name)).children()
    with pytest.raises(_truststore.WrongPassword):
        _truststore.read(_der.encode(_der.SEQUENCE, version.raw, safes.raw), "wrong")


def test_certificates_that_java_does_not_see():
    store = _truststore.read(content("certificates.p12"), "changeit")
    assert store.entries == {}
    assert len(store.ignored) == 2


@pytest.mark.parametrize("name", KEY_STORES)
def test_keys_with_their_chains(name):
    (entry,) = _truststore.read(content(name), "changeit").entries.values()
    chain = [_certificates.parse_der(der) for der in entry.certificates]
    assert (entry.alias, entry.kind) == ("tomcat", "key")
    assert [one.common_name for one in chain] == ["rtc.example", "Example Issuing CA"]
    key = _pkcs12.unlock(entry, "changeit")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    loaded = serialization.load_der_private_key(key, None)
    assert loaded.private_numbers() == serialization.load_pem_private_key(content("leaf.key"), None).private_numbers()


def test_a_key_with_another_password():
    (entry,) = _truststore.read(content("key.p12"), "changeit").entries.values()
    with pytest.raises(_truststore.WrongPassword):
        _pkcs12.unlock(entry, "wrong", "'tomcat'")


def test_keys_and_trusted_certificates_together():
    store = _truststore.read(content("mixed.p12"), "changeit")
    assert {alias: entry.kind for alias, entry in store.entries.items()} == {"tomcat": "key", "root": "trusted"}


def test_removing_keeps_the_rest_as_it_was():
    data = content("nopass.p12")
    new = _pkcs12.without(data, {"root"})
    store = _truststore.read(new, None)
    assert list(store.entries) == ["größe"]
    assert store.entries["größe"] == _truststore.read(data, None).entries["größe"]
    assert _pkcs12.without(data, set()) == data


def test_a_store_with_a_password_is_not_written_here():
    with pytest.raises(_truststore.UnsupportedStore, match="only Java can write it"):
        _pkcs12.without(content("aes.p12"), {"root"})


def indefinite(value):
    """The same value as old tools write it (BER): indefinite lengths, octets in two pieces."""
    if value.tag == _der.OCTET_STRING and len(value.body) > 8:
        half = len(value.body) // 2
        return b"\x24\x80" + _der.encode(4, value.body[:half]) + _der.encode(4, value.body[half:]) + b"\x00\x00"
    if value.tag == 0x80 and len(value.body) > 8:  # the encrypted content, [0] IMPLICIT
        return b"\xa0\x80" + _der.encode(4, value.body) + b"\x00\x00"
    if value.tag & 0x20:
        return bytes([value.tag]) + b"\x80" + b"".join(indefinite(one) for one in value.children()) + b"\x00\x00"
    return value.raw


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "legacy.p12", "key.p12", "mixed.p12"])
def test_reads_ber(name):
    data = content(name)
    assert _truststore.read(indefinite(_der.read(data)), "changeit") == _truststore.read(data, "changeit")


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "key-3des.p12"])
def test_a_store_cut_short(name):
    data = content(name)
    for cut in range(1, len(data), 97):
        with pytest.raises(_truststore.DamagedStore):
            _truststore.read(data[:cut], "changeit")


def test_absurd_rounds_are_refused():
    version, safes, mac = _der.read(content("aes.p12")).children()
    info, salt, _rounds = mac.children()
    mac = _der.encode(_der.SEQUENCE, info.raw, salt.raw, _der.encode_integer(2**40))
    with pytest.raises(_truststore.DamagedStore, match="rounds of key derivation"):
        _truststore.read(_der.encode(_der.SEQUENCE, version.raw, safes.raw, mac), "changeit")


def test_other_algorithms_are_named():
    version, safes, mac = _der.read(content("aes.p12")).children()
    old, new = _der.encode_oid("2.16.840.1.101.3.4.2.1"), _der.encode_oid("2.16.840.1.101.3.4.2.9")
    with pytest.raises(_truststore.UnsupportedStore, match=r"2\.16\.840\.1\.101\.3\.4\.2\.9"):
        _truststore.read(_der.encode(_der.SEQUENCE, version.raw, safes.raw, mac.raw.replace(old, new)), "changeit")


def test_pbmac1():
    """RFC 9579: HMAC with a key from PBKDF2, as Java 26 and OpenSSL 3.4 write it on request; built here by the RFC."""
    hashlib, hmac = pytest.importorskip("hashlib"), pytest.importorskip("hmac")
    version, safes = _der.read(content("nopass.p12")).children()
    body = safes.children()[1].children()[0].octets()
    prf = _der.encode(_der.SEQUENCE, _der.encode_oid("1.2.840.113549.2.9"), _der.encode(_der.NULL))
    options = _der.encode(_der.SEQUENCE, _der.encode(4, b"saltsalt"), _der.encode_integer(2048), _der.encode_integer(32), prf)
    derivation = _der.encode(_der.SEQUENCE, _der.encode_oid("1.2.840.113549.1.5.12"), options)
    parameters = _der.encode(_der.SEQUENCE, derivation, prf)
    algorithm = _der.encode(_der.SEQUENCE, _der.encode_oid("1.2.840.113549.1.5.14"), parameters)
    digest = hmac.new(hashlib.pbkdf2_hmac("sha256", b"changeit", b"saltsalt", 2048, 32), body, "sha256").digest()
    info = _der.encode(_der.SEQUENCE, algorithm, _der.encode(4, digest))
    mac = _der.encode(_der.SEQUENCE, info, _der.encode(4, b"ignored"), _der.encode_integer(1))
    data = _der.encode(_der.SEQUENCE, version.raw, safes.raw, mac)
    assert len(_truststore.read(data, "changeit").entries) == 2
    with pytest.raises(_truststore.WrongPassword):
        _truststore.read(data, "wrong")


def test_key_derivation_has_the_length_that_is_asked():
    for size in (1, 20, 21, 40, 41, 64, 100):
        long = _pbe.derive(b"\0s\0e\0\0", b"salt", 1, 3, 100)
        assert _pbe.derive(b"\0s\0e\0\0", b"salt", 1, 3, size) == long[:size]


def test_anything_is_read_or_refused():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    samples = [content(name) for name in ("nopass.p12", "trust.jks", "key-plain.p12")]

    @hypothesis.given(
        strategies.sampled_from(samples), strategies.integers(0, 5000), strategies.binary(max_size=6), strategies.integers(0, 6)
    )
    @hypothesis.settings(deadline=None)
    def check(data, place, piece, gone):
        place %= len(data)
        try:
            _truststore.read(data[:place] + piece + data[place + gone :], None)
        except _truststore.StoreError as exc:
            assert exc.message

    check()
