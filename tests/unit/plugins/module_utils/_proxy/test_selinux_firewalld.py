# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What SELinux and firewalld are asked for."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._commands import Command
from ansible_collections.collab.rtc.plugins.module_utils._proxy import selinux_firewalld
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

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
        return Command(answer, "") if isinstance(answer, int) else Command(0, answer)

    return run


def list_commands(needs):
    return [" ".join(command) for need in needs for command in need.commands]


def test_selinux():
    assert list_commands(selinux_firewalld.find_selinux_needs("nginx", [443, 9083, 9090], answers())) == [
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
    assert list_commands(selinux_firewalld.find_firewalld_needs([443, 9083], run)) == [
        "firewall-cmd --add-port=9083/tcp",
        "firewall-cmd --permanent --add-port=9083/tcp",
    ]
    assert selinux_firewalld.find_firewalld_needs([9083], answers(**{"firewall-cmd --state": "not running"})) == []


def test_a_port_that_a_service_of_firewalld_has_is_open():
    closed = {"firewall-cmd --query-port=443/tcp": 1, "firewall-cmd --permanent --query-port=443/tcp": 1}
    state = {"firewall-cmd --state": "running", **closed}
    assert selinux_firewalld.find_firewalld_needs([443], answers(**state)) == []
    run = answers(**state, **{"firewall-cmd --permanent --query-service=https": 1})
    assert list_commands(selinux_firewalld.find_firewalld_needs([443], run)) == [
        "firewall-cmd --permanent --add-port=443/tcp"
    ]


def test_a_setting_that_fails():
    need = selinux_firewalld.Need("SELinux: x", [selinux_firewalld.Setting(selinux_firewalld.BOOLEAN, "x")])
    with pytest.raises(ProxyError, match="SELinux: x could not be set"):
        selinux_firewalld.apply_needs([need], lambda argv: Command(1, "no policy"))


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
    found = list_commands(selinux_firewalld.find_firewalld_needs([9083], answers(**known), addresses))
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


ZONE = selinux_firewalld.Setting(selinux_firewalld.FIREWALLD, "public", 9083, permanent=True)
NEW_PORT = selinux_firewalld.Setting(selinux_firewalld.PORT, "http_port_t", 443)
OTHER_PORT = selinux_firewalld.Setting(selinux_firewalld.PORT, "http_port_t", 8443, before="websm_port_t")
BOOLEAN = selinux_firewalld.Setting(selinux_firewalld.BOOLEAN, "httpd_can_network_connect")
IS_ON = {"getsebool httpd_can_network_connect": "httpd_can_network_connect --> on"}


@pytest.fixture
def commands_run(monkeypatch):
    """A function: the commands that are run beside those that only look, on a host that answers so."""

    def use(**others):
        done, answer = [], answers(**{"firewall-cmd --state": "running", **others})

        def run(argv):
            if not {"--state", "-l", "getsebool"} & set(argv) and not any("query" in word for word in argv):
                done.append(" ".join(argv))
            return answer(argv)

        monkeypatch.setattr(selinux_firewalld, "run", run)
        return done

    return use


def test_what_was_opened_is_closed_to_what_was_before(commands_run):
    done = commands_run(**IS_ON)
    selinux_firewalld.close([ZONE, NEW_PORT, OTHER_PORT, BOOLEAN])
    assert done == [
        "firewall-cmd --zone=public --permanent --remove-port=9083/tcp",
        "semanage port -d -t http_port_t -p tcp 443",
        "semanage port -m -t websm_port_t -p tcp 8443",
        "setsebool -P httpd_can_network_connect off",
    ]


def test_what_somebody_closed_since_is_left_so(commands_run):
    done = commands_run(**{"firewall-cmd --zone=public --permanent --query-port=9083/tcp": 1})
    port = selinux_firewalld.Setting(selinux_firewalld.PORT, "http_port_t", 9083)
    selinux_firewalld.close([ZONE, port, BOOLEAN])
    assert done == []


def test_what_a_run_closed_is_opened_again(commands_run):
    done = commands_run(**{"firewall-cmd --zone=public --permanent --query-port=9083/tcp": 1})
    selinux_firewalld.reopen([ZONE, NEW_PORT, BOOLEAN])
    assert done == [
        "firewall-cmd --zone=public --permanent --add-port=9083/tcp",
        "setsebool -P httpd_can_network_connect on",
    ]


def test_a_permanent_port_of_a_firewalld_that_does_not_run_is_said(commands_run):
    commands_run(**{"firewall-cmd --state": "not running"})
    with pytest.raises(ProxyError, match=r"firewalld does not run.*9083/tcp permanent"):
        selinux_firewalld.close([ZONE])
    selinux_firewalld.close([selinux_firewalld.Setting(selinux_firewalld.FIREWALLD, "public", 9083)])


def test_a_command_that_fails_is_said_with_its_words(commands_run):
    commands_run(**IS_ON, **{"setsebool -P httpd_can_network_connect off": 1})
    with pytest.raises(ProxyError, match="setsebool -P httpd_can_network_connect off failed"):
        selinux_firewalld.close([BOOLEAN])
