# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps from what is there to what is wanted, in an order that never leaves users without what they had. Pure.

What new requests need comes first, what nobody needs any more goes last. All that is made has its tags from the call
that makes it: whatever a run leaves that fails between two steps, the next one finds and completes, or takes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import arrangement, ownership, problems
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    TAG_IDLE_BEFORE,
    TAG_IDLE_SET,
    TAG_NODES,
    TAG_SITE,
    Front,
    Group,
    Health,
    Ingress,
    Seen,
    SeenGroup,
    SeenIngress,
    SeenListener,
    SeenRule,
    Step,
    Tags,
    WantedListener,
)

DELAY = "deregistration_delay.timeout_seconds"
IDLE = "idle_timeout.timeout_seconds"
LISTENER = "@listener"


def list_steps(wanted: WantedListener, seen: Seen) -> list[Step]:
    """All steps, in their order; none where all is as it is to be."""
    return [
        *_make_groups(wanted, seen),
        *_raise_idle(wanted, seen),
        *_make_listener(wanted, seen),
        *_make_rules(wanted, seen),
        *_open(wanted, seen),
        *_update_tags(wanted, seen),
        *_remove_rules(wanted, seen),
        *_remove_listeners(wanted, seen),
        *_deregister(wanted, seen),
        *_remove_groups(wanted, seen),
        *_close(wanted, seen),
        *_give_idle_back(wanted, seen),
    ]


def list_warnings(wanted: WantedListener, seen: Seen) -> list[str]:
    """What is worth knowing, and prevents nothing."""
    if wanted.present and not arrangement.list_like_ingress(wanted, seen):
        groups = ", ".join(seen.load_balancer.security_groups) or "a load balancer without security groups"
        text = f"No rule of {groups} lets anybody come to port {wanted.like_port}, so none is made for port"
        return [f"{text} {wanted.port}: open it for your users."]
    return []


def _to_list(tags: Tags) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _own_groups(wanted: WantedListener, seen: Seen) -> dict[str, SeenGroup]:
    return {item.group.name: item for item in ownership.list_groups(seen, wanted)}


def _find_listener(wanted: WantedListener, seen: Seen) -> SeenListener | None:
    for item in ownership.list_listeners(seen, wanted):
        if item.load_balancer == seen.load_balancer.arn and item.port == wanted.port and wanted.present:
            return item
    return None


