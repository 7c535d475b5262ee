# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys and their chains out of key stores and PEM files, as PEM."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._keystore import ciphers, jks, pbe, pkcs12, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import (
    KeyStore,
    KeyStoreEntry,
    UnsupportedKeyStoreError,
    WrongPasswordError,
    name_in_errors,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1, pair
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    Certificate,
    parse_certificates,
    parse_der,
)
from ansible_collections.collab.rtc.plugins.module_utils._x509.chain import order

if TYPE_CHECKING:
    from ansible_collections.collab.rtc.plugins.module_utils._java.keytool import Keytool
    from ansible_collections.collab.rtc.plugins.module_utils._tomcat.tls_source import KeySource

_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----\s*")
_MOST_LABELS = 20  # of blocks that do not end
_HEADERS = re.compile(r"\s*(?:[A-Za-z-]+:.*\n)+\s*\n")
_DEK = re.compile(r"^DEK-Info:\s*([A-Z0-9-]+),([0-9A-F]+)", re.MULTILINE | re.IGNORECASE)
_LEGACY = {"AES-128-CBC": 16, "AES-192-CBC": 24, "AES-256-CBC": 32, "DES-EDE3-CBC": 24}  # key bytes


class UnusableKeyError(RtcError):
    """There is no such key, or it cannot be used."""


class NeedsJavaError(UnusableKeyError):
    """The store is of a kind that only a JRE can read, and none is given."""


@dataclass(frozen=True)
class KeyMaterial:
    """A private key and its chain, leaf first.

    :param key: PEM, not encrypted.
    """

    key: str = field(repr=False)
    chain: tuple[Certificate, ...]
    alias: str = ""

    def chain_pem(self) -> str:
        """The chain as PEM text."""
        return "".join(one.pem() for one in self.chain)


def read_key_material(source: KeySource, keytool: Keytool | None = None) -> KeyMaterial:
    """Read what a connector uses.

    :param keytool: for stores that only Java can read.
    :raises NeedsJavaError: it is such a store, and there is no keytool.
    :raises WrongPasswordError: of the store or of the key; says which.
    :raises UnusableKeyError: no such alias, not a key, or the key does not fit the certificate.
    :raises CertificateError: a certificate cannot be read.
    """
    material = _read_store(source, keytool) if source.store else _read_files(source)
    if not material.chain:
        raise UnusableKeyError(
            f"{source.store or source.certificate} has no certificate for the key.", "Import the CA's reply."
        )
    files = source.store or " with ".join(dict.fromkeys((source.key, source.certificate)))
    check_pair(material, files, f"Check what server.xml names in line {source.line}.")
    return material


def check_pair(material: KeyMaterial, name: str, remedy: str = "Check what server.xml names.") -> None:
    """Load key and chain as a TLS server does.

    :param name: the file that has them, or both.
    :raises UnusableKeyError: they do not fit together, or OpenSSL cannot use them.
    """
    key, first = material.key.encode("ascii"), material.chain[0]
    fault = pair.find_fault(material.chain_pem().encode("ascii"), key)
    if fault != pair.MISMATCH:
        if fault:
            raise UnusableKeyError(f"{name}: OpenSSL says {fault}.", remedy)
        return
    words = (
        f"the key and the certificate do not belong together; the certificate is '{first.subject}' ({first.key_type})"
    )
    for one in material.chain[1:]:
        if not pair.find_fault(one.pem().encode("ascii"), key):
            words += f", and the key belongs to '{one.subject}', which has to be the first certificate"
    raise UnusableKeyError(f"{name}: {words}.", remedy)


def _read_store(source: KeySource, keytool: Keytool | None) -> KeyMaterial:
    name, password = source.store, source.store_password
    data, owner = _files.read_owned(name, reader.MAX_SIZE)
    try:
        with name_in_errors(name):
            return _pick_entry(reader.read(data, password, name), source)
    except UnsupportedKeyStoreError as exc:
        if keytool is None:
            raise NeedsJavaError(exc.message, "Give jre_home: its keytool can convert the store.") from exc
    return _convert_by_keytool(data, owner, source, keytool)


def _pick_entry(store: KeyStore, source: KeySource) -> KeyMaterial:
    keys = [entry for entry in store.entries.values() if entry.kind == "key"]
    there = ", ".join(f"'{entry.alias}'" for entry in keys) or "none"
    if source.alias:
        entry = store.find(source.alias)
        if entry is None or entry.kind != "key":
            what = "is not there"
            if entry is not None:
                what = "is a secret key" if entry.kind == "secret" else "is a certificate without a key"
            raise UnusableKeyError(
                f"{source.store}: the alias '{source.alias}' {what}.", f"Keys in the store: {there}. Correct the alias."
            )
    elif len(keys) == 1:
        entry = keys[0]
    elif not keys:
        raise UnusableKeyError(
            f"{source.store} has no private key.",
            "Name the store that has it in server.xml, or import it into this one.",
        )
    else:
        raise UnusableKeyError(
            f"{source.store} has {len(keys)} keys ({there}), and no alias is named.",
            "Name the key's alias in server.xml.",
        )
    label = f"'{entry.alias}' in {source.store}"
    if store.type == "pkcs12":
        key = _unlock_pkcs12(entry, source, label)
    else:
        key = jks.unlock(entry.key, source.key_password, label)
    chain = tuple(parse_der(der, f"A certificate of {label}") for der in entry.certificates)
    return KeyMaterial(encode_pem("PRIVATE KEY", key), chain, entry.alias)


