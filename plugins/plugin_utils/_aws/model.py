# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What RTC is to have at an AWS load balancer, and what is there: values, without a thought of their own.

``seen`` types hold what AWS reported, with the ARNs that steps need; :class:`Arrangement` is what both sides are put
into to be compared and shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PREFIX = "rtc-"  # of the names of our target groups
TAG_SITE, TAG_INVENTORY = "collab-rtc:site", "collab-rtc:inventory"
TAG_APPLICATION, TAG_NODES = "collab-rtc:application", "collab-rtc:nodes"
# On the load balancer itself: what its idle timeout was before the first run, and what a run has set.
TAG_IDLE_BEFORE, TAG_IDLE_SET = "collab-rtc:idle-timeout-before", "collab-rtc:idle-timeout-set"

# Seconds between the last packet and the moment when the service gives a client up, and a little more: ping interval
# and timeout are 25 and 20 of our RTC server (config.example.toml), 25 and 60 of the add-on's (netty-socketio).
IDLE = {"deployed": 60, "builtin": 120}
# The add-on's own service has no page for health checks; any answer of it is one.
HEALTH = {"deployed": ("/readyz", "200"), "builtin": ("/", "200-499")}
Tags = dict[str, str]


@dataclass(frozen=True)
class Target:
    """A node of the site, as the load balancer is told of it."""

    node: str  # inventory name
    id: str  # of an EC2 instance, or an IP address
    label: str = ""  # what the node's session ids end in, after a dot; "" for a site whose sessions need no rule


@dataclass(frozen=True)
class WantedListener:
    """The listener of one site. With ``present`` false, all that a run has made for the site is to go."""

    site: str  # "wiki.example.com:9083"
    application: str  # "confluence" | "jira"
    inventory: str  # its id
    nodes: list[str]  # inventory names: they own what is made, whatever the site's name and port become
    load_balancer: str  # name or ARN
    server_name: str
    port: int  # of listener and targets
    protocol: str = "HTTP"  # "HTTP" | "HTTPS": what users speak
    target_protocol: str = "HTTP"  # what the RTC service speaks
    like_port: int = 443  # the application's: certificate, TLS policy and who may come are as there
    targets: list[Target] = field(default_factory=list)  # those that serve
    certificate: str = ""  # ARN; "": one of the listener on like_port
    tls_policy: str = ""  # "": that of the listener on like_port
    health_path: str = "/readyz"
    health_codes: str = "200"  # as target groups have them: "200-499"
    deregistration_delay: int = 30  # seconds
    idle_timeout: int = 60  # seconds, at least: more than a silent connection lasts
    peered: bool = False  # the addresses of the targets may be outside of the load balancer's VPC
    present: bool = True
    # Nodes of the inventory that keep what has their name in its tags: those of other sites where this one is to go,
    kept: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)  # and those that this run does not look at
    # Names of the run's other sites: what has one in its tags is theirs, also where a node that has moved is named
    neighbours: list[str] = field(default_factory=list)

    @property
    def routes_sessions(self) -> bool:
        """Whether a session has to come back to its node: several serve."""
        return len(self.targets) > 1


@dataclass(frozen=True)
class Problem:
    """Why nothing may be changed. ``kind``: "access" | "load_balancer" | "targets" | "certificate" | "port"."""

    kind: str
    text: str
    remedy: str


class AwsError(Exception):
    """AWS could not be asked, or has refused; the message names cause and remedy."""

    def __init__(self, problem: Problem, code: str = "", done: int = 0) -> None:
        super().__init__(f"{problem.text} {problem.remedy}")
        self.problem = problem
        self.code = code  # AWS's own: "AccessDenied"
        self.done = done  # steps that were carried out before


@dataclass(frozen=True)
class Health:
    """How a target group checks its targets; times in seconds."""

    protocol: str
    path: str
    codes: str
    interval: int = 10
    timeout: int = 5
    healthy: int = 2
    unhealthy: int = 2


@dataclass(frozen=True)
class Group:
    """A target group. Name, kind, protocol, port and VPC cannot be changed at AWS."""

    name: str
    kind: str  # "instance" | "ip" | "ipv6": of addresses, which are of one family
    protocol: str
    port: int
    vpc: str
    health: Health
    delay: int  # seconds that a target which leaves has for its open requests
    targets: frozenset[tuple[str, int]]  # id and port


@dataclass(frozen=True)
class Front:
    """A listener."""

    port: int
    protocol: str
    group: str  # name of the target group that it forwards to; "" for anything else
    certificate: str = ""
    policy: str = ""


