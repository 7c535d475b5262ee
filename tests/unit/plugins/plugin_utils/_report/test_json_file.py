# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan and report as files of the controller."""

from __future__ import annotations

import errno
import json
import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.plugin_utils._report import json_file


def write(path, data):
    json_file.write_json(str(path), data, "report", "rtc_report_file")


def test_the_file_is_the_owners_alone_and_ends_with_a_line_break(tmp_path):
    path = tmp_path / "report.json"
    old = os.umask(0)
    try:
        write(path, {"b": 1, "a": "ä"})
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "ä", "b": 1}
    assert path.read_text(encoding="utf-8").endswith("}\n")


def test_a_file_that_others_could_read_is_replaced_by_one_that_they_cannot(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    write(path, {})
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["report.json"]


def test_the_home_directory_and_a_name_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write("~/report.json", {})
    monkeypatch.chdir(tmp_path)
    write("other.json", {})
    assert sorted(os.listdir(tmp_path)) == ["other.json", "report.json"]


def test_data_that_is_no_json_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "report.json"
    write(path, {"old": True})
    with pytest.raises(TypeError):
        write(path, {"new": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"old": True}
    assert os.listdir(tmp_path) == ["report.json"]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("missing/report.json", "there is no directory .*/missing"),
        ("file/report.json", "file is not a directory"),
        ("directory", "directory: it is a directory"),
        ("pipe", "pipe: it is a pipe or device, and no file"),
        ("device", "device: it is a pipe or device, and no file"),  # as /dev/stdout is, which is a link, too
    ],
)
def test_a_path_that_cannot_be_written_is_explained(tmp_path, name, cause):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    with pytest.raises(RtcError, match=f"^The report cannot be written to .*{cause}. Correct rtc_report_file.$"):
        write(tmp_path / name, {})
    assert sorted(os.listdir(tmp_path)) == ["device", "directory", "file", "pipe"]
    assert (tmp_path / "device").is_symlink() and (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.EACCES, "the user who runs Ansible may not write to"),
        (errno.EROFS, "Read-only file system"),
        (errno.ENOSPC, "No space left"),
    ],
)
def test_what_the_system_refuses_is_explained(tmp_path, monkeypatch, number, cause):
    def refuse(*_args, **_more):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(json_file.os, "replace", refuse)
    with pytest.raises(RtcError, match=f"{cause}.* Correct rtc_report_file"):
        write(tmp_path / "report.json", {})
    assert os.listdir(tmp_path) == []
