# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints of SQLite's own WAL (the file ``-wal``) while commits go on.

SQLite runs them within a COMMIT once its WAL is long, and everybody waits for as long as the disk takes: a second was
seen. One connection may run them while another commits ("Write-Ahead Logging", section 2.2). So a thread of its own
does nearly all of the work, in passes that get shorter; the committing thread does the rest, after which the WAL starts
over.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

from . import schema

BEGIN = 48 << 20  # bytes in SQLite's WAL with which passes begin although changes come in
SMALL = 1 << 20  # bytes that the committing thread checkpoints by itself when it has time
SHORT = 0.05  # seconds: a pass that took no longer leaves so little that the committing thread can do it


class Checkpoint:
    """Passes beside the commits of one file. Only the committing thread calls it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._took = 0.0

    def advance(self) -> bool:
        """Start a pass unless one runs; True when little enough is left for the caller to do the rest."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_pass, name="journal-checkpoint", daemon=True)
            self._thread.start()
        elif not self._thread.is_alive():
            self._thread = None
            return self._took <= SHORT
        return False

    def wait(self) -> None:
        """Wait for the pass that runs, if any."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run_pass(self) -> None:
        began = time.monotonic()
        # a commit will find out what is wrong with the file
        with contextlib.suppress(sqlite3.Error), contextlib.closing(schema.connect(self._path, write=True)) as db:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._took = time.monotonic() - began
