# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path leads, walked by descriptors, so that nobody can exchange it between the look and the use.

A path is walked from ``/``, one name at a time. A symbolic link on the way, the last name included, is followed only
where root (or the user of this process) made it, or where link and target have one owner. What is done then is
relative to the directory that was found: whatever is exchanged meanwhile, nothing else is touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError

_MOST_LINKS = 40  # as Linux (path_resolution(7))
_PATH = getattr(os, "O_PATH", 0)
# A look opens nothing: no device reacts, no FIFO waits. The other flags are for controllers that are no Linux.
_LOOK = os.O_CLOEXEC | (_PATH | os.O_NOFOLLOW if _PATH else getattr(os, "O_SYMLINK", os.O_NOFOLLOW) | os.O_NONBLOCK)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_REMEDIES = {
    errno.ENOENT: "Check the path.",
    errno.EACCES: "Run with become, or as the owner of the file.",
    errno.EPERM: "Run with become, or as the owner of the file; lsattr shows whether it is immutable.",
    errno.EROFS: "The file system is mounted read-only: remount it, or name another path.",
    errno.ENOSPC: "The disk is full: free some space.",
    errno.EDQUOT: "The disk quota is used up: free some space.",
    errno.EBUSY: "It is a mount point: change the file where it is mounted from, or mount its directory instead.",
    errno.EAGAIN: "Another process has a lease on it: stop that process.",
}


class FileError(RtcError):
    """A file could not be read or written, or is not touched because of who owns what leads to it."""


class LinkError(FileError):
    """A link that is not followed."""


class Place:
    """A path that was walked; a context manager, which closes what it opened.

    :param path: relative ones start from the working directory.
    :param follow: whether a link that is the last name is followed.
    :param root: the directory that stands for ``/``: of a container, or for tests. Nothing leads out of it.
    :raises LinkError: a link that is not followed.
    :raises FileError: a directory that is none or may not be entered.

    ``path`` is the real path, ``name`` its last name, ``directory`` the descriptor that the name is relative to (for
    nothing but ``dir_fd``). ``info`` is the ``lstat`` of what was found under the name, or ``None``; ``missing`` has
    the names that were not found: more than one says that the directory is missing too. ``steps`` has owner and inode
    of what each name of the given path led to.
    """

    def __init__(self, path: str, follow: bool = True, root: str = "/") -> None:
        self.asked = path
        self.name = "."
        self.info: os.stat_result | None = None
        self.missing: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self._passed: list[tuple[int, os.stat_result, str]] = []  # the directories: descriptor, lstat, name
        self._links = 0
        self._found = -1  # held, so that its inode cannot become another file's
        try:
            self._walk(os.path.join(os.getcwd(), path), follow, root)
        except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
            self.close()
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise FileError(f"{path} cannot be reached: {reason}.", suggest_remedy(exc)) from exc
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        _close(self._found, *(step[0] for step in self._passed))
        self._passed, self._found = [], -1

    @property
    def directory(self) -> int:
        return self._passed[-1][0]

    @property
    def directory_info(self) -> os.stat_result:
        """Owner and mode of the directory."""
        return self._passed[-1][1]

    @property
    def path(self) -> str:
        return self.path_of(self.name)

    def path_of(self, name: str) -> str:
        """The path of another name in the directory."""
        return "/" + "/".join([step[2] for step in self._passed[1:]] + [name] * (name != "."))

    @property
    def target(self) -> str:
        """What a link that was not followed says; "" for anything else."""
        if self.info is None or not stat.S_ISLNK(self.info.st_mode):
            return ""
        with explained(self.path, "read"):
            return os.readlink("", dir_fd=self._found) if _PATH else os.readlink(self.name, dir_fd=self.directory)

    def directories(self) -> list[tuple[int, int]]:
        """Owner and inode of each directory below ``/`` on the real path."""
        return [(info.st_uid, info.st_ino) for _handle, info, _name in self._passed[1:]]

    def is_own(self) -> bool:
        """Whether only root, or the user of this process, can write the directories on the way."""
        return all(_is_trusted(info.st_uid) and not info.st_mode & 0o022 for _handle, info, _name in self._passed)

    # The walk.

    def _walk(self, path: str, follow: bool, root: str) -> None:
        self._pass("", self._look(os.path.join(root, "."), None))  # /proc/PID/root is a link itself
        todo = _split(path)
        left = len(todo)  # names of the path itself: those of links come on top
        links: list[tuple[int, int, str, str]] = []  # names left when its target is found, owner, path, target
        while todo:
            info = self._step(todo.pop(), todo, follow, links)
            if info is None:
                continue
            while links and len(todo) <= links[-1][0]:
                _check_link(*links.pop()[1:], info.st_uid)
            if len(todo) < left:
                left = len(todo)
                self.steps.append((info.st_uid, info.st_ino))
        if self.name == ".":
            self.info = self._passed[-1][1]

    def _step(
        self, name: str, todo: list[str], follow: bool, links: list[tuple[int, int, str, str]]
    ) -> os.stat_result | None:
        """Go on by one name, and say what is there; ``None`` for a link, whose names come next."""
        if name == "..":
            self._go_back(max(1, len(self._passed) - 1))
            return self._passed[-1][1]
        try:
            info = self._look(name, self.directory)
        except FileNotFoundError:
            self.name, self.missing = name, [name, *reversed(todo)]
            todo.clear()
            return self._passed[-1][1]  # what is made there is for the directory's owner to decide
        if stat.S_ISLNK(info.st_mode) and (todo or follow):
            self._links += 1
            if self._links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            self.name, self.info = name, info
            target = self.target
            self.name, self.info = ".", None
            _close(self._found)
            self._found = -1
            links.append((len(todo), info.st_uid, self.path_of(name), target))
            todo += _split(target)
            if target.startswith("/"):
                self._go_back(1)
            return self._passed[-1][1] if len(todo) == links[-1][0] else None  # a link to "/" or "."
        if todo and stat.S_ISDIR(info.st_mode):
            self._pass(name, info)
            return info
        self.name, self.info = name, info
        if todo:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return info

    def _look(self, name: str, directory: int | None) -> os.stat_result:
        self._found = os.open(name, _LOOK, dir_fd=directory)
        return os.fstat(self._found)

    def _pass(self, name: str, info: os.stat_result) -> None:
        self._passed.append((self._found, info, name))
        self._found = -1

    def _go_back(self, depth: int) -> None:
        """Up, to where we came from: not to where a directory may be now."""
        _close(*(step[0] for step in self._passed[depth:]))
        del self._passed[depth:]

    # What is done there.

    @contextlib.contextmanager
    def opened(self, alone: bool = False) -> Iterator[tuple[int, os.stat_result]]:
        """A descriptor of the regular file, to read from, and its ``fstat``.

        :param alone: refuse more than one name always; else only where somebody else can have made them.
        :raises FileError: nothing is there, or no regular file, or one with more than one name, or it cannot be opened.
        """
        if self.info is None:
            raise FileError(f"{self.asked} cannot be read: {os.strerror(errno.ENOENT)}.", "Check the path.")
        if not stat.S_ISREG(self.info.st_mode):
            raise FileError(f"{self.path} is not a regular file.", "Name a file.")
        with explained(self.path, "read"):
            handle = os.open(self.name, _READ, dir_fd=self.directory)
            try:
                info = os.fstat(handle)
                if (info.st_dev, info.st_ino) != (self.info.st_dev, self.info.st_ino):
                    raise changed(self.path)
                if info.st_nlink != 1 and (alone or not self.is_own()):
                    raise FileError(
                        f"{self.path} has {info.st_nlink} names (hard links) instead of one, and is not touched.",
                        f"Find the others (find -xdev -inum {info.st_ino}), and make a copy that stands alone.",
                    )
                yield handle, info
            finally:
                _close(handle)

    def sync(self) -> None:
        """Make a rename in the directory durable; file systems that cannot are left alone."""
        with contextlib.suppress(OSError):
            handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.directory)
            try:
                os.fsync(handle)
            finally:
                _close(handle)


