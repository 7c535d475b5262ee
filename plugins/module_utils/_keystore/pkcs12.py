# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading PKCS#12 key stores, and removing from those that have no password.

The format is RFC 7292; what Java reads into it is ``sun.security.pkcs12.PKCS12KeyStore``: a certificate is a *trusted
entry* only when it carries Oracle's attribute (a PKCS#12 file of certificates that OpenSSL made looks empty to Java).
Java's own ``cacerts`` is, since Java 18, such a file without any password or encryption.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils._keystore import pbe
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    DamagedKeyStoreError,
    KeyStore,
    KeyStoreEntry,
    UnsupportedKeyStoreError,
    WrongPasswordError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import read_names

# Types of content (RFC 2315, 14) and of bags (RFC 7292, 4.2).
_DATA = "1.2.840.113549.1.7.1"
_ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_KEY_BAG = "1.2.840.113549.1.12.10.1.1"
_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
_CERT_BAG = "1.2.840.113549.1.12.10.1.3"
_SECRET_BAG = "1.2.840.113549.1.12.10.1.5"  # noqa: S105 - an OID
_SAFE_CONTENTS_BAG = "1.2.840.113549.1.12.10.1.6"  # bags within a bag
_KEY_BAGS = (_KEY_BAG, _SHROUDED_KEY_BAG)
# Types of certificate and attributes (RFC 2985, 5.5); the last is Oracle's.
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
_TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
_EXPLICIT = 0xA0  # [0] EXPLICIT, or [0] IMPLICIT of something constructed
_IMPLICIT = 0x80  # [0] IMPLICIT


@dataclass
class _Bag:
    """A SafeBag: what it is, and the attributes that matter."""

    kind: str
    value: bytes  # certificate or key, DER
    alias: str = ""
    key_id: bytes = b""
    trusted: bool = False
    raw: bytes = b""


@dataclass
class _Contents:
    """What the file consists of."""

    bags: list[_Bag] = field(default_factory=list)
    encrypted: bool = False
    protected: bool = False


def read(data: bytes, password: str | None, name: str = "The key store") -> KeyStore:
    """Read a PKCS#12 store.

    :param password: ``None`` reads a store without encryption, unchecked.
    :param name: how errors call the store, usually its path.
    :raises DamagedKeyStoreError: ill-formed.
    :raises WrongPasswordError: the integrity check or the decryption fails, or there is no password to decrypt with.
    :raises UnsupportedKeyStoreError: an algorithm or a kind of content that is not read natively.
    """
    try:
        contents = _read_contents(data, password, name)
        return _build_key_store(contents)
    except (asn1.DerError, ValueError, IndexError) as exc:
        raise DamagedKeyStoreError(
            f"{name} is not a whole PKCS#12 key store: {exc}.", "Restore it from a backup."
        ) from exc


def without(data: bytes, aliases: set[str], name: str = "The key store") -> bytes:
    """The bytes of a store that has neither password nor encryption, without some trusted entries; the rest as it was.

    :raises UnsupportedKeyStoreError: the store has a password, which its integrity check would need.
    """
    version, content, *mac = asn1.read(data).children(asn1.SEQUENCE)
    if mac:
        raise UnsupportedKeyStoreError(f"{name} has a password: only Java can write it.")
    infos = []
    taken = _Names()
    for info in asn1.read(_unwrap_data(content)).children(asn1.SEQUENCE):
        kept = []
        for raw in asn1.read(_unwrap_data(info)).children(asn1.SEQUENCE):
            bag = _read_bag(raw)
            alias = taken.alias(bag) if _is_entry(bag) else ""
            if not (bag.trusted and alias in aliases):
                kept.append(raw.raw)
        infos.append(_wrap_data(asn1.encode(asn1.SEQUENCE, *kept)))
    return asn1.encode(asn1.SEQUENCE, version.raw, _wrap_data(asn1.encode(asn1.SEQUENCE, *infos)))


def unlock(entry: KeyStoreEntry, password: str, name: str = "the key") -> bytes:
    """The PrivateKeyInfo (PKCS#8 DER) of a key entry.

    :raises WrongPasswordError: this is not the key's password.
    """
    if not entry.key_encrypted:
        return entry.key
    try:
        algorithm, octets = asn1.read(entry.key).children(asn1.SEQUENCE)
        clear = pbe.decrypt(algorithm, octets.octets(), password, name)
    except (asn1.DerError, ValueError) as exc:
        raise DamagedKeyStoreError(
            f"The encrypted key of {name} is ill-formed: {exc}.", "Restore it from a backup."
        ) from exc
    try:
        asn1.read(clear).children(asn1.SEQUENCE)
    except asn1.DerError as exc:  # one wrong password in 256 yields a padding that happens to be right
        raise WrongPasswordError(f"The password does not open {name}.", "Give the key's own password.") from exc
    return clear


def _read_contents(data: bytes, password: str | None, name: str) -> _Contents:
    version, content, *mac = asn1.read(data).children(asn1.SEQUENCE)
    if version.integer() != 3:
        raise DamagedKeyStoreError(f"{name} is not a PKCS#12 key store of version 3.", "Check the path.")
    safes = _unwrap_data(content)
    found = _Contents(protected=bool(mac))
    if mac and password is not None:
        pbe.check_mac(mac[0], safes, password, name)
    for info in asn1.read(safes).children(asn1.SEQUENCE):
        if info.children(asn1.SEQUENCE)[0].oid() == _ENCRYPTED_DATA:
            found.encrypted = True
            clear = _decrypt_data(info, password, name)
        else:
            clear = _unwrap_data(info)
        try:
            found.bags += _read_bags(asn1.read(clear))
        except asn1.DerError:
            if found.encrypted and not mac:  # without a check of integrity, a wrong password may yield any bytes
                raise WrongPasswordError(f"The password does not open {name}.", "Give the store's password.") from None
            raise
    return found


