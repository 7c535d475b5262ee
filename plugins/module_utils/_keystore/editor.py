# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing a trust store: what is to be added or removed, and the new bytes.

Who writes what, and why:

- *Adding*: one run of the store's own keytool (``-importkeystore`` of a temporary JKS that is written here), however
many certificates there are. What that JRE has written itself, in its own way of today, it will read. - *Removing*:
``keytool -delete`` takes one alias for each JVM. A JKS store and a PKCS#12 store without a password are therefore
written here, with no JVM: the remaining entries stay byte for byte. A PKCS#12 store with a password is built anew by
one run of keytool from the remaining entries.

In either case the result is read back and compared with what was asked before it replaces the store.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._keystore import jks, pkcs12, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    KeyStore,
    KeyStoreEntry,
    KeyStoreError,
    UnsupportedKeyStoreError,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    CertificateError,
    parse_der,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.collab.rtc.plugins.module_utils._java.keytool import Keytool


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
    the new one.

    :param wanted: certificates, each with the alias asked for, or an empty one.
    :raises AliasTakenError: the alias is that of a key, or is asked for twice.
    """
    changes = Changes()
    known = store.trusted()
    aliases: dict[Certificate, str] = {}
    for certificate, asked in wanted:  # the same one may be asked for twice; an alias that is given counts
        aliases[certificate] = aliases.get(certificate) or asked
    for certificate, asked in aliases.items():
        alias = (asked or default_alias(certificate)).lower()
        if certificate.fingerprint in known:
            changes.present[known[certificate.fingerprint]] = certificate
            continue
        if alias in changes.added:
            raise AliasTakenError(f"The alias '{alias}' is asked for by two certificates.", "Give each its own alias.")
        old = store.find(alias)
        if old is not None and old.kind != "trusted":
            raise AliasTakenError(f"The alias '{alias}' belongs to a private key.", "Give another alias.")
        if old is not None:
            changes.removed[old.alias] = parse_entry(old)
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
                f"The alias '{alias}' belongs to a private key.", "Remove it by hand if that is meant."
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


def needs_keytool(store: KeyStore, changes: Changes) -> bool:
    """Whether a JVM must be started."""
    return bool(changes.added) or (bool(changes.removed) and _has_password(store))


def apply_changes(
    data: bytes, store: KeyStore, changes: Changes, password: str, keytool: Keytool | None, directory: str, name: str
) -> bytes:
    """The bytes of the store after the changes.

    :param data: the store's bytes; ``store`` is what they hold.
    :param keytool: needed as :func:`needs_keytool` says.
    :param directory: a private directory for temporary files; the caller removes it.
    :param name: how errors call the store.
    :raises NotWrittenError: the result is not exactly what was asked.
    :raises JvmError: keytool failed.
    """
    if changes.added:
        new = _import_entries(data, store.type, _make_entries(changes.added), password, _require(keytool), directory)
    elif _has_password(store):
        new = _rebuild(store, changes, password, _require(keytool), directory)
    elif store.type == "pkcs12":
        new = pkcs12.without(data, set(changes.removed), name)
    else:
        kept = [entry for alias, entry in store.entries.items() if alias not in changes.removed]
        new = jks.write(kept, password, store.type)
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
        return jks.write(trusted, password)
    raise UnsupportedKeyStoreError(
        f"A new trust store cannot be made from one of the format {store.type}.", "Give cacerts as copy_from."
    )


def _has_password(store: KeyStore) -> bool:
    return store.type == "pkcs12" and (store.protected or store.encrypted)


def _require(keytool: Keytool | None) -> Keytool:
    if keytool is None:
        raise NotWrittenError("This change needs keytool.", "Give jre_home.")
    return keytool


def _make_entries(certificates: dict[str, Certificate]) -> list[KeyStoreEntry]:
    now = int(time.time() * 1000)
    return [KeyStoreEntry(alias, "trusted", (one.der,), now) for alias, one in certificates.items()]


def _import_entries(
    data: bytes,
    kind: str,
    entries: Sequence[KeyStoreEntry],
    password: str,
    keytool: Keytool,
    directory: str,
    key_password: str = "",
) -> bytes:
    """One run of keytool: the entries into a copy of the store (or into a new one, when there are no bytes)."""
    source, target = os.path.join(directory, "source"), os.path.join(directory, "store")
    # A key entry can only go along when its password is the source's.
    temporary = key_password or secrets.token_hex(16)
    for path, content in ((source, jks.write(entries, temporary)), (target, data)):
        if content:
            _files.write_atomic(path, content, mode=0o600)
    arguments = [
        "-importkeystore",
        "-noprompt",
        "-srckeystore",
        source,
        "-srcstoretype",
        "JKS",
        "-srcstorepass:env",
        "RTC_SOURCE",
        "-destkeystore",
        target,
        "-deststoretype",
        kind.upper(),
        "-deststorepass:env",
        "RTC_STORE",
    ]
    try:
        keytool.run(arguments, {"RTC_SOURCE": temporary, "RTC_STORE": password})
        return _files.read_bytes(target)
    finally:
        for path in (source, target):
            if os.path.exists(path):
                os.unlink(path)


def _rebuild(store: KeyStore, changes: Changes, password: str, keytool: Keytool, directory: str) -> bytes:
    kept = []
    for alias, entry in store.entries.items():
        if alias in changes.removed:
            continue
        if entry.kind == "key":  # Java wants the keys of a PKCS#12 store under the store's own password
            key = jks.lock(pkcs12.unlock(entry, password, f"'{alias}'"), password)
            kept.append(replace(entry, key=key))
        else:
            kept.append(entry)
    return _import_entries(b"", store.type, kept, password, keytool, directory, password)


def _check_result(new: bytes, store: KeyStore, changes: Changes, password: str, name: str) -> None:
    after = reader.read(new, password, f"The new {name}")
    kept = {alias: entry for alias, entry in store.entries.items() if alias not in changes.removed}
    expected = {(alias.lower(), entry.fingerprint()) for alias, entry in kept.items()}
    expected |= {(alias, certificate.fingerprint) for alias, certificate in changes.added.items()}
    found = {(alias.lower(), entry.fingerprint()) for alias, entry in after.entries.items()}
    if found != expected:
        missing, surplus = len(expected - found), len(found - expected)
        raise NotWrittenError(
            f"The new store has {missing} entries too few and {surplus} too many; {name} was left as it is.",
            "Please report this with the version of the JRE.",
        )
