# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue, and every finding raised and not raised by a case."""

from __future__ import annotations

import pathlib
import re

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog, rules_managed, rules_proxy
from ansible_collections.collab.rtc.plugins.plugin_utils._run import outcome
from ansible_collections.collab.rtc.tools.vendor_requirements import EXAMPLES, REQUIREMENTS

# Hundreds digit of an id -> topic, as in the names of its files.
TOPIC_FILES = {
    "0": "detection",
    "1": "inventory",
    "2": "application",
    "3": "tls",
    "4": "proxy",
    "5": "service",
    "6": "network",
    "7": "managed",
}


def test_a_case_raises_exactly_its_findings(case, plan_input_of):
    plan = make_plan(plan_input_of(case["data"]))
    if "hostvars" in case:  # what a run left with the hosts
        found = outcome.collect(_facts.to_dict(plan), case["hostvars"], applies=True)
        plan.findings += [*rules_managed.check_rollback(plan, found), *rules_proxy.check_written(plan, found)]

    raised = {item.id for item in plan.findings}

    assert sorted(raised) == sorted(case.get("findings", [])), [f"{item.id} {item.message}" for item in plan.findings]
    assert not raised & set(case.get("near_miss", []))

    for item in plan.findings:
        assert item.host and item.remedy
        assert item.message.endswith((".", "?")) or ": " in item.message
        assert "None" not in item.message and "  " not in item.message
    for number, severity in case.get("severities", {}).items():
        assert {item.severity for item in plan.findings if item.id == number} == {severity}
    for number, text in case.get("messages", {}).items():
        assert any(
            text in item.message + " ".join(item.evidence) + item.remedy for item in plan.findings if item.id == number
        )


@pytest.mark.parametrize("key", ["findings", "near_miss"])
def test_every_finding_has_a_case_and_a_near_miss_in_the_file_of_its_topic(all_cases, key):
    there = {(case["topic"], number) for case in all_cases for number in case.get(key, [])}
    wanted = {(TOPIC_FILES[number[3]], number) for number in catalog.CATALOGUE}

    assert wanted - there == set()


def test_names_of_cases_are_unique(all_cases):
    names = [case["name"] for case in all_cases]
    assert len(names) == len(set(names))


def test_ids_are_unique_and_in_their_topic():
    entries = [entry for _title, entries in catalog.TOPICS.values() for entry in entries]
    assert len(entries) == len(catalog.CATALOGUE)
    for digit, (_title, members) in catalog.TOPICS.items():
        assert all(entry.id.startswith(f"RTC{digit}") and len(entry.id) == 6 for entry in members)
        assert [entry.id for entry in members] == sorted(entry.id for entry in members)


def test_every_id_up_to_the_highest_of_its_topic_is_in_use_or_retired():
    assert not set(catalog.RETIRED) & set(catalog.CATALOGUE)
    for digit in catalog.TOPICS:
        every = [*catalog.CATALOGUE, *catalog.RETIRED, *catalog.NEVER_GIVEN]
        known = {int(number[3:]) for number in every if number[3] == digit}
        assert known == set(range(int(digit) * 100 + 1, max(known) + 1))


@pytest.mark.parametrize("digit", sorted(TOPIC_FILES))
def test_catalogue_and_rules_of_a_topic_have_its_ids_only(digit):
    folder = pathlib.Path(catalog.__file__).parent
    for kind in ("catalog", "rules"):
        text = (folder / f"{kind}_{TOPIC_FILES[digit]}.py").read_text(encoding="utf-8")
        assert set(re.findall(r'"RTC([0-9])[0-9]{2}"', text)) == {digit}


def test_there_are_no_files_of_other_topics():
    files = pathlib.Path(catalog.__file__).parent.glob("*_*.py")
    topics = {path.stem.split("_", 1)[1] for path in files if path.stem.startswith(("catalog_", "rules_"))}
    assert topics == set(TOPIC_FILES.values())


def test_every_requirement_of_the_vendor_is_covered():
    covered = {number for entry in catalog.CATALOGUE.values() for number in entry.vendor_requirements}
    assert covered == set(REQUIREMENTS)


def test_what_the_examples_refer_to_exists():
    for _text, answer in EXAMPLES:
        assert set(re.findall(r"RTC[0-9]+", answer)) <= set(catalog.CATALOGUE)


@pytest.mark.parametrize("entry", catalog.CATALOGUE.values(), ids=lambda entry: entry.id)
def test_an_entry_is_complete(entry):
    assert entry.severity in ("error", "warning", "info")
    assert not entry.title.endswith(".")
    for text in (entry.meaning, entry.detected, entry.remedy):
        assert text.endswith(".") and text[0] == text[0].strip()


def test_a_severity_can_only_be_lowered():
    assert catalog.make("RTC401", "h", "m", severity="warning").severity == "warning"
    with pytest.raises(ValueError, match="at most"):
        catalog.make("RTC405", "h", "m", severity="error")


def test_a_muted_finding_stays_visible_and_stops_nothing(base):
    plan_input = base(
        "direct",
        set={
            "facts.wiki1.resolves": {"wiki.example.com": []},
            "vars.wiki1.rtc_ignore_findings": [{"id": "rtc601", "reason": "DNS comes on Monday"}],
        },
    )
    plan = make_plan(plan_input)
    assert [(item.id, item.muted) for item in plan.findings] == [("RTC601", "DNS comes on Monday")]
    assert catalog.list_errors(plan.findings) == []


def test_a_mute_counts_on_its_own_host_only(base):
    plan_input = base(
        "remote",
        set={
            "facts.proxy1.proxies.0.error": "Syntax error",
            "vars.proxy1": {"rtc_ignore_findings": [{"id": "RTC411", "reason": "known"}]},
        },
    )
    assert catalog.list_errors(make_plan(plan_input).findings) == []
    plan_input = base(
        "remote",
        set={
            "facts.jira1.resolves": {"jira.example.com": []},
            "vars.proxy1": {"rtc_ignore_findings": [{"id": "RTC601", "reason": "elsewhere"}]},
        },
    )
    assert [item.id for item in catalog.list_errors(make_plan(plan_input).findings)] == ["RTC601"]
