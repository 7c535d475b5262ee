# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a host's files beneath a root, remembering what could not be read.

All paths that go in and come out are the host's (``/opt/...``), whatever the root is; so tests build a host under a
temporary directory. Nothing here raises because a file is missing, unreadable or odd.
"""

from __future__ import annotations

import os
import stat

LIMIT = 4 * 1024 * 1024  # bytes; configuration is smaller, anything larger is not what it is said to be
_MOST_LINKS = 40  # as Linux (path_resolution(7))


class RootFs:
    """The files of a host.

    :param root: the directory that stands for ``/``.
    """

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root)
        self.unreadable: dict[str, str] = {}  # path or part -> reason

    def note(self, what: str, reason: str) -> None:
        """Remember that a part could not be seen; the first reason is kept."""
        self.unreadable.setdefault(what, reason)

    def disk(self, path: str) -> str:
        """The path to hand to the operating system, links not followed."""
        return path if self.root == "/" else self.root + "/" + path.lstrip("/")

    def real(self, path: str) -> str:
        """The host's path with symbolic links followed, an absolute link taken as beneath the root."""
        if self.root == "/":
            return os.path.realpath(path)
        done = "/"
        todo = [part for part in path.split("/") if part]
        links = 0
        while todo:
            part = todo.pop(0)
            if part in (".", ".."):
                done = os.path.dirname(done) if part == ".." else done
                continue
            step = os.path.join(done, part)
            try:
                target = os.readlink(self.disk(step))
            except OSError:
                done = step
                continue
            links += 1
            if links > _MOST_LINKS:
                return path
            todo = [piece for piece in target.split("/") if piece] + todo
            done = "/" if target.startswith("/") else done
        return done

    def stat(self, path: str) -> os.stat_result | None:
        """What ``stat`` says, links followed; ``None`` when there is nothing or it may not be seen (noted)."""
        try:
            return os.stat(self._follow(path))
        except PermissionError as exc:
            self._note_refusal(path, exc)
        except (OSError, ValueError):
            pass
        return None

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
            return sorted(os.listdir(self._follow(path)))
        except PermissionError as exc:
            self._note_refusal(path, exc)
        except (OSError, ValueError):
            pass
        return []

    def data(self, path: str, limit: int = LIMIT) -> bytes | None:
        """The bytes of a regular file, at most ``limit``; ``None`` when missing or unreadable (noted)."""
        try:
            # Not blocking: a named pipe in place of a file must not hang the run.
            handle = os.open(self._follow(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except PermissionError as exc:
            self._note_refusal(path, exc)
            return None
        except (OSError, ValueError):
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

    def _follow(self, path: str) -> str:
        """The path to hand to the operating system, links followed beneath the root."""
        return path if self.root == "/" else self.disk(self.real(path))

    def _note_refusal(self, path: str, exc: OSError) -> None:
        self.note(path, f"{exc.strerror}: run with become to see it")
