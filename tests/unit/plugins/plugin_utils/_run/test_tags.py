# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a run its tags choose."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._report import show
from ansible_collections.collab.rtc.plugins.plugin_utils._run import tags


@pytest.mark.parametrize(
    ("wanted", "skipped", "chosen"),
    [
        (None, None, True),
        (["all"], [], True),
        (["all"], ["verify"], True),
        (["all"], ["apply"], False),
        (["verify"], [], False),
        (["verify", "apply"], [], True),
        (["apply"], ["apply"], False),
        (["tagged"], [], True),
        (["untagged"], [], False),
        (["all"], ["tagged"], False),
    ],
)
def test_whether_a_run_applies(wanted, skipped, chosen):
    variables = {"ansible_run_tags": wanted, "ansible_skip_tags": skipped}
    assert tags.is_chosen("apply", variables) is chosen


def test_only_the_plan():
    assert tags.is_only("plan", {"ansible_run_tags": ["plan"]})
    assert not tags.is_only("plan", {"ansible_run_tags": ["plan", "apply"]})
    assert not tags.is_only("plan", {})


@pytest.mark.parametrize(("callback", "people"), [("default", True), ("ansible.builtin.default", True),
                                                  ("minimal", False), ("oneline", False), ("no.such.thing", False)])  # fmt: skip
def test_callbacks_for_people_and_for_programs(callback, people):
    assert show.is_for_people(callback) is people
