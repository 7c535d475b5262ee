# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rtc_release with real bundles below a directory, run by this Python."""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import restore

RUNS = "import sys\nprint('rtc-server 1')\n"


class Releases:
    """The directory of the releases of a host."""

    def __init__(self, folder, run_module):
        self.folder, self._run_module = folder, run_module
        self.base = folder / "opt"

    def bundle(self, name, *members, program=RUNS):
        """A bundle with the server's program and further members."""
        path = self.folder / f"{name}.tar.gz"
        file = tarfile.TarInfo("rtc-server")
        file.mode, file.size = 0o755, len(program)
        with tarfile.open(path, "w:gz") as tar:
            tar.addfile(file, io.BytesIO(program.encode()))
            for member in members:
                tar.addfile(member)
        return str(path)

    def run(self, name, src=None, check=False, **options):
        arguments = {
            "name": name,
            "python_version": "3.11",
            "python": sys.executable,
            "base": str(self.base),
            **options,
        }
        return self._run_module("rtc_release", {**arguments, **({"src": src} if src else {})}, check=check)

    @property
    def current(self):
        link = self.base / "current"
        return os.readlink(link) if link.is_symlink() else None

    def names(self):
        folder = self.base / "releases"
        return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.fixture
def host(tmp_path, run_module):
    return Releases(tmp_path, run_module)


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_release_that_is_missing_is_asked_for_first(host):
    result = host.run("one")
    assert (result["changed"], result["missing"], result["release"], result["previous"]) == (True, True, "one", "")
    assert host.names() == []


def test_a_bundle_is_unpacked_compiled_and_made_current(host):
    library = member("lib/part.py")
    result = host.run("one", host.bundle("one", member("lib", tarfile.DIRTYPE), library))
    assert (result["changed"], result["previous"], host.current) == (True, "", "releases/one")
    target = host.base / "releases/one"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    assert list((target / "lib/__pycache__").glob("part.*.pyc"))
    result = host.run("one")
    assert (result["changed"], result["missing"]) == (False, False)


def test_the_link_changes_and_old_releases_go(host):
    for number, name in enumerate(("one", "two", "three"), 1):
        result = host.run(name, host.bundle(name))
        os.utime(host.base / "releases" / name, (number, number))
    assert (result["previous"], host.current) == ("two", "releases/three")
    assert host.names() == ["three", "two"]
    # Back to an earlier one: it is there, so no bundle is needed.
    result = host.run("two")
    assert (result["changed"], result["missing"], host.current) == (True, False, "releases/two")
    assert host.names() == ["three", "two"]


def test_more_releases_are_kept_on_demand(host):
    for name in ("one", "two", "three"):
        host.run(name, host.bundle(name), keep=3)
    assert host.names() == ["one", "three", "two"]


def test_check_mode_changes_nothing(host):
    result = host.run("one", host.bundle("one"), check=True)
    assert (result["changed"], host.names(), host.current) == (True, [], None)
    assert result["diff"]["after"].endswith("current -> one\n")


@pytest.mark.parametrize(
    "bad",
    [
        member("/etc/passwd"),
        member("../outside"),
        member("lib/../../outside"),
        member("lib", tarfile.SYMTYPE, "/etc"),
        member("hard", tarfile.LNKTYPE, "rtc-server"),
        member("device", tarfile.CHRTYPE),
    ],
    ids=lambda info: info.name,
)
def test_a_bundle_with_anything_but_files_below_it_is_refused(host, bad):
    host.run("one", host.bundle("one"))
    result = host.run("two", host.bundle("two", bad))
    assert result["failed"] and f"it holds {bad.name}" in result["msg"]
    assert (host.names(), host.current) == (["one"], "releases/one")
    assert not (host.folder / "outside").exists()


def test_a_bundle_that_does_not_start_is_refused_before_the_switch(host):
    host.run("one", host.bundle("one"))
    result = host.run("two", host.bundle("two", program="raise SystemExit('no module aiohttp')\n"))
    assert result["failed"] and "no module aiohttp" in result["msg"]
    assert (host.names(), host.current) == (["one"], "releases/one")


def test_an_interpreter_that_is_not_there_is_named(host):
    result = host.run("one", host.bundle("one"), python="/nowhere/python3")
    assert result["failed"] and "/nowhere/python3 cannot be looked at" in result["msg"]
    assert host.names() == []


def test_a_file_that_is_no_bundle_is_refused(host):
    path = host.folder / "two.tar.gz"
    path.write_bytes(b"not a bundle")
    result = host.run("two", str(path))
    assert result["failed"] and host.names() == []


def test_what_a_killed_run_left_is_no_obstacle(host):
    host.base.mkdir()
    (host.base / ".current.new").symlink_to("releases/none")
    host.run("one", host.bundle("one"))
    assert host.current == "releases/one"


def test_undo_gives_the_previous_release_back(host, run_module):
    host.run("one", host.bundle("one"))
    record = host.folder / "undo/20260101T000000Z-aaaa"
    host.run("two", host.bundle("two"), undo_dir=str(record))
    assert host.current == "releases/two"
    assert run_module("rtc_undo", {"path": str(host.folder / "undo")})["changed"]
    assert host.current == "releases/one"


@pytest.fixture
def base(tmp_path):
    """Four releases, the last of them running."""
    for number in range(1, 5):
        path = tmp_path / "base/releases" / f"r{number}"
        path.mkdir(parents=True)
        os.utime(path, (number, number))
    (tmp_path / "base/current").symlink_to("releases/r4")
    return tmp_path / "base"


def install(run_module, base, name, run="20260103T000000Z-cccc", **more):
    (base / "releases" / name).mkdir(exist_ok=True)
    undo = str(base.parent / "undo" / run)
    return run_module(
        "rtc_release", {"base": str(base), "name": name, "python_version": "3.11", "undo_dir": undo, **more}
    )


def releases(base):
    return sorted(os.listdir(base / "releases"))


def test_the_newest_stay(run_module, base):
    assert install(run_module, base, "r3")["changed"] is True
    assert os.readlink(base / "current") == "releases/r3"
    assert releases(base) == ["r3", "r4"]


def test_what_an_undo_record_names_stays(run_module, base):
    """Run after run switched: undoing any of them finds its release."""
    for number, name in enumerate(("r1", "r2", "r4", "r2")):
        assert install(run_module, base, name, f"2026010{number + 1}T000000Z-aaaa", keep=1)["changed"] is True
    assert releases(base) == ["r1", "r2", "r4"]
    for name in sorted(os.listdir(base.parent / "undo"), reverse=True):
        restore.restore(str(base.parent / "undo" / name))
        assert (base / "current").exists()


def test_records_and_releases_go_together(run_module, base):
    for number, name in enumerate(("r1", "r2", "r4", "r1")):
        install(run_module, base, name, f"2026010{number + 1}T000000Z-aaaa", keep=1, undo_keep=1)
    assert releases(base) == ["r1", "r4"]
    records = sorted(os.listdir(base.parent / "undo"))
    assert records == ["20260101T000000Z-aaaa", "20260104T000000Z-aaaa"]  # the first for this link, and the newest


def test_the_preview_removes_nothing(run_module, base):
    args = {"base": str(base), "name": "r3", "python_version": "3.11", "keep": 1}
    assert run_module("rtc_release", args, check=True)["changed"] is True
    assert releases(base) == ["r1", "r2", "r3", "r4"]
