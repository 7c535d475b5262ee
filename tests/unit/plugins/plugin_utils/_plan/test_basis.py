# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan that was kept is carried out only where what it rests on is as it was."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener, ManagedEntry
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import basis


def add_listener(facts):
    facts.listeners.append(Listener("0.0.0.0", 9083, 7, "netcat"))


def change_connector(facts):
    facts.applications[0].server_xml.connectors[0].proxy_name = "other.example.com"


def change_trust(facts):
    facts.applications[0].java.truststore.fingerprints = ["aa"]


def change_record(facts):
    facts.managed.entries.append(ManagedEntry("vhost nginx x", "vhost", inventory="other"))


def change_proxy(facts):
    facts.proxies[0].hosts[0].line += 1


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (add_listener, "who listens on the ports"),
        (change_connector, "server.xml"),
        (change_trust, "trust stores"),
        (change_record, "the record of what is managed"),
        (change_proxy, "the configuration of the proxies"),
    ],
)
def test_each_part_counts(base, change, part):
    plan_input = base("same_host")
    kept = json.loads(json.dumps(make_plan(copy.deepcopy(plan_input)).basis))
    plan_input.accepted = kept
    assert "RTC112" not in {item.id for item in make_plan(copy.deepcopy(plan_input)).findings}
    change(plan_input.facts["wiki1"])
    plan = make_plan(plan_input)
    assert part in dict(basis.find_changes(kept, plan.basis)).values() or part in {
        name for _host, name in basis.find_changes(kept, plan.basis)
    }
    assert all(site.name in plan.stopped for site in plan.sites)


def test_another_wish_counts_and_so_does_a_host_more(base):
    plan_input = base("same_host")
    kept = make_plan(copy.deepcopy(plan_input)).basis
    plan_input.settings["wiki1"]["confluence"].port = 9085
    assert ("wiki1", "what is to be done") in set(basis.find_changes(kept, make_plan(plan_input).basis))
    assert [host for host, _part in basis.find_changes({}, kept)] == ["wiki1"]


def test_a_site_that_was_left_alone_in_the_plan_is_not_gone_on_with(base):
    plan_input = base("same_host")
    plan_input.facts["wiki1"].managed.lease_run = "20260101T000000Z-aaaa"
    kept = json.loads(json.dumps(make_plan(copy.deepcopy(plan_input)).basis))
    plan_input.accepted = kept
    assert "RTC112" not in {item.id for item in make_plan(copy.deepcopy(plan_input)).findings}
    plan_input.facts["wiki1"].managed.lease_run = ""
    plan = make_plan(plan_input)
    (found,) = [item for item in plan.findings if item.id == "RTC112"]
    assert found.message == "wiki1: which sites are left alone: not as it was when the plan was made."
    assert list(plan.stopped) == ["wiki.example.com:9083"]
