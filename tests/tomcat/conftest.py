# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real Tomcats of four generations, fetched once from Maven Central into ``.build/tomcat``.

They run on the Javas of ``tests/javas.py``: one test on every pair, the others on some; ``RTC_TOMCAT_PAIRS=all`` runs
all on every pair. Skipped, and said so, where Maven Central does not answer.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import javas
import maven
import pytest

from ansible_collections.collab.rtc.tests.unit import module_runner

# Version -> SHA-256 of what Maven Central has.
VERSIONS = {
    "8.5.100": "163abe51289dd09dc375791888d6f2d5508c06050548dc4fc7700251f4bebaca",
    "9.0.98": "1d9a1104c2e235a5baff6e9ca8e28be3d864803fafc478f5c13c2ae6a5ed3d6f",
    "10.1.34": "f799541380bfff2b674cefd86c5376d2d7d566b3a2e7c4579d2b491de8ec6c36",
    "11.0.2": "c1b31a6989d30a7344c1a3655da74679ce9f9b48a271e864647a141de3b78cb8",
}
CACHE = pathlib.Path(__file__).parents[2] / ".build" / "tomcat"
# Tomcat 11 needs Java 17 (https://tomcat.apache.org/whichversion.html); the older ones need less than anyone has.
NEEDS_JAVA = {"11": 17, "10": 11}
PAIRS = [(java, version) for java in javas.PARAMS for version in VERSIONS if (java, version) != ("11", "11.0.2")]
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


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)


def installed(java, version, directory):
    home = str(javas.home_of(java))
    needed = NEEDS_JAVA.get(version.split(".", maxsplit=1)[0], 8)
    if java_version(home) < needed:
        pytest.skip(f"Tomcat {version} needs Java {needed}")
    return Tomcat(version, unpacked(version), home, directory / "base")


def java_version(home):
    said = subprocess.run([f"{home}/bin/java", "-version"], capture_output=True, text=True, check=True).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match.group(1))


def unpacked(version):
    """The directory of a Tomcat; fetched and unpacked once, whole or not at all."""
    target = CACHE / f"tomcat-{version}"
    if target.is_dir():
        return target
    try:
        archive = maven.fetch(f"org/apache/tomcat/tomcat/{version}/tomcat-{version}.tar.gz", VERSIONS[version], CACHE)
    except maven.OutOfReachError as exc:
        pytest.skip(str(exc))
    part = CACHE / f"unpack-{version}-{os.getpid()}"
    with tarfile.open(archive) as tar:
        tar.extractall(part, filter="data")
    (inner,) = part.iterdir()
    try:
        inner.rename(target)
    except OSError:  # another run was faster
        assert target.is_dir()
    shutil.rmtree(part)
    return target


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
