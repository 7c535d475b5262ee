# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal comes back from every crash: each acknowledged change is there once, in order, and new ones are taken.

The short form opens some hundred states of each scenario; ``RTC_CRASH=long`` (``make test-rtc``) opens all of them.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from crash import journal_driver, known, old, record, states
from crash.explore import Report, explore, grouped
from crash.scenarios import SCENARIOS

IS_LONG = os.environ.get("RTC_CRASH") == "long"
MOST = None if IS_LONG else 300  # states of a scenario
LIMITS = states.LONG if IS_LONG else states.SHORT


def count(figures: Counter[str], report: Report) -> None:
    """Add to what is printed at the end."""
    figures["crash states opened"] += report.opened
    figures["acknowledged lost"] += report.failed("lost")
    figures["doubled"] += report.failed("doubled")
    figures["journals that refuse"] += report.failed("refuses")
    figures["otherwise wrong"] += len(report.failures) - sum(
        report.failed(kind) for kind in ("lost", "doubled", "refuses")
    )


def told(report: Report) -> str:
    """What failed, each kind with its smallest case."""
    return "\n".join(f"{number} x {what}\n    {failure.where}" for what, number, failure in grouped(report.failures))


@pytest.mark.parametrize("scenario", [*SCENARIOS, *old.VERSIONS])
def test_every_crash(scenario: str, library: Path, memory: Path, figures: Counter[str]) -> None:
    report = explore(record.recorded(scenario, library, memory), LIMITS, memory, MOST)
    count(figures, report)
    print(
        f"{scenario}: {report.opened} of {report.distinct} states, {report.opened / report.seconds:.0f} a second\n{told(report)}"
    )
    accepted = known.CRASHES.get(scenario, {})
    report.failures = [failure for failure in report.failures if failure.kind not in accepted]
    assert not report.failures, told(report)
    assert report.opened >= (300 if IS_LONG else 250)


@pytest.mark.parametrize("broken", journal_driver.BREAKAGES)
def test_a_journal_that_forgets_is_found_out(broken: str, library: Path, memory: Path) -> None:
    """What finds nothing in a journal that is broken on purpose finds nothing at all."""
    scenario = "first_start" if "directory" in broken else "rotating"
    report = explore(record.recorded(scenario, library, memory, broken), states.SHORT, memory, 600)
    assert report.failed("lost") + report.failed("refuses") > 50, told(report)  # a log that is gone is refused
