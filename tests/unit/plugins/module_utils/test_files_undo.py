# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writing whole files, and the undo record."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files, _undo
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


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


def test_undo_gives_everything_back(tmp_path):
    record = str(tmp_path / "undo")
    changed, made, linked = tmp_path / "changed", tmp_path / "made", tmp_path / "linked"
    changed.write_bytes(b"before")
    changed.chmod(0o640)
    (tmp_path / "r1").mkdir()
    (tmp_path / "r2").mkdir()
    linked.symlink_to("r1")
    for path in (changed, made, linked, changed):
        _undo.record(record, str(path))
    _files.write_atomic(str(changed), b"after")
    changed.chmod(0o600)
    made.write_bytes(b"new")
    linked.unlink()
    linked.symlink_to("r2")

    assert sorted(_undo.restore(record)) == sorted(map(str, (changed, made, linked)))
    assert changed.read_bytes() == b"before"
    assert stat.S_IMODE(changed.stat().st_mode) == 0o640
    assert not made.exists()
    assert os.readlink(linked) == "r1"
    assert _undo.restore(record) == []


def test_the_first_state_counts_not_the_latest(tmp_path):
    record, path = str(tmp_path / "undo"), tmp_path / "file"
    path.write_bytes(b"1")
    _undo.record(record, str(path))
    path.write_bytes(b"2")
    _undo.record(record, str(path))
    path.write_bytes(b"3")
    _undo.restore(record)
    assert path.read_bytes() == b"1"


def test_an_entry_cut_short_by_a_kill_is_left_out(tmp_path):
    record, path = str(tmp_path / "undo"), tmp_path / "file"
    path.write_bytes(b"1")
    _undo.record(record, str(path))
    with open(os.path.join(record, _undo.MANIFEST), "a", encoding="utf-8") as file:
        file.write('{"path": "/et')
    assert [entry["path"] for entry in _undo.entries(record)] == [str(path)]


def test_a_lost_copy_stops_the_undo_before_it_changes_anything(tmp_path):
    record, one, two = str(tmp_path / "undo"), tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.write_bytes(b"1")
        _undo.record(record, str(path))
        path.write_bytes(b"2")
    os.unlink(os.path.join(record, _undo.entries(record)[0]["copy"]))
    with pytest.raises(RtcError, match=str(one)):
        _undo.restore(record)
    assert two.read_bytes() == b"2"


def test_no_record_is_said(tmp_path):
    with pytest.raises(RtcError, match="no undo record"):
        _undo.restore(str(tmp_path / "none"))


def test_without_a_directory_nothing_is_recorded(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1")
    _undo.record(None, str(path))
    assert os.listdir(tmp_path) == ["file"]
