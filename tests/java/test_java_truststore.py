# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""java_truststore, and what the keytool of each JRE says of the stores that it wrote."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import editor, reader
from ansible_collections.collab.rtc.plugins.module_utils._x509 import asn1, certificate
from ansible_collections.collab.rtc.tests.unit import paths, stores

DATA = paths.DATA / "truststore"
STORES = ["trust.jks", "trust.jceks", "nopass.p12", "aes.p12", "legacy.p12"]
DEBIANS = "/etc/ssl/certs/java/cacerts"
KILLS = int(os.environ.get("RTC_KILLS", "12"))  # a thorough run: RTC_KILLS=300


def content(name):
    return (DATA / name).read_bytes()


def certificates(*names):
    return [one for name in names for one in certificate.parse_certificates(content(f"{name}.pem"), name)]


def default_alias(name):
    (one,) = certificates(name)
    return f"rtc-{one.common_name.lower().replace(' ', '-')}-{one.fingerprint[:16]}"


THREE_CHAINS = [
    {"src": str(DATA / "chain.pem"), "alias": "Issuing"},
    {"pem": content("plain-leaf.pem").decode() + content("plain.pem").decode()},
    {"src": str(DATA / "small.pem"), "alias": "größe2"},
]


def without_root(name):
    """A store without the root, so that the issuing CA of the test chain is what is to be trusted."""
    store = reader.read(content(name), "changeit")
    changes = editor.plan_absent(store, ["root"], [])
    return editor.apply_changes(content(name), store, changes, "changeit", name)


@pytest.mark.parametrize("name", STORES)
def test_three_chains_start_no_jvm(run_module, jre, name):
    jre.store.write_bytes(without_root(name))
    before = reader.read(jre.store.read_bytes(), "changeit")
    arguments = {"jre_home": str(jre.home), "certificates": THREE_CHAINS}
    preview = run_module("java_truststore", arguments, check=True, diff=True)
    result = run_module("java_truststore", arguments, diff=True)
    assert (result["changed"], result["jvm_starts"], jre.starts()) == (True, 0, [])
    assert result == preview
    issuing, plain, small, own = certificates("issuing", "plain", "small", "own")
    seen = jre.aliases()
    assert seen == {
        "issuing": issuing.fingerprint,
        default_alias("plain"): plain.fingerprint,
        "größe2": small.fingerprint,
        "größe": own.fingerprint,
    }
    after = reader.read(jre.store.read_bytes(), "changeit")
    assert after.trusted() == {fingerprint: alias for alias, fingerprint in seen.items()}
    assert (after.type, after.protected, after.encrypted) == (before.type, before.protected, before.encrypted)
    assert run_module("java_truststore", arguments)["changed"] is False

    removed = run_module("java_truststore", dict(arguments, state="absent"))
    assert (removed["changed"], removed["store"]["entries"], jre.starts()) == (True, 1, [])
    assert jre.aliases() == {"größe": own.fingerprint}


@pytest.mark.parametrize("name", STORES)
def test_an_alias_gets_a_new_certificate(run_module, jre, name):
    jre.store.write_bytes(content(name))
    arguments = {"jre_home": str(jre.home), "certificates": [{"src": str(DATA / "plain.pem"), "alias": "Root"}]}
    result = run_module("java_truststore", arguments, diff=True)
    assert (jre.starts(), result["store"]["entries"]) == ([], 2)
    old, new = certificates("root", "plain")
    assert (result["removed"][0]["sha256"], result["added"][0]["sha256"]) == (old.fingerprint, new.fingerprint)
    assert jre.aliases()["root"] == new.fingerprint
    assert run_module("java_truststore", arguments)["changed"] is False


@pytest.mark.parametrize("name", ["trust.jks", "nopass.p12", "aes.p12"])
def test_a_store_of_its_own_is_opened_by_java(run_module, jre, tmp_path, name):
    jre.store.write_bytes(content(name))
    own = tmp_path / "own"
    arguments = {
        "path": str(own), "copy_from": str(jre.home / "lib" / "security" / "cacerts"),
        "certificates": [{"src": str(DATA / "plain.pem")}],
    }  # fmt: skip
    result = run_module("java_truststore", arguments)
    assert (result["store"]["entries"], jre.starts()) == (3, [])
    root, own_certificate, plain = certificates("root", "own", "plain")
    assert jre.aliases(own) == {
        "root": root.fingerprint,
        "größe": own_certificate.fingerprint,
        default_alias("plain"): plain.fingerprint,
    }
    assert jre.store.read_bytes() == content(name)
    assert run_module("java_truststore", arguments)["changed"] is False


