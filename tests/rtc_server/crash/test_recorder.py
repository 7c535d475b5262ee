# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that reaches the disk escapes the recorder: what it wrote down, played again, is the directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crash import old, record, trace
from crash.disk import Disk, volatile
from crash.scenarios import SCENARIOS
from crash.trace import Mode, Op

EVERY_CALL = """
import ctypes, mmap, os, sys
from pathlib import Path
from crash.trace import Mode, Op, Shim
place, log = Path(sys.argv[1]), Path(sys.argv[2])
shim = Shim()
shim.start(place, log)
libc = ctypes.CDLL(None, use_errno=True)
at = os.fsencode(place) + b"/"
file = os.open(place / "a", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
os.write(file, b"one"); os.writev(file, [b"two", b"three"]); os.pwrite(file, b"TWO", 3)
os.pwritev(file, [b"x" * 5000, b"y"], 4096); os.ftruncate(file, 7000); os.posix_fallocate(file, 0, 9000)
other = os.dup(file); os.write(other, b"dup"); os.dup2(file, 99); os.pwrite(99, b"dup2", 20); os.close(99)
appending = os.open("a", os.O_WRONLY | os.O_APPEND, dir_fd=(directory := os.open(place, os.O_RDONLY)))
os.write(appending, b"at the end")
os.fsync(file); os.fdatasync(file); os.fsync(directory)
with open(place / "b", "wb", buffering=7) as b:
    b.write(b"0123456789" * 100); b.seek(3); b.write(b"seek")
os.truncate(place / "b", 900)
os.link(place / "b", place / "c"); os.rename(place / "c", place / "d"); os.replace(place / "b", place / "a2")
os.chdir(place); os.rename("d", "e"); os.unlink("a2"); libc.remove(at + b"nothing")
raw = libc.creat64(at + b"f", 0o600); libc.pwrite64(raw, b"libc", 4, ctypes.c_long(5)); libc.close(raw)
try:
    direct = os.open("g", os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_DSYNC, 0o600)
    with mmap.mmap(-1, 8192) as page:
        page[:] = b"d" * 8192
        os.pwrite(direct, page, 4096)
except OSError as exc:
    print(exc.errno)
import shutil; shutil.copy("a", "h")
for mode in Mode:
    shim.arm(Op.WRITE, 1, 5, mode)
    try:
        os.pwrite(file, bytes([65 + mode]) * 2048, 2048 * mode)
    except OSError as exc:
        assert exc.errno == 5 and mode != Mode.SHORT
    assert shim.disarm() == 1
shim.stop()
os.write(file, b"not seen")
"""


def _played(calls: list[trace.Call], before: dict[str, bytes]) -> Disk:
    disk = Disk(before)
    for call in calls:
        disk.issue(call)
        disk.complete(call)
    return disk


def test_every_way_to_write(library: Path, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    command = [sys.executable, "-c", EVERY_CALL, str(place), str(tmp_path / "trace")]
    subprocess.run(command, env=record.environment(library), check=True)
    calls = trace.read(tmp_path / "trace")
    real = record.content(place)
    seen = _played(calls, {}).live()
    assert seen.keys() == real.keys() and len(real["a"]) == 9010
    for name in real.keys() - {"a"}:
        assert seen[name] == real[name], name
    place_of_the_last = real["a"].index(b"not seen")
    assert (
        seen["a"]
        == real["a"][:place_of_the_last] + seen["a"][place_of_the_last:][:8] + real["a"][place_of_the_last + 8 :]
    )
    assert [call.mode for call in calls if call.mode] == list(Mode)
    assert {Op.OPEN, Op.WRITE, Op.TRUNCATE, Op.SYNC, Op.RENAME, Op.UNLINK, Op.LINK, Op.ALLOCATE, Op.CLOSE, Op.DUP} <= {
        call.op for call in calls
    }


@pytest.mark.parametrize("scenario", [*SCENARIOS, *old.VERSIONS])
def test_the_trace_is_the_directory(library: Path, tmp_path: Path, scenario: str) -> None:
    """SQLite's own calls and the log's, past the page cache or through it."""
    run = record.recorded(scenario, library, tmp_path)
    played = _played(run.calls, run.before).live()
    real = {path: data for path, data in run.after.items() if not volatile(path)}
    assert played.keys() == real.keys()
    assert [path for path in real if played[path] != real[path]] == []
    writes = {call.path: call.flags for call in run.calls if call.op is Op.OPEN}
    assert any(path.endswith("-wal") for path in writes), "SQLite was not seen"
    logs = [flags for path, flags in writes.items() if "-log" in path or "-wal" not in path]
    assert any(flags & os.O_DSYNC for flags in logs), "the log was not seen"
