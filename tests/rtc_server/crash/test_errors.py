# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors instead of cuts: each call of a journal's life fails once, and the journal serves again when the cause is gone.

The short form tries some of the cases; ``RTC_CRASH=long`` (``make test-rtc``) all of them.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from crash import known, record
from crash.errors import Case, Result
from crash.explore import grouped

IS_LONG = os.environ.get("RTC_CRASH") == "long"


def swept(program: str, limit: int, library: Path, directory: Path) -> Result:
    """What a program that has the shim found."""
    result = directory / "result"
    command = [sys.executable, "-m", f"crash.{program}", str(limit), str(directory), str(result)]
    subprocess.run(command, env=record.environment(library), check=True)
    found = pickle.loads(result.read_bytes())
    assert isinstance(found, Result)
    return found


def new(result: Result, accepted: dict[str, str]) -> list[str]:
    """Failures that are not known, in words."""
    unknown = []
    for case, problems in result.failures:
        for problem in problems:
            if not any(re.search(pattern, f"{problem.kind}: {problem.text}") for pattern in accepted):
                unknown.append(f"{case}: {problem.kind}: {problem.text}")
    return unknown


def told(failures: list[tuple[Case, list[object]]]) -> str:
    return "\n".join(f"{case}: {problems[0]}" for case, problems in failures)


def test_each_call_fails_once(library: Path, memory: Path, figures: Counter[str]) -> None:
    """Nothing acknowledged is lost or doubled, also when the power fails some time later; no help is needed."""
    result = swept("errors", 0 if IS_LONG else 60, library, memory)
    figures["calls that failed"] += result.cases
    figures["crashes after them"] += result.crashes.opened
    figures["never served again"] += sum(problems[0].kind == "refuses" for _, problems in result.failures)
    print(told(result.failures))  # type: ignore[arg-type]
    assert result.cases > (400 if IS_LONG else 30)
    assert not new(result, known.ERRORS)
    crashes = [failure for failure in result.crashes.failures if failure.kind not in known.CRASHES_AFTER_ERRORS]
    assert not crashes, "\n".join(f"{number} x {what}: {one.where}" for what, number, one in grouped(crashes))


def test_members_see_what_is_kept(library: Path, memory: Path, figures: Counter[str]) -> None:
    """A change whose commit "failed" and that is kept all the same reaches everybody, once."""
    result = swept("members", 0 if IS_LONG else 24, library, memory)
    figures["calls that failed under members"] += result.cases
    print(told(result.failures))  # type: ignore[arg-type]
    assert result.cases > (100 if IS_LONG else 10)
    assert not new(result, known.MEMBERS)
