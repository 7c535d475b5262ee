# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both sites behind an AWS load balancer, as one node and as all: what moto's API keeps of what the runs ask for.

No request goes through it, so nothing of RTC itself is tried: **API only**. What the API has is read by a client of its
own, not by the collection's code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import hosts
import sites_table
from hosts import NODES, PORTS

from ansible_collections.collab.rtc.plugins.plugin_utils._plan.labels import label_nodes
from ansible_collections.collab.rtc.tests.aws.cloud import Cloud, serve_moto

KIND = "aws_alb"
TOPOLOGIES = {"T5": ["node1"], "T7": list(NODES)}
IDLE = 60  # seconds: more than the ping interval and its timeout together


def try_listener(names: dict[str, str]) -> tuple[list[str], list[str], int]:
    """Run after run with the load balancer; rows of the table of sites, rows of what the API has, and how many are bad.

    :param names: of the sites, by product.
    """
    with serve_moto() as url:
        cloud = Cloud(url)
        certificate = cloud.make_certificate(*names.values())
        cloud.elb.add_listener_certificates(
            ListenerArn=find_listener(cloud, 443)["ListenerArn"], Certificates=[{"CertificateArn": certificate}]
        )
        before = cloud.see()
        sites, rows, wrong = [], [], 0
        for topology, nodes in TOPOLOGIES.items():
            report = play(cloud, nodes, certificate)
            idempotent = not hosts.find_changed(play(cloud, nodes, certificate)["output"])
            for product in names:
                planned = sites_table.find_site(report, product)
                problems = [f"it is {planned['topology']}"] if planned["topology"] != topology else []
                problems += find_problems(cloud, product, nodes, certificate)
                problems += [] if idempotent else ["the second run had changes"]
                wrong += bool(problems)
                marks = [None] * 7
                sites.append(sites_table.render_row(planned, f"{KIND}, API only", len(nodes), [*marks, idempotent]))
                said = "; ".join(problems) or f"listener, {len(nodes)} targets, {rules_of(nodes)} rules by session id"
                rows.append(f"{KIND:8} {'✗' if problems else '✓'} {topology} {planned['name']}: {said}")
                print(rows[-1], file=sys.stderr, flush=True)
        play(cloud, [], certificate)
        after = cloud.see()
        left = [what for what in before if after[what] != before[what]]
        wrong += bool(left)
        said = f"these differ from before: {', '.join(left)}" if left else "the account is as it was before"
        rows.append(f"{KIND:8} {'✗' if left else '✓'} rtc_state=absent: {said}")
        return sites, rows, wrong


def rules_of(nodes: Sequence[str]) -> int:
    """How many nodes have a rule of their own."""
    return len(nodes) if len(nodes) > 1 else 0


def play(cloud: Cloud, nodes: Sequence[str], certificate: str) -> dict[str, Any]:
    """A run with these nodes, and without the others. The checks at its end would find nobody who carries requests."""
    access = {f"rtc_aws_{name}": value for name, value in cloud.access.items()}
    common = {"rtc_proxy": "", "rtc_manage_application_vhost": False, "rtc_proxy_kind": KIND, **access}
    common |= {"rtc_protocol": "HTTP + SSL", "rtc_aws_load_balancer": "confluence", "rtc_aws_certificate": certificate}
    own = {
        node: {**common, "rtc_aws_target": instance, "rtc_state": "present" if node in nodes else "absent"}
        for node, instance in zip(NODES, cloud.instances)
    }
    return hosts.play("site", {"hosts": own}, "--skip-tags", "verify")


def find_listener(cloud: Cloud, port: int) -> dict[str, Any]:
    """A port's listener, as AWS describes it; empty where there is none."""
    found = cloud.elb.describe_listeners(LoadBalancerArn=cloud.balancer)["Listeners"]
    return next((item for item in found if item["Port"] == port), {})


def find_problems(cloud: Cloud, product: str, nodes: Sequence[str], certificate: str) -> list[str]:
    """What the API has not as a site of these nodes needs it."""
    port = PORTS[product]
    listener = find_listener(cloud, port)
    if not listener:
        return [f"no listener on port {port}"]
    instances = dict(zip(NODES, cloud.instances))
    wanted = {(instances[node], port) for node in nodes}
    rules = cloud.elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    by_session = {
        condition["QueryStringConfig"]["Values"][0]["Value"]: rule
        for rule in rules
        for condition in rule["Conditions"]
        if condition["Field"] == "query-string"
    }
    labels = label_nodes(list(NODES))
    expected = {f"*.{labels[node]}": {(instances[node], port)} for node in nodes if len(nodes) > 1}
    default = next(rule for rule in rules if rule["IsDefault"])
    group = cloud.elb.describe_target_groups(TargetGroupArns=[_find_group(default)])["TargetGroups"][0]
    opened = {
        rule.get("CidrIpv4")
        for rule in cloud.ec2.describe_security_group_rules()["SecurityGroupRules"]
        if not rule["IsEgress"] and rule["FromPort"] == port
    }
    checks = {
        "its protocol": listener["Protocol"] == "HTTPS",
        "its certificate": [item["CertificateArn"] for item in listener["Certificates"]] == [certificate],
        "its targets": _find_targets(cloud, default) == wanted,
        "its rules": {value: _find_targets(cloud, rule) for value, rule in by_session.items()} == expected,
        "its health check": (group["HealthCheckPath"], group["Matcher"]["HttpCode"]) == ("/readyz", "200"),
        "its security group": opened == {"10.0.0.0/8", "192.0.2.0/24"},
        "its idle timeout": int(cloud.idle) >= IDLE,
    }
    return [f"{what} is not what the site needs" for what, is_right in checks.items() if not is_right]


def _find_group(rule: dict[str, Any]) -> str:
    action = rule["Actions"][0]
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [action]
    return str(groups[0]["TargetGroupArn"])


def _find_targets(cloud: Cloud, rule: dict[str, Any]) -> set[tuple[str, int]]:
    found = cloud.elb.describe_target_health(TargetGroupArn=_find_group(rule))["TargetHealthDescriptions"]
    return {(item["Target"]["Id"], item["Target"]["Port"]) for item in found}
