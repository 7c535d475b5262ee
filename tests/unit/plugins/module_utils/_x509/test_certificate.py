# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import shutil
import subprocess

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import (
    CertificateError,
    parse_certificates,
    parse_pem,
    read_names,
)
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
UTC = datetime.timezone.utc


def text(name):
    return (DATA / name).read_text(encoding="ascii")


def one(name):
    (certificate,) = parse_pem(text(name), name)
    return certificate


def test_what_is_in_a_certificate():
    leaf = one("leaf.pem")
    assert leaf.subject == "C=DE, O=Example\\, Inc., CN=rtc.example"
    assert leaf.issuer == "C=DE, O=Example\\, Inc., CN=Example Issuing CA"
    assert leaf.common_name == "rtc.example"
    assert leaf.dns_names == ("rtc.example", "*.wild.example", "xn--bcher-kva.example")
    assert leaf.ip_addresses == (b"\x7f\0\0\1", b"\0" * 15 + b"\1")
    assert leaf.not_before == datetime.datetime(2020, 1, 1, tzinfo=UTC)
    assert leaf.not_after == datetime.datetime(2120, 1, 1, tzinfo=UTC)
    assert (leaf.key_type, leaf.key_bits, leaf.is_ca, leaf.self_signed) == ("EC", 256, False, False)
    assert leaf.ca_issuers == ("http://pki.example/issuing.crt",)
    assert leaf.aki == one("issuing.pem").ski


@pytest.mark.parametrize(
    ("name", "kind", "self_signed", "key"),
    [
        ("root.pem", "root", True, ("RSA", 2048)),
        ("issuing.pem", "intermediate", False, ("EC", 256)),
        ("leaf.pem", "leaf", False, ("EC", 256)),
        ("own.pem", "leaf", True, ("EC", 256)),
        ("small.pem", "root", True, ("RSA", 1024)),
        ("plain.pem", "root", True, ("RSA", 2048)),
        ("cross.pem", "intermediate", False, ("RSA", 2048)),
    ],
)
def test_kinds(name, kind, self_signed, key):
    certificate = one(name)
    assert (certificate.kind, certificate.self_signed, (certificate.key_type, certificate.key_bits)) == (
        kind,
        self_signed,
        key,
    )


@pytest.mark.parametrize("name", ["root.pem", "issuing.pem", "leaf.pem", "own.pem", "plain.pem"])
def test_agrees_with_cryptography(name):
    x509 = pytest.importorskip("cryptography.x509")
    hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
    theirs, ours = x509.load_pem_x509_certificate(text(name).encode()), one(name)
    assert ours.fingerprint == theirs.fingerprint(hashes.SHA256()).hex()
    assert ours.serial == theirs.serial_number
    assert ours.subject_der == theirs.subject.public_bytes()
    assert ours.issuer_der == theirs.issuer.public_bytes()
    assert read_names(ours.der) == (ours.subject_der, ours.issuer_der)
    assert ours.pem() == text(name)


def test_a_chain_keeps_its_order():
    chain = parse_pem(text("chain.pem"), "chain.pem")
    assert [c.common_name for c in chain] == ["rtc.example", "Example Issuing CA"]


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: "\ufeff" + pem,
        lambda pem: "Subject: someone\n\n" + pem + "\nthe end",
        lambda pem: "  " + pem.replace("\n", "\n  "),
        lambda pem: pem.rstrip("\n"),
        lambda pem: pem.replace("BEGIN CERT", "BEGIN X509 CERT").replace("END CERT", "END X509 CERT"),
        lambda pem: text("leaf.key") + pem,
        lambda pem: pem + text("leaf.key"),
        lambda pem: pem.replace("-----\n", "-----\nProc-Type: none\n\n", 1),
    ],
)
def test_pem_as_people_have_it(change):
    assert [c.fingerprint for c in parse_certificates(change(text("root.pem")).encode(), "x")] == [
        one("root.pem").fingerprint
    ]


def test_other_forms():
    root = one("root.pem")
    assert parse_certificates(root.der, "root.der") == [root]
    assert one("trusted.pem") == root
    assert parse_certificates(text("root.pem").encode("utf-16"), "x") == [root]
    chain = parse_pem(text("chain.pem"), "chain.pem")
    assert sorted(c.der for c in parse_pem(text("chain.p7b"), "chain.p7b")) == sorted(c.der for c in chain)


