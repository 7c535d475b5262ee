# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of connector attributes: gone, secret, which Tomcat. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
from typing import Iterable

MASK = "********"

# Attribute -> first version without it, and what to do instead. Found by comparing the public setters of
# Connector, Http11NioProtocol, Http11AprProtocol and their endpoints in the jars of 8.5.100, 9.0.98, 10.1.34
# and 11.0.2; the TLS ones are gone from 10.0 already (webapps/docs/config/http.xml of that branch).
_TLS = "put an SSLHostConfig with a Certificate inside the connector instead"
_TLS_GONE = (
    "algorithm", "ciphers", "clientAuth", "crlFile", "keyAlias", "keyPass", "keyPassFile", "keystoreFile",
    "keystorePass", "keystorePassFile", "keystoreProvider", "keystoreType", "sessionCacheSize",
    "sessionTimeout", "sslEnabledProtocols", "sslProtocol", "trustManagerClassName", "trustMaxCertLength",
    "truststoreAlgorithm", "truststoreFile", "truststorePass", "truststoreProvider", "truststoreType",
    "useServerCipherSuitesOrder", "SSLCACertificateFile", "SSLCACertificatePath", "SSLCARevocationFile",
    "SSLCARevocationPath", "SSLCertificateChainFile", "SSLCertificateFile", "SSLCertificateKeyFile",
    "SSLCipherSuite", "SSLDisableCompression", "SSLDisableSessionTickets", "SSLHonorCipherOrder",
    "SSLPassword", "SSLPasswordFile", "SSLProtocol", "SSLVerifyClient", "SSLVerifyDepth",
)  # fmt: skip
GONE: dict[str, tuple[tuple[int, int], str]] = {
    **dict.fromkeys(_TLS_GONE, ((10, 0), _TLS)),
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

# Attributes whose value nobody is to see, of any element: connectors (http.xml), SSLHostConfig, Certificate,
# JNDI resources and realms (password, connectionPassword), AJP (secret).
_SECRET = (
    "keystorePass", "keyPass", "truststorePass", "SSLPassword", "certificateKeystorePassword",
    "certificateKeyPassword", "truststorePassword", "password", "connectionPassword", "secret",
    "requiredSecret",
)  # fmt: skip
_SECRET_NAMES = frozenset(name.lower() for name in _SECRET)
_SECRET_IN_TEXT = r"(?is)(?<![\w.-])((?:" + "|".join(_SECRET) + r")\s*=\s*)([\"'])(?!\*{8})((?!\2).)*\2"


def is_secret(name: str) -> bool:
    """Whether the value of an attribute must not be shown."""
    return name.lower() in _SECRET_NAMES


def masked(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes with the secret values replaced."""
    return {name: MASK if is_secret(name) and value else value for name, value in attributes.items()}


def mask_text(text: str) -> str:
    """XML text with the values of secret attributes replaced, those in comments too."""
    return re.sub(_SECRET_IN_TEXT, rf"\1\g<2>{MASK}\2", text)


def parse_version(version: str) -> tuple[int, int] | None:
    """``"9.0.98"`` to ``(9, 0)``; a single number is that major version's first; None: no version."""
    text = version.strip()
    match = re.match(r"(\d+)\.(\d+)", text if "." in text else text + ".0")
    return (int(match.group(1)), int(match.group(2))) if match else None


def gone(names: Iterable[str], version: str) -> list[tuple[str, str]]:
    """Which of the attributes this Tomcat no longer has, each with what to do. Unknown version: none."""
    known = parse_version(version)
    if known is None:
        return []
    return [(name, GONE[name][1]) for name in names if name in GONE and GONE[name][0] <= known]


def detect_version(server_xml: str) -> str:
    """The version of the Tomcat that a ``conf/server.xml`` belongs to, or "".

    Read from ``lib/catalina.jar`` (``ServerInfo.properties``), else from ``RELEASE-NOTES``, of the directory
    above ``conf``; links are tried as written and followed.
    """
    for path in (os.path.abspath(server_xml), os.path.realpath(server_xml)):
        install = os.path.dirname(os.path.dirname(path))
        found = _from_jar(os.path.join(install, "lib", "catalina.jar")) or _from_notes(install)
        if found:
            return found
    return ""


def _from_jar(path: str) -> str:
    if not os.path.exists(path):
        return ""
    import zipfile  # noqa: PLC0415 - costs a run more than the rest of its work, and few files have a Tomcat beside them

    try:
        with zipfile.ZipFile(path) as jar:
            text = jar.read("org/apache/catalina/util/ServerInfo.properties").decode("latin-1")
    except (OSError, KeyError, zipfile.BadZipFile):
        return ""
    match = re.search(r"^server\.number\s*=\s*([\d.]+)", text, re.MULTILINE)
    return match.group(1).strip(".") if match else ""


def _from_notes(install: str) -> str:
    try:
        with open(os.path.join(install, "RELEASE-NOTES"), encoding="latin-1") as file:
            match = re.search(r"Apache Tomcat Version (\d[\d.]*)", file.read(4096))
    except OSError:
        return ""
    return match.group(1).strip(".") if match else ""
