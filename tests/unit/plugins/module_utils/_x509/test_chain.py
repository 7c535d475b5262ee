# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import itertools

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1, chain
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_certificates, parse_der
from ansible_collections.collab.rtc.plugins.module_utils._x509.chain import (
    NoAnchorError,
    issued,
    order,
    same_name,
    signed,
    trust_anchors,
)
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"


def load(*names):
    return [c for name in names for c in parse_certificates((DATA / f"{name}.pem").read_bytes(), name)]


def anchors(chain, extra=(), policy="issuer"):
    found = trust_anchors(load(*chain), load(*extra), policy)
    return [(anchor.certificate.common_name, anchor.known) for anchor in found]


@pytest.mark.parametrize(
    ("chain", "extra", "expected"),
    [
        (["leaf", "issuing", "root"], [], [("Example Root", False)]),
        (["leaf", "issuing"], [], [("Example Issuing CA", False)]),
        (["leaf", "issuing"], ["root"], [("Example Root", True)]),
        (["leaf"], ["issuing"], [("Example Issuing CA", True)]),
        (["leaf"], ["issuing", "root"], [("Example Issuing CA", True)]),
        (["own"], [], [("own.example", False)]),
        (["own"], ["own"], [("own.example", True)]),
        (["leaf"], ["leaf"], [("rtc.example", True)]),
        (["issuing"], [], [("Example Issuing CA", False)]),
        (["root", "plain", "own"], [], [("Example Root", False), ("Plain Root", False), ("own.example", False)]),
        (["leaf", "issuing", "root", "own"], [], [("Example Root", False), ("own.example", False)]),
        # A cross-certificate of the root that is there: the root counts.
        (["leaf", "issuing", "cross", "root"], [], [("Example Root", False)]),
        (["leaf", "issuing", "cross"], ["root"], [("Example Root", True)]),
        (["leaf", "issuing", "cross"], [], [("Example Root", False)]),
    ],
)
def test_what_to_trust_does_not_depend_on_the_order(chain, extra, expected):
    for permuted in itertools.permutations(chain):
        assert sorted(anchors(permuted, extra)) == sorted(expected)


def test_the_cross_certificate_gives_way_to_the_root():
    (anchor,) = trust_anchors(load("leaf", "issuing", "cross", "root"))
    assert anchor.certificate == load("root")[0]
    (anchor,) = trust_anchors(load("leaf", "issuing", "cross"))
    assert anchor.certificate == load("cross")[0]


@pytest.mark.parametrize(
    ("policy", "chain", "expected"),
    [
        ("all", ["leaf", "issuing", "root"], ["Example Issuing CA", "Example Root"]),
        ("all", ["own"], ["own.example"]),
        ("exact", ["leaf", "issuing"], ["rtc.example", "Example Issuing CA"]),
        ("exact", ["leaf", "leaf"], ["rtc.example"]),
    ],
)
def test_other_policies(policy, chain, expected):
    assert [name for name, _known in anchors(chain, (), policy)] == expected


@pytest.mark.parametrize("policy", ["issuer", "all"])
def test_a_leaf_without_its_issuer(policy):
    with pytest.raises(NoAnchorError) as caught:
        trust_anchors(load("leaf"), load("plain"), policy, "/etc/leaf.pem")
    text = str(caught.value)
    assert text.startswith("/etc/leaf.pem ends with the certificate 'C=DE, O=Example\\, Inc., CN=rtc.example'")
    assert "trust=exact" in text
    assert "http://pki.example/issuing.crt" in text


def test_the_same_name_with_another_key_is_another_issuer():
    leaf, root, again = load("plain-leaf", "plain", "plain-again")
    assert issued(leaf, root)
    assert not issued(leaf, again)
    assert anchors(["plain-leaf", "plain-again", "plain"]) == [("Plain Root", False), ("Plain Root", False)]
    with pytest.raises(NoAnchorError):
        trust_anchors([leaf], [again])
    (anchor,) = trust_anchors([leaf], [again, root])
    assert anchor.certificate == root


@pytest.mark.parametrize(
    ("certificate", "issuer", "expected"),
    [
        ("issuing", "root", True),
        ("issuing", "cross", True),
        ("root", "root", True),
        ("leaf", "root", False),
        ("leaf", "leaf", False),
        ("leaf", "own", False),
        ("plain", "plain", True),
        ("plain", "plain-again", False),
    ],
)
def test_signatures(certificate, issuer, expected):
    assert issued(*load(certificate), *load(issuer)) is expected


def test_elliptic_signatures_need_cryptography_and_are_unknown_without(monkeypatch):
    leaf, issuing, own = load("leaf", "issuing", "own")
    import sys

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cryptography.exceptions", None)
        signed.cache_clear()
        assert signed(leaf, issuing) is None
        assert issued(leaf, issuing)  # the names and the key identifiers say so
    signed.cache_clear()
    pytest.importorskip("cryptography")
    assert signed(leaf, issuing) is True
    assert signed(leaf, own) is False


