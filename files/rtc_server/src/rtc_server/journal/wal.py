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

from .base import JournalError

BLOCK = 4096  # bytes: what any disk takes past the cache
MAGIC = b"RTCB"
HEADER = struct.Struct(">4s8sQQI")  # magic, log id, batch number, first batch needed, bytes of text
TEXT_OFFSET = HEADER.size + 4  # the checksum is between
_GROWTH = 256 << 10  # bytes of zeros by which a file grows: half a millisecond
_LOW_WATER = 64 << 10  # bytes: with less room left the file grows
_PREALLOCATED = 64 << 20  # bytes up to which a file grows when there is time
_BUFFER = 1 << 20


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
        with contextlib.suppress(OSError), mmap.mmap(-1, _GROWTH) as zeros:
            self._write(file, zeros, _GROWTH, self._sizes[file])
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
        row = db.execute("SELECT value FROM meta WHERE key='log'").fetchone()
        found: dict[int, tuple[int, str]] = {}
        if row is not None:
            for name in file_names(path):
                found.update(_scan_file(name, _parse_log_id(path, row[0])))
        if not found:
            return []
        last = max(found)
        first_needed, _ = found[last]
        flushed = _read_flushed(db, row[0])  # after the files: what it covers, the tables have
        missing = [number for number in range(max(first_needed, flushed + 1), last) if number not in found]
        if not missing:
            return [(number, found[number][1]) for number in range(first_needed, last + 1) if number in found]
        time.sleep(0.01 * attempt)  # perhaps a file was written over while it was read
    raise make_damage_error(missing[0])


def remove(path: str) -> None:
    """Delete the files: everything in them has been flushed for good."""
    for name in file_names(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def make_damage_error(number: int) -> JournalError:
    """The error that reports a batch which is missing or not as it was written."""
    return JournalError(f"batch {number} of the journal's write-ahead log is damaged: restore a copy or an export")


def _read_flushed(db: sqlite3.Connection, log_id: str) -> int:
    """Number of the last batch that is flushed for good, as table ``meta`` has it; 0 when it has none of that log."""
    row = db.execute("SELECT value FROM meta WHERE key='filed'").fetchone()
    of, _, number = str(row[0] if row else "").partition(" ")
    return int(number) if of == log_id and number.isdecimal() else 0


def _parse_log_id(path: str, value: object) -> bytes:
    """The log's id as table ``meta`` has it."""
    with contextlib.suppress(TypeError, ValueError):
        log_id = bytes.fromhex(value)  # type: ignore[arg-type]
        if len(log_id) == 8:
            return log_id
    raise JournalError(f"{path}: table meta: the id of the write-ahead log is damaged: restore a copy or an export")


def _open_file(name: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_DSYNC
    try:
        file = os.open(name, flags | os.O_DIRECT, 0o600)
        try:
            with mmap.mmap(-1, BLOCK) as zeros:
                os.pwrite(file, zeros, 0)
        except BaseException:
            os.close(file)
            raise
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
        # some file systems refuse to write past the cache, when the file is opened or when it is written
        return os.open(name, flags, 0o600)
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


def _scan_file(name: str, log_id: bytes) -> dict[int, tuple[int, str]]:
    """The batches of that log in a file: first batch needed and text, by number.

    The scan continues after a batch that is not whole. Batches found there are either left from an earlier use of the
    file, and do no harm, or they reveal that the damaged one is missing.
    """
    try:
        with open(name, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return {}
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
