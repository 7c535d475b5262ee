# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Java trust stores and key stores: which one a JRE uses, and what is in it, without starting a JVM.

The formats are in ``jks`` and ``pkcs12``; what they have in common is in ``model``.
"""

from __future__ import annotations

import os

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._keystore import jks, pkcs12
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    ForeignKeyStoreError,
    KeyStore,
    KeyStoreError,
    WrongPasswordError,
    name_in_errors,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

# Bytes of a file that is read: a JRE's trust store has 200 kB, and whoever may write it may not keep root busy.
MAX_SIZE = 16 * 1024 * 1024
DEFAULT_PASSWORD = "changeit"  # noqa: S105 - Java's own, documented
# In the order in which Java looks for them (JSSE Reference Guide, "Customizing the Default Keystores and Truststores").
_NAMES = ("jssecacerts", "cacerts")
_DIRECTORIES = (("lib", "security"), ("jre", "lib", "security"))  # the second: a JDK 8

_BOUNCY_CASTLE = ("BCFKS", "BKS", "UBER")
_BKS_VERSIONS = (b"\0\0\0\1", b"\0\0\0\2")


class KeyStoreMissingError(KeyStoreError):
    """There is no such trust store."""


def detect(data: bytes, name: str = "The key store") -> str:
    """The format: ``jks``, ``jceks`` or ``pkcs12``.

    :raises DamagedKeyStoreError: none of them.
    :raises ForeignKeyStoreError: a format of BouncyCastle, or another file in DER.
    """
    kind = jks.MAGIC.get(data[:4])
    if kind:
        return kind
    foreign = _name_der(data) if data[:1] == b"\x30" else _name_bouncy_castle(data)
    if foreign in _BOUNCY_CASTLE:
        raise ForeignKeyStoreError(
            f"{name} is a {foreign} key store of BouncyCastle, which Java reads with that provider only.",
            f"Convert it, with BouncyCastle's jar as -providerpath: keytool -importkeystore -srcstoretype {foreign}"
            " -deststoretype PKCS12; and name the new store instead.",
        )
    if foreign:
        raise ForeignKeyStoreError(f"{name} is {foreign}, not a key store.", "Give the path of the key store.")
    if data[:1] == b"\x30":
        return "pkcs12"
    if not data:
        raise DamagedKeyStoreError(f"{name} is empty.", "Restore it from a backup, or remove the file.")
    if b"-----BEGIN" in data[:4096]:
        raise DamagedKeyStoreError(f"{name} is a PEM file, not a key store.", "Give the path of the key store.")
    raise DamagedKeyStoreError(f"{name} is neither a JKS nor a PKCS#12 key store.", "Check the path.")


def _name_der(data: bytes) -> str:
    """What a file in DER is that begins as PKCS#12 does; "" for PKCS#12, and for what is not whole."""
    try:
        tags = [child.tag for child in asn1.read_first(data).children()]
    except asn1.DerError:
        return ""
    if tags[:1] == [asn1.OID]:
        return "a PKCS#7 file of certificates"
    # BCFKS: the entries, and a check of integrity
    return {(0x30, 0x30, 0x03): "a certificate", (0x30, 0x30): "BCFKS", (0x30, 0xA0): "BCFKS"}.get(tuple(tags), "")


def _name_bouncy_castle(data: bytes) -> str:
    """BKS or UBER: version, length of the salt, salt, rounds; then entries in BKS, encrypted bytes in UBER."""
    if data[:4] not in _BKS_VERSIONS or data[4:8] != b"\0\0\0\x14" or len(data) < 53:
        return ""
    # An entry: its kind, its alias, and the moment as milliseconds, which begins with zeros for 8000 years.
    kind, alias = data[32], int.from_bytes(data[33:35], "big")
    empty = kind == 0 and len(data) == 53
    return "BKS" if empty or (1 <= kind <= 4 and data[35 + alias :][:2] == b"\0\0") else "UBER"


def read(data: bytes, password: str | None, name: str = "The key store") -> KeyStore:
    """Read a key store of any format that Java's own tools make by default.

    :param password: checked against the store's integrity check when it has one; ``None`` reads without the check what
        is not encrypted.
    :param name: how errors call the store, usually its path.
    :raises WrongPasswordError: see :class:`KeyStore`.
    :raises DamagedKeyStoreError: cut short, altered, or another kind of file.
    :raises UnsupportedKeyStoreError: only Java can read it; the message says why.
    :raises ForeignKeyStoreError: not even Java's own keytool can.
    """
    with name_in_errors(name):
        if detect(data, name) == "pkcs12":
            return pkcs12.read(data, password, name)
        try:
            return jks.read(data, password, name)
        except ValueError as exc:  # an alias that is no text
            raise DamagedKeyStoreError(f"{name} has an ill-formed entry: {exc}.", "Restore it from a backup.") from exc


def choose_password(data: bytes, name: str = "The key store") -> str | None:
    """The password for a trust store where nobody gave one: that of every cacerts as it is delivered; ``None`` where
    the store has another. Java then reads it without, too, and does not check its integrity.

    :raises RtcError: as :func:`read`, but for a wrong password.
    """
    try:
        read(data, DEFAULT_PASSWORD, name)
    except WrongPasswordError:
        return None
    return DEFAULT_PASSWORD


def read_file(path: str, password: str | None) -> KeyStore:
    """Read the key store at a path (links followed); see :func:`read`.

    :raises FileError: the file is missing, unreadable or larger than :data:`MAX_SIZE`.
    """
    return read(_files.read_bytes(path, MAX_SIZE), password, path)


def locate(jre_home: str) -> str:
    """The trust store that a JRE uses by default: ``jssecacerts`` when it is there, else ``cacerts``.

    Links are not followed.

    :param jre_home: home directory of a JRE or JDK.
    :raises KeyStoreMissingError: the JRE has none, or there is no JRE.
    """
    for name in _NAMES:
        for directory in _DIRECTORIES:
            path = os.path.join(jre_home, *directory, name)
            if os.path.exists(path):
                return path
    places = " and ".join(os.path.join(jre_home, *directory) for directory in _DIRECTORIES)
    raise KeyStoreMissingError(
        f"No trust store in {places}.", "Give jre_home as the java.home of the application's JVM."
    )
