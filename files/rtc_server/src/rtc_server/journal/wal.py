# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write-ahead log: batches of changes that are durable and not flushed yet, in two files beside the journal's file.

A commit is one write of whole blocks past the page cache that returns once the disk has it (open(2): O_DIRECT,
O_DSYNC). SQLite's own commit writes three pages and takes twice as long, while everybody in a room waits.

The files take turns: one is written while the batches in the other are flushed; then that one is written over. Layout,
states and recovery are specified in docs/journal-format.md.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sqlite3
import struct
import time
import zlib
from typing import NamedTuple

from .base import JournalError
from .loss import REMEDY, describe_gaps, describe_tails, survey
from .record import decode_record

BLOCK = 4096  # bytes: what any disk takes past the cache
MAGIC = b"RTCB"
HEADER = struct.Struct(">4s8sQQI")  # magic, log id, batch number, first batch needed, bytes of text
TEXT_OFFSET = HEADER.size + 4  # the checksum is between
_GROWTH = 256 << 10  # bytes of zeros by which a file grows: half a millisecond
_LOW_WATER = 64 << 10  # bytes: with less room left the file grows
_PREALLOCATED = 64 << 20  # bytes up to which a file grows when there is time
_BUFFER = 1 << 20
_ZEROS = mmap.mmap(-1, _GROWTH)  # never written to; at a server's limit a new one for each growth is half a percent


def file_names(path: str) -> tuple[str, str]:
    """The two files of the journal's write-ahead log."""
    return path + "-log0", path + "-log1"


def encode_batch(log_id: bytes, number: int, first_needed: int, text: str) -> bytes:
    """A batch as the file has it, without the zeros that fill its last block.

    ``first_needed`` is the number of the first batch that may not be flushed for good when this one is written.
    """
    data = text.encode()
    header = HEADER.pack(MAGIC, log_id, number, first_needed, len(data))
    return header + _checksum(header, data) + data


