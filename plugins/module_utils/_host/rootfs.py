# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a host's files beneath a root, remembering what could not be read.

All paths that go in and come out are the host's (``/opt/...``), whatever the root is; so tests build a host under a
temporary directory. Nothing here raises because a file is missing, unreadable or odd.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys

from ansible_collections.collab.rtc.plugins.module_utils import _ownership
from ansible_collections.collab.rtc.plugins.module_utils._ownership import Lstat, Writer
from ansible_collections.collab.rtc.plugins.module_utils._place import FileError, LinkError, Place

LIMIT = 4 * 1024 * 1024  # bytes; configuration is smaller, anything larger is not what it is said to be
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16  # FS_IOC_GETFLAGS of linux/fs.h: _IOR('f', 1, long)
_LOOK = getattr(os, "O_PATH", os.O_NONBLOCK) | os.O_CLOEXEC


class RootFs:
    """The files of a host.

    :param root: the directory that stands for ``/``.
    :param lstat: says whose a file is; tests have another one, because they cannot give files away.
    """

    def __init__(self, root: str = "/", lstat: Lstat = os.lstat) -> None:
        self.root = os.path.abspath(root)
        self._lstat = lstat
        self._writers: dict[tuple[str, bool], list[Writer]] = {}
        self.unreadable: dict[str, str] = {}  # path or part -> reason

    def note(self, what: str, reason: str) -> None:
        """Remember that a part could not be seen; the first reason is kept."""
        self.unreadable.setdefault(what, reason)

    def disk(self, path: str) -> str:
        """The path to hand to the operating system, links not followed."""
        return path if self.root == "/" else self.root + "/" + path.lstrip("/")

    def real(self, path: str) -> str:
        """The host's path with symbolic links followed, an absolute link taken as beneath the root.

        A link that another user made to what is not his is not followed (noted): the path stays as it is then.
        """
        if self.root == "/" and _is_plain(path):
            return path
        try:
            with Place(path, root=self.root) as place:
                return os.path.normpath(os.path.join(place.path, *place.missing[1:]))
        except LinkError as exc:
            self.note(path, str(exc))
        except FileError:
            pass
        return os.path.normpath(path)

    def stat(self, path: str) -> os.stat_result | None:
        """What ``stat`` says, links followed; ``None`` when there is nothing or it may not be seen (noted)."""
        try:
            return os.stat(path if self.root == "/" else self.disk(self.real(path)))
        except (OSError, ValueError) as exc:
            self._note_refusal(path, exc)
        return None

    def lstat(self, path: str) -> os.stat_result | None:
        """What is at the path itself, a link not followed; ``None`` when there is nothing or it may not be seen."""
        folder, name = os.path.split(path.rstrip("/"))
        try:
            return self._lstat(os.path.join(self.disk(self.real(folder or "/")), name))
        except (OSError, ValueError):
            return None

    def owner(self, path: str) -> int:
        """The user id of the owner of what a path leads to, -1 when there is nothing or it may not be seen."""
        # Links that real() does not follow, too: this is how it is told whose they lead to.
        info = self.lstat(os.path.realpath(path) if self.root == "/" else self.real(path))
        return info.st_uid if info else -1

    def writers(self, path: str, entries: bool = False) -> list[Writer]:
        """Who besides root can change what a path leads to, as :func:`_ownership.find_writers` says; asked once.

        :raises OSError: a component is missing or may not be looked at.
        """
        if (path, entries) not in self._writers:
            self._writers[path, entries] = _ownership.find_writers(path, entries, self.root, self._lstat)
        return self._writers[path, entries]

    def is_dir(self, path: str) -> bool:
        """Whether a directory is there."""
        info = self.stat(path)
        return info is not None and stat.S_ISDIR(info.st_mode)

    def is_file(self, path: str) -> bool:
        """Whether a regular file is there."""
        info = self.stat(path)
        return info is not None and stat.S_ISREG(info.st_mode)

    def names(self, path: str) -> list[str]:
        """The sorted names in a directory; empty when it is missing or may not be read (noted)."""
        try:
            handle = self._open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError, FileError) as exc:
            self._note_refusal(path, exc)
            return []
        try:
            return sorted(os.listdir(handle))
        except OSError:
            return []
        finally:
            os.close(handle)

    def data(self, path: str, limit: int = LIMIT) -> bytes | None:
        """The bytes of a regular file, at most ``limit``; ``None`` when missing or unreadable (noted)."""
        try:
            handle = self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except (OSError, ValueError, FileError) as exc:
            self._note_refusal(path, exc)
            return None
        try:
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return None
                content = file.read(limit + 1)
        except OSError as exc:
            if not path.startswith("/proc/"):  # processes end while they are read
                self.note(path, exc.strerror or str(exc))
            return None
        if len(content) > limit:
            self.note(path, f"larger than {limit} bytes")
            return None
        return content

    def text(self, path: str, limit: int = LIMIT) -> str | None:
        """As :meth:`data`, decoded as UTF-8 with replacement characters."""
        content = self.data(path, limit)
        return None if content is None else content.decode("utf-8", "replace")

    def link(self, path: str) -> str:
        """What a symbolic link says, "" for none or not permitted (not noted: callers do, once for many)."""
        try:
            return os.readlink(self.disk(path))
        except (OSError, ValueError):
            return ""

    def flags(self, path: str) -> int:
        """The inode flags of a file or directory, as lsattr(1) shows them; 0 where they cannot be seen."""
        with contextlib.suppress(OSError, ValueError, FileError):
            handle = self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                return int.from_bytes(fcntl.ioctl(handle, _GET_FLAGS, bytes(8))[:4], sys.byteorder)
            finally:
                os.close(handle)
        return 0

    def _open(self, path: str, flags: int) -> int:
        """A descriptor of a directory or regular file, by the rules of ``_files`` about links and names.

        What is read here is shown, so root reads nothing for a user who may not read it himself.

        :raises OSError: there is nothing, or it may not be read.
        :raises FileError: a link that is not followed, more than one name, or neither directory nor file.
        """
        if self.root != "/":
            return self._open_by_walk(path, flags)
        if path.startswith("/proc/") and path.count("/") < 4 and ".." not in path:  # the kernel's
            return os.open(path, flags | os.O_NOFOLLOW)
        handle = os.open(path, _LOOK)  # opens nothing yet: no device reacts, no FIFO waits
        try:
            info = os.fstat(handle)
            opened = f"/proc/self/fd/{handle}"
            if _names(opened) == path and (info.st_nlink == 1 or stat.S_ISDIR(info.st_mode)):
                if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
                    raise FileError(f"{path} is neither a file nor a directory.")
                return os.open(opened, flags)  # no link led here
        finally:
            os.close(handle)
        return self._open_by_walk(path, flags)

    def _open_by_walk(self, path: str, flags: int) -> int:
        with Place(path, root=self.root) as place:
            self._check(place)
            if place.info is not None and stat.S_ISDIR(place.info.st_mode):
                return os.open(place.name, flags | os.O_NOFOLLOW, dir_fd=place.directory)
            if place.info is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            with place.opened() as (handle, _info):
                return os.dup(handle)

    def _check(self, place: Place) -> None:
        """Refuse what is not to be opened.

        :raises FileError: it is not.
        """

    def _note_refusal(self, path: str, exc: Exception) -> None:
        cause = exc if isinstance(exc, OSError) else exc.__cause__
        if isinstance(cause, PermissionError):
            self.note(path, f"{cause.strerror}: run with become to see it")
        elif isinstance(exc, FileError) and not isinstance(cause, OSError):  # not just missing
            self.note(path, str(exc))


def _is_plain(path: str) -> bool:
    """Whether a path leads to something over no link."""
    try:
        handle = os.open(path, _LOOK)
    except (OSError, ValueError):
        return False
    try:
        return _names(f"/proc/self/fd/{handle}") == path
    finally:
        os.close(handle)


def _names(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:  # no /proc
        return ""
