# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Java key store holds, whatever its format; and the errors of reading one."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


class KeyStoreError(RtcError):
    """A key store cannot be read or changed."""


class WrongPasswordError(KeyStoreError):
    """The password does not open the store, or a key in it."""


class DamagedKeyStoreError(KeyStoreError):
    """The bytes are not a whole key store."""


class UnsupportedKeyStoreError(KeyStoreError):
    """A format or an algorithm that is not read natively."""


class ForeignKeyStoreError(KeyStoreError):
    """A key store that not even Java's own keytool reads, or no key store at all."""


@contextlib.contextmanager
def name_in_errors(name: str) -> Iterator[None]:
    """What is wrong deep in a store is said with the store's name, and with what to do."""
    try:
        yield
    except KeyStoreError as exc:
        if name in exc.message and exc.remedy:
            raise
        message = exc.message if name in exc.message else f"{name}: {exc.message}"
        unsupported = "Convert it with the application's own keytool: keytool -importkeystore -deststoretype PKCS12."
        damaged = "Restore it from a backup, or make it anew."
        remedy = unsupported if isinstance(exc, UnsupportedKeyStoreError) else damaged
        raise type(exc)(message, exc.remedy or remedy) from exc


@dataclass(frozen=True)
class KeyStoreEntry:
    """One entry.

    :param kind: ``trusted`` (a certificate to be trusted), ``key`` (a private key with its chain, leaf first) or
        ``secret`` (a secret key: PKCS#12 only; nothing here looks into it).
    :param certificates: DER; of a trusted entry exactly one.
    :param created_ms: milliseconds since the epoch; 0 where the format does not say (PKCS#12).
    :param key: DER of the EncryptedPrivateKeyInfo, or of the PrivateKeyInfo where the store does not encrypt it.
    :param key_encrypted: which of the two.
    """

    alias: str
    kind: str
    certificates: tuple[bytes, ...]
    created_ms: int = 0
    key: bytes = field(default=b"", repr=False)
    key_encrypted: bool = True

    def fingerprint(self) -> str:
        """SHA-256 of the first certificate, lower-case hexadecimal; empty when there is none."""
        return hashlib.sha256(self.certificates[0]).hexdigest() if self.certificates else ""


@dataclass(frozen=True)
class KeyStore:
    """A key store as it was read.

    :param type: ``jks``, ``jceks`` or ``pkcs12``.
    :param entries: by alias, in the order of the file.
    :param protected: whether the file has an integrity check that depends on the password.
    :param encrypted: whether certificates are encrypted (PKCS#12 only).
    :param ignored: DER of certificates in the file that Java does not take for entries.
    """

    type: str
    entries: dict[str, KeyStoreEntry]
    protected: bool = True
    encrypted: bool = False
    ignored: tuple[bytes, ...] = ()

    def trusted(self) -> dict[str, str]:
        """SHA-256 fingerprint (lower-case hexadecimal) -> alias of each trusted certificate; the first alias wins."""
        found: dict[str, str] = {}
        for alias, entry in self.entries.items():
            if entry.kind == "trusted":
                found.setdefault(entry.fingerprint(), alias)
        return found

    def find(self, alias: str) -> KeyStoreEntry | None:
        """The entry of an alias, as Java finds it: without regard to case."""
        exact = self.entries.get(alias)
        if exact is not None:
            return exact
        return next((entry for name, entry in self.entries.items() if name.lower() == alias.lower()), None)
