# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate, key and authority of the inventory, with real certificates made here."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._inventory import tls_files

x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402 - after the guard
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.serialization import pkcs7  # noqa: E402

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class Issued:
    """A certificate with its key, issued by another one or by itself."""

    def __init__(self, name, issuer=None, authority=False, names=(), further=(), depth=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name if issuer else self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW)
            .not_valid_after(NOW + datetime.timedelta(days=90))
            .add_extension(x509.BasicConstraints(authority, depth), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        for extension in further:
            builder = builder.add_extension(extension, critical=True)
        self.certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def key_pem(self, password=None):
        cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher).decode()


@pytest.fixture(scope="module")
def root():
    return Issued("Example Root", authority=True)


@pytest.fixture(scope="module")
def intermediate(root):
    return Issued("Example Issuing CA", root, authority=True)


@pytest.fixture(scope="module")
def leaf(intermediate):
    names = [x509.DNSName("wiki.example.com"), x509.IPAddress(ipaddress.ip_address("10.0.0.11"))]
    return Issued("wiki.example.com", intermediate, names=names)


def test_a_whole_chain_with_its_authority(root, intermediate, leaf):
    given = tls_files.inspect(leaf.pem + intermediate.pem, leaf.key_pem(), root.pem)
    assert given.error == ""
    assert given.names == ["wiki.example.com", "10.0.0.11"]
    assert (given.key_given, given.key_matches, given.missing, given.self_signed, given.weak) == (
        True,
        True,
        "",
        False,
        "",
    )
    assert given.root_pem == root.pem
    assert given.root_subject == "CN=Example Root"
    assert given.not_after - given.not_before == 90 * 86400


def test_without_the_authority_the_highest_certificate_is_trusted(intermediate, leaf):
    given = tls_files.inspect(leaf.pem + intermediate.pem, None, None)
    assert (given.root_subject, given.missing, given.key_given) == ("CN=Example Issuing CA", "", False)


def test_a_leaf_alone_is_incomplete_and_nothing_is_trusted(leaf):
    given = tls_files.inspect(leaf.pem, None, None)
    assert (given.missing, given.root_pem) == ("CN=Example Issuing CA", "")


def test_a_leaf_with_the_root_lacks_what_is_between(leaf, root):
    given = tls_files.inspect(leaf.pem, None, root.pem)
    assert given.missing == "CN=Example Issuing CA"
    assert given.root_subject == "CN=Example Root"


def test_an_authority_that_is_not_the_certificates(leaf, intermediate):
    other = Issued("Other Root", authority=True)
    assert tls_files.inspect(leaf.pem + intermediate.pem, None, other.pem).missing == "CN=Example Root"


def test_an_authority_that_is_not_the_one_that_the_file_leads_to(leaf, intermediate, root):
    other = Issued("Other Root", authority=True)
    chain = leaf.pem + intermediate.pem + root.pem
    given = tls_files.inspect(chain, None, other.pem)
    assert (given.missing, given.top_subject, given.root_subject) == ("", "CN=Example Root", "CN=Other Root")
    for right in (None, root.pem, other.pem + root.pem, intermediate.pem):
        assert tls_files.inspect(chain, None, right).top_subject == ""


def test_an_authority_in_the_middle_of_the_chain_is_one(leaf, intermediate):
    """Java trusts it as it does a root, and what issued it is nobody's business then."""
    given = tls_files.inspect(leaf.pem + intermediate.pem, leaf.key_pem(), intermediate.pem)
    assert (given.missing, given.refused, given.root_subject) == ("", "", "CN=Example Issuing CA")


def test_an_old_and_a_new_authority_are_both_trusted(leaf, intermediate, root):
    old = Issued("Old Root", authority=True)
    assert tls_files.inspect(leaf.pem + intermediate.pem, None, root.pem + old.pem).root_pem == root.pem + old.pem


def test_a_self_signed_certificate_is_its_own_authority():
    alone = Issued("wiki.example.com", names=[x509.DNSName("wiki.example.com")])
    given = tls_files.inspect(alone.pem, alone.key_pem(), None)
    assert (given.self_signed, given.missing, given.root_pem) == (True, "", alone.pem)


