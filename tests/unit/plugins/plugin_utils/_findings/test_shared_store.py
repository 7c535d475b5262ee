# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores of several RTC servers: what a run brings itself is no fault, and the record knows which store it was."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.plugin_utils._release import source as release_source


@pytest.fixture
def plan_of(all_cases, plan_input_of):
    """The plan of a case of ``data/cases``."""

    def plan_of(name, **changes):
        (case,) = [case for case in all_cases if case["name"] == name]
        plan_input = plan_input_of(case["data"])
        for field, value in changes.items():
            setattr(plan_input, field, value)
        return make_plan(plan_input)

    return plan_of


@pytest.mark.parametrize(("schema", "stops"), [(0, True), (98, True), (99, False), (100, False)])
def test_a_schema_that_the_release_of_this_run_knows_is_no_fault(plan_of, schema, stops):
    plan = plan_of("A store of a newer release", schema=schema)
    assert ("RTC454" in {item.id for item in plan.findings}) is stops and bool(plan.stopped) is stops


def test_the_schema_of_this_collection_is_known():
    assert release_source.read_schema() >= 1


def test_the_record_keeps_which_store_it_is(plan_of):
    (entry,) = [
        item for item in plan_of("A store that is in order").hosts["wiki1"].records if item["kind"] == "instance"
    ]
    assert entry["what"]["store"] == "postgresql://rtc@db/rtc"
    plan = plan_of("A store that was given up while it has projects")
    (entry,) = [item for item in plan.hosts["wiki1"].records if item["kind"] == "instance"]
    assert "store" not in entry["what"] and list(plan.stopped.values()) == ["RTC458 wiki1"]


def test_a_store_that_may_hold_projects_stops_its_site_alone(plan_of):
    plan = plan_of("The store of now cannot be asked for its projects")
    assert [item.severity for item in plan.findings if item.id == "RTC458"] == ["error"]
    assert list(plan.stopped.values()) == ["RTC458 wiki1"]
