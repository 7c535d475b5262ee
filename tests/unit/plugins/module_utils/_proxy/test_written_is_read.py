# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written is read again as a way for RTC that nothing stands in."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.rendered_host import ACTIVE, Host, plan


@pytest.mark.parametrize(
    ("kind", "version"), [("nginx", ""), ("haproxy", ""), ("apache", "2.4.62"), ("apache", "2.4.37")]
)
@pytest.mark.parametrize("changes", [{}, {"upstreams": ACTIVE}], ids=["one", "several"])
def test_requests_go_to_rtc(tmp_path, monkeypatch, kind, version, changes):
    host = Host(kind, tmp_path / "root", monkeypatch, version)
    host.write(plan(kind, **changes))
    found = [item for item in host.server.read().hosts if item.managed]
    assert found
    for item in found:
        assert (item.doubts, item.stops, item.sources) == ([], [], [])
        assert any(route.polling and not route.upstream_path for route in item.routes)
        assert any(route.websocket and route.upgrade for route in item.routes)
