# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: batches of changes that are durable and not filed yet, in two files beside the journal's.

A commit is one write of whole blocks past the page cache that returns once the disk has it (open(2): O_DIRECT, O_DSYNC). SQLite's own
commit writes three pages and takes twice as long, and everybody in a room waits for it.

The files are used in turn: one is written while what the other has is filed; then that one is written over. So a batch says its
number, and the number of the first batch that was not filed for good when it was written: all from that one to the last must be there.
Table ``meta`` of the journal's file names the log that counts, in the transaction that filed what the one before it had.

A batch is: magic (4 bytes), the log's name (8), number (8), first number (8), bytes of the text (4), CRC 32 of all that and of the
text (4), the text in UTF-8, zeros up to a whole block.
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

_BLOCK = 4096  # bytes: what any disk takes past the cache
_HEAD = struct.Struct(">4s8sQQI")
_MAGIC = b"RTCB"
_START = _HEAD.size + 4  # of the text
_STEP = 256 << 10  # bytes of zeros that a file grows by: half a millisecond
_AHEAD = 64 << 10  # bytes: with less room it grows
_PREPARED = 64 << 20  # bytes: it grows to no more when there is time
_BUFFER = 1 << 20


def names(path: str) -> tuple[str, str]:
    """The two files of that journal."""
    return path + "-log0", path + "-log1"


class Log:
    """For writing, and empty at first: table ``meta`` has its name already. Only the committing thread calls it. Raises OSError."""

    def __init__(self, path: str, name: bytes) -> None:
        self._name = name
        self._number = 0
        self._first = self._kept = (
            1  # number of the first batch of the file that is written, and of the first that may be needed
        )
        self._at = 0  # the file that is written
        self._offset = 0
        self._files: list[int] = []
        self._sizes = [0, 0]
        self._most = 0  # bytes that were used at once
        self._buffer = mmap.mmap(-1, _BUFFER)  # begins at a page, as O_DIRECT wants it
        try:
            for file in names(path):
                self._files.append(_opened(file))
            _sync_directory(path)
            self.extend()
        except BaseException:
            self.close()
            raise

    @property
    def used(self) -> int:
        """Bytes of the batches in the file that is written."""
        return self._offset

    def append(self, text: str) -> None:
        """Keep a batch. When this returns it survives a power cut; when it raises nobody knows before the file is read."""
        data = text.encode()
        end = _START + len(data)
        size = -(-end // _BLOCK) * _BLOCK
        if size > len(self._buffer):
            self._buffer = mmap.mmap(-1, size)
        buffer = self._buffer
        head = _HEAD.pack(_MAGIC, self._name, self._number + 1, self._kept, len(data))
        buffer[:end] = head + _sum(head, data) + data
        buffer[end:size] = bytes(size - end)
        self._write(self._at, buffer, size, self._offset)
        self._number += 1
        self._offset += size
        self._most = max(self._most, self._offset)
        if size > _BUFFER:
            self._buffer = mmap.mmap(-1, _BUFFER)

    def extend(self) -> None:
        """Write zeros ahead, for the next commits: to write over is faster than to make a file longer, which changes the file
        system's own records, too. A full disk is left for a commit to find."""
        if self._sizes[self._at] < self._offset + _AHEAD:
            self._grow(self._at)

    def prepare(self) -> bool:
        """Some of the same when there is time, for twice of what was used at once so far; False when nothing is left to do."""
        wanted = min(2 * self._most, _PREPARED)
        at = self._sizes.index(min(self._sizes))
        return self._sizes[at] < wanted and self._grow(at)

    def _grow(self, at: int) -> bool:
        with contextlib.suppress(OSError), mmap.mmap(-1, _STEP) as zeros:
            self._write(at, zeros, _STEP, self._sizes[at])
            return True
        return False

    def turn(self) -> None:
        """Go on in the other file, over what it has: that must have been filed for good."""
        self._at = 1 - self._at
        self._offset = 0
        self._kept, self._first = self._first, self._number + 1

    def close(self) -> None:
        """Give the files free; they stay as they are."""
        for file in self._files:
            os.close(file)
        self._files = []

    def _write(self, at: int, buffer: mmap.mmap, size: int, offset: int) -> None:
        with memoryview(buffer) as view, view[:size] as whole:
            if os.pwrite(self._files[at], whole, offset) != size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sizes[at] = max(self._sizes[at], offset + size)


def read(db: sqlite3.Connection, path: str) -> list[tuple[int, str]]:
    """Numbers and texts of the batches, in order, also while a server writes; some or all may be filed already.

    Who reads tables, too, reads this before them: what is filed meanwhile is then found in one or in both.
    Raises JournalError, OSError, sqlite3.Error.
    """
    if db.execute("SELECT 1 FROM sqlite_master WHERE name='meta'").fetchone() is None:
        return []
    for attempt in range(5):
        row = db.execute("SELECT value FROM meta WHERE key='log'").fetchone()
        found: dict[int, tuple[int, str]] = {}
        if row is not None:
            for file in names(path):
                found.update(_batches(file, _name_of(path, row[0])))
        if not found:
            return []
        last = max(found)
        missing = [number for number in range(found[last][0], last) if number not in found]
        if not missing:
            return [(number, found[number][1]) for number in range(found[last][0], last + 1)]
        time.sleep(0.01 * attempt)  # perhaps a file was written over while it was read
    raise damaged(missing[0])


def _name_of(path: str, value: object) -> bytes:
    """The log's name as table ``meta`` has it."""
    with contextlib.suppress(TypeError, ValueError):
        name = bytes.fromhex(value)  # type: ignore[arg-type]
        if len(name) == 8:
            return name
    raise JournalError(f"{path}: table meta: the name of the journal's log is damaged: restore a copy or an export")


def damaged(number: int) -> JournalError:
    """What to say of a batch that is not as it was written."""
    return JournalError(f"batch {number} of the journal's log is damaged: restore a copy or an export")


def remove(path: str) -> None:
    """Delete the files: everything has been filed for good."""
    for name in names(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _opened(name: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_DSYNC
    try:
        file = os.open(name, flags | os.O_DIRECT, 0o600)
        try:
            with mmap.mmap(-1, _BLOCK) as zeros:
                os.pwrite(file, zeros, 0)
        except BaseException:
            os.close(file)
            raise
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
        return os.open(
            name, flags, 0o600
        )  # some file systems refuse to write past the cache, when opening or when writing
    return file


def _sync_directory(path: str) -> None:
    """New names survive a power cut only with this."""
    directory = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _sum(head: bytes, data: bytes) -> bytes:
    return zlib.crc32(data, zlib.crc32(head)).to_bytes(4, "big")


def _batches(file: str, log: bytes) -> dict[int, tuple[int, str]]:
    """The batches of that log in a file: first number and text by number. Those behind one that is not whole, too: if they are
    left of an earlier use they do no harm, and if not, they tell that it is missing."""
    try:
        with open(file, "rb") as opened:
            data = opened.read()
    except FileNotFoundError:
        return {}
    found: dict[int, tuple[int, str]] = {}
    at = 0
    while (at := data.find(_MAGIC + log, at)) >= 0:
        end = at + _START
        if at % _BLOCK or end > len(data):
            at += 1
            continue
        _, _, number, kept, length = _HEAD.unpack_from(data, at)
        text = data[end : end + length]
        if len(text) < length or _sum(data[at : at + _HEAD.size], text) != data[at + _HEAD.size : end]:
            at += 1
            continue
        with contextlib.suppress(UnicodeDecodeError):
            found[number] = kept, text.decode()
        at = end + length
    return found
