# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faulty certificates of the lab's own authority: expired.pem, other.pem, leaf.pem, and their common key faults.key."""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAME = "confluence.lab.test"


def main(folder: Path) -> None:
    """Write the files into the directory that has the lab's intermediate.pem and intermediate.key."""
    chain = (folder / "intermediate.pem").read_bytes()
    issuer = x509.load_pem_x509_certificate(chain)
    authority = serialization.load_pem_private_key((folder / "intermediate.key").read_bytes(), None)
    if not isinstance(authority, ec.EllipticCurvePrivateKey):
        raise SystemExit(f"{folder}/intermediate.key is not an elliptic key")
    key = ec.generate_private_key(ec.SECP256R1())

    def leaf(name: str, last_day: int) -> bytes:
        today = dt.datetime.now(dt.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - dt.timedelta(days=90))
            .not_valid_after(today + dt.timedelta(days=last_day))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(folder / "faults.key", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private)
    (folder / "leaf.pem").write_bytes(leaf(NAME, 60))
    (folder / "other.pem").write_bytes(leaf("other.lab.test", 60) + chain)
    (folder / "expired.pem").write_bytes(leaf(NAME, -1) + chain)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
