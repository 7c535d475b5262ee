# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The classification, by the cases and some of its own."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._plan import routing, topology


def test_a_case_has_exactly_its_sites(case, plan_input_of):
    sites = topology.classify(plan_input_of(case["data"])).sites
    if "sites" not in case:
        return
    found = [dataclasses.asdict(classified.site) for classified in sites]

    assert len(found) == len(case["sites"]), found
    for site, wanted in zip(found, case["sites"]):
        assert {name: site[name] for name in wanted} == wanted, site["evidence"]


def test_every_row_of_the_table_is_there(all_cases):
    rows = {(site.get("topology"), site.get("proxy_kind")) for case in all_cases for site in case.get("sites", [])}
    assert {name for name, _kind in rows if name} == {f"T{number}" for number in range(1, 10)}


def test_a_conclusion_has_its_evidence(case, plan_input_of):
    """And the order of hosts does not matter."""
    plan_input = plan_input_of(case["data"])
    sites = topology.classify(plan_input).sites
    plan_input.facts = dict(reversed(list(plan_input.facts.items())))
    other = topology.classify(plan_input).sites
    assert [(classified.site.name, classified.site.topology) for classified in sites] == [
        (classified.site.name, classified.site.topology) for classified in other
    ]
    for classified in sites:
        text = " ".join(classified.site.evidence)
        for word in ("RTC port", "server name:", classified.site.protocol + ":"):
            assert word in text
        assert classified.proxy is None or "proxy:" in text


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
    plan_input = base(
        "remote",
        set={
            "facts.jira1.addresses": ["10.0.0.21", "172.17.0.1"],
            "facts.proxy1.addresses": ["10.0.0.9", "172.17.0.1"],
            "facts.proxy1.proxies.0.hosts.0.routes.0.upstreams.0.host": "172.17.0.1",
            "facts.proxy1.proxies.0.hosts.1.routes.0.upstreams.0.host": "172.17.0.1",
        },
    )
    route_index = routing.RouteIndex(plan_input.facts)
    assert route_index.find_routes("jira1", plan_input.facts["jira1"], 8080) == []
    assert len(route_index.find_routes("proxy1", plan_input.facts["proxy1"], 8080)) == 1


def test_one_machine_under_two_inventory_names(base):
    plan_input = base("same_host")
    plan_input.facts["edge"] = plan_input.facts["wiki1"]
    plan_input.groups["rtc_proxies"] = ["edge"]
    plan_input.settings["wiki1"]["confluence"].proxy = "edge"
    (classified,) = topology.classify(plan_input).sites
    assert (classified.site.placement, classified.site.proxy_host) == ("same_host", "edge")
