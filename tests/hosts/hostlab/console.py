# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress on the terminal: what takes longer than a moment says so, and says how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_WORD_S = 2.0
NEXT_WORD_S = 10.0

_started = time.monotonic()
_printing = threading.Lock()


def say(message: str) -> None:
    """Print one line with the seconds since the command began."""
    with _printing:
        print(f"[{time.monotonic() - _started:6.1f} s] {message}", flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Do something that may take a while: quiet when it is quick, else a line now and then and one at its end."""
    began = time.monotonic()
    over = threading.Event()

    def report() -> None:
        wait = FIRST_WORD_S
        while not over.wait(wait):
            say(f"{what} … ({time.monotonic() - began:.0f} s)")
            wait = NEXT_WORD_S

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        over.set()
        reporter.join()
    took = time.monotonic() - began
    if took > FIRST_WORD_S:
        say(f"{what}: done in {took:.0f} s")
