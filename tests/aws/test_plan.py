# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan, role and action with a load balancer at AWS: what the plan shows, a run does, and the next plan has nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader
from ansible.template import Templar

from ansible_collections.collab.rtc.plugins.action import plan as plan_action
from ansible_collections.collab.rtc.plugins.action import rtc_aws_listener as action
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._aws import applying
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError, Problem, name_listener
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput
from ansible_collections.collab.rtc.tests.unit import plan_cases

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-very-secret-key"
LATER = 4102444800  # 2100-01-01: the action reads the clock, so the certificates of the bases must not end before
OPTIONS = {
    "load_balancer": "confluence",
    "site": "wiki.example.com:9083",
    "application": "confluence",
    "inventory": "production/hosts.yml",
    "nodes": ["wiki1"],
    "server_name": "wiki.example.com",
    "port": 9083,
    "protocol": "HTTPS",
}


def run_action(cloud, check=False, **options):
    task = Task()
    task.args = {**OPTIONS, **cloud.access, **options}
    task.action, task.check_mode = "collab.rtc.rtc_aws_listener", check
    loader, context = DataLoader(), PlayContext()
    module = action.ActionModule(
        task=task,
        connection=connection_loader.get("local", context, os.devnull),
        play_context=context,
        loader=loader,
        templar=Templar(loader=loader),
        shared_loader_obj=None,
    )
    result = module.run(task_vars={})
    assert SECRET not in json.dumps(result, default=str)
    return result


@pytest.fixture
def targets(cloud):
    return [{"node": "wiki1", "id": cloud.instances[0]}]


def test_check_mode_then_the_change_then_nothing(cloud, targets):
    before = cloud.see()
    checked = run_action(cloud, check=True, targets=targets)
    assert (checked["changed"], cloud.see()) == (True, before)
    done = run_action(cloud, targets=targets)
    assert (done["changed"], done["steps"], done["diff"]) == (True, checked["steps"], checked["diff"])
    assert cloud.arrange(cloud.want()) == checked["diff"]["after"]
    for check in (True, False):
        again = run_action(cloud, check=check, targets=targets)
        assert (again["changed"], again["steps"], "diff" in again) == (False, [], False)
    gone = run_action(cloud, state="absent")
    assert gone["changed"]
    assert cloud.see() == before


def test_what_prevents_it_fails_the_task(cloud, targets):
    result = run_action(cloud, targets=targets, load_balancer="nothing")
    assert (result["failed"], result["changed"], result["kind"]) == (True, False, "load_balancer")
    assert "There is no load balancer nothing in eu-central-1. Correct rtc_aws_load_balancer" in result["msg"]


@pytest.mark.parametrize("steps", [0, 2])
def test_what_fails_between_two_steps_says_whether_it_has_changed_something(cloud, targets, monkeypatch, steps):
    class Interrupted(action.Aws):
        left = steps

        def call(self, service, call, **request):
            if not call.startswith("describe"):
                if not self.left:
                    raise AwsError(Problem("access", "The connection was lost.", "Run again."))
                self.left -= 1
            return super().call(service, call, **request)

    before = cloud.see()
    monkeypatch.setattr(action, "Aws", Interrupted)
    result = run_action(cloud, targets=targets)
    assert (result["failed"], result["changed"]) == (True, cloud.see() != before)
    assert f"{steps} of " in result["msg"]


def test_targets_that_do_not_become_healthy_are_said(cloud, targets, monkeypatch):
    monkeypatch.setattr(applying, "HEALTH_PAUSE", 0.01)
    asked = []
    real = applying.observing.read_health

    def read_health(aws, group):
        asked.append(group)
        found = real(aws, group)
        for item in found:
            item["TargetHealth"] = {
                "State": "unhealthy",
                "Reason": "Target.Timeout",
                "Description": "Request timed out",
            }
        return found

    monkeypatch.setattr(applying.observing, "read_health", read_health)
    result = run_action(cloud, targets=targets, wait=1)
    assert result["unhealthy"] == [f"{cloud.instances[0]}:9083 is unhealthy: Request timed out"]
    assert any("does not find it healthy" in text for text in result["warnings"])
    assert len(asked) > 3


