# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore.ciphers import (
    CipherError,
    decrypt_aes,
    decrypt_rc2,
    decrypt_triple_des,
)
from ansible_collections.collab.rtc.plugins.module_utils._keystore.encrypting import (
    encrypt_aes,
    encrypt_rc2,
    encrypt_triple_des,
)

# (cipher, key, iv, encrypted, clear). AES: NIST SP 800-38A, F.2 (CBC, four blocks) with the block of padding that
# openssl appends; Triple DES and RC2: openssl enc.
AES_CLEAR = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
AES_IV = bytes(range(16))


def test_aes_matches_nist():
    cryptography = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    encryptor = cryptography.Cipher(cryptography.algorithms.AES(key), cryptography.modes.CBC(AES_IV)).encryptor()
    encrypted = encryptor.update(AES_CLEAR + b"\x10" * 16) + encryptor.finalize()
    assert encrypted[:16].hex() == "f58c4c04d6e5f1ba779eabfb5f7bfbd6"  # the block that NIST publishes
    assert decrypt_aes(key, AES_IV, encrypted) == AES_CLEAR


@pytest.mark.parametrize("key_size", [16, 24, 32])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100])
def test_aes_against_cryptography(key_size, size):
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    key, clear = bytes(range(7, 7 + key_size)), bytes(i * 31 & 255 for i in range(size))
    pad = 16 - size % 16
    encryptor = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CBC(AES_IV)).encryptor()
    encrypted = encryptor.update(clear + bytes([pad]) * pad) + encryptor.finalize()
    assert decrypt_aes(key, AES_IV, encrypted) == clear
    assert encrypt_aes(key, AES_IV, clear) == encrypted


TEXT = b"a text of more than two blocks"


@pytest.mark.parametrize(
    ("decrypt", "encrypt", "arguments", "encrypted"),
    [
        (decrypt_triple_des, encrypt_triple_des, (bytes(range(24)), b"12345678"), "TRIPLE"),
        (decrypt_triple_des, encrypt_triple_des, (bytes(range(16)), b"12345678"), "TWO"),
        (decrypt_rc2, encrypt_rc2, (bytes(range(5)), 40, b"12345678"), "RC2_40"),
        (decrypt_rc2, encrypt_rc2, (bytes(range(16)), 128, b"12345678"), "RC2_128"),
    ],
)
def test_old_ciphers_match_openssl(decrypt, encrypt, arguments, encrypted):
    assert decrypt(*arguments, bytes.fromhex(OPENSSL[encrypted])) == TEXT
    assert encrypt(*arguments, TEXT) == bytes.fromhex(OPENSSL[encrypted])


def test_what_is_encrypted_is_decrypted():
    """Any key, any text: decryption is compared with other programs above."""
    hypothesis = pytest.importorskip("hypothesis")
    binary = pytest.importorskip("hypothesis.strategies").binary

    @hypothesis.given(binary(min_size=32, max_size=32), binary(min_size=16, max_size=16), binary(max_size=40))
    @hypothesis.settings(deadline=None, max_examples=30)
    def check(key, iv, text):
        assert decrypt_aes(key, iv, encrypt_aes(key, iv, text)) == text
        assert decrypt_triple_des(key[:24], iv[:8], encrypt_triple_des(key[:24], iv[:8], text)) == text
        assert decrypt_triple_des(key[:16], iv[:8], encrypt_triple_des(key[:16], iv[:8], text)) == text
        for bits in (40, 63, 64, 128):
            assert decrypt_rc2(key[:8], bits, iv[:8], encrypt_rc2(key[:8], bits, iv[:8], text)) == text

    check()


OPENSSL = {
    "TRIPLE": "2d8d726ddb932ce92412ac122c1d1a09e0cbd2133030eb5721dede4f1d583760",
    "TWO": "ceb30c0ae40bc9b256de14c7582c120c779cca86ea04ec2a7b1215592aa97ec4",
    "RC2_40": "ce83a04f6ba64becbf4f3fc0684d52e2e87fc339fc49cce79cb4d0073bb89dba",
    "RC2_128": "b972159322a45559f8d68d875dfd2cf27a97285d9deb61b88ea696cc62fdb169",
}


@pytest.mark.parametrize(
    "call",
    [
        lambda: decrypt_aes(bytes(16), bytes(16), bytes(16)),
        lambda: decrypt_aes(bytes(16), bytes(16), b""),
        lambda: decrypt_aes(bytes(16), bytes(16), bytes(17)),
        lambda: decrypt_aes(bytes(15), bytes(16), bytes(16)),
        lambda: decrypt_aes(bytes(16), bytes(8), bytes(16)),
        lambda: decrypt_triple_des(bytes(8), bytes(8), bytes(8)),
        lambda: decrypt_rc2(b"", 40, bytes(8), bytes(8)),
        lambda: encrypt_aes(bytes(15), bytes(16), b""),
        lambda: encrypt_aes(bytes(16), bytes(8), b""),
        lambda: encrypt_triple_des(bytes(8), bytes(8), b""),
        lambda: encrypt_rc2(b"", 40, bytes(8), b""),
    ],
)
def test_refusals(call):
    with pytest.raises(CipherError):
        call()
