# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the journal's names still lead to the files that are open.

Files that were renamed, deleted or replaced can be written all the same, and what is acknowledged then is gone at the
next start.
"""

from __future__ import annotations

import os
import time

from .base import JournalError
from .wal import file_names

_INTERVAL = 1.0  # seconds between looks


class Watch:
    """The files of one open journal. Only the committing thread calls it."""

    def __init__(self, path: str) -> None:
        """Remember the files that are there. Raises OSError."""
        self._path = path
        self._main = _identify(path)
        self._all = {name: _identify(name) for name in (path, path + "-wal", *file_names(path))}
        self._look_at = time.monotonic() + _INTERVAL

    def look(self) -> None:
        """About once a second: whether all files are the same. Raises JournalError."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + _INTERVAL
        for name, known in self._all.items():
            if _identify(name) != known:
                raise JournalError(_describe(name))

    def require_main(self) -> None:
        """Before the journal is opened again: raises JournalError when it is another one, which would go on from other
        revisions; a new server may use that."""
        if _identify(self._path) != self._main:
            raise JournalError(_describe(self._path))


def _identify(name: str) -> tuple[int, int] | None:
    """Device and inode; None when there is no such file."""
    try:
        found = os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def _describe(name: str) -> str:
    return (
        f"{name} was deleted, moved or replaced while the server had it open: put the file back, or stop the server,"
        " see to it that all files of one journal are there, and start it again"
    )
