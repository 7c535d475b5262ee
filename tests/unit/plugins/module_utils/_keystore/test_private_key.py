# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.collab.rtc.plugins.module_utils._keystore import private_key
from ansible_collections.collab.rtc.plugins.module_utils._keystore.model import DamagedKeyStoreError, WrongPasswordError
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.tls_source import KeySource
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_pem
from ansible_collections.collab.rtc.tests.unit import growth, paths

DATA = paths.DATA / "truststore"
KEY_STORES = ["key.p12", "key-legacy.p12", "key-3des.p12", "key-plain.p12", "mixed.p12", "key.jks", "key.jceks"]


def store(name, **more):
    own = "key secret" if name.startswith("key.j") else "changeit"
    source = KeySource(7, "connector", store=str(DATA / name), store_password="changeit", key_password=own)
    return dataclasses.replace(source, **more)


def numbers(pem):
    return serialization.load_pem_private_key(pem.encode(), None).private_numbers()


LEAF_KEY = (DATA / "leaf.key").read_text(encoding="ascii")


@pytest.mark.parametrize("name", KEY_STORES)
@pytest.mark.parametrize("alias", ["", "tomcat", "Tomcat"])
def test_key_and_chain_of_every_store(name, alias):
    material = private_key.read_key_material(store(name, alias=alias))
    assert numbers(material.key) == numbers(LEAF_KEY)
    assert [one.common_name for one in material.chain][:2] == ["rtc.example", "Example Issuing CA"]
    assert material.alias == "tomcat"
    assert "PRIVATE" not in repr(material)


@pytest.mark.parametrize(
    ("source", "kind", "reason"),
    [
        (store("key.jks", store_password="x"), WrongPasswordError, "does not open .*key.jks"),
        (
            store("key.jks", key_password="x"),
            WrongPasswordError,
            "open the key of 'tomcat' in .*key.jks.*key's own",
        ),
        (store("key.jceks", key_password="x"), WrongPasswordError, "does not open the key of 'tomcat'"),
        (store("key.p12", store_password="x"), WrongPasswordError, "does not open .*key.p12"),
        (
            store("key.p12", alias="other"),
            private_key.UnusableKeyError,
            "'other' is not there.*Keys in the store: 'tomcat'",
        ),
        (
            store("mixed.p12", alias="root"),
            private_key.UnusableKeyError,
            "the alias 'root' is a certificate without a key",
        ),
        (store("trust.jks"), private_key.UnusableKeyError, "trust.jks has no private key"),
        (store("root.pem"), DamagedKeyStoreError, "is a PEM file, not a key store"),
    ],
)
def test_refusals_of_stores(source, kind, reason):
    with pytest.raises(kind, match=reason) as caught:
        private_key.read_key_material(source)
    assert "changeit" not in str(caught.value).replace("have 'changeit'", "")


def test_a_key_password_that_java_never_uses_for_pkcs12():
    assert private_key.read_key_material(store("key.p12", key_password="something else")).alias == "tomcat"


def files(tmp_path, certificate, key, chain="", password=""):
    (tmp_path / "key.pem").write_text(key, encoding="utf-8")
    (tmp_path / "certificate.pem").write_text(certificate, encoding="utf-8")
    if chain:
        (tmp_path / "chain.pem").write_text(chain, encoding="utf-8")
    return KeySource(
        7,
        "connector",
        certificate=str(tmp_path / "certificate.pem"),
        key=str(tmp_path / "key.pem"),
        chain=str(tmp_path / "chain.pem") if chain else "",
        key_password=password,
    )


def pem(*names):
    return "".join((DATA / f"{name}.pem").read_text(encoding="ascii") for name in names)


@pytest.mark.parametrize(
    ("certificate", "chain"),
    [
        (pem("leaf"), pem("issuing")),
        (pem("leaf", "issuing"), ""),
        (pem("leaf"), pem("root", "issuing")),
        (pem("leaf", "root"), pem("issuing")),
    ],
)
def test_pem_files(tmp_path, certificate, chain):
    material = private_key.read_key_material(files(tmp_path, certificate, LEAF_KEY, chain))
    assert [one.common_name for one in material.chain][:2] == ["rtc.example", "Example Issuing CA"]
    assert [c.der for c in parse_pem(material.chain_pem(), "x")] == [c.der for c in material.chain]
    assert numbers(material.key) == numbers(LEAF_KEY)


