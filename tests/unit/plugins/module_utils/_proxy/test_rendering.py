# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all renderers share."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import rendering
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError

NAME = "wiki.example.com"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"upstreams": []}, "no upstream"),
        ({"upstreams": [{"host": "a", "port": 1, "backup": True}]}, "no upstream"),
        ({"upstreams": [{"host": "a", "port": 1}, {"host": "b", "port": 1, "scheme": "https"}]}, "mixes"),
        ({"role": "application", "synchrony": "nonsense"}, "synchrony"),
        ({"panel_port": 9990, "panel_from": ["10.1.2.0/24"], "certificate": ""}, "needs TLS"),
        ({"panel_port": 9990, "certificate": "/a.pem"}, "networks"),
    ],
)
def test_bad_targets(plan, changes, words):
    with pytest.raises(ProxyError, match=words):
        rendering.list_forwarded_paths(plan(**changes))


def test_names_never_meet():
    names = ["rtc-a", "rtc_a", "a", "rtc.a", "rtc-confluence", "confluence"]
    found = [rendering.make_identifier(name) for name in names]
    assert len(set(found)) == len(names)
