# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be taken back keeps nothing else from it."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy.apply import Step, take_back
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import DesiredFile


def test_what_cannot_be_taken_back_is_named_and_the_rest_is(tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    first, lost, last = (folder / "rtc.conf" for folder in folders)
    for path in (first, lost):
        path.write_text("old")
    steps = [Step(str(path), DesiredFile(str(path), b"new")) for path in (first, lost, last)]
    for step in steps:
        step.apply()
    lost.unlink()
    folders[1].rmdir()
    folders[1].write_text("somebody's")
    words = take_back(steps)
    assert words.startswith(f"{lost} could not be given back: ")
    assert first.read_text() == "old"
    assert not last.exists()
