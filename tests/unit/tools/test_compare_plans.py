# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that compares plans sees every difference but those that were made on purpose."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.collab.rtc.tests.unit import plan_cases
from ansible_collections.collab.rtc.tools import compare_plans

PLAN = {
    "sites": [{"name": "wiki.example.com:9083", "evidence": ["a"]}],
    "hosts": {"wiki1": {"trust": [{"path": "/store", "copy_from": "/cacerts"}]}},
    "findings": [
        {"id": "RTC410", "host": "wiki1", "remedy": "Add it. Or configure it by hand; for nginx:\nserver {}"},
        {"id": "RTC601", "host": "wiki1", "remedy": "Add the name to DNS."},
    ],
}


def old_plan():
    plan = copy.deepcopy(PLAN)
    plan["hosts"]["wiki1"]["trust"] = [{"path": "/store", "seed_from": "/cacerts"}]
    plan["findings"][0]["remedy"] = "Add it. Or configure it by hand; for nginx, otherwise"
    return plan


@pytest.fixture
def compare(tmp_path, capsys):
    def run(old, new):
        for name, plan in (("old", old), ("new", new)):
            (tmp_path / name).write_text(json.dumps(plan), encoding="utf-8")
        status = compare_plans.diff(tmp_path / "old", tmp_path / "new")
        return status, capsys.readouterr().out

    return run


def test_renamed_keys_and_rewritten_remedies_are_no_difference(compare):
    assert compare(old_plan(), PLAN) == (0, "0 differences in 1 plans\n")
    assert compare({"case a": old_plan()}, {"case a": PLAN})[0] == 0


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("sites.0.evidence.0", "b", 'run: sites[0].evidence[0]: "a" -> "b"'),
        ("sites.0.evidence", [], 'run: sites[0].evidence: ["a"] -> []'),
        ("sites.0.port", 1, "run: sites[0].port: new, 1"),
        ("hosts.wiki1.trust.0.copy_from", "", 'run: hosts.wiki1.trust[0].copy_from: "/cacerts" -> ""'),
        ("findings.0.remedy", "Or configure it by hand; for x", "remedy"),
        ("findings.1.remedy", "Or configure it by hand; for x", "remedy"),
        ("findings.1.host", "wiki2", 'host: "wiki1" -> "wiki2"'),
    ],
)
def test_everything_else_is(compare, path, value, line):
    *parents, last = path.split(".")
    changed = copy.deepcopy(PLAN)
    place = changed
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    place[int(last) if isinstance(place, list) else last] = value
    status, text = compare(old_plan(), changed)
    assert status == 1
    assert line in text


def test_an_input_that_only_one_has_is_a_difference(compare):
    status, text = compare({"case a": PLAN}, {"case a": PLAN, "case b": PLAN})
    assert status == 1
    assert "case b: only in" in text


def test_a_variation_is_the_same_for_the_same_seed():
    cases = plan_cases.load_cases(plan_cases.load_bases())
    found = [plan_cases.vary(cases, seed) for seed in range(20)]
    assert found == [plan_cases.vary(cases, seed) for seed in range(20)]
    assert len({name for name, _data in found}) > 10
    originals = {case["name"]: case["data"] for case in cases}
    assert any(data != originals[name] for name, data in found)
