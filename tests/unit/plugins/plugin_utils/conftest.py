# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases as data: every test with the argument ``case`` runs for each entry of ``tests/unit/data/cases/*.yml``."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit import plan_cases

BASES = plan_cases.load_bases()
ALL = plan_cases.load_cases(BASES)
MACHINE_ID = "0123456789abcdef"


def pytest_generate_tests(metafunc):
    """Give each test that wants a case all of them."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", ALL, ids=[item["name"] for item in ALL])


@pytest.fixture(scope="session")
def all_cases():
    """Every case."""
    return ALL


@pytest.fixture
def plan_input_of():
    """A function: data of a case -> what the plan is made from, read as the action reads the inventory."""
    from ansible_collections.collab.rtc.plugins.module_utils import _facts
    from ansible_collections.collab.rtc.plugins.plugin_utils._aws import model as aws
    from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
    from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import Problem, explain_outside
    from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory
    from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import PlanInput, Supply

    def build(data):
        plan_input = PlanInput(now=data["now"], groups=data["groups"], failed=data.get("failed", {}))
        plan_input.accepted = data.get("accepted")
        plan_input.supply = Supply("", "0.1.0", "00ff00ff00ff")
        for host, bundle in data.get("bundles", {}).items():
            plan_input.bundles[host] = Supply(**bundle)
        for host, facts in data["facts"].items():
            plan_input.facts[host] = _facts.from_dict(_facts.HostFacts, facts)
        first = next((host for members in data["groups"].values() for host in members), "")
        for host in {host for members in data["groups"].values() for host in members}:
            wrong = data.get("wrong_bundles", {}).get(host)  # as the action reads it
            problems = [Problem("RTC550", "rtc_bundle", wrong, "Copy it again.")] if wrong else []
            problems += explain_outside(data.get("outside", {}).get(host, []))  # likewise
            problems += load_inventory.explain_groups(data["groups"]) if host == first else []
            load_inventory.add_host(plan_input, host, data.get("vars", {}).get(host, {}), problems)
        for host, kinds in data.get("tls", {}).items():
            plan_input.tls[host] = {kind: GivenTls(**given) for kind, given in kinds.items()}
        for listener, seen in data.get("aws", {}).items():
            plan_input.aws = plan_input.aws or {}
            problem = seen.get("problem")
            plan_input.aws[listener] = aws.Problem(**problem) if problem else _facts.from_dict(aws.Seen, seen)
        return plan_input

    return build


@pytest.fixture
def base(plan_input_of):
    """A function: name of a base and changes to it -> what the plan is made from."""

    def build(name, **changes):
        return plan_input_of(plan_cases.make_input(BASES, {"base": name, **changes}))

    return build


@pytest.fixture
def record():
    """A function: leave the hosts as the run of a plan leaves them, as far as the records go."""
    from ansible_collections.collab.rtc.plugins.module_utils._facts import ManagedEntry

    def leave(plan_input, plan):
        for host, facts in plan_input.facts.items():
            facts.machine_id = facts.managed.machine = MACHINE_ID
            facts.managed.host = host
            for values in plan.hosts[host].records:
                kept = {name: value for name, value in values.items() if name != "adopt"}
                entry = ManagedEntry(state="as_written", **kept)
                if entry.kind == "connector":
                    entry.before = dict.fromkeys(entry.what["attributes"])
                facts.managed.entries = [one for one in facts.managed.entries if one.key != entry.key] + [entry]

    return leave


@pytest.fixture
def provisioned(base, record):
    """A function: the input of a base after a run."""
    from ansible_collections.collab.rtc.plugins.action.plan import make_plan

    def build(name="remote", **changes):
        plan_input = base(name, **changes)
        record(plan_input, make_plan(plan_input))
        return plan_input

    return build
