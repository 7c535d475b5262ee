# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``report``: what it prints, its file, and when it fails."""

from __future__ import annotations

import json
import os

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from ansible_collections.collab.rtc.plugins.action import report as action
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Site

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
    return {"wiki1": {"rtc_plan": PLAN, **facts}, "wiki2": {}}


@pytest.fixture
def printed(monkeypatch):
    texts = []
    monkeypatch.setattr(
        "ansible.utils.display.Display.display", lambda _self, text, *_args, **_more: texts.append(text)
    )
    return texts


@pytest.fixture
def run(printed):
    def report(hostvars, check_mode=False, **options):
        loader, task, context = DataLoader(), Task(), PlayContext()
        task.args, task.action, task.check_mode = options, "collab.rtc.report", check_mode
        variables = {"hostvars": hostvars}
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