def test_names_are_compared_as_java_does():
    from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1

    def name(tag, text):
        pair = asn1.encode(asn1.SEQUENCE, asn1.encode_oid("2.5.4.3"), asn1.encode(tag, text))
        return asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.SET, pair))

    assert same_name(name(0x0C, b"Example  CA"), name(0x13, b"example ca "))
    assert not same_name(name(0x0C, b"Example CA"), name(0x0C, b"Example CB"))


@pytest.mark.parametrize("permuted", list(itertools.permutations(["leaf", "issuing", "root"])))
def test_order(permuted):
    assert [c.common_name for c in order(load(*permuted))] == [
        "rtc.example",
        "Example Issuing CA",
        "Example Root",
    ]


def test_order_of_strangers():
    assert order([]) == []
    assert [c.common_name for c in order(load("own", "leaf", "issuing"))][-2:] != []
    assert order(load("own", "own")) == load("own")
    assert set(order(load("plain", "leaf", "issuing"))) == set(load("plain", "leaf", "issuing"))
    assert order(load("plain", "leaf", "issuing"))[:2] == load("leaf", "issuing")


def test_a_root_that_was_renewed_with_its_key_is_another_root():
    """Bundles of CAs hold such pairs: neither issued the other, and both are to be trusted."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "Renewed Root")])
    pair = []
    for serial in (1, 2):
        builder = x509.CertificateBuilder(name, name, key.public_key(), serial)
        builder = builder.not_valid_before(load("root")[0].not_before).not_valid_after(load("root")[0].not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        der = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        pair.append(parse_der(der))
    assert {anchor.certificate for anchor in trust_anchors(pair)} == set(pair)


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [(0, 3), (1 << 20_000, 3), ((1 << 16_000) + 1, 1 << 64), ((1 << 2048) + 1, 1 << 3000)],
    ids=["nothing", "a long key", "a long exponent", "an exponent longer than the key"],
)
def test_a_key_that_java_refuses_signs_nothing_and_is_not_calculated_with(modulus, exponent):
    def integer(number):
        return asn1.encode(0x02, b"\0" + number.to_bytes((number.bit_length() + 7) // 8, "big"))

    numbers = asn1.encode(asn1.SEQUENCE, integer(modulus), integer(exponent))
    key = asn1.encode(asn1.SEQUENCE, asn1.encode(asn1.SEQUENCE), asn1.encode(0x03, b"\0" + numbers))
    assert not chain._verify_rsa(key, b"message", b"\1" * 256, "sha256", "2.16.840.1.101.3.4.2.1")


def test_an_object_identifier_that_is_too_long_is_refused():
    with pytest.raises(asn1.DerError, match="too long"):
        asn1.dotted(b"\xff" * 1_000_000 + b"\x01")


def make_successors(days=(100, 50)):
    """Two roots of the same name with keys of their own, and a leaf of the second, all without key identifiers: as
    ``openssl x509 -req`` leaves them. The first one ends later."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)

    def make(name, issuer, public, private, authority, end):
        names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, one)]) for one in (name, issuer)]
        builder = x509.CertificateBuilder().subject_name(names[0]).issuer_name(names[1]).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
        builder = builder.not_valid_after(now + datetime.timedelta(days=end))
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        return parse_der(builder.sign(private, None).public_bytes(serialization.Encoding.DER))

    keys = [ed25519.Ed25519PrivateKey.generate() for _number in range(3)]
    first, second = (make("Same", "Same", key.public_key(), key, True, end) for key, end in zip(keys, days))
    return first, second, make("wiki", "Same", keys[2].public_key(), keys[1], False, 10)


def find_fingerprints(found):
    return {(anchor.certificate.fingerprint, anchor.known) for anchor in found}


def test_signatures_of_edwards_curves_tell_who_issued():
    first, second, leaf = make_successors()
    assert [signed(leaf, one) for one in (first, second)] == [False, True]
    assert find_fingerprints(trust_anchors([leaf, second], [first])) == {(second.fingerprint, False)}


@pytest.mark.parametrize("days", [(100, 50), (50, 100)])
def test_where_nothing_tells_which_of_two_issued_it_both_that_are_given_are_trusted(monkeypatch, days):
    """Without ``cryptography`` only RSA can be checked."""
    first, second, leaf = make_successors(days)
    monkeypatch.setattr(chain, "signed", lambda _certificate, _issuer: None)
    for given in itertools.permutations([leaf, first, second]):
        both = {(first.fingerprint, False), (second.fingerprint, False)}
        assert find_fingerprints(trust_anchors(given)) == both


@pytest.mark.parametrize("days", [(100, 50), (50, 100)])
def test_one_that_is_trusted_already_by_the_same_name_does_not_stand_for_the_one_that_is_given(monkeypatch, days):
    first, second, leaf = make_successors(days)
    monkeypatch.setattr(chain, "signed", lambda _certificate, _issuer: None)
    assert find_fingerprints(trust_anchors([leaf, second], [first])) == {(second.fingerprint, False)}
    assert find_fingerprints(trust_anchors([leaf], [first])) == {(first.fingerprint, True)}
