# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a load balancer is whose, by its tags: of other inventories, of other sites, of nodes that went to another one."""

from __future__ import annotations

import dataclasses

from ansible_collections.collab.rtc.plugins.plugin_utils._aws.model import Target


def test_another_inventory_is_left_alone(cloud):
    cloud.converge(cloud.want())
    before = cloud.see()
    cloud.converge(cloud.want(inventory="staging/hosts.yml", present=False))
    assert cloud.see() == before
    cloud.converge(cloud.want(inventory="staging/hosts.yml", port=9183, site="wiki.example.com:9183"))
    cloud.converge(cloud.want(inventory="staging/hosts.yml", present=False))
    assert cloud.see() == before


def test_a_site_that_is_over_leaves_what_other_nodes_have(cloud):
    wanted = cloud.want_nodes(1, 2)
    cloud.converge(wanted)
    before = cloud.see()
    cloud.converge(cloud.want(nodes=["wiki2"], site="wiki2:9083", kept=["wiki1"], present=False))
    assert cloud.see() == before


def test_a_node_that_moves_to_another_site_takes_nothing_along(cloud):
    """Whichever of the two sites a run sets first, and however long the tags of the one name the node of the other."""
    first, second = "wiki.example.com:9083", "confluence.example.com:9084"
    cloud.converge(cloud.want_nodes(1, 2))
    before = cloud.arrange(cloud.want_nodes(1, 2))
    name = {"site": second, "port": 9084, "server_name": "confluence.example.com"}
    moved = cloud.want_nodes(2, 3, **name, neighbours=[first])
    cloud.converge(moved)
    assert cloud.arrange(cloud.want_nodes(1, 2, neighbours=[second])) == before
    left = cloud.want_nodes(1, neighbours=[second])
    cloud.converge(left)
    assert (cloud.converge(moved), cloud.converge(left)) == ([], [])
    cloud.converge(dataclasses.replace(moved, present=False))
    assert cloud.converge(left) == []


def test_a_rule_that_two_sites_have_together_stays_for_the_other_one(cloud):
    """Two load balancers with one security group: AWS has the rule for a port and a source once."""
    second = cloud.make_balancer("second")
    cloud.listen(443, certificate=cloud.certificate, balancer=second)
    name, other = "wiki.example.com:9083", "confluence.example.com:9083"
    before = cloud.see()["security"]
    one = cloud.want(neighbours=[other])
    two = cloud.want(
        site=other,
        server_name="confluence.example.com",
        load_balancer="second",
        nodes=["wiki2"],
        targets=[Target("wiki2", cloud.instances[1])],
        neighbours=[name],
    )
    cloud.converge(one)
    cloud.converge(two)
    opened = len(cloud.see()["security"])
    assert opened > len(before)
    cloud.converge(dataclasses.replace(one, present=False))
    assert len(cloud.see()["security"]) == opened
    two = dataclasses.replace(two, neighbours=[])
    cloud.converge(two)
    assert cloud.converge(two) == []
    cloud.converge(dataclasses.replace(two, present=False))
    assert cloud.see()["security"] == before
