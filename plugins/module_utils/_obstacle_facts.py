# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host reports about what keeps connections, changes or eyes out: firewall, SELinux's ports, files that stay as
they are, what could not be seen. Part of :mod:`_facts`, and as that.
"""
# ruff: noqa: UP006

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List

# What is unreadable where semanage does not run, or a firewall's rules are not known.
SELINUX_PORTS, SELINUX_BOOLEANS, FIREWALL_RULES = "SELinux ports", "SELinux booleans", "rules of the firewall"


@dataclass
class Unreadable:
    """A part of the host that could not be seen."""

    what: str  # a path, a command, or a part such as "processes of other users"
    reason: str


@dataclass
class FirewallZone:
    """A zone of firewalld that connections come in through, as it runs now."""

    name: str
    interfaces: List[str] = field(default_factory=list)
    sources: List[str] = field(default_factory=list)  # addresses whose connections are the zone's on any interface
    default: bool = False  # the zone of interfaces that are in no other
    target: str = ""  # of what no rule is about: "default" | "ACCEPT" | "DROP" | "%%REJECT%%"
    ports: List[str] = field(default_factory=list)  # "9083/tcp", "9000-9100/tcp"
    services: List[str] = field(default_factory=list)
    rich_rules: List[str] = field(default_factory=list)  # firewalld.richlanguage(5)


@dataclass
class FirewallRule:
    """A rule of ufw for connections to the host, in the order in which they count."""

    action: str  # "allow" | "limit" | "deny" | "reject"
    protocol: str = "any"  # "tcp" | "udp" | "any" | ...
    ports: str = "any"  # "9083", "80,443", "9000:9100"
    source: str = "any"  # address or network
    destination: str = "any"
    source_ports: str = "any"
    interface: str = ""  # "" for all


@dataclass
class Firewall:
    """The state of the firewall that ``HostFacts.firewall`` names, or why none of that kind runs."""

    state: str = ""
    # of firewalld: "running", "enabled" (does not run, and begins with the next boot), "masked"; "" for none
    masked: bool = False  # it runs, and will not after the next boot
    zones: List[FirewallZone] = field(default_factory=list)  # of firewalld: those with an interface or source
    services: Dict[str, List[str]] = field(default_factory=dict)  # that those name -> ports: {"http": ["80/tcp"]}
    rules: List[FirewallRule] = field(default_factory=list)  # of ufw, for IPv4
    incoming: str = ""  # of ufw, for what no rule is about: "deny" | "reject" | "allow"


@dataclass
class Unwritable:
    """A file or directory that root cannot change either."""

    path: str  # of what would be written; a directory stands for all files directly in it
    why: str  # end of a sentence: "/etc is immutable (chattr +i)"
    remedy: str  # the command that mends it
