# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the certificates and key stores of this directory: ``python make.py``. Needs cryptography, openssl and keytool 17.

The keys are good for nothing but these tests. Validity is a hundred years where a test does not need otherwise.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

HERE = Path(__file__).parent
UTC = datetime.timezone.utc
BEGIN, END = datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.datetime(2120, 1, 1, tzinfo=UTC)
# bouncycastle*.{bks,uber,bcfks} were made once, with keytool -providerpath bcprov-1.72.jar.
PASSWORD = "changeit"


def name(common_name: str) -> x509.Name:
    parts = [
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.ORGANIZATION_NAME, "Example, Inc."),
        (NameOID.COMMON_NAME, common_name),
    ]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def certificate(key, subject, issuer=None, issuer_key=None, ca=False, begin=BEGIN, end=END, names=(), ids=True, aia=""):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer or subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if ids:
        signer = (issuer_key or key).public_key()
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if aia:
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(aia))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder.sign(issuer_key or key, hashes.SHA256())


def write(path: str, *items) -> None:
    (HERE / path).write_bytes(b"".join(item if isinstance(item, bytes) else pem(item) for item in items))


def pem(item) -> bytes:
    if isinstance(item, x509.Certificate):
        return item.public_bytes(serialization.Encoding.PEM)
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return item.private_bytes(serialization.Encoding.PEM, form, none)


def run(*command: str) -> None:
    environment = dict(os.environ, RTC=PASSWORD)
    subprocess.run(command, cwd=HERE, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=environment)


def keytool(*arguments: str) -> None:
    run("keytool", *arguments, "-noprompt")


def certificates() -> None:
    root_key, other_key = (rsa.generate_private_key(65537, 2048) for _number in range(2))
    issuing_key, leaf_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _number in range(3))
    root = certificate(root_key, "Example Root", ca=True)
    issuing = certificate(issuing_key, "Example Issuing CA", "Example Root", root_key, ca=True)
    names = [x509.DNSName(one) for one in ("rtc.example", "*.wild.example", "xn--bcher-kva.example")]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1")]
    aia = "http://pki.example/issuing.crt"
    leaf = certificate(leaf_key, "rtc.example", "Example Issuing CA", issuing_key, names=names, aia=aia)
    own = certificate(own_key, "own.example", names=[x509.DNSName("own.example")])
    write("root.pem", root), write("issuing.pem", issuing), write("leaf.pem", leaf), write("leaf.key", leaf_key)
    write("chain.pem", leaf, issuing), write("own.pem", own), write("own.key", own_key)
    # The same name with another key and no key identifiers: only the signature tells it from the root.
    plain_key = rsa.generate_private_key(65537, 2048)
    write("plain.pem", certificate(plain_key, "Plain Root", ca=True, ids=False))
    write("plain-again.pem", certificate(other_key, "Plain Root", ca=True, ids=False))
    write("plain-leaf.pem", certificate(leaf_key, "plain.example", "Plain Root", plain_key, ids=False))
    # The root, cross-signed by an older one.
    write("cross.pem", certificate(root_key, "Example Root", "Older Root", other_key, ca=True))
    past, future = datetime.datetime(2021, 1, 1, tzinfo=UTC), datetime.datetime(2110, 1, 1, tzinfo=UTC)
    write("expired.pem", certificate(own_key, "Expired CA", ca=True, end=past))
    write("future.pem", certificate(own_key, "Future CA", ca=True, begin=future))
    write("small.pem", certificate(rsa.generate_private_key(65537, 1024), "Small CA", ca=True))
    run("openssl", "crl2pkcs7", "-nocrl", "-certfile", "chain.pem", "-out", "chain.p7b")
    run("openssl", "x509", "-in", "root.pem", "-trustout", "-addtrust", "serverAuth", "-out", "trusted.pem")


def stores() -> None:
    for path in HERE.iterdir():
        if path.suffix in (".jks", ".jceks", ".p12"):
            path.unlink()
    new = ("-importcert", "-keystore", "trust.jks", "-storetype", "JKS", "-storepass", PASSWORD)
    keytool(*new, "-alias", "root", "-file", "root.pem")
    keytool(*new, "-alias", "Größe", "-file", "own.pem")
    none = ("-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE", "-J-Dkeystore.pkcs12.macAlgorithm=NONE")
    kinds = {"trust.jceks": ("JCEKS",), "nopass.p12": ("PKCS12", *none), "aes.p12": ("PKCS12",),
             "legacy.p12": ("PKCS12", "-J-Dkeystore.pkcs12.legacy")}  # fmt: skip
    for path, (kind, *options) in kinds.items():
        keytool(
            "-importkeystore",
            "-srckeystore",
            "trust.jks",
            "-srcstorepass",
            PASSWORD,
            "-destkeystore",
            path,
            "-deststoretype",
            kind,
            "-deststorepass",
            PASSWORD,
            *options,
        )
    key = ("-inkey", "leaf.key", "-in", "chain.pem", "-name", "Tomcat", "-passout", "env:RTC")
    run("openssl", "pkcs12", "-export", "-out", "key.p12", *key)
    run("openssl", "pkcs12", "-export", "-out", "key-legacy.p12", "-legacy", *key)
    run(
        "openssl",
        "pkcs12",
        "-export",
        "-out",
        "key-3des.p12",
        "-keypbe",
        "PBE-SHA1-3DES",
        "-certpbe",
        "PBE-SHA1-3DES",
        "-macalg",
        "sha1",
        *key,
    )
    run("openssl", "pkcs12", "-export", "-out", "key-plain.p12", "-keypbe", "NONE", "-certpbe", "NONE", *key)
    run(
        "openssl", "pkcs12", "-export", "-out", "certificates.p12", "-nokeys", "-in", "chain.pem", "-passout", "env:RTC"
    )
    for path in ("key.jks", "key.jceks"):
        keytool(
            "-importkeystore",
            "-srckeystore",
            "key.p12",
            "-srcstorepass",
            PASSWORD,
            "-destkeystore",
            path,
            "-deststoretype",
            path.partition(".")[2].upper(),
            "-deststorepass",
            PASSWORD,
            "-srcalias",
            "tomcat",
            "-srckeypass",
            PASSWORD,
            "-destkeypass",
            "key secret",
        )
    keytool(
        "-importkeystore",
        "-srckeystore",
        "key.p12",
        "-srcstorepass",
        PASSWORD,
        "-destkeystore",
        "mixed.p12",
        "-deststoretype",
        "PKCS12",
        "-deststorepass",
        PASSWORD,
    )
    keytool("-importcert", "-keystore", "mixed.p12", "-storepass", PASSWORD, "-alias", "root", "-file", "root.pem")


if __name__ == "__main__":
    certificates()
    stores()
