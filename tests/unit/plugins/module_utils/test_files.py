# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading and writing whole files."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files


def test_a_new_file_gets_the_mode_asked_for(tmp_path):
    path = tmp_path / "key.pem"
    _files.write_atomic(str(path), b"x", mode=0o600)
    assert path.read_bytes() == b"x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_existing_file_keeps_mode_and_owner(tmp_path):
    path = tmp_path / "server.xml"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12, 34)
    before = path.stat()
    _files.write_atomic(str(path), b"new", mode=0o600)
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    target = tmp_path / "real" / "cacerts"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link = tmp_path / "cacerts"
    link.symlink_to(target)
    assert _files.write_atomic(str(link), b"new") == str(target)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "server.xml"
    path.write_bytes(b"old")

    def no_space(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(_files.FileError, match="disk is full"):
        _files.write_atomic(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["server.xml"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "Check the path"),
        (lambda path: path.mkdir(), "not a regular file"),
    ],
    ids=["missing", "directory"],
)
def test_reading_says_what_is_wrong(tmp_path, make, words):
    path = tmp_path / "file"
    make(path)
    with pytest.raises(_files.FileError) as error:
        _files.read_bytes(str(path))
    assert str(path) in str(error.value)
    if words.startswith("Check"):
        assert words in str(error.value)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with pytest.raises(_files.FileError, match="larger than 4 bytes"):
        _files.read_bytes(str(path), limit=4)


def test_a_backup_is_a_copy_beside_the_file(tmp_path):
    path = tmp_path / "server.xml"
    path.write_bytes(b"content")
    path.chmod(0o640)
    copy = _files.backup(str(path))
    assert os.path.dirname(copy) == str(tmp_path)
    assert _files.read_bytes(copy) == b"content"
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o640
