# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Labels of nodes: short, safe in every proxy's configuration, and the same whoever else is in the site."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.collab.rtc.plugins.plugin_utils._plan import labels

NAMES = st.lists(st.text(min_size=1), min_size=1, max_size=12)


def test_label_is_what_it_has_been():
    """Sessions are routed by it: another label after an upgrade would send all of them away."""
    assert labels.label_nodes(["wiki1", "wiki2"]) == {"wiki1": "84a0076d", "wiki2": "65bcb7b8"}


@given(NAMES)
def test_labels_differ_and_need_no_quotes(hosts):
    found = labels.label_nodes(hosts)
    assert set(found) == set(hosts)
    assert len(set(found.values())) == len(found)
    assert all(re.fullmatch(r"[0-9a-f]{8,64}", label) for label in found.values())


@given(NAMES, st.text(min_size=1))
def test_label_stays_when_a_node_comes_or_goes(hosts, other):
    before, after = labels.label_nodes(hosts), labels.label_nodes([other, *reversed(hosts)])
    assert all(after[host] == before[host] for host in hosts)


def test_two_labels_that_meet_are_longer_and_the_third_stays(monkeypatch):
    monkeypatch.setattr(labels, "LENGTH", 1)
    # sha256: "a" ca97…, "g" cd0a…, "b" 3e23…
    assert labels.label_nodes(["a", "b", "g"]) == {"a": "ca", "b": "3", "g": "cd"}