@pytest.mark.parametrize("kind", ["JKS", "JCEKS", "PKCS12"])
def test_a_store_as_this_java_makes_it(run_module, jre, kind):
    """A key and a certificate, encrypted by its defaults (RC2 and Triple DES up to 11, AES from 17 on)."""
    store = ("-keystore", str(jre.store), "-storetype", kind, "-storepass:env", "RTC")
    name = ("-dname", "CN=rtc.example", "-ext", "san=dns:rtc.example")
    jre.keytool("-genkeypair", "-alias", "tomcat", "-keyalg", "RSA", "-keypass:env", "RTC", *name, *store)
    jre.keytool("-importcert", "-noprompt", "-alias", "root", "-file", str(DATA / "root.pem"), *store)
    made = jre.aliases()
    arguments = {"jre_home": str(jre.home), "certificates": THREE_CHAINS}
    result = run_module("java_truststore", arguments)
    assert (len(result["added"]), jre.starts()) == (2, [])
    added = {one["alias"]: one["sha256"] for one in result["added"]}
    assert jre.aliases() == {**made, **added}
    # -certreq signs with the key: it is whole, and under the same password.
    assert "NEW CERTIFICATE REQUEST" in jre.keytool("-certreq", "-alias", "tomcat", *store)
    # Java goes on with what was written here, and the other way round.
    jre.keytool("-delete", "-alias", next(iter(added)), *store)
    jre.keytool("-importcert", "-noprompt", "-alias", "java", "-file", str(DATA / "expired.pem"), *store)
    assert [one["alias"] for one in run_module("java_truststore", arguments)["added"]] == [next(iter(added))]
    gone = {
        "jre_home": str(jre.home),
        "state": "absent",
        "certificates": [{"alias": name} for name in [*added, "java"]],
    }
    assert len(run_module("java_truststore", gone)["removed"]) == 3
    assert jre.aliases() == made
    assert "NEW CERTIFICATE REQUEST" in jre.keytool("-certreq", "-alias", "tomcat", *store)


def test_the_key_beside_a_certificate_stays_usable(run_module, jre):
    jre.store.write_bytes(content("mixed.p12"))
    arguments = {"jre_home": str(jre.home), "state": "absent", "certificates": [{"alias": "root"}]}
    assert run_module("java_truststore", arguments)["changed"]
    assert (list(jre.aliases()), jre.starts()) == (["tomcat"], [])
    text = jre.keytool("-certreq", "-alias", "tomcat", "-keystore", str(jre.store), "-storepass:env", "RTC")
    assert "BEGIN NEW CERTIFICATE REQUEST" in text


def test_the_chain_of_a_key_goes_through_a_certificate_that_is_no_longer_trusted(run_module, jre):
    """Java's own keytool would keep the chain, too."""
    jre.store.write_bytes(content("key.p12"))
    item = {"src": str(DATA / "root.pem"), "alias": "company"}
    arguments = {"jre_home": str(jre.home), "certificates": [item]}
    listing = ("-list", "-v", "-alias", "tomcat", "-keystore", str(jre.store), "-storepass:env", "RTC")
    run_module("java_truststore", arguments)
    assert "Certificate chain length: 3" in jre.keytool(*listing)
    assert run_module("java_truststore", dict(arguments, state="absent"))["changed"]
    assert list(jre.aliases()) == ["tomcat"]
    assert "Certificate chain length: 3" in jre.keytool(*listing)


@pytest.mark.parametrize("name", ["nopass.p12", "aes.p12", "legacy.p12", "mixed.p12"])
def test_a_store_in_ber_is_opened_by_java(run_module, jre, name):
    """What is changed is DER afterwards, and Java does not take BER within DER."""
    jre.store.write_bytes(stores.write_as_ber(asn1.read(content(name))))
    before = jre.aliases()
    run_module("java_truststore", {"jre_home": str(jre.home), "certificates": [{"src": str(DATA / "plain.pem")}]})
    (plain,) = certificates("plain")
    assert jre.aliases() == {**before, default_alias("plain"): plain.fingerprint}


