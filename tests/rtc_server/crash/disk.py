# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that forgets: what of a directory is durable, and what may or may not be, call by call.

README.md has the rules and where they come from. A file is known by a number, as the kernel knows it by its inode: names come and go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .trace import Call, Mode, Op

SECTOR = 512  # bytes that reach a disk whole or not at all
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE

Files = dict[str, bytes]


class UnsupportedError(Exception):
    """The program did something to its files that the model does not know."""


@dataclass(eq=False, slots=True)
class Data:
    """A write. ``sectors`` are as the page cache had them after it: by the time that they reach the disk they are whole."""

    number: int  # in the order of all writes
    inode: int
    start: int
    end: int
    sectors: dict[int, bytes]
    grows: bool = False  # past the size that the file had
    dropped: bool = False  # a sync failed: the kernel takes it for written and never writes it again


@dataclass(eq=False, slots=True)
class Size:
    """A change of a file's size by itself."""

    inode: int
    size: int
    grow: bool = False  # never make it smaller


@dataclass(eq=False, slots=True)
class Name:
    """A change of a directory: ``path`` becomes a name of ``inode``, or of nothing; with ``source`` that name goes in the same step."""

    path: str
    inode: int | None
    source: str = ""

    @property
    def directories(self) -> set[str]:
        return {os.path.dirname(path) for path in (self.path, self.source) if path}


Item = Data | Size | Name


@dataclass(slots=True)
class Torn:
    """Of an item, only these sectors arrived. ``size``: the file's size nevertheless is as after all of it."""

    sectors: frozenset[int]
    size: bool


@dataclass
class Content:
    """A file on the disk, without what may get there."""

    data: bytearray = field(default_factory=bytearray)
    version: int = 0


