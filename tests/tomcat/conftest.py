# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real Tomcats of four generations, fetched once from Maven Central into ``.build/tomcat``.

They run on the Javas of ``tests/javas.py``. Skipped, and said so, where Maven Central does not answer.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import urllib.error
import urllib.request

import javas
import pytest

VERSIONS = ["8.5.100", "9.0.98", "10.1.34", "11.0.2"]
URL = "https://repo1.maven.org/maven2/org/apache/tomcat/tomcat/{0}/tomcat-{0}.tar.gz"
CACHE = pathlib.Path(__file__).parents[2] / ".build" / "tomcat"
# Tomcat 11 needs Java 17 (https://tomcat.apache.org/whichversion.html); the older ones need less than anyone has.
NEEDS_JAVA = {"11": 17, "10": 11}


@pytest.fixture(params=javas.PARAMS, ids=javas.name)
def java_home(request):
    return str(javas.home_of(request.param))


@pytest.fixture(params=VERSIONS)
def tomcat(request, java_home, tmp_path):
    """A function that runs ``configtest`` on the bytes of a server.xml: ``(exit code, what Tomcat said)``."""
    version = request.param
    needed = NEEDS_JAVA.get(version.split(".", maxsplit=1)[0], 8)
    if java_version(java_home) < needed:
        pytest.skip(f"Tomcat {version} needs Java {needed}")
    return Tomcat(version, unpacked(version), java_home, tmp_path / "base")


def java_version(home):
    said = subprocess.run([f"{home}/bin/java", "-version"], capture_output=True, text=True, check=True).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match.group(1))


def unpacked(version):
    """The directory of a Tomcat; fetched and unpacked once, whole or not at all."""
    target = CACHE / f"tomcat-{version}"
    if target.is_dir():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"tomcat-{version}.tar.gz"
    if not archive.exists():
        part = archive.with_suffix(f".part{os.getpid()}")
        try:
            with urllib.request.urlopen(URL.format(version), timeout=60) as answer, part.open("wb") as file:
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, TimeoutError) as exc:
            part.unlink(missing_ok=True)
            pytest.skip(f"Maven Central does not give Tomcat {version}: {exc}")
        part.rename(archive)
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
            "PATH": os.environ["PATH"], "JAVA_HOME": self.java_home, "CATALINA_HOME": str(self.home),
            "CATALINA_BASE": str(self.base),
        }  # fmt: skip
        command = ["sh", str(self.home / "bin" / "catalina.sh"), "configtest"]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr
