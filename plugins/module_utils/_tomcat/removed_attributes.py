# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attributes of connectors that newer Tomcats no longer have."""

from __future__ import annotations

import re
from typing import Iterable

# Attribute -> first version without it, and what to do instead. Found by comparing the public setters of
# Connector, Http11NioProtocol, Http11AprProtocol and their endpoints in the jars of 8.5.100, 9.0.98, 10.1.34
# and 11.0.2; the TLS ones are gone from 10.0 already (webapps/docs/config/http.xml of that branch).
_TLS = "put an SSLHostConfig with a Certificate inside the connector instead"
_TLS_REMOVED = (
    "algorithm", "ciphers", "clientAuth", "crlFile", "keyAlias", "keyPass", "keyPassFile", "keystoreFile",
    "keystorePass", "keystorePassFile", "keystoreProvider", "keystoreType", "sessionCacheSize", "sessionTimeout",
    "sslEnabledProtocols", "sslProtocol", "trustManagerClassName", "trustMaxCertLength", "truststoreAlgorithm",
    "truststoreFile", "truststorePass", "truststoreProvider", "truststoreType", "useServerCipherSuitesOrder",
    "SSLCACertificateFile", "SSLCACertificatePath", "SSLCARevocationFile", "SSLCARevocationPath",
    "SSLCertificateChainFile", "SSLCertificateFile", "SSLCertificateKeyFile", "SSLCipherSuite", "SSLDisableCompression",
    "SSLDisableSessionTickets", "SSLHonorCipherOrder", "SSLPassword", "SSLPasswordFile", "SSLProtocol",
    "SSLVerifyClient", "SSLVerifyDepth",
)  # fmt: skip
REMOVED: dict[str, tuple[tuple[int, int], str]] = {
    **dict.fromkeys(_TLS_REMOVED, ((10, 0), _TLS)),
    "compressableMimeType": ((9, 0), "use compressibleMimeType"),
    "soTimeout": ((9, 0), "use connectionTimeout"),
    "soLinger": ((9, 0), "use connectionLinger"),
    "backlog": ((9, 0), "use acceptCount"),
    "acceptorThreadCount": ((10, 1), "leave it out: there is one acceptor"),
    "pollerThreadCount": ((10, 1), "leave it out: there is one poller"),
    "noCompressionStrongETag": ((10, 1), "leave it out: strong ETags are never compressed"),
    "rejectIllegalHeaderName": ((10, 1), "use rejectIllegalHeader"),
    "deferAccept": ((10, 1), "leave it out: the APR connector is gone"),
    "pollTime": ((10, 1), "leave it out: the APR connector is gone"),
    "ipv6v6only": ((10, 1), "leave it out: the APR connector is gone"),
    "rejectIllegalHeader": ((11, 0), "leave it out: illegal headers are always rejected"),
    "allowHostHeaderMismatch": ((11, 0), "leave it out: a mismatch is always refused"),
}


def parse_version(version: str) -> tuple[int, int] | None:
    """``"9.0.98"`` to ``(9, 0)``; a single number is that major version's first; None: no version."""
    text = version.strip()
    match = re.match(r"(\d+)\.(\d+)", text if "." in text else text + ".0")
    return (int(match.group(1)), int(match.group(2))) if match else None


def find_removed(names: Iterable[str], version: str) -> list[tuple[str, str]]:
    """Which of the attributes this Tomcat no longer has, each with what to do. Unknown version: none."""
    known = parse_version(version)
    if known is None:
        return []
    return [(name, REMOVED[name][1]) for name in names if name in REMOVED and REMOVED[name][0] <= known]
