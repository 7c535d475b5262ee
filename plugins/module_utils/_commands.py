# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running programs of a host as root: those that nobody else could exchange."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import subprocess
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils import _ownership

COMMAND_SECONDS = 60


@dataclass
class Command:
    """What a command printed, and its exit code."""

    code: int
    output: str  # standard output and error together


def run(argv: list[str], environment: dict[str, str] | None = None) -> Command:
    """Run a program of the host; a program that is missing or hangs is a result too.

    :raises UnsafeProgramError: root is asked to run one that others could exchange.
    """
    values = {**os.environ, "LC_ALL": "C", **(environment or {})}
    values["PATH"] = search_path(safe=True)
    program = shutil.which(argv[0], path=values["PATH"])
    if program is None:
        return Command(127, f"{argv[0]}: {os.strerror(errno.ENOENT)}")
    _ownership.check_program(program)
    try:
        done = subprocess.run(
            [program, *argv[1:]], env=values, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Command(124, f"{argv[0]} did not answer within {COMMAND_SECONDS} seconds")
    except OSError as exc:
        return Command(127, f"{argv[0]}: {exc.strerror}")
    return Command(done.returncode, done.stdout.decode("utf-8", "replace").strip())


def search_path(safe: bool) -> str:
    """Where programs are looked for: ``PATH`` and the administrator's directories.

    :param safe: for root, only those that are root's alone.
    """
    named = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/bin"]
    found = [item for item in dict.fromkeys(named) if item.startswith("/")]
    return os.pathsep.join(item for item in found if not safe or _is_safe_directory(item))


@functools.lru_cache(maxsize=64)
def _is_safe_directory(path: str) -> bool:
    if os.geteuid() != 0:
        return True
    try:
        return not _ownership.find_writers(path, entries=True)
    except OSError:
        return False
