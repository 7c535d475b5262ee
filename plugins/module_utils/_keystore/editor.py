# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing a trust store: what is to be added or removed, and the new bytes.

All is written here, and no JVM is started: a keytool may belong to somebody who must not become root by it. Entries
that are not concerned stay byte for byte (``jks_edit``, ``pkcs12_edit``). The result is read back and compared with
what was asked before it replaces the store.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._keystore import jks_edit, pkcs12_edit, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    KeyStore,
    KeyStoreEntry,
    KeyStoreError,
    UnsupportedKeyStoreError,
    name_in_errors,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    CertificateError,
    parse_der,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


class AliasTakenError(KeyStoreError):
    """An alias that cannot be used, or not be removed."""


class NotWrittenError(KeyStoreError):
    """The new store is not what was asked; the old one is untouched."""


@dataclass
class Changes:
    """What is to become of a store: alias -> certificate."""

    added: dict[str, Certificate] = field(default_factory=dict)
    removed: dict[str, Certificate | None] = field(default_factory=dict)  # None: the entry cannot be parsed
    present: dict[str, Certificate] = field(default_factory=dict)  # wanted, and there already

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.added or self.removed)


def default_alias(certificate: Certificate) -> str:
    """``rtc-<common name>-<first 16 digits of SHA-256>``: the same on every host, in lower case as Java keeps it."""
    name = re.sub(r"[^a-z0-9.]+", "-", certificate.common_name.lower()).strip("-.")[:40]
    return "-".join(part for part in ("rtc", name, certificate.fingerprint[:16]) if part)


def plan_present(store: KeyStore, wanted: Iterable[tuple[Certificate, str]]) -> Changes:
    """What to do so that certificates are trusted.

    A certificate that is there under any alias is left alone. An alias that is given and holds another certificate gets
    the new one; where the other is wanted too, it gets another alias.

    :param wanted: certificates, each with the alias asked for, or an empty one.
    :raises AliasTakenError: the alias is that of a key, or is asked for twice.
    """
    changes = Changes()
    standing: dict[str, list[str]] = {}  # fingerprint -> aliases
    for entry in store.entries.values():
        if entry.kind == "trusted":
            standing.setdefault(entry.fingerprint(), []).append(entry.alias)
    aliases: dict[Certificate, str] = {}
    for certificate, asked in wanted:  # the same one may be asked for twice; an alias that is given counts
        aliases[certificate] = aliases.get(certificate) or asked
    todo = list(aliases)
    while todo:
        certificate = todo.pop(0)
        there = [one for one in standing.get(certificate.fingerprint, ()) if one not in changes.removed]
        if there:
            changes.present[there[0]] = certificate
            continue
        alias = (aliases[certificate] or default_alias(certificate)).lower()
        if alias in changes.added:
            raise AliasTakenError(f"The alias '{alias}' is asked for by two certificates.", "Give each its own alias.")
        old = store.find(alias)
        if old is not None and old.kind != "trusted":
            raise AliasTakenError(f"The alias '{alias}' belongs to a {_name_kind(old)}.", "Give another alias.")
        if old is not None:
            changes.removed[old.alias] = parse_entry(old)
            todo += [changes.present.pop(old.alias)] if old.alias in changes.present else []
        changes.added[alias] = certificate
    return changes


def plan_absent(store: KeyStore, aliases: Iterable[str], fingerprints: Iterable[str]) -> Changes:
    """What to do so that certificates are not trusted: those of the aliases, and every copy of the fingerprints'.

    :raises AliasTakenError: an alias is that of a key, which this module does not remove.
    """
    changes = Changes()
    unwanted = set(fingerprints)
    for alias in aliases:
        entry = store.find(alias)
        if entry is not None and entry.kind != "trusted":
            raise AliasTakenError(
                f"The alias '{alias}' belongs to a {_name_kind(entry)}.", "Remove it by hand if that is meant."
            )
        if entry is not None:
            changes.removed[entry.alias] = parse_entry(entry)
    for entry in store.entries.values():
        if entry.kind == "trusted" and entry.fingerprint() in unwanted:
            changes.removed[entry.alias] = parse_entry(entry)
    return changes


