# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests with real JREs: those of ``tests/javas.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import javas
import pytest

from ansible_collections.collab.rtc.plugins.module_utils._java import confined
from ansible_collections.collab.rtc.plugins.module_utils._keystore import reader
from ansible_collections.collab.rtc.tests.unit import module_runner

PASSWORD = "changeit"


class Jre:
    """A JRE with a trust store of the test's own, whose keytool writes down each start.

    :param directory: one that everybody may look into, as keytool runs as nobody.
    """

    def __init__(self, home, directory):
        self.real = home
        self.home = directory / "jre"
        self.log = directory / "starts"
        self.log.touch()
        self.log.chmod(0o666)
        security = self.home / "lib" / "security"
        security.mkdir(parents=True)
        (self.home / "bin").mkdir()
        self.store = directory / "store"
        (security / "cacerts").symlink_to(self.store)
        keytool = self.home / "bin" / "keytool"
        keytool.write_text(f'#!/bin/sh\necho "$@" >> {self.log}\nexec {home}/bin/keytool "$@"\n', encoding="utf-8")
        keytool.chmod(0o755)

    def starts(self):
        """The command lines of the keytool runs so far."""
        return self.log.read_text(encoding="utf-8").splitlines()

    def keytool(self, *arguments, password=PASSWORD):
        """Run the real keytool, not counted; returns what it says."""
        environment = dict(os.environ, LC_ALL="C.UTF-8", RTC=password)
        command = [str(self.real / "bin" / "keytool"), *arguments, "-J-Duser.language=en", "-J-XX:TieredStopAtLevel=1"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def aliases(self, store=None, password=PASSWORD):
        """What the JRE itself sees in a store: alias -> SHA-256 of the (first) certificate."""
        path = str(store or self.store)
        kind = reader.detect(Path(path).read_bytes(), path)
        # Java 8 tells JKS and PKCS#12 apart, and JCEKS from neither.
        options = ("-keystore", path, "-storetype", kind.upper(), "-storepass:env", "RTC")
        text = self.keytool("-list", "-v", *options, password=password)
        found, alias = {}, ""
        for line in text.splitlines():
            if line.startswith("Alias name: "):
                alias = line.partition(": ")[2]
            elif line.strip().startswith("SHA256: "):
                found.setdefault(alias, line.partition(": ")[2].replace(":", "").lower())
        return found


@pytest.fixture(params=javas.WITH_8, ids=javas.name)
def jre(request, open_directory, reachable):
    return Jre(reachable(javas.home_of(request.param)), open_directory)


@pytest.fixture
def open_directory():
    """A directory that everybody may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="rtc-java-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session")
def reachable():
    """A function: a JRE's home, or a copy of it where everybody may look, if this tree is nobody's but root's."""
    copies = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="rtc-jre-") as directory:
        Path(directory).chmod(0o755)

        def find(home):
            if confined.may_execute(confined.make_account(), str(home / "bin" / "keytool")):
                return home
            if home not in copies:
                copies[home] = Path(shutil.copytree(home, Path(directory, str(len(copies))), symlinks=True))
            return copies[home]

        yield find


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)
