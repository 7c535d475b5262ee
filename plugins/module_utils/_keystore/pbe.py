# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Password-based encryption and integrity of PKCS#12: RFC 7292 (appendix B), RFC 8018, RFC 9579."""

from __future__ import annotations

import hashlib
import hmac

from ansible_collections.collab.rtc.plugins.module_utils._keystore import ciphers
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    UnsupportedKeyStoreError,
    WrongPasswordError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

# A store may ask for any number of rounds; Java's own limit (PKCS12KeyStore.MAX_ITERATION_COUNT) bounds the work. Here
# it is the limit of a whole store too: whoever may write one may not keep root busy for hours.
MAX_ROUNDS = 5_000_000
# Bytes that are decrypted here; Triple DES takes half a minute for them. The authorities of a JRE are 200 kB.
MAX_ENCRYPTED = 4 * 1024 * 1024

_HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "1.2.840.113549.2.5": "md5",
}
_HMACS = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
PBES2, _PBKDF2, PBMAC1 = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12", "1.2.840.113549.1.5.14"
_AES = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}  # key bytes
TRIPLE_DES = "1.2.840.113549.3.7"
_PBE = "1.2.840.113549.1.12.1."  # + number: RFC 7292, appendix C
_PBE_DES = {"3": 24, "4": 16}  # key bytes
_PBE_RC2 = {"5": 128, "6": 40}  # key bits
_KEY, _IV, _MAC = 1, 2, 3  # what a derived value is for, RFC 7292, B.3


def decrypt(algorithm: asn1.Value, data: bytes, password: str, name: str) -> bytes:
    """Decrypt what an AlgorithmIdentifier says how.

    :param name: how errors call the store.
    :raises WrongPasswordError: the padding is wrong with this password.
    :raises UnsupportedKeyStoreError: another algorithm, or more data than is decrypted here.
    """
    if len(data) > MAX_ENCRYPTED:
        raise UnsupportedKeyStoreError(f"{name} has more than {MAX_ENCRYPTED} encrypted bytes.")
    failure = ciphers.CipherError("no password")
    try:
        for secret in encode_password(password):
            try:
                return Cipher(algorithm, password, secret).decrypt(data)
            except ciphers.CipherError as exc:
                failure = exc
    except IndexError as exc:
        raise DamagedKeyStoreError(f"{name} has an ill-formed algorithm.", "Restore it from a backup.") from exc
    raise WrongPasswordError(f"The password does not open {name}.", "Give the store's password.") from failure


def check_mac(mac: asn1.Value, content: bytes, password: str, name: str) -> None:
    """Check the integrity of a store with the password (MacData of RFC 7292, PBMAC1 of RFC 9579).

    :raises WrongPasswordError: it does not match.
    """
    if not any(matches(mac, content, password, secret) for secret in encode_password(password)):
        raise WrongPasswordError(
            f"The password does not open {name} (or the file was changed by something that is not Java).",
            "Give the store's password; Java's own trust stores have 'changeit'.",
        )


def count_rounds(algorithm: asn1.Value) -> int:
    """The rounds of key derivation that an algorithm of encryption asks for; 0 where it is not one known here."""
    fields = algorithm.children(asn1.SEQUENCE)
    oid = fields[0].oid()
    if oid == PBES2:
        return _count_pbkdf2_rounds(fields[1].children(asn1.SEQUENCE)[0])
    return fields[1].children(asn1.SEQUENCE)[1].integer() if oid.startswith(_PBE) else 0


def count_mac_rounds(mac: asn1.Value) -> int:
    """The rounds of key derivation that the integrity check asks for."""
    fields = mac.children(asn1.SEQUENCE)
    algorithm = fields[0].children(asn1.SEQUENCE)[0].children(asn1.SEQUENCE)
    if algorithm[0].oid() == PBMAC1:
        return _count_pbkdf2_rounds(algorithm[1].children(asn1.SEQUENCE)[0])
    return fields[2].integer() if len(fields) > 2 else 1


def derive(secret: bytes, salt: bytes, purpose: int, rounds: int, size: int, digest: str = "sha1") -> bytes:
    """The key derivation of RFC 7292, B.2.

    :param secret: the password as it is to go in (UTF-16BE with two zero bytes at the end).
    :param purpose: 1 for a key, 2 for an initialisation vector, 3 for a MAC key.
    :param size: bytes wanted.
    """
    block = hashlib.new(digest).block_size
    whole = 1 << (8 * block)
    blocks = _repeat_to_blocks(salt, block) + _repeat_to_blocks(secret, block)
    out = b""
    while True:
        piece = hashlib.new(digest, bytes([purpose]) * block + blocks).digest()
        for _round in range(rounds - 1):
            piece = hashlib.new(digest, piece).digest()
        out += piece
        if len(out) >= size:
            return out[:size]
        add = int.from_bytes(_repeat_to_blocks(piece, block)[:block], "big") + 1
        parts = (int.from_bytes(blocks[i : i + block], "big") for i in range(0, len(blocks), block))
        blocks = b"".join(((part + add) % whole).to_bytes(block, "big") for part in parts)


