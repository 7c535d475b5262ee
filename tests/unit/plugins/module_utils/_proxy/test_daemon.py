# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes."""

from __future__ import annotations

import os
import subprocess
import time

from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon


def test_children_and_their_start():
    with subprocess.Popen(["sleep", "600"]) as child:
        found = {pid: start for pid, start, _command in daemon.children(os.getpid())}
        assert abs(found[child.pid] - time.time()) < 60
        assert daemon.name_of(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert daemon.name_of(child.pid) == "", "only its exit code is left"
