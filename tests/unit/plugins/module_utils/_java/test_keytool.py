# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pathlib
import tempfile

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._java import confined
from ansible_collections.collab.rtc.plugins.module_utils._java.keytool import (
    JvmError,
    Keytool,
    KeytoolError,
    find_keytool,
)

OWNER = 4711  # of a key store
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def home():
    """A directory that everybody can look into, unlike pytest's."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="rtc-test-") as directory:
        os.chmod(directory, 0o755)
        yield pathlib.Path(directory)


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def run(path, arguments=(), inputs=None, owner=OWNER, **more):
    return Keytool(path, **more).run(list(arguments), inputs or {}, owner, 1000)


def test_which_keytool(tmp_path, monkeypatch):
    own = program(tmp_path / "jre" / "bin" / "keytool", "")
    other = program(tmp_path / "other" / "bin" / "keytool", "")
    old = program(tmp_path / "jdk8" / "jre" / "bin" / "keytool", "")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert find_keytool(str(tmp_path / "jre")) == own
    assert find_keytool(str(tmp_path / "jdk8")) == old
    with pytest.raises(JvmError, match="No keytool was found"):
        find_keytool()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "other"))
    assert find_keytool() == other
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path / "other" / "bin"))
    assert find_keytool() == other
    with pytest.raises(JvmError, match=r"has no bin/keytool"):
        find_keytool(str(tmp_path / "nothing"))


def test_secrets_go_by_descriptors_only(home, monkeypatch):
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-javaagent:x")
    path = program(
        home / "keytool",
        'case "$*$(env)" in *geheim*|*JAVA_TOOL*) exit 9;; esac\n'
        '[ "$1" = -storepass:file ] && read -r secret < "$2" && [ "$secret" = geheim ] || exit 8\n'
        '[ -z "$(cat)" ] || exit 7\n'
        'printf "%s and more" "$(cat "$4")" > "$4"',
    )
    keytool = Keytool(path)
    inputs = {"password": b"geheim\n", "store": b"a store"}
    after = keytool.run(["-storepass:file", "{password}", "-keystore", "{store}"], inputs, OWNER, 1000)
    assert after == {"password": b"geheim\n", "store": b"a store and more"}
    assert keytool.starts == 1


@needs_root
def test_it_never_runs_as_root(home):
    path = program(home / "keytool", 'id -u > "$1"; id -G >> "$1"')
    numbers = run(path, ["{out}"], {"out": b""})["out"].split()
    assert len(numbers) == 2
    assert not {b"0", b"65534", str(OWNER).encode()} & set(numbers)


@needs_root
@pytest.mark.parametrize("of", ["keytool", "directory", "group", "everybody", "part"])
def test_a_keytool_that_a_stranger_could_change_is_not_run(home, of):
    """Not even as nobody: it would be told the password and get the keys."""
    path = program(home / "jre" / "bin" / "keytool", f"echo ran > {home}/ran")
    library = home / "jre" / "lib" / "jvm.cfg"
    library.parent.mkdir()
    library.touch()
    home.chmod(0o777 | 0o1000)
    {
        "keytool": lambda: os.chown(path, 4712, 0),
        "directory": lambda: os.chown(home / "jre" / "bin", 4712, 0),
        "group": lambda: (os.chown(home / "jre", 0, 4712), os.chmod(home / "jre", 0o775)),
        "everybody": lambda: os.chmod(path, 0o777),
        "part": lambda: os.chown(library, 4712, 0),
    }[of]()
    with pytest.raises(JvmError, match=r"can be changed by .* who would learn the key"):
        run(path)
    assert not (home / "ran").exists()


@needs_root
def test_the_owner_of_the_key_store_may_change_it(home):
    """He has the key already; but neither root's rights nor anybody else's."""
    path = program(home / "jre" / "bin" / "keytool", 'id -u > "$1"')
    os.chown(path, OWNER, OWNER)
    number = int(run(path, ["{out}"], {"out": b""})["out"])
    assert number not in (0, 65534, OWNER)


@needs_root
def test_a_keytool_that_only_the_owner_can_execute(home):
    """As that of a JRE in a directory of his that is closed to others."""
    path = program(home / "jre" / "bin" / "keytool", 'id -u > "$1"')
    os.chown(home / "jre", OWNER, 0)
    os.chmod(home / "jre", 0o700)
    assert int(run(path, ["{out}"], {"out": b""})["out"]) == OWNER


@needs_root
def test_a_keytool_that_only_root_can_execute(home):
    path = program(home / "jre" / "bin" / "keytool", "")
    os.chmod(home / "jre", 0o700)
    with pytest.raises(JvmError, match="can be executed by root only"):
        run(path)


def test_keytools_own_words_are_passed_on(home):
    words = "keytool error: java.io.IOException: Keystore was tampered with, or password was incorrect"
    path = program(home / "keytool", f"echo warning; echo '{words}'; exit 1")
    with pytest.raises(KeytoolError) as caught:
        run(path)
    assert str(caught.value) == f"{path} failed: {words} Give the store's password."


def test_a_secret_in_its_words_is_masked(home):
    path = program(home / "keytool", 'echo "keytool error: $(cat "$1") is wrong"; exit 1')
    with pytest.raises(KeytoolError) as caught:
        run(path, ["{password}"], {"password": b"geheim\n"})
    assert "geheim" not in str(caught.value) + caught.value.output
    assert "******** is wrong" in str(caught.value)


def test_an_error_with_status_0_is_an_error(home):
    path = program(home / "keytool", "echo 'keytool error: something'")
    with pytest.raises(KeytoolError, match="keytool error: something"):
        run(path)


def test_a_keytool_that_does_not_end_is_ended(home):
    path = program(home / "keytool", "sleep 100")
    keytool = Keytool(path, timeout=0.5)
    with pytest.raises(JvmError, match=r"did not end within"):
        keytool.run([], {}, OWNER, 1000)
    assert keytool.starts == 1


def test_a_store_without_end_is_refused(home):
    path = program(home / "keytool", 'head -c 2000 /dev/zero > "$1"')
    with pytest.raises(Exception, match="more than 1000 bytes"):
        run(path, ["{out}"], {"out": b""})


def test_a_keytool_that_cannot_be_run(home):
    path = home / "keytool"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(JvmError, match="cannot be run"):
        run(str(path))
    with pytest.raises(JvmError, match="cannot be looked at"):
        run(str(home / "missing"))


def test_a_nul_in_an_alias(home):
    with pytest.raises(JvmError, match="a character that cannot be passed on"):
        run(program(home / "keytool", ""), ["a\0b"])


def test_without_root_it_runs_as_this_user(home, monkeypatch):
    monkeypatch.setattr(confined, "make_account", lambda: None)
    path = program(home / "keytool", 'id -u > "$1"')
    assert int(run(path, ["{out}"], {"out": b""})["out"]) == os.geteuid()
