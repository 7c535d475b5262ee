# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a file as a process sees it: of the container that it runs in."""

from __future__ import annotations

import os
import re
from typing import Any, Mapping

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._place import FileError

_DRIFT = 5.0  # seconds: the kernel's time of its own start moves with the clock
_ROOT = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC


def read_bytes(process: Mapping[str, Any], path: str, limit: int) -> bytes:
    """The content of a regular file below the root directory of a process; links lead to files below it only.

    :param process: its ``pid``, and when it was ``started``, in seconds since the epoch: another one may have its
        number by now.
    :param limit: in bytes, as for :func:`_files.read_bytes`.
    :raises FileError: as there; or it is another process.
    """
    pid, started = int(process["pid"]), float(process["started"])
    remedy = "Its container was started anew: run again."
    try:
        handle = os.open(f"/proc/{pid}/root/.", _ROOT)
    except OSError as exc:
        raise FileError(f"{path} of process {pid} cannot be read: {exc.strerror}.", remedy) from exc
    try:
        if abs(_read_start(pid) - started) > _DRIFT:
            raise FileError(f"{path} of process {pid} is not read: it is another process by now.", remedy)
        return _files.read_bytes(path, limit, f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def _read_start(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    with open("/proc/stat", encoding="utf-8") as file:
        boot = re.search(r"^btime (\d+)", file.read(), re.MULTILINE)
    return int(boot.group(1) if boot else 0) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
