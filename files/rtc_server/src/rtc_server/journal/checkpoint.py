# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing SQLite's log to the file itself while commits go on.

SQLite does it within a COMMIT once the log is long, and everybody waits for as long as the disk takes: a second was seen. In WAL
mode one connection may do it while another commits ("Write-Ahead Logging", section 2.2). So a thread of its own does nearly all of
it, in passes that get shorter; the committing thread does the little rest, after which the log begins anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

from . import schema

BEGIN = 48 << 20  # bytes in the log from which on it is written to the file while changes come in
SMALL = 1 << 20  # bytes that the committing thread writes by itself when it has time
SHORT = 0.05  # seconds: a pass that took no longer leaves so little that the committing thread can do it


class Checkpoint:
    """Passes beside the commits of one file. Only the committing thread calls it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._took = 0.0

    def near(self) -> bool:
        """Go on; True when little enough is left for the caller to do the rest."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._pass, name="journal-checkpoint", daemon=True)
            self._thread.start()
        elif not self._thread.is_alive():
            self._thread = None
            return self._took <= SHORT
        return False

    def end(self) -> None:
        """Wait for a pass that runs."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _pass(self) -> None:
        began = time.monotonic()
        # what is wrong with the file is found by a commit
        with contextlib.suppress(sqlite3.Error), contextlib.closing(schema.connect(self._path, write=True)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._took = time.monotonic() - began
