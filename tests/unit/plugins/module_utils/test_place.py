# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which links are followed, and where a path leads."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._place import FileError, LinkError, Place

USER, OTHER = 65534, 4711
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who gives files to others")


@pytest.fixture
def descriptors():
    """Fails the test that leaves a descriptor open."""
    before = os.listdir("/proc/self/fd")
    yield
    assert os.listdir("/proc/self/fd") == before


def give(path, uid):
    os.chown(path, uid, -1, follow_symlinks=False)


@needs_root
@pytest.mark.parametrize(
    ("link", "target", "followed"),
    [(0, 0, True), (0, USER, True), (USER, USER, True), (USER, 0, False), (USER, OTHER, False)],
)
@pytest.mark.parametrize("what", ["file", "directory", "chain", "missing"])
def test_a_link_is_followed_to_what_its_owner_has(tmp_path, descriptors, link, target, followed, what):
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "file").write_bytes(b"x")
    for path in (folder, folder / "file"):
        give(path, target)
    path = tmp_path / "link"
    path.symlink_to({"file": folder / "file", "missing": folder / "new"}.get(what, folder))
    asked = path / "file" if what in ("directory", "chain") else path
    if what == "chain":  # the last link is root's, and the first one decides all the same
        path.rename(tmp_path / "second")
        path.symlink_to("second")
    give(path, link)
    if not followed:
        with pytest.raises(LinkError) as error:
            Place(str(asked))
        assert all(word in str(error.value) for word in (str(path), "nobody", "root" if target == 0 else str(OTHER)))
        return
    with Place(str(asked)) as place:
        assert place.path == str(folder / ("new" if what == "missing" else "file"))
        assert (place.info is None) == (what == "missing")


def test_the_last_link_is_not_followed_where_that_is_not_wanted(tmp_path, descriptors):
    (tmp_path / "link").symlink_to("/nowhere")
    with Place(str(tmp_path / "link"), follow=False) as place:
        assert (place.target, place.path) == ("/nowhere", str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("target", "found"),
    [("/", "/"), (".", "{0}"), ("..", "{1}"), ("../" * 60 + "tmp/..", "/"), ("./here/../here//", "{0}/here")],
)
def test_odd_links(tmp_path, descriptors, target, found):
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(target)
    with Place(str(tmp_path / "link")) as place:
        assert place.path == found.format(tmp_path, tmp_path.parent)
        assert place.info is not None
        assert place.info.st_ino == os.stat(tmp_path / "link").st_ino


@pytest.mark.parametrize(
    "path", ["loop", "loop/x", "file/x", "file/../x", "nul\0", "x" * 300, "long/" * 2000, "\udcff/x/y"]
)
def test_paths_that_lead_nowhere_are_errors_or_missing(tmp_path, descriptors, path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"")
    try:
        with Place(f"{tmp_path}/{path}") as place:
            assert len(place.missing) == path.rstrip("/").count("/") + 1
    except FileError as exc:
        assert str(tmp_path) in str(exc)


def test_a_relative_path_starts_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Place("file") as place:
        assert place.path == str(tmp_path / "file")


def test_links_stay_beneath_a_root_of_their_own(tmp_path, descriptors):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b"mine")
    (tmp_path / "etc/link").symlink_to("/../../etc/passwd")
    with Place("/etc/link", root=str(tmp_path)) as place, place.opened() as (handle, _info):
        assert os.read(handle, 10) == b"mine"


@needs_root
def test_steps_say_whose_each_name_is(tmp_path):
    (tmp_path / "real/conf").mkdir(parents=True)
    give(tmp_path / "real/conf", USER)
    (tmp_path / "app").symlink_to("real")
    with Place(str(tmp_path / "app/conf/new")) as place:
        assert place.steps[-3:] == [
            (0, os.stat(tmp_path / "real").st_ino),
            (USER, os.stat(tmp_path / "real/conf").st_ino),
            (USER, os.stat(tmp_path / "real/conf").st_ino),
        ]
        assert place.directories()[-1] == (USER, os.stat(tmp_path / "real/conf").st_ino)


def test_a_directory_that_is_moved_away_is_still_the_one(tmp_path):
    """Nothing is exchanged between the look and the use: what is done is done in the directory that was found."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/file").write_bytes(b"right")
    with Place(str(tmp_path / "conf/file")) as place:
        (tmp_path / "conf").rename(tmp_path / "away")
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf/file").write_bytes(b"wrong")
        with place.opened() as (handle, _info):
            assert os.read(handle, 10) == b"right"


def test_a_file_that_is_exchanged_after_the_look_is_refused(tmp_path, descriptors):
    (tmp_path / "file").write_bytes(b"looked at")
    (tmp_path / "other").write_bytes(b"other")
    with Place(str(tmp_path / "file")) as place:
        (tmp_path / "other").rename(tmp_path / "file")
        with pytest.raises(FileError, match="changed by something else"), place.opened():
            pass
