# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state as a value, and that everything in it is decided once a run."""

from __future__ import annotations

import ast
import collections
import dataclasses
import functools
import importlib
import json
import pathlib
import types

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils import _findings
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import decide, desired, topology

PACKAGE = "ansible_collections.collab.rtc.plugins.plugin_utils._plan"
DECIDING = (
    "topology", "applications", "site_proxy", "decide", "decide_node", "decide_service", "decide_trust", "decide_proxy",
    "existing_vhosts",
)  # fmt: skip
VERBS = ("choose", "classify", "decide", "detect", "find", "is_", "judge", "presume")


def state_of(plan_input):
    return decide.decide(topology.classify(plan_input))


def flatten(value, path=""):
    """Path -> plain value of all that is in data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return {path: value}
    return {
        key: item for name, inner in items for key, item in flatten(inner, f"{path}.{name}" if path else name).items()
    }


def changed(one, other):
    """The paths at which two states differ."""
    before, after = flatten(_facts.to_dict(one)), flatten(_facts.to_dict(other))
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


def test_the_same_input_leads_to_an_equal_state_and_a_state_survives_json(case, plan_input_of):
    state = state_of(plan_input_of(case["data"]))
    assert state == state_of(plan_input_of(case["data"]))
    assert _facts.from_dict(desired.DesiredState, json.loads(json.dumps(_facts.to_dict(state)))) == state


def test_a_state_holds_values_only(case, plan_input_of):
    def visit(value):
        if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                visit(getattr(value, field.name))
        elif isinstance(value, (list, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                visit(item)
        else:
            assert value is None or type(value) in (str, int, float, bool)

    visit(state_of(plan_input_of(case["data"])))


def test_nothing_in_a_state_can_be_set_again(base):
    (site,) = state_of(base("remote")).sites
    for part in (site, site.nodes[0], site.nodes[0].service, site.nodes[0].trust, site.proxy, site.proxy.rtc):
        with pytest.raises(dataclasses.FrozenInstanceError):
            part.evidence = {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # A change that nothing depends on.
        ({"facts.jira1.applications.0.version": "9.12.3"}, set()),
        ({"facts.proxy1.proxies.0.version": "2.4.1"}, set()),
        # One that one decision depends on, with its evidence.
        ({"vars.jira1.rtc_origins": ["https://other.example.com"]},
         {"sites.0.nodes.0.service.origins.0", "sites.0.nodes.0.service.evidence.origins"}),
        ({"vars.jira1.rtc_limits": {"connections": 99}}, {"sites.0.nodes.0.service.limits.connections"}),
        ({"facts.jira1.applications.0.server_xml.mtime": 1700009000}, {"sites.0.nodes.0.restart.reasons.0"}),
        ({"vars.jira1.rtc_listen": ["10.0.0.9"]},
         {"sites.0.proxy.rtc.plan.listen.0", "sites.0.proxy.rtc.evidence.listen"}),
        ({"facts.jira1.machine": "aarch64"}, {"sites.0.nodes.0.service.machine"}),
        # What is found at the proxy, and nothing that is wanted.
        ({"facts.proxy1.proxies.0.hosts.1.routes.0.buffering": True}, {"sites.0.proxy.rtc.existing.0.buffering"}),
        ({"facts.proxy1.proxies.0.hosts.1.routes.0.upgrade": False},
         {"sites.0.proxy.rtc.existing.0.faults.0", "sites.0.proxy.rtc.existing.0.right"}),
    ],
)  # fmt: skip
def test_a_near_miss_changes_just_what_depends_on_it(base, change, expected):
    assert changed(state_of(base("remote")), state_of(base("remote", set=change))) == expected


def test_evidence_is_of_a_field_and_says_something(case, plan_input_of):
    def visit(value):
        if dataclasses.is_dataclass(value):
            names = {field.name for field in dataclasses.fields(value)}
            evidence = getattr(value, "evidence", None)
            if isinstance(evidence, dict):
                known = names | {field.name for field in dataclasses.fields(getattr(value, "plan", value))}
                assert set(evidence) <= known
                assert all(
                    text and not text.endswith(".") for name, text in evidence.items() if getattr(value, name, 1)
                )
            for name in names:
                visit(getattr(value, name))
        elif isinstance(value, list):
            for item in value:
                visit(item)

    visit(state_of(plan_input_of(case["data"])))


def record_decisions(monkeypatch):
    """Name and arguments of each call of a function that decides, of all modules between input and state."""
    calls = []

    def recording(function, name):
        @functools.wraps(function)
        def call(*args):
            calls.append((name, args))  # with the arguments themselves, so that no other object gets their ids
            return function(*args)

        return call

    for short in DECIDING:
        module = importlib.import_module(f"{PACKAGE}.{short}")
        for name, function in list(vars(module).items()):
            if isinstance(function, types.FunctionType) and name.lstrip("_").startswith(VERBS):
                monkeypatch.setattr(module, name, recording(function, f"{function.__module__}.{name}"))
    return calls


@pytest.mark.parametrize("name", ["direct", "remote", "same_host", "cluster", "reencrypt", "unlisted"])
def test_no_decision_is_made_twice_in_a_whole_run(base, monkeypatch, name):
    """From the input to the muted findings, as the action does it."""
    plan_input = base(name)
    calls = record_decisions(monkeypatch)
    plan = make_plan(plan_input)

    times = collections.Counter((name, *map(id, args)) for name, args in calls)
    assert [key for key, number in times.items() if number > 1] == []
    of = collections.Counter(name.rpartition(".")[2] for name, _args in calls)
    nodes = sum(len(site.nodes) for site in plan.sites)
    for short in ("decide_node", "decide_connector", "decide_service", "decide_python", "decide_trust"):
        assert of[short] == nodes
    for short in ("find_proxy", "decide_site", "decide_proxy"):
        assert of[short] == len(plan.sites)


def test_findings_and_plan_import_no_decision():
    """They read the state. ``routing``, ``versions`` and ``labels`` know nothing of sites."""
    allowed = {"basis", "desired", "difference", "labels", "model", "routing", "schema", "versions", "wanted"}
    plan = pathlib.Path(desired.__file__).parent
    for path in [*pathlib.Path(_findings.__path__[0]).glob("*.py"), plan / "build.py"]:
        for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(PACKAGE):
                rest = (statement.module or "")[len(PACKAGE) + 1 :]
                names = {rest} if rest else {alias.name for alias in statement.names}
                assert names <= allowed, f"{path.name} imports {names - allowed}"
