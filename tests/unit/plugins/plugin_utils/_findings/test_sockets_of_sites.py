# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RTC511: sockets that two sites of one plan need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.collab.rtc.plugins.plugin_utils._findings import rules_service


def site(name: str, port: int, node: str, address: str, proxy: Any = None) -> Any:
    service = SimpleNamespace(address=address)
    nodes = [SimpleNamespace(host=node, service=service)]
    return SimpleNamespace(site=SimpleNamespace(name=name, rtc_port=port), nodes=nodes, proxy=proxy)


def proxy(host: str, *listen: str, kind: str = "nginx", managed: bool = True, written: bool = True) -> Any:
    rtc = SimpleNamespace(plan=SimpleNamespace(listen=list(listen)), written=written)
    return SimpleNamespace(host=host, kind=kind, managed=managed, rtc=rtc)


def found(*sites: Any) -> list[tuple[str, str, str]]:
    state: Any = SimpleNamespace(sites=list(sites))
    return [(item.id, item.host, item.site) for item in rules_service.check_hosts(state)]


@pytest.mark.parametrize("first", ["0.0.0.0", "10.0.0.1", "::"])
def test_the_service_of_one_site_and_the_proxy_of_another(first: str) -> None:
    one = site("a", 9093, "host1", first, proxy("host2", "10.0.0.2"))
    other = site("b", 9093, "host3", "10.0.0.3", proxy("host1", "10.0.0.1"))
    assert found(one, other) == [("RTC511", "host1", "b")]
    assert found(other, one) == [("RTC511", "host1", "a")]


def test_two_services_of_one_host() -> None:
    assert found(site("a", 9083, "host1", "127.0.0.1"), site("b", 9083, "host1", "127.0.0.1"))
    assert not found(site("a", 9083, "host1", "127.0.0.1"), site("b", 9093, "host1", "127.0.0.1"))


def test_two_kinds_of_proxies_on_one_host() -> None:
    one = site("a", 9083, "host1", "10.0.0.1", proxy("front", "*"))
    assert found(one, site("b", 9083, "host2", "10.0.0.2", proxy("front", "*", kind="haproxy")))
    assert not found(one, site("b", 9083, "host2", "10.0.0.2", proxy("front", "*")))


def test_what_is_somebody_elses_or_one_site_alone_is_not_reported_here() -> None:
    beside = site("a", 9083, "host1", "127.0.0.1", proxy("host1", "10.0.0.1"))
    assert not found(beside)
    assert not found(site("a", 9083, "host1", "0.0.0.0", proxy("host1", "*")))  # RTC503
    other = site("b", 9083, "host2", "10.0.0.2", proxy("host1", "10.0.0.1", managed=False))
    assert not found(site("a", 9083, "host1", "10.0.0.1"), other)
    assert not found(beside, site("b", 9083, "host2", "10.0.0.2", proxy("host1", "10.0.0.1")))
