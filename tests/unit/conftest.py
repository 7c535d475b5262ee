# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests of modules and of their private helpers."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit import module_runner

with contextlib.suppress(ImportError):  # tests that need it are skipped where it is missing
    from hypothesis import settings

    # A busy machine is no fault of the code: an example may take as long as it takes.
    settings.register_profile("unit", deadline=None)
    settings.load_profile("unit")

_NUMBERS = itertools.count()


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)


@pytest.fixture(autouse=True)
def _ended_runs(tmp_path_factory, monkeypatch):
    """The runs that a test gives up are given up for that test alone, not for this machine."""
    path = tmp_path_factory.getbasetemp() / f"run-{next(_NUMBERS)}" / "ended.json"
    monkeypatch.setattr(records, "ENDED", str(path))
