# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bundle of the real packages: pip resolves it alone for each pair of Python and machine that is promised.

What was fetched is kept in ``.build/bundle``. With ``RTC_BUNDLE=short`` two pairs stand for all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle, release, wheels
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import Target

CACHE = Path(__file__).resolve().parents[2] / ".build/bundle"
SHORT = [Target("3.11", "x86_64"), Target("3.14", "aarch64")]
ALL = [Target(version, machine) for version in release_source.PYTHONS for machine in release_source.MACHINES]
TARGETS = SHORT if os.environ.get("RTC_BUNDLE") == "short" else ALL


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The bundle for all pairs."""
    path = tmp_path_factory.mktemp("bundle") / "rtc-server.tar"
    bundle.build(release_source.SOURCE, TARGETS, str(CACHE), str(path))
    return path


@pytest.fixture(scope="session")
def unpacked(built):
    """The bundle's directory, as somebody unpacks it by hand."""
    folder = built.parent / "unpacked"
    with tarfile.open(built) as tar:
        tar.extractall(folder)
    return folder


def resolve(folder, target, *more):
    """Let pip resolve all that is required from the folder's wheels, and nothing else."""
    command = [sys.executable, "-I", "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-index"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--find-links", str(folder / "wheels")]
    command += ["--require-hashes", *wheels.select(target), "--target", str(folder / "none")]
    command += ["--requirement", str(folder / "requirements.txt"), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.tag)
def test_pip_resolves_it_alone(unpacked, target):
    result = resolve(unpacked, target)
    assert result.returncode == 0, result.stderr
    would = result.stdout.rpartition("Would install ")[2].split()
    pinned = release_source.parse_requirements((unpacked / "requirements.txt").read_text(encoding="utf-8"))
    assert {release_source.fold_name(one) for one in would} == {
        release_source.fold_name(package.replace("==", "-")) for package in pinned
    }
    assert not (unpacked / "none").exists()


def test_what_is_missing_or_changed_is_not_resolved(unpacked, tmp_path):
    """That the test above can fail."""
    target = TARGETS[0]
    assert resolve(unpacked, Target("3.9", target.machine)).returncode != 0
    other = tmp_path / "other"
    (other / "wheels").mkdir(parents=True)
    (other / "requirements.txt").write_bytes((unpacked / "requirements.txt").read_bytes())
    for path in (unpacked / "wheels").iterdir():
        (other / "wheels" / path.name).symlink_to(path)
    (server,) = (other / "wheels").glob("rtc_server-*")
    content = server.read_bytes()
    server.unlink()
    assert "rtc-server" in resolve(other, target).stderr
    server.write_bytes(content + b"\0")
    assert "DO NOT MATCH THE HASHES" in resolve(other, target).stderr


def test_the_list_of_contents_is_what_its_standard_says(unpacked):
    """By the schema of CycloneDX 1.6 itself, in its strict form."""
    validate = JsonStrictValidator(SchemaVersion.V1_6).validate_str
    text = (unpacked / bundle.CONTENTS).read_text(encoding="utf-8")
    assert validate(text) is None
    for good, bad in (('"library"', '"book"'), ('"bom-ref"', '"bom_ref"'), ('"SHA-256"', '"SHA-255"')):
        assert good in text
        assert validate(text.replace(good, bad, 1)) is not None


def test_it_is_built_twice_alike_and_read(built):
    again = built.parent / "again.tar"
    bundle.build(release_source.SOURCE, TARGETS, str(CACHE), str(again))
    assert again.read_bytes() == built.read_bytes()
    assert set(bundle.check(str(built)).targets) == {target.tag for target in TARGETS}


def test_the_release_of_this_python_starts(built, tmp_path):
    own = Target(f"{sys.version_info[0]}.{sys.version_info[1]}", os.uname().machine)
    if own not in TARGETS:
        pytest.skip(f"the bundle has nothing for {own}")
    with tarfile.open(release.build_from(str(built), own, str(tmp_path))) as tar:
        tar.extractall(tmp_path / "release")
    command = [sys.executable, "-I", str(tmp_path / "release/rtc-server"), "--version"]
    assert "rtc-server" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
