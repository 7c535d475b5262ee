# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading what AWS has for one site, in about a dozen calls. Nothing is changed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import parse_pem
from ansible_collections.collab.rtc.plugins.plugin_utils._aws import ownership, problems
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    PREFIX,
    TAG_SITE,
    AwsError,
    Group,
    Health,
    Problem,
    Seen,
    SeenCertificate,
    SeenGroup,
    SeenIngress,
    SeenListener,
    SeenLoadBalancer,
    SeenRule,
    Tags,
    WantedListener,
)
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.session import Aws

TAGS_AT_ONCE = 20  # ARNs that describe_tags takes
GONE = "missing"  # state of a load balancer that is not there
ALL_PORTS = (0, 65535)


def observe(aws: Aws, wanted: WantedListener) -> Seen:
    """All that matters for a site.

    :raises AwsError: something cannot be read, or the load balancer of a site that is wanted is not there.
    """
    groups = [
        item
        for item in aws.list_all("elbv2", "describe_target_groups", "TargetGroups")
        if item["TargetGroupName"].startswith(PREFIX)
    ]
    tags = _read_tags(aws, [item["TargetGroupArn"] for item in groups])
    own = [item for item in groups if ownership.is_own(tags[item["TargetGroupArn"]], wanted)]
    main = _find_load_balancer(aws, wanted)
    # A site that had another load balancer before: its target groups tell.
    arns = dict.fromkeys(arn for item in own for arn in item.get("LoadBalancerArns", []) if arn != main.arn)
    others = (
        [_make_load_balancer(aws, item, {}) for item in _describe_load_balancers(aws, LoadBalancerArns=list(arns))]
        if arns
        else []
    )
    listeners = [
        item for balancer in (main, *others) if balancer.arn for item in _read_listeners(aws, balancer, wanted)
    ]
    seen = Seen(
        load_balancer=main,
        others=others,
        listeners=listeners,
        groups=[_make_group(aws, item, tags[item["TargetGroupArn"]], item in own) for item in groups],
        ingress=_read_ingress(aws, [one for balancer in (main, *others) for one in balancer.security_groups]),
        now=time.time(),
    )
    return _add_what_is_checked(aws, wanted, seen) if wanted.present else seen


def _add_what_is_checked(aws: Aws, wanted: WantedListener, seen: Seen) -> Seen:
    """Instances, networks and certificates: what only matters for a listener that is wanted."""
    if wanted.protocol == "HTTPS":
        like = problems.find_like(wanted, seen)
        if like and like.protocol == "HTTPS" and not wanted.certificate:
            # The answer has the default certificate, too, marked.
            found = aws.list_all("elbv2", "describe_listener_certificates", "Certificates", ListenerArn=like.arn)
            arns = list(dict.fromkeys([*like.certificates, *(item["CertificateArn"] for item in found)]))
            listeners = [
                dataclasses.replace(item, certificates=arns) if item is like else item for item in seen.listeners
            ]
            seen = dataclasses.replace(seen, listeners=listeners)
    candidates = problems.list_candidates(wanted, seen) if wanted.protocol == "HTTPS" else []
    read = [_read_certificate(aws, arn) for arn in candidates]
    instances = [item.id for item in wanted.targets if problems.is_instance(item.id)]
    addresses = any(not problems.is_instance(item.id) for item in wanted.targets)
    found = _read_instances(aws, instances) if instances else []
    return dataclasses.replace(
        seen,
        certificates={item.arn: item for item in read if item},
        instances={item["InstanceId"]: item.get("VpcId", "") for item in found},
        resting={item["InstanceId"]: _read_state(item) for item in found if _read_state(item) != "running"},
        networks=_read_networks(aws, seen.load_balancer.vpc) if addresses else [],
        has_policy=wanted.protocol != "HTTPS" or not wanted.tls_policy or _has_policy(aws, wanted.tls_policy),
    )


def _find_load_balancer(aws: Aws, wanted: WantedListener) -> SeenLoadBalancer:
    name = wanted.load_balancer
    found = _describe_load_balancers(
        aws, **({"LoadBalancerArns": [name]} if name.startswith("arn:") else {"Names": [name]})
    )
    if found:
        tags = _read_tags(aws, [found[0]["LoadBalancerArn"]])
        return _make_load_balancer(aws, found[0], tags[found[0]["LoadBalancerArn"]])
    if not wanted.present:
        return SeenLoadBalancer("", name, "application", "", GONE, [], 0)
    text = f"There is no load balancer {name} in {aws.region}."
    remedy = "Correct rtc_aws_load_balancer or rtc_aws_region, or see that the credentials are for the right account."
    raise AwsError(Problem("load_balancer", text, remedy))


def _describe_load_balancers(aws: Aws, **request: Any) -> list[dict[str, Any]]:
    try:
        return aws.list_all("elbv2", "describe_load_balancers", "LoadBalancers", **request)
    except AwsError as error:
        if error.code in ("LoadBalancerNotFound", "ValidationError"):
            return []
        raise


