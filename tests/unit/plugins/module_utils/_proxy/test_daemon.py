# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses that meet, and processes."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        ("*", "0.0.0.0", True), ("*", "192.0.2.1", True), ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("*", "::", True), ("192.0.2.1", "::", False), ("::", "2001:db8::1", True), ("[::]", "::", True),
        ("*", "2001:db8::1", False), ("127.0.0.1", "192.0.2.1", False),
    ],
)  # fmt: skip
def test_overlap(one, two, meet):
    assert daemon.overlap(one, two) is meet
    assert daemon.overlap(two, one) is meet


def test_children_and_their_start():
    with subprocess.Popen(["sleep", "600"]) as child:
        found = {pid: start for pid, start, _command in daemon.children(os.getpid())}
        assert abs(found[child.pid] - time.time()) < 60
        assert daemon.name_of(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert daemon.name_of(child.pid) == "", "only its exit code is left"
