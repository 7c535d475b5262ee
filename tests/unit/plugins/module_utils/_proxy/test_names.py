# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names of a virtual host fit one that is asked for."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import names


@pytest.mark.parametrize(
    ("kind", "name", "asked", "fits"),
    [
        ("nginx", "Wiki.Example.com", "wiki.example.com", True),
        ("nginx", "*.example.com", "wiki.intern.example.com", True),
        ("nginx", "*.example.com", "example.com", False),
        ("nginx", ".example.com", "example.com", True),
        ("nginx", ".example.com", "wiki.example.com", True),
        ("nginx", ".example.com", "myexample.com", False),
        ("nginx", "wiki.example.*", "wiki.example.com", True),
        ("nginx", r"~^(?<user>WIKI)\.", "wiki.example.com", True),
        ("nginx", "~^(", "wiki.example.com", False),
        ("nginx", "_", "wiki.example.com", False),
        ("apache", "*.example.com", "wiki.intern.example.com", True),
        ("apache", "wiki?.example.com", "wiki1.example.com", True),
        ("apache", "*", "wiki.example.com", False),
        ("apache", ".example.com", "wiki.example.com", False),
    ],
)
def test_a_name(kind, name, asked, fits):
    assert (names.rank(kind, [name], asked) < names.NOT) is fits


def test_the_order_of_nginx():
    order = ["wiki.example.com", "*.example.com", "*.com", "wiki.example.*", "wiki.*", "~^wiki"]
    ranks = [names.rank("nginx", [name], "wiki.example.com") for name in order]
    assert ranks == sorted(set(ranks))
    assert names.rank("nginx", [], "wiki.example.com") == names.NOT
