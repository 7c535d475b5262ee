# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals as older versions of the server left them, in ``old/``: a file for each, made once by :func:`make` with that version.

Each is a zip of the journal's files and of ``mark.json``, what is acknowledged in it (check.py). To keep today's: ``python -m crash.old``
in tests/rtc_server, with the server's sources on the path.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from . import journal_driver as jd
from . import scenarios
from .disk import Files

PLACE = Path(__file__).with_name("old")
VERSIONS = sorted(path.stem for path in PLACE.glob("*.zip"))
_MARK = "mark.json"


def files(name: str) -> Files:
    """The journal's files."""
    with zipfile.ZipFile(PLACE / f"{name}.zip") as archive:
        return {entry: archive.read(entry) for entry in archive.namelist() if entry != _MARK}


def mark(name: str) -> Any:
    """What is acknowledged in it."""
    with zipfile.ZipFile(PLACE / f"{name}.zip") as archive:
        return json.loads(archive.read(_MARK))


def make(name: str, journal: Path, kept: list[list[Any]]) -> None:
    """Keep a journal as that of a version. ``kept``: as in the marks."""
    PLACE.mkdir(exist_ok=True)
    with zipfile.ZipFile(PLACE / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(journal.parent.glob(journal.name + "*")):
            if not file.name.endswith(("-shm", ".lock")):
                archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes(), zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo(_MARK), json.dumps({"kept": kept}))


def make_current(directory: Path) -> None:
    """Keep journals of the version that is installed, one stopped and one killed with something waiting: before the version changes."""
    for end in ("stopped", "killed"):
        path = directory / end / "journal.db"
        path.parent.mkdir()
        said: list[Any] = []
        script = scenarios.Script(path, said.append)
        script.open()
        script.commit(*(script.change("pq"[n % 2], 300) for n in range(5)))
        script.driver.rest()
        script.commit(*(script.change("pq"[n % 2], 900) for n in range(5)))
        script.commit(script.change("r"))
        script.driver.stop() if end == "stopped" else script.driver.kill()
        make(f"v{jd.LAST_VERSION}_{end}", path, [row for mark in said for row in mark.get("kept", ())])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        jd.small_limits()
        make_current(Path(name))