@dataclass(frozen=True)
class Ingress:
    """Who may come to a port, by one security group."""

    security_group: str
    port: int
    source: str  # "10.0.0.0/8", "2001:db8::/32", "pl-...", "sg-...", "123456789012/sg-..." of another account


@dataclass(frozen=True)
class Arrangement:
    """All that belongs to one site at its load balancer."""

    listeners: dict[str, Front] = field(default_factory=dict)  # "load balancer's name:port" -> listener
    rules: dict[str, str] = field(default_factory=dict)  # value of "sid" -> name of the target group
    groups: dict[str, Group] = field(default_factory=dict)
    ingress: frozenset[Ingress] = frozenset()
    idle_timeout: int = 0  # of the wanted load balancer


@dataclass(frozen=True)
class SeenLoadBalancer:
    """A load balancer."""

    arn: str
    name: str
    type: str  # "application" | "network" | "gateway"
    vpc: str
    state: str
    security_groups: list[str]
    idle_timeout: int  # seconds
    tags: Tags = field(default_factory=dict)
    addresses: str = "ipv4"  # "ipv4" | "dualstack" | "dualstack-without-public-ipv4"


@dataclass(frozen=True)
class SeenRule:
    """A rule of a listener of ours."""

    arn: str
    priority: int
    value: str  # that it wants of the query's "sid"; "" for a rule of another kind
    group: str  # ARN


@dataclass(frozen=True)
class SeenListener:
    """A listener, of anybody."""

    arn: str
    load_balancer: str  # ARN
    port: int
    protocol: str
    group: str  # ARN of the target group that it forwards to, "" for anything else
    certificates: list[str] = field(default_factory=list)  # ARNs, the default one first
    policy: str = ""
    tags: Tags = field(default_factory=dict)
    rules: list[SeenRule] = field(default_factory=list)  # of those that are ours


@dataclass(frozen=True)
class SeenGroup:
    """A target group whose name begins with ours."""

    arn: str
    group: Group
    tags: Tags = field(default_factory=dict)
    load_balancers: list[str] = field(default_factory=list)  # ARNs


@dataclass(frozen=True)
class SeenIngress:
    """A rule of a security group for what comes in; ports 0 to 65535 for all."""

    id: str
    security_group: str
    first: int
    last: int
    source: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True)
class SeenCertificate:
    """A certificate of ACM or IAM."""

    arn: str
    status: str  # "ISSUED" is good
    names: list[str]
    not_after: float = 0.0  # seconds since the epoch; 0 for unknown


@dataclass(frozen=True)
class Seen:
    """All that matters for one site."""

    load_balancer: SeenLoadBalancer
    others: list[SeenLoadBalancer] = field(default_factory=list)  # that have something of ours, too
    listeners: list[SeenListener] = field(default_factory=list)  # of all of these
    groups: list[SeenGroup] = field(default_factory=list)
    ingress: list[SeenIngress] = field(default_factory=list)  # of the security groups of all load balancers
    certificates: dict[str, SeenCertificate] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)  # id -> its VPC; those that do not exist are missing
    resting: dict[str, str] = field(default_factory=dict)  # id -> state ("stopped") of those that do not run
    networks: list[str] = field(default_factory=list)  # CIDR blocks of the load balancer's VPC
    has_policy: bool = True  # AWS knows the TLS policy that is wanted, where one is named
    now: float = 0.0


@dataclass(frozen=True)
class Step:
    """One change. In ``request``, "@group:NAME" and "@listener" stand for ARNs that earlier steps brought."""

    service: str  # "elbv2" | "ec2"
    call: str  # "create_target_group"
    request: dict[str, object]
    text: str  # for people
    gives: str = ""  # the placeholder whose ARN the answer has


@dataclass(frozen=True)
class PlacedListener:
    """A listener, and the host in whose name a run sets it."""

    host: str
    wanted: WantedListener
    access: dict[str, str]  # options of rtc_aws_listener, without secrets
    standing_by: tuple[str, ...] = ()  # nodes that do not serve, and that nothing brings in when the other fails


def name_listener(wanted: WantedListener) -> str:
    """The key of a listener in ``PlanInput.aws``.

    One that is to go may have the name of one that stays, whose node it was, and less is asked about it.
    """
    end = "" if wanted.present else ", to go"
    return f"{wanted.site} at {wanted.load_balancer}{end}"


def seen_arn(seen: Seen | Problem | None) -> str:
    """The ARN of the load balancer that was asked for; "" where nothing was seen."""
    return seen.load_balancer.arn if isinstance(seen, Seen) else ""
