# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``report``: what it prints, its file, and when it fails."""

from __future__ import annotations

import json
import os

import pytest
from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from ansible_collections.collab.rtc.plugins.action import report as action
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import HostPlan, Plan, RtcPlan, Site
from ansible_collections.collab.rtc.plugins.plugin_utils._report import show

NAME = "wiki.example.com:9083"
PLAN = _facts.to_dict(
    Plan([Site(NAME, "confluence", ["wiki1", "wiki2"], "wiki.example.com", 9083, "HTTP", "data_center", "T4")])
)
RESTART = {
    "site": NAME,
    "kind": "confluence",
    "service": "confluence",
    "reasons": ["server.xml is newer", "the store is newer"],
}


def check(ok):
    return {
        "name": "the service answers",
        "ok": ok,
        "detail": "",
        "cause": "It is down.",
        "remedy": "",
        "where": "wiki1",
    }


def hosts(**facts):
    """Two nodes of a site, with the plan; ``facts`` are those of the first."""
    return {"wiki1": {"rtc_plan": PLAN, **facts}, "wiki2": {"rtc_plan": PLAN}}


@pytest.fixture
def printed(monkeypatch):
    texts = []
    monkeypatch.setattr(
        "ansible.utils.display.Display.display", lambda _self, text, *_args, **_more: texts.append(text)
    )
    return texts


@pytest.fixture
def run(printed):
    def report(hostvars, check_mode=False, host="wiki1", tags=("all",), groups=None, **options):
        loader, task, context = DataLoader(), Task(), PlayContext()
        task.args, task.action, task.check_mode = options, "collab.rtc.report", check_mode
        variables = {
            "hostvars": hostvars,
            "inventory_hostname": host,
            "ansible_play_hosts_all": list(hostvars),
            "ansible_run_tags": list(tags),
            "groups": groups or {},
        }
        module = action.ActionModule(
            task=task,
            connection=connection_loader.get("local", context, os.devnull),
            play_context=context,
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )
        return module.run(task_vars=variables)

    return report


def test_checks_of_all_nodes_are_printed_and_counted(run, printed):
    hostvars = hosts(verify_checks={NAME: [check(True), check(None)]})
    hostvars["wiki2"]["verify_checks"] = {NAME: [check(True)]}
    result = run(hostvars)
    assert (result["changed"], result["failed_checks"], result.get("failed", False)) == (False, 0, False)
    (text,) = printed
    assert text.count("✓ the service answers (wiki1)") == 2
    assert NAME in text


@pytest.mark.parametrize(("option", "fails"), [({}, True), ({"fail_on_failed_checks": True}, True),
                                               ({"fail_on_failed_checks": False}, False),
                                               ({"fail_on_failed_checks": "no"}, False)])  # fmt: skip
def test_a_failed_check_fails_the_task_after_printing(run, printed, option, fails):
    result = run(hosts(verify_checks={NAME: [check(False), check(True)]}), **option)
    assert (result["failed_checks"], result.get("failed", False)) == (1, fails)
    assert "cause:  It is down." in printed[0]


def test_restarts_that_are_left_to_the_administrator(run, printed):
    run(hosts(restart_left=[RESTART]))
    assert "Restarts that are left to you\n  wiki1: confluence: server.xml is newer; the store is newer" in printed[0]


def test_an_application_without_a_service_is_named_by_its_kind(run, printed):
    run(hosts(restart_left=[{**RESTART, "service": "", "kind": "jira"}]))
    assert "  wiki1: jira: server.xml is newer" in printed[0]


def test_nothing_is_said_when_no_restart_is_left(run, printed):
    run(hosts(restart_left=[]))
    assert "Restarts" not in printed[0]


