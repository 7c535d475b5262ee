# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import struct

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import jks, jks_edit, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    KeyStoreEntry,
    UnsupportedKeyStoreError,
    WrongPasswordError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import paths, stores

DATA = paths.DATA / "truststore"


def content(name):
    return (DATA / name).read_bytes()


def fingerprint(name):
    return certificate.parse_certificates(content(name), name)[0].fingerprint


@pytest.mark.parametrize(("name", "kind"), [("trust.jks", "jks"), ("trust.jceks", "jceks")])
def test_reads_what_keytool_wrote(name, kind):
    store = reader.read(content(name), "changeit", name)
    assert (store.type, store.protected, store.encrypted) == (kind, True, False)
    assert store.trusted() == {fingerprint("root.pem"): "root", fingerprint("own.pem"): "größe"}
    assert all(entry.created_ms > 1_600_000_000_000 for entry in store.entries.values())


def test_finds_an_alias_without_regard_to_case():
    store = reader.read(content("trust.jks"), None)
    assert store.find("ROOT").alias == "root"
    assert store.find("other") is None


def test_a_wrong_password_is_said_as_such():
    with pytest.raises(WrongPasswordError, match=r"does not open /a/cacerts.*'changeit'"):
        reader.read(content("trust.jks"), "wrong", "/a/cacerts")


def test_without_a_password_nothing_is_checked():
    data = bytearray(content("trust.jks"))
    data[-1] ^= 1
    assert len(reader.read(bytes(data), None).entries) == 2
    with pytest.raises(WrongPasswordError):
        reader.read(bytes(data), "changeit")


def test_a_changed_byte_is_noticed():
    data = bytearray(content("trust.jks"))
    data[len(data) // 2] ^= 1
    with pytest.raises(WrongPasswordError, match="or the file was changed"):
        reader.read(bytes(data), "changeit")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xfe\xed\xfe\xed", "cut short at byte 4"),
        (b"\xfe\xed\xfe\xed" + struct.pack(">II", 3, 0) + bytes(20), "the version 3"),
        (b"\xfe\xed\xfe\xed" + struct.pack(">IIIHQ", 2, 1, 7, 0, 0) + bytes(20), "ill-formed entry at byte 12"),
        (b"\xfe\xed\xfe\xed" + struct.pack(">II", 2, 0) + bytes(21), "goes on after its end at byte 32"),
        (b"\xfe\xed\xfe\xed" + struct.pack(">II", 2, 1) + b"\0\0\0\2\0\1\xff" + bytes(40), "ill-formed entry"),
    ],
)
def test_damage_is_said_with_its_place(data, reason):
    with pytest.raises(DamagedKeyStoreError, match=reason):
        reader.read(data, "changeit")


@pytest.mark.parametrize("cut", [5, 11, 13, 17, 30, 100, 1000, 1420])
def test_a_store_cut_short(cut):
    with pytest.raises(DamagedKeyStoreError, match="cut short"):
        reader.read(content("trust.jks")[:cut], "changeit")


def test_a_secret_key_needs_java():
    data = b"\xce\xce\xce\xce" + struct.pack(">II", 2, 1) + b"\0\0\0\3\0\1a" + bytes(8) + bytes(100)
    with pytest.raises(UnsupportedKeyStoreError, match="secret key 'a'"):
        reader.read(data, "changeit")


def test_writing_what_was_read_gives_the_same_bytes():
    data = content("trust.jks")
    assert jks_edit.write(reader.read(data, "changeit").entries.values(), "changeit") == data


@pytest.mark.parametrize("alias", ["plain", "größe", "nul\0in it", "beyond \U0001f510 the plane", ""])
def test_aliases_come_back(alias):
    entry = KeyStoreEntry(alias, "trusted", (b"der",), 1234)
    store = reader.read(jks_edit.write([entry], "päss\U0001f510"), "päss\U0001f510")
    assert store.entries == {alias: entry}


@pytest.mark.parametrize("name", ["key.jks", "key.jceks"])
def test_a_key_with_its_own_password(name):
    (entry,) = reader.read(content(name), "changeit").entries.values()
    assert (entry.alias, entry.kind, len(entry.certificates)) == ("tomcat", "key", 2)
    assert "key=" not in repr(entry)
    with pytest.raises(WrongPasswordError, match="the key of 'tomcat'"):
        jks.unlock(entry.key, "changeit", "'tomcat'")
    key = jks.unlock(entry.key, "key secret")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    loaded = serialization.load_der_private_key(key, None)
    assert loaded.private_numbers() == serialization.load_pem_private_key(content("leaf.key"), None).private_numbers()


@pytest.mark.parametrize("name", ["trust.jks", "trust.jceks", "key.jks", "key.jceks"])
def test_what_stays_stays_to_the_byte(name):
    data = content(name)
    entry = KeyStoreEntry("New", "trusted", (b"der",), 1234)
    new = jks_edit.edit(data, set(), [entry], "changeit")
    assert new[12 : len(data) - 20] == data[12:-20]
    assert list(reader.read(new, "changeit").entries)[-1] == "new"
    assert jks_edit.edit(new, {"new"}, [], "changeit") == data


def test_a_store_of_version_1_stays_one():
    """Java 1.1 wrote no certificate type; other tools wrote aliases in capitals, and other types."""
    head = b"\xfe\xed\xfe\xed" + struct.pack(">II", 1, 1)
    old = struct.pack(">I", 2) + b"\x00\x03OLD" + struct.pack(">QI", 7, 3) + b"der"
    data = head + old + jks.compute_digest(head + old, "changeit")
    new = jks_edit.edit(data, set(), [KeyStoreEntry("new", "trusted", (b"more",), 8)], "changeit")
    assert new[4:8] == struct.pack(">I", 1)
    assert old in new
    entries = reader.read(new, "changeit").entries
    assert {alias: one.certificates for alias, one in entries.items()} == {"OLD": (b"der",), "new": (b"more",)}
    assert jks_edit.edit(new, {"new"}, [], "changeit") == data
    assert list(reader.read(jks_edit.edit(new, {"OLD"}, [], "changeit"), "changeit").entries) == ["new"]


def test_a_locked_key_opens_again():
    key = bytes(range(77))
    assert jks.unlock(stores.lock_jks_key(key, "geheim"), "geheim") == key


def test_keys_of_other_algorithms():
    (entry,) = reader.read(content("key-3des.p12"), "changeit").entries.values()
    with pytest.raises(UnsupportedKeyStoreError, match=r"1\.2\.840\.113549\.1\.12\.1\.3"):
        jks.unlock(entry.key, "changeit")
    with pytest.raises(DamagedKeyStoreError):
        jks.unlock(b"nothing", "key secret")
