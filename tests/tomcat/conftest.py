# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real Tomcats (``tests/tomcats.py``).

They run on the Javas of ``tests/javas.py``: one test on every pair, the others on some; ``RTC_TOMCAT_PAIRS=all`` runs
all on every pair.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import javas
import pytest
import tomcats

from ansible_collections.collab.rtc.tests.unit import module_runner

# Tomcat 11 needs Java 17 (https://tomcat.apache.org/whichversion.html); the older ones need less than anyone has.
NEEDS_JAVA = {"11": 17, "10": 11}
PAIRS = [
    (java, version) for java in javas.PARAMS for version in tomcats.VERSIONS if (java, version) != ("11", "11.0.2")
]
# Each Tomcat and each Java once. RTC_TOMCAT_PAIRS=all: every test on every pair.
SOME = [("11", "8.5.100"), ("17", "9.0.98"), ("17", "10.1.34"), ("21", "11.0.2")]
if os.environ.get("RTC_TOMCAT_PAIRS") == "all":
    SOME = PAIRS


def pair_name(pair):
    return f"{javas.name(pair[0])}-tomcat{pair[1]}"


@pytest.fixture(params=SOME, ids=pair_name)
def tomcat(request, tmp_path):
    """One of the Tomcats, on one of the Javas."""
    return installed(*request.param, tmp_path)


@pytest.fixture(params=PAIRS, ids=pair_name)
def tomcat_on_each_java(request, tmp_path):
    """Each Tomcat on each Java that it runs on."""
    return installed(*request.param, tmp_path)


@pytest.fixture
def install_tomcat():
    """A function: Java, version of Tomcat and directory -> that Tomcat on that Java."""
    return installed


@pytest.fixture(scope="session")
def tomcat_files():
    """A function: version -> the directory of that Tomcat, unpacked."""
    return tomcats.unpacked


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)


def installed(java, version, directory):
    home = str(javas.home_of(java))
    needed = NEEDS_JAVA.get(version.split(".", maxsplit=1)[0], 8)
    if java_version(home) < needed:
        pytest.skip(f"Tomcat {version} needs Java {needed}")
    return Tomcat(version, tomcats.unpacked(version), home, directory / "base")


def java_version(home):
    said = subprocess.run([f"{home}/bin/java", "-version"], capture_output=True, text=True, check=True).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match.group(1))


class Tomcat:
    def __init__(self, version, home, java_home, base):
        self.version = version
        self.java_home = java_home
        self.home = home
        self.base = base
        shutil.copytree(home / "conf", base / "conf")
        (base / "logs").mkdir()
        (base / "temp").mkdir()
        (base / "webapps").mkdir()

    @property
    def server_xml(self):
        return self.base / "conf" / "server.xml"

    def configtest(self, data=None):
        """Let Tomcat read its server.xml (or these bytes); returns the exit code and what it said."""
        if data is not None:
            self.server_xml.write_bytes(data)
        environment = {
            "PATH": os.environ["PATH"],
            "JAVA_HOME": self.java_home,
            "CATALINA_HOME": str(self.home),
            "CATALINA_BASE": str(self.base),
        }
        command = ["sh", str(self.home / "bin" / "catalina.sh"), "configtest"]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr
