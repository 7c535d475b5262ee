# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking the RTC server of a host by one of its commands, with the credentials that the service has."""

from __future__ import annotations

import subprocess

from ansible_collections.collab.rtc.plugins.module_utils import _ownership
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit


def ask_server(instance: str, text: str, *arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """What the program that a unit starts answers.

    :param text: of the unit.
    :param seconds: the longest that it may take.
    :raises RtcError: the unit does not name it, or somebody else could exchange it.
    :raises OSError, subprocess.TimeoutExpired: it does not start, or does not end.
    """
    program = unit.find_program(text)
    for path in program:
        _ownership.check_program(path)
    credentials = f"{unit.CONFIG_DIR}/{instance}"
    return subprocess.run(
        [program[0], "-I", program[1], *arguments],
        capture_output=True,
        encoding="utf-8",  # what Python takes where no language is set
        errors="replace",
        check=False,
        timeout=seconds,
        cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CREDENTIALS_DIRECTORY": credentials,
             "RUNTIME_DIRECTORY": credentials},
    )  # fmt: skip