class Wal:
    """The writing side; empty at first. Table ``meta`` must have the log's id already.

    Only the committing thread calls it. Methods raise OSError.
    """

    def __init__(self, path: str, log_id: bytes) -> None:
        self._log_id = log_id
        self._number = 0  # of the last batch
        self._first_active = 1  # number of the first batch in the file that is written
        self._first_needed = 1  # number of the first batch that may not be flushed for good
        self._active = 0  # the file that is written
        self._offset = 0
        self._files: list[int] = []
        self._sizes = [0, 0]
        self._peak = 0  # most bytes that batches took in one file
        self._buffer = mmap.mmap(-1, _BUFFER)  # begins at a page, as O_DIRECT wants it
        try:
            for name in file_names(path):
                self._files.append(_open_file(name))
            _sync_directory(path)
            self.extend()
        except BaseException:
            self.close()
            raise

    @property
    def used(self) -> int:
        """Bytes of the batches in the file that is written."""
        return self._offset

    @property
    def last_number(self) -> int:
        """Number of the last batch that was written whole."""
        return self._number

    @property
    def flushed(self) -> str:
        """What table ``meta`` is to say once all but the file that is written is flushed: the log's id, and the number
        of the last batch before that file."""
        return f"{self._log_id.hex()} {self._first_active - 1}"

    def append(self, text: str) -> None:
        """Write a batch. When this returns, the batch survives a power cut; when it raises, only reading the file tells
        whether it does."""
        batch = encode_batch(self._log_id, self._number + 1, self._first_needed, text)
        end = len(batch)
        size = -(-end // BLOCK) * BLOCK
        if size > len(self._buffer):
            self._buffer = mmap.mmap(-1, size)
        buffer = self._buffer
        buffer[:end] = batch
        buffer[end:size] = bytes(size - end)
        self._write(self._active, buffer, size, self._offset)
        self._number += 1
        self._offset += size
        self._peak = max(self._peak, self._offset)
        if size > _BUFFER:
            self._buffer = mmap.mmap(-1, _BUFFER)

    def extend(self) -> None:
        """Write zeros ahead for the next commits: to write over is faster than to make a file longer, which also
        changes the file system's own records. If the disk is full, the next commit will find out."""
        if self._sizes[self._active] < self._offset + _LOW_WATER:
            self._grow(self._active)

    def preallocate(self) -> bool:
        """With time to spare, write some zeros ahead, up to twice the most that was used; False when no more is
        needed."""
        wanted = min(2 * self._peak, _PREALLOCATED)
        smaller = self._sizes.index(min(self._sizes))
        return self._sizes[smaller] < wanted and self._grow(smaller)

    def _grow(self, file: int) -> bool:
        with contextlib.suppress(OSError):
            self._write(file, _ZEROS, _GROWTH, self._sizes[file])
            return True
        return False

    def rotate(self) -> None:
        """Go on in the other file, over its batches, which must have been flushed for good.

        Before, an empty batch records in the file that ends here that those are not needed any more. Otherwise a power
        cut amid the next commit could destroy them while the last whole batch still asks for them: damage, although
        nothing acknowledged is lost.
        """
        self._first_needed = self._first_active
        if self._offset:
            self.append("")
        self._active = 1 - self._active
        self._offset = 0
        self._first_active = self._number + 1

    def close(self) -> None:
        """Close the files; they stay as they are."""
        for file in self._files:
            os.close(file)
        self._files = []

    def _write(self, file: int, buffer: mmap.mmap, size: int, offset: int) -> None:
        with memoryview(buffer) as view, view[:size] as data:
            if os.pwrite(self._files[file], data, offset) != size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sizes[file] = max(self._sizes[file], offset + size)


def read_batches(db: sqlite3.Connection, path: str) -> list[tuple[int, str]]:
    """Numbers and texts of the batches that count, in order, also while a server writes; some or all may be flushed.

    A caller that reads tables, too, calls this first: a change that is flushed meanwhile is then found in the batches
    or in both, never in neither. Raises JournalError, OSError, sqlite3.Error.
    """
    if db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone() is None:
        return []
    for attempt in range(5):
        log = scan(db, path)
        if not log.complaint:
            return [(number, log.texts[number]) for number in sorted(log.texts)]
        time.sleep(0.01 * attempt)  # perhaps a file was written over while it was read
    raise JournalError(f"{log.complaint}: {REMEDY} ({_describe_loss(db, log)})")


class Log(NamedTuple):
    """What there is of a log: the texts of the batches that are needed and whole, by number; what is wrong with it;
    whether something is missing that nothing tells about."""

    texts: dict[int, str]
    complaint: str = ""
    is_cut: bool = False


def scan(db: sqlite3.Connection, path: str) -> Log:
    """What there is of the log that counts, at one look. Raises JournalError when its id is damaged, OSError,
    sqlite3.Error."""
    row = db.execute("SELECT value FROM meta WHERE key='log'").fetchone()
    if row is None:
        return Log({})
    log_id = _parse_log_id(path, row[0])
    found: dict[int, tuple[int, str]] = {}
    gone: list[str] = []
    foreign: list[str] = []
    for name in file_names(path):
        content = _read_file(name)
        if content is None:
            gone.append(name)
        else:
            found.update(_scan_content(content, log_id))
            if content[:4] == MAGIC and content[4:12] != log_id:
                foreign.append(name)
    flushed = _read_flushed(db, row[0])  # after the files: what it covers, the tables have
    last = max(found, default=0)
    first_needed = found[last][0] if found else 1
    texts = {number: text for number, (_, text) in found.items() if number >= first_needed}
    if flushed is not None and gone:
        return Log(texts, f"{' and '.join(gone)} of the journal's write-ahead log {_is(gone)} missing", True)
    if flushed is not None and foreign:
        return Log(texts, f"{' and '.join(foreign)} {_is(foreign)} of another write-ahead log than the journal", True)
    if flushed is not None and last < flushed:
        return Log(texts, f"the journal's write-ahead log ends with batch {last}, and had batch {flushed}", True)
    for number in range(max(first_needed, (flushed or 0) + 1), last):
        if number not in found:
            return Log(texts, f"batch {number} of the journal's write-ahead log is damaged")
    return Log(texts)


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _describe_loss(db: sqlite3.Connection, log: Log) -> str:
    """Which projects and revisions, as far as that is known."""
    try:
        rows = db.execute("SELECT number, name, revision FROM project ORDER BY number").fetchall()
    except sqlite3.DatabaseError as exc:  # also said by verify-journal
        return f"what is lost is unknown: {exc}"
    projects = {number: (name, revision) for number, name, revision in rows}
    found = survey(projects, log.texts)
    if not log.is_cut:
        return describe_gaps(found)
    last = {name: decode_record(records[-1])[1].revision for name, records in found.records.items()}
    return describe_tails({number: (name, last.get(name, at)) for number, (name, at) in projects.items()})


def remove(path: str) -> None:
    """Delete the files: everything in them has been flushed for good."""
    for name in file_names(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def make_damage_error(number: int) -> JournalError:
    """The error that reports a batch which is whole, and not as it was written."""
    return JournalError(f"batch {number} of the journal's write-ahead log is damaged: {REMEDY}")


def _read_flushed(db: sqlite3.Connection, log_id: str) -> int | None:
    """Number of the last batch that is flushed for good, as table ``meta`` has it. None when it has nothing of that
    log: its files have perhaps not been made yet."""
    row = db.execute("SELECT value FROM meta WHERE key='filed'").fetchone()
    of, _, number = str(row[0] if row else "").partition(" ")
    return int(number) if of == log_id and number.isdecimal() else None


def _parse_log_id(path: str, value: object) -> bytes:
    """The log's id as table ``meta`` has it."""
    with contextlib.suppress(TypeError, ValueError):
        log_id = bytes.fromhex(value)  # type: ignore[arg-type]
        if len(log_id) == 8:
            return log_id
    raise JournalError(f"{path}: table meta: the id of the write-ahead log is damaged: {REMEDY}")


def _open_file(name: str) -> int:
    """A file without batches: its first block is zeros, so what is found there later is of this log or was put there
    by somebody."""
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_DSYNC
    try:
        return _open_zeroed(name, flags | os.O_DIRECT)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
    # some file systems refuse to write past the cache, when the file is opened or when it is written
    return _open_zeroed(name, flags)


def _open_zeroed(name: str, flags: int) -> int:
    file = os.open(name, flags, 0o600)
    try:
        with mmap.mmap(-1, BLOCK) as zeros:
            if os.pwrite(file, zeros, 0) != BLOCK:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    except BaseException:
        os.close(file)
        raise
    return file


def _sync_directory(path: str) -> None:
    """New names survive a power cut only with this."""
    directory = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _checksum(header: bytes, data: bytes) -> bytes:
    return zlib.crc32(data, zlib.crc32(header)).to_bytes(4, "big")


def _read_file(name: str) -> bytes | None:
    """All of a file, None when it is absent."""
    try:
        with open(name, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _scan_content(content: bytes, log_id: bytes) -> dict[int, tuple[int, str]]:
    """The batches of that log in a file: first batch needed and text, by number.

    The scan continues after a batch that is not whole. Batches found there are either left from an earlier use of the
    file, and do no harm, or they reveal that the damaged one is missing.
    """
    found: dict[int, tuple[int, str]] = {}
    at = 0
    while (at := content.find(MAGIC + log_id, at)) >= 0:
        start = at + TEXT_OFFSET
        if at % BLOCK or start > len(content):
            at += 1
            continue
        header = content[at : at + HEADER.size]
        _, _, number, first_needed, length = HEADER.unpack(header)
        data = content[start : start + length]
        if len(data) < length or _checksum(header, data) != content[at + HEADER.size : start]:
            at += 1
            continue
        with contextlib.suppress(UnicodeDecodeError):
            found[number] = first_needed, data.decode()
        at = start + length
    return found
