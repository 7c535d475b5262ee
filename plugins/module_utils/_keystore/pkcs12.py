# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading PKCS#12 key stores; ``pkcs12_edit`` changes them.

The format is RFC 7292; what Java reads into it is ``sun.security.pkcs12.PKCS12KeyStore``: a certificate is a *trusted
entry* only when it carries Oracle's attribute (a PKCS#12 file of certificates that OpenSSL made looks empty to Java).
Java's own ``cacerts`` is, since Java 18, such a file without any password or encryption.
"""

from __future__ import annotations

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
DATA = "1.2.840.113549.1.7.1"
ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
_KEY_BAG = "1.2.840.113549.1.12.10.1.1"
_SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
CERT_BAG = "1.2.840.113549.1.12.10.1.3"
_SECRET_BAG = "1.2.840.113549.1.12.10.1.5"  # noqa: S105 - an OID
SAFE_CONTENTS_BAG = "1.2.840.113549.1.12.10.1.6"  # bags within a bag
_KEY_BAGS = (_KEY_BAG, _SHROUDED_KEY_BAG)
# Types of certificate and attributes (RFC 2985, 5.5); the last is Oracle's.
X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
TRUSTED_KEY_USAGE = "2.16.840.1.113894.746875.1.1"
_LONGEST_CHAIN = 100
# A store without entries and without a password.
EMPTY = bytes.fromhex("3016020103301106092a864886f70d010701a00404023000")
EXPLICIT = 0xA0  # [0] EXPLICIT, or [0] IMPLICIT of something constructed
IMPLICIT = 0x80  # [0] IMPLICIT


@dataclass
class Bag:
    """A SafeBag: what it is, and the attributes that matter."""

    kind: str
    value: bytes  # certificate or key, DER
    alias: str = ""
    key_id: bytes = b""
    trusted: bool = False

    def is_entry(self) -> bool:
        """Whether Java takes it for an entry of its own."""
        return self.kind in (*_KEY_BAGS, _SECRET_BAG) or (self.kind == CERT_BAG and self.trusted and bool(self.value))


@dataclass
class EncryptedContent:
    """The parts of a ContentInfo of the type *encryptedData* (RFC 2315, 13)."""

    version: asn1.Value
    type: asn1.Value
    algorithm: asn1.Value
    data: bytes


@dataclass
class _Contents:
    """What the file consists of."""

    bags: list[Bag] = field(default_factory=list)
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


def split(data: bytes, name: str) -> tuple[asn1.Value, bytes, list[asn1.Value]]:
    """The version of a PKCS#12 file, its AuthenticatedSafe (DER), and its MacData where there is one.

    :raises DamagedKeyStoreError: another version.
    """
    version, content, *mac = asn1.read(data).children(asn1.SEQUENCE)
    if version.integer() != 3:
        raise DamagedKeyStoreError(f"{name} is not a PKCS#12 key store of version 3.", "Check the path.")
    return version, unwrap_data(content), mac[:1]


def is_encrypted(info: asn1.Value) -> bool:
    """Whether a ContentInfo is of the type *encryptedData*."""
    return info.children(asn1.SEQUENCE)[0].oid() == ENCRYPTED_DATA


def unwrap_data(info: asn1.Value) -> bytes:
    """The bytes in a ContentInfo of the type *data*.

    :raises UnsupportedKeyStoreError: it is of another type.
    """
    fields = info.children(asn1.SEQUENCE)
    oid = fields[0].oid()
    if oid != DATA:
        raise UnsupportedKeyStoreError(f"The key store holds content of the type {oid}, which is not read natively.")
    return fields[1].children(EXPLICIT)[0].octets()


def parse_encrypted(info: asn1.Value) -> EncryptedContent:
    """The parts of a ContentInfo of the type *encryptedData*."""
    version, content = info.children()[1].children(EXPLICIT)[0].children(asn1.SEQUENCE)[:2]
    kind, algorithm, octets = content.children(asn1.SEQUENCE)
    if octets.tag == EXPLICIT:  # constructed: the octets in pieces
        data = b"".join(piece.octets() for piece in octets.children())
    else:
        data = octets.expect(IMPLICIT).body
    return EncryptedContent(version, kind, algorithm, data)


def decrypt(content: EncryptedContent, password: str | None, name: str) -> bytes:
    """The SafeContents (DER).

    :raises WrongPasswordError: another password, or none.
    """
    if password is None:
        raise WrongPasswordError(f"{name} is encrypted: reading it needs its password.", "Give the store's password.")
    return pbe.decrypt(content.algorithm, content.data, password, name)


def read_bag(raw: asn1.Value) -> Bag:
    """One SafeBag."""
    fields = raw.children(asn1.SEQUENCE)
    bag = Bag(fields[0].oid(), fields[1].children(EXPLICIT)[0].raw)
    if bag.kind == CERT_BAG:
        form, certificate = fields[1].children()[0].children(asn1.SEQUENCE)
        bag.value = certificate.children(EXPLICIT)[0].octets() if form.oid() == X509_CERTIFICATE else b""
    for attribute in fields[2].children(asn1.SET) if len(fields) > 2 else []:
        oid, values = attribute.children(asn1.SEQUENCE)
        first = values.children(asn1.SET)[:1]
        if oid.oid() == FRIENDLY_NAME and first:
            bag.alias = first[0].text()
        elif oid.oid() == _LOCAL_KEY_ID and first:
            bag.key_id = first[0].octets()
        elif oid.oid() == TRUSTED_KEY_USAGE:
            bag.trusted = True
    return bag


class Names:
    """Aliases as Java gives them: lower-case, and a number for an entry that has no name."""

    def __init__(self) -> None:
        self.count = 0

    def alias(self, bag: Bag) -> str:
        """The alias of the next entry; empty for a bag that is none."""
        if not bag.is_entry():
            return ""
        if bag.alias:
            return bag.alias.lower()
        self.count += 1
        return str(self.count)


def _read_contents(data: bytes, password: str | None, name: str) -> _Contents:
    _version, safes, mac = split(data, name)
    infos = asn1.read(safes).children(asn1.SEQUENCE)
    _check_work(infos, mac if password is not None else [], name)
    found = _Contents(protected=bool(mac))
    if mac and password is not None:
        pbe.check_mac(mac[0], safes, password, name)
    for info in infos:
        if is_encrypted(info):
            found.encrypted = True
            clear = decrypt(parse_encrypted(info), password, name)
        else:
            clear = unwrap_data(info)
        try:
            found.bags += _read_bags(asn1.read(clear))
        except asn1.DerError:
            if found.encrypted and not mac:  # without a check of integrity, a wrong password may yield any bytes
                raise WrongPasswordError(f"The password does not open {name}.", "Give the store's password.") from None
            raise
    return found


def _check_work(infos: list[asn1.Value], mac: list[asn1.Value], name: str) -> None:
    """Refuse a store that would keep the processor busy for minutes."""
    asked = [pbe.count_mac_rounds(one) for one in mac]
    asked += [pbe.count_rounds(parse_encrypted(info).algorithm) for info in infos if is_encrypted(info)]
    rounds = sum(max(number, 0) for number in asked)
    if rounds > pbe.MAX_ROUNDS:
        raise DamagedKeyStoreError(
            f"{name} asks for {rounds} rounds of key derivation; {pbe.MAX_ROUNDS} are the most.", "Make it anew."
        )


def _read_bags(safe: asn1.Value) -> list[Bag]:
    found = []
    for raw in safe.children(asn1.SEQUENCE):
        fields = raw.children(asn1.SEQUENCE)
        if fields[0].oid() == SAFE_CONTENTS_BAG:
            found += _read_bags(fields[1].children(EXPLICIT)[0])
        else:
            found.append(read_bag(raw))
    return found


def _build_key_store(contents: _Contents) -> KeyStore:
    names = Names()
    entries: dict[str, KeyStoreEntry] = {}
    certificates = [bag for bag in contents.bags if bag.kind == CERT_BAG and bag.value]
    keys = [bag for bag in contents.bags if bag.kind in _KEY_BAGS]
    chains = _Chains(certificates, len(keys) == 1)
    used = set()
    for bag in contents.bags:
        alias = names.alias(bag)
        if alias and bag.kind == CERT_BAG:
            entries[alias] = KeyStoreEntry(alias, "trusted", (bag.value,))
            used.add(bag.value)
        elif alias and bag.kind == _SECRET_BAG:
            entries[alias] = KeyStoreEntry(alias, "secret", (), 0, bag.value)
        elif alias:
            chain = chains.build(bag)
            entries[alias] = KeyStoreEntry(alias, "key", chain, 0, bag.value, bag.kind == _SHROUDED_KEY_BAG)
            used.update(chain)
    ignored = tuple(bag.value for bag in certificates if bag.value not in used)
    return KeyStore("pkcs12", entries, contents.protected, contents.encrypted, ignored)


class _Chains:
    """The chains of private keys among the certificates of a store, as Java builds them."""

    def __init__(self, certificates: list[Bag], only: bool) -> None:
        self.certificates = certificates
        untrusted = [bag for bag in reversed(certificates) if not bag.trusted]  # of several the first one counts
        self.by_key_id = {bag.key_id: bag.value for bag in untrusted}
        # With one key and no id, the first certificate is the key's.
        self.first = untrusted[-1].value if only and untrusted else None
        self.names: dict[bytes, tuple[bytes, bytes]] = {}
        self.by_subject: dict[bytes, bytes] = {}

    def build(self, key: Bag) -> tuple[bytes, ...]:
        """The key's certificate and its issuers.

        :raises DamagedKeyStoreError: there are more than a chain can be long.
        """
        own = self.by_key_id.get(key.key_id) if key.key_id else self.first
        if own is None:
            return ()
        self._read_names()
        chain = [own]
        while len(chain) <= _LONGEST_CHAIN:
            subject, issuer = self.names[chain[-1]]
            above = self.by_subject.get(issuer)
            if subject == issuer or above is None or above in chain:
                return tuple(chain)
            chain.append(above)
        raise DamagedKeyStoreError(f"A key in the key store has a chain of more than {_LONGEST_CHAIN} certificates.")

    def _read_names(self) -> None:
        if not self.names:
            for bag in self.certificates:
                self.names[bag.value] = subject, _issuer = read_names(bag.value)
                self.by_subject.setdefault(subject, bag.value)
