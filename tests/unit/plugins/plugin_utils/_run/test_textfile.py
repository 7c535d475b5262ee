# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a verification leaves for node_exporter: read by Prometheus' own parser."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.filter.results_for_textfile import list_files
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._facts import ManagedEntry
from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, textfile

SITE, OTHER = "wiki.example.com:9083", "jira.example.com:9093"
PATH = "/var/lib/node/collab-rtc-confluence.prom"


def read(text: str) -> dict[tuple[str, ...], float]:
    """Name and values of labels -> value."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def check(name: str, ok: bool | None, where: str = "controller") -> dict:
    return {"name": name, "ok": ok, "where": where}


def finding(severity: str, site: str = SITE, muted: str = "") -> dict:
    return {"severity": severity, "site": site, "muted": muted}


def work(action: str, key: str = f"textfile {PATH}", site: str = SITE) -> dict:
    return {"action": action, "key": key, "site": site}


def plan(*works: dict, findings: tuple[dict, ...] = ()) -> dict:
    mine = {"work": list(works), "textfiles": [{"site": SITE, "path": PATH}]}
    proxy = {"work": [work("change", "vhost nginx rtc"), work("change", "vhost", OTHER)], "textfiles": []}
    return {"hosts": {"wiki1": mine, "proxy1": proxy}, "findings": list(findings)}


def test_everything_of_the_site_and_nothing_of_another() -> None:
    found = (finding("error"), finding("error", muted="known"), finding("warning"), finding("error", OTHER))
    checks = [check("a", True), check("b", False, "wiki1"), check("not made", None)]
    (file,) = list_files(
        plan(work("nothing"), work("create", "package nginx"), findings=found),
        "wiki1", SITE, checks, "2027-01-31T12:00:00Z", {},
    )  # fmt: skip
    values = read(file["content"])
    assert file["path"] == PATH
    assert values.pop(("rtc_site_verified_timestamp_seconds", SITE)) == pytest.approx(time.time(), abs=3600)
    assert values == {
        ("rtc_site_check_up", SITE, "a", "controller"): 1,
        ("rtc_site_check_up", SITE, "b", "wiki1"): 0,
        ("rtc_site_findings", SITE, "error"): 1,
        ("rtc_site_findings", SITE, "warning"): 1,
        ("rtc_site_findings", SITE, "info"): 0,
        ("rtc_site_planned_changes", SITE): 2,
        ("rtc_site_certificate_not_after_timestamp_seconds", SITE): 1801396800,
    }


def test_what_a_run_has_applied_differs_no_more() -> None:
    applied = {"records": [{"key": f"textfile {PATH}"}], "sites": [SITE]}
    (file,) = list_files(plan(work("create")), "wiki1", SITE, [], "", applied)
    values = read(file["content"])
    assert values["rtc_site_planned_changes", SITE] == 0
    assert ("rtc_site_certificate_not_after_timestamp_seconds", SITE) not in values


@pytest.mark.parametrize("works", [(), (work("create"),), (work("conflict"),)])
def test_a_file_that_no_record_has_is_not_written(works: tuple[dict, ...]) -> None:
    assert list_files(plan(*works), "wiki1", SITE, [], "", {}) == []


def test_names_are_quoted() -> None:
    name = 'a "quoted" \\ name\nof two lines'
    text = textfile.format_samples([("rtc_site_planned_changes", (name,), 1)])
    assert read(text) == {("rtc_site_planned_changes", name): 1}


def make_input(base, directory: str):
    return base("remote", set={"vars.jira1.rtc_textfile_directory": directory})


def test_the_plan_has_it_notes_it_and_takes_it_away(base) -> None:
    plan_input = make_input(base, "/var/lib/node/")
    found = make_plan(plan_input)
    path = "/var/lib/node/collab-rtc-jira.prom"
    assert [(item.site, item.path) for item in found.hosts["jira1"].textfiles] == [(OTHER, path)]
    (noted,) = [item for item in found.hosts["jira1"].records if item["kind"] == "textfile"]
    assert (noted["key"], noted["what"]) == (f"textfile {path}", {"path": path})
    assert f"results for node_exporter: {path}" in [item.text for item in found.hosts["jira1"].work]
    gone = make_input(base, "")
    facts = gone.facts["jira1"]
    facts.managed.entries.append(ManagedEntry(state="as_written", **{k: v for k, v in noted.items() if k != "adopt"}))
    facts.managed.machine = facts.machine_id
    facts.managed.host = "jira1"
    left = _facts.to_dict(make_plan(gone))
    work_left = course.leave_out(left, "jira1", [])
    assert [item["path"] for item in work_left["removed_late"]["textfile"]] == [path]
    assert work_left["removed_late"]["file"] == []


def test_a_path_that_is_not_absolute(base) -> None:
    findings = make_plan(make_input(base, "node_exporter")).findings
    assert [item.id for item in findings if "rtc_textfile_directory" in item.message] == ["RTC102"]
