#!/usr/bin/env python3
# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All tests of the RTC server in their long form; ends with the figures.

python tests/rtc_server/run_all.py [pytest options]

The long form plays 3,000 histories of the model, kills the server 60 times under load, has 1,000 members that never read,
tries some 20,000 hostile inputs, opens each state that a crash can leave of the journal (crash/README.md), plays every
attack on both event loops (hostile/README.md), and soaks for five minutes. Set HYPOTHESIS_PROFILE, RTC_KILLS, RTC_SILENT,
RTC_FUZZ or RTC_SOAK for other numbers, RTC_CRASH, RTC_HOSTILE or RTC_CLUSTER for another form; plain
``pytest tests/rtc_server`` is the short form.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LONG = {
    "HYPOTHESIS_PROFILE": "thorough",
    "RTC_KILLS": "60",
    "RTC_SILENT": "1000",
    "RTC_FUZZ": "4000",
    "RTC_CRASH": "long",
    "RTC_HOSTILE": "long",
    "RTC_CLUSTER": "long",
    "RTC_SOAK": "5",
    "PYTEST_TIMEOUT": "5400",  # the enumeration of the journal's crash states is one test for each state of the log
}


def main() -> int:
    """The exit status of pytest."""
    environment = {**LONG, **os.environ}
    print("RTC server, long form:", ", ".join(f"{name}={environment[name]}" for name in LONG), flush=True)
    here = Path(__file__).resolve().parent
    command = [sys.executable, "-m", "pytest", str(here), "-q", *sys.argv[1:]]
    return subprocess.run(command, env=environment, cwd=here.parent.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
