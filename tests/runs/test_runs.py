# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real runs of the playbooks on hosts without an application: what is said, and the exit status.

What comes of the other sites is tried on real hosts: ``molecule/runs``.
"""

from __future__ import annotations

import json
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

HERE = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1}  # refused at once
PYTHONLESS = {**HERE, "ansible_python_interpreter": "/usr/bin/python3.0"}
VAULTED = (  # with the password "pw"
    "$ANSIBLE_VAULT;1.1;AES256\n"
    "62333261306161663835303639323334343137633737636437306533613064383365643838366537\n"
    "3939376136316631373465383736343339303733663061380a646339316331643634386137323362\n"
    "65313234323930616464373234666236616661343562656531303561393232373634366334616231\n"
    "3931656261363536320a353035656334306463333366623937663161316139643732356263613839\n"
    "34373866353233393037633933373662343931643939393033616636663639376138663962326364\n"
    "3736656131633233643337313639313762623465376166363032\n"
)
NOISE = ("Validating arguments against arg spec '", "Could not match", "is undefined", "has no attribute", "Traceback")


@pytest.fixture(autouse=True)
def no_noise(runs):
    yield
    assert [words for words in NOISE if words in runs.output] == []


@pytest.mark.parametrize("playbook", ["detect", "plan", "site", "verify", "rollback"])
def test_the_syntax(runs, playbook):
    hosts = {"wiki1": {**HERE, "rtc_serial": "50%"}}
    assert runs(playbook, hosts, "--syntax-check") == 0, runs.output
    assert runs(playbook, hosts, "--list-tasks") == 0, runs.output


@pytest.mark.parametrize("playbook", ["detect", "plan", "site", "verify"])
@pytest.mark.parametrize("first", ["wiki1", "wiki2"])
def test_all_hosts_fail_in_their_own_ways(runs, playbook, first):
    """Also when the first host, which speaks for all, is the one that is not reached."""
    hosts = {"wiki1": PYTHONLESS, "wiki2": GONE, "wiki3": HERE}
    hosts = {first: hosts[first], **hosts}
    assert runs(playbook, hosts, ANSIBLE_STRATEGY="free") == 2, runs.output
    for words in ("Install Python 3.8 or later", "Make the host reachable by SSH", "RTC004", "Connection refused"):
        assert words in runs.text
    if playbook in ("site", "verify"):
        assert runs.output.count("Hosts that failed: 2") == 1


def test_failures_in_the_report_s_file(runs):
    report = runs.directory / "report.json"
    assert runs("site", {"wiki1": HERE, "wiki2": GONE}, "-e", f"rtc_report_file={report}") == 2
    written = json.loads(report.read_text(encoding="utf-8"))
    assert list(written["failures"]) == ["wiki2"]
    assert written["failures"]["wiki2"]["step"] == "Detect what is on the host"
    assert "Connection refused" in written["failures"]["wiki2"]["cause"]
    assert "reachable by SSH" in written["failures"]["wiki2"]["remedy"]
    assert "failed=1" in next(line for line in runs.output.splitlines() if line.startswith("wiki2 "))


@pytest.mark.parametrize("given", ["rtc_undo_site=", "rtc_undo_site=' '", '{"rtc_undo_site": null}'])
def test_a_site_that_was_forgotten_is_not_all_sites(runs, given):
    """As ``-e rtc_undo_site="$SITE"`` gives it where a script has no SITE."""
    assert runs("rollback", {"wiki1": HERE, "wiki2": HERE}, "-e", given) == 2
    assert "rtc_undo_site is empty, so which site is meant is not known, and nothing is undone." in runs.text
    assert "TASK [List the runs of each host]" not in runs.output


@pytest.mark.parametrize("given", ["rtc_run_id=", '{"rtc_run_id": null}'])
def test_a_run_that_was_forgotten_is_not_the_newest(runs, given):
    assert runs("rollback", {"wiki1": HERE}, "-e", given) == 2
    assert "rtc_run_id is empty, so which run is meant is not known, and nothing is undone." in runs.text
    assert "TASK [List the runs of each host]" not in runs.output


@pytest.mark.parametrize("arguments", [["--tags", "apply"], ["--tags", "verify"], ["--skip-tags", "verify"]])
def test_a_rollback_has_no_parts(runs, arguments):
    """It would end without a word, with the status of success, or undo nothing."""
    assert runs("rollback", {"wiki1": HERE}, *arguments) == 2
    assert "A rollback has no parts to choose from, so nothing is undone." in runs.text


@pytest.mark.parametrize(("playbook", "tag"), [("plan", "plan"), ("detect", "detect"), ("uninstall", "verify")])
def test_tags_leave_detection_and_plan_in_every_playbook(runs, playbook, tag):
    assert runs(playbook, {"wiki1": PYTHONLESS}, "--tags", tag) == 2
    assert "Install Python 3.8 or later" in runs.text
    assert "The limit leaves out" not in runs.text


@pytest.mark.parametrize("name", ["rtc_secret", "rtc_server_name"])
def test_a_vaulted_value_without_its_password_is_named_with_the_remedy(runs, name):
    assert runs("plan", {"wiki1": {**PYTHONLESS, name: {"__ansible_vault": VAULTED}}}) == 2
    for words in (f"RTC102 wiki1: {name} cannot be", f"seen: wiki1: {name}", "--vault-password-file, --vault-id or"):
        assert words in runs.text
    (runs.directory / "password").write_text("pw\n", encoding="utf-8")
    given = ("--vault-password-file", str(runs.directory / "password"))
    assert runs("plan", {"wiki1": {**PYTHONLESS, "rtc_secret": {"__ansible_vault": VAULTED}}}, *given) == 2
    assert "RTC102" not in runs.text and "RTC001" in runs.text


@pytest.mark.parametrize("serial", [None, "", "abc", {"confluence": 2}])
def test_a_batch_size_that_cannot_be_used_ends_in_a_report(runs, serial):
    """It is a keyword of plays: Ansible would end with a traceback in the middle."""
    assert runs("site", {"wiki1": {**PYTHONLESS, "rtc_serial": serial}}) == 2
    assert "Hosts that failed: 1" in runs.text
    assert ("RTC102: rtc_serial" in runs.text) == bool(serial)


@pytest.mark.parametrize("playbook", ["site", "verify", "plan"])
def test_a_limit_with_the_proxy_alone(runs, playbook):
    groups = {"confluence": ["wiki1"], "rtc_proxies": ["px1"]}
    assert runs(playbook, {"wiki1": HERE, "px1": HERE}, "--limit", "px1", groups=groups) == 2
    assert "The limit leaves out wiki1." in runs.text


@pytest.mark.parametrize("playbook", ["site", "verify", "plan", "detect"])
def test_a_limit_without_a_host_of_ours(runs, playbook):
    groups = {"confluence": ["wiki1"], "others": ["printer"]}
    assert runs(playbook, {"wiki1": HERE, "printer": GONE}, "--limit", "printer", groups=groups) == 2
    assert "None of the hosts of this run is in the groups confluence, jira or rtc_proxies" in runs.text
    assert "The limit leaves out wiki1." in runs.text


@pytest.mark.parametrize("groups", [{"others": ["wiki1"]}, {}])
def test_an_inventory_without_our_groups(runs, groups):
    assert runs("site", {"wiki1": HERE} if groups else {}, groups=groups) == 2
    assert "No host is in the groups confluence, jira or rtc_proxies" in runs.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tags", "verify"], "Hosts that failed: 1"),
        (["--skip-tags", "verify"], "Hosts that failed: 1"),
        (["--tags", "report"], "Hosts that failed: 1"),
        (["--tags", "plan"], "Findings: 1 error"),
        (["--start-at-task", "Report"], "Run without it, and choose what follows the plan with --tags"),
    ],
)
def test_tags(runs, arguments, words):
    assert runs("site", {"wiki2": GONE}, *arguments) == 2
    assert words in runs.text


def test_a_muted_host_breaks_nothing(runs):
    muted = {**GONE, "rtc_ignore_findings": [{"id": "RTC001", "reason": "in repair"}]}
    assert runs("site", {"wiki2": muted}) == 2
    assert "There is no site" in runs.text or "No application is among the hosts" in runs.text


def test_become_for_all_and_facts_that_are_no_variables(runs):
    """Nothing that the controller does itself may need sudo, or a variable that only hosts of the inventory have."""
    shared = {"ansible_become": True, "ansible_become_exe": "/nowhere/sudo", "rtc_origins": ["{{ inventory_dir }}"]}
    environment = {"ANSIBLE_INJECT_FACT_VARS": "false", "ANSIBLE_BECOME_ALLOW_SAME_USER": "true"}
    assert runs("site", {"wiki1": HERE}, shared=shared, **environment) == 2
    assert "Hosts that failed: 1" in runs.text
    assert "/nowhere/sudo" in runs.text


@pytest.mark.parametrize("callback", ["minimal", "oneline"])
def test_a_callback_for_programs_gets_the_report_in_the_result(runs, callback):
    assert runs("site", {"wiki2": GONE}, ANSIBLE_STDOUT_CALLBACK=callback) == 2
    assert "\nHosts that failed: 1\n" not in runs.output
    assert "Hosts that failed: 1\\n" in runs.output


def test_confirmation_without_a_terminal_changes_nothing(runs):
    assert runs("site", {"wiki1": HERE}, "-e", "rtc_confirm=true") == 2
    assert "Apply this plan?" not in runs.output


def test_a_verification_leaves_its_results_for_node_exporter(runs):
    """The role on its own, on this machine, whose site nobody serves: all checks are made and fail."""
    site, path = "wiki.invalid:9083", runs.directory / "node/collab-rtc-confluence.prom"
    plan = {
        "sites": [
            {
                "name": site, "application": "confluence", "nodes": ["wiki1"], "server_name": "wiki.invalid",
                "base_url": "http://127.0.0.1:1", "rtc_url": "http://127.0.0.1:1", "proxy_host": "",
            }
        ],
        "hosts": {
            "wiki1": {
                "rtc": [{"site": site, "instance": "confluence", "service": "deployed", "python": "/usr/bin/python3"}],
                "trust": [], "textfiles": [{"site": site, "path": str(path)}],
                "work": [{"site": site, "action": "nothing", "key": f"textfile {path}"},
                         {"site": site, "action": "change", "key": "connector"}],
            }
        },
        "findings": [{"site": site, "severity": "error", "muted": ""}],
    }  # fmt: skip
    play = [
        {
            "hosts": "confluence",
            "gather_facts": False,
            "tasks": [
                {"ansible.builtin.set_fact": {"rtc_plan": plan}},
                {"ansible.builtin.include_role": {"name": "collab.rtc.verify", "rolespec_validate": False}},
            ],
        }
    ]
    file = runs.directory / "play.json"
    file.write_text(json.dumps(play), encoding="utf-8")
    assert runs(file, {"wiki1": HERE}, "--check") == 0, runs.output
    assert not path.exists()
    assert runs(file, {"wiki1": HERE}) == 0, runs.output
    assert "changed=0" in runs.output
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644
    families = {one.name: one.samples for one in text_string_to_metric_families(path.read_text(encoding="utf-8"))}
    assert {one.value for one in families["rtc_site_check_up"]} == {0}
    assert {one.labels["where"] for one in families["rtc_site_check_up"]} == {"wiki1", "controller"}
    assert [one.value for one in families["rtc_site_planned_changes"]] == [1]
    (verified,) = families["rtc_site_verified_timestamp_seconds"]
    assert verified.value <= time.time()
    written = path.stat().st_mtime_ns
    plan["hosts"]["wiki1"]["work"][0]["action"] = "create"  # no record has it: it would not go with the variable
    file.write_text(json.dumps(play), encoding="utf-8")
    assert runs(file, {"wiki1": HERE}) == 0, runs.output
    assert path.stat().st_mtime_ns == written
