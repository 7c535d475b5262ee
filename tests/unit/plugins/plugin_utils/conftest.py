# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases as data: every test with the argument ``case`` runs for each entry of ``tests/unit/data/cases/*.yml``."""

from __future__ import annotations

import copy
import pathlib

import pytest
import yaml

CASES = pathlib.Path(__file__).parents[2] / "data" / "cases"


def _load():
    bases = yaml.safe_load((CASES / "bases.yml").read_text(encoding="utf-8"))
    cases = []
    for path in sorted(CASES.glob("*.yml")):
        if path.name != "bases.yml":
            for case in yaml.safe_load(path.read_text(encoding="utf-8")):
                case["data"] = _build(bases, case)
                cases.append(case)
    return bases, cases


def _build(bases, case):
    data = copy.deepcopy(bases["bases"][case["base"]])
    data = _unshare(data)
    data["now"] = bases["now"]
    for path in case.get("unset", ()):
        _change(data, path)
    for path, value in case.get("set", {}).items():
        _change(data, path, copy.deepcopy(value))
    return data


def _unshare(value):
    """YAML anchors make one object of several places; a change of one place must not change the others."""
    if isinstance(value, dict):
        return {key: _unshare(item) for key, item in value.items()}
    return [_unshare(item) for item in value] if isinstance(value, list) else value


_GONE = object()


def _change(data, path, value=_GONE):
    """Set or remove what a dotted path names. Numbers are indexes of lists; "+" appends. File names have no place in it."""
    *parents, last = path.split(".")
    for name in parents:
        data = data[int(name)] if isinstance(data, list) else data.setdefault(name, {})
    if isinstance(data, list) and last == "+":
        data.append(value)
    elif value is _GONE:
        del data[int(last) if isinstance(data, list) else last]
    else:
        data[int(last) if isinstance(data, list) else last] = value


BASES, ALL = _load()


def pytest_generate_tests(metafunc):
    """Give each test that wants a case all of them."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", ALL, ids=[item["name"] for item in ALL])


@pytest.fixture(scope="session")
def all_cases():
    """Every case."""
    return ALL


@pytest.fixture
def landscape_of():
    """A function: data of a case -> what the plan is made from, read as the action reads the inventory."""
    from ansible_collections.collab.rtc.plugins.module_utils import _facts
    from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.tls_files import GivenTls
    from ansible_collections.collab.rtc.plugins.plugin_utils._plan import load_inventory
    from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import Landscape

    def build(data):
        landscape = Landscape(now=data["now"], groups=data["groups"], failed=data.get("failed", {}))
        for host, facts in data["facts"].items():
            landscape.facts[host] = _facts.from_dict(_facts.HostFacts, facts)
        for host in {host for members in data["groups"].values() for host in members}:
            load_inventory.add(landscape, host, data.get("vars", {}).get(host, {}))
        for host, kinds in data.get("tls", {}).items():
            landscape.tls[host] = {kind: GivenTls(**given) for kind, given in kinds.items()}
        return landscape

    return build


@pytest.fixture
def base(landscape_of):
    """A function: name of a base and changes to it -> landscape."""

    def build(name, **changes):
        return landscape_of(_build(BASES, {"base": name, **changes}))

    return build