def make_data(cloud, base="unlisted", **variables):
    """Hosts of a case, with the load balancer of the cloud in front."""
    data = json.loads(json.dumps(plan_cases.load_bases()["bases"][base]).replace("1730000000", str(LATER)))
    for number, host in enumerate(data["groups"]["confluence"]):
        data["vars"].setdefault(host, {}).update(
            rtc_proxy_kind="aws_alb",
            rtc_aws_load_balancer="confluence",
            rtc_aws_target=cloud.instances[number],
            rtc_aws_region=cloud.access["region"],
            rtc_aws_access_key="testing",
            rtc_aws_secret_key="{{ 'a-very' ~ '-secret-key' }}",
            rtc_aws_endpoint_url=cloud.access["endpoint_url"],
            rtc_inventory_id="production/hosts.yml",
            **variables,
        )
    return data


PLAYBOOK = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - collab.rtc.plan:
        show: plan
        fail_on_errors: false
        state: "{{ wanted | default('present') }}"
      run_once: true
      register: rtc_plan
    - ansible.builtin.import_role:
        name: collab.rtc.aws_listener
      vars:
        aws_listener_plan: "{{ rtc_plan.hosts[inventory_hostname].listeners }}"
        aws_listener_access_key: "{{ rtc_aws_access_key }}"
        aws_listener_secret_key: "{{ rtc_aws_secret_key }}"
