# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a private key belongs to a certificate: as a TLS server finds out, by letting OpenSSL load both."""

from __future__ import annotations

import ssl

from ansible_collections.collab.rtc.plugins.module_utils import _memory_file

MISMATCH, ENCRYPTED = "mismatch", "encrypted"


def find_fault(chain: bytes, key: bytes, weak: bool = False) -> str:
    """Why a server could not use them.

    :param chain: certificates in PEM, the server's own first.
    :param key: the private key in PEM.
    :param weak: whether a key is taken that this host's policy calls too weak.
    :returns: "" where it can; ``MISMATCH``; ``ENCRYPTED`` for a key with a pass phrase; else OpenSSL's reason.
    """
    asked = []

    def note() -> str:  # else OpenSSL would ask at a terminal
        asked.append(True)
        return ""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if weak:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    reason = ""
    try:
        with _memory_file.hold(chain) as first, _memory_file.hold(key) as second:  # OpenSSL wants paths
            context.load_cert_chain(_memory_file.path_of(first), _memory_file.path_of(second), note)
    except (ssl.SSLError, ValueError) as exc:
        reason = getattr(exc, "reason", "") or str(exc)
    # OpenSSL keeps keys of other kinds than the certificate's apart, and has no certificate there.
    other = "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED"
    return ENCRYPTED if asked else MISMATCH if other else reason
