# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may happen often is logged once a minute."""

from __future__ import annotations

import logging

import pytest

from rtc_server import rarely
from rtc_server.rarely import Rarely

LOGGER = logging.getLogger("rtc_server.test_rarely")


class Clock:
    """A clock that the test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_one_line_for_each_key_and_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    said = Rarely(60, clock)
    for _ in range(5):
        said.log(LOGGER, logging.WARNING, "full", "%d are too many", 7)
    said.log(LOGGER, logging.WARNING, "other", "another")
    clock.now += 59
    said.log(LOGGER, logging.WARNING, "full", "%d are too many", 8)
    assert caplog.messages == ["7 are too many", "another"]
    clock.now += 1
    said.log(LOGGER, logging.WARNING, "full", "%d are too many", 9)
    said.log(LOGGER, logging.WARNING, "full", "%d are too many", 10)
    clock.now += 61
    said.log(LOGGER, logging.WARNING, "full", "%d are too many", 11)
    assert caplog.messages[2:] == [
        "9 are too many (5 more since the last such line)",
        "11 are too many (1 more since the last such line)",
    ]


def test_any_number_of_keys_takes_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    said = Rarely(60, clock)
    for key in range(3 * rarely._MOST_KEYS):
        said.log(LOGGER, logging.WARNING, key, "%d", key)
    assert len(said._said) == rarely._MOST_KEYS
    assert len(caplog.messages) == 3 * rarely._MOST_KEYS


def test_a_level_that_is_not_logged_costs_nothing() -> None:
    said = Rarely()
    said.log(LOGGER, logging.DEBUG, "k", "not seen")
    assert not said._said