def test_key_and_certificate_that_do_not_fit(tmp_path):
    with pytest.raises(private_key.UnusableKeyError, match="the key and the certificate do not belong together"):
        private_key.read_key_material(files(tmp_path, pem("own"), LEAF_KEY))


def test_a_pair_that_does_not_fit_is_said_with_both_files_and_the_line(tmp_path):
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    stranger = rsa.generate_private_key(65537, 2048)
    key.write_bytes(stranger.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))  # fmt: skip
    chain.write_bytes((DATA / "chain.pem").read_bytes())
    source = KeySource(7, "connector", certificate=str(chain), key=str(key))
    with pytest.raises(
        private_key.UnusableKeyError, match=f"^{key} with {chain}: the key and .* together; .*rtc.example.*EC"
    ) as caught:
        private_key.read_key_material(source)
    assert "line 7" in caught.value.remedy


def test_the_key_of_another_certificate_in_the_file(tmp_path):
    """The order in which some authorities send it: the root first."""
    both = tmp_path / "both.pem"
    leaf = (DATA / "leaf.pem").read_text(encoding="ascii")
    both.write_text((DATA / "root.pem").read_text(encoding="ascii") + leaf + LEAF_KEY, encoding="ascii")
    source = KeySource(7, "connector", certificate=str(both), key=str(both))
    with pytest.raises(
        private_key.UnusableKeyError, match=f"^{both}: .*belongs to '.*rtc.example.*', which has to be the first"
    ):
        private_key.read_key_material(source)


@pytest.mark.parametrize(
    "options",
    [
        ["pkcs8", "-topk8", "-v2", "aes-256-cbc"],
        ["pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"],
        ["pkcs8", "-topk8", "-v2", "des3"],
        ["pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"],
        ["ec", "-aes256"],
        ["ec", "-aes128"],
        ["ec", "-des3"],
        ["ec"],
    ],
)
def test_keys_as_openssl_writes_them(tmp_path, options):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    path = tmp_path / "encrypted.pem"
    subprocess.run(
        ["openssl", *options, "-in", str(DATA / "leaf.key"), "-out", str(path), "-passout", "pass:geheim"],
        check=True,
        capture_output=True,
    )
    text = path.read_text(encoding="ascii")
    assert numbers(private_key.decrypt_pem_key(text, "geheim", "key.pem")) == numbers(LEAF_KEY)
    assert numbers(private_key.decrypt_pem_key(text.replace("\n", "\r\n"), "geheim", "key.pem")) == numbers(LEAF_KEY)
    if options != ["ec"]:
        with pytest.raises(WrongPasswordError, match=r"does not open key\.pem"):
            private_key.decrypt_pem_key(text, "wrong", "key.pem")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (pem("leaf"), "key.pem holds no private key"),
        (LEAF_KEY.replace("-----END", "-----AND"), "key.pem holds no private key"),
        (LEAF_KEY.replace("MIG", "M!G"), "the private key is ill-formed"),
        (LEAF_KEY.replace("MIG", "MIH"), "the private key is ill-formed"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: CAMELLIA-256-CBC,00\n\n"
            "AAAA\n-----END RSA PRIVATE KEY-----",
            "encrypted in a way that is not read here",
        ),
    ],
)
def test_refusals_of_keys(text, reason):
    with pytest.raises(private_key.UnusableKeyError, match=reason):
        private_key.decrypt_pem_key(text, "x", "key.pem")


ENDLESS = "-----BEGIN PRIVATE KEY-----\n"
ODD_KEYS = {
    "no block ends": lambda size: ENDLESS * size,
    "another one ends": lambda size: ENDLESS * size + "-----END X PRIVATE KEY-----",
    "headers without end": lambda size: ENDLESS + "A:b\n" * size + "-----END PRIVATE KEY-----",
    "each has another label": lambda size: "".join(f"-----BEGIN {n} PRIVATE KEY-----\n" for n in range(size)),
}


@pytest.mark.parametrize("about", ODD_KEYS)
def test_odd_keys_are_refused_without_a_square_of_time(about):
    def refuse(text):
        with pytest.raises(private_key.UnusableKeyError):
            private_key.decrypt_pem_key(text, "", "key.pem")

    growth.require_linear(refuse, ODD_KEYS[about], 200_000)


def test_the_first_key_that_ends_is_taken():
    assert private_key.decrypt_pem_key("-----BEGIN EC PRIVATE KEY-----\n" + LEAF_KEY, "", "key.pem") == (
        private_key.decrypt_pem_key(LEAF_KEY, "", "key.pem")
    )