def _unwrap_data(info: asn1.Value) -> bytes:
    """The bytes in a ContentInfo of the type *data*."""
    fields = info.children(asn1.SEQUENCE)
    oid = fields[0].oid()
    if oid != _DATA:
        raise UnsupportedKeyStoreError(f"The key store holds content of the type {oid}, which is not read natively.")
    return fields[1].children(_EXPLICIT)[0].octets()


def _decrypt_data(info: asn1.Value, password: str | None, name: str) -> bytes:
    if password is None:
        raise WrongPasswordError(f"{name} is encrypted: reading it needs its password.", "Give the store's password.")
    encrypted = info.children()[1].children(_EXPLICIT)[0].children(asn1.SEQUENCE)[1]
    _type, algorithm, octets = encrypted.children(asn1.SEQUENCE)
    if octets.tag == _EXPLICIT:  # constructed: the octets in pieces
        data = b"".join(piece.octets() for piece in octets.children())
    else:
        data = octets.expect(_IMPLICIT).body
    return pbe.decrypt(algorithm, data, password, name)


def _read_bags(safe: asn1.Value) -> list[_Bag]:
    found = []
    for raw in safe.children(asn1.SEQUENCE):
        fields = raw.children(asn1.SEQUENCE)
        if fields[0].oid() == _SAFE_CONTENTS_BAG:
            found += _read_bags(fields[1].children(_EXPLICIT)[0])
        else:
            found.append(_read_bag(raw))
    return found


def _read_bag(raw: asn1.Value) -> _Bag:
    fields = raw.children(asn1.SEQUENCE)
    bag = _Bag(fields[0].oid(), fields[1].children(_EXPLICIT)[0].raw, raw=raw.raw)
    if bag.kind == _CERT_BAG:
        form, certificate = fields[1].children()[0].children(asn1.SEQUENCE)
        bag.value = certificate.children(_EXPLICIT)[0].octets() if form.oid() == _X509_CERTIFICATE else b""
    for attribute in fields[2].children(asn1.SET) if len(fields) > 2 else []:
        oid, values = attribute.children(asn1.SEQUENCE)
        first = values.children(asn1.SET)[:1]
        if oid.oid() == _FRIENDLY_NAME and first:
            bag.alias = first[0].text()
        elif oid.oid() == _LOCAL_KEY_ID and first:
            bag.key_id = first[0].octets()
        elif oid.oid() == _TRUSTED_KEY_USAGE:
            bag.trusted = True
    return bag


class _Names:
    """Aliases as Java gives them: lower-case, and a number for an entry that has no name."""

    def __init__(self) -> None:
        self.count = 0

    def alias(self, bag: _Bag) -> str:
        if bag.alias:
            return bag.alias.lower()
        self.count += 1
        return str(self.count)


def _is_entry(bag: _Bag) -> bool:
    return bag.kind in _KEY_BAGS or (bag.kind == _CERT_BAG and bag.trusted and bool(bag.value))


def _build_key_store(contents: _Contents) -> KeyStore:
    names = _Names()
    entries: dict[str, KeyStoreEntry] = {}
    certificates = [bag for bag in contents.bags if bag.kind == _CERT_BAG and bag.value]
    keys = [bag for bag in contents.bags if bag.kind in _KEY_BAGS]
    used = set()
    for bag in contents.bags:
        alias = names.alias(bag) if _is_entry(bag) else ""
        if alias and bag.kind == _CERT_BAG:
            entries[alias] = KeyStoreEntry(alias, "trusted", (bag.value,))
            used.add(bag.value)
        elif alias:
            chain = _build_chain(bag, certificates, len(keys) == 1)
            entries[alias] = KeyStoreEntry(alias, "key", chain, 0, bag.value, bag.kind == _SHROUDED_KEY_BAG)
            used.update(chain)
        elif bag.kind == _SECRET_BAG:
            raise UnsupportedKeyStoreError("The key store holds a secret key, which is not read natively.")
    ignored = tuple(bag.value for bag in certificates if bag.value not in used)
    return KeyStore("pkcs12", entries, contents.protected, contents.encrypted, ignored)


def _build_chain(key: _Bag, certificates: list[_Bag], only: bool) -> tuple[bytes, ...]:
    """The key's certificate (same local key id; or the first one, when there is one key and no id) and its issuers."""
    own = [bag for bag in certificates if not bag.trusted and key.key_id and bag.key_id == key.key_id]
    if not own and only and not key.key_id:
        own = [bag for bag in certificates if not bag.trusted]
    if not own:
        return ()
    chain = [own[0].value]
    names = {hashlib.sha256(bag.value).digest(): read_names(bag.value) for bag in certificates}
    while True:
        subject, issuer = names[hashlib.sha256(chain[-1]).digest()]
        above = [bag.value for bag in certificates if names[hashlib.sha256(bag.value).digest()][0] == issuer]
        if subject == issuer or not above or above[0] in chain:
            return tuple(chain)
        chain.append(above[0])


def _wrap_data(content: bytes) -> bytes:
    """A ContentInfo of the type *data*."""
    octets = asn1.encode(asn1.OCTET_STRING, content)
    return asn1.encode(asn1.SEQUENCE, asn1.encode_oid(_DATA), asn1.encode(_EXPLICIT, octets))
