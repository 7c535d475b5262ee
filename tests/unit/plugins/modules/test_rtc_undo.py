# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undoing runs on a host."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _undo


@pytest.fixture
def host(tmp_path):
    """A file that two runs changed: 1 -> 2 -> 3."""
    file, records = tmp_path / "server.xml", tmp_path / "undo"
    file.write_text("1")
    for run, text in (("20260101T000000Z-aaaa", "2"), ("20260102T000000Z-bbbb", "3")):
        _undo.record(str(records / run), str(file))
        file.write_text(text)
    return file, records


def test_the_latest_run_is_undone_and_only_it(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records)})
    assert (result["changed"], result["paths"], file.read_text()) == (True, [str(file)], "2")
    assert run_module("rtc_undo", {"path": str(records)})["changed"] is False


def test_back_to_before_an_older_run(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records), "run": "20260101T000000Z-aaaa"})
    assert (result["changed"], file.read_text()) == (True, "1")


def test_the_preview_changes_nothing(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records)}, check=True)
    assert (result["changed"], result["paths"], file.read_text()) == (True, [str(file)], "3")


def test_an_unknown_run_is_refused_with_the_known_ones(run_module, host):
    file, records = host
    result = run_module("rtc_undo", {"path": str(records), "run": "no"})
    assert result["failed"]
    assert "20260102T000000Z-bbbb" in result["msg"]
    assert file.read_text() == "3"


def test_without_any_record_there_is_nothing_to_do(run_module, tmp_path):
    result = run_module("rtc_undo", {"path": str(tmp_path / "none")})
    assert (result["changed"], result["runs"]) == (False, [])
