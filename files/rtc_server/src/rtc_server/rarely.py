# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging at most once a minute what may happen a thousand times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

_MOST_KEYS = 1024  # of which it is remembered when they were logged; strangers may bring as many as they like


class Rarely:
    """Logs a line for each key, and then none for that key for ``seconds``. The next line tells how many were kept
    back. When there are too many keys, the one that was logged longest ago is forgotten.

    ``clock`` returns seconds.
    """

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._said: dict[Hashable, list[float]] = {}  # by key, longest ago first: when, and how many were kept back

    def log(self, logger: logging.Logger, level: int, key: Hashable, message: str, *args: object) -> None:
        """Log as ``logger.log(level, message, *args)`` does, or keep it back."""
        if not logger.isEnabledFor(level):
            return
        now = self._clock()
        last = self._said.get(key)
        if last is not None and now < last[0] + self._seconds:
            last[1] += 1
            return
        if last is not None:
            del self._said[key]  # to go behind the others
            if last[1]:
                message, args = message + " (%d more since the last such line)", (*args, int(last[1]))
        elif len(self._said) >= _MOST_KEYS:
            del self._said[next(iter(self._said))]
        self._said[key] = [now, 0]
        logger.log(level, message, *args)
