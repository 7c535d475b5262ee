# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener at AWS, against moto's API: it carries no traffic, so what is tested is what AWS is asked for and keeps."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import (
    applying,
    arrangement,
    difference,
    observing,
    problems,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import AwsError, Problem, Target
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import Access, Aws


def make_pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def make_key_pem(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def listener_on(cloud, port):
    (found,) = [
        item
        for item in cloud.elb.describe_listeners(LoadBalancerArn=cloud.balancer)["Listeners"]
        if item["Port"] == port
    ]
    return found


def groups_of(cloud):
    """Name -> target group, of those that are ours."""
    groups = cloud.elb.describe_target_groups()["TargetGroups"]
    return {item["TargetGroupName"]: item for item in groups if item["TargetGroupName"].startswith("rtc-")}


def targets_of(cloud, arn):
    found = cloud.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {(item["Target"]["Id"], item["Target"]["Port"]) for item in found}


def sources_of(cloud, port):
    """Who may come to a port."""
    rules = cloud.ec2.describe_security_group_rules()["SecurityGroupRules"]
    return {item.get("CidrIpv4") for item in rules if not item["IsEgress"] and item["FromPort"] == port}


def is_foreign(state):
    """The part of a state that a run may not touch: all but what has our tags or name."""
    ours = {item["ResourceArn"] for tags in state["tags"] for item in tags if _has_tag(item, "collab-rtc:site")}

    ours |= {item["RuleArn"] for item in state["rules"] if _leads_to(item, ours)}  # default rules have no tags

    def theirs(item, *names):
        return not any(item.get(name) in ours for name in names)

    return {
        "balancers": state["balancers"],
        "listeners": [item for item in state["listeners"] if theirs(item, "ListenerArn")],
        "rules": [item for item in state["rules"] if theirs(item, "RuleArn") and not _leads_to(item, ours)],
        "groups": [item for item in state["groups"] if theirs(item, "TargetGroupArn")],
        "tags": [
            item
            for tags in state["tags"]
            for item in tags
            if item["ResourceArn"] not in ours and not _has_tag(item, "collab-rtc:")
        ],
        "security": [item for item in state["security"] if not _has_tag(item, "collab-rtc:site")],
        "certificates": state["certificates"],
    }


def _has_tag(item, begin):
    return any(tag["Key"].startswith(begin) for tag in item.get("Tags", []))


def _leads_to(rule, arns):
    return any(action.get("TargetGroupArn") in arns for action in rule["Actions"])


def test_one_node_gets_all_that_rtc_needs_and_the_rest_stays(cloud):
    before = cloud.see()
    cloud.converge(cloud.want())
    after = cloud.see()
    assert is_foreign(after) == is_foreign(before)
    listener = listener_on(cloud, 9083)
    assert (listener["Protocol"], listener["SslPolicy"]) == ("HTTPS", listener_on(cloud, 443)["SslPolicy"])
    assert listener["Certificates"] == [{"CertificateArn": cloud.certificate}]
    (group,) = groups_of(cloud).values()
    assert [action["TargetGroupArn"] for action in listener["DefaultActions"]] == [group["TargetGroupArn"]]
    assert (group["Protocol"], group["Port"], group["ProtocolVersion"]) == ("HTTP", 9083, "HTTP1")
    assert (group["HealthCheckProtocol"], group["HealthCheckPath"], group["HealthCheckPort"]) == (
        "HTTP",
        "/readyz",
        "traffic-port",
    )
    assert group["Matcher"] == {"HttpCode": "200"}
    assert targets_of(cloud, group["TargetGroupArn"]) == {(cloud.instances[0], 9083)}
    attributes = cloud.elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"])["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "30"} in attributes
    assert sources_of(cloud, 9083) == {"10.0.0.0/8", "192.0.2.0/24"} == sources_of(cloud, 443)
    assert cloud.idle == "60"  # as AWS begins; it is enough


