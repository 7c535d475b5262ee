# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real file system that is full: small ones, made for the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash import journal_driver
from crash.check import compare, expected
from crash.record import JOURNAL
from crash.scenarios import Script

_SIZE = 24 << 20
_FILL = 1 << 20
_PATIENCE = 5.0  # seconds: it tries again after ten times what the last attempt took


def _mounted(kind: str, directory: Path) -> list[str]:
    """The command that mounts such a file system there."""
    if kind == "tmpfs":
        return ["mount", "-t", "tmpfs", "-o", f"size={_SIZE // 2}", "crash", str(directory)]
    image = directory.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(_SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    return ["mount", "-o", "loop", str(image), str(directory)]


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    if request.param == "ext4" and shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 makes the file system, and there is none")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(_mounted(request.param, place), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is left."""
    filler = disk / "filler"
    size = _FILL
    with filler.open("wb", buffering=0) as file:
        while size >= 512:
            try:
                if file.write(bytes(size)) < size:
                    size //= 2
            except OSError:
                size //= 2
        os.fsync(file.fileno())
    return filler


@pytest.mark.parametrize("filed", [0, 1, 3])
def test_a_full_disk_is_no_end(disk: Path, filed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some changes, each filed; the disk is full; a batch does not fit; there is room again: it is taken, and nothing is lost."""
    monkeypatch.setattr("rtc_server.journal.writer.RETRY", 0.0)
    said: list[object] = []
    script = Script(disk / JOURNAL, said.append)
    script.strict = False
    script.open()
    for _ in range(filed):
        script.commit(script.change())
        script.driver.rest()
    filler = fill(disk)
    requests = [script.change(size=200_000) for _ in range(3)]
    refused = [outcome.code for outcome in script.commit(*requests)]
    assert refused == ["unavailable"] * 3
    for _ in range(3):
        script.driver.probe()
    filler.unlink()
    os.sync()  # blocks of a deleted file are free once that is in the file system's journal
    try:
        deadline = time.monotonic() + _PATIENCE
        while any(outcome.code for outcome in script.commit(*requests)) and time.monotonic() < deadline:
            time.sleep(0.1)
            script.driver.probe()
        script.driver.require()
        assert compare(script.driver, expected(said)) == []
        script.driver.stop()
        assert journal_driver.verify_journal(script.path) == []
    finally:
        script.driver.kill()
