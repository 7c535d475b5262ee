# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shim recorded (shim.c), as Python values; and the shim itself, compiled and asked from Python."""

from __future__ import annotations

import ctypes
import enum
import json
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("shim.c")
_RECORD = struct.Struct("<IiiiqqIIII")


class Op(enum.IntEnum):
    """``enum op`` of shim.c."""

    OPEN = 1
    WRITE = 2
    TRUNCATE = 3
    SYNC = 4
    RENAME = 5
    UNLINK = 6
    LINK = 7
    SYMLINK = 8
    MKDIR = 9
    ALLOCATE = 10
    MAP = 11
    CLOSE = 12
    DUP = 13
    RANGE = 14
    MARK = 15
    UNSEEN = 16


class Mode(enum.IntEnum):
    """How a call is made to fail: ``enum mode`` of shim.c. AFTER: what it does has happened; SHORT: half of a write has."""

    BEFORE = 1
    AFTER = 2
    SHORT = 3


@dataclass(slots=True)
class Call:
    """One call. ``error`` is 0 or errno, ``data`` the bytes that a write put at ``offset``, ``mode`` 0 or how it was made to fail."""

    op: Op
    fd: int
    flags: int
    error: int
    offset: int
    result: int
    mode: int
    path: str
    other: str
    data: bytes

    def __str__(self) -> str:
        size = f" {len(self.data)} bytes at {self.offset}" if self.op is Op.WRITE else ""
        name = " ".join(filter(None, (self.path, self.other)))
        failed = f" fails: {os.strerror(self.error)}" if self.error else ""
        return f"{self.op.name.lower()} {name or self.fd}{size}{failed}"


def read(trace: Path) -> list[Call]:
    """The calls, in order."""
    raw = trace.read_bytes()
    found: list[Call] = []
    at = 0
    while at < len(raw):
        op, fd, flags, error, offset, result, *sizes, mode = _RECORD.unpack_from(raw, at)
        at += _RECORD.size
        parts: list[bytes] = []
        for size in sizes:
            parts.append(raw[at : at + size])
            at += size
        path, other, data = os.fsdecode(parts[0]), os.fsdecode(parts[1]), parts[2]
        found.append(Call(Op(op), fd, flags, error, offset, result, mode, path, other, data))
    assert at == len(raw), "the trace is cut short"
    return found


def marks(calls: list[Call]) -> list[Any]:
    """What the driver said, in order."""
    return [json.loads(call.data) for call in calls if call.op is Op.MARK]


# --- the shim ---------------------------------------------------------------------------------------------------


def compiled(directory: Path) -> Path:
    """The shim, for LD_PRELOAD. Raises CalledProcessError with the compiler's words on standard error."""
    library = directory / "shim.so"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run([*command, "-ldl", "-lpthread"], check=True)
    return library


class Shim:
    """The shim of this process, which was started with it preloaded. Raises AttributeError when it was not."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.rtc_start.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        self._library.rtc_mark.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._library.rtc_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_int]
        for name in ("rtc_fired", "rtc_disarm", "rtc_count"):
            getattr(self._library, name).restype = ctypes.c_long

    def start(self, directory: Path, trace: Path) -> None:
        """Record in a file what happens below a directory, which the file must be outside of."""
        if self._library.rtc_start(os.fsencode(directory.resolve()), os.fsencode(trace.resolve())) < 0:
            raise OSError(f"{trace} cannot be written")

    def stop(self) -> None:
        """Record no more."""
        self._library.rtc_stop()

    def mark(self, what: Any) -> None:
        """Put a JSON value into the trace."""
        text = json.dumps(what).encode()
        self._library.rtc_mark(text, len(text))

    def arm(self, op: int, nth: int, error: int, mode: int, *, lasting: bool = False) -> None:
        """Let the n-th call of a kind (0: of any) fail from now on, and when it is lasting all later ones, too."""
        self._library.rtc_arm(op, nth, error, mode, lasting)

    def disarm(self) -> int:
        """End that. Returns how many calls failed by it."""
        return int(self._library.rtc_disarm())

    @property
    def fired(self) -> int:
        """How many calls failed so far by what is armed."""
        return int(self._library.rtc_fired())

    def count(self, op: int) -> int:
        """Calls of that kind since the start or since something was armed."""
        return int(self._library.rtc_count(op))
