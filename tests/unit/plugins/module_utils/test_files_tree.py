# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories and links, and removing."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._place import FileError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who gives files to others")


def test_directories_are_made_with_the_mode_asked_for_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        assert _files_tree.make_directory(str(tmp_path / "one/two/three"), 0o750)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "one/two/three").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o755
    assert not _files_tree.make_directory(str(tmp_path / "one/two/three"), 0o700)


def test_a_file_in_the_place_of_a_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in ("file", "file/below"):
        with pytest.raises(FileError):
            _files_tree.make_directory(str(tmp_path / path))


def test_a_link_replaces_a_file_or_link_in_one_step(tmp_path):
    path = tmp_path / "current"
    for target in ("one", "two"):
        _files_tree.replace_link(str(path), target)
        assert (os.readlink(path), _files_tree.read_link(str(path))) == (target, target)
    (tmp_path / "file").write_bytes(b"")
    _files_tree.replace_link(str(tmp_path / "file"), "three")
    assert sorted(os.listdir(tmp_path)) == ["current", "file"]
    assert _files_tree.read_link(str(tmp_path / "missing")) == ""


@needs_root
def test_a_link_in_a_directory_of_another_is_his(tmp_path):
    """Or it would be followed wherever it leads, as root's."""
    os.chown(tmp_path, 65534, 65534)
    _files_tree.replace_link(str(tmp_path / "link"), "/etc")
    assert os.lstat(tmp_path / "link").st_uid == 65534
    _files_tree.replace_link(str(tmp_path / "link"), "/etc", owner=0)
    assert os.lstat(tmp_path / "link").st_uid == 0


def test_removing_follows_no_link(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_bytes(b"")
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert _files_tree.remove(str(tmp_path / "link"))
    assert not _files_tree.remove(str(tmp_path / "link"))
    assert _files_tree.remove_tree(str(tmp_path / "tree"))
    assert not _files_tree.remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path / "kept") == ["file"]
    for act in (_files_tree.remove, lambda path: _files_tree.remove_tree(path + "/file")):
        with pytest.raises(FileError, match="cannot be removed"):
            act(str(tmp_path / "kept"))


def test_names_of_a_directory(tmp_path):
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "a").mkdir()
    assert _files_tree.list_directory(str(tmp_path)) == ["a", "b"]
    assert _files_tree.list_directory(str(tmp_path / "missing")) == []
    with pytest.raises(FileError):
        _files_tree.list_directory(str(tmp_path / "b"))


@needs_root
@pytest.mark.parametrize("how", ["owner", "group", "everybody", "above"])
def test_a_directory_that_somebody_else_can_change_keeps_nothing_of_ours(tmp_path, how):
    path = tmp_path / "above/record"
    path.mkdir(parents=True)
    _files_tree.require_own(str(path), "The undo record")
    if how == "owner":
        os.chown(path, 65534, 0)
    elif how == "group":
        os.chown(path, 0, 65534)
        path.chmod(0o770)
    elif how == "everybody":
        path.chmod(0o777)
    else:
        os.chown(path.parent, 65534, 0)
    with pytest.raises(FileError, match=r"The undo record cannot be kept in .* can change it"):
        _files_tree.require_own(str(path), "The undo record")


def test_a_hidden_directory_has_a_name_that_nobody_guesses(tmp_path):
    one, other = (_files_tree.make_hidden_directory(str(tmp_path), "check") for _number in range(2))
    assert one != other
    assert stat.S_IMODE(os.stat(one).st_mode) == 0o700
    _files_tree.rename(one, "named")
    assert sorted(os.listdir(tmp_path)) == [os.path.basename(other), "named"]
