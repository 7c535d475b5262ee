# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that these tests know of the journal's inside: one thin layer over its committing side, so that each step can be taken alone."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

from rtc_server.journal import (
    SENT_NOW,
    Change,
    Compact,
    JournalError,
    JournalLimits,
    Outcome,
    Snapshot,
    Submission,
    checkpoint,
    deletions,
    flush,
    make_label,
    schema,
    verify,
    wal,
)
from rtc_server.journal import sqlite as reading
from rtc_server.journal import writer as writing

FILES = ("", "-wal", "-log0", "-log1")  # what a journal at a path consists of, besides what is no one's loss
LAST_VERSION = schema.VERSION
_ALL = 10**9
KEEP_IDS = int(JournalLimits().keep_ids_days * 86_400_000)  # milliseconds
_PROBES = 3  # a server tries again each second
_sleep = time.sleep


class RefusedError(Exception):
    """The journal takes no changes; the text is what it says about that."""


@dataclass(frozen=True)
class Kept:
    """What the journal has of a project."""

    base: int
    changes: list[Change]  # after the base
    snapshot: Snapshot | None
    revision: int


class Driver:
    """A journal whose committing thread is the caller."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = writing.Writer(str(path))
        self._reader: sqlite3.Connection | None = None

    def open(self) -> None:
        """As at a server's start and in the seconds after it. Raises RefusedError."""
        for _ in range(_PROBES):
            self._writer.probe()
            if self._writer.fault is None:
                return
        self.require()

    def require(self) -> None:
        """Raises RefusedError when the journal has a fault."""
        if self._writer.fault is not None:
            raise RefusedError(self._writer.fault)

    def commit(self, requests: list[Submission | Compact]) -> list[Outcome]:
        """One batch, and what the committing thread does at once after it."""
        outcomes = self._writer.commit(requests)
        self._writer.enforce_backlog_limit(len(requests))
        return outcomes

    def rest(self, steps: int = _ALL) -> None:
        """What the thread does while nothing is submitted: so many steps of it, or all."""
        for _ in range(steps):
            wait = self._writer.run_maintenance()
            if wait is None:
                return
            _sleep(wait)

    def probe(self) -> None:
        """What a server does each second while there is a fault."""
        self._writer.probe()

    def stop(self) -> None:
        """As when a server stops."""
        self._close_reader()
        self._writer.flush_and_close()
        self._writer.unlock()

    def kill(self) -> None:
        """Let go of the files as the end of a process does. The last connection to close folds SQLite's log into the file, which a
        killed process does not; one that only reads cannot, so that one is the last."""
        with contextlib.suppress(sqlite3.Error, OSError):
            self._connection()
        self._writer.close()
        self._writer.unlock()
        self._close_reader()

    def read(self, projects: Iterable[str]) -> dict[str, Kept]:
        """What members are given. Raises JournalError, sqlite3.Error, OSError."""
        found: dict[str, Kept] = {}
        for project in projects:
            unflushed = self._writer.copy_unflushed(project) or []
            db = self._connection()
            head = reading._read_head(db, project, unflushed)
            changes = reading._read_changes(db, project, unflushed, head.base, _ALL, _ALL)
            snapshot = reading._read_snapshot(db, project, unflushed)
            found[project] = Kept(head.base, changes, snapshot, head.revision)
        return found

    def _connection(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = schema.connect_reader(str(self.path))
        return self._reader

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def change(project: str, id: str, user: str, data: str, since: int = SENT_NOW) -> Submission:
    """A change to be submitted; one that is sent again, after the revision ``since``."""
    return Submission(project, id, user, data, make_label(id, user), since=since)


def compaction(project: str, revision: int, data: str, keep: int) -> Compact:
    """A snapshot to be submitted."""
    return Compact(project, Snapshot(revision, data), keep)


def verify_journal(path: Path) -> list[str]:
    """What ``rtc-server verify-journal`` finds wrong."""
    try:
        return verify.verify_journal(str(path))[0]
    except JournalError as exc:
        return [str(exc)]


def hurry() -> None:
    """No waiting in this process: not before another attempt, not while a log is read again."""
    writing.RETRY = 0.0
    vars(wal)["time"] = SimpleNamespace(sleep=lambda _seconds: None)
    logging.disable(logging.CRITICAL)


def small_limits() -> None:
    """Bounds at which everything happens that else takes 96 MB."""
    writing.MAX_WAL_BYTES = 48 << 10
    writing.MAX_UNFLUSHED = 40
    deletions.MOST_ROWS = 4
    wal._GROWTH, wal._LOW_WATER = 32 << 10, 8 << 10
    flush.FLUSH_BATCH = 8
    checkpoint.BEGIN, checkpoint.SMALL = 64 << 10, 32 << 10


def _no_synchronous_log() -> None:
    quick = ModuleType("os")
    quick.__dict__.update(os.__dict__, O_DSYNC=0)
    vars(wal)["os"] = quick


def _no_synchronous_directory() -> None:
    vars(wal)["_sync_directory"] = lambda _path: None


def _no_synchronous_filing() -> None:
    for module in (schema, writing):
        vars(module)["SYNCED"] = schema.ORDERED


# Journals that forget: what finds nothing in these finds nothing.
BREAKAGES: dict[str, Callable[[], None]] = {
    "log not synced": _no_synchronous_log,
    "directory not synced": _no_synchronous_directory,
    "filing not synced": _no_synchronous_filing,
}