def _make_load_balancer(aws: Aws, item: dict[str, Any], tags: Tags) -> SeenLoadBalancer:
    answer = aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=item["LoadBalancerArn"])
    attributes = {one["Key"]: one["Value"] for one in answer["Attributes"]}
    return SeenLoadBalancer(
        arn=item["LoadBalancerArn"],
        name=item["LoadBalancerName"],
        type=item["Type"],
        vpc=item.get("VpcId", ""),
        state=item.get("State", {}).get("Code", ""),
        security_groups=list(item.get("SecurityGroups", [])),
        idle_timeout=int(attributes.get("idle_timeout.timeout_seconds", 60)),
        tags=tags,
        addresses=item.get("IpAddressType") or "ipv4",
    )


def _read_tags(aws: Aws, arns: list[str]) -> dict[str, Tags]:
    found: dict[str, Tags] = {arn: {} for arn in arns}
    for start in range(0, len(arns), TAGS_AT_ONCE):
        answer = aws.call("elbv2", "describe_tags", ResourceArns=arns[start : start + TAGS_AT_ONCE])
        for item in answer["TagDescriptions"]:
            found[item["ResourceArn"]] = _to_dict(item["Tags"])
    return found


def _to_dict(tags: Iterable[dict[str, str]]) -> Tags:
    return {item["Key"]: item["Value"] for item in tags}


