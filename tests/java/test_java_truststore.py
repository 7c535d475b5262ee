# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""java_truststore with the keytool of each JRE of this machine."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.plugins.module_utils._x509 import certificate
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "truststore"
STORES = ["trust.jks", "nopass.p12", "aes.p12", "legacy.p12"]
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


@pytest.fixture
def empty_of_root(jre):
    """A store of each format without the root, so that the issuing CA of the test chain is what is to be trusted."""

    def make(name):
        jre.store.write_bytes(content(name))
        jre.keytool("-delete", "-alias", "root", "-keystore", str(jre.store), "-storepass:env", "RTC")
        return jre.store.read_bytes()

    return make


@pytest.mark.parametrize("name", STORES)
def test_three_chains_start_one_jvm(run_module, jre, empty_of_root, name):
    before = reader.read(empty_of_root(name), "changeit")
    arguments = {"jre_home": str(jre.home), "certificates": THREE_CHAINS}
    preview = run_module("java_truststore", arguments, check=True, diff=True)
    assert jre.starts() == []
    result = run_module("java_truststore", arguments, diff=True)
    (command,) = jre.starts()
    assert result["jvm_starts"] == 1
    assert "changeit" not in command
    assert dict(result, jvm_starts=0) == preview
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

    again = run_module("java_truststore", arguments)
    assert (again["changed"], again["jvm_starts"], len(jre.starts())) == (False, 0, 1)

    removed = run_module("java_truststore", dict(arguments, state="absent"))
    assert (removed["changed"], removed["store"]["entries"]) == (True, 1)
    assert len(jre.starts()) == 1 + removed["jvm_starts"]
    assert removed["jvm_starts"] == (1 if before.protected and name.endswith(".p12") else 0)
    assert jre.aliases() == {"größe": own.fingerprint}


@pytest.mark.parametrize("name", STORES)
def test_an_alias_gets_a_new_certificate(run_module, jre, name):
    jre.store.write_bytes(content(name))
    arguments = {"jre_home": str(jre.home), "certificates": [{"src": str(DATA / "plain.pem"), "alias": "Root"}]}
    result = run_module("java_truststore", arguments, diff=True)
    assert (result["jvm_starts"], len(jre.starts()), result["store"]["entries"]) == (1, 1, 2)
    old, new = certificates("root", "plain")
    assert (result["removed"][0]["sha256"], result["added"][0]["sha256"]) == (old.fingerprint, new.fingerprint)
    assert jre.aliases()["root"] == new.fingerprint
    assert run_module("java_truststore", arguments)["changed"] is False


@pytest.mark.parametrize("name", ["trust.jks", "nopass.p12", "aes.p12"])
def test_a_store_of_its_own_is_opened_by_java(run_module, jre, tmp_path, name):
    jre.store.write_bytes(content(name))
    own = tmp_path / "own"
    arguments = {
        "path": str(own), "jre_home": str(jre.home), "copy_from": str(jre.home / "lib" / "security" / "cacerts"),
        "certificates": [{"src": str(DATA / "plain.pem")}],
    }  # fmt: skip
    result = run_module("java_truststore", arguments)
    assert result["jvm_starts"] == len(jre.starts())
    assert result["store"]["entries"] == 3
    root, own_certificate, plain = certificates("root", "own", "plain")
    assert jre.aliases(own) == {
        "root": root.fingerprint,
        "größe": own_certificate.fingerprint,
        default_alias("plain"): plain.fingerprint,
    }
    assert jre.store.read_bytes() == content(name)
    assert run_module("java_truststore", arguments)["changed"] is False


def test_the_key_beside_a_certificate_stays_usable(run_module, jre):
    """A PKCS#12 store with a password is built anew to remove from it; its private keys must come along."""
    jre.store.write_bytes(content("mixed.p12"))
    arguments = {"jre_home": str(jre.home), "state": "absent", "certificates": [{"alias": "root"}]}
    result = run_module("java_truststore", arguments)
    assert (result["jvm_starts"], len(jre.starts())) == (1, 1)
    assert list(jre.aliases()) == ["tomcat"]
    # -certreq signs with the key: it is whole and under the store's password.
    text = jre.keytool("-certreq", "-alias", "tomcat", "-keystore", str(jre.store), "-storepass:env", "RTC")
    assert "BEGIN NEW CERTIFICATE REQUEST" in text


def test_the_wrong_password_is_said_before_a_jvm_starts(run_module, jre):
    jre.store.write_bytes(content("trust.jks"))
    arguments = {"jre_home": str(jre.home), "password": "geheim!", "certificates": THREE_CHAINS}
    result = run_module("java_truststore", arguments)
    assert "The password does not open" in result["msg"]
    assert "geheim!" not in str(result)
    assert jre.starts() == []


def test_a_password_of_other_letters(run_module, jre, tmp_path):
    jre.store.write_bytes(content("trust.jks"))
    own = tmp_path / "own"
    arguments = {
        "path": str(own), "jre_home": str(jre.home), "copy_from": str(jre.store), "password": "pässwört-€",
        "certificates": [{"src": str(DATA / "plain.pem")}],
    }  # fmt: skip
    assert run_module("java_truststore", arguments).get("msg") is None
    assert len(reader.read_file(str(own), "pässwört-€").entries) == 3
    assert all("ssw" not in line for line in jre.starts())


def test_the_jres_own_store_is_read(run_module, jre, tmp_path):
    """The cacerts that this JRE came with, whatever its format is: a copy, imported into and cleaned again."""
    own = reader.locate(str(jre.real))
    jre.store.write_bytes(Path(own).read_bytes())
    before = reader.read_file(str(jre.store), "changeit")
    assert len(before.entries) == len(jre.aliases())
    arguments = {"jre_home": str(jre.home), "certificates": [{"src": str(DATA / "plain.pem")}]}
    assert run_module("java_truststore", arguments)["jvm_starts"] == 1
    assert len(jre.aliases()) == len(before.entries) + 1
    assert run_module("java_truststore", dict(arguments, state="absent"))["changed"]
    after = reader.read_file(str(jre.store), "changeit")
    assert after.trusted() == before.trusted()


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
    """The whole process group is killed at random times of an import, the JVM with it."""
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
