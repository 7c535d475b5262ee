# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Adding trusted certificates to a PKCS#12 key store, and removing them.

What is not concerned stays byte for byte: other bags with all their attributes, their order, and whole safes. The safe
that is changed is encrypted as it was, with a new salt, and the integrity check is made anew by the file's own
algorithm and number of rounds. So whatever opened the store before opens it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._keystore import pbe_renew, pkcs12
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import KeyStore

_ANY_USAGE = "2.5.29.37.0"  # anyExtendedKeyUsage: what Java writes as the value of Oracle's attribute
_BMP_STRING = 0x1E


@dataclass
class _Safe:
    """A ContentInfo and the bags in it."""

    info: asn1.Value
    encrypted: pkcs12.EncryptedContent | None
    contents: asn1.Value  # the SafeContents
    bags: list[pkcs12.Bag] = field(default_factory=list)


def edit(
    data: bytes, store: KeyStore, removed: set[str], added: dict[str, bytes], password: str, name: str = "The key store"
) -> bytes:
    """The bytes of a store after trusted certificates were removed and others added.

    A certificate that a private key's chain needs stays in the file, but is no longer trusted: Java's keytool leaves
    the key its chain too.

    :param data: the store's bytes; ``store`` is what they hold, read with this password.
    :param removed: aliases of trusted entries.
    :param added: alias (lower case) -> DER.
    """
    version, authenticated, mac = pkcs12.split(data, name)
    safes = [_open(info, password, name) for info in asn1.read(authenticated).children(asn1.SEQUENCE)]
    untrusted = {bag.value for safe in safes for bag in safe.bags if not bag.trusted}
    chains = {der for entry in store.entries.values() if entry.kind == "key" for der in entry.certificates}
    taken = pkcs12.Names()
    target = _find_target(safes) if added else None
    new_bags = [_make_bag(alias, der) for alias, der in added.items()]
    infos = []
    for safe in safes:
        bags = list(_keep(safe.contents, removed, chains - untrusted, taken))
        contents = asn1.encode(asn1.SEQUENCE, *bags, *(new_bags if safe is target else []))
        contents = _make_definite(asn1.read(contents))
        # Compared by their bags: a safe in BER that nothing concerns stays BER.
        changed = safe is target or bags != [bag.raw for bag in safe.contents.children(asn1.SEQUENCE)]
        infos.append(_close(safe, contents, password) if changed else safe.info.raw)
    if added and target is None:
        # Nothing in the file says how certificates are to be encrypted, and they are no secret.
        infos.append(_wrap_data(asn1.encode(asn1.SEQUENCE, *new_bags)))
    new = _make_definite(asn1.read(asn1.encode(asn1.SEQUENCE, *infos)))
    macs = [pbe_renew.renew_mac(one, authenticated, new, password) for one in mac]
    return _make_definite(asn1.read(asn1.encode(asn1.SEQUENCE, version.raw, _wrap_data(new), *macs)))


def _open(info: asn1.Value, password: str, name: str) -> _Safe:
    encrypted = pkcs12.parse_encrypted(info) if pkcs12.is_encrypted(info) else None
    clear = pkcs12.decrypt(encrypted, password, name) if encrypted else pkcs12.unwrap_data(info)
    safe = _Safe(info, encrypted, asn1.read(clear))
    safe.bags = [pkcs12.read_bag(bag) for bag in safe.contents.children(asn1.SEQUENCE) if not _is_nest(bag)]
    return safe


def _make_definite(value: asn1.Value) -> bytes:
    """The value without indefinite lengths; the same bytes where there are none.

    Java takes a value with an indefinite length (BER) only where the one around it has one too.
    """
    if not value.tag & 0x20:
        return value.raw
    children = value.children()
    inner = [_make_definite(one) for one in children]
    same = value.raw[1] != 0x80 and inner == [one.raw for one in children]
    return value.raw if same else asn1.encode(value.tag, *inner)


