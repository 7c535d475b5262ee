# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The undo record."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files, _undo
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


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
