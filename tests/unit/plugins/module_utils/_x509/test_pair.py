# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""Keys and certificates, as OpenSSL sees them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ansible_collections.collab.rtc.plugins.module_utils._x509 import pair
from ansible_collections.collab.rtc.tests.unit import servers


def pem(key, password=b""):
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


@pytest.fixture(scope="module")
def made():
    """A certificate and its key, as OpenSSL reads them."""
    certificate, key = servers.self_signed("wiki.example.com")
    return certificate.public_bytes(serialization.Encoding.PEM), pem(key)


def test_a_pair(made):
    assert pair.find_fault(*made) == ""


def test_another_key(made):
    assert pair.find_fault(made[0], pem(ec.generate_private_key(ec.SECP256R1()))) == pair.MISMATCH


def test_keys_of_other_kinds_than_the_certificate(made):
    for key in (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
        assert pair.find_fault(made[0], pem(key)) == pair.MISMATCH


@pytest.mark.parametrize("password", [b"secret", b" "])
def test_an_encrypted_key_never_asks(made, password):
    key = serialization.load_pem_private_key(made[1], None)
    assert pair.find_fault(made[0], pem(key, password)) == pair.ENCRYPTED


@pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_none(made, junk):
    assert pair.find_fault(made[0], junk) not in ("", pair.MISMATCH, pair.ENCRYPTED)
    assert pair.find_fault(junk, made[1]) not in ("", pair.MISMATCH, pair.ENCRYPTED)
