# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.filter import setting_values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("wiki.example.com", ["wiki.example.com"]),
        (9084, [9084]),
        ({"confluence": "wiki.example.com", "jira": "jira.example.com"}, ["wiki.example.com", "jira.example.com"]),
        ({"confluence": 9084, "jira": 9084}, [9084]),
        ({"confluence": "wiki.example.com", "jira": ""}, ["wiki.example.com"]),
        ({}, []),
        ("", []),
        (0, []),
        (None, []),
        # What the plan refuses: detection, which is before it, does not stumble over it.
        (["wiki.example.com"], []),
        ({"confluence": ["wiki.example.com", {"a": 1}], "jira": "jira.example.com"}, ["jira.example.com"]),
        (True, []),
    ],
)
def test_a_variable_of_one_application_or_of_each(value, expected):
    assert setting_values.list_setting_values(value) == expected


def test_filter_name():
    assert set(setting_values.FilterModule().filters()) == {"setting_values"}
