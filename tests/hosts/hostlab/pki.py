# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private certification authority for the lab: root -> intermediate -> one leaf for each server name."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .console import say

ROOT_DAYS = 3650
INTERMEDIATE_DAYS = 1825
LEAF_DAYS = 90
RENEW_DAYS = 20

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    new.replace(path)


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(certificate: Path, key: Path) -> Pair | None:
    """The pair in these files; None when one is missing, damaged, does not belong to the other or ends soon."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != loaded.public_key():
        return None
    left = loaded.not_valid_after_utc - _now()
    return (loaded, private) if left >= dt.timedelta(days=RENEW_DAYS) else None


def _issue(name: str, days: int, issuer: Pair | None, path_length: int | None) -> Pair:
    """A new key and its certificate. `path_length`: for an authority; None makes a server's leaf with this DNS name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    is_authority = path_length is not None
    # An hour back: the clocks of the hosts are the machine's own, but a test may look from a machine beside it.
    begin = _now() - dt.timedelta(hours=1)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(_now() + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
    )
    if not is_authority:
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def _authority(folder: Path, stem: str, title: str, days: int, issuer: Pair | None, path_length: int) -> Pair:
    certificate, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    pair = _read(certificate, key)
    if pair and issuer:
        try:
            pair[0].verify_directly_issued_by(issuer[0])
        except Exception:  # whatever is wrong with it: it is not of this root, and a new one is made
            pair = None
    if pair is None:
        pair = _issue(title, days, issuer, path_length)
        _write(key, _key_pem(pair[1]), 0o600)
        _write(certificate, _pem(pair[0]), 0o644)
        say(f"made {certificate.name}: {title}, valid {days} days")
    return pair


def ensure(folder: Path, server_names: tuple[str, ...]) -> None:
    """Make or renew what is missing under `folder`: root.pem, intermediate.pem, NAME/{fullchain,privkey}.pem."""
    root = _authority(folder, "root", "collab.rtc lab root CA", ROOT_DAYS, None, 1)
    middle = _authority(folder, "intermediate", "collab.rtc lab intermediate CA", INTERMEDIATE_DAYS, root, 0)
    for name in server_names:
        chain_file, key_file = folder / name / "fullchain.pem", folder / name / "privkey.pem"
        pair = _read(chain_file, key_file)
        if pair and chain_file.read_bytes() == _pem(pair[0], middle[0]):
            continue
        leaf = _issue(name, LEAF_DAYS, middle, None)
        _write(key_file, _key_pem(leaf[1]), 0o600)
        _write(chain_file, _pem(leaf[0], middle[0]), 0o644)
        say(f"made a certificate for {name}, valid {LEAF_DAYS} days")
