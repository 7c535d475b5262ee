# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld, ufw, nftables: which one is switched on, and what it lets in."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import firewalls, processes
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import FIREWALL_RULES, FirewallRule

FIREWALLS = [
    (
        lambda host: host.process(50, ["/usr/bin/python3", "-s", "/usr/sbin/firewalld", "--nofork"], uid=0),
        "firewalld",
    ),
    (lambda host: host.write("/etc/ufw/ufw.conf", "# x\nENABLED=yes\n"), "ufw"),
    (lambda host: host.write("/etc/ufw/ufw.conf", "# ENABLED=yes\nENABLED=no\n"), ""),
    (
        lambda host: host.link("/etc/systemd/system/sysinit.target.wants/nftables.service", "/lib/x"),
        "nftables",
    ),
    (lambda host: host.process(50, ["vi", "/etc/firewall"]), ""),
]


@pytest.mark.parametrize(("prepare", "expected"), FIREWALLS)
def test_firewall(host, rootfs, prepare, expected):
    prepare(host)
    assert firewalls.find(rootfs, processes.processes(rootfs).values()) == expected


def test_firewalld_is_what_root_runs(host, rootfs):
    host.process(50, ["/tmp/firewalld"], uid=1001)
    assert firewalls.find(rootfs, processes.processes(rootfs).values()) == ""


def no_runner(command, timeout):
    raise AssertionError(f"{command} was run")


WANTS = "/etc/systemd/system/multi-user.target.wants/firewalld.service"
MASK = "/etc/systemd/system/firewalld.service"
STATES = {
    "not enabled": (lambda host: host, ""),
    "enabled": (lambda host: host.link(WANTS, "/usr/lib/systemd/system/firewalld.service"), "enabled"),
    "masked": (lambda host: host.link(MASK, "/dev/null"), "masked"),
    "masked and enabled": (lambda host: host.link(MASK, "/dev/null").link(WANTS, "/x"), "masked"),
    "masked until the next boot": (
        lambda host: host.link("/run/systemd/system/firewalld.service", "/dev/null"),
        "masked",
    ),
    "masked by an empty file": (lambda host: host.write(MASK, ""), "masked"),
    "a unit of its own": (lambda host: host.write(MASK, "[Service]\n"), ""),
}


@pytest.mark.parametrize("case", STATES)
def test_firewalld_that_does_not_run(host, rootfs, case):
    prepare, expected = STATES[case]
    host.write("/usr/sbin/firewalld", "#!")
    prepare(host)
    assert firewalls.describe(rootfs, "", True, no_runner).state == expected


def test_firewalld_that_is_not_installed_is_not_enabled(host, rootfs):
    host.link(MASK, "/dev/null")
    assert firewalls.describe(rootfs, "", True, no_runner).state == ""


# As firewall-cmd 2.3 prints it.
ZONES = """\
block
  target: %%REJECT%%
  ingress-priority: 0
  egress-priority: 0
  icmp-block-inversion: no
  interfaces:
  sources:
  services:
  ports:
  protocols:
  forward: yes
  masquerade: no
  forward-ports:
  source-ports:
  icmp-blocks:
  rich rules:

internal (active)
  target: default
  icmp-block-inversion: no
  interfaces: eth0 eth1
  sources:
  services: ssh rtc
  ports: 8080/tcp 9000-9010/udp
  protocols:
  forward: yes
  rich rules:
\trule family="ipv4" source address="10.0.0.7" reject
\trule priority="-5" service name="https" log prefix="x: y" level="info" drop

public (default)
  target: default
  interfaces:
  sources:
  services: dhcpv6-client
  ports:
  rich rules:

trusted (active)
  target: ACCEPT
  interfaces:
  sources: 10.1.0.0/16 ipset:friends
  services:
  ports:
  rich rules:
""".replace(":\n", ": \n")  # it ends lines without a value with a blank


