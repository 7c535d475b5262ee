# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing JKS and JCEKS key stores, whose format is in ``jks``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ansible_collections.collab.rtc.plugins.module_utils._keystore import jks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import KeyStoreEntry


def write(entries: Iterable[KeyStoreEntry], password: str, kind: str = "jks") -> bytes:
    """The bytes of a store (version 2) with these entries, in this order. Keys are written as they are.

    Aliases are written in lower case, as Java does.
    """
    items = list(entries)
    magic = next(magic for magic, name in jks.MAGIC.items() if name == kind)
    body = magic + struct.pack(">II", 2, len(items)) + b"".join(_encode_entry(entry) for entry in items)
    return body + jks.compute_digest(body, password)


def edit(data: bytes, removed: set[str], added: Iterable[KeyStoreEntry], password: str) -> bytes:
    """The bytes of a store without some entries and with others at its end; what stays, stays byte for byte.

    :param data: a store that ``jks.read`` takes, of version 1 or 2: it stays what it is.
    :param removed: aliases as they are in the file.
    :param password: the store's.
    """
    version = int.from_bytes(data[4:8], "big")
    kept = [raw for entry, raw in jks.read_entries(jks.Reader(data, "The key store")) if entry.alias not in removed]
    kept += [_encode_entry(entry, version) for entry in added]
    body = data[:8] + struct.pack(">I", len(kept)) + b"".join(kept)
    return body + jks.compute_digest(body, password)


def _encode_entry(entry: KeyStoreEntry, version: int = 2) -> bytes:
    alias = _encode_text(entry.alias.lower())
    head = struct.pack(">H", len(alias)) + alias + struct.pack(">Q", entry.created_ms)
    form = b"\x00\x05X.509" if version == 2 else b""  # version 1 has no other
    certificates = b"".join(form + struct.pack(">I", len(der)) + der for der in entry.certificates)
    if entry.kind == "trusted":
        return struct.pack(">I", jks.TRUSTED) + head + certificates
    key = struct.pack(">I", len(entry.key)) + entry.key
    return struct.pack(">I", jks.KEY) + head + key + struct.pack(">I", len(entry.certificates)) + certificates


def _encode_text(text: str) -> bytes:
    units = text.encode("utf-16-be", "surrogatepass")
    pieces = (units[i : i + 2].decode("utf-16-be", "surrogatepass") for i in range(0, len(units), 2))
    return b"".join(piece.encode("utf-8", "surrogatepass") for piece in pieces).replace(b"\x00", b"\xc0\x80")
