# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import sys

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._java.keytool import (
    JvmError,
    Keytool,
    KeytoolError,
    find_keytool,
)


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_which_keytool(tmp_path, monkeypatch):
    own = program(tmp_path / "jre" / "bin" / "keytool", "")
    other = program(tmp_path / "other" / "bin" / "keytool", "")
    old = program(tmp_path / "jdk8" / "jre" / "bin" / "keytool", "")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert find_keytool(str(tmp_path / "jre")) == own
    assert find_keytool(str(tmp_path / "jdk8")) == old
    store = str(tmp_path / "jre" / "lib" / "security" / "cacerts")
    assert find_keytool(None, store) == own
    with pytest.raises(JvmError, match="No keytool was found"):
        find_keytool(None, "/var/truststore")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "other"))
    assert find_keytool(None, "/var/truststore") == other
    assert find_keytool(None, store) == own
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path / "other" / "bin"))
    assert find_keytool() == other
    with pytest.raises(JvmError, match=r"has no bin/keytool"):
        find_keytool(str(tmp_path / "nothing"))


def test_secrets_go_by_the_environment_only(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-javaagent:x")
    path = program(
        tmp_path / "keytool",
        "import os, sys\n"
        "assert not any('geheim' in one for one in sys.argv), sys.argv\n"
        "assert os.environ['STORE'] == 'geheim' and 'JAVA_TOOL_OPTIONS' not in os.environ\n"
        "assert sys.stdin.read() == ''\n"
        "print('opened with', os.environ['STORE'])\n",
    )
    keytool = Keytool(path)
    assert keytool.run(["-list", "-storepass:env", "STORE"], {"STORE": "geheim"}) == "opened with ********"
    assert keytool.starts == 1


def test_keytools_own_words_are_passed_on(tmp_path):
    words = "keytool error: java.io.IOException: Keystore was tampered with, or password was incorrect"
    path = program(tmp_path / "keytool", f"print('warning'); print({words!r}); raise SystemExit(1)")
    with pytest.raises(KeytoolError) as caught:
        Keytool(path).run([], {})
    assert str(caught.value) == f"{path} failed: {words} Give the store's password."


def test_an_error_with_status_0_is_an_error(tmp_path):
    path = program(tmp_path / "keytool", "print('keytool error: something')")
    with pytest.raises(KeytoolError, match="keytool error: something"):
        Keytool(path).run([], {})


def test_a_keytool_that_does_not_end_is_ended(tmp_path):
    path = program(tmp_path / "keytool", "import threading; threading.Event().wait()")
    keytool = Keytool(path, timeout=0.5)
    with pytest.raises(JvmError, match=r"did not end within"):
        keytool.run([], {})
    assert keytool.starts == 1


def test_a_keytool_that_cannot_be_run(tmp_path):
    path = tmp_path / "keytool"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    with pytest.raises(JvmError, match="cannot be run"):
        Keytool(str(path)).run([], {})
    assert os.path.exists(path)
