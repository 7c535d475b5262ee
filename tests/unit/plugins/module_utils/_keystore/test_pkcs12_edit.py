# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores that are written here, read again and compared with what they were; Java opens them in tests/java."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import pbe, pkcs12_edit, reader
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1, certificate
from ansible_collections.collab.rtc.tests.unit import paths, stores

DATA = paths.DATA / "truststore"
STORES = sorted(path.name for path in DATA.glob("*.p12"))
PASSWORD = "changeit"
EXAMPLES = 1000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 25


def content(name):
    return (DATA / name).read_bytes()


def der(name):
    return certificate.parse_certificates(content(f"{name}.pem"), name)[0].der


def edit(data, removed=(), added=None, password=PASSWORD):
    return pkcs12_edit.edit(data, reader.read(data, password), set(removed), added or {}, password)


def safes_of(data):
    return stores.unwrap(asn1.read(data).children()[1]).children()


def algorithms(data):
    """What each safe and the integrity check are made with: everything but salts and vectors."""
    found = []
    for info in safes_of(data):
        if info.children()[0].oid().endswith("1.7.6"):
            algorithm = info.children()[1].children()[0].children()[1].children()[1]
            found.append((pbe.count_rounds(algorithm), blank(algorithm)))
    for mac in asn1.read(data).children()[2:]:
        info, _salt, *rounds = mac.children()
        found.append((pbe.count_mac_rounds(mac), blank(info.children()[0]), [one.raw for one in rounds]))
    return found


def blank(value):
    """The value with the bytes of OCTET STRINGs as their number."""
    if value.tag & 0x20:
        return [value.tag, *(blank(one) for one in value.children())]
    return len(value.body) if value.tag == asn1.OCTET_STRING else value.raw


@pytest.mark.parametrize("name", STORES)
def test_what_was_added_and_removed_again_leaves_what_was(name):
    data = content(name)
    before = reader.read(data, PASSWORD)
    new = edit(data, added={"company": der("plain"), "größe €": der("small")})
    after = reader.read(new, PASSWORD)
    assert list(after.entries)[-2:] == ["company", "größe €"] or set(after.entries) > {"company", "größe €"}
    assert {alias: entry for alias, entry in after.entries.items() if alias in before.entries} == before.entries
    assert (after.protected, after.encrypted, after.ignored) == (before.protected, before.encrypted, before.ignored)
    assert algorithms(new) == algorithms(data)
    back = edit(new, removed=["company", "größe €"])
    assert reader.read(back, PASSWORD) == before
    assert algorithms(back) == algorithms(data)
    assert len(back) == len(data)


def test_a_store_without_a_password_is_the_same_to_the_byte():
    data = content("nopass.p12")
    assert edit(edit(data, added={"new": der("plain")}), removed=["new"]) == data
    assert edit(data) == data


@pytest.mark.parametrize("name", ["aes.p12", "legacy.p12", "key-3des.p12"])
def test_salts_and_vectors_are_new_each_time(name):
    first, second = (edit(content(name), added={"new": der("plain")}) for _number in range(2))
    assert len(first) == len(second)
    assert first != second
    octets = [collect_salts(one) for one in (content(name), first, second)]
    assert len({*octets[0], *octets[1], *octets[2]}) == 3 * len(octets[0])


def collect_salts(data):
    (info,) = [one for one in safes_of(data) if one.children()[0].oid().endswith("1.7.6")]
    algorithm = info.children()[1].children()[0].children()[1].children()[1]
    return [*find_octets(algorithm), asn1.read(data).children()[2].children()[1].octets()]


def find_octets(value):
    if value.tag & 0x20:
        return [one for child in value.children() for one in find_octets(child)]
    return [value.body] if value.tag == asn1.OCTET_STRING else []


def test_a_safe_that_is_not_concerned_stays_as_it_is():
    """The keys of a store, with their salts, attributes and all."""
    data = content("mixed.p12")
    new = edit(data, removed=["root"], added={"new": der("plain")})
    kinds = {info.raw for info in safes_of(data)}, {info.raw for info in safes_of(new)}
    assert len(kinds[0] & kinds[1]) == 1


def test_unknown_bags_attributes_and_order_stay():
    data = content("nopass.p12")
    own = asn1.read(stores.make_certificate_bag(der("issuing"))).children()
    strange = asn1.encode(asn1.SEQUENCE, own[0].raw, own[1].raw, asn1.encode(asn1.SET, stores.UNKNOWN_ATTRIBUTE))
    for bag in (stores.UNKNOWN_BAG, stores.SECRET_BAG, strange):
        data = stores.add_bag(data, bag)
    new = edit(data, removed=["root"], added={"new": der("plain")})
    before = [bag.raw for bag in stores.unwrap(safes_of(data)[0]).children()]
    after = [bag.raw for bag in stores.unwrap(safes_of(new)[0]).children()]
    assert after[:-1] == before[1:]
    assert list(reader.read(new, None).entries) == ["größe", "1", "new"]


