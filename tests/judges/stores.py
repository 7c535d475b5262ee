# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key stores and odd files of certificates (A11): how they are read here, and how keytool reads them."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from judges.world import Row

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
REFUSED = "not read"
# Where more is read here than Java reads, and why that is right.
MORE = {"key-plain.p12": "OpenSSL's form without encryption: Java passes the key over, and Tomcat ends with that"}
KINDS = {"trusted": "trustedCertEntry", "key": "PrivateKeyEntry", "secret": "SecretKeyEntry"}
STORES = sorted(path.name for path in DATA.iterdir() if re.fullmatch(r"\.(p12|jks|jceks|bks|uber|bcfks)", path.suffix))


def read(name: str) -> bytes:
    return (DATA / name).read_bytes()


def armour(data: bytes, label: str = "CERTIFICATE") -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(data) + f"-----END {label}-----\n".encode()


def der(name: str) -> bytes:
    return base64.b64decode("".join(read(name).decode().split("-----")[2].split()))


# What is asked: whether certificates are in the file.
FILES: dict[str, Callable[[], bytes]] = {
    "PEM": lambda: read("root.pem"),
    "DER": lambda: der("root.pem"),
    "DER with a newline behind it": lambda: der("root.pem") + b"\n",
    "PKCS#7 inside BEGIN CERTIFICATE": lambda: armour(read("chain.p7b") if read("chain.p7b")[:1] == b"0" else der("chain.p7b")),
    "text before and after": lambda: b"subject=/CN=x\n" + read("root.pem") + b"that was it\n",
    "CRLF": lambda: read("root.pem").replace(b"\n", b"\r\n"),
    "without a final newline": lambda: read("root.pem").rstrip(b"\n"),
    "one long line of base64": lambda: b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(der("root.pem")) + b"\n-----END CERTIFICATE-----\n",
    "X509 CERTIFICATE": lambda: armour(der("root.pem"), "X509 CERTIFICATE"),
    "cut short": lambda: read("root.pem")[:200],
    "a private key": lambda: read("leaf.key"),
    "an empty file": lambda: b"",
}  # fmt: skip


def run_store(name: str, keytool: str) -> list[Row]:
    """A store, as ``keytool -list`` shows it."""
    try:
        store = reader.read(read(name), "changeit", name)
        said = show({alias.lower(): KINDS[entry.kind] for alias, entry in store.entries.items()})
    except RtcError:
        said = REFUSED
    done = call(keytool, "-list", "-keystore", str(DATA / name), "-storepass", "changeit")
    found = re.findall(r"^(.+), \w{3} \d{1,2}, \d{4}, (\w+)", done.stdout, re.MULTILINE)
    judged = show({alias.lower(): kind for alias, kind in found}) if done.returncode == 0 else REFUSED
    return [Row("A11", f"store {name}", said, judged, "keytool -list", MORE.get(name, ""))]


def show(entries: dict[str, str]) -> str:
    return ", ".join(f"{alias} {kind}" for alias, kind in sorted(entries.items()))


def run_file(about: str, folder: Path, keytool: str) -> list[Row]:
    """A file of certificates, as ``keytool -printcert`` reads it."""
    path = folder / "file"
    path.write_bytes(FILES[about]())
    try:
        said = "read" if certificate.parse_certificates(path.read_bytes(), "file") else REFUSED
    except RtcError:
        said = REFUSED
    done = call(keytool, "-printcert", "-file", str(path))
    judged = "read" if done.returncode == 0 and "Owner:" in done.stdout else REFUSED
    return [Row("A11", f"certificate: {about}", said, judged, "keytool -printcert")]


def call(keytool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [keytool, "-J-Duser.language=en", "-J-Duser.country=US", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
