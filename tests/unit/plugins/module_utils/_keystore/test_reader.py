# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import DamagedKeyStoreError
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
    pem = (DATA / "root.pem").read_text(encoding="ascii")
    certificates = pytest.importorskip("ansible_collections.collab.rtc.plugins.module_utils._x509.certificate")
    with pytest.raises(DamagedKeyStoreError, match="not a whole PKCS#12"):
        reader.read(certificates.parse_pem(pem, "root.pem")[0].der, "changeit")


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