def _make_groups(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    there = _own_groups(wanted, seen)
    for name, group in arrangement.arrange_wanted(wanted, seen).groups.items():
        known = there.get(name)
        if known is None:
            text = f"make the target group {name}: {group.protocol} {group.port}, health {group.health.path}"
            yield Step("elbv2", "create_target_group", _describe_group(wanted, group), text, f"@group:{name}")
        elif known.group.health != group.health:
            health = _describe_health(group.health)
            text = f"check targets of {name} by {group.health.protocol} {group.health.path}"
            yield Step("elbv2", "modify_target_group", {"TargetGroupArn": f"@group:{name}", **health}, text)
        if known is None or known.group.delay != group.delay:
            attributes = [{"Key": DELAY, "Value": str(group.delay)}]
            request: dict[str, object] = {"TargetGroupArn": f"@group:{name}", "Attributes": attributes}
            text = f"give targets that leave {name} {group.delay} s for open requests"
            yield Step("elbv2", "modify_target_group_attributes", request, text)
        missing = group.targets - (known.group.targets if known else frozenset())
        if missing:
            yield _make_target_step("register_targets", name, missing, seen, f"add to {name}")


def _describe_group(wanted: WantedListener, group: Group) -> dict[str, object]:
    return {
        "Name": group.name,
        "Protocol": group.protocol,
        "ProtocolVersion": "HTTP1",  # WebSocket needs it
        "Port": group.port,
        "VpcId": group.vpc,
        "TargetType": "ip" if group.kind == "ipv6" else group.kind,
        **({"IpAddressType": "ipv6"} if group.kind == "ipv6" else {}),
        **_describe_health(group.health),
        "Tags": _to_list(ownership.make_tags(wanted)),
    }


def _describe_health(health: Health) -> dict[str, object]:
    return {
        "HealthCheckEnabled": True,
        "HealthCheckProtocol": health.protocol,
        "HealthCheckPort": "traffic-port",
        "HealthCheckPath": health.path,
        "HealthCheckIntervalSeconds": health.interval,
        "HealthCheckTimeoutSeconds": health.timeout,
        "HealthyThresholdCount": health.healthy,
        "UnhealthyThresholdCount": health.unhealthy,
        "Matcher": {"HttpCode": health.codes},
    }


def _make_target_step(call: str, name: str, targets: Iterable[tuple[str, int]], seen: Seen, words: str) -> Step:
    made: list[dict[str, object]] = []
    for target, port in sorted(targets):
        item: dict[str, object] = {"Id": target, "Port": port}
        outside = not problems.is_instance(target) and not problems.is_inside(target, seen.networks)
        made.append({**item, "AvailabilityZone": "all"} if outside and call == "register_targets" else item)
    text = f"{words}: {', '.join(f'{target}:{port}' for target, port in sorted(targets))}"
    return Step("elbv2", call, {"TargetGroupArn": f"@group:{name}", "Targets": made}, text)


def _raise_idle(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    balancer, least = seen.load_balancer, wanted.idle_timeout
    if not wanted.present or balancer.idle_timeout >= least:
        return
    # What was before the first run stays noted: where a run was killed before it raised anything, and where another
    # site has raised it and this one needs more.
    noted, since = balancer.tags.get(TAG_IDLE_BEFORE), balancer.tags.get(TAG_IDLE_SET)
    before = noted if noted and since in (str(least), str(balancer.idle_timeout)) else str(balancer.idle_timeout)
    if (noted, since) != (before, str(least)):
        tags = {TAG_IDLE_BEFORE: before, TAG_IDLE_SET: str(least)}
        text = f"note at {balancer.name} that its idle timeout was {before} s"
        yield Step("elbv2", "add_tags", {"ResourceArns": [balancer.arn], "Tags": _to_list(tags)}, text)
    yield _make_idle_step(seen, least, "raise")


def _make_idle_step(seen: Seen, seconds: int, words: str) -> Step:
    balancer = seen.load_balancer
    text = f"{words} the idle timeout of {balancer.name} from {balancer.idle_timeout} to {seconds} s"
    request: dict[str, object] = {
        "LoadBalancerArn": balancer.arn,
        "Attributes": [{"Key": IDLE, "Value": str(seconds)}],
    }
    return Step("elbv2", "modify_load_balancer_attributes", request, text)


def _make_listener(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    known = _find_listener(wanted, seen)
    there = arrangement.arrange_seen(wanted, seen).listeners
    for place, front in arrangement.arrange_wanted(wanted, seen).listeners.items():
        words = f"the listener {place}, {front.protocol}"
        if known is None:
            request: dict[str, object] = {
                "LoadBalancerArn": seen.load_balancer.arn,
                "Tags": _to_list(ownership.make_tags(wanted)),
                **_describe_front(front),
            }
            yield Step("elbv2", "create_listener", request, f"make {words}", LISTENER)
        elif there[place] != front:
            request = {"ListenerArn": LISTENER, **_describe_front(front)}
            yield Step("elbv2", "modify_listener", request, f"change {words}: {_explain_front(there[place], front)}")


def _describe_front(front: Front) -> dict[str, object]:
    tls: dict[str, object] = {}
    if front.protocol == "HTTPS":
        tls = {"Certificates": [{"CertificateArn": front.certificate}], "SslPolicy": front.policy}
    action = {"Type": "forward", "TargetGroupArn": f"@group:{front.group}"}
    return {"Port": front.port, "Protocol": front.protocol, **tls, "DefaultActions": [action]}


def _explain_front(before: Front, after: Front) -> str:
    names = ("protocol", "group", "certificate", "policy")
    return ", ".join(
        f"{name} {getattr(after, name) or 'none'}" for name in names if getattr(before, name) != getattr(after, name)
    )


def _make_rules(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    known = _find_listener(wanted, seen)
    there = {rule.value: rule for rule in reversed(known.rules)} if known else {}  # of two, the first stays
    names = {item.arn: item.group.name for item in seen.groups}
    # A rule that is about to go keeps its number until then.
    taken = {rule.priority for rule in known.rules} if known else set()
    for value, group in sorted(arrangement.arrange_wanted(wanted, seen).rules.items()):
        rule, actions = there.get(value), [{"Type": "forward", "TargetGroupArn": f"@group:{group}"}]
        words = f"sessions whose id ends in {value[1:]} to {group}"
        if rule is None:
            priority = min(set(range(1, 50_001)) - taken)
            taken.add(priority)
            request: dict[str, object] = {
                "ListenerArn": LISTENER,
                "Priority": priority,
                "Conditions": [
                    {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "sid", "Value": value}]}}
                ],
                "Actions": actions,
                "Tags": _to_list(ownership.make_tags(wanted)),
            }
            yield Step("elbv2", "create_rule", request, f"send {words}")
        elif names.get(rule.group) != group:
            yield Step("elbv2", "modify_rule", {"RuleArn": rule.arn, "Actions": actions}, f"send {words}")


def _open(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    there = arrangement.arrange_seen(wanted, seen).ingress
    for item in _sort(arrangement.arrange_wanted(wanted, seen).ingress - there):
        permission: dict[str, object] = {
            "IpProtocol": "tcp",
            "FromPort": item.port,
            "ToPort": item.port,
            **_describe_source(item.source, f"RTC of {ownership.clean(wanted.site)}"),
        }
        specification = {"ResourceType": "security-group-rule", "Tags": _to_list(ownership.make_tags(wanted))}
        request: dict[str, object] = {
            "GroupId": item.security_group,
            "IpPermissions": [permission],
            "TagSpecifications": [specification],
        }
        text = f"open TCP {item.port} in {item.security_group} for {item.source}, as port {wanted.like_port} is"
        yield Step("ec2", "authorize_security_group_ingress", request, text)


def _sort(items: Iterable[Ingress]) -> list[Ingress]:
    return sorted(items, key=lambda one: (one.security_group, one.port, one.source))


def _describe_source(source: str, words: str) -> dict[str, object]:
    """A source as IpPermissions have it."""
    account, _slash, group = source.rpartition("/")
    if group.startswith("sg-"):
        owner = {"UserId": account} if account else {}
        return {"UserIdGroupPairs": [{"GroupId": group, **owner, "Description": words}]}
    if source.startswith("pl-"):
        return {"PrefixListIds": [{"PrefixListId": source, "Description": words}]}
    if ":" in source:
        return {"Ipv6Ranges": [{"CidrIpv6": source, "Description": words}]}
    return {"IpRanges": [{"CidrIp": source, "Description": words}]}


def _update_tags(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    """Things that stay, and whose tags name another site or other nodes."""
    tags = ownership.make_tags(wanted)
    if not wanted.present:
        return
    stay = arrangement.arrange_wanted(wanted, seen)
    listener = _find_listener(wanted, seen)
    old = [item.arn for item in [listener] if item and not _has(item.tags, tags)]
    old += [
        item.arn
        for name, item in _own_groups(wanted, seen).items()
        if name in stay.groups and not _has(item.tags, tags)
    ]
    if old:
        request: dict[str, object] = {"ResourceArns": old, "Tags": _to_list(tags)}
        yield Step("elbv2", "add_tags", request, f"note that {', '.join(wanted.nodes)} have what is there")
    rules = [item.id for item in _list_staying_ingress(wanted, seen) if not _has(item.tags, tags)]
    if rules:
        request = {"Resources": rules, "Tags": _to_list(tags)}
        yield Step("ec2", "create_tags", request, f"note that {', '.join(wanted.nodes)} have {', '.join(rules)}")


def _has(tags: Tags, wanted: Tags) -> bool:
    return all(tags.get(name) == value for name, value in wanted.items())


def _list_staying_ingress(wanted: WantedListener, seen: Seen) -> list[SeenIngress]:
    stay = arrangement.arrange_wanted(wanted, seen).ingress
    return [
        item
        for item in ownership.list_ingress(seen, wanted)
        if Ingress(item.security_group, item.first, item.source) in stay
    ]


def _remove_rules(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    known = _find_listener(wanted, seen)
    stay = arrangement.arrange_wanted(wanted, seen).rules
    kept: set[str] = set()
    for rule in known.rules if known else []:
        if rule.value not in stay or rule.value in kept:
            yield Step("elbv2", "delete_rule", {"RuleArn": rule.arn}, f"remove {_name_rule(rule)}")
        kept.add(rule.value)


def _name_rule(rule: SeenRule) -> str:
    return f"the rule for sessions whose id ends in {rule.value[1:]}" if rule.value else f"the rule {rule.arn}"


def _remove_listeners(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    known = _find_listener(wanted, seen)
    names = {item.arn: item.name for item in (seen.load_balancer, *seen.others)}
    for item in ownership.list_listeners(seen, wanted):
        if known is None or item.arn != known.arn:
            where = f"{names.get(item.load_balancer, item.load_balancer)}:{item.port}"
            yield Step("elbv2", "delete_listener", {"ListenerArn": item.arn}, f"remove the listener {where}")


def _deregister(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    there = _own_groups(wanted, seen)
    for name, group in arrangement.arrange_wanted(wanted, seen).groups.items():
        extra = there[name].group.targets - group.targets if name in there else frozenset()
        if extra:
            yield _make_target_step("deregister_targets", name, extra, seen, f"take away from {name}")


def _remove_groups(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    stay = arrangement.arrange_wanted(wanted, seen).groups
    for name, item in sorted(_own_groups(wanted, seen).items()):
        if name not in stay:
            yield Step("elbv2", "delete_target_group", {"TargetGroupArn": item.arn}, f"remove the target group {name}")


def _close(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    stay = {item.id for item in _list_staying_ingress(wanted, seen)}
    for item in ownership.list_ingress(seen, wanted):
        # AWS has a rule once, so two load balancers with one security group have one for both sites.
        heirs = [name for name in wanted.neighbours if name.endswith(f":{item.first}")]
        if item.id not in stay and heirs:
            tags = _to_list({TAG_SITE: ownership.clean(heirs[0]), TAG_NODES: ""})
            text = f"leave TCP {item.first} in {item.security_group} for {item.source} to {heirs[0]}"
            yield Step("ec2", "create_tags", {"Resources": [item.id], "Tags": tags}, text)
        elif item.id not in stay:
            request: dict[str, object] = {"GroupId": item.security_group, "SecurityGroupRuleIds": [item.id]}
            text = f"close TCP {item.first} in {item.security_group} for {item.source}"
            yield Step("ec2", "revoke_security_group_ingress", request, text)


def _give_idle_back(wanted: WantedListener, seen: Seen) -> Iterator[Step]:
    balancer = seen.load_balancer
    before = arrangement.arrange_wanted(wanted, seen).idle_timeout
    if wanted.present or TAG_IDLE_SET not in balancer.tags:
        return
    if before != balancer.idle_timeout:
        yield _make_idle_step(seen, before, "give back")
    if before == balancer.idle_timeout and _has_more(wanted, seen):
        return
    request: dict[str, object] = {
        "ResourceArns": [balancer.arn],
        "TagKeys": [TAG_IDLE_BEFORE, TAG_IDLE_SET],
    }
    yield Step("elbv2", "remove_tags", request, f"forget what the idle timeout of {balancer.name} was")


def _has_more(wanted: WantedListener, seen: Seen) -> bool:
    """Whether another site of ours has a listener at the load balancer."""
    return any(
        item.load_balancer == seen.load_balancer.arn
        and ownership.is_ours(item.tags)
        and not ownership.is_own(item.tags, wanted)
        for item in seen.listeners
    )
