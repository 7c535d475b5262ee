# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be trusted in a store that the system generates: as a change of its anchors (``anchors``)."""

from __future__ import annotations

import dataclasses
import os
import ssl
from typing import Sequence

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._commands import run
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._keystore import editor, reader
from ansible_collections.collab.rtc.plugins.module_utils._keystore.anchors import (
    Source,
    generate,
    is_ours,
    list_strays,
)
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import KeyStore, KeyStoreError
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate, parse_pem


def adjust(source: Source, store: KeyStore, changes: editor.Changes, unwanted: Sequence[str] = ()) -> editor.Changes:
    """The changes of a store as changes of its source.

    :param unwanted: fingerprints that are to go.
    :raises RtcError: somebody else's entries would be lost; or a file cannot be read.
    """
    strays = list_strays(store.trusted(), _files.read_bytes(source.bundle))
    known = {entry.alias: entry for entry in store.entries.values()}
    meant = {one.fingerprint for one in [*changes.added.values(), *changes.present.values()]} | set(unwanted)
    foreign = sorted(alias for alias, one in strays.items() if one not in meant and not is_ours(alias, one))
    found = dataclasses.replace(changes, added=dict(changes.added), present=dict(changes.present), removed={})
    for alias, certificate in changes.removed.items():
        if certificate and (alias in strays or _files.look(source.anchor(certificate.fingerprint))):
            found.removed[alias] = certificate
    for fingerprint in unwanted:
        data = _files.read_existing(source.anchor(fingerprint))
        if data is not None and fingerprint not in {one.fingerprint for one in found.removed.values() if one}:
            certificate = parse_pem(data.decode("ascii", "replace"), source.anchor(fingerprint))[0]
            found.removed[editor.default_alias(certificate)] = certificate
    for alias, one in strays.items():  # written into the store: by an earlier version, or by hand
        certificate = editor.parse_entry(known[alias])
        if certificate and one not in unwanted and (one in meant or is_ours(alias, one)):
            found.added[alias] = certificate
            found.present.pop(alias, None)
    if foreign and found:
        raise KeyStoreError(
            f"{', '.join(foreign)}: written into a trust store that {source.command[0]} generates, and lost when it"
            f" runs, as it must now.",
            f"Put their certificates into {source.anchors}, or set rtc_truststore_path. Nothing was changed.",
        )
    return found


def apply(source: Source, path: str, changes: editor.Changes, undo_dir: str | None, password: str) -> None:
    """Change the anchors and generate the store; all or nothing.

    :param path: of the store.
    :raises RtcError: the command fails, or the store does not have what is wanted; the anchors are as before.
    """
    wanted: dict[str, bytes | None] = {
        source.anchor(one.fingerprint): None for one in changes.removed.values() if one is not None
    }
    for one in changes.added.values():
        wanted[source.anchor(one.fingerprint)] = ssl.DER_cert_to_PEM_cert(one.der).encode()
    before = {name: _files.read_existing(name) for name in wanted}
    try:
        for name, content in wanted.items():
            if content != before[name]:
                records.record(undo_dir, name, content)
                _put(name, content)
        generate(source.command)
        _require(source, path, list(changes.added.values()), password)
    except RtcError:
        for name, old in before.items():
            _put(name, old)
        run(list(source.command))
        raise


def _put(path: str, content: bytes | None) -> None:
    if content is None:
        _files_tree.remove(path)
    else:
        _files.write_atomic(path, content)


def _require(source: Source, path: str, wanted: Sequence[Certificate], password: str) -> None:
    trusted = reader.read_file(path, password).trusted()
    missing = [one.subject for one in wanted if one.fingerprint not in trusted]
    if missing:
        raise KeyStoreError(
            f"{path} does not trust {', '.join(missing)} after {' '.join(source.command)}: the system distrusts it, or"
            " does not take it for an authority.",
            f"Look in {os.path.dirname(source.anchors)} for what distrusts it; or set rtc_truststore_path.",
        )