def _find_target(safes: list[_Safe]) -> _Safe | None:
    """The safe for new certificates: where trusted ones are, else certificates at all, else an empty one."""
    trusting = [safe for safe in safes if any(bag.trusted for bag in safe.bags)]
    certificates = [safe for safe in safes if any(bag.kind == pkcs12.CERT_BAG for bag in safe.bags)]
    empty = [safe for safe in safes if not safe.contents.body]
    return next(iter([*trusting, *certificates, *empty]), None)


def _is_nest(bag: asn1.Value) -> bool:
    return bag.children(asn1.SEQUENCE)[0].oid() == pkcs12.SAFE_CONTENTS_BAG


def _keep(contents: asn1.Value, removed: set[str], needed: set[bytes], taken: pkcs12.Names) -> Iterator[bytes]:
    """The bags (DER) that stay."""
    for raw in contents.children(asn1.SEQUENCE):
        if _is_nest(raw):
            kind, value, *rest = raw.children()
            inner = value.children(pkcs12.EXPLICIT)[0]
            kept = list(_keep(inner, removed, needed, taken))
            if kept == [bag.raw for bag in inner.children(asn1.SEQUENCE)]:
                yield raw.raw
                continue
            nested = asn1.encode(pkcs12.EXPLICIT, asn1.encode(asn1.SEQUENCE, *kept))
            yield asn1.encode(asn1.SEQUENCE, kind.raw, nested, *(one.raw for one in rest))
            continue
        bag = pkcs12.read_bag(raw)
        alias = taken.alias(bag)
        if not (bag.trusted and alias in removed):
            yield raw.raw
        elif bag.value in needed:
            yield _distrust(raw)


def _distrust(raw: asn1.Value) -> bytes:
    """The same bag without Oracle's attribute."""
    kind, value, attributes = raw.children(asn1.SEQUENCE)
    kept = [one.raw for one in attributes.children() if one.children()[0].oid() != pkcs12.TRUSTED_KEY_USAGE]
    return asn1.encode(asn1.SEQUENCE, kind.raw, value.raw, *([asn1.encode(asn1.SET, *kept)] if kept else []))


def _make_bag(alias: str, der: bytes) -> bytes:
    """A trusted certificate as Java writes it."""
    octets = asn1.encode(pkcs12.EXPLICIT, asn1.encode(asn1.OCTET_STRING, der))
    certificate = asn1.encode(asn1.SEQUENCE, asn1.encode_oid(pkcs12.X509_CERTIFICATE), octets)
    text = asn1.encode(_BMP_STRING, alias.encode("utf-16-be", "surrogatepass"))
    attributes = asn1.encode(
        asn1.SET,
        _make_attribute(pkcs12.FRIENDLY_NAME, text),
        _make_attribute(pkcs12.TRUSTED_KEY_USAGE, asn1.encode_oid(_ANY_USAGE)),
    )
    value = asn1.encode(pkcs12.EXPLICIT, certificate)
    return asn1.encode(asn1.SEQUENCE, asn1.encode_oid(pkcs12.CERT_BAG), value, attributes)


def _make_attribute(oid: str, value: bytes) -> bytes:
    return asn1.encode(asn1.SEQUENCE, asn1.encode_oid(oid), asn1.encode(asn1.SET, value))


def _close(safe: _Safe, contents: bytes, password: str) -> bytes:
    """The ContentInfo of a safe with other contents."""
    old = safe.encrypted
    if old is None:
        return _wrap_data(contents)
    algorithm, data = pbe_renew.encrypt_again(old.algorithm, old.data, contents, password)
    inner = asn1.encode(asn1.SEQUENCE, old.type.raw, algorithm, asn1.encode(pkcs12.IMPLICIT, data))
    content = asn1.encode(pkcs12.EXPLICIT, asn1.encode(asn1.SEQUENCE, old.version.raw, inner))
    return asn1.encode(asn1.SEQUENCE, asn1.encode_oid(pkcs12.ENCRYPTED_DATA), content)


def _wrap_data(content: bytes) -> bytes:
    """A ContentInfo of the type *data*."""
    octets = asn1.encode(asn1.OCTET_STRING, content)
    return asn1.encode(asn1.SEQUENCE, asn1.encode_oid(pkcs12.DATA), asn1.encode(pkcs12.EXPLICIT, octets))
