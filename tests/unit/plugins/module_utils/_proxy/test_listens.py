# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How managed virtual hosts and those of others share a port."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._proxy import listens
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

NAME = "wiki.example.com"


@pytest.mark.parametrize(
    ("mine", "theirs", "joined"),
    [
        (["192.0.2.1"], [], ["192.0.2.1"]),
        (["192.0.2.1"], ["*"], ["*"]),
        (["192.0.2.1"], ["*", "192.0.2.1"], ["192.0.2.1"]),
        (["192.0.2.1"], ["192.0.2.2"], ["192.0.2.1"]),
        (["*"], ["192.0.2.2"], ["*", "192.0.2.2"]),
        (["*"], ["2001:db8::1"], ["*"]),
        (["::"], ["2001:db8::1"], ["::", "2001:db8::1"]),
        (["2001:db8::5"], ["*"], ["2001:db8::5"]),
        (["2001:db8::5"], ["::"], ["::"]),
        (["[2001:DB8::5]"], ["2001:db8::5"], ["2001:db8::5"]),
        (["0.0.0.0", "*"], [], ["*"]),
        (["127.0.513"], [], ["127.0.513"]),  # stands for 127.0.2.1, as a name does
        (["127.0.513"], ["*"], ["*"]),
        (["127.0.513"], ["127.0.2.1"], ["127.0.2.1"]),
        (["127.0.513"], ["192.0.2.1"], ["127.0.513"]),
        ([], [], ["*"]),
    ],
)
def test_join_listens(plan, mine, theirs, joined):
    foreign = [ProxyListen(address, 9083) for address in theirs] + [ProxyListen("*", 80)]
    assert listens.join_listens(plan(listen=mine), foreign) == joined


@pytest.mark.parametrize("mine", ["192.0.2.1", "*", "::", "2001:db8::5"])
def test_join_a_socket_for_both_families(plan, mine):
    foreign = [ProxyListen("::", 9083, dual=True)]
    assert listens.join_listens(plan(listen=[mine]), foreign) == ["::"]


def test_join_a_range_of_ports(plan):
    foreign = [ProxyListen("*", 9080, last_port=9090)]
    assert listens.join_listens(plan(listen=["192.0.2.1"]), foreign) == ["*"]
    assert listens.join_listens(plan(listen=["192.0.2.1"], port=9091), foreign) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        (VirtualHost([NAME], [ProxyListen("*", 9083)]), True),
        (VirtualHost([NAME.upper() + "."], [ProxyListen("192.0.2.1", 9083)]), True),
        (VirtualHost([NAME], [ProxyListen("*", 9084)]), False),
        (VirtualHost([NAME], [ProxyListen("*", 9080, last_port=9090)]), True),
        (VirtualHost([NAME], [ProxyListen("::", 9083, dual=True)]), True),
        (VirtualHost([NAME], [ProxyListen("::", 9083)]), False),
        (VirtualHost([NAME], [ProxyListen("*", 9083)], managed=True), False),
        (VirtualHost(["other.example.com"], [ProxyListen("*", 9083)]), False),
        (VirtualHost(["other.example.com"], [ProxyListen("*", 9083, tls=True)]), True),
        (VirtualHost(["*.example.com"], [ProxyListen("*", 9083)]), False),
    ],
)
def test_refuse_foreign(plan, host, refused):
    host.file, host.line = "/etc/x.conf", 7
    current = Proxy("nginx", hosts=[host])
    with pytest.raises(ProxyError, match=r"/etc/x\.conf:7") if refused else contextlib.nullcontext():
        listens.refuse_foreign(plan(listen=["192.0.2.1"]), current)
