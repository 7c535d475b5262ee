# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What prevents a listener, seen before anything is changed; and the certificate that it gets. Pure."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import cast

from ansible_collections.collab.rtc.plugins.module_utils._x509.certificate import Certificate
from ansible_collections.collab.rtc.plugins.module_utils._x509.server_certificate import match_name
from ansible_collections.collab.rtc.plugins.plugin_utils._aws import ownership
from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import (
    Problem,
    Seen,
    SeenListener,
    Target,
    WantedListener,
)

# TLS 1.3 and 1.2; what AWS recommends for new listeners. Used where the application has no listener to go by.
DEFAULT_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
KINDS = {"network": "a Network Load Balancer", "gateway": "a Gateway Load Balancer"}


def find_problems(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    """All that makes the change impossible."""
    yield from _check_unseen(wanted, seen)
    if not wanted.present:
        return
    balancer = seen.load_balancer
    if balancer.type != "application":
        yield Problem(
            "load_balancer",
            f"{balancer.name} is {KINDS.get(balancer.type, balancer.type)}, which knows no requests and no paths.",
            "Name an Application Load Balancer in rtc_aws_load_balancer.",
        )
        return
    if balancer.state == "failed":
        yield Problem(
            "load_balancer", f"{balancer.name} has failed, as AWS says.", "Repair the load balancer, and run again."
        )
    yield from _check_port(wanted, seen)
    yield from _check_names(wanted, seen)
    yield from _check_targets(wanted, seen)
    if wanted.protocol == "HTTPS":
        yield from _check_certificate(wanted, seen)


def _check_unseen(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    own = [item.tags for item in ownership.list_listeners(seen, wanted)]
    own += [item.tags for item in ownership.list_groups(seen, wanted)]
    there = {node for tags in own for node in ownership.read_nodes(tags)}
    left = sorted(there & ownership.name_nodes(wanted.unseen))
    if left:
        text = f"{', '.join(left)} of {wanted.site} has a part in its listener, and this run does not look at it."
        yield Problem("targets", text, "Run for all hosts of the site: without the limit, or with these hosts in it.")


def _check_port(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    for item in seen.listeners:
        same = item.load_balancer == seen.load_balancer.arn and item.port == wanted.port
        if same and not ownership.is_own(item.tags, wanted):
            whose = ownership.describe_owner(item.tags)
            yield Problem(
                "port",
                f"Port {wanted.port} of {seen.load_balancer.name} has a listener that {whose}. It is left alone.",
                "Give the site another rtc_port or load balancer, or remove that listener."
                + ownership.explain_rename(item.tags, wanted),
            )


def _check_names(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    names = set(list_group_names(wanted, seen.load_balancer.arn).values())
    for item in seen.groups:
        if item.group.name in names and not ownership.is_own(item.tags, wanted):
            yield Problem(
                "port",
                f"The target group {item.group.name} {ownership.describe_owner(item.tags)}. It is left alone.",
                "Remove that target group, or give it its tags back." + ownership.explain_rename(item.tags, wanted),
            )


def list_group_names(wanted: WantedListener, load_balancer: str) -> dict[str, str]:
    """Node -> name of its target group; "" -> that of the group of all."""
    kind = choose_kind(wanted)
    nodes = [item.node for item in wanted.targets] if wanted.routes_sessions else []
    return {node: ownership.name_group(wanted, kind, load_balancer, node) for node in ("", *nodes)}


def choose_kind(wanted: WantedListener) -> str:
    """The kind of the targets: "instance", "ip" or "ipv6"."""
    if any(is_instance(item.id) for item in wanted.targets):
        return "instance"
    return "ipv6" if any(":" in item.id for item in wanted.targets) else "ip"


def is_instance(target: str) -> bool:
    """Whether a target is named by its EC2 instance."""
    return target.startswith("i-")


def _check_targets(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    remedy = "Set rtc_aws_target of the host to its EC2 instance, or to its address in the load balancer's VPC."
    vpc, name = seen.load_balancer.vpc, seen.load_balancer.name
    if not wanted.targets:
        yield Problem("targets", "The site has no node that could serve.", remedy)
    if len({is_instance(item.id) for item in wanted.targets}) > 1:
        ids = ", ".join(f"{item.node}: {item.id}" for item in wanted.targets)
        yield Problem("targets", f"A target group has instances or addresses, not both: {ids}.", remedy)
    if choose_kind(wanted) == "ipv6":
        yield from _check_family(wanted, seen)
    for ids in _list_doubled([item.id for item in wanted.targets]):
        yield Problem("targets", f"{ids} stands for several nodes.", remedy)
    for item in wanted.targets:
        if is_instance(item.id):
            if item.id not in seen.instances:
                yield Problem("targets", f"The instance {item.id} of {item.node} does not exist here.", remedy)
            elif seen.instances[item.id] != vpc:
                where = f"is in {seen.instances[item.id]}, and the load balancer {name} in {vpc}"
                text = f"The instance {item.id} of {item.node} {where}: it cannot reach it."
                yield Problem("targets", text, "Name the load balancer that is in the VPC of the instances.")
            elif item.id in seen.resting and not _is_registered(item, wanted, seen):
                text = f"The instance {item.id} of {item.node} is {seen.resting[item.id]}: AWS takes running ones only."
                yield Problem("targets", text, "Start it, or set rtc_state: absent for the host; then run again.")
        else:
            yield from _check_address(item.node, item.id, wanted, seen)


def _is_registered(target: Target, wanted: WantedListener, seen: Seen) -> bool:
    """Whether a target is in all of its groups: it stays there while it does not run."""
    names = list_group_names(wanted, seen.load_balancer.arn)
    there = {item.group.name: item.group.targets for item in ownership.list_groups(seen, wanted)}
    own = [name for node, name in names.items() if node in ("", target.node)]
    return all((target.id, wanted.port) in there.get(name, frozenset()) for name in own)


def _check_family(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    """Addresses of IPv6: a target group has one family, and a load balancer reaches that one only which it has."""
    remedy = "Set rtc_aws_target of the hosts to their EC2 instances, or to their IPv4 addresses."
    others = [item for item in wanted.targets if ":" not in item.id and not is_instance(item.id)]
    if others:
        ids = ", ".join(f"{item.node}: {item.id}" for item in wanted.targets)
        yield Problem("targets", f"A target group has addresses of IPv4 or of IPv6, not both: {ids}.", remedy)
    if not seen.load_balancer.addresses.startswith("dualstack"):
        name = seen.load_balancer.name
        yield Problem("targets", f"{name} has no IPv6 (its address type is {seen.load_balancer.addresses}).", remedy)


def _check_address(node: str, text: str, wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    remedy = "Set rtc_aws_target of the host to its EC2 instance, or to its private address."
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        yield Problem("targets", f"{node}: '{text}' is neither an EC2 instance nor an IP address.", remedy)
        return
    name, vpc = seen.load_balancer.name, seen.load_balancer.vpc
    if is_inside(text, seen.networks):
        return
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_global:
        yield Problem("targets", f"{node}: {name} in {vpc} cannot have {text} as a target.", remedy)
    elif not wanted.peered:
        yield Problem(
            "targets",
            f"{node}: {text} is outside of {vpc} ({', '.join(seen.networks) or 'no networks'}), where {name} is.",
            "Name the load balancer that is in the VPC of the hosts. If its VPC reaches them by peering or VPN, set"
            " rtc_aws_peered: true.",
        )


def is_inside(text: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks."""
    return any(ipaddress.ip_address(text) in ipaddress.ip_network(network, strict=False) for network in networks)


def _list_doubled(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})


def find_like(wanted: WantedListener, seen: Seen) -> SeenListener | None:
    """The application's own listener."""
    for item in seen.listeners:
        if item.load_balancer == seen.load_balancer.arn and item.port == wanted.like_port:
            return item
    return None


def list_candidates(wanted: WantedListener, seen: Seen) -> list[str]:
    """ARNs of the certificates that come into question, the first one first."""
    like = find_like(wanted, seen)
    return [wanted.certificate] if wanted.certificate else list(like.certificates) if like else []


def choose_certificate(wanted: WantedListener, seen: Seen) -> str:
    """The ARN of the first certificate without a fault; "" for none."""
    arns = list_candidates(wanted, seen)
    return next((arn for arn in arns if not _find_fault(arn, wanted, seen)), "")


def choose_policy(wanted: WantedListener, seen: Seen) -> str:
    """The TLS policy."""
    like = find_like(wanted, seen)
    return wanted.tls_policy or (like.policy if like and like.policy else DEFAULT_POLICY)


def _check_certificate(wanted: WantedListener, seen: Seen) -> Iterator[Problem]:
    arns = list_candidates(wanted, seen)
    if not seen.has_policy:
        text = f"AWS knows no TLS policy {wanted.tls_policy} here."
        yield Problem(
            "certificate", text, "Correct rtc_aws_tls_policy, or leave it out: the application's is taken then."
        )
    if not arns:
        text = f"{seen.load_balancer.name} has no listener with TLS on port {wanted.like_port} to take one from"
        yield Problem(
            "certificate", f"No certificate is named, and {text}.", "Set rtc_aws_certificate to the ARN of one."
        )
    elif not choose_certificate(wanted, seen):
        whose = "" if wanted.certificate else f", of the listener on port {wanted.like_port},"
        for arn in arns:
            yield Problem(
                "certificate",
                f"The certificate {arn}{whose} {_find_fault(arn, wanted, seen)}.",
                f"Set rtc_aws_certificate to the ARN of an issued certificate for {wanted.server_name}.",
            )


def _find_fault(arn: str, wanted: WantedListener, seen: Seen) -> str:
    """Why a certificate cannot be used, "" where it can: the end of a sentence."""
    item = seen.certificates.get(arn)
    if item is None:
        return "does not exist in this region"
    if item.status == "EXPIRED" or 0 < item.not_after < seen.now:
        when = time.strftime(" on %Y-%m-%d", time.gmtime(item.not_after)) if item.not_after else ""
        return f"expired{when}"
    if item.status != "ISSUED":
        return f"is not issued: its status is {item.status}"
    # AWS tells the names of a certificate; what they stand for is decided where certificates are read.
    named = SimpleNamespace(dns_names=item.names, ip_addresses=(), common_name="")
    if not match_name(cast(Certificate, named), wanted.server_name):
        return f"is for {', '.join(item.names) or 'no name'}, not for {wanted.server_name}"
    return ""