def test_the_file_has_plan_checks_and_restarts_and_is_the_owners_alone(run, tmp_path):
    path = tmp_path / "report.json"
    run(hosts(verify_checks={NAME: [check(True)]}, restart_left=[RESTART]), file=str(path))
    written = json.loads(path.read_text(encoding="utf-8"))
    assert {name: written[name] for name in ("plan", "checks", "restarts_left")} == {
        "plan": {name: PLAN[name] for name in ("sites", "hosts", "findings", "stopped", "left_out")},
        "checks": {NAME: [check(True)]},
        "restarts_left": {"wiki1": [{"service": "confluence", "reasons": RESTART["reasons"]}]},
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_check_page_is_beside_the_file_and_links_are_in_it(run, tmp_path):
    path = tmp_path / "report.json"
    plan = _facts.from_dict(Plan, PLAN)
    plan.hosts["wiki2"] = HostPlan("wiki2", rtc=[RtcPlan(NAME, "confluence", "builtin", "", 9083, "wiki.example.com")])
    links = {NAME: "https://wiki.example.com:9083/check#token"}
    for service, files in (("builtin", ["report.json"]), ("deployed", ["report.json", "rtc-check.html"])):
        plan.hosts["wiki2"].rtc[0].service = service
        hostvars = {host: {"rtc_plan": _facts.to_dict(plan), "verify_links": links} for host in ("wiki1", "wiki2")}
        run(hostvars, file=str(path))
        assert sorted(os.listdir(tmp_path)) == files
    assert json.loads(path.read_text(encoding="utf-8"))["links"] == links
    page = (tmp_path / "rtc-check.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "token" not in page.partition("<script>")[0]


def test_check_mode_writes_no_file(run, tmp_path, printed):
    run(hosts(), check_mode=True, file=str(tmp_path / "report.json"))
    assert os.listdir(tmp_path) == []
    assert printed


def test_a_file_that_cannot_be_written_is_an_error_after_printing(run, printed):
    message = (
        r"The report cannot be written to /nowhere/r\.json: there is no directory /nowhere\. Correct rtc_report_file"
    )
    with pytest.raises(AnsibleActionFail, match=message):
        run(hosts(), file="/nowhere/r.json")
    assert printed


def test_without_a_plan_there_is_nothing_to_report(run):
    with pytest.raises(AnsibleActionFail, match="No host is in the groups confluence, jira or rtc_proxies"):
        run({"wiki1": {}})


def test_a_group_that_is_probably_meant_is_named(run):
    with pytest.raises(AnsibleActionFail, match=r"Nothing is done for wiki1: the group Confluence is not one"):
        run({"wiki1": {}}, groups={"all": ["wiki1"], "Confluence": ["wiki1"]})


BROKEN = {"failed": True, "msg": "server.xml is gone."}


def test_the_first_host_prints_and_each_fails_for_itself(run, printed):
    hostvars = hosts(connector_set=BROKEN)
    results = {host: run(hostvars, host=host, applies=True) for host in ("wiki1", "wiki2")}
    assert len(printed) == 1
    assert results["wiki1"]["failed"] is True
    assert "Set the attributes of the user connector: server.xml is gone." in results["wiki1"]["msg"]
    assert results["wiki2"]["msg"] == f"{NAME} was not applied: its host wiki1 failed: {STEP}"
    assert "Hosts that failed: 1\n  ✗ wiki1: Set the attributes of the user connector\n" in printed[0]
    assert "      cause:  server.xml is gone." in printed[0]
    assert "  ✗ not applied: its host wiki1 failed" in printed[0]
    assert "1 site, 1 failed; 1 host failed" in printed[0]


STEP = "Set the attributes of the user connector"


def test_failures_are_in_the_file(run, tmp_path):
    path = tmp_path / "report.json"
    run(hosts(connector_set=BROKEN), file=str(path), applies=True)
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["failures"]["wiki1"]["cause"] == "server.xml is gone."
    assert written["failures"]["wiki1"]["step"] == STEP
    assert list(written["stopped"]) == [NAME]


def test_a_host_that_was_not_seen_is_named_once(run, printed):
    plan = {**PLAN, "findings": [{"id": "RTC001", "severity": "error", "host": "gone", "message": "Nothing is known.",
                                  "evidence": [], "remedy": "", "site": "", "muted": ""}]}  # fmt: skip
    hostvars = {"wiki1": {"rtc_plan": plan}, "gone": {"rtc_detected": {"unreachable": True, "msg": "timed out"}}}
    assert not run(hostvars).get("failed")
    assert run(hostvars, host="gone")["msg"] == "Detect what is on the host: timed out"
    assert "Nothing is known." not in printed[0]
    assert "✗ gone: Detect what is on the host" in printed[0]


def test_a_failure_of_a_host_outside_the_play_fails_the_first_host(run):
    hostvars = hosts()
    plan = {**PLAN, "findings": [{"id": "RTC307", "severity": "error", "host": "front", "message": "It has expired.",
                                  "evidence": [], "remedy": "", "site": NAME, "muted": ""}]}  # fmt: skip
    hostvars["wiki1"]["rtc_plan"] = plan
    assert run(hostvars)["msg"] == "RTC307: It has expired."
    assert not run(hostvars, host="wiki2").get("failed")


def test_only_the_plan_was_asked_for(run, printed):
    assert not run(hosts(), tags=["plan"]).get("failed")
    assert printed == []


def test_changes_fail_where_that_is_asked_for(run, printed):
    results = [{"changed": True, "item": {"path": "/opt/confluence/conf/server.xml"}}]
    hostvars = hosts(connector_set={"changed": True, "results": results})
    assert not run(hostvars, check_mode=True).get("failed")
    result = run(hostvars, check_mode=True, fail_on_changes=True)
    assert result["msg"] == f"would change: {STEP}: /opt/confluence/conf/server.xml"
    assert not run(hostvars, check_mode=True, host="wiki2", fail_on_changes=True).get("failed")
    assert f"What would change\n  on wiki1\n    - {STEP}: /opt/confluence/conf/server.xml" in printed[0]
    run(hosts(), check_mode=True)
    assert "Nothing would change." in printed[-1]


def test_a_run_without_an_application_fails_and_says_what_the_limit_left_out(run, printed):
    plan = {**PLAN, "sites": [], "left_out": ["wiki1", "wiki2"]}
    result = run({"front": {"rtc_plan": plan}}, host="front")
    assert result["failed"] is True
    assert "The limit leaves out wiki1, wiki2." in result["msg"]
    assert "No application is among the hosts of this run" in printed[0]


def test_start_at_task_is_named(run, monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", {"start_at_task": "Report"})
    with pytest.raises(AnsibleActionFail, match=r"--start-at-task left out detection and plan.* --tags"):
        run({"wiki1": {}})


def test_a_plan_that_could_not_be_made(run):
    failed = {"step": "Plan what must change", "cause": "The plan cannot be written.", "remedy": "Correct it."}
    with pytest.raises(AnsibleActionFail, match=r"Plan what must change: The plan cannot be written\. Correct it\."):
        run({"wiki1": {"rtc_failed": failed}})


def test_for_a_program_the_report_is_in_the_result(run, printed, monkeypatch):
    monkeypatch.setattr(show, "is_for_people", lambda _callback: False)
    assert NAME in run(hosts())["report"]
    assert printed == []
