# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the closing lines of a run of all suites say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[3] / "tools/run_tests.py"


@pytest.fixture(scope="module")
def run_tests():
    if not FILE.exists():
        pytest.skip("the tools are not in a built collection")
    spec = importlib.util.spec_from_file_location("run_tests_under_test", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "FAILED tests/unit/test_a.py::test_b - AssertionError: 1",
        "\x1b[31mERROR tests/unit/test_a.py\x1b[0m - ImportError",
        "E   assert 1 == 2",
        'fatal: [one]: FAILED! => {"msg": "no"}',
        "ERROR: plugins/modules/a.py:1:2: E501: line too long",
        "plugins/modules/a.py:1:2: E501 line too long",
    ],
)
def test_what_failed_is_repeated(run_tests, line):
    found = run_tests.find_failures(f"before\n{line}\n1 failed, 2 passed in 3.00s\n")
    assert len(found) == 1
    assert found[0] in line.replace("\x1b[31m", "").replace("\x1b[0m", "")


def test_a_flood_is_cut_to_its_end(run_tests):
    found = run_tests.find_failures("".join(f"FAILED number {number}\n" for number in range(100)))
    assert (len(found), found[-1]) == (20, "FAILED number 99")


@pytest.mark.parametrize(
    ("output", "status", "expected"),
    [
        ("7 passed, 1 skipped in 2.00s", 0, (7, 0, 1)),
        ("7 passed, 1 failed, 2 errors in 2.00s", 1, (7, 3, 0)),
        ("7 passed in 2.00s\nFAIL Required test coverage not reached", 1, (7, 1, 0)),
        ("no tests ran in 0.01s", 0, (0, 1, 0)),
        ("", 1, (0, 1, 0)),
    ],
)
def test_counts_of_pytest(run_tests, output, status, expected):
    counts = run_tests.read_pytest(output, status)
    assert (counts.passed, counts.failed, counts.skipped) == expected
