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
import errno
import os
import sqlite3
import threading
import time

from . import schema

BEGIN = 48 << 20  # bytes in SQLite's WAL with which passes begin although changes come in
SMALL = 1 << 20  # bytes that the committing thread checkpoints by itself when it has time
SHORT = 0.05  # seconds: a pass that took no longer leaves so little that the committing thread can do it
_PIECE = 1 << 20  # bytes written at once


class Checkpoint:
    """Passes beside the commits of one file. Only the committing thread calls it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._thread: threading.Thread | None = None
        self._took = 0.0
        self._failure: sqlite3.Error | None = None

    def advance(self) -> bool:
        """Start a pass unless one runs; True when little enough is left for the caller to do the rest.

        Raises the sqlite3.Error of a pass that failed: what it could not sync never will be by a later sync, so the
        journal has to be opened anew (:func:`rewrite`).
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
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

    def reset(self) -> None:
        """The journal is opened anew, so what failed before does not matter any more."""
        self.wait()
        self._failure = None

    def _run_pass(self) -> None:
        began = time.monotonic()
        try:
            with contextlib.closing(schema.connect(self._path, write=True)) as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as exc:
            self._failure = exc
        self._took = time.monotonic() - began


def rewrite(path: str) -> None:
    """Write SQLite's own WAL over itself, and sync it: whoever opens the file next may trust what it reads of it.

    When a sync fails, the system drops pages that it could not write, and yet shows them to all who read, until the
    power fails; a later sync succeeds without them (Rebello et al., "Can Applications Recover from fsync Failures?",
    ATC 2020). Only another write reaches the disk. The bytes stay as they are, so it does not matter where it is cut
    short. The main file needs none of this: SQLite writes a page into it again until a sync has confirmed it, and keeps
    its WAL for as long.

    The caller holds the journal's lock, and no connection of this process writes. Raises OSError.
    """
    try:
        file = os.open(path + "-wal", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        offset = 0
        while piece := os.pread(file, _PIECE, offset):
            if os.pwrite(file, piece, offset) != len(piece):
                raise OSError(errno.EIO, os.strerror(errno.EIO), path + "-wal")
            offset += len(piece)
        if offset:
            os.fsync(file)
    finally:
        os.close(file)
