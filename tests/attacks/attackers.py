# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an unprivileged user does to the files that root reads and writes in directories of his.

Standard library only: the scenario ``hostile`` copies this file to its host, the tests beside it use it in their own machine.
Python 3.9 and later, Linux, glibc 2.28 or later (``renameat2``).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import mmap
import os
import random
import select
import signal
import socket
import stat
import struct
import time
from dataclasses import dataclass, field
from typing import Callable

_LIBC = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
HUGE = 1 << 36  # bytes of a sparse file: on no disk of ours, and more than anybody should read


def exchange(one: str, other: str) -> None:
    """Exchange two directory entries, so that at no moment one of them is missing (renameat2(2))."""
    if _LIBC.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), one)


# Bait: what is put in place of a file.


class NoBait(Exception):
    """The kernel, or the lack of a right, does not let this user make such a thing."""


def _hard_link(path: str, victim: str) -> None:
    os.link(victim, path)


def _socket(path: str, victim: str) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
        try:  # an address has 108 bytes at most
            end.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)


def _sparse(path: str, victim: str) -> None:
    with open(path, "wb") as file:
        file.truncate(HUGE)


def _directory(path: str, victim: str) -> None:
    os.mkdir(path)
    with open(os.path.join(path, "inside"), "w", encoding="ascii"):
        pass


def _device(path: str, victim: str) -> None:
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero: it never ends


BAIT: dict[str, Callable[[str, str], None]] = {
    "link": lambda path, victim: os.symlink(victim, path),
    "hard link": _hard_link,
    "fifo": lambda path, victim: os.mkfifo(path, 0o666),
    "socket": _socket,
    "directory": _directory,
    "sparse": _sparse,
    "device": _device,
    "link to a device": lambda path, victim: os.symlink("/dev/zero", path),
    "link to a process": lambda path, victim: os.symlink("/proc/1/environ", path),
    "loop": lambda path, victim: os.symlink(os.path.basename(path), path),
    "nowhere": lambda path, victim: os.symlink(victim + ".made-by-root", path),
}


def make_bait(kind: str, path: str, victim: str) -> None:
    """Put bait at ``path``, which does not exist.

    :param victim: the file of root that links lead to.
    :raises NoBait: this user cannot make it (``fs.protected_hardlinks``, no ``CAP_MKNOD``).
    """
    try:
        BAIT[kind](path, victim)
    except OSError as exc:
        if exc.errno in (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EFBIG):
            raise NoBait(f"{kind}: {exc.strerror}") from exc
        raise


def remove(path: str) -> None:
    """Remove bait, or whatever is there."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            for name in os.listdir(path):
                remove(os.path.join(path, name))
            os.rmdir(path)
        else:
            os.unlink(path)


# Canaries: files of root that nobody may touch.


def fingerprint(path: str) -> str:
    """Content, owner, mode, times of change and kind of a file, or the entries of a directory; "gone" when it is not there."""
    try:
        info = os.lstat(path)
    except FileNotFoundError:
        return "gone"
    # Not the number of links: whoever may, makes one, and touches nothing by it. It changes ctime, so mtime it is.
    parts = [info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_size, info.st_mtime_ns]
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            parts.append(hashlib.sha256(file.read()).hexdigest())
    elif stat.S_ISDIR(info.st_mode):
        parts.append(sorted(os.listdir(path)))
    return repr(parts)


# Attackers: processes of an unprivileged user.


class Counter:
    """A number that processes share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def add(self, number: int = 1) -> None:
        """Count; only one process may."""
        self._memory[:8] = struct.pack("Q", self.value + number)

    @property
    def value(self) -> int:
        return int(struct.unpack("Q", self._memory[:8])[0])


