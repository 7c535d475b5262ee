# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be taken back keeps nothing else from it."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apply import Step, take_back
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import DesiredFile
from ansible_collections.collab.rtc.plugins.module_utils._proxy.certificates import Certificates
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._undo import records


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


def test_a_run_that_was_given_up_takes_nothing_back(tmp_path):
    """It waits for the server, and meanwhile the next run has written the same files."""
    path, directory = tmp_path / "rtc.conf", str(tmp_path / "undo")
    path.write_text("old")
    step = Step(str(path), DesiredFile(str(path), b"new"))
    vhost = VhostPlan("wiki", "nginx", "rtc", "rtc", "wiki.example.com", ["*"], 9083, [], certificate=str(path))
    written = Certificates(directory, [vhost])
    records.record(directory, str(path), b"new")
    records.end_run(directory, for_good=True)
    path.write_text("of the next run")
    assert "was given up on this host" in take_back([step], directory)
    for act in (written.take_back, written.bring):
        with pytest.raises(RtcError, match="was given up on this host"):
            act(["wiki"])
    assert path.read_text() == "of the next run"
