# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What SELinux and firewalld are asked for."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import backend, selinux_firewalld
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import ProxyError

PORTS = """SELinux Port Type              Proto    Port Number

http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010
http_port_t                    tcp      80, 81, 443, 488, 8008, 8009, 8443, 9000
websm_port_t                   tcp      9090
websm_port_t                   udp      9083
"""


def answers(**others):
    """Commands of a host: what they print, or a number that they end with."""
    known = {
        "semanage port -l": PORTS,
        "getsebool httpd_can_network_connect": "httpd_can_network_connect --> off",
        **others,
    }

    def run(argv):
        answer = known.get(" ".join(argv), 0)
        return backend.Command(answer, "") if isinstance(answer, int) else backend.Command(0, answer)

    return run


def commands(needs):
    return [" ".join(command) for need in needs for command in need.commands]


def test_selinux():
    assert commands(selinux_firewalld.find_selinux_needs("nginx", [443, 9083, 9090], answers())) == [
        "semanage port -a -t http_port_t -p tcp 9083",
        "semanage port -m -t http_port_t -p tcp 9090",
        "setsebool -P httpd_can_network_connect on",
    ]


def test_selinux_that_is_ready():
    run = answers(**{"getsebool haproxy_connect_any": "haproxy_connect_any --> on"})
    assert selinux_firewalld.find_selinux_needs("haproxy", [443], run) == []


def test_selinux_without_its_tools():
    with pytest.raises(ProxyError, match="policycoreutils"):
        selinux_firewalld.find_selinux_needs("nginx", [443], answers(**{"semanage port -l": 127}))


def test_firewalld():
    run = answers(
        **{
            "firewall-cmd --state": "running",
            "firewall-cmd --query-port=9083/tcp": 1,
            "firewall-cmd --permanent --query-port=9083/tcp": 1,
        }
    )
    assert commands(selinux_firewalld.find_firewalld_needs([443, 9083], run)) == [
        "firewall-cmd --add-port=9083/tcp",
        "firewall-cmd --permanent --add-port=9083/tcp",
    ]
    assert selinux_firewalld.find_firewalld_needs([9083], answers(**{"firewall-cmd --state": "not running"})) == []


def test_a_setting_that_fails():
    need = selinux_firewalld.Need("SELinux: x", [["setsebool", "-P", "x", "on"]])
    with pytest.raises(ProxyError, match="SELinux: x could not be set"):
        selinux_firewalld.apply_needs([need], lambda argv: backend.Command(1, "no policy"))


ZONES = "internal\n  interfaces: eth0\n  sources: 10.0.0.0/8\npublic (default)\n  interfaces: eth1 eth2\ndrop\n  sources: 192.0.2.66\n"
INTERFACES = (
    "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\n"
    "2: eth0    inet6 2001:db8::10/64 scope global\n3: eth1    inet 198.51.100.7/24 scope global eth1\n"
)


@pytest.mark.parametrize(
    ("addresses", "zones"),
    [
        (["192.0.2.10"], ["internal"]), (["2001:db8::10"], ["internal"]), (["198.51.100.7"], ["public"]),
        (["192.0.2.10", "198.51.100.7"], ["internal", "public"]), (["*"], ["internal", "public"]),
        (["192.0.2.10", "::"], ["internal", "public"]), ([], ["internal", "public"]),
    ],
)  # fmt: skip
def test_firewalld_opens_the_zones_of_the_interfaces(addresses, zones):
    known = {
        "firewall-cmd --state": "running", "firewall-cmd --get-active-zones": ZONES, "ip -o address": INTERFACES,
        "firewall-cmd --zone=public --permanent --query-port=9083/tcp": 1,
        "firewall-cmd --zone=internal --query-port=9083/tcp": 1,
    }  # fmt: skip
    found = commands(selinux_firewalld.find_firewalld_needs([9083], answers(**known), addresses))
    assert found == [
        text
        for zone, text in (
            ("internal", "firewall-cmd --zone=internal --add-port=9083/tcp"),
            ("public", "firewall-cmd --zone=public --permanent --add-port=9083/tcp"),
        )
        if zone in zones
    ]


def test_a_boolean_that_the_policy_does_not_know():
    run = answers(**{"getsebool haproxy_connect_any": 1})
    assert selinux_firewalld.find_selinux_needs("haproxy", [443], run) == []
