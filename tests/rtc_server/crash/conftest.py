# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of these tests, printed at the end, and what they share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash import trace

FIGURES: Counter[str] = Counter()
_KEY = "rtc_crash_figures"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc compiles the recorder, and there is none")
    return trace.compiled(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory, where there is one."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="rtc-crash-", dir=shared) as name:
        yield Path(name)


@pytest.fixture
def figures() -> Counter[str]:
    """To be added to."""
    return FIGURES


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its figures to the controlling process."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_KEY] = dict(FIGURES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """The controlling process adds up."""
    FIGURES.update(getattr(node, "workeroutput", {}).get(_KEY, {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them when there are any."""
    if FIGURES:
        names: tuple[str, ...] = (
            "crash states opened",
            "acknowledged lost",
            "doubled",
            "journals that refuse",
            "otherwise wrong",
        )
        names += tuple(sorted(set(FIGURES) - set(names)))
        terminalreporter.write_line("journal: " + ", ".join(f"{name} {FIGURES[name]:,}" for name in names))
