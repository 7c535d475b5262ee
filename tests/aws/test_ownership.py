# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a load balancer is whose, by its tags: of other inventories, of other sites, of nodes that went to another one."""

from __future__ import annotations

import dataclasses


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
