# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trust stores that a distribution generates from the system's authorities.

Nothing is written into such a store: the next update of the system's authorities makes it anew. An authority goes to
the system's anchors as a file of its own, and the distribution's command generates the store
(update-ca-trust(8) of ca-certificates in the RHEL family; update-ca-certificates(8) of SUSE and Alpine).

Debian's cacerts is none of them: the hook of ca-certificates-java adds and removes entries ``debian:...`` only, with
``--fresh`` too, so what was imported stays.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from typing import Callable, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._commands import run
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._keystore.anchor_name import name_anchor

DEBIANS = "/etc/ssl/certs/java/cacerts"
DEBIANS_HOOK = "/etc/ca-certificates/update.d/jks-keystore"  # of ca-certificates-java; Alpine has another
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Source(NamedTuple):
    """What a trust store is generated from."""

    command: Sequence[str]
    anchors: str  # directory of the administrator's authorities
    bundle: str  # PEM: what the same command generates of the same authorities

    def anchor(self, fingerprint: str) -> str:
        """Path of the file with an authority of ours."""
        return f"{self.anchors}/{name_anchor(fingerprint)}"


# Real path of the store -> its source.
SOURCES = {
    "/etc/pki/ca-trust/extracted/java/cacerts": Source(
        ("update-ca-trust", "extract"),
        "/etc/pki/ca-trust/source/anchors",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ),
    "/etc/ca-certificates/extracted/java-cacerts.jks": Source(
        ("update-ca-trust", "extract"),
        "/etc/ca-certificates/trust-source/anchors",
        "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    ),
    "/var/lib/ca-certificates/java-cacerts": Source(
        ("update-ca-certificates",), "/etc/pki/trust/anchors", "/var/lib/ca-certificates/ca-bundle.pem"
    ),
    DEBIANS: Source(
        ("update-ca-certificates",), "/usr/local/share/ca-certificates", "/etc/ssl/certs/ca-certificates.crt"
    ),
}


def list_system(bundle: bytes) -> set[str]:
    """SHA-256 fingerprints of the authorities in a bundle."""
    blocks = (block.decode("ascii", "replace") for block in _BLOCK.findall(bundle))
    return {hashlib.sha256(ssl.PEM_cert_to_DER_cert(block)).hexdigest() for block in blocks}


def list_strays(trusted: Mapping[str, str], bundle: bytes) -> dict[str, str]:
    """Alias -> fingerprint of what was written into a generated store, and is gone when it is generated.

    :param trusted: fingerprint -> alias, of the store.
    """
    system = list_system(bundle)
    return {alias: print_ for print_, alias in trusted.items() if print_ not in system}


def is_ours(alias: str, fingerprint: str) -> bool:
    """Whether this collection wrote an entry into a store: earlier versions wrote into generated ones, too."""
    return alias.startswith("rtc-") and alias.endswith(f"-{fingerprint[:16]}")


def find_source(real_path: str, exists: Callable[[str], bool] = os.path.exists) -> Source | None:
    """What a store is generated from; ``None`` for one that is not generated.

    :param real_path: with links followed, as JREs of distributions lead there by two.
    :param exists: whether the host has a file.
    """
    if real_path == DEBIANS and exists(DEBIANS_HOOK):
        return None
    return SOURCES.get(real_path)


def list_stores(paths: Iterable[str]) -> list[str]:
    """The generated stores that change with these files."""
    folders = {os.path.dirname(path) for path in paths}
    return [store for store, source in SOURCES.items() if source.anchors in folders]


def refresh(paths: Iterable[str]) -> None:
    """Generate anew what depends on these files, which have been given back or removed.

    :raises RtcError: the command failed.
    """
    for command in dict.fromkeys(SOURCES[store].command for store in list_stores(paths)):
        generate(command)


def generate(command: Sequence[str]) -> None:
    """Run the command of a source.

    :raises RtcError: it failed.
    """
    done = run(list(command))
    if done.code != 0:
        text = " ".join(command)
        raise RtcError(f"{text} failed: {done.output}", f"Look why; then run {text}, and this once more.")
