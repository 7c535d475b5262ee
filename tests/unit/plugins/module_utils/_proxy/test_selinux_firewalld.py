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
