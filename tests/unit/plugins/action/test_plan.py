# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action ``plan`` on the facts of the cases, with Ansible's inventory, variables and templates; one real run."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible.errors import AnsibleActionFail, AnsiblePromptInterrupt, AnsiblePromptNoninteractive

from ansible_collections.collab.rtc.plugins.action import plan as action
from ansible_collections.collab.rtc.plugins.plugin_utils._report import show
from ansible_collections.collab.rtc.tests.unit.plan_action import Run, base

ROOT = str(pathlib.Path(action.__file__).parents[5])

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - collab.rtc.plan:
        show: plan
      run_once: true
      register: rtc_plan
    - ansible.builtin.assert:
        that:
          - rtc_plan.hosts[inventory_hostname].host == inventory_hostname
          - rtc_plan.run | length > 10
"""


def test_in_a_real_playbook(tmp_path):
    data = base("remote")
    del data["vars"]["jira1"]["rtc_tls_ca"]
    Run(tmp_path, data)
    (tmp_path / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": ROOT,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "hosts.yml", "play.yml", "-c", "local"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "topology   T5, remote" in done.stdout
    assert "! RTC314 jira1:" in done.stdout


def test_a_plan_from_what_the_hosts_registered(tmp_path):
    data = base("remote")
    del data["vars"]["jira1"]["rtc_tls_ca"]
    result = Run(tmp_path, data, file=str(tmp_path / "plan.json"))()
    assert (result["changed"], result["errors"], result.get("failed", False)) == (False, 0, False)
    assert [site["topology"] for site in result["sites"]] == ["T5"]
    assert [item["id"] for item in result["findings"]] == ["RTC314"]
    assert result["hosts"]["proxy1"]["vhosts"][0]["port"] == 9093
    written = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))
    assert written == {name: result[name] for name in written}
    assert {"sites", "hosts", "findings"} <= set(written)


def test_errors_stop_the_run_and_say_what_to_do(tmp_path):
    data = base("direct")
    data["vars"]["wiki1"]["rtc_sever_name"] = "wiki.example.com"
    data["facts"]["wiki1"]["resolves"] = {"wiki.example.com": []}
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    for part in (
        "2 errors; nothing was changed.",
        "RTC101 wiki1",
        "Did you mean rtc_server_name?",
        "RTC601 wiki1",
        "remedy: Add the name",
    ):
        assert part in run.text


def test_errors_can_be_reported_only(tmp_path):
    data = base("direct")
    data["facts"]["wiki1"]["resolves"] = {"wiki.example.com": []}
    result = Run(tmp_path, data, fail_on_errors=False)()
    assert result["errors"] == 1
    assert not result.get("failed")


def test_a_host_that_was_not_reached_is_a_finding(tmp_path):
    data = base("direct")
    data["groups"]["confluence"].append("wiki2")
    data["vars"]["wiki1"]["rtc_port"] = "{{ 9000 + 83 }}"
    run = Run(tmp_path, data)
    assert run()["errors"] == 1
    assert "RTC001 wiki2: Nothing is known about wiki2: Connection timed out" in run.text


def test_a_host_outside_the_limit_is_left_out(tmp_path):
    data = base("direct")
    data["groups"]["confluence"].append("wiki2")
    data["vars"]["wiki2"] = {"rtc_detected": {}}
    result = Run(tmp_path, data)(hosts=["wiki1"])
    assert result["left_out"] == ["wiki2"]
    assert list(result["hosts"]) == ["wiki1"]
    assert result["findings"] == []


def test_hosts_that_are_read_again_without_those_that_were_not_seen(tmp_path):
    """The second detection of a run leaves out who did not answer; they stay what they are, and so does what stopped."""
    data = base("direct")
    data["groups"]["confluence"].append("wiki2")
    run = Run(tmp_path, data, fail_on_errors=False)
    result = run(hosts=["wiki1"], plan={"run": "the-run", "stopped": {"wiki.example.com:9083": "its node failed"}})
    assert [item["id"] for item in result["findings"]] == ["RTC001"]
    assert result["stopped"] == {"wiki.example.com:9083": "its node failed"}
    assert (result["run"], result["left_out"]) == ("the-run", [])


def test_after_how_many_failures_a_run_ends(tmp_path):
    data = base("direct")
    data["all"] = {"rtc_max_failures": "2"}
    assert Run(tmp_path, data)()["max_failures"] == 2
    data["all"] = {"rtc_max_failures": "some"}
    run = Run(tmp_path, data)
    assert run()["failed"] is True
    assert "RTC102 wiki1: rtc_max_failures: 'some' is not a number" in run.text


@pytest.mark.parametrize("where", ["all", "wiki1"])
def test_which_sites_stay_as_they_are_when_they_fail(tmp_path, where):
    data = base("direct")
    assert Run(tmp_path, data)()["kept_on_failure"] == []
    variables = data.setdefault("all", {}) if where == "all" else data["vars"].setdefault(where, {})
    variables["rtc_rollback_on_failure"] = False
    assert Run(tmp_path, data)()["kept_on_failure"] == ["wiki.example.com:9083"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"yes", None),
        (b" YES\n", None),
        (b"no", "the plan was not confirmed"),
        (b"", "the plan was not confirmed"),
        (AnsiblePromptInterrupt("user interrupt"), "the question was interrupted"),
        (AnsiblePromptNoninteractive("stdin is not interactive"), "there is no terminal to ask at"),
    ],
)
def test_a_plan_that_is_not_confirmed_is_not_applied(tmp_path, monkeypatch, answer, why):
    def prompt(_self, _question):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("ansible.utils.display.Display.prompt_until", prompt)
    stopped = Run(tmp_path, base("direct"), confirm=True)()["stopped"]
    assert list(stopped) == (["wiki.example.com:9083"] if why else [])
    assert all(why in text for text in stopped.values())


@pytest.mark.parametrize("here", [True, False], ids=["beside a site", "without any site"])
def test_what_is_taken_away_is_confirmed_too(tmp_path, monkeypatch, here):
    monkeypatch.setattr("ansible.utils.display.Display.prompt_until", lambda *_: b"no")
    data = base("plain_remote")
    gone = {"key": "instance jira", "kind": "instance", "site": "gone.example.com:9083", "owners": ["tracker9/jira"]}
    entry = {**gone, "what": {"instance": "jira"}, "run": "20260101T000000Z-aaaa"}
    data["facts"]["proxy1"]["managed"] = {"entries": [entry]}
    data["vars"]["proxy1"] = {"rtc_remove_orphans": True}
    if not here:
        data["vars"]["wiki1"]["rtc_state"] = "absent"
    stopped = Run(tmp_path, data, confirm=True)()["stopped"]
    assert ("gone.example.com:9083" in stopped) and set(stopped.values()) == {"the plan was not confirmed"}


@pytest.mark.parametrize(("check", "tags"), [(True, ["all"]), (False, ["verify"])])
def test_nobody_is_asked_where_nothing_will_be_applied(tmp_path, monkeypatch, check, tags):
    monkeypatch.setattr("ansible.utils.display.Display.prompt_until", lambda *_: pytest.fail("asked"))
    assert Run(tmp_path, base("direct"), confirm=True)(check=check, tags=tags)["stopped"] == {}


def test_what_is_shown_to_a_program_is_in_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(show, "is_for_people", lambda _callback: False)
    monkeypatch.setattr("ansible.utils.display.Display.display", lambda *_args, **_more: pytest.fail("printed"))
    assert "topology   T1, direct" in Run(tmp_path, base("direct"), show="plan")()["text"]


def test_errors_that_were_printed_are_not_repeated(tmp_path):
    data = base("direct")
    data["facts"]["wiki1"]["resolves"] = {"wiki.example.com": []}
    run = Run(tmp_path, data, show="plan")
    assert run()["failed"] is True
    assert run.text == "1 error; see above. Nothing was changed."


def test_a_plan_without_an_application_fails_and_says_what_the_limit_left_out(tmp_path):
    data = base("remote")
    data["vars"].setdefault("jira1", {})["rtc_detected"] = {}
    run = Run(tmp_path, data, show="plan")
    assert run(hosts=["proxy1"])["failed"] is True
    assert "No application is among the hosts of this run" in run.text
    assert "The limit leaves out jira1." in run.text


def test_no_host_in_our_groups(tmp_path):
    with pytest.raises(AnsibleActionFail, match="No host is in the groups"):
        Run(tmp_path, {"groups": {"others": ["a"]}, "facts": {}})()


def test_facts_can_be_given(tmp_path):
    data = base("direct")
    result = Run(tmp_path, {**data, "facts": {}}, facts=data["facts"])()
    assert [site["name"] for site in result["sites"]] == ["wiki.example.com:9083"]


def test_a_plan_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(AnsibleActionFail, match=r"/nowhere/plan\.json.*Correct rtc_plan_file"):
        Run(tmp_path, base("direct"), file="/nowhere/plan.json")()


def test_the_variable_names_the_plan_file_too_and_check_mode_writes_none(tmp_path):
    data = base("direct")
    data["vars"]["wiki1"]["rtc_plan_file"] = str(tmp_path / "plan.json")
    run = Run(tmp_path, data)
    run(check=True)
    assert not (tmp_path / "plan.json").exists()
    run()
    assert (tmp_path / "plan.json").stat().st_mode & 0o777 == 0o600


def test_a_run_carries_out_one_plan(tmp_path):
    data = base("cluster")
    for host in data["vars"]:
        data["vars"][host]["rtc_from_plan"] = f"/kept/{host}.json"
    with pytest.raises(AnsibleActionFail, match=r"rtc_from_plan names /kept/.*\.json, /kept/.*\.json: .*Name one"):
        Run(tmp_path, data)()


@pytest.mark.parametrize(
    ("show", "words"),
    [("nothing", None), ("detected", "T1: HTTP, no proxy"), ("plan", "topology   T1, direct")],
)
def test_what_is_printed(tmp_path, monkeypatch, show, words):
    printed = []
    monkeypatch.setattr(
        "ansible.utils.display.Display.display", lambda _self, text, *_args, **_more: printed.append(text)
    )
    Run(tmp_path, base("direct"), show=show)()
    assert any(words in text for text in printed) if words else printed == []


def test_show_has_three_values(tmp_path):
    with pytest.raises(AnsibleActionFail, match="nothing, detected or plan"):
        Run(tmp_path, base("direct"), show="all")()


def test_plain_leaves_nothing_but_builtin_types():
    class Text(str):
        pass

    class Items(list):
        pass

    found = action.plain({Text("a"): Items([Text("b"), 1, 1.5, True, None])})
    assert found == {"a": ["b", 1, 1.5, True, None]}
    assert [type(item) for item in found["a"]] == [str, int, float, bool, type(None)]
    assert [type(key) for key in found] == [str]


def test_ids_of_runs_sort_by_time():
    assert action.new_run()[:2] == "20"
    assert len({action.new_run() for _number in range(20)}) > 1


def test_a_run_that_only_takes_away_says_so_and_does_not_fail(tmp_path):
    data = base("plain_remote")
    data["vars"]["wiki1"]["rtc_state"] = "absent"
    run = Run(tmp_path, data, show="plan")
    assert not run().get("failed")
    assert "nothing to do" not in run.text


@pytest.mark.parametrize(("other", "errors"), [("lab", 1), ("production", 0)])
def test_a_run_is_that_of_one_inventory(tmp_path, other, errors):
    data = base("plain_remote")
    data["vars"] = {"wiki1": {"rtc_inventory_id": "production"}, "proxy1": {"rtc_inventory_id": other}}
    run = Run(tmp_path, data)
    assert run()["errors"] == errors
    assert ("rtc_inventory_id is lab here, and production on another host" in run.text) is bool(errors)
