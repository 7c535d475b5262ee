# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of the RTC server, and the wheels that they are made of, without the packages that pip would fetch."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._release import release, wheels
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import BundleError, Target
from ansible_collections.collab.rtc.tests.unit.small_index import make_wheel

TARGET = Target("3.11", "x86_64")


def test_hosts_at_the_same_time_share_one_build(index, tmp_path):
    """Five begin together; while the first fetches, no other does."""
    together, paths = threading.Barrier(5), []

    def host():
        together.wait()
        paths.append(release.build_own(index.source, TARGET, str(tmp_path / "cache")))

    hosts = [threading.Thread(target=host) for _number in range(5)]
    for thread in hosts:
        thread.start()
    for thread in hosts:
        thread.join()
    assert (index.asked, len(set(paths)), len(paths)) == (["cp311-x86_64"], 1, 5)
    with tarfile.open(paths[0]) as archive:
        names = set(archive.getnames())
    assert {"rtc-server", "RELEASE", "lib", "lib/rtc_server/__init__.py", "lib/fast.py", "lib/lib_a.py"} <= names


def test_a_release_starts(index, tmp_path):
    path = release.build_own(index.source, TARGET, str(tmp_path / "cache"))
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "out")
    assert (tmp_path / "out/RELEASE").read_text() == Path(path).name[: -len(".tar.gz")] + "\n"
    subprocess.run([sys.executable, "-I", str(tmp_path / "out/rtc-server")], check=True)


def test_what_the_cache_has_is_fetched_again_where_it_is_damaged(index, tmp_path):
    (first, *_rest) = wheels.fetch(index.source, TARGET, str(tmp_path))
    content = Path(first).read_bytes()
    for damage in (lambda: Path(first).write_bytes(content[:-1]), Path(first).unlink, Path(first + ".x").touch):
        damage()
        assert Path(wheels.fetch(index.source, TARGET, str(tmp_path))[0]).read_bytes() == content
    assert len(index.asked) == 4


def test_a_release_is_named_after_what_goes_in(index):
    name = release.name_own(index.source, TARGET)
    assert name.startswith("1.2.3-cp311-x86_64-")
    assert release.name_own(index.source, Target("3.12", "x86_64")) != name
    Path(index.source, "src", "rtc_server", "new.py").write_text("1")
    assert release.name_own(index.source, TARGET) != name


@pytest.mark.parametrize("version", ["3.9", "2.7", "", "x", "3"])
def test_an_old_interpreter_is_refused_with_the_remedy(version):
    with pytest.raises(BundleError, match="rtc_server_python"):
        release_source.make_target(version, "x86_64")
    assert release_source.make_target("3.11.4", "x86_64") == TARGET


@pytest.mark.parametrize("bad", ["/etc/x", "../x", "a/../../x", "a\\..\\x", "p-1.data/purelib/../x", "./x", "a//b"])
def test_a_wheel_with_a_path_that_leads_elsewhere_is_refused(bad):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(bad, "1")
    with pytest.raises(BundleError, match=r"evil\.whl has a file"):
        list(wheels.unpack(buffer.getvalue(), "evil.whl"))


def test_of_a_wheel_what_installing_would_put_beside_libraries():
    wheel = make_wheel("p", "1", **{"p-1.data/purelib/a.py": "a", "p-1.data/platlib/b/c.so": "c",
                                    "p-1.data/scripts/run": "s", "p-1.data/headers/h.h": "h"})  # fmt: skip
    found = dict(wheels.unpack(wheel, "p-1.whl"))
    assert sorted(found) == ["a.py", "b/c.so", "p-1.dist-info/METADATA", "p.py"]


@pytest.mark.parametrize("content", [b"", b"PK", make_wheel("p", "1")[:-10]])
def test_what_is_no_wheel_is_refused(content):
    with pytest.raises(BundleError, match="x is no wheel"):
        list(wheels.unpack(content, "x"))
    with pytest.raises(BundleError, match="x is no wheel"):
        wheels.read_metadata(content, "x")


def test_two_packages_with_one_file_are_refused():
    with pytest.raises(BundleError, match=r"b-1\.whl has lib/same\.py"):
        release.pack("r", {"a-1.whl": make_wheel("a", "1", **{"same.py": "1"}),
                           "b-1.whl": make_wheel("b", "1", **{"same.py": "2"})})  # fmt: skip


def test_the_servers_own_wheel_is_one_that_pip_takes(index):
    name, content = wheels.make_server_wheel(index.source)
    assert name == "rtc_server-1.2.3-py3-none-any.whl"
    metadata = wheels.read_metadata(content, name)
    assert metadata.get_all("Requires-Dist") == ["Lib_A>=1", "tomli>=2; python_version < '3.11'"]
    assert metadata["Name"] == "rtc-server"


def test_the_servers_wheel_has_its_pages():
    _name, content = wheels.make_server_wheel(release_source.SOURCE)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {"rtc_server/check.html", "rtc_server/admin/static/panel.html"} <= set(archive.namelist())


def test_the_real_lock_file_and_project_are_read():
    packages = release_source.parse_requirements(Path(release_source.SOURCE, "requirements.txt").read_text())
    text = Path(release_source.SOURCE, "requirements.txt").read_text()
    assert len(packages) == text.count("==") and sum(map(len, packages.values())) == text.count("--hash=sha256:")
    needs = release_source.read_dependencies(release_source.SOURCE)
    assert {release_source.fold_name(line.partition(">")[0]) for line in needs} <= {
        name.partition("==")[0] for name in packages
    }
    assert release_source.read_version(release_source.SOURCE)
