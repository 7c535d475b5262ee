# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bundles: the same bytes from the same input, and nothing used of one that is not exactly as it was built."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._release import bundle, release
from ansible_collections.collab.rtc.plugins.plugin_utils._release.source import BundleError, Target
from ansible_collections.collab.rtc.tests.unit.small_index import PLATFORM

TARGETS = [Target("3.10", "x86_64"), Target("3.11", "x86_64"), Target("3.11", "aarch64")]


@pytest.fixture
def built(index, tmp_path):
    """A bundle."""
    path = tmp_path / "rtc-server.tar"
    assert bundle.build(index.source, TARGETS, str(tmp_path / "cache"), str(path)) is True
    return path


def read_members(path):
    """Name and content of each member."""
    with tarfile.open(path) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar.getmembers()]


def write_members(path, members):
    """A tar archive of those members, in their order; links where the content is None."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(info, io.BytesIO(content or b""))


def refuse(path, *words):
    """Both readers refuse the file, with those words and a remedy."""
    for read in (lambda: bundle.check(str(path)), lambda: bundle.read_wheels(str(path), TARGETS[1])):
        with pytest.raises(BundleError) as caught:
            read()
        text = str(caught.value)
        assert all(word in text for word in [*words, str(path)]), text
        assert caught.value.remedy


def test_the_same_input_gives_the_same_bytes(index, built, tmp_path):
    other = tmp_path / "elsewhere" / "b.tar"
    other.parent.mkdir()
    assert bundle.build(index.source, reversed(TARGETS), str(tmp_path / "another cache"), str(other)) is True
    assert other.read_bytes() == built.read_bytes()
    assert bundle.build(index.source, TARGETS, str(tmp_path / "cache"), str(built)) is False
    assert sorted(index.asked) == sorted([target.tag for target in TARGETS] * 2), "the cache was used"


def test_another_input_gives_another_name(index, built, tmp_path):
    before = bundle.check(str(built))
    Path(index.source, "src/rtc_server/new.py").write_text("1\n")
    assert bundle.build(index.source, TARGETS, str(tmp_path / "cache"), str(built)) is True
    after = bundle.check(str(built))
    assert before.find_release(TARGETS[0]) != after.find_release(TARGETS[0])


def test_what_a_bundle_says_of_itself(built):
    opened = bundle.check(str(built))
    assert bundle.open_bundle(str(built)) == opened
    assert opened.version == "1.2.3"
    assert opened.find_release(TARGETS[1]) == f"1.2.3-cp311-x86_64-{opened.digest}"
    assert opened.targets["cp310-x86_64"] == (
        f"fast-2.0-cp310-cp310-{PLATFORM}.whl",
        "lib_a-1.0-py3-none-any.whl",
        "rtc_server-1.2.3-py3-none-any.whl",
    )
    with pytest.raises(BundleError, match=r"nothing for Python 3\.12 \(x86_64\); it is for Python 3\.10 \(x86_64\), "):
        opened.find_release(Target("3.12", "x86_64"))


def test_it_gives_the_release_that_the_collection_would_build(index, built, tmp_path):
    for target in TARGETS:
        from_bundle = release.build_from(str(built), target, str(tmp_path / "one"))
        own = release.build_own(index.source, target, str(tmp_path / "two"))
        assert Path(from_bundle).name == Path(own).name
        assert Path(from_bundle).read_bytes() == Path(own).read_bytes()


def test_the_list_of_contents(built):
    listed = json.loads(dict(read_members(built))[bundle.CONTENTS])
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.6")
    server = listed["metadata"]["component"]
    assert (server["name"], server["version"], len(server["components"])) == ("rtc-server", "1.2.3", 1)
    found = {one["purl"]: one for one in listed["components"]}
    assert set(found) == {"pkg:pypi/fast@2.0", "pkg:pypi/lib-a@1.0"}
    assert found["pkg:pypi/fast@2.0"]["licenses"] == [{"expression": "MIT"}]
    digests = {
        file["name"]: file["hashes"][0]["content"] for one in [server, *found.values()] for file in one["components"]
    }
    files = bundle.check(str(built)).files
    assert digests == {name.partition("/")[2]: known[1] for name, known in files.items() if name.startswith("wheels/")}
    needs = {one["ref"]: one["dependsOn"] for one in listed["dependencies"]}
    assert needs["pkg:pypi/rtc-server@1.2.3"] == ["pkg:pypi/lib-a@1.0"]
    assert needs["pkg:pypi/lib-a@1.0"] == [], "an extra is no need"


def test_a_bundle_with_one_bit_changed_is_refused_or_the_same(built, tmp_path):
    """Anywhere: in the headers of the archive, too, where some bytes mean nothing."""
    data, whole = built.read_bytes(), read_members(built)
    damaged, refused = tmp_path / "damaged.tar", 0
    for place in range(0, len(data), 97):
        damaged.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            bundle.check(str(damaged))
        except BundleError:
            refused += 1
        else:
            assert read_members(damaged) == whole, place
    assert refused > 10


def test_a_bundle_that_ends_early_is_refused_wherever_it_ends(built, tmp_path):
    data = built.read_bytes()
    end = len(data.rstrip(b"\0"))
    short = tmp_path / "short.tar"
    for size in {*range(0, end, 509), *range(0, end, 512)}:
        short.write_bytes(data[:size])
        refuse(short)


def test_each_file_is_needed_and_no_other(built, tmp_path):
    members, other = read_members(built), tmp_path / "other.tar"
    for name, content in members[1:]:
        write_members(other, [member for member in members if member[0] != name])
        refuse(other, f"is incomplete: {name} is missing")
        write_members(other, [(one, text + b"x" if one == name else text) for one, text in members])
        refuse(other, f"is damaged: {name} is not what")
        write_members(other, [(one, None if one == name else text) for one, text in members])
        refuse(other, f"is damaged: {name} is not what")
        write_members(other, [*members, (name, content)])
        refuse(other, f"is damaged: {name} is not what")
    for name in ("wheels/more.whl", "../outside", "/etc/cron.d/x", "wheels/../../x"):
        write_members(other, [*members, (name, b"1")])
        refuse(other, f"is damaged: {name} is not what")


def change_manifest(path, members, change):
    """The bundle with another manifest, whose digest is right."""
    manifest = json.loads(members[0][1])
    change(manifest)
    write_members(path, [(bundle.MANIFEST, bundle._render_manifest(manifest)), *members[1:]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda known: known.update(project="collab.other/server"), "another project: 'collab.other/server'"),
        (lambda known: known.pop("project"), "another project: 'None'"),
        (lambda known: known.update(format=2), "has format 2"),
        (lambda known: known.update(version="../../etc"), "its version is '../../etc'"),
        (lambda known: known.update(source="x/../../y"), "is damaged"),
        (lambda known: known.update(targets=[]), "is damaged"),
        (lambda known: known.update(targets={"ruby": []}), "is damaged"),
        (lambda known: known.update(files={"a": 1}), "is damaged"),
        (lambda known: known["targets"]["cp311-x86_64"].pop(0), "fast==2.0 is missing for Python 3.11 (x86_64)"),
        (lambda known: known["targets"]["cp311-x86_64"].append("evil-1-py3-none-any.whl"), "evil-1-py3-none-any.whl"),
    ],
)
def test_what_is_of_others_is_refused(built, tmp_path, change, words):
    other = tmp_path / "other.tar"
    change_manifest(other, read_members(built), change)
    refuse(other, words)


@pytest.mark.parametrize("content", [b"", b"bundle", b"\x1f\x8b\x08\0gzip", b"bundle.json\0" + b"\0" * 2000, b"[]"])
def test_what_is_no_bundle_is_refused(tmp_path, content):
    path = tmp_path / "some.tar"
    path.write_bytes(content)
    refuse(path)


def test_the_archive_of_another_project_is_no_damaged_bundle(tmp_path):
    path = tmp_path / "some.tar"
    write_members(path, [("README", b"hello"), ("bundle.json", b"{}")])
    refuse(path, "is no bundle of the RTC server", "does not begin with bundle.json")


def test_a_bundle_that_cannot_be_read_or_written_is_named(index, tmp_path):
    refuse(tmp_path / "none.tar", "cannot be read: No such file")
    path = tmp_path / "nowhere" / "x.tar"
    with pytest.raises(BundleError, match=r"nowhere/x\.tar cannot be written: there is no directory .*/nowhere\."):
        bundle.build(index.source, TARGETS[:1], str(tmp_path / "cache"), str(path))
    assert not (tmp_path / "cache").exists()  # the packages take minutes


@pytest.mark.parametrize(("make", "why"), [(os.mkdir, "directory"), (os.mkfifo, "pipe or device")])
def test_a_bundle_takes_the_place_of_files_only(index, tmp_path, make, why):
    """As root it would take that of /dev/null; and who reads a pipe, to compare, waits."""
    path = tmp_path / "x.tar"
    make(path)
    before = path.stat().st_ino
    with pytest.raises(BundleError, match=f"x.tar cannot be written: it is a {why}"):
        bundle.build(index.source, TARGETS[:1], str(tmp_path / "cache"), str(path))
    assert path.stat().st_ino == before and not (tmp_path / "cache").exists()
