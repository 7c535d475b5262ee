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
from ansible_collections.collab.rtc.tests.unit import growth, paths, stores

DATA = paths.DATA / "truststore"
KEY_STORES = ["key.p12", "key-legacy.p12", "key-3des.p12", "key-plain.p12"]


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


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "legacy.p12", "key.p12", "mixed.p12"])
def test_reads_ber(name):
    data = content(name)
    assert reader.read(stores.write_as_ber(asn1.read(data)), "changeit") == reader.read(data, "changeit")


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "key-3des.p12"])
def test_a_store_cut_short(name):
    data = content(name)
    for cut in range(1, len(data), 97):
        with pytest.raises(DamagedKeyStoreError):
            reader.read(data[:cut], "changeit")


def test_absurd_rounds_are_refused():
    version, safes, mac = asn1.read(content("aes.p12")).children()
    info, salt, _rounds = mac.children()
    mac = asn1.encode(asn1.SEQUENCE, info.raw, salt.raw, stores.integer(2**40))
    with pytest.raises(DamagedKeyStoreError, match="rounds of key derivation"):
        reader.read(asn1.encode(asn1.SEQUENCE, version.raw, safes.raw, mac), "changeit")


def test_other_algorithms_are_named():
    version, safes, mac = asn1.read(content("aes.p12")).children()
    old, new = asn1.encode_oid("2.16.840.1.101.3.4.2.1"), asn1.encode_oid("2.16.840.1.101.3.4.2.9")
    with pytest.raises(UnsupportedKeyStoreError, match=r"2\.16\.840\.1\.101\.3\.4\.2\.9"):
        reader.read(asn1.encode(asn1.SEQUENCE, version.raw, safes.raw, mac.raw.replace(old, new)), "changeit")


def test_pbmac1():
    """RFC 9579, as Java 26 and OpenSSL 3.4 write it on request."""
    data = stores.add_pbmac1(content("nopass.p12"), "changeit")
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


def test_secret_keys_are_entries_that_nobody_looks_into():
    data = stores.add_bag(content("nopass.p12"), stores.SECRET_BAG)
    store = reader.read(data, None)
    assert {alias: entry.kind for alias, entry in store.entries.items()} == {
        "root": "trusted",
        "größe": "trusted",
        "1": "secret",
    }


def test_rounds_are_bounded_for_the_whole_store():
    """Many safes, each with a number that Java takes: hours of work."""
    version, safes, mac = asn1.read(content("aes.p12")).children()
    (safe,) = asn1.read(safes.children()[1].children()[0].octets()).children()
    many = stores.wrap(asn1.encode(asn1.SEQUENCE, *[safe.raw] * 600))  # 10,000 rounds each
    with pytest.raises(DamagedKeyStoreError, match="6010000 rounds of key derivation; 5000000 are the most"):
        reader.read(asn1.encode(asn1.SEQUENCE, version.raw, many, mac.raw), "changeit")


def test_encrypted_data_is_bounded(monkeypatch):
    monkeypatch.setattr(pbe, "MAX_ENCRYPTED", 1000)
    with pytest.raises(UnsupportedKeyStoreError, match="more than 1000 encrypted bytes"):
        reader.read(content("aes.p12"), "changeit")


def make_store(*bags):
    safe = stores.wrap(asn1.encode(asn1.SEQUENCE, *bags))
    return asn1.encode(asn1.SEQUENCE, stores.integer(3), stores.wrap(asn1.encode(asn1.SEQUENCE, safe)))


def test_many_keys_and_certificates_take_no_square_of_time():
    """Certificates, each the issuer of the next, and as many keys with the same one."""

    def make(number):
        keys = [stores.make_key_bag(b"1") for _number in range(number)]
        names = [
            stores.make_certificate_bag(stores.name_only(n + 1, n), b"1" if n == 50 else b"") for n in range(number)
        ]
        return make_store(*keys, *names)

    def read(data):
        store = reader.read(data, None)
        assert {len(entry.certificates) for entry in store.entries.values()} == {51}

    growth.require_linear(read, make, 5_000)


def test_a_chain_without_end_is_refused():
    names = [stores.make_certificate_bag(stores.name_only(n, n + 1), b"1" if n == 0 else b"") for n in range(102)]
    with pytest.raises(DamagedKeyStoreError, match="a chain of more than 100"):
        reader.read(make_store(stores.make_key_bag(b"1"), *names), None)
