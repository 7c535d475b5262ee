# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reserve of disk for the journal itself.

What was acknowledged has to be flushed, checkpointed and compacted yet, and that takes space: on a disk that is full
the journal could not even be stopped in order. So changes are refused while some is left.
"""

from __future__ import annotations

import os
import time

_INTERVAL = 0.25  # seconds between looks at the file system
_PART = 10  # of a small file system, a tenth is reserved
COPIES = 3  # of an unflushed change that may be written yet: into SQLite's own WAL, the tables, and what is around it
_OFTEN = 4  # looks while what is reserved would be written


class Space:
    """The free space of the file system that ``path`` is in. ``reserve`` is bytes; 0: it is never short.

    Only the committing thread calls it.
    """

    def __init__(self, path: str, reserve: int) -> None:
        self._directory = os.path.dirname(path) or "."
        self.reserve = reserve
        self._look_at = 0.0
        self._written = 0  # bytes since the last look
        self._needed = reserve
        self.free = 0  # bytes, at the last look
        self.is_short = False

    @property
    def is_scarce(self) -> bool:
        """Whether nothing should be written ahead."""
        return self.reserve > 0 and self.free < 2 * self._needed

    @property
    def is_nearly_gone(self) -> bool:
        """Whether even a snapshot, after which old changes can go, takes too much."""
        return 2 * self.free < self._needed

    def look(self, coming: int, pending: int) -> None:
        """Before ``coming`` bytes are committed, with ``pending`` bytes of earlier ones that are to be written yet:
        find out whether space is short.

        The file system is asked now and then only: to ask it costs the interpreter's lock.
        """
        self._written += coming
        now = time.monotonic()
        if now >= self._look_at or _OFTEN * COPIES * self._written > self._needed:
            self._look_at, self._written = now + _INTERVAL, coming
            try:
                found = os.statvfs(self._directory)
            except OSError:  # writing will tell more
                return
            self.free = found.f_bavail * found.f_frsize
            small = min(self.reserve, found.f_blocks * found.f_frsize // _PART)
            self._needed = small + COPIES * coming + pending
            self.is_short = self.free < self._needed

    def describe(self) -> str:
        """What is wrong, and what to do."""
        return (
            f"{self._directory} has {self.free >> 20} MB left, and the journal needs {-(-self._needed >> 20)} MB for "
            "itself: no changes are taken until there is more. Free some space, or give the file system more; "
            "limits.reserve_bytes is what is kept free"
        )
