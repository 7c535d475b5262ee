# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One journal, one server, whatever name the journal goes by.

The names of its other files come from the main file's name, so that must be its one name: symbolic links are resolved,
hard links are refused. Two files are locked: ``.lock`` has the process id and is locked before there is a main file;
the main file itself is the same inode where it is mounted a second time, or when somebody has removed ``.lock``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat

from .base import JournalError, JournalInUse

_REMOTE = {"afs", "ceph", "cifs", "nfs", "nfs4", "smb3", "smbfs"}  # file systems of several machines
_MOUNTS = "/proc/self/mountinfo"
_MOST_LINKS = 40  # as Linux follows them (path_resolution(7))


def resolve(path: str) -> str:
    """The journal's own name: absolute, without symbolic links. Raises JournalError where root would be led astray: by
    a link of another user, to what is not that user's."""
    found = os.path.realpath(path)
    for _ in range(_MOST_LINKS if os.geteuid() == 0 else 0):
        if not os.path.islink(path):
            break
        owner = os.lstat(path).st_uid
        if owner != 0 and (not os.path.exists(found) or owner != os.stat(found).st_uid):
            raise JournalError(f"{path} is a link of another user's to {found}, and is not followed: remove it")
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    return found


def check_files(path: str) -> None:
    """Raises JournalError when one of the journal's files is none, or the main file has another name, beside which
    there may be another log."""
    _check_kinds(path)
    with contextlib.suppress(FileNotFoundError):
        names = os.stat(path).st_nlink
        if names > 1:
            raise JournalError(
                f"{path} has {names} names (hard links), and its log has only one: remove the others"
                f" (find -samefile {path} lists them), or work on a copy"
            )


def _check_kinds(path: str) -> None:
    """Raises JournalError for what is no file: whoever opens a pipe waits for ever, and a link beside the journal leads
    to what is not the journal's."""
    for name in (path, *(path + ending for ending in ("-wal", "-shm", "-log0", "-log1"))):
        with contextlib.suppress(OSError):  # which opening it will tell
            if not stat.S_ISREG(os.lstat(name).st_mode):
                remedy = "name a file in journal.path" if name == path else "remove it"
                raise JournalError(f"{name} is a directory, pipe, link or device, and is not read: {remedy}")


class Lock:
    """A journal that this process holds, and no other."""

    def __init__(self, path: str) -> None:
        """Take it. Raises JournalError, JournalInUse when another process holds it."""
        self._path = path
        self._files: list[int] = []
        try:
            self._take(path + ".lock", 0o600)
            kind = _find_file_system(path)
            if kind in _REMOTE:
                raise JournalError(
                    f"{path} is on a file system of type {kind}, where another machine may write to it: "
                    "name a file on a disk of this machine in journal.path"
                )
            with contextlib.suppress(OSError):  # only for those who want to know who has it; the disk may be full
                os.ftruncate(self._files[0], 0)
                os.pwrite(self._files[0], f"{os.getpid()}\n".encode(), 0)
            _check_kinds(path)
            self._take(path, 0o644)
            check_files(path)
        except BaseException:
            self.release()
            raise

    def is_current(self) -> bool:
        """Whether the main file is still the one that is locked: somebody may have put another one in its place."""
        try:
            return os.path.samestat(os.fstat(self._files[1]), os.stat(self._path))
        except OSError:
            return False

    def release(self) -> None:
        """Let go. The file ``.lock`` stays: removing it would let two processes hold different ones.

        SQLite's connections to the journal must be closed: closing any descriptor of a file ends the process's locks
        on it (fcntl(2)).
        """
        while self._files:
            os.close(self._files.pop())

    def _take(self, name: str, mode: int) -> None:
        try:
            file = _open(name, mode)
        except OSError as exc:
            raise JournalError(f"{name} cannot be opened: {exc.strerror}; {_advise(exc)}") from exc
        self._files.append(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(self._files[0], 32, 0).decode("ascii", "replace").strip()
            if len(self._files) > 1 or not holder:
                holder = "unknown"
            raise JournalInUse(f"{self._path} is in use by process {holder}: stop that server first") from exc


def _advise(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "make the directory of journal.path, which the server's user must own, or name another file there"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "the server's user must own its directory"
    return "name another file in journal.path, or mend what is there"


def _open(name: str, mode: int) -> int:
    # Root may run a command on a journal whose directory is another user's: a link could lead anywhere.
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(FileExistsError):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags, mode)
        if os.geteuid() == 0:  # the server has to open it after us
            place = os.stat(os.path.dirname(name))
            os.fchown(file, place.st_uid, place.st_gid)
        return file
    try:
        return os.open(name, os.O_RDWR | os.O_CREAT | flags, mode)
    except PermissionError:
        return os.open(name, os.O_RDONLY | flags)  # a lock needs no more; writing will say what is wrong


def _find_file_system(path: str) -> str:
    """Type of the file system of a file's directory, empty when that is unknown (proc(5), "mountinfo")."""
    try:
        device = os.stat(os.path.dirname(path)).st_dev
        with open(_MOUNTS, encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                if before.split()[2] == f"{os.major(device)}:{os.minor(device)}":
                    return after.split()[0]
    except (OSError, LookupError):
        pass
    return ""
