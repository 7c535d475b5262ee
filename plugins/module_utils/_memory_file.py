# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are nowhere: for private keys and passwords that a program or a library will only take from a file.

Such a file has no name that another user could open, exchange or link, and it is gone with its last descriptor, however
the process ends.
"""

from __future__ import annotations

import contextlib
import os
from typing import Iterator

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError


@contextlib.contextmanager
def hold(data: bytes, label: str = "rtc") -> Iterator[int]:
    """The descriptor of a file in memory (memfd_create(2)) with these bytes, closed at the end.

    :func:`path_of` gives a path for it, that works in this process and, when it inherits the descriptor, in a child.

    :param label: shown in ``/proc`` only.
    :raises RtcError: the system has no such files.
    """
    create = getattr(os, "memfd_create", None)  # Linux 3.17 and glibc 2.27
    if create is None:
        raise RtcError("This Python cannot make a file in memory.", "Linux 3.17 and glibc 2.27 are needed.")
    handle = create(label, os.MFD_CLOEXEC)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        yield handle
    finally:
        os.close(handle)


def path_of(handle: int) -> str:
    """A path that opens the file anew, for reading and writing, from its beginning."""
    return f"/proc/self/fd/{handle}"


def read_all(handle: int, limit: int) -> bytes:
    """What the file holds now.

    :param limit: bytes; more are refused.
    :raises RtcError: it is larger.
    """
    data = b""
    while len(data) <= limit:
        piece = os.pread(handle, min(limit + 1 - len(data), 1 << 20), len(data))
        if not piece:
            return data
        data += piece
    raise RtcError(f"A program wrote more than {limit} bytes.", "Run it by hand.")
