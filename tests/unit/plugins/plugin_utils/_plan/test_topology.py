# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classification, by the cases and some of its own."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import topology as topology_module


def test_a_case_has_exactly_its_sites(case, landscape_of):
    states = topology_module.classify(landscape_of(case["data"]))
    if "sites" not in case:
        return
    found = [dataclasses.asdict(state.site) for state in states]

    assert len(found) == len(case["sites"]), found
    for site, wanted in zip(found, case["sites"]):
        assert {name: site[name] for name in wanted} == wanted, site["evidence"]


def test_every_row_of_the_table_is_there(all_cases):
    rows = {(site.get("topology"), site.get("proxy_kind")) for case in all_cases for site in case.get("sites", [])}
    assert {topology for topology, _kind in rows if topology} == {f"T{number}" for number in range(1, 10)}


def test_a_conclusion_has_its_evidence(case, landscape_of):
    """And the order of hosts does not matter."""
    landscape = landscape_of(case["data"])
    states = topology_module.classify(landscape)
    landscape.facts = dict(reversed(list(landscape.facts.items())))
    other = topology_module.classify(landscape)
    assert [(state.site.name, state.site.topology) for state in states] == [
        (state.site.name, state.site.topology) for state in other
    ]
    for state in states:
        text = " ".join(state.site.evidence)
        for word in ("RTC port", "server name:", state.site.protocol + ":"):
            assert word in text
        assert state.proxy is None or "proxy:" in text


@pytest.mark.parametrize(
    ("listen", "address", "expected"),
    [
        ("0.0.0.0", "10.0.0.1", True), ("::", "127.0.0.1", True), ("*", "127.0.0.1", True),
        ("10.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True), ("127.0.0.1", "0.0.0.0", True), ("[::1]", "::1", True),
        ("127.0.1.1", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_covers(listen, address, expected):
    assert routing.covers(listen, address) is expected


def test_an_address_of_a_container_bridge_is_always_the_host_itself(base):
    """172.17.0.1 is an address of every Docker host: a proxy that forwards to it means its own host."""
    landscape = base(
        "remote",
        set={
            "facts.jira1.addresses": ["10.0.0.21", "172.17.0.1"],
            "facts.proxy1.addresses": ["10.0.0.9", "172.17.0.1"],
            "facts.proxy1.proxies.0.hosts.0.routes.0.upstreams.0.host": "172.17.0.1",
            "facts.proxy1.proxies.0.hosts.1.routes.0.upstreams.0.host": "172.17.0.1",
        },
    )
    ways = routing.Ways(landscape.facts)
    assert ways.to_node("jira1", landscape.facts["jira1"], 8080) == []
    assert len(ways.to_node("proxy1", landscape.facts["proxy1"], 8080)) == 1


def test_one_machine_under_two_inventory_names(base):
    landscape = base("same_host")
    landscape.facts["edge"] = landscape.facts["wiki1"]
    landscape.groups["rtc_proxies"] = ["edge"]
    landscape.wishes["wiki1"]["confluence"].proxy = "edge"
    (state,) = topology_module.classify(landscape)
    assert (state.site.placement, state.site.proxy_host) == ("same_host", "edge")