"""


class Playbook:
    """The playbook above on hosts that were detected before."""

    def __init__(self, directory):
        self.directory = directory
        self.text = ""

    def __call__(self, data, *arguments):
        children = {group: {"hosts": dict.fromkeys(hosts)} for group, hosts in data["groups"].items()}
        hosts = {
            host: {"rtc_detected": {"topology": facts}, **data["vars"].get(host, {})}
            for host, facts in data["facts"].items()
        }
        inventory = {"all": {"hosts": hosts, "children": children}}
        (self.directory / "hosts.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        (self.directory / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
        settings = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        settings |= {
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/src"),
            "ANSIBLE_HOME": str(self.directory / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            "hosts.yml",
            "play.yml",
            "-vvv",
            *arguments,
        ]
        done = subprocess.run(command, cwd=self.directory, env=settings, capture_output=True, text=True, check=False)
        self.text = done.stdout + done.stderr
        assert SECRET not in self.text
        assert done.returncode == 0, self.text
        return self.text


def count_changed(text):
    return sum(int(line.split("changed=")[1].split()[0]) for line in text.splitlines() if "changed=" in line)


def test_the_plan_shows_the_steps_a_run_does_them_and_the_next_has_none(cloud, tmp_path):
    data, play = make_data(cloud), Playbook(tmp_path)
    before = cloud.see()
    text = play(data, "--check", "--diff")
    assert "+ AWS: make the target group rtc-confluence-" in text
    assert "+ AWS: make the listener confluence:9083, HTTPS" in text
    assert "+listener confluence:9083: HTTPS" in text
    assert count_changed(text) == 1
    assert cloud.see() == before
    assert count_changed(play(data)) == 1
    text = play(data)
    assert count_changed(text) == 0
    assert "AWS: make" not in text
    assert "AWS: remove the listener confluence:9083" in play(data, "-e", "wanted=absent")
    assert cloud.see() == before


class Planned:
    """The plan of hosts, with AWS asked as the action asks it."""

    def __init__(self, cloud, data):
        data["now"] = plan_cases.load_bases()["now"]
        for variables in data["vars"].values():
            for name in [name for name in variables if name in ("rtc_aws_access_key", "rtc_aws_secret_key")]:
                del variables[name]
        self.input = read_input(data)
        self.cloud = cloud

    def __call__(self):
        self.input.aws = {}
        for item in plan_action.find_listeners(self.input):
            key = name_listener(item.wanted)
            try:
                self.input.aws[key] = applying.observing.observe(self.cloud.aws(), item.wanted)
            except applying.AwsError as error:
                self.input.aws[key] = error.problem
        return plan_action.make_plan(self.input)

    def apply(self):
        """Do what the plan has; the wanted listeners."""
        plan = self()
        made = [item.wanted for host in plan.hosts.values() for item in host.listeners]
        for wanted in made:
            self.cloud.converge(wanted)
        return made


def works(plan, *actions):
    return [
        work.text for host in plan.hosts.values() for work in host.work if work.action in actions and "AWS" in work.text
    ]


def ids(plan):
    return {item.id for item in plan.findings}


def read_input(data):
    """What the plan is made from, read as the action reads the inventory."""
    plan_input = PlanInput(now=data["now"], groups=data["groups"], inventory="production/hosts.yml")
    for host, facts in data["facts"].items():
        plan_input.facts[host] = _facts.from_dict(_facts.HostFacts, facts)
    for host in {host for members in data["groups"].values() for host in members}:
        load_inventory.add_host(plan_input, host, data["vars"].get(host, {}))
    return plan_input


@pytest.fixture
def planned(cloud):
    return lambda data: Planned(cloud, data)


def test_a_site_in_a_plan(cloud, planned):
    one = planned(make_data(cloud))
    plan = one()
    assert works(plan, "create")
    assert "RTC412" not in ids(plan)
    one.apply()
    plan = one()
    assert (works(plan, "create", "change", "remove"), works(plan, "nothing")) == (
        [],
        ["AWS: listener confluence:9083"],
    )


def test_a_site_that_is_to_have_nothing(cloud, planned):
    before = cloud.see()
    planned(make_data(cloud)).apply()
    one = planned(make_data(cloud, rtc_state="absent"))
    assert any("remove the listener" in text for text in works(one(), "remove"))
    one.apply()
    assert cloud.see() == before


def test_a_site_that_has_another_proxy_now(cloud, planned):
    before = cloud.see()
    planned(make_data(cloud)).apply()
    data = make_data(cloud)
    data["vars"]["wiki1"]["rtc_proxy_kind"] = "other"
    planned(data).apply()
    assert cloud.see() == before


def test_a_host_that_the_inventory_has_no_more_leaves_an_orphan(cloud, planned):
    before = cloud.see()
    cloud.converge(cloud.want(nodes=["wiki0"], site="old.example.com:9099", port=9099))
    data = make_data(cloud)
    plan = planned(data)()
    assert [work.action for work in plan.hosts["wiki1"].work if "old.example.com" in work.text] == ["orphan"]
    assert "RTC703" in ids(plan)
    data["vars"]["wiki1"]["rtc_remove_orphans"] = True
    planned(data).apply()
    data["vars"]["wiki1"]["rtc_state"] = "absent"
    planned(data).apply()
    assert cloud.see() == before


def cluster(cloud, **variables):
    data = make_data(cloud, "cluster", **variables)
    data["groups"]["rtc_proxies"] = []
    data["facts"] = {host: facts for host, facts in data["facts"].items() if host in data["groups"]["confluence"]}
    for host in data["groups"]["confluence"]:
        data["vars"][host].pop("rtc_proxy", None)
    return data


STORE = {"rtc_store_url": "postgresql://rtc@db.example.com/rtc", "rtc_store_password": "x", "rtc_secret": "s" * 40}


def test_a_site_of_several_nodes_with_a_store_routes_sessions(cloud, planned):
    one = planned(cluster(cloud, **STORE))
    (wanted,) = [item.wanted for item in plan_action.find_listeners(one.input)]
    assert wanted.routes_sessions
    assert "RTC486" not in ids(one())
    one.apply()
    assert "rule sid=*." in cloud.arrange(wanted)
    assert works(one(), "create", "change", "remove") == []


def test_a_node_that_is_to_have_nothing_leaves_the_site_to_the_others(cloud, planned):
    """What goes has the site's name and load balancer, too, and is asked about beside it."""
    data = cluster(cloud, rtc_server_name="wiki.example.com", **STORE)
    planned(data).apply()
    data["vars"]["wiki1"]["rtc_state"] = "absent"
    one = planned(data)
    plan = one()
    assert plan.stopped == {}
    one.apply()
    (wanted,) = [item.wanted for item in plan_action.find_listeners(one.input) if item.wanted.present]
    text = cloud.arrange(wanted)
    assert f"target {cloud.instances[1]}:9083" in text
    assert cloud.instances[0] not in text
    assert works(one(), "create", "change", "remove") == []