@pytest.mark.parametrize("nodes", [(1,), (1, 2, 3)])
def test_a_second_run_changes_nothing_and_takes_few_calls(cloud, nodes):
    wanted = cloud.want_nodes(*nodes)
    cloud.converge(wanted)
    before, aws = cloud.see(), cloud.aws()
    _seen, steps = applying.examine(aws, wanted)
    assert steps == []
    assert cloud.see() == before
    assert aws.calls <= 16 + 4 * len(nodes)


def test_only_looking_changes_nothing_and_its_difference_is_true(cloud):
    cloud.converge(cloud.want())
    before = cloud.see()
    wanted = cloud.want_nodes(1, 2, port=9084, site="wiki.example.com:9084", deregistration_delay=5, idle_timeout=300)
    seen, steps = applying.examine(cloud.aws(), wanted)
    shown = applying.show_difference(wanted, seen)
    assert steps
    assert cloud.see() == before
    assert shown["before"] == cloud.arrange(wanted)
    applying.carry_out(cloud.aws(), wanted, seen, steps)
    assert shown["after"] == cloud.arrange(wanted)


def test_several_nodes_have_their_sessions_back(cloud):
    cloud.converge(cloud.want_nodes(1, 2, 3))
    listener = listener_on(cloud, 9083)
    names = {item["TargetGroupArn"]: name for name, item in groups_of(cloud).items()}
    assert len(names) == 4
    rules = cloud.elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    found = {}
    for rule in rules:
        (action,) = rule["Actions"]
        if rule["Priority"] != "default":
            (condition,) = rule["Conditions"]
            assert condition["Field"] == "query-string"
            (pair,) = condition["QueryStringConfig"]["Values"]
            found[(pair["Key"], pair["Value"])] = targets_of(cloud, action["TargetGroupArn"])
    assert found == {("sid", f"*.label{number}"): {(cloud.instances[number - 1], 9083)} for number in (1, 2, 3)}
    (default,) = [rule for rule in rules if rule["Priority"] == "default"]
    everybody = targets_of(cloud, default["Actions"][0]["TargetGroupArn"])
    assert everybody == {(instance, 9083) for instance in cloud.instances}