def test_bags_within_bags():
    inner = stores.unwrap(safes_of(content("nopass.p12"))[0]).raw
    nest = asn1.encode(asn1.SEQUENCE, asn1.encode_oid("1.2.840.113549.1.12.10.1.6"), stores.explicit(inner))
    safe = stores.wrap(asn1.encode(asn1.SEQUENCE, nest))
    data = asn1.encode(asn1.SEQUENCE, stores.integer(3), stores.wrap(asn1.encode(asn1.SEQUENCE, safe)))
    assert list(reader.read(data, None).entries) == ["root", "größe"]
    assert edit(data) == data
    new = edit(data, removed=["root"], added={"new": der("plain")})
    assert list(reader.read(new, None).entries) == ["größe", "new"]


@pytest.mark.parametrize("name", STORES)
def test_a_store_in_ber(name):
    data = stores.write_as_ber(asn1.read(content(name)))
    before = reader.read(data, PASSWORD)
    after = reader.read(edit(data, added={"new": der("plain")}), PASSWORD)
    assert {alias: entry for alias, entry in after.entries.items() if alias != "new"} == before.entries
    assert after.trusted()[certificate.parse_der(der("plain")).fingerprint] == "new"


def test_a_certificate_that_a_key_needs_is_no_longer_trusted_but_stays():
    """The key's chain goes through a trusted entry; without it a server would send half a chain."""
    data = edit(content("key.p12"), added={"root": der("root")})
    before = reader.read(data, PASSWORD)
    assert [certificate.parse_der(one).common_name for one in before.entries["tomcat"].certificates][
        -1
    ] == "Example Root"
    after = reader.read(edit(data, removed=["root"]), PASSWORD)
    assert after.entries == {"tomcat": before.entries["tomcat"]}
    assert after.trusted() == {}


def test_a_store_without_certificates():
    """Emptied, it knows how it is encrypted; one that never had any gets them unencrypted, under its integrity check."""
    emptied = edit(content("aes.p12"), removed=["root", "größe"])
    assert reader.read(emptied, PASSWORD).entries == {}
    again = edit(emptied, added={"new": der("plain")})
    assert algorithms(again) == algorithms(content("aes.p12"))
    version, _safes, mac = asn1.read(content("aes.p12")).children()
    bare = stores.wrap(asn1.encode(asn1.SEQUENCE))
    old = asn1.read(content("aes.p12")).children()[1].children()[1].children()[0].octets()
    empty = bare_with_mac(version.raw, bare, mac, old)
    assert reader.read(empty, PASSWORD).entries == {}
    new = reader.read(edit(empty, added={"new": der("plain")}), PASSWORD)
    assert (list(new.entries), new.protected, new.encrypted) == (["new"], True, False)


def bare_with_mac(version, bare, mac, old):
    from ansible_collections.collab.rtc.plugins.module_utils._keystore import pbe_renew

    body = asn1.read(bare).children()[1].children()[0].octets()
    return asn1.encode(asn1.SEQUENCE, version, bare, pbe_renew.renew_mac(mac, old, body, PASSWORD))


def test_pbmac1():
    data = stores.add_pbmac1(content("nopass.p12"), PASSWORD)
    new = edit(data, removed=["root"], added={"new": der("plain")})
    assert list(reader.read(new, PASSWORD).entries) == ["größe", "new"]
    with pytest.raises(pbe.WrongPasswordError):
        reader.read(new, "wrong")
    old_mac, new_mac = (asn1.read(one).children()[2] for one in (data, new))
    assert blank(old_mac) == blank(new_mac)
    assert old_mac.raw != new_mac.raw


@pytest.mark.parametrize("trailing", [True, False])
def test_the_empty_password_as_the_file_has_it(trailing, monkeypatch):
    """Two zero bytes or none: each program must be able to open what it could open before."""
    data = content("legacy.p12")
    mac_old = asn1.read(data).children()[2]
    reading = b"\0\0" if trailing else b""
    # Encrypt the same contents with this reading of the empty password.
    infos = []
    with monkeypatch.context() as patch:
        for info in safes_of(data):
            encrypted = pkcs12_edit.pkcs12.parse_encrypted(info)
            clear = pkcs12_edit.pkcs12.decrypt(encrypted, PASSWORD, "x")
            patch.setattr(pbe, "encode_password", lambda _password: [reading])
            algorithm, octets = pkcs12_edit.pbe_renew.encrypt_again(encrypted.algorithm, encrypted.data, clear, "")
            inner = stores.sequence(encrypted.type.raw, algorithm, asn1.encode(0x80, octets))
            content_der = stores.explicit(stores.sequence(encrypted.version.raw, inner))
            infos.append(stores.sequence(info.children()[0].raw, content_der))
        body = stores.sequence(*infos)
        mac = pkcs12_edit.pbe_renew.renew_mac(mac_old, b"", body, "")
    made = stores.sequence(stores.integer(3), stores.wrap(body), mac)
    assert list(reader.read(made, "").entries) == ["root", "größe"]
    new = edit(made, added={"new": der("plain")}, password="")
    monkeypatch.setattr(pbe, "encode_password", lambda _password: [reading])
    assert list(reader.read(new, "").entries) == ["root", "größe", "new"]


