# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the playbooks make of inventory variables that the plan takes for not given."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.collab.rtc.plugins.filter import setting_for

APPLY = Path(__file__).resolve().parents[2] / "playbooks/parts/apply.yml"


@pytest.fixture
def evaluate():
    """A function: template and variables -> value, with the filter of this collection."""
    environment = NativeEnvironment()
    environment.filters["collab.rtc.setting_for"] = setting_for.FilterModule().filters()["setting_for"]
    return lambda template, **variables: environment.from_string(template).render(variables)


@pytest.mark.parametrize(("name", "default"), [("undo_keep", 20), ("undo_days", 400)])
def test_how_many_undo_records_stay(evaluate, name, default):
    plays = yaml.safe_load(APPLY.read_text(encoding="utf-8"))
    options = [play["module_defaults"]["group/collab.rtc.undoable"] for play in plays if "module_defaults" in play]
    assert options
    for option in options:
        found = [evaluate(option[name], **{f"rtc_{name}": value}) for value in (None, "", 0, 7, "7")]
        assert [int(value) for value in (evaluate(option[name]), *found)] == [default, default, default, 0, 7, 7]