@contextlib.contextmanager
def explained(path: str, what: str) -> Iterator[None]:
    """Turn an OSError into a FileError: ``path`` cannot be ``what``."""
    try:
        yield
    except OSError as exc:
        raise FileError(f"{path} cannot be {what}: {exc.strerror}.", suggest_remedy(exc)) from exc


def suggest_remedy(exc: Exception) -> str:
    """What the administrator does about an error of the operating system."""
    return _REMEDIES.get(getattr(exc, "errno", 0), "")


def changed(path: str) -> FileError:
    """The error for a file that is not what it was a moment ago."""
    return FileError(f"{path} was changed by something else during the run.", "Run again.")


def _split(path: str) -> list[str]:
    """The names of a path, the first one last."""
    return [part for part in path.split("/") if part not in ("", ".")][::-1]


def _close(*handles: int) -> None:
    for handle in handles:
        if handle >= 0:
            with contextlib.suppress(OSError):  # it is closed then, too (close(2))
                os.close(handle)


def _is_trusted(uid: int) -> bool:
    return uid in (0, os.geteuid())


def _check_link(owner: int, path: str, target: str, found: int) -> None:
    if owner != found and not _is_trusted(owner):
        from pwd import getpwall  # noqa: PLC0415 - not needed in a good run

        names = {one.pw_uid: one.pw_name for one in getpwall()}
        raise LinkError(
            f"{path} is a link of user {names.get(owner, owner)} to {target}, which belongs to "
            f"{names.get(found, found)}, and is not followed.",
            "Let root make the link, or give the link and what it leads to one owner.",
        )
