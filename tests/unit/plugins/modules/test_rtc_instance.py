# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``rtc_instance`` refuses before it touches anything; with systemd it is tried by the Molecule scenarios."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["", "../confluence", "a/b", "Wiki", "a b", "-a", "a\n", "a" * 28, "%i"])
def test_a_name_that_is_no_part_of_a_user(run_module, name):
    result = run_module("rtc_instance", {"instance": name})
    assert result["failed"]
    assert "name of an instance" in result["msg"]


def test_a_short_secret(run_module):
    result = run_module("rtc_instance", {"instance": "confluence", "secret": "short"})
    assert "fewer than 32 characters" in result["msg"]
