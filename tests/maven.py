# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifacts of Maven Central, by Maven itself (which knows where to get them), checked by their SHA-256.

``python tests/maven.py DIRECTORY PATH=SHA256 ...`` fetches several; a PATH is an artifact's path in a repository, as in
``org/apache/tomcat/tomcat/9.0.98/tomcat-9.0.98.tar.gz``.
"""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys
import tempfile

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"


class OutOfReachError(Exception):
    """Maven is not installed, or did not get the artifact; says which."""


def coordinates(path: str) -> str:
    """``group:artifact:version:type``, and ``:classifier`` if there is one, of an artifact's path in a repository."""
    *group, artifact, version, name = path.split("/")
    rest = name[len(f"{artifact}-{version}") :]  # .tar.gz, or -linux-x86_64.jar
    classifier, _, kind = rest.partition(".")
    return ":".join([".".join(group), artifact, version, kind, *filter(None, [classifier.lstrip("-")])])


def fetch(path: str, sha256: str, directory: pathlib.Path) -> pathlib.Path:
    """The artifact in a directory, fetched unless it is there.

    :raises OutOfReachError: it cannot be had.
    :raises AssertionError: it is not the one that the hash is of.
    """
    target = directory / path.rpartition("/")[2]
    if target.exists():
        return target
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        command = ["mvn", "-q", "-B", PLUGIN, f"-Dartifact={coordinates(path)}", f"-DoutputDirectory={folder}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise OutOfReachError(f"Maven does not get {coordinates(path)}: {exc}") from exc
        found = pathlib.Path(folder) / target.name
        if done.returncode != 0 or not found.exists():
            raise OutOfReachError(f"Maven does not get {coordinates(path)}: {done.stdout[-500:]}")
        digest = hashlib.sha256(found.read_bytes()).hexdigest()
        assert digest == sha256, f"{coordinates(path)} has the SHA-256 {digest}"
        found.rename(target)
    return target


if __name__ == "__main__":
    try:
        for item in sys.argv[2:]:
            print(fetch(*item.split("=", 1), pathlib.Path(sys.argv[1])))
    except OutOfReachError as refusal:
        sys.exit(str(refusal))