def test_only_an_authority(root):
    given = tls_files.inspect("", None, root.pem)
    assert (given.fingerprint, given.root_pem) == ("", root.pem)


def test_an_authority_made_for_tests():
    authority = Issued(tls_files.TEST_AUTHORITY, authority=True)
    leaf = Issued("wiki", authority, names=[x509.DNSName("wiki")])
    assert tls_files.inspect(leaf.pem, None, authority.pem).test_authority


@pytest.mark.parametrize(
    ("certificate", "key", "authority", "variable", "text"),
    [
        ("hello", None, None, "rtc_tls_certificate", "no certificate"),
        ("KEY", None, None, "rtc_tls_certificate", "private key instead"),
        ("LEAF", "hello", None, "rtc_tls_key", "no private key"),
        ("LEAF", "ENCRYPTED", None, "rtc_tls_key", "pass phrase"),
        ("LEAF", "LEAF", None, "rtc_tls_key", "no private key"),
        ("LEAF", None, "hello", "rtc_tls_ca", "no certificate"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            None,
            None,
            "rtc_tls_certificate",
            "rtc_tls_certificate",
        ),
    ],
)
def test_files_that_are_something_else(leaf, certificate, key, authority, variable, text):
    texts = {"LEAF": leaf.pem, "KEY": leaf.key_pem(), "ENCRYPTED": leaf.key_pem(b"secret")}
    given = tls_files.inspect(*(texts.get(item, item) for item in (certificate, key, authority)))
    assert given.variable == variable
    assert text in given.error


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda leaf: "\ufeff" + leaf.pem, "byte order mark"),
        (lambda leaf: leaf.pem + leaf.key_pem(), "holds a private key too"),
        (lambda leaf: leaf.pem[:-30], "without its END"),
        (lambda leaf: "0\ufffd\x03", "openssl x509 -inform der"),
        (lambda leaf: leaf.pem.replace("\n", "\r"), "line ends in line 1"),
        (lambda leaf: leaf.pem.replace("\n-----END", "\n  -----END"), "more than a mark in line"),
        (lambda leaf: leaf.pem.replace("-----BEGIN", "\u00a0-----BEGIN"), "more than a mark in line 1"),
        (
            lambda leaf: leaf.pem + "# the rest\n" + Issued("x").pem.replace("-----BEGIN", "# -----BEGIN"),
            "more than a mark",
        ),
        (lambda leaf: leaf.pem.replace("E-----\nM", "E-----\nX: y\n\nM"), "as it stands"),
        (lambda leaf: "{'confluence': '" + "-----BEGIN CERTIFICATE-----'}", "without its END"),
    ],
)
@pytest.mark.parametrize("variable", ["rtc_tls_certificate", "rtc_upstream_ca"])
def test_what_a_proxy_could_not_use(leaf, change, text, variable):
    text_given = change(leaf)
    if variable == "rtc_tls_certificate":
        given = tls_files.inspect(text_given, leaf.key_pem(), None)
    else:
        given = tls_files.inspect(leaf.pem, leaf.key_pem(), None, text_given)
    assert (given.variable, text in given.error) == (variable, True)


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", " \n"),
        lambda pem: pem.rstrip("\n"),
        lambda pem: f"Größe\n  subject=x\n{pem}\n\n# the root is left out\n",
        lambda pem: pem.replace("CERTIFICATE", "X509 CERTIFICATE").replace("PRIVATE KEY", "PRIVATE KEY"),
        lambda pem: pem + pem,
    ],
)
def test_what_openssl_reads_is_taken(leaf, change):
    given = tls_files.inspect(change(leaf.pem), change(leaf.key_pem()), None, change(leaf.pem))
    assert (given.error, given.key_matches) == ("", True)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda key: key.replace("\n", "\r"), "line ends in line 1"),
        (lambda key: key.replace("\n-----END", "\n  -----END"), "more than a mark in line"),
    ],
)
def test_a_key_that_only_python_reads(leaf, change, text):
    given = tls_files.inspect(leaf.pem, change(leaf.key_pem()), None)
    assert (given.variable, text in given.error, given.key_matches) == ("rtc_tls_key", True, True)


