# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SELinux and firewalld with what the real tools said on a host of the lab (tests/hosts/record_settings.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._commands import Command
from ansible_collections.collab.rtc.plugins.module_utils._proxy import selinux_firewalld
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

RECORDS = Path(__file__).resolve().parents[3] / "data/selinux_firewalld"
PORTS = [443, 9083]
ADDRESSES = ["10.147.85.41"]


@pytest.fixture(params=["rhel9"])
def replay(request):
    """A function: the runner that answers as the tools did in a phase; a command that was not recorded fails."""
    recorded = json.loads((RECORDS / f"{request.param}.json").read_text(encoding="utf-8"))

    def choose(*phases):
        known = {command: answer for phase in phases for command, answer in recorded[phase].items()}
        return lambda argv: Command(*known[" ".join(argv)])

    return choose


def find_needs(runner):
    """All that nginx lacks on these ports."""
    return [
        *selinux_firewalld.find_selinux_needs("nginx", PORTS, runner),
        *selinux_firewalld.find_firewalld_needs(PORTS, runner, ADDRESSES),
    ]


@pytest.mark.parametrize("phase", ["before", "closed"])
def test_what_is_missing(replay, phase):
    """443 is SELinux's own, and of firewalld's service https in that zone."""
    assert [" ".join(command) for need in find_needs(replay(phase)) for command in need.commands] == [
        "semanage port -a -t http_port_t -p tcp 9083",
        "setsebool -P httpd_can_network_connect on",
        "firewall-cmd --zone=internal --add-port=9083/tcp",
        "firewall-cmd --zone=internal --permanent --add-port=9083/tcp",
    ]


def test_what_is_opened_is_seen(replay):
    needs = find_needs(replay("before"))
    selinux_firewalld.apply_needs(needs, replay("open"))  # the tools took it
    assert find_needs(replay("after")) == []
    settings = [setting for need in needs for setting in need.settings]
    assert [setting.is_open(replay("after")) for setting in settings] == [True] * 4
    assert [setting.is_open(replay("before")) for setting in settings] == [False] * 4
    closing = replay("close")
    assert [closing(setting.make_closing()).code for setting in settings] == [0] * 4
    assert [setting.is_open(replay("closed")) for setting in settings] == [False] * 4


def test_somebody_was_faster(replay):
    """firewalld takes a port twice; semanage does not, and its words are the error."""
    selinux, _boolean, firewalld = find_needs(replay("before"))
    selinux_firewalld.apply_needs([firewalld], replay("open again"))
    with pytest.raises(ProxyError, match="Port tcp/9083 already defined"):
        selinux_firewalld.apply_needs([selinux], replay("open again"))


def test_a_policy_without_the_boolean(replay):
    needs = selinux_firewalld.find_selinux_needs("haproxy", [443], replay("before"))
    assert needs == []


def test_firewalld_that_is_stopped(replay):
    needs = find_needs(replay("before"))
    assert selinux_firewalld.find_firewalld_needs(PORTS, replay("stopped"), ADDRESSES) == []
    now, permanent = needs[-1].settings
    assert now.is_open(replay("stopped")) is False
    with pytest.raises(ProxyError, match="firewalld does not run"):
        permanent.is_open(replay("stopped"))
    with pytest.raises(ProxyError, match="FirewallD is not running"):  # it stopped in between
        selinux_firewalld.apply_needs(needs[-1:], replay("stopped"))
