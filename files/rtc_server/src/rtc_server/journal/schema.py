# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the SQLite journal, their versions, and how a file is opened."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator

from .base import JournalError
from .lock import check_files

APPLICATION_ID = 0x52544331  # "RTC1": PRAGMA application_id
VERSION = 3  # PRAGMA user_version

# PRAGMA synchronous. SYNCED: SQLite syncs its own WAL before COMMIT returns, so the transaction survives power loss.
# ORDERED: it does not, but a later transaction never survives without an earlier one.
SYNCED, ORDERED = "FULL", "NORMAL"

INCREMENTAL = 2  # PRAGMA auto_vacuum: free pages can be given back, a few at a time

# A change's key is project number * SPAN + revision: one B-tree, read in order, without a second index.
SPAN = 1 << 40
# Above it a project takes no more changes: its next keys would be those of the project with the next number. Some are
# left, because a server asks when it loads a project and not with each change.
MAX_REVISION = SPAN - (1 << 32)
MAX_PROJECTS = (1 << 23) - 1  # their numbers are below it: keys, and the key behind the last, have 63 bits

_CREATE = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE project (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  epoch TEXT,                            -- NULL: that of the file, in table meta
  revision INTEGER NOT NULL DEFAULT 0,   -- changes up to it are flushed; later ones are in the log
  base INTEGER NOT NULL DEFAULT 0,       -- changes after it are in table change
  snapshot_revision INTEGER NOT NULL DEFAULT 0,
  snapshot TEXT
);
CREATE TABLE change (
  key INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  user TEXT NOT NULL,
  time INTEGER NOT NULL,
  data TEXT NOT NULL
);
CREATE TABLE change_id (
  project INTEGER NOT NULL,
  user TEXT NOT NULL,
  id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  PRIMARY KEY (project, user, id)
) WITHOUT ROWID;
"""

# MIGRATIONS[n] brings a file of version n to version n + 1, also a new one; each runs in one transaction.
MIGRATIONS: dict[int, str] = {
    # Changes no table: a server that knows no write-ahead log (wal.py) must not open a file that may have one.
    1: "DELETE FROM meta WHERE key='log';",
    # Compacted changes get rows without data, from which upkeep.py learns when their ids can be forgotten. Since when
    # they are there nobody knows any more: they count from now.
    2: """
ALTER TABLE project ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
INSERT OR IGNORE INTO change (key, id, user, time, data)
  SELECT i.project * 1099511627776 + i.revision, i.id, i.user, strftime('%s', 'now') * 1000, ''
  FROM change_id i JOIN project p ON p.number = i.project WHERE i.revision <= p.base;
""",
}


def connect(path: str, *, write: bool, timeout: float = 5.0) -> sqlite3.Connection:
    """A connection in autocommit mode (see :func:`transaction`) that any one thread may use at a time."""
    mode = "rwc" if write else "ro"
    db = sqlite3.connect(
        _make_uri(path, "mode=" + mode), uri=True, timeout=timeout, isolation_level=None, check_same_thread=False
    )
    try:
        if write:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # of a file that is made by this; others stay as they are
            (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":  # it could not be switched on, and SQLite goes on without it
                raise sqlite3.OperationalError(f"SQLite's own write-ahead log cannot be used, it offers {mode!r}")
            db.execute("PRAGMA synchronous=" + SYNCED)
            db.execute("PRAGMA journal_size_limit=67108864")
            # Debian's SQLite would write zeros over all that is deleted: as much disk again, before any is given back.
            db.execute("PRAGMA secure_delete=FAST")
            db.execute("PRAGMA wal_autocheckpoint=0")  # it would hide a sync that fails; checkpoint.py does not
        db.execute("PRAGMA foreign_keys=OFF")
    except BaseException:
        db.close()
        raise
    return db


def connect_anchor(path: str) -> sqlite3.Connection:
    """A connection that only keeps SQLite's own WAL in being: one that cannot write leaves it when it is closed."""
    db = connect(path, write=False)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def connect_reader(path: str) -> sqlite3.Connection:
    """A reading connection, also on a file system that has become read-only."""
    db = connect(path, write=False)
    try:
        db.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()
    except sqlite3.OperationalError:
        db.close()
        sqlite_wal = path + "-wal"
        if os.path.exists(sqlite_wal) and os.path.getsize(sqlite_wal) > 0:
            raise  # without SQLite's own WAL the file would show an older state
        db = sqlite3.connect(_make_uri(path, "immutable=1"), uri=True, isolation_level=None, check_same_thread=False)
    return db


def _make_uri(path: str, options: str) -> str:
    """SQLite's name for a file, "URI Filenames"."""
    return "file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23") + "?" + options


@contextlib.contextmanager
def open_for_reading(path: str, *, empty_ok: bool = False) -> Iterator[sqlite3.Connection]:
    """A reading connection to a journal for the block; errors of SQLite and the system become JournalErrors."""
    try:
        check_files(path)
        with contextlib.closing(connect_reader(path)) as db:
            check(db, path, empty_ok=empty_ok)
            yield db
    except (sqlite3.Error, OSError, OverflowError) as exc:
        raise JournalError(f"{path}: {exc}") from exc


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block or nothing. The block may rely on what it reads: no one else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # After some errors SQLite has rolled back by itself ("Transactions", 3): then only the error itself matters.
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def unsynced_transaction(db: sqlite3.Connection) -> Iterator[None]:
    """A transaction that need not be synced: until a later one has been, the write-ahead log has its changes, too."""
    db.execute("PRAGMA synchronous=" + ORDERED)
    try:
        with transaction(db):
            yield
    finally:
        db.execute("PRAGMA synchronous=" + SYNCED)


def prepare(db: sqlite3.Connection, path: str) -> None:
    """Create or migrate the tables. Raises JournalError for a file that is no journal, or of a newer version."""
    version = check(db, path, empty_ok=True)
    if version == 0:
        epoch = secrets.token_hex(8)
        with transaction(db):
            for statement in _split_statements(_CREATE):
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES ('epoch', ?)", (epoch,))
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute("PRAGMA user_version=1")
    for old in range(max(version, 1), VERSION):
        with transaction(db):
            for statement in _split_statements(MIGRATIONS[old]):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={old + 1}")


def name_forgotten(db: sqlite3.Connection) -> str:
    """The column of table ``project`` with the revision up to which ids are forgotten; 0 in files without it."""
    return "forgotten" if int(db.execute("PRAGMA user_version").fetchone()[0]) >= 3 else "0"


def set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    """Put a value into table ``meta``."""
    db.execute("INSERT INTO meta VALUES (?,?) ON CONFLICT (key) DO UPDATE SET value=excluded.value", (key, value))


def check(db: sqlite3.Connection, path: str, *, empty_ok: bool = False) -> int:
    """The file's schema version (0: empty). Raises JournalError when it is no journal, or of a newer version."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if version == 0 and application == 0 and tables == 0 and empty_ok:
        return 0
    if application != APPLICATION_ID:
        raise JournalError(f"{path} is not a journal of rtc-server: name another file in journal.path")
    if version > VERSION:
        raise JournalError(
            f"{path} was written by a newer rtc-server (schema {version}, this one knows {VERSION}): "
            "install that version again, or restore an export made with this one"
        )
    return version


def _split_statements(script: str) -> list[str]:
    lines = [line.partition("--")[0] for line in script.splitlines()]
    return [part for part in "\n".join(lines).split(";") if part.strip()]
