# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts as they are: instances that do not run, IPv6, other accounts' groups, sites and people who change the same."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import applying, difference, observing
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError, Target
from ansible_collections.collab.rtc.tests.aws.test_listener import V6, groups_of, listener_on, sources_of


def test_who_may_come_from_a_security_group_of_another_account(cloud):
    """Of a peered VPC: moto knows no such thing."""
    wanted = cloud.want()
    seen = observing.observe(cloud.aws(), wanted)
    rule = {"SecurityGroupRuleId": "sgr-1", "GroupId": cloud.group, "GroupOwnerId": "111111111111", "IpProtocol": "tcp",
            "FromPort": 443, "ToPort": 443}  # fmt: skip
    groups = [{"GroupId": "sg-1", "UserId": "111111111111"}, {"GroupId": "sg-2", "UserId": "222222222222"}]
    rules = [observing._make_ingress({**rule, "ReferencedGroupInfo": group}) for group in groups]
    steps = difference.list_steps(wanted, dataclasses.replace(seen, ingress=rules))
    opened = [step.request["IpPermissions"][0] for step in steps if step.call == "authorize_security_group_ingress"]
    pairs = [
        {key: one[key] for key in one if key != "Description"} for item in opened for one in item["UserIdGroupPairs"]
    ]
    assert pairs == [{"GroupId": "sg-2", "UserId": "222222222222"}, {"GroupId": "sg-1"}]


def test_an_instance_that_is_stopped_later_stays(cloud):
    wanted = cloud.want_nodes(1, 2)
    cloud.converge(wanted)
    cloud.ec2.stop_instances(InstanceIds=[cloud.instances[1]])
    assert cloud.converge(wanted) == []
    with pytest.raises(AwsError, match="of wiki2 is stopped"):  # another port is another target group
        applying.examine(cloud.aws(), dataclasses.replace(wanted, port=9084))


def test_addresses_of_ipv6_have_a_target_group_of_theirs(cloud):
    wanted = cloud.want(nodes=["wiki1", "wiki2"], targets=V6, peered=True)
    cloud.elb.set_ip_address_type(LoadBalancerArn=cloud.balancer, IpAddressType="dualstack")
    aws = cloud.aws()
    seen, steps = applying.examine(aws, wanted)
    made = [step.request for step in steps if step.call == "create_target_group"]
    assert [(one["TargetType"], one["IpAddressType"]) for one in made] == [("ip", "ipv6")] * 3
    applying.carry_out(aws, wanted, seen, steps)
    assert cloud.converge(wanted) == []
    four = dataclasses.replace(wanted, targets=[Target("wiki1", "10.9.1.1", "x"), Target("wiki2", "10.9.1.2", "y")])
    cloud.converge(four)  # by other target groups, and those before go
    assert {item["IpAddressType"] for item in groups_of(cloud).values()} == {"ipv4"}
    assert cloud.converge(four) == []


def test_the_idle_timeout_of_before_all_sites_comes_back(cloud):
    """The second site needs more than the first has set."""
    cloud.set_idle(30)
    other = cloud.want(application="jira", site="wiki.example.com:9093", port=9093, nodes=["jira1"], idle_timeout=120)
    cloud.converge(cloud.want())
    cloud.converge(other)
    assert (cloud.idle, cloud.converge(cloud.want()), cloud.converge(other)) == ("120", [], [])
    cloud.converge(cloud.want(present=False))
    cloud.converge(dataclasses.replace(other, present=False))
    assert cloud.idle == "30"


def test_an_idle_timeout_that_somebody_changed_between_two_sites_is_the_one_to_come_back(cloud):
    cloud.set_idle(30)
    other = cloud.want(application="jira", site="wiki.example.com:9093", port=9093, nodes=["jira1"], idle_timeout=120)
    cloud.converge(cloud.want())
    cloud.set_idle(90)
    cloud.converge(other)
    cloud.converge(cloud.want(present=False))
    cloud.converge(dataclasses.replace(other, present=False))
    assert cloud.idle == "90"


def test_a_rule_with_one_more_condition_is_no_rule_for_all_sessions(cloud):
    wanted = cloud.want_nodes(1, 2)
    cloud.converge(wanted)
    listener = listener_on(cloud, 9083)["ListenerArn"]
    rule = next(item for item in cloud.elb.describe_rules(ListenerArn=listener)["Rules"] if item["Priority"] == "1")
    conditions = [{"Field": "host-header", "Values": ["other.example.com"]}]
    conditions += [
        {"Field": item["Field"], "QueryStringConfig": item["QueryStringConfig"]} for item in rule["Conditions"]
    ]
    cloud.elb.modify_rule(RuleArn=rule["RuleArn"], Conditions=conditions)
    assert len(cloud.converge(wanted)) == 2  # a right one, and that one goes
    assert cloud.converge(wanted) == []


def test_a_rule_that_another_run_has_just_made_is_good(cloud):
    """Two sites with one security group, at the same time: AWS has a rule once."""
    wanted, aws = cloud.want(), cloud.aws()
    seen, steps = applying.examine(aws, wanted)
    cloud.open(9083, "10.0.0.0/8")
    applying.carry_out(aws, wanted, seen, steps)
    assert sources_of(cloud, 9083) == sources_of(cloud, 443)
    assert cloud.converge(wanted) == []
