# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are written, recorded and shown."""

from __future__ import annotations

import stat

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit.servers import Authority, self_signed


def test_certificate_and_key(run_module, tmp_path):
    authority = Authority("an authority")
    certificate, key = tmp_path / "tls" / "site.pem", tmp_path / "tls" / "site.key"
    files = [
        {"path": str(certificate), "content": authority.pem},
        {"path": str(key), "content": "secret\n", "mode": "0600"},
    ]
    options = {"files": files, "undo_dir": str(tmp_path / "undo")}

    foreseen = run_module("managed_file", options, check=True, diff=True)
    assert (foreseen["changed"], certificate.exists()) == (True, False)

    made = run_module("managed_file", options, diff=True)
    assert (made["changed"], made["paths"]) == (True, [str(certificate), str(key)])
    assert made["diff"] == foreseen["diff"]
    assert "an authority" in made["diff"][0]["after"]
    assert "sha256: " in made["diff"][0]["after"]
    assert "secret" not in made["diff"][1]["after"]
    assert (certificate.read_text(), key.read_text()) == (authority.pem, "secret\n")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [entry["kind"] for entry in records.entries(options["undo_dir"])] == ["missing", "missing"]

    assert run_module("managed_file", options)["changed"] is False


def test_a_wrong_mode_is_a_difference(run_module, tmp_path):
    path = tmp_path / "x"
    path.write_text("text")
    path.chmod(0o644)
    result = run_module("managed_file", {"files": [{"path": str(path), "content": "text", "mode": "0600"}]})
    assert (result["changed"], stat.S_IMODE(path.stat().st_mode)) == (True, 0o600)


def make_pair():
    certificate, key = self_signed("wiki.example.com")
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), text


def pair(directory, certificate, key):
    return [
        {"path": str(directory / "fullchain.pem"), "content": certificate, "holds": "certificate"},
        {"path": str(directory / "privkey.pem"), "content": key, "holds": "private_key", "mode": "0600"},
    ]


def test_bad_files_never_replace_good_ones(run_module, tmp_path):
    (certificate, key), (_other, stranger) = make_pair(), make_pair()
    assert run_module("managed_file", {"files": pair(tmp_path, certificate, key)})["changed"]
    bad = [
        (certificate, stranger, "do not belong together"),
        ("{'confluence': '-----BEGIN'}", key, "fullchain.pem holds no certificate"),
        (certificate, "{'confluence': '-----BEGIN'}", "privkey.pem is no private key"),
        (key, certificate, "fullchain.pem holds no certificate"),
        (certificate[:-30], key, "without its END"),
        (certificate, "", "privkey.pem is no private key"),
        (certificate, key[:80] + key[90:], "cannot be used"),
    ]
    for first, second, why in bad:
        for check in (True, False):
            result = run_module("managed_file", {"files": pair(tmp_path, first, second)}, check=check)
            assert result["failed"]
            assert why in result["msg"]
            assert "PRIVATE KEY" not in result["msg"]
    assert ((tmp_path / "fullchain.pem").read_text(), (tmp_path / "privkey.pem").read_text()) == (certificate, key)


@pytest.mark.parametrize("holds", ["certificate", "authority"])
def test_a_certificate_without_its_key(run_module, tmp_path, holds):
    file = {"path": str(tmp_path / "ca.pem"), "content": Authority("one").pem, "holds": holds}
    assert run_module("managed_file", {"files": [file]})["changed"]
