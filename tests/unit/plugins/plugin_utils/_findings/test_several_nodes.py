# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of sites of more nodes than the cases have."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan


@pytest.mark.parametrize(
    ("kind", "words"),
    [("nginx", "wiki2 stands by, and no other"), ("haproxy", "the others stand by"), ("apache", "the others stand by")],
)
def test_which_of_three_nodes_stand_by_depends_on_the_proxy(base, kind, words):
    plan_input = base("cluster")
    third = copy.deepcopy(plan_input.facts["wiki2"])
    third.hostname, third.addresses, third.main_address = "wiki3", ["10.0.0.13"], "10.0.0.13"
    plan_input.facts["wiki3"] = third
    plan_input.settings["wiki3"] = copy.deepcopy(plan_input.settings["wiki2"])
    plan_input.groups["confluence"].append("wiki3")
    (proxy,) = plan_input.facts["proxy1"].proxies
    proxy.kind = kind
    for host in proxy.hosts:
        host.names = ["wiki.example.com"]
    plan = make_plan(plan_input)
    (finding,) = [item for item in plan.findings if item.id == "RTC419"]
    assert finding.message == f"wiki.example.com:9083: wiki1 serves RTC, {words}" + (
        ": nginx would give requests to several in turn." if kind == "nginx" else "."
    )