def test_zones(host, rootfs):
    host.write(
        "/usr/lib/firewalld/services/rtc.xml",
        '<service><port protocol="tcp" port="9083"/><port port="9093" protocol="tcp" /></service>',
    )
    host.write("/usr/lib/firewalld/services/https.xml", "<service><port protocol='tcp' port='443'/></service>")
    host.write("/etc/firewalld/services/https.xml", "<service><port protocol='tcp' port='8443'/></service>")
    asked = []
    state = firewalls.describe(rootfs, "firewalld", True, lambda command, timeout: asked.append(command) or ZONES)
    assert asked == [["firewall-cmd", "--list-all-zones"]]
    internal, trusted = state.zones
    assert (internal.name, internal.interfaces, internal.ports) == (
        "internal", ["eth0", "eth1"], ["8080/tcp", "9000-9010/udp"],
    )  # fmt: skip
    assert internal.rich_rules == [
        'rule family="ipv4" source address="10.0.0.7" reject',
        'rule priority="-5" service name="https" log prefix="x: y" level="info" drop',
    ]
    assert (trusted.sources, trusted.target) == (["10.1.0.0/16", "ipset:friends"], "ACCEPT")
    assert state.services == {"https": ["8443/tcp"], "rtc": ["9083/tcp", "9093/tcp"], "ssh": []}
    assert (state.state, state.masked) == ("running", False)


def test_without_an_interface_the_default_zone_counts(rootfs):
    text = "home\n  target: default\n  interfaces: \n\npublic (default)\n  target: default\n  interfaces: \n"
    state = firewalls.describe(rootfs, "firewalld", True, lambda command, timeout: text)
    assert [zone.name for zone in state.zones] == ["public"]


# As firewall-cmd 1.3 prints the zones where no interface is in any: none is marked, whichever is the default one.
UNMARKED = "home\n  target: default\n  interfaces: \n\nwork (active)\n  interfaces: \n  sources: 198.51.100.0/24\n"


@pytest.mark.parametrize(("said", "expected"), [("home\n", ["home", "work"]), (None, ["work"])])
def test_the_default_zone_is_asked_for_where_it_is_not_marked(rootfs, said, expected):
    answers = {"--list-all-zones": UNMARKED, "--get-default-zone": said}
    state = firewalls.describe(rootfs, "firewalld", True, lambda command, timeout: answers[command[1]])
    assert [zone.name for zone in state.zones] == expected
    assert (FIREWALL_RULES in rootfs.unreadable) == (said is None)


def test_firewalld_that_does_not_answer(rootfs):
    assert firewalls.describe(rootfs, "firewalld", True, lambda command, timeout: None).zones == []
    assert "firewall-cmd --state" in rootfs.unreadable[FIREWALL_RULES]


def test_firewalld_is_not_asked_without_root(rootfs):
    assert firewalls.describe(rootfs, "firewalld", False, no_runner).state == "running"


def test_ufw_that_may_not_be_read(host, rootfs):
    host.write("/etc/default/ufw", 'DEFAULT_INPUT_POLICY="DROP"\n')
    state = firewalls.describe(rootfs, "ufw", False, no_runner)
    assert (state.incoming, "become" in rootfs.unreadable[FIREWALL_RULES]) == ("", True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("allow tcp 9083 0.0.0.0/0 any 0.0.0.0/0 in", FirewallRule("allow", "tcp", "9083")),
        ("allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in", FirewallRule("allow", "tcp", "80,443")),
        ("limit tcp 22 0.0.0.0/0 any 10.0.0.0/8 in_eth0", FirewallRule(
            "limit", "tcp", "22", "10.0.0.0/8", interface="eth0")),
        ("deny_log any any 10.0.0.9 53 0.0.0.0/0 in comment=6e6f", FirewallRule(
            "deny", destination="10.0.0.9", source_ports="53")),
        ("allow tcp 9083 0.0.0.0/0 any 0.0.0.0/0", FirewallRule("allow", "tcp", "9083")),  # of old versions
        ("allow tcp 9083 0.0.0.0/0 any 0.0.0.0/0 out", None),
        ("route:allow tcp 9083 0.0.0.0/0 any 0.0.0.0/0 in", None),
        ("nonsense", None),
    ],
)  # fmt: skip
def test_ufw_tuples(line, expected):
    assert firewalls.parse_ufw(f"*filter\n### RULES ###\n\n### tuple ### {line}\n-A x\n") == [
        item for item in [expected] if item
    ]