def test_a_node_that_gets_a_site_of_its_own_leaves_the_listener_of_the_others(cloud, planned):
    data = cluster(cloud, rtc_server_name="wiki.example.com", **STORE)
    planned(data).apply()
    # Its name comes first in the order of sites, in which a run sets them.
    data["vars"]["wiki2"].update(rtc_server_name="a.example.com", rtc_port=9084, rtc_store_url="postgresql://db2/rtc")
    one = planned(data)
    assert not any("the listener" in text for text in works(one(), "remove"))
    one.apply()
    assert works(one(), "create", "change", "remove") == []
    listeners = cloud.elb.describe_listeners(LoadBalancerArn=cloud.balancer)["Listeners"]
    assert {item["Port"] for item in listeners} >= {9083, 9084}


def test_a_site_whose_nodes_all_got_other_names_is_no_orphan(cloud, planned):
    data = cluster(cloud, rtc_remove_orphans=True, **STORE)
    planned(data).apply()
    renamed = json.dumps(data).replace('"wiki1"', '"node1"').replace('"wiki2"', '"node2"')
    one = planned(json.loads(renamed))
    assert not any("the listener" in text for text in works(one(), "remove", "orphan"))
    one.apply()
    assert works(one(), "create", "change", "remove", "orphan") == []


def test_a_site_of_several_nodes_without_a_store_has_one_that_serves(cloud, planned):
    plan = planned(cluster(cloud))()
    assert "RTC486" in ids(plan)
    (item,) = [item for host in plan.hosts.values() for item in host.listeners]
    assert len(item.wanted.targets) == 1


@pytest.mark.parametrize(
    ("break_it", "number"),
    [
        (lambda cloud, data: data["vars"]["wiki1"].update(rtc_aws_load_balancer="nothing"), "RTC481"),
        (lambda cloud, data: data["vars"]["wiki1"].update(rtc_aws_target="i-00000000000000000"), "RTC482"),
        (
            lambda cloud, data: data["vars"]["wiki1"].update(
                rtc_aws_certificate=cloud.make_certificate("other.example.com")
            ),
            "RTC483",
        ),
        (lambda cloud, data: cloud.listen(9083), "RTC484"),
        (lambda cloud, data: cloud.access.update(access_key="", secret_key=""), "RTC480"),
    ],
)
def test_an_error_stops_the_site_before_anything_is_changed(cloud, planned, break_it, number):
    data = make_data(cloud)
    break_it(cloud, data)
    plan = planned(data)()
    assert number in ids(plan)
    assert list(plan.stopped) == ["wiki.example.com:9083"]
    assert [item for host in plan.hosts.values() for item in host.listeners] == []


def test_nobody_may_come(cloud, planned):
    rules = cloud.ec2.describe_security_group_rules()["SecurityGroupRules"]
    for item in rules:
        if not item["IsEgress"] and item.get("FromPort") == 443:
            cloud.ec2.revoke_security_group_ingress(
                GroupId=item["GroupId"], SecurityGroupRuleIds=[item["SecurityGroupRuleId"]]
            )
    assert "RTC485" in ids(planned(make_data(cloud))())
