# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The undo record."""

from __future__ import annotations

import json
import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore


def test_undo_gives_everything_back(tmp_path):
    record = str(tmp_path / "undo")
    changed, made, linked = tmp_path / "changed", tmp_path / "made", tmp_path / "linked"
    changed.write_bytes(b"before")
    changed.chmod(0o640)
    (tmp_path / "r1").mkdir()
    (tmp_path / "r2").mkdir()
    linked.symlink_to("r1")
    for path in (changed, made, linked, changed):
        records.record(record, str(path), b"")
    _files.write_atomic(str(changed), b"after")
    changed.chmod(0o600)
    made.write_bytes(b"new")
    linked.unlink()
    linked.symlink_to("r2")

    assert sorted(restore.restore(record).paths) == sorted(map(str, (changed, made, linked)))
    assert changed.read_bytes() == b"before"
    assert stat.S_IMODE(changed.stat().st_mode) == 0o640
    assert not made.exists()
    assert os.readlink(linked) == "r1"
    assert restore.restore(record).paths == []


def test_the_first_state_counts_not_the_latest(tmp_path):
    record, path = str(tmp_path / "undo"), tmp_path / "file"
    path.write_bytes(b"1")
    records.record(record, str(path), b"")
    path.write_bytes(b"2")
    records.record(record, str(path), b"")
    path.write_bytes(b"3")
    restore.restore(record)
    assert path.read_bytes() == b"1"


def test_an_entry_cut_short_by_a_kill_is_left_out(tmp_path):
    record, path = str(tmp_path / "undo"), tmp_path / "file"
    path.write_bytes(b"1")
    records.record(record, str(path), b"")
    with open(os.path.join(record, records.MANIFEST), "a", encoding="utf-8") as file:
        file.write('{"path": "/et')
    assert [entry["path"] for entry in records.entries(record)] == [str(path)]


def test_a_lost_copy_stops_the_undo_before_it_changes_anything(tmp_path):
    record, one, two = str(tmp_path / "undo"), tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        path.write_bytes(b"1")
        records.record(record, str(path), b"")
        path.write_bytes(b"2")
    os.unlink(os.path.join(record, records.entries(record)[0]["copy"]))
    with pytest.raises(RtcError, match=str(one)):
        restore.restore(record)
    assert two.read_bytes() == b"2"


def test_no_record_is_said(tmp_path):
    with pytest.raises(RtcError, match="no undo record"):
        restore.restore(str(tmp_path / "none"))


def test_without_a_directory_nothing_is_recorded(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1")
    records.record(None, str(path), b"")
    assert os.listdir(tmp_path) == ["file"]


# Directories that are others than when the record was made.

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who gives files to others")


@pytest.fixture
def changed(tmp_path):
    """A file of another user in his directory, recorded and changed: the record and the file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "setenv.sh"
    file.write_bytes(b"before")
    for path in (folder, file):
        os.chown(path, 65534, 65534)
    records.record(str(tmp_path / "undo"), str(file), b"")
    file.write_bytes(b"after")
    return str(tmp_path / "undo"), file


def strip_walk(record):
    """As 0.1.0 wrote it."""
    lines = []
    for entry in records.entries(record):
        entry.pop("walk")
        entry.pop("owner", None)
        lines.append(json.dumps(entry) + "\n")
    with open(os.path.join(record, records.MANIFEST), "w", encoding="ascii") as file:
        file.writelines(lines)


@needs_root
def test_another_directory_of_the_same_owner_is_only_reported(changed):
    record, file = changed
    file.parent.rename(file.parent.with_name("old"))
    file.parent.mkdir()
    os.chown(file.parent, 65534, 65534)
    notes = []
    assert restore.restore(record, notes).paths == [str(file)]
    assert notes == [f"{file.parent} is another directory than when {file} was recorded."]
    assert (file.read_bytes(), file.stat().st_uid) == (b"before", 65534)


@needs_root
@pytest.mark.parametrize("old", [False, True], ids=["record", "record of 0.1.0"])
def test_a_link_to_a_directory_of_another_gets_nothing(changed, tmp_path, old):
    record, file = changed
    if old:
        strip_walk(record)
    file.parent.rename(file.parent.with_name("old"))
    (tmp_path / "profile.d").mkdir()
    file.parent.symlink_to(tmp_path / "profile.d")
    os.chown(file.parent, 65534, -1, follow_symlinks=False)
    for act in (restore.restore, lambda record: restore.differs(record, records.entries(record)[0])):
        with pytest.raises(RtcError, match="is not followed"):
            act(record)
    assert os.listdir(tmp_path / "profile.d") == []


@needs_root
def test_a_directory_of_another_owner_gets_nothing_and_the_rest_is_given_back(changed, tmp_path):
    record, file = changed
    other = tmp_path / "other"
    other.write_bytes(b"before")
    records.record(record, str(other), b"")
    other.write_bytes(b"after")
    os.chown(file.parent, 0, 0)
    with pytest.raises(RtcError, match=rf"{file.parent} belongs to root now.*Given back: {other}"):
        restore.restore(record)
    assert (file.read_bytes(), other.read_bytes()) == (b"after", b"before")


@needs_root
def test_a_record_of_0_1_0_is_given_back(changed):
    record, file = changed
    strip_walk(record)
    assert restore.restore(record).paths == [str(file)]


@needs_root
def test_a_link_is_given_back_to_its_owner(tmp_path):
    record, link, theirs = str(tmp_path / "undo"), tmp_path / "link", tmp_path / "theirs"
    theirs.mkdir()
    link.symlink_to("theirs")
    for path in (theirs, link):
        os.chown(path, 65534, -1, follow_symlinks=False)
    records.record(record, str(link), "elsewhere")
    link.unlink()
    link.symlink_to("elsewhere")
    assert restore.restore(record).paths == [str(link)]
    assert (os.readlink(link), os.lstat(link).st_uid) == ("theirs", 65534)


@needs_root
def test_a_record_that_others_can_change_is_not_used(changed):
    record, file = changed
    os.chown(record, 65534, 65534)
    for act in (restore.restore, lambda record: records.record(record, str(file.parent / "new"), b"")):
        with pytest.raises(RtcError, match="can change it"):
            act(record)
    assert file.read_bytes() == b"after"


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path):
    record, file, other = str(tmp_path / "undo"), tmp_path / "file", tmp_path / "other"
    file.write_bytes(b"before")
    records.record(record, str(file), b"")
    file.unlink()
    other.write_bytes(b"of somebody")
    file.symlink_to(other)
    assert restore.restore(record).paths == [str(file)]
    assert (file.is_symlink(), file.read_bytes(), other.read_bytes()) == (False, b"before", b"of somebody")