def _repeat_to_blocks(data: bytes, block: int) -> bytes:
    """The data repeated until it is whole blocks; nothing stays nothing."""
    size = -(-len(data) // block) * block
    return (data * (size // len(data) + 1))[:size] if data else b""


def encode_password(password: str) -> list[bytes]:
    """The password as PKCS#12 wants it. Programs disagree on the empty one, so both readings are tried."""
    secret = password.encode("utf-16-be", "surrogatepass") + b"\x00\x00"
    return [secret] if password else [secret, b""]


class Cipher:
    """An algorithm of encryption with its key and initialisation vector.

    :param secret: the password as :func:`encode_password` has it; PBES2 takes the password itself.
    """

    def __init__(self, algorithm: asn1.Value, password: str, secret: bytes) -> None:
        fields = algorithm.children(asn1.SEQUENCE)
        oid = fields[0].oid()
        self.rc2_bits = 0
        if oid == PBES2:
            derivation, cipher = fields[1].children(asn1.SEQUENCE)
            cipher_fields = cipher.children(asn1.SEQUENCE)
            self.oid, self.iv = cipher_fields[0].oid(), cipher_fields[1].octets()
            size = 24 if self.oid == TRIPLE_DES else _AES.get(self.oid, 0)
            if not size:
                raise _unsupported(self.oid)
            self.key = _derive_pbkdf2(derivation, password, size)
            return
        number = oid[len(_PBE) :] if oid.startswith(_PBE) else ""
        self.rc2_bits = _PBE_RC2.get(number, 0)
        size = _PBE_DES.get(number) or self.rc2_bits // 8
        if not size:
            raise _unsupported(oid)
        salt, rounds = fields[1].children(asn1.SEQUENCE)
        count = _check_rounds(rounds.integer())
        self.oid = "" if self.rc2_bits else TRIPLE_DES
        self.key = derive(secret, salt.octets(), _KEY, count, size)
        self.iv = derive(secret, salt.octets(), _IV, count, 8)

    def decrypt(self, data: bytes) -> bytes:
        if self.rc2_bits:
            return ciphers.decrypt_rc2(self.key, self.rc2_bits, self.iv, data)
        decrypt_block = ciphers.decrypt_triple_des if self.oid == TRIPLE_DES else ciphers.decrypt_aes
        return decrypt_block(self.key, self.iv, data)


def matches(mac: asn1.Value, content: bytes, password: str, secret: bytes) -> bool:
    wanted = mac.children(asn1.SEQUENCE)[0].children(asn1.SEQUENCE)[1].octets()
    return hmac.compare_digest(compute_mac(mac, content, password, secret), wanted)


def compute_mac(mac: asn1.Value, content: bytes, password: str, secret: bytes) -> bytes:
    fields = mac.children(asn1.SEQUENCE)
    algorithm = fields[0].children(asn1.SEQUENCE)[0].children(asn1.SEQUENCE)
    oid = algorithm[0].oid()
    if oid == PBMAC1:
        return _compute_pbmac1(algorithm[1], content, password)
    if oid not in _HASHES:
        raise _unsupported(oid)
    rounds = _check_rounds(fields[2].integer()) if len(fields) > 2 else 1
    digest = _HASHES[oid]
    key = derive(secret, fields[1].octets(), _MAC, rounds, hashlib.new(digest).digest_size, digest)
    return hmac.new(key, content, digest).digest()


def _compute_pbmac1(parameters: asn1.Value, content: bytes, password: str) -> bytes:
    derivation, mac = parameters.children(asn1.SEQUENCE)
    oid = mac.children(asn1.SEQUENCE)[0].oid()
    if oid not in _HMACS:
        raise _unsupported(oid)
    size = hashlib.new(_HMACS[oid]).digest_size
    return hmac.new(_derive_pbkdf2(derivation, password, size), content, _HMACS[oid]).digest()


def _count_pbkdf2_rounds(derivation: asn1.Value) -> int:
    oid, parameters = derivation.children(asn1.SEQUENCE)
    return parameters.children(asn1.SEQUENCE)[1].integer() if oid.oid() == _PBKDF2 else 0


def _derive_pbkdf2(derivation: asn1.Value, password: str, size: int) -> bytes:
    fields = derivation.children(asn1.SEQUENCE)
    if fields[0].oid() != _PBKDF2:
        raise _unsupported(fields[0].oid())
    salt, rounds, *options = fields[1].children(asn1.SEQUENCE)
    digest = "sha1"
    for option in options:
        if option.tag == asn1.INTEGER:
            size = min(option.integer(), 64)
        else:
            oid = option.children(asn1.SEQUENCE)[0].oid()
            if oid not in _HMACS:
                raise _unsupported(oid)
            digest = _HMACS[oid]
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac(digest, secret, salt.octets(), _check_rounds(rounds.integer()), size)


def _check_rounds(number: int) -> int:
    if not 1 <= number <= MAX_ROUNDS:
        raise DamagedKeyStoreError(
            f"The key store asks for {number} rounds of key derivation; Java takes 1 to {MAX_ROUNDS}."
        )
    return number


def _unsupported(oid: str) -> UnsupportedKeyStoreError:
    return UnsupportedKeyStoreError(f"The key store uses the algorithm {oid}, which is not read natively.")