def become(uid: int, gid: int) -> None:
    """Be this user for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


@dataclass
class Swap:
    """A file, or a directory, and what it is exchanged with.

    :param path: what root uses.
    :param bait: what stands at ``spare`` at first: a kind of :data:`BAIT`, or "" when something stands there already.
    """

    path: str
    victim: str = ""
    bait: str = "link"
    spare: str = ""

    def prepare(self) -> None:
        """Make the bait. :raises NoBait: it cannot be made."""
        self.spare = self.spare or os.path.join(os.path.dirname(self.path), f".{os.path.basename(self.path)}.spare")
        if self.bait:
            remove(self.spare)
            make_bait(self.bait, self.spare, self.victim)


@dataclass
class Swapper:
    """Exchanges all at once, and back, until it is ended by SIGTERM; every file is then what it was.

    :param hold: seconds, at most, that the bait stays; ``rest``: that the file does.
    :param in_turn: only one of them at a time: for several kinds of bait for the same file.
    """

    swaps: list[Swap]
    hold: float = 0.0004
    rest: float = 0.0004
    in_turn: bool = False
    counter: Counter = field(default_factory=Counter)

    def __call__(self) -> None:
        ending: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
        chance = random.Random(os.getpid())
        while not ending:
            swaps = [chance.choice(self.swaps)] if self.in_turn else self.swaps
            self._exchange(swaps)
            _pause(chance.uniform(0, self.hold))
            self._exchange(swaps)
            _pause(chance.uniform(0, self.rest))

    def _exchange(self, swaps: list[Swap]) -> None:
        for swap in swaps:
            # Root has replaced or removed one of them meanwhile, or wrote into a directory that is a link now: go on.
            with contextlib.suppress(OSError):
                exchange(swap.path, swap.spare)
                self.counter.add()


def _pause(seconds: float) -> None:
    if seconds > 0.0001:
        time.sleep(seconds)
    else:
        os.sched_yield()


_IN_ACCESS, _IN_CLOSE_WRITE, _IN_CLOSE_NOWRITE, _IN_OPEN = 0x1, 0x8, 0x10, 0x20
_IN_MOVED_FROM, _IN_MOVED_TO, _IN_CREATE, _IN_DELETE = 0x40, 0x80, 0x100, 0x200


class Watch:
    """inotify(7) of one directory."""

    def __init__(self, folder: str, mask: int) -> None:
        self.handle = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.handle < 0 or _LIBC.inotify_add_watch(self.handle, os.fsencode(folder), mask) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), folder)

    def read(self, timeout: float) -> list[tuple[int, str]]:
        """What happened: mask and name; empty when nothing did within these seconds."""
        try:
            if not select.select([self.handle], [], [], timeout)[0]:
                return []
            data = os.read(self.handle, 65536)
        except InterruptedError:
            return []
        found, at = [], 0
        while at < len(data):
            _watch, mask, _cookie, length = struct.unpack_from("iIII", data, at)
            found.append((mask, os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0"))))
            at += 16 + length
        return found


@dataclass
class Sniper:
    """Waits until root has read the file, exchanges it for the bait before he writes it, and puts it back.

    :param bursts: which of root's visits count (1 is the first; those within ``quiet`` seconds are one); None: all.
    :param hold: seconds that the bait stays.
    """

    swap: Swap
    bursts: tuple[int, ...] | None = None
    quiet: float = 1.5
    hold: float = 0.03
    counter: Counter = field(default_factory=Counter)

    def __call__(self) -> None:
        ending: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
        folder, name = os.path.split(self.swap.path)
        watch = Watch(folder, _IN_CLOSE_NOWRITE)
        burst, last = 0, 0.0
        while not ending:
            events = [mask for mask, of in watch.read(0.2) if of == name]
            if not events:
                continue
            now = time.monotonic()
            burst, last = burst + (now - last > self.quiet), now
            if self.bursts is not None and burst not in self.bursts:
                continue
            with contextlib.suppress(OSError):
                exchange(self.swap.path, self.swap.spare)
                self.counter.add()
                time.sleep(self.hold)
                exchange(self.swap.path, self.swap.spare)
                self.counter.add()
            watch.read(0)


@dataclass
class Planter:
    """Keeps links to root's file at names that a program is likely to take for its temporary files and copies."""

    paths: list[str]
    victim: str
    backups_of: list[str] = field(default_factory=list)  # of these, Ansible's names of backups are guessed
    counter: Counter = field(default_factory=Counter)

    def __call__(self) -> None:
        ending: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
        planted: set[str] = set()
        due = 0.0
        watches = [Watch(folder, _IN_DELETE) for folder in sorted({os.path.dirname(path) for path in self.paths})]
        try:
            while not ending:
                # As soon as one is removed; otherwise a few times a second, for these are not to be the load of the machine.
                watches[0].read(0.05) if watches else time.sleep(0.05)
                now = time.monotonic()
                guesses = self._guesses() if now > due else []
                due = now + 0.1 if guesses else due
                for path in [*self.paths, *guesses]:
                    with contextlib.suppress(OSError):
                        os.symlink(self.victim, path)
                        self.counter.add()
                        planted.add(path)
        finally:
            for path in planted:
                with contextlib.suppress(OSError):
                    if os.path.islink(path):
                        os.unlink(path)

    def _guesses(self) -> list[str]:
        if not self.backups_of:
            return []
        newest = _newest_process()
        moments = [time.strftime("%Y-%m-%d@%H:%M:%S~", time.localtime(time.time() + ahead)) for ahead in (0, 1)]
        return [
            f"{path}.{newest + ahead}.{moment}"
            for path in self.backups_of
            for ahead in range(-3, 12)
            for moment in moments
        ]


