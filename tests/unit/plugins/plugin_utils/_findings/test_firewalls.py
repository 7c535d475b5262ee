# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a firewall lets in; ufw's files are those that the real one wrote (tests/hosts/record_ufw.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.module_utils._host import firewalls as host_firewalls
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import Firewall, FirewallZone
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import firewalls

UFW = json.loads((Path(__file__).resolve().parents[3] / "data/selinux_firewalld/ufw.json").read_text(encoding="utf-8"))


def read_ufw(phase, tmp_path):
    """Facts of a host with the files that ufw had in a phase."""
    for path, text in UFW[phase].items():
        if path.startswith("/"):
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    rootfs = RootFs(str(tmp_path))
    kind = host_firewalls.find(rootfs, [])
    return HostFacts(firewall=kind, firewall_state=host_firewalls.describe(rootfs, kind, True, None))


# Phase -> finding and its command, for everybody; and for the proxy at 10.0.0.5.
EXPECTED = {
    "installed": ([], []),
    "on, nothing allowed": (["RTC648 ufw allow 9083/tcp."],
                            ["RTC648 ufw allow from 10.0.0.5 to any port 9083 proto tcp."]),
    "allowed": ([], []),
    "limited": (["RTC649 ufw delete limit 9083/tcp && ufw allow 9083/tcp."],) * 2,
    "denied first": (["RTC643 ufw delete deny 9083."],) * 2,
    "rejected": (["RTC643 ufw delete reject 9083/tcp."],) * 2,
    "for one host": (["RTC648 ufw allow 9083/tcp."], []),
    "for a network but one": (["RTC648 ufw allow 9083/tcp."], ["RTC643 ufw delete deny from 10.0.0.5 to any."]),
    "range and list": ([], []),
    "profile": ([], []),
    "interface": (["RTC648 ufw allow 9083/tcp."], ["RTC648 ufw allow from 10.0.0.5 to any port 9083 proto tcp."]),
    "allowed by default": ([], []),
    "rejected by default": (["RTC648 ufw allow 9083/tcp."],
                            ["RTC648 ufw allow from 10.0.0.5 to any port 9083 proto tcp."]),
    "off": ([], []),
}  # fmt: skip


@pytest.mark.parametrize("phase", UFW)
def test_ufw(phase, tmp_path):
    facts = read_ufw(phase, tmp_path)
    assert (facts.firewall == "ufw") is UFW[phase]["status"].startswith("Status: active")
    for clients, expected in zip(([], ["10.0.0.5"]), EXPECTED[phase], strict=True):
        found = firewalls.check("wiki1", facts, 9083, clients)
        assert [f"{item.id} {item.remedy}" for item in found] == expected


def test_what_only_some_are_let_in_by_is_said(tmp_path):
    (found,) = firewalls.check("wiki1", read_ufw("for one host", tmp_path), 9083)
    assert (found.severity, found.evidence) == ("info", ["allow from 10.0.0.5 to any port 9083 proto tcp"])


SERVICES = {"rtc": ["9083/tcp"], "dns": ["53/udp"]}
DENY = 'rule family="ipv4" port port="9083" protocol="tcp" {}'
# Rich rules, whether the port is opened in the zone, and what comes of it: let in, rules that keep some out.
RICH = [
    ([], False, (False, 0)),
    ([], True, (True, 0)),
    ([DENY.format("reject")], True, (False, 0)),
    ([DENY.format("drop")], True, (False, 0)),
    ([DENY.format('reject type="icmp-admin-prohibited"')], True, (False, 0)),
    ([DENY.format('log prefix="not reject" accept')], False, (True, 0)),
    ([DENY.format('mark set="1"')], True, (True, 0)),
    (['rule port port="9000-9100" protocol="tcp" drop'], True, (False, 0)),
    (['rule port port="9084-9100" protocol="tcp" drop'], True, (True, 0)),
    (['rule port port="9083" protocol="udp" drop'], True, (True, 0)),
    (['rule service name="rtc" reject'], True, (False, 0)),
    (['rule service name="dns" reject'], True, (True, 0)),
    (['rule protocol value="tcp" reject'], True, (False, 0)),
    (['rule protocol value="gre" reject'], True, (True, 0)),
    (['rule family="ipv4" source address="0.0.0.0/0" drop'], True, (False, 0)),
    (['rule family="ipv4" source address="10.0.0.0/8" drop'], True, (True, 1)),
    (['rule family="ipv4" source not address="10.0.0.0/8" drop'], True, (True, 1)),
    (['rule source ipset="banned" drop'], True, (True, 1)),
    (['rule family="ipv6" port port="9083" protocol="tcp" reject'], True, (True, 1)),
    (['rule family="ipv4" destination address="10.0.0.1" port port="9083" protocol="tcp" reject'], True, (True, 1)),
    (['rule family="ipv4" source-port port="9083" protocol="tcp" reject'], True, (True, 0)),
    # Of one priority those that deny come first, and an earlier priority before a later one.
    ([DENY.format("accept"), DENY.format("reject")], True, (False, 0)),
    ([DENY.format("reject"), 'rule priority="-1" port port="9083" protocol="tcp" accept'], False, (True, 0)),
    (['rule priority="1" port port="9083" protocol="tcp" reject'], True, (True, 0)),
    (['rule priority="1" port port="9083" protocol="tcp" accept'], False, (True, 0)),
    (["rule unclosed '"], True, (True, 0)),
]


@pytest.mark.parametrize(("rules", "opened", "expected"), RICH)
def test_rich_rules(rules, opened, expected):
    zone = FirewallZone("public", ["eth0"], ports=["9083/tcp"] if opened else [], rich_rules=rules)
    verdict = firewalls.judge_zone(zone, SERVICES, 9083)
    assert (verdict.lets_in, len(verdict.kept_out)) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (FirewallZone("a", ports=["9000-9100/tcp"]), True),
        (FirewallZone("a", ports=["9000-9100/udp"]), False),
        (FirewallZone("a", services=["rtc"]), True),
        (FirewallZone("a", target="ACCEPT"), True),
        (FirewallZone("a", target="DROP"), False),
    ],
)
def test_what_a_zone_lets_in_without_rules(zone, expected):
    assert firewalls.judge_zone(zone, SERVICES, 9083).lets_in is expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('rule family="ipv4" source address="10.0.0.5" reject', False),
        ('rule family="ipv4" source not address="10.0.0.5" reject', True),
        ('rule family="ipv4" source address="10.0.0.6" reject', True),
    ],
)
def test_rules_about_the_proxy(rule, expected):
    zone = FirewallZone("public", ["eth0"], ports=["9083/tcp"], rich_rules=[rule])
    assert firewalls.judge_zone(zone, {}, 9083, ["10.0.0.5"]).lets_in is expected


def test_a_rule_in_one_of_two_zones_is_a_warning():
    zones = [
        FirewallZone("public", ["eth0"], ports=["9083/tcp"], rich_rules=[DENY.format("reject")]),
        FirewallZone("internal", ["eth1"], ports=["9083/tcp"]),
    ]
    facts = HostFacts(firewall="firewalld", firewall_state=Firewall("running", zones=zones))
    (found,) = firewalls.check("proxy1", facts, 9083, by_role=True)
    assert (found.id, found.severity) == ("RTC643", "warning")
    assert found.remedy == (
        "firewall-cmd --permanent --zone=public --remove-rich-rule='" + DENY.format("reject") + "'"
        " && firewall-cmd --reload."
    )
    zones.pop()
    (found,) = firewalls.check("proxy1", facts, 9083, by_role=True)
    assert (found.id, found.severity) == ("RTC643", "error")