def test_secret_keys_in_pkcs12_stay(run_module, jre):
    jre.store.write_bytes(content("aes.p12"))
    store = ("-keystore", str(jre.store), "-storetype", "PKCS12", "-storepass:env", "RTC")
    jre.keytool("-genseckey", "-alias", "secret", "-keyalg", "AES", "-keysize", "256", *store)
    result = run_module(
        "java_truststore", {"jre_home": str(jre.home), "certificates": [{"src": str(DATA / "plain.pem")}]}
    )
    assert (result["changed"], jre.starts()) == (True, [])
    listing = jre.keytool("-list", *store)
    assert ("secret," in listing, "SecretKeyEntry" in listing, listing.count("trustedCertEntry")) == (True, True, 3)


def test_the_wrong_password_is_said(run_module, jre):
    jre.store.write_bytes(content("trust.jks"))
    arguments = {"jre_home": str(jre.home), "password": "geheim!", "certificates": THREE_CHAINS}
    result = run_module("java_truststore", arguments)
    assert "The password does not open" in result["msg"]
    assert "geheim!" not in str(result)


def test_a_password_of_other_letters(run_module, jre, tmp_path):
    jre.store.write_bytes(content("trust.jks"))
    own = tmp_path / "own"
    arguments = {
        "path": str(own), "jre_home": str(jre.home), "copy_from": str(jre.store), "password": "pässwört-€",
        "certificates": [{"src": str(DATA / "plain.pem")}],
    }  # fmt: skip
    assert run_module("java_truststore", arguments).get("msg") is None
    assert len(reader.read_file(str(own), "pässwört-€").entries) == 3
    assert len(jre.aliases(own, "pässwört-€")) == 3


def cacerts_of(jre):
    try:
        return [reader.locate(str(jre.real))]
    except reader.KeyStoreMissingError:
        return []


def test_the_stores_that_are_there_are_read_and_written(run_module, jre):
    """The cacerts that this JRE came with, and Debian's, whatever their format: a copy, imported into and cleaned."""
    found = {*cacerts_of(jre), *(path for path in (DEBIANS,) if os.path.exists(path))}
    if not found:
        pytest.skip("this JRE came without a trust store, and the machine has none")
    for path in found:
        jre.store.write_bytes(Path(path).read_bytes())
        before = reader.read_file(str(jre.store), "changeit")
        assert len(before.entries) == len(jre.aliases())
        arguments = {"jre_home": str(jre.home), "certificates": [{"src": str(DATA / "plain.pem")}]}
        assert run_module("java_truststore", arguments)["changed"]
        assert len(jre.aliases()) == len(before.entries) + 1
        assert run_module("java_truststore", dict(arguments, state="absent"))["changed"]
        assert jre.store.read_bytes() == Path(path).read_bytes() or before.encrypted
        assert reader.read_file(str(jre.store), "changeit") == before
    assert jre.starts() == []


CHILD = """
import sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.collab.rtc.plugins.modules import java_truststore
print("ready", flush=True)
sys.stdin.readline()
with patch_module_args({arguments!r}):
    java_truststore.main()
"""


def test_a_kill_at_any_time_leaves_the_old_or_the_new_store(jre, run_module, tmp_path):
    """The whole process group is killed at random times of an import."""
    old = content("trust.jks")
    arguments = {"jre_home": str(jre.home), "certificates": THREE_CHAINS}
    expected = {"größe", "größe2", "root", default_alias("plain")}  # the issuing CA is covered by its root
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(arguments=arguments), encoding="utf-8")
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    outcomes = []
    rng = random.Random(4711)
    longest = 2.0  # seconds; learned from the runs that end
    for _number in range(KILLS):
        jre.store.write_bytes(old)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        child = subprocess.Popen([sys.executable, str(script)], env=environment, start_new_session=True, **pipes)
        child.stdout.readline()
        child.stdin.write(b"\n")
        child.stdin.flush()
        try:
            child.wait(rng.uniform(0, longest))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        else:
            longest *= 0.9
        child.stdin.close(), child.stdout.close()
        after = jre.store.read_bytes()
        outcomes.append(after == old)
        if after != old:
            assert set(reader.read(after, "changeit").entries) == expected
    assert run_module("java_truststore", arguments).get("msg") is None  # and a run after all that converges
    assert set(jre.aliases()) == expected
    print(f"{KILLS} kills: {sum(outcomes)} left the old store, {KILLS - sum(outcomes)} the new one")
