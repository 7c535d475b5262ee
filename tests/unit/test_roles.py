# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles' argument specifications agree with their defaults, names and examples."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


@pytest.fixture(params=ROLES, ids=[path.name for path in ROLES])
def role(request) -> Path:
    return request.param


def test_defaults_are_those_of_the_specification(role):
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(role / "defaults/main.yml")
    assert set(defaults) == {name for name, option in options.items() if not option.get("required")}
    for name, value in defaults.items():
        if not (isinstance(value, str) and "{{" in value):  # a template has its value from the inventory
            assert options[name]["default"] == value


def test_variables_begin_with_the_name_of_the_role(role):
    names = set(load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"])
    names |= set(load(role / "vars/main.yml"))
    assert all(name.startswith(f"{role.name}_") for name in names)


def test_the_example_uses_the_role(role):
    plays = yaml.safe_load(load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["examples"])
    used = {item["role"]: item.get("vars", {}) for play in plays for item in play.get("roles", [])}
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert required <= set(used[f"collab.rtc.{role.name}"])


def test_findings_name_roles_that_exist():
    named = {entry.role for entry in catalog.CATALOGUE.values() if entry.role}
    assert named <= {role.name for role in ROLES}
