# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of connector attributes: which are secret, and to which Tomcat they belong."""

from __future__ import annotations

import os
import re
from typing import Iterable

from ansible_collections.collab.rtc.plugins.module_utils import _files, _secret_text
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._mask import MASK

_SERVER_INFO = "org/apache/catalina/util/ServerInfo.properties"
_MOST = 4096  # bytes read of a file that has the version

# Attributes whose value nobody is to see, of any element: connectors (http.xml), SSLHostConfig, Certificate,
# JNDI resources and realms (password, connectionPassword), AJP (secret).
_SECRET = (
    "keystorePass",
    "keyPass",
    "truststorePass",
    "SSLPassword",
    "certificateKeystorePassword",
    "certificateKeyPassword",
    "truststorePassword",
    "password",
    "connectionPassword",
    "secret",
    "requiredSecret",
)
_SECRET_NAMES = frozenset(name.lower() for name in _SECRET)
_SECRET_IN_TEXT = r"(?is)(?<![\w.-])((?:" + "|".join(_SECRET) + r")\s*=\s*)([\"'])(?!\*{8})((?!\2).)*\2"


def is_secret(name: str) -> bool:
    """Whether the value of an attribute must not be shown: one of Tomcat's, or, for protocol classes of others, what a
    diff takes for a secret."""
    return name.lower() in _SECRET_NAMES or _secret_text.is_secret(name)


def mask(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes with the secret values replaced."""
    return {name: MASK if is_secret(name) and value else value for name, value in attributes.items()}


def mask_text(text: str) -> str:
    """XML text with the values of secret attributes replaced, those in comments too."""
    return re.sub(_SECRET_IN_TEXT, rf"\1\g<2>{MASK}\2", text)


def find_removed(names: Iterable[str], version: str) -> list[tuple[str, str]]:
    """Which of the attributes this Tomcat no longer has, each with what to do. Unknown version: none."""
    if not version:
        return []
    from ansible_collections.collab.rtc.plugins.module_utils._tomcat import removed_attributes  # noqa: PLC0415 - lazy

    return removed_attributes.find_removed(names, version)


def detect_version(server_xml: str) -> str:
    """The version of the Tomcat that a ``conf/server.xml`` belongs to, or "".

    Read from ``lib/catalina.jar`` (``ServerInfo.properties``), else from ``RELEASE-NOTES``, of the directory
    above ``conf``; links are tried as written and followed.
    """
    for path in (os.path.abspath(server_xml), os.path.realpath(server_xml)):
        install = os.path.dirname(os.path.dirname(path))
        found = _read_jar(os.path.join(install, "lib", "catalina.jar")) or _read_notes(install)
        if found:
            return found
    return ""


def _read_jar(path: str) -> str:
    if not os.path.exists(path):
        return ""
    import zipfile  # noqa: PLC0415 - costs more than all the rest, and few files have a Tomcat beside them
    import zlib  # noqa: PLC0415

    try:
        with _files.open_file(path) as file, zipfile.ZipFile(file) as jar, jar.open(_SERVER_INFO) as member:
            text = member.read(_MOST).decode("latin-1")
    except (RtcError, OSError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return ""
    match = re.search(r"^server\.number\s*=\s*([\d.]+)", text, re.MULTILINE)
    return match.group(1).strip(".") if match else ""


def _read_notes(install: str) -> str:
    try:
        with _files.open_file(os.path.join(install, "RELEASE-NOTES")) as file:
            match = re.search(r"Apache Tomcat Version (\d[\d.]*)", file.read(_MOST).decode("latin-1"))
    except (RtcError, OSError):
        return ""
    return match.group(1).strip(".") if match else ""
