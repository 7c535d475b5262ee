# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan rests on, as digests: a plan that was kept is carried out only where all of it is still so. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._facts import HostFacts
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import HostPlan, Plan

Basis = dict[str, dict[str, str]]  # host -> part -> digest


def describe(plan: Plan, facts: Mapping[str, HostFacts]) -> Basis:
    """The basis of a plan: for each host what is to be done, and the state of all that it touches."""
    return {
        host: {part: _digest(value) for part, value in _list_parts(plan.hosts[host], facts[host])}
        for host in plan.hosts
        if host in facts
    }


def add_stopped(plan: Plan) -> None:
    """Add which sites are left alone: what a plan did not do to a site is not asked for once its error is gone."""
    for host, parts in plan.basis.items():
        here = {site.name for site in plan.sites if host in (*site.nodes, site.proxy_host)}
        here |= {work.site for work in plan.hosts[host].work}
        parts["which sites are left alone"] = _digest(sorted(here & set(plan.stopped)))


def find_changes(kept: Basis, now: Basis) -> Iterator[tuple[str, str]]:
    """Host and part of what is not as it was when a plan was kept, or is new or gone."""
    for host in sorted({*kept, *now}):
        before, after = kept.get(host), now.get(host)
        if before is None or after is None:
            yield host, "the host, which was not in the plan" if before is None else "the host, which is not seen now"
            continue
        for part in after:
            if before.get(part) != after[part]:
                yield host, part


def _list_parts(plan: HostPlan, facts: HostFacts) -> Iterator[tuple[str, Any]]:
    yield "what is to be done", _facts.to_dict(plan)
    yield "the record of what is managed", [_facts.to_dict(entry) for entry in facts.managed.entries]
    yield "server.xml", [_facts.to_dict(item.server_xml) for item in facts.applications if item.server_xml]
    yield "trust stores", [sorted(store.fingerprints) for store in _list_stores(facts)]
    yield "the configuration of the proxies", [_facts.to_dict(item) for item in facts.proxies]
    ports = {item.port for item in plan.vhosts} | {item.port for item in plan.rtc}
    listeners = {(item.address, item.port, item.process) for item in facts.listeners if item.port in ports}
    yield "who listens on the ports", sorted(listeners)


def _list_stores(facts: HostFacts) -> Iterator[_facts.TrustStore]:
    for application in facts.applications:
        if application.java and application.java.truststore:
            yield application.java.truststore


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
