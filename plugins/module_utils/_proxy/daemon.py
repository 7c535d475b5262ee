# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses and processes of a running proxy server."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

# Two clocks are compared, file times and process starts; both are good to a hundredth of a second.
CLOCK_SLACK = 0.03


def find_newest(paths: list[str]) -> float:
    """When the last of some files changed: the later of its content and its inode, links themselves included."""
    times = [0.0]
    for path in paths:
        for info in (os.lstat(path), os.stat(path)) if os.path.exists(path) else ():
            times += [info.st_mtime, info.st_ctime]
    return max(times)


def name_of(pid: int) -> str:
    """The name of a running process, empty when there is none, or only its exit code that nobody has asked for yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            start, _bracket, rest = file.read().rpartition(")")
    except OSError:
        return ""
    return "" if rest.split()[:1] in (["Z"], ["X"]) else start.partition("(")[2]


def running(names: Collection[str]) -> set[str]:
    """Which of some programs have a process now."""
    return {name_of(pid) for pid in list_pids()} & set(names)


def read_pid(path: str, names: tuple[str, ...]) -> int:
    """The process of a pid file when it lives and is one of these programs, else 0."""
    try:
        pid = int(_files.read_bytes(path, 4096).split()[0])
    except (RtcError, ValueError, IndexError):
        return 0
    return pid if name_of(pid) in names else 0


def started(pid: int) -> float:
    """When a process was started, in seconds since the epoch, good to 0.02 s; 0 when it is gone."""
    return next((_compute_start(ticks) for ticks in read_fields(pid, 19)), 0.0)


def descriptors(pid: int, hard: bool = False) -> int:
    """How many files a process may have open, or may raise that to; 0 when that may not be seen."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/limits", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("Max open files"):
                word = line.split()[4 if hard else 3]
                return int(word) if word.isdigit() else 0
    return 0


def find_masters(names: Collection[str], root: str = "") -> list[int]:
    """The processes of some programs that none of these has started; those of other users and of containers not.

    :param root: a directory that must be named in the arguments, for tests.
    """
    found = []
    for pid in list_pids():
        if name_of(pid) not in names or any(name_of(above) in names for above in read_fields(pid, 1)):
            continue
        with contextlib.suppress(OSError):
            own = os.stat(f"/proc/{pid}").st_uid in (0, os.geteuid())
            here = os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
            if own and here and root in " ".join(command_line(pid)):
                found.append(pid)
    return found


def arguments(pid: int) -> list[str]:
    """The arguments of a process as words, its name first; those of nginx, which shows them as one title, too."""
    words = command_line(pid)
    title = re.match(r"nginx: master process (.*)", words[0] if words else "")
    return title[1].split() if title else words


def list_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def read_fields(pid: int, number: int) -> list[int]:
    """A number of proc(5)'s ``stat``, counted from the state on; none when the process is gone."""
    with contextlib.suppress(OSError, IndexError, ValueError), open(
        f"/proc/{pid}/stat", encoding="utf-8", errors="replace"
    ) as file:
        # The name is in parentheses and may hold spaces; what follows are numbers.
        return [int(file.read().rpartition(")")[2].split()[number])]
    return []


def children(parent: int) -> list[tuple[int, float, str]]:
    """The child processes: id, start (seconds since the epoch, good to 0.02 s) and command line."""
    found = []
    for pid in list_pids():
        for above, ticks in zip(read_fields(pid, 1), read_fields(pid, 19)):
            if above == parent:
                found.append((pid, _compute_start(ticks), " ".join(command_line(pid))))
    return found


def command_line(pid: int) -> list[str]:
    """The arguments of a process; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\0").split("\0")
    except OSError:
        return []


def directory(pid: int) -> str:
    """The working directory of a process; "" when it may not be seen."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/cwd")
    return ""


def environment(pid: int) -> dict[str, str]:
    """The variables that a process was started with; empty when they may not be seen."""
    try:
        with open(f"/proc/{pid}/environ", encoding="utf-8", errors="surrogateescape") as file:
            return dict(word.split("=", 1) for word in file.read().split("\0") if "=" in word)
    except OSError:
        return {}


def _compute_start(ticks: int) -> float:
    # Not from btime of /proc/stat: that is good to a second only, and a reload follows a write within milliseconds.
    with open("/proc/uptime", encoding="ascii") as file:
        uptime = float(file.read().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