def _newest_process() -> int:
    with open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[-1])


@dataclass
class Grower:
    """Appends to a file as long as it is there."""

    path: str
    counter: Counter = field(default_factory=Counter)

    def __call__(self) -> None:
        ending: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
        with open(self.path, "ab", buffering=0) as file:
            while not ending:
                if file.tell() > 256 * 1024 * 1024:
                    file.truncate(0)
                file.write(b"<!-- more -->\n" * 4096)
                self.counter.add()


# Impostors: processes that call themselves Tomcat.


def impersonate(executable: str, arguments: list[bytes], environment: dict[str, str] | None = None) -> None:
    """Be a process with this program, command line and environment that does nothing, for as long as the caller lives.

    It is stopped at the first instruction of the program (ptrace(2)), so any program does, whatever it makes of its arguments.
    Never returns; ends with SIGTERM.
    """
    child = os.fork()
    if child == 0:
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        _LIBC.ptrace(0, 0, None, None)  # PTRACE_TRACEME
        try:
            os.execve(executable, arguments, environment or {"PATH": "/usr/bin:/bin"})
        finally:
            os._exit(127)
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
    os.waitpid(child, 0)  # it has stopped
    while not ending:
        time.sleep(1)
    os.kill(child, signal.SIGKILL)
    os._exit(0)


TOMCAT = b"org.apache.catalina.startup.Bootstrap"


def command_line(java: str, base: str, *more: bytes) -> list[bytes]:
    """That of a Tomcat."""
    folder = os.fsencode(base)
    return [os.fsencode(java), b"-Dcatalina.base=" + folder, b"-Dcatalina.home=" + folder, *more, TOMCAT, b"start"]


FAKE_PROGRAM = """#!/bin/sh
# Says who runs it, then does as the real one, so that nobody notices.
echo "$0 $(id -u) $(sed -n 's/^Uid://p' /proc/self/status | tr '\\t' ' ')" >>{drop}/$(id -u).$$
real={real}
[ -z "$real" ] || exec "$real" "$@"
"""


def make_fake_program(path: str, drop: str, real: str = "") -> None:
    """A program that writes its user's number into a file in the directory ``drop``, which everybody may write.

    :param real: the program that is run then.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write(FAKE_PROGRAM.format(drop=drop, real=f"'{real}'" if real else ""))
    os.chmod(path, 0o755)


def ran_as_root(drop: str) -> list[str]:
    """What fake programs wrote when root ran them: by real, effective, saved or file-system user."""
    found = []
    for name in sorted(os.listdir(drop)):
        with open(os.path.join(drop, name), encoding="utf-8", errors="replace") as file:
            found += [line.strip() for line in file if "0" in line.split()[1:]]
    return found