MAKERS = {
    "point compressed": "ecparam -name prime256v1 -genkey -noout -conv_form compressed",
    "curve by its numbers": "ecparam -name prime256v1 -genkey -param_enc explicit",
    "with the curve's name before": "ecparam -name secp384r1 -genkey",
    "RSA for PSS alone": "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
    "Ed25519": "genpkey -algorithm ed25519",
}


@pytest.mark.parametrize("how", MAKERS.values(), ids=list(MAKERS))
def test_a_key_in_another_form_belongs_to_its_certificate(how, leaf, tmp_path):
    """The keys of real certificates that OpenSSL made, in forms that ``cryptography`` writes otherwise."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(["openssl", *how.split(), "-out", str(key)], check=True, capture_output=True)
    command = ["openssl", "req", "-x509", "-key", str(key), "-out", str(certificate), "-subj", "/CN=x"]
    subprocess.run(command, check=True, capture_output=True)
    given = tls_files.inspect(certificate.read_text(), key.read_text(), None)
    assert (given.error, given.key_matches) == ("", True)
    assert tls_files.inspect(leaf.pem, key.read_text(), None).key_matches is False


def usage(**more):
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    return x509.KeyUsage(
        **{**dict.fromkeys(names.split(), False), "encipher_only": False, "decipher_only": False, **more}
    )


WIKI = [x509.DNSName("wiki.example.com")]
FOR_SERVERS = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
FOR_CLIENTS = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
ELSEWHERE = x509.NameConstraints([x509.DNSName("example.net")], None)
HERE = x509.NameConstraints([x509.DNSName("example.com")], None)
NOT_HERE = x509.NameConstraints(None, [x509.DNSName("example.com")])


@pytest.mark.parametrize(
    ("of_authority", "of_leaf", "text"),
    [
        ({}, {}, ""),
        ({}, {"further": [FOR_SERVERS]}, ""),
        ({}, {"further": [FOR_CLIENTS]}, "serverAuth is missing"),
        ({"further": [FOR_CLIENTS]}, {}, "serverAuth is missing"),
        ({"further": [ELSEWHERE]}, {}, "not allowed to issue for this name"),
        ({"further": [NOT_HERE]}, {}, "forbidden to issue for this name"),
        ({"further": [HERE]}, {}, ""),
        ({"further": [usage(crl_sign=True)]}, {}, "may not sign certificates"),
        ({"further": [usage(key_cert_sign=True)]}, {"further": [usage(digital_signature=True)]}, ""),
        ({}, {"further": [usage(key_encipherment=True)]}, "digitalSignature is missing"),  # OpenSSL takes it
        ({}, {"further": [usage(digital_signature=True, key_encipherment=True)]}, ""),
    ],
)
@pytest.mark.parametrize("given_root", [True, False])
def test_what_clients_refuse_whatever_its_name_and_dates(root, of_authority, of_leaf, text, given_root):
    """The dates of these certificates are past: that has findings of its own."""
    authority = Issued("Issuing", root, authority=True, **of_authority)
    leaf = Issued("wiki", authority, names=WIKI, **of_leaf)
    chain = leaf.pem + authority.pem + ("" if given_root else root.pem)
    given = tls_files.inspect(chain, leaf.key_pem(), root.pem if given_root else None)
    assert (given.error, given.missing) == ("", "")
    assert (text in given.refused, bool(given.refused)) == (True, bool(text))


def test_a_self_signed_certificate_is_trusted_whatever_its_key_is_for():
    alone = Issued("wiki", names=WIKI, further=[usage(key_encipherment=True)])
    assert tls_files.inspect(alone.pem, alone.key_pem(), None).refused == ""


def test_an_authority_that_may_not_have_one_below(root):
    upper = Issued("Upper", root, authority=True, depth=0)
    lower = Issued("Lower", upper, authority=True)
    leaf = Issued("wiki", lower, names=WIKI)
    given = tls_files.inspect(leaf.pem + lower.pem + upper.pem, leaf.key_pem(), root.pem)
    assert "pathlen" in given.refused


def test_a_self_signed_certificate_is_not_refused_and_without_a_key_nothing_is_said(root):
    own = Issued("wiki", names=WIKI)
    assert tls_files.inspect(own.pem, own.key_pem(), None).refused == ""
    leaf = Issued("wiki", root, names=WIKI, further=[FOR_CLIENTS])
    assert tls_files.inspect(leaf.pem, None, root.pem).refused == ""


def test_an_address_that_stands_there_as_a_name_is_for_nobody():
    """Browsers, Java and OpenSSL look for addresses among the addresses only."""
    both = Issued("x", names=[x509.DNSName("192.0.2.7"), x509.IPAddress(ipaddress.ip_address("192.0.2.8"))])
    names = tls_files.inspect(both.pem, None, None).names
    assert names == ["DNS:192.0.2.7", "192.0.2.8"]
    assert [tls_files.names_cover(names, name) for name in ("192.0.2.7", "192.0.2.8")] == [False, True]


def test_certificates_as_windows_exports_them(leaf):
    data = pkcs7.serialize_certificates([leaf.certificate], serialization.Encoding.PEM).decode()
    given = tls_files.inspect(data, leaf.key_pem(), None)
    assert (given.variable, "PKCS#7" in given.error) == ("rtc_tls_certificate", True)
    assert tls_files.inspect(leaf.pem, None, data).error == ""  # Java's authorities are read here, not by a proxy


def test_a_key_of_another_certificate(leaf, intermediate):
    assert tls_files.inspect(leaf.pem, intermediate.key_pem(), None).key_matches is False


@pytest.mark.parametrize(
    ("names", "name", "expected"),
    [
        (["wiki.example.com"], "WIKI.example.com", True), (["*.example.com"], "wiki.example.com", True),
        (["*.example.com"], "a.wiki.example.com", False), (["*.example.com"], "example.com", False),
        (["10.0.0.1"], "10.0.0.1", True),
        (["wiki.example.com"], "10.0.0.1", False), ([], "wiki.example.com", False),
    ],
)  # fmt: skip
def test_names_cover(names, name, expected):
    assert tls_files.names_cover(names, name) is expected


def test_each_text_has_a_digest_that_only_its_own_change_changes():
    root = Issued("Example Root", authority=True)
    leaf = Issued("wiki.example.com", root, names=[x509.DNSName("wiki.example.com")])
    renewed = Issued("wiki.example.com", root, names=[x509.DNSName("wiki.example.com")])
    first = tls_files.inspect(leaf.pem, leaf.key_pem(), root.pem, root.pem)
    assert set(first.digests) == {"certificate", "private_key", "authority"}
    assert tls_files.inspect(leaf.pem, leaf.key_pem(), root.pem, root.pem).digests == first.digests
    other_key = tls_files.inspect(leaf.pem, leaf.key_pem() + "\n", root.pem, root.pem).digests
    assert {name for name in other_key if other_key[name] != first.digests[name]} == {"private_key"}
    other_chain = tls_files.inspect(leaf.pem + root.pem, leaf.key_pem(), root.pem, root.pem).digests
    assert {name for name in other_chain if other_chain[name] != first.digests[name]} == {"certificate"}
    same_key = tls_files.inspect(renewed.pem, leaf.key_pem(), root.pem, renewed.pem).digests
    assert {name for name in same_key if same_key[name] != first.digests[name]} == {"certificate", "authority"}


def test_the_same_key_of_another_name_shows_nothing():
    one, two = (Issued(name, names=[x509.DNSName(name)]) for name in ("wiki.example.com", "jira.example.com"))
    digests = [tls_files.inspect(item.pem, one.key_pem(), None).digests["private_key"] for item in (one, two)]
    assert digests[0] != digests[1]
    assert not any(word in one.key_pem() for word in digests)
