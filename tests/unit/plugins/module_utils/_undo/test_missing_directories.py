# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file whose directories did not exist either is what is recorded, not the outermost of its directories."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils import _files, _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore


def test_files_in_directories_that_are_made_are_removed_again(tmp_path):
    record = str(tmp_path / "undo" / "20260101T000000Z-abcd")
    paths = [str(tmp_path / "made" / "deeper" / name) for name in ("one", "two")]
    for path in paths:
        records.record(record, path, b"")
        _files_tree.make_directory(str(tmp_path / "made" / "deeper"))
        _files.write_atomic(path, b"new")

    assert [entry["path"] for entry in records.entries(record)] == paths
    assert sorted(restore.restore(record).paths) == sorted(paths)
    assert not (tmp_path / "made").exists()