def test_against_cryptography():
    """Stores of any make, changed here, opened by OpenSSL and Rust: keys, names and certificates are there."""
    hypothesis = pytest.importorskip("hypothesis")
    st = pytest.importorskip("hypothesis.strategies")
    x509 = pytest.importorskip("cryptography.x509")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    pkcs12 = pytest.importorskip("cryptography.hazmat.primitives.serialization.pkcs12")
    hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
    pbes = serialization.pkcs12.PBES
    key = serialization.load_pem_private_key(content("leaf.key"), None)
    leaf, *others = (x509.load_der_x509_certificate(der(n)) for n in ("leaf", "issuing", "root", "own", "expired"))
    # cryptography reads no names beyond the first plane.
    letters = st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xFFFF)
    # What is encrypted with the first one is a store as OpenSSL before 3 wrote them.
    schemes = st.sampled_from([pbes.PBESv1SHA1And3KeyTripleDESCBC, pbes.PBESv2SHA256AndAES256CBC])

    @hypothesis.given(
        st.text(letters, min_size=1, max_size=20), schemes, st.sampled_from([hashes.SHA1(), hashes.SHA256()]), st.integers(1, 500), st.booleans(),
        st.lists(st.sampled_from(others), unique=True), st.text(letters, max_size=20),
    )  # fmt: skip
    @hypothesis.settings(deadline=None, max_examples=EXAMPLES)
    def check(password, scheme, mac, rounds, with_key, chain, alias):
        encryption = serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(rounds)
        encryption = encryption.key_cert_algorithm(scheme).hmac_hash(mac).build(password.encode("utf-8"))
        certificates = [pkcs12.PKCS12Certificate(one, b"ca") for one in chain]
        data = pkcs12.serialize_key_and_certificates(
            b"tomcat", key if with_key else None, leaf if with_key else None, certificates or [others[0]], encryption
        )
        name = alias.lower() or "new"
        new = edit(data, added={name: der("plain"), name + "2": der("small")}, password=password)
        found = pkcs12.load_pkcs12(new, password.encode("utf-8"))
        before = pkcs12.load_pkcs12(data, password.encode("utf-8"))
        assert (found.key is None) is (not with_key)
        if with_key:
            assert found.key.private_numbers() == key.private_numbers()
        assert found.cert == before.cert
        added = [one for one in found.additional_certs if one not in before.additional_certs]
        assert [one for one in found.additional_certs if one in before.additional_certs] == before.additional_certs
        assert [one.certificate.public_bytes(serialization.Encoding.DER) for one in added] == [
            der("plain"),
            der("small"),
        ]
        assert [one.friendly_name for one in added] == [name.encode(), f"{name}2".encode()]
        assert algorithms(new) == algorithms(data)
        back = edit(new, removed=[name, f"{name}2".lower()], password=password)
        again = pkcs12.load_pkcs12(back, password.encode("utf-8"))
        assert again.additional_certs == before.additional_certs
        with pytest.raises(ValueError, match="password"):
            pkcs12.load_pkcs12(new, password.encode("utf-8") + b"x")

    check()


def test_any_order_of_changes():
    """A store of each kind against a dictionary: what it holds, in which order, is what was asked."""
    hypothesis = pytest.importorskip("hypothesis")
    st = pytest.importorskip("hypothesis.strategies")
    from ansible_collections.collab.rtc.plugins.module_utils._keystore import editor

    names = ["root", "issuing", "plain", "small", "own", "expired", "future"]
    known = {n: certificate.parse_certificates(content(f"{n}.pem"), n)[0] for n in names}
    steps = st.lists(st.tuples(st.sampled_from(names), st.sampled_from(["present", "absent", "again"])), max_size=6)
    kinds = st.sampled_from(["trust.jks", "trust.jceks", "key.jks", *STORES])

    @hypothesis.given(kinds, steps)
    @hypothesis.settings(deadline=None, max_examples=EXAMPLES)
    def check(kind, steps):
        data = content(kind)
        store = reader.read(data, PASSWORD)
        first = store
        wanted = store.trusted()
        for name, what in steps:
            one = known[name]
            if what == "absent":
                changes = editor.plan_absent(store, [], [one.fingerprint])
                wanted.pop(one.fingerprint, None)
            else:
                alias = "" if what == "present" else "Same"
                changes = editor.plan_present(store, [(one, alias)])
                if one.fingerprint not in wanted:
                    wanted = {f: a for f, a in wanted.items() if a not in changes.removed}
                    wanted[one.fingerprint] = alias.lower() or editor.default_alias(one)
            if changes:
                data = editor.apply_changes(data, store, changes, PASSWORD, kind)
                store = reader.read(data, PASSWORD)
            assert store.trusted() == wanted
        keys = [(a, e.key) for a, e in first.entries.items() if e.kind == "key"]
        assert [(a, e.key) for a, e in store.entries.items() if e.kind == "key"] == keys
        assert (store.type, store.protected, store.encrypted) == (first.type, first.protected, first.encrypted)

    check()
