# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trusting what Java trusts by a trust store, without a JVM."""

from __future__ import annotations

import ssl
from typing import Sequence

from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.plugins.module_utils._verify import trust


def context_of(
    url: str, ca: Sequence[str], store: str = "", password: str | None = None, system: bool = False
) -> ssl.SSLContext | None:
    """As :func:`trust.context_of`, and a Java trust store besides.

    :param store: path of a JKS or PKCS#12 store; empty for none.
    :param password: of the store; ``None`` reads what is not encrypted, unchecked.
    :raises RtcError: as there; or the store is unreadable, or the password is wrong.
    """
    context = trust.context_of(url, ca, system, more=bool(store))
    if context is not None and store:
        entries = reader.read_file(store, password).entries.values()
        # Java trusts the first certificate of a private key too (sun.security.validator.TrustStoreUtil).
        trust.trust_more(context, [entry.certificates[0] for entry in entries if entry.certificates])
    return context