class Disk:
    """A directory during a recorded run."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.durable: dict[int, Content] = {}
        self.names: dict[str, int] = {}  # durable
        self.pending: list[Item] = []  # in the order in which it happened
        self._live: dict[int, bytearray] = {}  # as programs see it
        self.live_names: dict[str, int] = {}
        self._open: dict[int, tuple[int, bool, str]] = {}  # by descriptor: inode (-1: a directory), synchronous, path
        self._count = 0
        self.writes = 0
        for path, data in files.items():
            inode = self._new()
            self.durable[inode].data[:] = data
            self._live[inode][:] = data
            self.names[path] = self.live_names[path] = inode

    def _new(self) -> int:
        self._count += 1
        self._live[self._count] = bytearray()
        self.durable[self._count] = Content()
        return self._count

    def live(self) -> Files:
        """The directory as programs see it, without what is shared memory and no file."""
        return {path: bytes(self._live[inode]) for path, inode in self.live_names.items() if not volatile(path)}

    # --- a call's two halves ------------------------------------------------------------------------------------

    def issue(self, call: Call) -> Data | None:
        """What the call asks for may be on the disk from now on. Returns the write, if it is one."""
        if call.error and call.mode != Mode.AFTER and not call.data:
            return None
        if call.op is Op.UNSEEN:
            raise UnsupportedError(call.data.decode())
        if call.op is Op.SYMLINK:
            raise UnsupportedError("symbolic link")
        if call.op is Op.OPEN:
            self._opened(call)
        elif call.op is Op.DUP:
            self._open[call.result] = self._open[call.fd]
        elif call.op is Op.CLOSE:
            self._open.pop(call.fd, None)
        elif call.op in (Op.RENAME, Op.LINK, Op.UNLINK):
            self._renamed(call)
        elif call.op in (Op.WRITE, Op.TRUNCATE, Op.ALLOCATE, Op.MAP) and not self._volatile(call):
            return self._changed(call)
        return None

    def _changed(self, call: Call) -> Data | None:
        """The bytes or the size of a file."""
        if call.op is Op.WRITE:
            return self._written(call) if call.data else None
        if call.op is Op.MAP:
            raise UnsupportedError(f"{self._open[call.fd][2]} is written by mmap")
        if call.op is Op.TRUNCATE:
            self._resize(self._inode(call), call.offset)
        elif call.flags & ~_KEEP_SIZE:
            raise UnsupportedError(f"fallocate with flags {call.flags}")
        elif not call.flags:
            self._resize(self._inode(call), call.offset + call.result, grow=True)
        return None

    def complete(self, call: Call) -> None:
        """The call has returned: what it promises is durable."""
        if call.error:
            self._failed(call)
            return
        if not self.promises(call):
            return
        inode, _, path = self._open[call.fd]
        if call.op is Op.WRITE:
            item = next(i for i in reversed(self.pending) if isinstance(i, Data) and i.inode == inode)
            self._keep([i for i in self.pending if i is item or (isinstance(i, Size) and i.inode == inode)])
        elif inode < 0:
            self._keep([i for i in self.pending if isinstance(i, Name) and path in i.directories])
        else:
            self._keep([i for i in self.pending if not isinstance(i, Name) and i.inode == inode and not _dropped(i)])

    def promises(self, call: Call) -> bool:
        """Whether something is durable when the call returns that need not have been before."""
        if call.error or call.fd not in self._open or self._volatile(call):
            return False
        inode, synchronous, path = self._open[call.fd]
        if call.op is Op.WRITE:
            return synchronous and bool(call.data)
        if call.op is not Op.SYNC:
            return False
        if inode < 0:
            return any(isinstance(i, Name) and path in i.directories for i in self.pending)
        return any(not isinstance(i, Name) and i.inode == inode and not _dropped(i) for i in self.pending)

    def _failed(self, call: Call) -> None:
        """What could not be synced never will be by another sync, whatever that says; perhaps it is there."""
        inode, synchronous, _ = self._open.get(call.fd, (-1, False, ""))
        for item in self.pending:
            if isinstance(item, Data) and item.inode == inode and (call.op is Op.SYNC or (synchronous and call.data)):
                item.dropped = True

    # --- calls --------------------------------------------------------------------------------------------------

    def _opened(self, call: Call) -> None:
        path = call.path
        if not path or (call.flags & os.O_DIRECTORY):
            self._open[call.fd] = -1, False, path
            return
        if path not in self.live_names:
            if not call.flags & os.O_CREAT:
                self._open[call.fd] = -1, False, path  # a directory, opened without saying so
                return
            inode = self._new()
            self.live_names[path] = inode
            if not volatile(path):
                self.pending.append(Name(path, inode))
        inode = self.live_names[path]
        if call.flags & os.O_TRUNC and self._live[inode] and not volatile(path):
            self._resize(inode, 0)
        self._open[call.fd] = inode, bool(call.flags & os.O_DSYNC), path  # O_SYNC has O_DSYNC's bit, too

    def _written(self, call: Call) -> Data:
        inode = self._inode(call)
        live = self._live[inode]
        start, end = call.offset, call.offset + len(call.data)
        grows = end > len(live)
        if grows:
            live.extend(bytes(end - len(live)))
        live[start:end] = call.data
        sectors = {
            number: bytes(live[number * SECTOR : (number + 1) * SECTOR])
            for number in range(start // SECTOR, (end - 1) // SECTOR + 1)
        }
        self.writes += 1
        item = Data(self.writes, inode, start, end, sectors, grows)
        self.pending.append(item)
        return item

    def _resize(self, inode: int, size: int, *, grow: bool = False) -> None:
        live = self._live[inode]
        if grow:
            size = max(size, len(live))
        _set_size(live, size)
        self.pending.append(Size(inode, size, grow))

    def _renamed(self, call: Call) -> None:
        if call.op is Op.UNLINK:
            inode = self.live_names.pop(call.path, None)
            item = Name(call.path, None)
        else:
            if not call.path or not call.other or (call.op is Op.RENAME and call.flags):
                raise UnsupportedError(str(call))
            inode = self.live_names[call.path]
            self.live_names[call.other] = inode
            item = Name(call.other, inode, call.path if call.op is Op.RENAME else "")
            if call.op is Op.RENAME:
                del self.live_names[call.path]
        if inode is not None and not volatile(call.path):
            self.pending.append(item)

    def _inode(self, call: Call) -> int:
        return self.live_names[call.path] if call.fd < 0 else self._open[call.fd][0]

    def _volatile(self, call: Call) -> bool:
        return volatile(call.path if call.fd < 0 else self._open[call.fd][2])

    # --- states -------------------------------------------------------------------------------------------------

    def _keep(self, items: list[Item]) -> None:
        """They are durable."""
        for item in items:
            self.pending.remove(item)
            if isinstance(item, Name):
                apply_name(self.names, item)
                continue
            content = self.durable[item.inode]
            apply(content.data, item)
            content.version += 1
            if isinstance(item, Data):  # what is older never comes over it
                for older in self.pending:
                    if isinstance(older, Data) and older.inode == item.inode and older.number < item.number:
                        for number in item.sectors.keys() & older.sectors.keys():
                            del older.sectors[number]
        self.pending = [i for i in self.pending if not isinstance(i, Data) or i.sectors]


def volatile(path: str) -> bool:
    """SQLite's shared memory: who opens the journal first after a crash makes it anew ("WAL-mode File Format", section 2)."""
    return path.endswith("-shm")


def apply(data: bytearray, item: Data | Size, torn: Torn | None = None) -> None:
    """Put it into a file."""
    if isinstance(item, Size):
        _set_size(data, max(item.size, len(data)) if item.grow else item.size)
        return
    end = item.end
    sectors: Iterable[int] = item.sectors
    if torn is not None:
        sectors = torn.sectors
        if not torn.size:
            end = min(end, (max(torn.sectors) + 1) * SECTOR) if torn.sectors else 0
    if end > len(data):
        data.extend(bytes(end - len(data)))
    size = len(data)
    for number in sectors:
        at = number * SECTOR
        data[at : at + len(item.sectors[number])] = item.sectors[number]
    del data[size:]


def apply_name(names: dict[str, int], item: Name) -> None:
    """Put it into a directory."""
    if item.source:
        names.pop(item.source, None)
    if item.inode is None:
        names.pop(item.path, None)
    else:
        names[item.path] = item.inode


def _set_size(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def _dropped(item: Item) -> bool:
    return isinstance(item, Data) and item.dropped
