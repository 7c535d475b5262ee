# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the configuration names: keys, certificates, tokens. A running server reads them anew at a reload, so none
may let it wait, as a pipe does, or go on for ever, as /dev/zero."""

from __future__ import annotations

import errno
import os
import stat

_MOST = 1 << 20  # bytes


def read_given(path: str) -> bytes:
    """The contents of a file of moderate size. Raises OSError, with a cause of its own for what is no such file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a regular file", path)
        found = file.read(_MOST + 1)
    if len(found) > _MOST:
        raise OSError(errno.EFBIG, f"More than {_MOST >> 20} MB", path)
    return found