def parse_entry(entry: KeyStoreEntry) -> Certificate | None:
    """The entry's certificate; ``None`` when it cannot be parsed (a store may hold anything)."""
    try:
        return parse_der(entry.certificates[0])
    except CertificateError:
        return None


def trusted_certificates(store: KeyStore) -> list[Certificate]:
    """The trusted certificates of a store that can be parsed."""
    found = [parse_entry(entry) for entry in store.entries.values() if entry.kind == "trusted"]
    return [one for one in found if one is not None]


def apply_changes(data: bytes, store: KeyStore, changes: Changes, password: str, name: str) -> bytes:
    """The bytes of the store after the changes.

    :param data: the store's bytes; ``store`` is what they hold, read with the password.
    :param name: how errors call the store.
    :raises NotWrittenError: the result is not exactly what was asked.
    """
    removed = set(changes.removed)
    with name_in_errors(name):
        if store.type == "pkcs12":
            added = {alias: certificate.der for alias, certificate in changes.added.items()}
            new = pkcs12_edit.edit(data, store, removed, added, password, name)
        else:
            new = jks_edit.edit(data, removed, _make_entries(changes.added), password)
        _check_result(new, store, changes, password, name)
    return new


def copy_trusted(data: bytes, store: KeyStore, password: str) -> bytes:
    """A new store with the trusted certificates of another: one that Java opens without a given password.

    A JVM that has ``-Djavax.net.ssl.trustStore`` and no ``trustStorePassword`` silently sees nothing in a PKCS#12
    store with a password (Java 11, 17, 21); the password would be on a command line. So a PKCS#12 store without
    a password is copied as it is, and any other becomes a JKS store, with this password.

    :raises UnsupportedKeyStoreError: the other is a JCEKS store.
    """
    trusted = [entry for entry in store.entries.values() if entry.kind == "trusted"]
    if store.type == "pkcs12" and not (store.protected or store.encrypted):
        return data
    if store.type in ("jks", "pkcs12"):
        return jks_edit.write(trusted, password)
    raise UnsupportedKeyStoreError(
        f"A new trust store cannot be made from one of the format {store.type}.", "Give cacerts as copy_from."
    )


def _make_entries(certificates: dict[str, Certificate]) -> list[KeyStoreEntry]:
    now = int(time.time() * 1000)
    return [KeyStoreEntry(alias, "trusted", (one.der,), now) for alias, one in certificates.items()]


def _check_result(new: bytes, store: KeyStore, changes: Changes, password: str, name: str) -> None:
    after = reader.read(new, password, f"The new {name}")
    kept = [entry for alias, entry in store.entries.items() if alias not in changes.removed]
    expected = {_identify(entry) for entry in kept}
    expected |= {(alias, "trusted", certificate.fingerprint, b"") for alias, certificate in changes.added.items()}
    found = {_identify(entry) for entry in after.entries.values()}
    # A key may have more of its chain afterwards, where its issuer was added, but never less.
    chains = {entry.alias: entry.certificates for entry in after.entries.values()}
    shorter = [one.alias for one in kept if one.certificates != chains.get(one.alias, ())[: len(one.certificates)]]
    if found != expected or shorter or (after.protected, after.encrypted) != (store.protected, store.encrypted):
        missing, surplus = len(expected - found), len(found - expected)
        raise NotWrittenError(
            f"The new store has {missing} entries too few and {surplus} too many; {name} was left as it is.",
            "Please report this, with the program that made the store.",
        )


def _identify(entry: KeyStoreEntry) -> tuple[str, str, str, bytes]:
    return entry.alias.lower(), entry.kind, entry.fingerprint(), entry.key


def _name_kind(entry: KeyStoreEntry) -> str:
    return "secret key" if entry.kind == "secret" else "private key"
