# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    ForeignKeyStoreError,
    UnsupportedKeyStoreError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "/a/store is empty"),
        (b"-----BEGIN CERTIFICATE-----\n", "is a PEM file"),
        (b"\x00\x00\x00\x02", "neither a JKS nor a PKCS#12"),
        (b"PK\x03\x04", "neither a JKS nor a PKCS#12"),
    ],
)
def test_other_files_are_named(data, reason):
    with pytest.raises(DamagedKeyStoreError, match=reason):
        reader.read(data, "changeit", "/a/store")


def test_a_missing_file(tmp_path):
    with pytest.raises(_files.FileError, match="cannot be read"):
        reader.read_file(str(tmp_path / "cacerts"), "changeit")


def test_a_certificate_in_der_is_not_a_store():
    der = certificate.parse_pem((DATA / "root.pem").read_text(encoding="ascii"), "root.pem")[0].der
    with pytest.raises(ForeignKeyStoreError, match="/a/store is a certificate, not a key store"):
        reader.read(der, "changeit", "/a/store")
    with pytest.raises(DamagedKeyStoreError, match="not a whole PKCS#12"):
        reader.read(der[:-1], "changeit")


def test_pkcs7_in_der_is_not_a_store():
    der = base64.b64decode("".join((DATA / "chain.p7b").read_text(encoding="ascii").splitlines()[1:-1]))
    with pytest.raises(ForeignKeyStoreError, match="is a PKCS#7 file of certificates"):
        reader.read(der, "changeit")


# Made by BouncyCastle 1.72 with keytool -storetype: a key, or a certificate, in each.
BOUNCY_CASTLE = {"bouncycastle.bks": "BKS", "bouncycastle-trust.bks": "BKS", "bouncycastle.uber": "UBER",
                 "bouncycastle.bcfks": "BCFKS"}  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), BOUNCY_CASTLE.items())
def test_stores_of_bouncy_castle_are_called_what_they_are(name, kind):
    with pytest.raises(ForeignKeyStoreError, match=f"^/a/store is a {kind} key store of BouncyCastle") as caught:
        reader.read((DATA / name).read_bytes(), None, "/a/store")
    assert f"-srcstoretype {kind}" in caught.value.remedy


def test_no_store_of_java_is_taken_for_another():
    for path in [*DATA.glob("*.p12"), *DATA.glob("*.jks"), *DATA.glob("*.jceks")]:
        assert reader.detect(path.read_bytes(), path.name)


def test_an_empty_store_of_bouncy_castle():
    head = (DATA / "bouncycastle.bks").read_bytes()[:32]
    with pytest.raises(ForeignKeyStoreError, match="BKS"):
        reader.read(head + bytes(21), None)


def test_what_is_wrong_deep_in_a_store_is_said_with_its_name():
    """A kind of content that RFC 7292 knows and nobody writes: enveloped data."""
    data = (
        (DATA / "key.p12")
        .read_bytes()
        .replace(bytes.fromhex("2a864886f70d010706"), bytes.fromhex("2a864886f70d010703"))
    )
    with pytest.raises(UnsupportedKeyStoreError, match=r"^/a/store: .*1\.2\.840\.113549\.1\.7\.3") as caught:
        reader.read(data, None, "/a/store")
    assert "keytool -importkeystore" in caught.value.remedy


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["lib/security/cacerts"], "lib/security/cacerts"),
        (["lib/security/cacerts", "lib/security/jssecacerts"], "lib/security/jssecacerts"),
        (["jre/lib/security/cacerts"], "jre/lib/security/cacerts"),
        (["jre/lib/security/cacerts", "jre/lib/security/jssecacerts"], "jre/lib/security/jssecacerts"),
    ],
)
def test_the_store_that_a_jre_uses(tmp_path, there, found):
    for name in there:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert reader.locate(str(tmp_path)) == str(tmp_path / found)


def test_a_link_to_the_store_is_not_resolved(tmp_path):
    security = tmp_path / "lib" / "security"
    security.mkdir(parents=True)
    (tmp_path / "real").touch()
    (security / "cacerts").symlink_to(tmp_path / "real")
    assert reader.locate(str(tmp_path)) == str(security / "cacerts")


def test_a_jre_without_a_store(tmp_path):
    with pytest.raises(reader.KeyStoreMissingError, match=r"No trust store in .*java\.home"):
        reader.locate(str(tmp_path))