# What changes between two runs. The arrangement afterwards is that of a site that was so from the start.
CHANGES = {
    "another port": lambda cloud: cloud.want(port=9443, site="wiki.example.com:9443"),
    "another name": lambda cloud: cloud.want(server_name="confluence.example.com", site="confluence.example.com:9083"),
    "another certificate": lambda cloud: cloud.want(certificate=cloud.make_certificate("*.example.com")),
    "another policy": lambda cloud: cloud.want(tls_policy="ELBSecurityPolicy-2016-08"),
    "no TLS": lambda cloud: cloud.want(protocol="HTTP"),
    "TLS at the service": lambda cloud: cloud.want(target_protocol="HTTPS"),
    "another health check": lambda cloud: cloud.want(health_path="/", health_codes="200-499"),
    "another delay": lambda cloud: cloud.want(deregistration_delay=120),
    "another instance": lambda cloud: cloud.want(targets=[Target("wiki1", cloud.instances[2])]),
    "addresses": lambda cloud: cloud.want(targets=[Target("wiki1", "10.9.1.44")]),
    "two nodes more": lambda cloud: cloud.want_nodes(1, 2, 3),
    "a longer silence": lambda cloud: cloud.want(idle_timeout=200),
    "like another port": lambda cloud: cloud.want(like_port=8443),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change(cloud, change):
    cloud.converge(cloud.want())
    before = cloud.see()
    wanted = CHANGES[change](cloud)
    assert cloud.converge(wanted)
    after = cloud.see()
    for part in ("listeners", "groups", "security"):
        assert is_foreign(after)[part] == is_foreign(before)[part]
    # As a site that was so from the start.
    seen, steps = applying.examine(cloud.aws(), wanted)
    assert steps == []
    assert arrangement.arrange_seen(wanted, seen) == arrangement.arrange_wanted(wanted, seen)
    # and back
    cloud.converge(cloud.want())
    assert cloud.converge(cloud.want()) == []
    assert len(groups_of(cloud)) == 1


def test_nodes_come_and_go(cloud):
    for nodes in ((1,), (1, 2), (1, 2, 3), (2, 3), (3,), (1, 3)):
        wanted = cloud.want_nodes(*nodes)
        cloud.converge(wanted)
        assert cloud.converge(wanted) == []
        assert len(groups_of(cloud)) == (1 if len(nodes) == 1 else len(nodes) + 1)
        listener = listener_on(cloud, 9083)
        everybody = targets_of(cloud, listener["DefaultActions"][0]["TargetGroupArn"])
        assert everybody == {(cloud.instances[number - 1], 9083) for number in nodes}


@pytest.mark.parametrize("nodes", [(1,), (1, 2, 3)])
def test_a_removal_leaves_what_was_there_before(cloud, nodes):
    cloud.set_idle(30)
    before = cloud.see()
    wanted = cloud.want_nodes(*nodes)
    cloud.converge(wanted)
    assert cloud.idle == "60"
    cloud.converge(dataclasses.replace(wanted, present=False))
    assert cloud.see() == before
    assert cloud.converge(dataclasses.replace(wanted, present=False)) == []


def test_the_idle_timeout_is_never_lowered_and_a_changed_one_is_left(cloud):
    cloud.set_idle(4000)
    cloud.converge(cloud.want())
    assert cloud.idle == "4000"
    cloud.set_idle(10)
    cloud.converge(cloud.want())
    assert cloud.idle == "60"
    cloud.set_idle(90)  # by somebody else
    cloud.converge(cloud.want(present=False))
    assert cloud.idle == "90"


def test_the_last_site_of_a_load_balancer_gives_its_idle_timeout_back(cloud):
    cloud.set_idle(30)
    other = cloud.want(application="jira", site="wiki.example.com:9093", port=9093, nodes=["jira1"])
    cloud.converge(cloud.want())
    cloud.converge(other)
    cloud.converge(cloud.want(present=False))
    assert cloud.idle == "60"
    assert cloud.converge(other) == []
    cloud.converge(dataclasses.replace(other, present=False))
    assert cloud.idle == "30"


def test_what_somebody_changed_by_hand_is_put_right(cloud):
    wanted = cloud.want_nodes(1, 2)
    cloud.converge(wanted)
    right = cloud.arrange(wanted)
    listener = listener_on(cloud, 9083)["ListenerArn"]
    group = listener_on(cloud, 9083)["DefaultActions"][0]["TargetGroupArn"]
    rules = [
        item["RuleArn"]
        for item in cloud.elb.describe_rules(ListenerArn=listener)["Rules"]
        if item["Priority"] != "default"
    ]
    cloud.elb.modify_listener(
        ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": cloud.application}]
    )
    cloud.elb.delete_rule(RuleArn=rules[0])
    cloud.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": cloud.instances[2], "Port": 9083}])
    cloud.elb.modify_target_group(TargetGroupArn=group, HealthCheckPath="/")
    assert cloud.arrange(wanted) != right
    assert cloud.converge(wanted)
    assert cloud.arrange(wanted) == right


def test_a_site_that_gets_another_load_balancer_leaves_the_old_one(cloud):
    cloud.converge(cloud.want())
    new = cloud.make_balancer("confluence-new")
    cloud.listen(443, certificate=cloud.certificate, balancer=new)
    wanted = cloud.want(load_balancer="confluence-new")
    before = groups_of(cloud)
    cloud.converge(wanted)
    assert cloud.converge(wanted) == []
    assert not set(before) & set(groups_of(cloud)), "AWS lets a target group be at one load balancer only"
    ports = [item["Port"] for item in cloud.elb.describe_listeners(LoadBalancerArn=cloud.balancer)["Listeners"]]
    assert sorted(ports) == [443, 8443]


def test_the_load_balancer_may_be_named_by_its_arn(cloud):
    cloud.converge(cloud.want())
    assert cloud.converge(cloud.want(load_balancer=cloud.balancer)) == []


def test_nothing_is_left_when_the_load_balancer_is_gone(cloud):
    cloud.converge(cloud.want())
    for item in cloud.elb.describe_listeners(LoadBalancerArn=cloud.balancer)["Listeners"]:
        cloud.elb.delete_listener(ListenerArn=item["ListenerArn"])
    cloud.elb.delete_load_balancer(LoadBalancerArn=cloud.balancer)
    cloud.converge(cloud.want(present=False))
    assert groups_of(cloud) == {}
    assert sources_of(cloud, 9083) == set()


def test_a_rule_of_somebody_that_lets_users_in_already_is_enough(cloud):
    cloud.open(9083, "10.0.0.0/8")
    before = cloud.see()["security"]
    cloud.converge(cloud.want())
    rules = cloud.ec2.describe_security_group_rules()["SecurityGroupRules"]
    ours = [item for item in rules if _has_tag(item, "collab-rtc:site")]
    assert [item["CidrIpv4"] for item in ours] == ["192.0.2.0/24"]
    cloud.converge(cloud.want(present=False))
    assert cloud.see()["security"] == before


def test_a_security_group_that_lets_nobody_in_is_said(cloud):
    seen, _steps = applying.examine(cloud.aws(), cloud.want(like_port=444, certificate=cloud.certificate))
    (text,) = difference.list_warnings(cloud.want(like_port=444), seen)
    assert "port 444" in text
    assert "9083" in text


def test_the_certificate_that_is_for_the_name_is_chosen_among_those_of_the_application(cloud):
    default, right = cloud.make_certificate("other.example.com"), cloud.make_certificate("wiki.example.com")
    listener = listener_on(cloud, 443)["ListenerArn"]
    cloud.elb.modify_listener(ListenerArn=listener, Certificates=[{"CertificateArn": default}])
    cloud.elb.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": right}])
    cloud.converge(cloud.want())
    assert listener_on(cloud, 9083)["Certificates"][0]["CertificateArn"] == right


def test_a_certificate_of_iam(cloud):
    certificate, key = cloud.authority.leaf("*.example.com")
    answer = cloud.iam.upload_server_certificate(
        ServerCertificateName="wiki",
        CertificateBody=make_pem(certificate).decode(),
        PrivateKey=make_key_pem(key).decode(),
    )
    arn = answer["ServerCertificateMetadata"]["Arn"]
    cloud.converge(cloud.want(certificate=arn))
    assert listener_on(cloud, 9083)["Certificates"][0]["CertificateArn"] == arn
    with pytest.raises(AwsError, match=r"not for elsewhere\.example\.org"):
        applying.examine(cloud.aws(), cloud.want(certificate=arn, server_name="elsewhere.example.org"))


class Interrupted(Aws):
    """AWS for a run that does not get further than so many changes."""

    left = 0

    def call(self, service, call, **request):
        if not call.startswith("describe") and not call.startswith("get_"):
            if not self.left:
                raise AwsError(Problem("access", "The connection was lost.", "Run again."))
            self.left -= 1
        return super().call(service, call, **request)


@pytest.mark.parametrize("course", ["made", "changed", "removed"])
def test_the_next_run_completes_what_a_failure_left_at_any_step(cloud, course):
    """Whatever step fails: neighbours stay, and the next run ends where an undisturbed one does."""
    first = cloud.want_nodes(1, 2)
    second = cloud.want_nodes(2, port=9084, site="wiki.example.com:9084", idle_timeout=90)
    gone = dataclasses.replace(first, present=False)
    start, end = {"made": (gone, first), "changed": (first, second), "removed": (first, gone)}[course]
    clean = is_foreign(cloud.see())
    cloud.converge(start)
    number = len(cloud.converge(end))
    right = cloud.arrange(end)
    assert number > 5
    for failing in range(0, number, 3):
        cloud.converge(start)
        broken = Interrupted(Access(**cloud.access))
        broken.left = failing
        seen, steps = applying.examine(broken, end)  # fewer than at first: a longer silence is never taken back
        if failing >= len(steps):
            break
        with pytest.raises(AwsError, match=f"{failing} of {len(steps)} steps at AWS were done.*next run completes"):
            applying.carry_out(broken, end, seen, steps)
        assert cloud.converge(end)
        assert cloud.arrange(end) == right
    cloud.converge(gone)
    assert is_foreign(cloud.see()) == clean


def elsewhere(cloud):
    _vpc, subnets = cloud.make_vpc("10.20.0.0/16", "10.20.{}.0/24")
    cloud.make_balancer("elsewhere", subnets=subnets)
    return cloud.want(load_balancer="elsewhere", protocol="HTTP")


def terminated(cloud):
    cloud.ec2.terminate_instances(InstanceIds=[cloud.instances[0]])
    return cloud.want()


def stopped(cloud):
    cloud.ec2.stop_instances(InstanceIds=[cloud.instances[1]])
    return cloud.want_nodes(1, 2)


V6 = [Target("wiki1", "2001:db8::11", "x"), Target("wiki2", "2001:db8::12", "y")]


# What prevents a listener: the change to the cloud and to what is wanted, the kind, and words of the message.
ERRORS = {
    "no such load balancer": (lambda cloud: cloud.want(load_balancer="wiki"), "load_balancer", "There is no load balancer wiki in eu-central-1"),
    "a network load balancer": (
        lambda cloud: cloud.make_balancer("net", "network") and cloud.want(load_balancer="net"),
        "load_balancer", "is a Network Load Balancer",
    ),
    "another VPC": (elsewhere, "targets", "is in vpc-.*and the load balancer elsewhere in vpc-"),
    "no such instance": (lambda cloud: cloud.want(targets=[Target("wiki1", "i-0123456789abcdef0")]), "targets", "does not exist"),
    "a terminated instance": (terminated, "targets", "does not exist"),
    "a stopped instance": (stopped, "targets", "of wiki2 is stopped: AWS takes running ones only"),
    "IPv6 where the load balancer has none": (
        lambda cloud: cloud.want(nodes=["wiki1", "wiki2"], targets=V6, peered=True), "targets", "has no IPv6 .its address type is ipv4",
    ),
    "IPv4 and IPv6": (
        lambda cloud: cloud.want(nodes=["wiki1", "wiki2"], targets=[V6[0], Target("wiki2", "10.9.1.1", "y")], peered=True),
        "targets", "addresses of IPv4 or of IPv6, not both",
    ),
    "an address of elsewhere": (lambda cloud: cloud.want(targets=[Target("wiki1", "10.7.1.1")]), "targets", "is outside of vpc-.*10.9.0.0/16"),
    "a public address": (lambda cloud: cloud.want(targets=[Target("wiki1", "8.8.8.8")], peered=True), "targets", "cannot have 8.8.8.8"),
    "loopback": (lambda cloud: cloud.want(targets=[Target("wiki1", "127.0.0.1")], peered=True), "targets", "cannot have 127.0.0.1"),
    "a name": (lambda cloud: cloud.want(targets=[Target("wiki1", "wiki1.internal")]), "targets", "neither an EC2 instance nor an IP address"),
    "instances and addresses": (
        lambda cloud: cloud.want(nodes=["a", "b"], targets=[Target("a", cloud.instances[0], "x"), Target("b", "10.9.1.1", "y")]),
        "targets", "instances or addresses, not both",
    ),
    "one instance twice": (
        lambda cloud: cloud.want(nodes=["a", "b"], targets=[Target("a", cloud.instances[0], "x"), Target("b", cloud.instances[0], "y")]),
        "targets", "stands for several nodes",
    ),
    "no certificate": (lambda cloud: cloud.want(like_port=80), "certificate", "no listener with TLS on port 80"),
    "a certificate for another name": (
        lambda cloud: cloud.want(certificate=cloud.make_certificate("jira.example.com")), "certificate", "is for jira.example.com, not for wiki",
    ),
    "a wildcard of another depth": (
        lambda cloud: cloud.want(server_name="a.wiki.example.com", certificate=cloud.make_certificate("*.example.com")), "certificate", "not for a.wiki",
    ),
    "the application's is for another name": (lambda cloud: cloud.want(server_name="x.example.org"), "certificate", "of the listener on port 443"),
    "a certificate that does not exist": (
        lambda cloud: cloud.want(certificate="arn:aws:acm:eu-central-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"),
        "certificate", "does not exist in this region",
    ),
    "a certificate that is not issued": (lambda cloud: cloud.want(certificate=pending(cloud)), "certificate", "is not issued: its status is PENDING_VALIDATION"),
    "a TLS policy that does not exist": (
        lambda cloud: cloud.want(tls_policy="ELBSecurityPolicy-TLS13-1-2-2021-6"), "certificate", "no TLS policy ELBSecurityPolicy-TLS13-1-2-2021-6",
    ),
    "somebody's listener": (lambda cloud: cloud.listen(9083) and cloud.want(), "port", "was not made by this collection"),
    "another site's listener": (
        lambda cloud: cloud.converge(cloud.want(site="other.example.com:9083", nodes=["wiki7"])) and cloud.want(),
        "port", "belongs to other.example.com:9083 of the inventory production/hosts.yml",
    ),
    "another inventory's listener": (
        lambda cloud: cloud.converge(cloud.want(inventory="staging/hosts.yml")) and cloud.want(), "port",
        "of the inventory staging/hosts.yml.*If the inventory was renamed, set rtc_inventory_id: staging/hosts.yml.",
    ),
    "a node that the run does not look at": (
        lambda cloud: cloud.converge(cloud.want_nodes(1, 2)) and cloud.want(unseen=["wiki2"]), "targets", "wiki2 of wiki.example.com:9083 has a part",
    ),
}  # fmt: skip


def pending(cloud):
    return cloud.acm.request_certificate(DomainName="wiki.example.com", ValidationMethod="DNS")["CertificateArn"]


@pytest.mark.parametrize("case", ERRORS)
def test_what_prevents_it_is_said_before_anything_is_changed(cloud, case):
    change, kind, words = ERRORS[case]
    wanted = change(cloud)
    aws = Interrupted(Access(**cloud.access))  # which stops at the first change
    with pytest.raises(AwsError, match=words) as caught:
        applying.carry_out(aws, wanted, *applying.examine(aws, wanted))
    assert caught.value.problem.kind == kind
    assert caught.value.problem.remedy.endswith(".")


def test_a_certificate_that_has_expired(cloud):
    wanted = cloud.want(certificate=cloud.make_certificate("wiki.example.com", end=1))
    seen = observing.observe(cloud.aws(), wanted)
    assert list(problems.find_problems(wanted, seen)) == []
    (problem,) = problems.find_problems(wanted, dataclasses.replace(seen, now=seen.now + 2 * 86400))
    assert "expired on 20" in problem.text


def test_addresses_of_a_network_behind_the_vpc(cloud):
    cloud.converge(cloud.want(targets=[Target("wiki1", "10.7.1.1")], peered=True))
    (group,) = groups_of(cloud).values()
    (target,) = cloud.elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert target["Target"]["Id"] == "10.7.1.1"
    assert target["Target"].get("AvailabilityZone", "all") == "all"


def test_an_arrangement_as_text_names_all_of_it(cloud):
    wanted = cloud.want_nodes(1, 2)
    seen, _steps = applying.examine(cloud.aws(), wanted)
    text = arrangement.render(arrangement.arrange_wanted(wanted, seen))
    for part in ("listener confluence:9083: HTTPS, certificate arn:aws:acm", "rule sid=*.label1", "health: HTTP /readyz",
                 "deregistration delay: 30 s", f"target {cloud.instances[1]}:9083", "TCP 9083 from 10.0.0.0/8", "idle timeout"):  # fmt: skip
        assert part in text
