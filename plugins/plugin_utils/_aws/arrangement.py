# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wanted, and what is there, as arrangements of one form; and an arrangement as text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.collab.rtc.plugins.plugin_utils._aws import ownership, problems
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    TAG_IDLE_BEFORE,
    TAG_IDLE_SET,
    Arrangement,
    Front,
    Group,
    Health,
    Ingress,
    Seen,
    SeenIngress,
    WantedListener,
)


def arrange_wanted(wanted: WantedListener, seen: Seen) -> Arrangement:
    """What the site is to have, beside what is there: its certificate and who may come are as for the application.

    The problems of :mod:`problems` are taken to be none.
    """
    if not wanted.present:
        return Arrangement(idle_timeout=_give_idle_back(wanted, seen))
    balancer = seen.load_balancer
    names = problems.list_group_names(wanted, balancer.arn)
    tls = wanted.protocol == "HTTPS"
    front = Front(
        port=wanted.port,
        protocol=wanted.protocol,
        group=names[""],
        certificate=problems.choose_certificate(wanted, seen) if tls else "",
        policy=problems.choose_policy(wanted, seen) if tls else "",
    )
    rules = {f"*.{item.label}": names[item.node] for item in wanted.targets} if wanted.routes_sessions else {}
    groups = {name: _make_group(wanted, seen, node, name) for node, name in names.items()}
    return Arrangement(
        listeners={f"{balancer.name}:{wanted.port}": front},
        rules=rules,
        groups=groups,
        ingress=frozenset(_list_wanted_ingress(wanted, seen)),
        idle_timeout=max(balancer.idle_timeout, wanted.idle_timeout),
    )


def _make_group(wanted: WantedListener, seen: Seen, node: str, name: str) -> Group:
    return Group(
        name=name,
        kind=problems.choose_kind(wanted),
        protocol=wanted.target_protocol,
        port=wanted.port,
        vpc=seen.load_balancer.vpc,
        health=Health(wanted.target_protocol, wanted.health_path, wanted.health_codes),
        delay=wanted.deregistration_delay,
        targets=frozenset((item.id, wanted.port) for item in wanted.targets if node in ("", item.node)),
    )


def _list_wanted_ingress(wanted: WantedListener, seen: Seen) -> Iterator[Ingress]:
    """A rule for each source that may come to the application's port, unless a rule of somebody lets it in already."""
    for like in list_like_ingress(wanted, seen):
        others = [
            item
            for item in seen.ingress
            if item.security_group == like.security_group
            and item.source == like.source
            and item.first <= wanted.port <= item.last
            and not ownership.is_own(item.tags, wanted)
        ]
        if not others:
            yield Ingress(like.security_group, wanted.port, like.source)


def list_like_ingress(wanted: WantedListener, seen: Seen) -> list[SeenIngress]:
    """The rules that let users come to the application's port."""
    return [
        item
        for item in seen.ingress
        if item.security_group in seen.load_balancer.security_groups and item.first <= wanted.like_port <= item.last
    ]


def _give_idle_back(wanted: WantedListener, seen: Seen) -> int:
    """The idle timeout once the site has nothing there: the last listener of ours to go gives it back."""
    balancer = seen.load_balancer
    rest = [
        item
        for item in seen.listeners
        if item.load_balancer == balancer.arn
        and ownership.is_ours(item.tags)
        and not ownership.is_own(item.tags, wanted)
    ]
    untouched = balancer.tags.get(TAG_IDLE_SET) == str(balancer.idle_timeout)
    before = balancer.tags.get(TAG_IDLE_BEFORE, "")
    return int(before) if before.isdigit() and untouched and not rest else balancer.idle_timeout


def arrange_seen(wanted: WantedListener, seen: Seen) -> Arrangement:
    """What the site has."""
    names = {item.arn: item.group.name for item in seen.groups}
    balancers = {item.arn: item.name for item in (seen.load_balancer, *seen.others)}
    listeners = ownership.list_listeners(seen, wanted)
    return Arrangement(
        listeners={
            f"{balancers.get(item.load_balancer, item.load_balancer)}:{item.port}": Front(
                port=item.port,
                protocol=item.protocol,
                group=names.get(item.group, ""),
                certificate=item.certificates[0] if item.certificates and item.protocol == "HTTPS" else "",
                policy=item.policy if item.protocol == "HTTPS" else "",
            )
            for item in listeners
        },
        rules={rule.value or f"({rule.arn})": names.get(rule.group, "") for item in listeners for rule in item.rules},
        groups={item.group.name: item.group for item in ownership.list_groups(seen, wanted)},
        ingress=frozenset(
            Ingress(item.security_group, item.first, item.source) for item in ownership.list_ingress(seen, wanted)
        ),
        idle_timeout=seen.load_balancer.idle_timeout,
    )


def render(arrangement: Arrangement) -> str:
    """An arrangement as lines of text, for a diff."""
    lines: list[str] = []
    for place, front in sorted(arrangement.listeners.items()):
        tls = f", certificate {front.certificate}, policy {front.policy}" if front.protocol == "HTTPS" else ""
        lines.append(f"listener {place}: {front.protocol}{tls}, to {front.group or 'something else'}")
    lines += [
        f"  rule sid={value}: to {group or 'something else'}" for value, group in sorted(arrangement.rules.items())
    ]
    for name, group in sorted(arrangement.groups.items()):
        health = group.health
        lines.append(f"target group {name}: {group.protocol} {group.port}, {group.kind} in {group.vpc}")
        lines.append(
            f"  health: {health.protocol} {health.path} gives {health.codes}, every {health.interval} s, timeout"
            f" {health.timeout} s, healthy after {health.healthy}, unhealthy after {health.unhealthy}"
        )
        lines.append(f"  deregistration delay: {group.delay} s")
        lines += [f"  target {target}:{port}" for target, port in sorted(group.targets)]
    lines += [
        f"security group {item.security_group}: TCP {item.port} from {item.source}"
        for item in sorted(arrangement.ingress, key=lambda one: (one.security_group, one.port, one.source))
    ]
    lines.append(f"idle timeout of the load balancer: {arrangement.idle_timeout} s")
    return "\n".join(lines) + "\n"
