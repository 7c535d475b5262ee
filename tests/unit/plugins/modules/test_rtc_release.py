# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching between releases that are on the host, and which of them stay."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _undo


@pytest.fixture
def base(tmp_path):
    """Four releases, the last of them running."""
    for number in range(1, 5):
        path = tmp_path / "base/releases" / f"r{number}"
        path.mkdir(parents=True)
        os.utime(path, (number, number))
    (tmp_path / "base/current").symlink_to("releases/r4")
    return tmp_path / "base"


def install(run_module, base, name, run="20260103T000000Z-cccc", **more):
    (base / "releases" / name).mkdir(exist_ok=True)
    undo = str(base.parent / "undo" / run)
    return run_module(
        "rtc_release", {"base": str(base), "name": name, "python_version": "3.11", "undo_dir": undo, **more}
    )


def releases(base):
    return sorted(os.listdir(base / "releases"))


def test_the_newest_stay(run_module, base):
    assert install(run_module, base, "r3")["changed"] is True
    assert os.readlink(base / "current") == "releases/r3"
    assert releases(base) == ["r3", "r4"]


def test_what_an_undo_record_names_stays(run_module, base):
    """Run after run switched: undoing any of them finds its release."""
    for number, name in enumerate(("r1", "r2", "r4", "r2")):
        assert install(run_module, base, name, f"2026010{number + 1}T000000Z-aaaa", keep=1)["changed"] is True
    assert releases(base) == ["r1", "r2", "r4"]
    for name in sorted(os.listdir(base.parent / "undo"), reverse=True):
        _undo.restore(str(base.parent / "undo" / name))
        assert (base / "current").exists()


def test_records_and_releases_go_together(run_module, base):
    for number, name in enumerate(("r1", "r2", "r4", "r1")):
        install(run_module, base, name, f"2026010{number + 1}T000000Z-aaaa", keep=1, undo_keep=1)
    assert releases(base) == ["r1", "r4"]
    records = sorted(os.listdir(base.parent / "undo"))
    assert records == ["20260101T000000Z-aaaa", "20260104T000000Z-aaaa"]  # the first for this link, and the newest


def test_the_preview_removes_nothing(run_module, base):
    args = {"base": str(base), "name": "r3", "python_version": "3.11", "keep": 1}
    assert run_module("rtc_release", args, check=True)["changed"] is True
    assert releases(base) == ["r1", "r2", "r3", "r4"]
