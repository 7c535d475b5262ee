# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which attributes are gone, which are secret, and which Tomcat it is."""

from __future__ import annotations

import zipfile

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import attributes, removed_attributes


@pytest.mark.parametrize(
    ("text", "version"),
    [("9.0.98", (9, 0)), ("10", (10, 0)), (" 8.5.100 ", (8, 5)), ("11.0.0-M1", (11, 0)), ("", None), ("latest", None)],
)
def test_parse_version(text, version):
    assert removed_attributes.parse_version(text) == version


@pytest.mark.parametrize(
    ("name", "last", "first"),
    [
        ("keystoreFile", "9.0.98", "10.0.0"),
        ("SSLCertificateFile", "9.0.98", "10.1"),
        ("compressableMimeType", "8.5.100", "9.0.1"),
        ("rejectIllegalHeader", "10.1.34", "11.0.2"),
    ],
)
def test_gone(name, last, first):
    assert attributes.find_removed([name, "scheme"], last) == []
    assert [found for found, _instead in attributes.find_removed([name, "scheme"], first)] == [name]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('keystorePass="a"', 'keystorePass="********"'),
        ("KEYPASS = 'a\nb'", "KEYPASS = '********'"),
        ('password="it\'s"', 'password="********"'),
        ('keystorePassFile="a"', 'keystorePassFile="a"'),
        ('my-password="a" keystoreType="JKS"', 'my-password="a" keystoreType="JKS"'),
        ('secret="a" requiredSecret="b"', 'secret="********" requiredSecret="********"'),
    ],
)
def test_mask_text(text, masked):
    assert attributes.mask_text(text) == masked


def test_masked_attributes():
    asked = {"port": "1", "keystorePass": "x", "certificateKeystorePassword": "y", "keyPass": ""}
    expected = {
        "port": "1",
        "keystorePass": attributes.MASK,
        "certificateKeystorePassword": attributes.MASK,
        "keyPass": "",
    }
    assert attributes.mask(asked) == expected


def install(path, version):
    (path / "conf").mkdir(parents=True)
    (path / "lib").mkdir()
    (path / "conf" / "server.xml").write_text("<Server/>")
    with zipfile.ZipFile(path / "lib" / "catalina.jar", "w") as jar:
        jar.writestr("org/apache/catalina/util/ServerInfo.properties", f"server.number={version}.0\n")
    return path / "conf" / "server.xml"


def test_version_from_the_jar(tmp_path):
    assert attributes.detect_version(str(install(tmp_path, "9.0.98"))) == "9.0.98.0"


def test_version_behind_a_link(tmp_path):
    real = install(tmp_path / "real", "10.1.34")
    (tmp_path / "server.xml").symlink_to(real)
    assert attributes.detect_version(str(tmp_path / "server.xml")) == "10.1.34.0"


@pytest.mark.parametrize("jar", [None, b"no zip", b""])
def test_version_from_the_release_notes(tmp_path, jar):
    path = install(tmp_path, "1")
    (tmp_path / "RELEASE-NOTES").write_text("\n  Apache Tomcat Version 8.5.100\n  Release Notes\n")
    (tmp_path / "lib" / "catalina.jar").unlink()
    if jar is not None:
        (tmp_path / "lib" / "catalina.jar").write_bytes(jar)
    assert attributes.detect_version(str(path)) == "8.5.100"


def test_version_unknown(tmp_path):
    assert attributes.detect_version(str(tmp_path / "conf" / "server.xml")) == ""
