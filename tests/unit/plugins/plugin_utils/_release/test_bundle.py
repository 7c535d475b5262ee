# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bundle of the RTC server, without the packages that pip would fetch."""

from __future__ import annotations

import os
import tarfile
import threading

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle


@pytest.fixture
def source(tmp_path):
    """What a bundle is made from, in small."""
    package = tmp_path / "source" / "src" / "rtc_server"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (tmp_path / "source" / "requirements.txt").write_text("")
    (tmp_path / "source" / "pyproject.toml").write_text('version = "1.2.3"\n')
    return str(tmp_path / "source")


def test_hosts_at_the_same_time_share_one_build(source, tmp_path, monkeypatch):
    """Five begin together; while the first installs, no other does."""
    together, installs = threading.Barrier(5), []

    def install(_source, _version, _machine, library):
        installs.append(library)
        os.makedirs(library)

    def host():
        together.wait()
        paths.append(bundle.build(source, "3.11", "x86_64", str(tmp_path / "cache")))

    monkeypatch.setattr(bundle, "_install", install)
    paths: list[str] = []
    hosts = [threading.Thread(target=host) for _number in range(5)]
    for thread in hosts:
        thread.start()
    for thread in hosts:
        thread.join()
    assert len(installs) == 1
    assert len(set(paths)) == 1
    assert len(paths) == 5
    with tarfile.open(paths[0]) as archive:
        assert {"rtc-server", "RELEASE", "lib/rtc_server/__init__.py"} <= set(archive.getnames())


def test_a_release_is_named_after_what_goes_in(source):
    name = bundle.release_name(source, "3.11", "x86_64")
    assert name.startswith("1.2.3-cp311-x86_64-")
    assert bundle.release_name(source, "3.12", "x86_64") != name
    with open(os.path.join(source, "src", "rtc_server", "new.py"), "w") as file:
        file.write("1")
    assert bundle.release_name(source, "3.11", "x86_64") != name


def test_an_old_interpreter_is_refused_with_the_remedy(source):
    with pytest.raises(bundle.BundleError, match="rtc_server_python"):
        bundle.release_name(source, "3.9", "x86_64")
