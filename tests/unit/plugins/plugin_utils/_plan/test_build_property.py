# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a host tells, there is a plan: facts with parts missing, or with values that nobody thought of."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import schema
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text
from ansible_collections.collab.rtc.tests.unit import plan_cases

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402 - after the guard


@hypothesis.given(st.data())
@hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
def test_there_is_always_a_plan(plan_input_of, all_cases, data):
    case = data.draw(st.sampled_from(all_cases), label="case")["data"]
    facts = copy.deepcopy(case["facts"])
    where = [path for path in plan_cases.list_places(facts) if len(path) > 1]
    for path in data.draw(st.lists(st.sampled_from(where), min_size=1, max_size=6), label="changed"):
        plan_cases.change_place(facts, path, lambda values: data.draw(st.sampled_from(values)))
    hypothesis.note(json.dumps(facts))

    plan = make_plan(plan_input_of({**case, "facts": facts}))

    assert _facts.from_dict(schema.Plan, json.loads(json.dumps(_facts.to_dict(plan)))) == plan
    assert all(item.id in catalog.CATALOGUE for item in plan.findings)
    assert text.render_plan(plan)
    for host in plan.hosts.values():
        for vhost in host.vhosts:
            assert vhost.upstreams
            assert vhost.listen or any(item.id == "RTC607" for item in plan.findings)
