# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether something takes its time by the size of what it is given, and not by the square: compared in one run, as no
number of seconds is right on every machine. What would never end is left to the time limit of a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def require_linear(run: Callable[[T], object], make: Callable[[int], T], size: int, slack: float = 0.5) -> None:
    """Make sure that four times as much takes less than ten times as long; a square would be sixteen.

    :param make: what to run with, of a size.
    :param slack: seconds of CPU that are noise.
    """
    small, large = (_measure(run, make(part)) for part in (size // 4, size))
    assert large < 10 * small + slack


def _measure(run: Callable[[T], object], given: T) -> float:
    begin = time.process_time()
    run(given)
    return time.process_time() - begin
