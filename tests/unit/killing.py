# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killing a module at each of its calls that change a file or start a program."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CALLS = (
    "os.rename",
    "os.symlink",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.chown",
    "os.chmod",
    "os.truncate",
    "os.link",
)


def run_and_die(number: int, run: Callable[[], Any]) -> bool:
    """Run it in a child that is killed just before its call of that number (from 1); whether it came so far.

    Python tells of a call before it makes it (PEP 578), so one after another is every state between two of them.
    """
    child = os.fork()
    if child == 0:
        left = iter(range(number - 1))

        def count(event: str, arguments: Any) -> None:
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
            if (writes or event in CALLS or event == "subprocess.Popen") and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
