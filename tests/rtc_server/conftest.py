# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the RTC server's tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from journal_support import Maintenance
from rtc_figures import FIGURES, HOSTILE, SOAK, line, table
from rtc_support import BREACHES, Server, Site, running

from rtc_server.journal import sqlite, writer

try:
    from hypothesis import settings
except ImportError:
    pass
else:
    settings.register_profile("default", max_examples=100, deadline=None)
    settings.register_profile("thorough", max_examples=3000, deadline=None)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _contract_is_kept() -> Iterator[None]:
    """Whatever a test is about: nothing that the server sent may differ from docs/asyncapi.yaml."""
    BREACHES.clear()
    yield
    assert BREACHES == []


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A server in this process with the default limits."""
    async with running(tmp_path) as site:
        yield site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server in a process of its own, started."""
    server = Server(tmp_path)
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a journal's file."""
    return tmp_path / "journal.db"


@pytest.fixture
def maintenance(monkeypatch: pytest.MonkeyPatch) -> Maintenance:
    """Nothing is flushed by itself in this test until this is released."""
    return Maintenance(monkeypatch)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that failed tries again at once."""
    monkeypatch.setattr(writer, "RETRY", 0.02)
    monkeypatch.setattr(sqlite, "RETRY", 0.02)


# --- the figures of `make test-rtc` ----------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its figures to the controlling process."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["rtc_figures"] = [dict(FIGURES), HOSTILE, SOAK]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """The controlling process adds up."""
    counts, hostile, soak = getattr(node, "workeroutput", {}).get("rtc_figures", ({}, [], []))
    FIGURES.update(counts)
    HOSTILE.extend(hostile)
    SOAK.extend(soak)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print them when there are any."""
    for text in table(HOSTILE) if HOSTILE else ():
        terminalreporter.write_line(text)
    for text in SOAK:
        terminalreporter.write_line(text)
    if FIGURES:
        terminalreporter.write_line("RTC server: " + line(FIGURES))
