# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixed load with attacks, kills, stops and backups: nothing is lost, memory and descriptors stay flat.

``RTC_SOAK``: how many minutes (0.6; ``make soak``: 60).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from soak import Soak

MINUTES = float(os.environ.get("RTC_SOAK", "0.6"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and descriptors are read from /proc")
async def test_nothing_is_lost_and_nothing_grows(tmp_path: Path) -> None:
    await Soak(tmp_path, MINUTES * 60).run()