def _unlock_pkcs12(entry: KeyStoreEntry, source: KeySource, label: str) -> bytes:
    """Keys of PKCS#12 nearly always have the store's password; some files name another, which Java never uses."""
    try:
        return pkcs12.unlock(entry, source.key_password, label)
    except WrongPasswordError:
        if source.key_password == source.store_password:
            raise
        return pkcs12.unlock(entry, source.store_password, label)


def _convert_by_keytool(data: bytes, owner: int, source: KeySource, keytool: Keytool) -> KeyMaterial:
    """Let Java convert the store to PKCS#12, under a password of this moment, and read that."""
    password = secrets.token_hex(16)
    # keytool refuses to write into an empty file.
    files = {
        "source": data,
        "target": pkcs12.EMPTY,
        "source-password": _encode_secret(source.store_password, source.store),
        "target-password": _encode_secret(password, source.store),
        "key-password": _encode_secret(source.key_password, source.store),
    }
    arguments = ["-importkeystore", "-noprompt", "-srckeystore", "{source}", "-srcstorepass:file", "{source-password}"]
    if data[:4] in jks.MAGIC:  # Java 8 tries JKS and PKCS#12 by itself, and no more
        arguments += ["-srcstoretype", jks.MAGIC[data[:4]].upper()]
    arguments += ["-destkeystore", "{target}", "-deststoretype", "PKCS12", "-deststorepass:file", "{target-password}"]
    if source.alias:
        arguments += ["-srcalias", source.alias, "-srckeypass:file", "{key-password}"]
        arguments += ["-destkeypass:file", "{target-password}"]
    store = reader.read(keytool.run(arguments, files, owner, reader.MAX_SIZE)["target"], password, "What keytool wrote")
    # The alias was for keytool to pick one; what it converted is picked from as from any store.
    return _pick_entry(store, dataclasses.replace(source, store_password=password))


def _encode_secret(text: str, name: str) -> bytes:
    """A password as keytool reads it from a file: one line."""
    if "\n" in text or "\r" in text:
        raise UnusableKeyError(f"{name}: its password has a line break, which keytool cannot be given.")
    return text.encode("utf-8", "surrogateescape") + b"\n"


def _read_files(source: KeySource) -> KeyMaterial:
    chain = parse_certificates(_files.read_bytes(source.certificate), source.certificate)
    if source.chain:
        chain += parse_certificates(_files.read_bytes(source.chain), source.chain)
    text = _files.read_bytes(source.key).decode("utf-8-sig", "replace")
    # The first certificate is the server's; the rest is put in order after it.
    rest = [one for one in order(chain) if one != chain[0]]
    return KeyMaterial(decrypt_pem_key(text, source.key_password, source.key), (chain[0], *rest))


def decrypt_pem_key(text: str, password: str, name: str) -> str:
    """The first private key of a PEM text, decrypted.

    :raises WrongPasswordError: the password does not open it.
    :raises UnusableKeyError: there is none, or its encryption is unknown here.
    """
    label, content = _find_block(text.replace("\r\n", "\n"))
    if not label:
        raise UnusableKeyError(
            f"{name} holds no private key.", "It must have a line '-----BEGIN PRIVATE KEY-----' or similar."
        )
    encrypted = "ENCRYPTED" in label + content
    try:
        data = base64.b64decode("".join(_cut_headers(content).split()), validate=True)
        if label == "ENCRYPTED PRIVATE KEY":
            algorithm, octets = asn1.read(data).children(asn1.SEQUENCE)
            data, label = pbe.decrypt(algorithm, octets.octets(), password, name), "PRIVATE KEY"
        elif "ENCRYPTED" in content:
            data = _decrypt_rfc_1421(content, data, password, name)
        asn1.read(data).children(asn1.SEQUENCE)
    except (binascii.Error, asn1.DerError, ValueError) as exc:
        if encrypted:
            raise WrongPasswordError(f"The password does not open {name}.", "Correct it in server.xml.") from exc
        raise UnusableKeyError(f"{name}: the private key is ill-formed: {exc}.", "Copy the whole file.") from exc
    return encode_pem(label, data)


def _find_block(text: str) -> tuple[str, str]:
    """Label and content of the first block of a key that ends; "" for none. Each label's end is looked for once."""
    endless: set[str] = set()
    for begin in _BEGIN.finditer(text):
        if begin[1] in endless or len(endless) > _MOST_LABELS:
            continue
        end = text.find(f"-----END {begin[1]}-----", begin.end())
        if end >= 0:
            return begin[1], text[begin.end() : end]
        endless.add(begin[1])
    return "", ""


def _cut_headers(content: str) -> str:
    headers = _HEADERS.match(content)
    return content[headers.end() :] if headers else content


def _decrypt_rfc_1421(content: str, data: bytes, password: str, name: str) -> bytes:
    """Decrypt a PEM block with headers (RFC 1421) as OpenSSL writes it; its key is MD5 of password and salt."""
    dek = _DEK.search(content)
    size = _LEGACY.get(dek.group(1).upper(), 0) if dek else 0
    if dek is None or not size:
        raise UnusableKeyError(
            f"{name}: the key is encrypted in a way that is not read here.", "Convert it: openssl pkcs8 -topk8."
        )
    iv = bytes.fromhex(dek.group(2))
    key, piece = b"", b""
    while len(key) < size:
        piece = hashlib.md5(piece + password.encode("utf-8") + iv[:8]).digest()  # noqa: S324 - what the format is
        key += piece
    if dek.group(1).upper().startswith("DES"):
        return ciphers.decrypt_triple_des(key[:24], iv, data)
    return ciphers.decrypt_aes(key[:size], iv, data)


def encode_pem(label: str, data: bytes) -> str:
    """A PEM block."""
    text = base64.b64encode(data).decode("ascii")
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])
