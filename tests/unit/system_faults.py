# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each call of the operating system fails once, or is the last before a kill: for tests that try all of them."""

from __future__ import annotations

import errno
import os
import sys

# All that _place, _files, _files_tree and _undo call of the operating system; test_every_call_is_listed holds it.
CALLS = (
    "open", "close", "fstat", "lstat", "read", "write", "readlink", "rename", "unlink", "mkdir", "rmdir", "symlink",
    "fsync", "fchown", "fchmod", "chown", "getxattr", "setxattr", "removexattr", "listdir", "getcwd",
)  # fmt: skip
CHANGES = ("write", "rename", "unlink", "mkdir", "rmdir", "symlink", "fsync", "fchmod")
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.ENOENT)


class Kill(BaseException):
    """The process is gone: nothing that it would do now happens."""


class Fault:
    """Lets the n-th call fail. What measures coverage calls, too, whenever it first sees a file: those do not count.

    :param kill: from then on no call does anything any more.
    :param calls: that fail or are the last; between those that change something, kills are all the same.
    """

    def __init__(self, monkeypatch, number=-1, error=0, kill=False, calls=CALLS):
        self.seen: list[str] = []
        self.number, self.error, self.kill, self.dead = number, error, kill, False
        self.calls = calls
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrap(name, getattr(os, name)))

    def wrap(self, name, function):
        def call(*args, **more):
            if _is_of_coverage(sys._getframe(1)):
                return function(*args, **more)
            if self.dead and name != "close":
                raise Kill
            if name not in self.calls:
                return function(*args, **more)
            self.seen.append(name)
            if len(self.seen) - 1 == self.number:
                if self.kill:
                    self.dead = True
                    raise Kill
                if name == "close":  # it is closed, too (close(2))
                    function(*args, **more)
                raise OSError(self.error, os.strerror(self.error))
            return function(*args, **more)

        return call


def _is_of_coverage(frame):
    """Whether a call is made on its behalf, and not on that of the collection."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "").partition(".")[0]
        if module in ("coverage", "ansible_collections"):
            return module == "coverage"
        frame = frame.f_back
    return False