def test_pkcs7_in_der():
    import base64

    data = base64.b64decode("".join(text("chain.p7b").splitlines()[1:-1]))
    assert len(parse_certificates(data, "chain.p7b")) == 2


def join_in_one_line(pem):
    return (pem.rstrip("\n") + pem).encode()


FILES = {
    "pkcs7 that is called a certificate": lambda: text("chain.p7b").replace("PKCS7", "CERTIFICATE").encode(),
    "pkcs7": lambda: text("chain.p7b").encode(),
    "DER and a newline": lambda: one("root.pem").der + b"\n",
    "DER and padding": lambda: one("root.pem").der + b"\r\n \0\x1a",
    "two DER": lambda: one("root.pem").der + one("leaf.pem").der,
    "lines of a Macintosh": lambda: text("root.pem").replace("\n", "\r").encode(),
    "joined in one line": lambda: join_in_one_line(text("root.pem")),
    "DER cut short": lambda: one("root.pem").der[:-1],
    "PEM cut short": lambda: text("root.pem").encode()[:-40],
}


@pytest.mark.skipif(not shutil.which("keytool"), reason="no keytool here")
@pytest.mark.parametrize("name", FILES)
def test_reads_what_keytool_reads(name, tmp_path):
    path = tmp_path / "ca.cer"
    path.write_bytes(FILES[name]())
    command = ["keytool", "-printcert", "-file", str(path), "-J-Duser.language=en", "-J-XX:TieredStopAtLevel=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seen = {line.split("SHA256:")[1].strip().replace(":", "").lower() for line in done.stdout.splitlines()
            if "SHA256:" in line}  # fmt: skip
    try:
        found = {certificate.fingerprint for certificate in parse_certificates(path.read_bytes(), str(path))}
    except CertificateError as exc:
        found = set()
        assert str(path) in exc.message
        assert exc.remedy
    assert found == seen, done.stdout


def test_der_files_that_were_joined_with_line_ends():
    pair = [one("root.pem"), one("leaf.pem")]
    assert parse_certificates(b"\n".join(each.der for each in pair), "ca.der") == pair  # keytool reads the first


def test_marks_that_stand_in_one_line():
    data = join_in_one_line(text("root.pem"))
    number = next(i for i, line in enumerate(data.decode().split("\n"), 1) if line.count("-----") > 2)
    with pytest.raises(CertificateError, match=f"ca.pem, line {number}: two marks in one line") as caught:
        parse_certificates(data, "ca.pem")
    assert "line break" in caught.value.remedy


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda pem: "", "ca.pem holds no certificate"),
        (lambda pem: text("leaf.key"), "ca.pem holds no certificate"),
        (
            lambda pem: "\n\n" + pem.replace("-----END CERTIFICATE-----", ""),
            "line 3: BEGIN CERTIFICATE without its END",
        ),
        (
            lambda pem: pem.replace("-----END CERTIFICATE-----", "") + pem,
            "ca.pem, line 1: BEGIN CERTIFICATE without its END",
        ),
        (lambda pem: pem + "-----END CERTIFICATE-----", "END CERTIFICATE without its BEGIN"),
        (lambda pem: pem.replace("MII", "M!I", 1), "ca.pem, line 1: the block is not base64"),
        (lambda pem: pem.replace("MII", "MIA", 1), "ca.pem, line 1 is not an X.509 certificate"),
        (
            lambda pem: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "line 1 is not an X.509 certificate",
        ),
        (lambda pem: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "line 1 is not an X.509 certificate"),
    ],
)
def test_what_is_not_a_certificate_is_said_with_its_line(change, reason):
    with pytest.raises(CertificateError, match=reason):
        parse_pem(change(text("root.pem")), "ca.pem")


@pytest.mark.parametrize("data", [b"\x30\x00", b"\x30\x03\x02\x01\x01", b"\x30\x82\x01\x01", b"\x30\x03\x06\x01\x2a"])
def test_what_is_not_der(data):
    with pytest.raises(CertificateError, match=r"ca\.der"):
        parse_certificates(data, "ca.der")


def test_anything_is_read_or_refused():
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    der = one("leaf.pem").der

    @hypothesis.given(strategies.integers(0, len(der) - 1), strategies.binary(max_size=4), strategies.integers(0, 4))
    @hypothesis.settings(deadline=None)
    def check(place, piece, gone):
        try:
            parse_certificates(der[:place] + piece + der[place + gone :], "x")
        except CertificateError as exc:
            assert "x" in exc.message

    check()
