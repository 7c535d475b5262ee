# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading Java's own key store format, JKS, and JCEKS, where keys are encrypted otherwise. ``jks_edit`` writes them.

The format is what ``sun.security.provider.JavaKeyStore`` of OpenJDK reads and writes; it has no specification.
Big-endian: magic, version (1 or 2), count, entries, and SHA-1 of the password (UTF-16BE), a salt text and all that
comes before.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._keystore import ciphers, pbe
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    KeyStore,
    KeyStoreEntry,
    UnsupportedKeyStoreError,
    WrongPasswordError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = {b"\xfe\xed\xfe\xed": "jks", b"\xce\xce\xce\xce": "jceks"}
_KEY_PROTECTOR = "1.3.6.1.4.1.42.2.17.1.1"  # OID of the algorithm of JKS for private keys
_JCE_PROTECTOR = "1.3.6.1.4.1.42.2.19.1"  # PBEWithMD5AndTripleDES, that of JCEKS
_SALT = b"Mighty Aphrodite"
KEY, TRUSTED, _SECRET = 1, 2, 3  # kinds of entries
_DIGEST = 20  # bytes of SHA-1


class Reader:
    """A position in the bytes."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.position = 0
        self.name = name

    def take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self.data):
            raise DamagedKeyStoreError(
                f"{self.name} is cut short at byte {len(self.data)}.", "Restore it from a backup."
            )
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def text(self) -> str:
        return _decode_text(self.take(self.number(2)))


def read(data: bytes, password: str | None, name: str = "The key store") -> KeyStore:
    """Read a JKS or JCEKS store.

    :param password: its integrity is checked with it; ``None`` reads without the check, as Java does.
    :param name: how errors call the store, usually its path.
    :raises DamagedKeyStoreError: cut short, or something in it cannot be.
    :raises WrongPasswordError: the integrity check fails.
    :raises UnsupportedKeyStoreError: it holds a secret key (JCEKS), whose length only Java knows.
    """
    kind = MAGIC.get(data[:4])
    if kind is None:
        raise DamagedKeyStoreError(f"{name} is not a JKS key store.", "Check the path.")
    reader = Reader(data, name)
    entries = {entry.alias: entry for entry, _raw in read_entries(reader)}
    end = reader.position
    digest = reader.take(_DIGEST)
    if reader.position != len(data):
        raise DamagedKeyStoreError(
            f"{name} goes on after its end at byte {reader.position}.", "Restore it from a backup."
        )
    if password is not None and not hmac.compare_digest(compute_digest(data[:end], password), digest):
        raise WrongPasswordError(
            f"The password does not open {name} (or the file was changed by something that is not Java).",
            "Give the store's password; Java's own trust stores have 'changeit'.",
        )
    return KeyStore(kind, entries)


def unlock(protected: bytes, password: str, name: str = "the key") -> bytes:
    """The PrivateKeyInfo (PKCS#8 DER) in a key entry of JKS or JCEKS.

    :param name: how errors call the entry.
    :raises WrongPasswordError: this is not the key's password.
    :raises UnsupportedKeyStoreError: it is encrypted in another way.
    """
    try:
        algorithm, octets = asn1.read(protected).children(asn1.SEQUENCE)
        oid, *parameters = algorithm.children(asn1.SEQUENCE)
        clear = _decrypt_key(oid.oid(), parameters, octets.octets(), password)
    except ciphers.CipherError:
        clear = None
    except (asn1.DerError, ValueError, IndexError) as exc:
        raise DamagedKeyStoreError(
            f"The encrypted key of {name} is ill-formed: {exc}.", "Restore it from a backup."
        ) from exc
    if clear is None:
        raise WrongPasswordError(f"The password does not open the key of {name}.", "Give the key's own password.")
    return clear


def _decrypt_key(oid: str, parameters: list[asn1.Value], data: bytes, password: str) -> bytes | None:
    """The clear key; ``None`` or a CipherError: another password."""
    if oid == _KEY_PROTECTOR and len(data) >= 2 * _DIGEST:  # sun.security.provider.KeyProtector
        secret = password.encode("utf-16-be")
        salt, hidden, check = data[:_DIGEST], data[_DIGEST:-_DIGEST], data[-_DIGEST:]
        clear = _apply_keystream(hidden, secret, salt)
        found = hashlib.sha1(secret + clear).digest()  # noqa: S324 - what the format is
        return clear if hmac.compare_digest(found, check) else None
    if oid == _JCE_PROTECTOR:  # com.sun.crypto.provider.KeyProtector
        fields = parameters[0].children(asn1.SEQUENCE)
        derived = _derive_jce_key(password.encode("utf-8"), fields[0].octets(), fields[1].integer())
        clear = ciphers.decrypt_triple_des(derived[:24], derived[24:], data)
        return clear if clear[:1] == b"\x30" else None
    raise UnsupportedKeyStoreError(f"The key is encrypted with {oid}, which is not read natively.")


def _derive_jce_key(secret: bytes, salt: bytes, rounds: int) -> bytes:
    """Key and initialisation vector of PBEWithMD5AndTripleDES (``com.sun.crypto.provider.PBES1Core``): 32 bytes."""
    if len(salt) != 8 or not 1 <= rounds <= pbe.MAX_ROUNDS:
        raise ValueError("parameters that cannot be")
    if salt[:4] == salt[4:]:  # Java means to reverse the first half, and does it so
        salt = bytes([salt[3], salt[0], salt[1], salt[2]]) + salt[4:]
    derived = b""
    for piece in (salt[:4], salt[4:]):
        for _round in range(rounds):
            piece = hashlib.md5(piece + secret).digest()  # noqa: S324, PLW2901 - what the format is
        derived += piece
    return derived


def _apply_keystream(data: bytes, secret: bytes, salt: bytes) -> bytes:
    stream = bytearray()
    while len(stream) < len(data):
        salt = hashlib.sha1(secret + salt).digest()  # noqa: S324 - what the format is
        stream += salt
    return bytes(left ^ right for left, right in zip(data, stream))


def read_entries(reader: Reader) -> Iterator[tuple[KeyStoreEntry, bytes]]:
    """The entries, each with its bytes; the reader is at the end of the last one afterwards."""
    reader.take(4)
    version = reader.number(4)
    if version not in (1, 2):
        raise DamagedKeyStoreError(
            f"{reader.name} says that its format has the version {version}.", "Restore it from a backup."
        )
    for _number in range(reader.number(4)):
        start = reader.position
        entry = _read_entry(reader, version)
        yield entry, reader.data[start : reader.position]


def _read_entry(reader: Reader, version: int) -> KeyStoreEntry:
    start = reader.position
    tag = reader.number(4)
    alias = reader.text()
    created = reader.number(8)
    if tag == TRUSTED:
        return KeyStoreEntry(alias, "trusted", (_read_certificate(reader, version),), created)
    if tag == KEY:
        key = reader.take(reader.number(4))
        count = reader.number(4)
        if count > 1000:  # a damaged count must not make this loop run for hours
            raise DamagedKeyStoreError(
                f"{reader.name} has an ill-formed entry at byte {start}.", "Restore it from a backup."
            )
        return KeyStoreEntry(
            alias, "key", tuple(_read_certificate(reader, version) for _number in range(count)), created, key
        )
    if tag == _SECRET:
        raise UnsupportedKeyStoreError(
            f"{reader.name} holds the secret key '{alias}', which only Java can read.",
            "Use a store that holds certificates only.",
        )
    raise DamagedKeyStoreError(f"{reader.name} has an ill-formed entry at byte {start}.", "Restore it from a backup.")


def _read_certificate(reader: Reader, version: int) -> bytes:
    if version == 2:
        reader.text()  # "X.509"
    return reader.take(reader.number(4))


def compute_digest(body: bytes, password: str) -> bytes:
    """What is at the end of a store: its integrity check."""
    secret = password.encode("utf-16-be", "surrogatepass")
    return hashlib.sha1(secret + _SALT + body).digest()  # noqa: S324 - what the format is


def _decode_text(raw: bytes) -> str:
    """Java's modified UTF-8: NUL in two bytes, characters beyond the first plane as two surrogates of three bytes."""
    text = raw.replace(b"\xc0\x80", b"\x00").decode("utf-8", "surrogatepass")
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
