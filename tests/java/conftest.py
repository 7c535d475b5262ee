# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests with real JREs: those of ``tests/javas.py``."""

from __future__ import annotations

import os
import subprocess

import javas
import pytest

from ansible_collections.collab.rtc.tests.unit import module_runner

PASSWORD = "changeit"


class Jre:
    """A JRE with a trust store of the test's own, whose keytool writes down each start."""

    def __init__(self, home, directory):
        self.real = home
        self.home = directory / "jre"
        self.log = directory / "starts"
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
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def keytool(self, *arguments):
        """Run the real keytool, not counted; returns what it says."""
        environment = dict(os.environ, LC_ALL="C.UTF-8", RTC=PASSWORD)
        command = [str(self.real / "bin" / "keytool"), *arguments, "-J-Duser.language=en", "-J-XX:TieredStopAtLevel=1"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def aliases(self, store=None):
        """What the JRE itself sees in a store: alias -> SHA-256 of the (first) certificate."""
        text = self.keytool("-list", "-v", "-keystore", str(store or self.store), "-storepass:env", "RTC")
        found, alias = {}, ""
        for line in text.splitlines():
            if line.startswith("Alias name: "):
                alias = line.partition(": ")[2]
            elif line.strip().startswith("SHA256: "):
                found.setdefault(alias, line.partition(": ")[2].replace(":", "").lower())
        return found


@pytest.fixture(params=javas.PARAMS, ids=javas.name)
def jre(request, tmp_path):
    return Jre(javas.home_of(request.param), tmp_path)


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)