def _read_listeners(aws: Aws, balancer: SeenLoadBalancer, wanted: WantedListener) -> list[SeenListener]:
    found = aws.list_all("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer.arn)
    tags = _read_tags(aws, [item["ListenerArn"] for item in found])
    return [_make_listener(aws, item, tags[item["ListenerArn"]], wanted) for item in found]


def _make_listener(aws: Aws, item: dict[str, Any], tags: Tags, wanted: WantedListener) -> SeenListener:
    own = ownership.is_own(tags, wanted)
    rules = aws.list_all("elbv2", "describe_rules", "Rules", ListenerArn=item["ListenerArn"]) if own else []
    return SeenListener(
        arn=item["ListenerArn"],
        load_balancer=item["LoadBalancerArn"],
        port=int(item.get("Port", 0)),
        protocol=item.get("Protocol", ""),
        group=_find_forward(item.get("DefaultActions", [])),
        certificates=[one["CertificateArn"] for one in item.get("Certificates", [])],
        policy=item.get("SslPolicy") or "",
        tags=tags,
        rules=[_make_rule(one) for one in rules if not one.get("IsDefault") and one["Priority"] != "default"],
    )


def _make_rule(item: dict[str, Any]) -> SeenRule:
    conditions = item.get("Conditions", [])
    values = [
        pair["Value"] if pair.get("Key") == "sid" else ""
        for condition in conditions
        for pair in condition.get("QueryStringConfig", {}).get("Values", [{}])
    ]
    return SeenRule(
        arn=item["RuleArn"],
        priority=int(item["Priority"]),
        value=values[0] if len(values) == len(conditions) == 1 else "",
        group=_find_forward(item.get("Actions", [])),
    )


def _find_forward(actions: list[dict[str, Any]]) -> str:
    """The target group that requests are forwarded to; "" where that is not all that is done."""
    if len(actions) != 1 or actions[0].get("Type") != "forward":
        return ""
    groups = actions[0].get("ForwardConfig", {}).get("TargetGroups", [])
    if len(groups) > 1:
        return ""
    return str(groups[0]["TargetGroupArn"] if groups else actions[0].get("TargetGroupArn", ""))


def _make_group(aws: Aws, item: dict[str, Any], tags: Tags, own: bool) -> SeenGroup:
    """A target group; of others than the site's no attributes and targets are read."""
    arn = item["TargetGroupArn"]
    delay, targets = 0, frozenset[tuple[str, int]]()
    if own:
        answer = aws.call("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)
        attributes = {one["Key"]: one["Value"] for one in answer["Attributes"]}
        delay = int(attributes.get("deregistration_delay.timeout_seconds", 300))
        targets = frozenset(
            (one["Target"]["Id"], int(one["Target"]["Port"]))
            for one in read_health(aws, arn)
            if one["TargetHealth"]["State"] != "draining"
        )
    return SeenGroup(
        arn=arn,
        group=Group(
            name=item["TargetGroupName"],
            kind=_read_kind(item),
            protocol=item.get("Protocol", ""),
            port=int(item.get("Port", 0)),
            vpc=item.get("VpcId", ""),
            health=Health(
                protocol=item.get("HealthCheckProtocol", ""),
                path=item.get("HealthCheckPath", ""),
                codes=item.get("Matcher", {}).get("HttpCode", ""),
                interval=int(item.get("HealthCheckIntervalSeconds", 0)),
                timeout=int(item.get("HealthCheckTimeoutSeconds", 0)),
                healthy=int(item.get("HealthyThresholdCount", 0)),
                unhealthy=int(item.get("UnhealthyThresholdCount", 0)),
            ),
            delay=delay,
            targets=targets,
        ),
        tags=tags,
        load_balancers=list(item.get("LoadBalancerArns", [])),
    )


def _read_kind(group: dict[str, Any]) -> str:
    kind = str(group.get("TargetType", ""))
    return "ipv6" if (kind, group.get("IpAddressType")) == ("ip", "ipv6") else kind


def read_health(aws: Aws, group: str) -> list[dict[str, Any]]:
    """The targets of a group with their state, as AWS has it."""
    found: list[dict[str, Any]] = aws.call("elbv2", "describe_target_health", TargetGroupArn=group)[
        "TargetHealthDescriptions"
    ]
    return found


def _read_ingress(aws: Aws, groups: list[str]) -> list[SeenIngress]:
    """The rules of these security groups; without any, those that have our tags: their load balancer is gone."""
    condition = (
        {"Name": "group-id", "Values": sorted(set(groups))} if groups else {"Name": "tag-key", "Values": [TAG_SITE]}
    )
    found = aws.list_all("ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=[condition])
    made = [_make_ingress(item) for item in found if not item.get("IsEgress")]
    return [item for item in made if item is not None and (groups or ownership.is_ours(item.tags))]


def _make_ingress(item: dict[str, Any]) -> SeenIngress | None:
    """A rule for TCP; ``None`` for one that lets in nothing of the kind."""
    protocol = str(item.get("IpProtocol"))
    if protocol not in ("tcp", "6", "-1"):
        return None
    source = item.get("CidrIpv4") or item.get("CidrIpv6") or item.get("PrefixListId") or _name_group(item)
    first, last = ALL_PORTS if protocol == "-1" else (int(item.get("FromPort", 0)), int(item.get("ToPort", 0)))
    return SeenIngress(
        id=item["SecurityGroupRuleId"],
        security_group=item["GroupId"],
        first=first,
        last=last,
        source=str(source),
        tags=_to_dict(item.get("Tags", [])),
    )


def _name_group(rule: dict[str, Any]) -> str:
    """The security group that a rule lets in, with its account where that is another one: AWS finds it by both."""
    group = rule.get("ReferencedGroupInfo", {})
    account, own = group.get("UserId", ""), rule.get("GroupOwnerId", "")
    name = str(group.get("GroupId", ""))
    return f"{account}/{name}" if name and account and own and account != own else name


def _read_instances(aws: Aws, ids: list[str]) -> list[dict[str, Any]]:
    condition = {"Name": "instance-id", "Values": sorted(set(ids))}
    found = aws.list_all("ec2", "describe_instances", "Reservations", Filters=[condition])
    every: list[dict[str, Any]] = [item for reservation in found for item in reservation["Instances"]]
    return [item for item in every if _read_state(item) not in ("terminated", "shutting-down")]


def _read_state(instance: dict[str, Any]) -> str:
    return str(instance.get("State", {}).get("Name") or "running")


def _read_networks(aws: Aws, vpc: str) -> list[str]:
    found = aws.list_all("ec2", "describe_vpcs", "Vpcs", VpcIds=[vpc])
    return [
        block[key]
        for item in found
        for name, key in (("CidrBlockAssociationSet", "CidrBlock"), ("Ipv6CidrBlockAssociationSet", "Ipv6CidrBlock"))
        for block in item.get(name, [])
    ]


def _has_policy(aws: Aws, name: str) -> bool:
    try:
        return bool(aws.call("elbv2", "describe_ssl_policies", Names=[name])["SslPolicies"])
    except AwsError as error:
        if error.code in ("SSLPolicyNotFound", "ValidationError"):
            return False
        raise


def _read_certificate(aws: Aws, arn: str) -> SeenCertificate | None:
    try:
        return _read_iam(aws, arn) if ":iam:" in arn else _read_acm(aws, arn)
    except AwsError as error:
        if error.code in ("ResourceNotFoundException", "NoSuchEntity", "InvalidArnException", "ValidationException"):
            return None
        raise


def _read_acm(aws: Aws, arn: str) -> SeenCertificate:
    item = aws.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
    names = [item.get("DomainName", ""), *item.get("SubjectAlternativeNames", [])]
    ends = item.get("NotAfter")
    return SeenCertificate(
        arn=arn,
        status=str(item.get("Status", "")),
        names=list(dict.fromkeys(name for name in names if name)),
        not_after=ends.timestamp() if ends else 0.0,
    )


def _read_iam(aws: Aws, arn: str) -> SeenCertificate:
    """A certificate of IAM is always issued; what it is for, its text says."""
    answer = aws.call("iam", "get_server_certificate", ServerCertificateName=arn.rsplit("/", 1)[-1])
    item = answer["ServerCertificate"]
    try:
        leaf = parse_pem(item["CertificateBody"], arn)[0]
    except (RtcError, IndexError):
        return SeenCertificate(arn, "UNREADABLE", [])
    return SeenCertificate(arn, "ISSUED", list(leaf.dns_names), leaf.not_after.timestamp())
