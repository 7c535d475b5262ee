# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record a scenario: run as a program with the shim preloaded, or call :func:`recorded`, which does that.

python -m crash.record SCENARIO JOURNAL TRACE BROKEN
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import rtc_server

from . import journal_driver as jd
from . import old, scenarios
from .disk import Files
from .trace import Call, Shim, read

JOURNAL = "journal.db"


@dataclass
class Recording:
    """A scenario as it went: the directory before it, all calls, the directory after it."""

    scenario: str
    before: Files
    calls: list[Call]
    after: Files


def recorded(scenario: str, library: Path, directory: Path, broken: str = "") -> Recording:
    """Run it in a process of its own, in an empty directory; with a journal that is broken on purpose (journal_driver.BREAKAGES),
    if one is named. Raises CalledProcessError."""
    place, trace = directory / "disk", directory / "trace"
    place.mkdir()
    before = old.files(scenario) if scenario in old.VERSIONS else {}
    for name, data in before.items():
        (place / name).write_bytes(data)
    command = [sys.executable, "-m", "crash.record", scenario, str(place / JOURNAL), str(trace), broken]
    subprocess.run(command, env=environment(library), check=True)
    return Recording(scenario, before, read(trace), content(place))


def environment(library: Path) -> dict[str, str]:
    """For a Python that has the shim and these modules."""
    places = [Path(__file__).resolve().parent.parent, Path(rtc_server.__file__).resolve().parent.parent]
    return {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(map(str, places))}


def content(place: Path) -> Files:
    """The files of a directory."""
    return {file.name: file.read_bytes() for file in place.iterdir()}


def main(scenario: str, journal: str, trace: str, broken: str) -> None:
    """The recorded process."""
    jd.hurry()
    jd.small_limits()
    if broken:
        jd.BREAKAGES[broken]()
    shim = Shim()
    path = Path(journal).resolve()
    shim.start(path.parent, Path(trace))
    script = scenarios.Script(path, shim.mark)
    if scenario in old.VERSIONS:
        shim.mark(old.mark(scenario))
        scenarios.upgrade(script)
    else:
        scenarios.SCENARIOS[scenario](script)
    shim.stop()
    os._exit(0)  # as a kill: nothing is closed in order


if __name__ == "__main__":
    main(*sys.argv[1:])
