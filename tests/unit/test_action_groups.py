# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each action group holds exactly the modules that have its options and that document it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from ansible_collections.collab.rtc.plugins.doc_fragments import checking, writing

ROOT = Path(__file__).resolve().parents[2]
FRAGMENTS = {
    "collab.rtc.writing": writing.ModuleDocFragment.DOCUMENTATION,
    "collab.rtc.writing.undoable": writing.ModuleDocFragment.UNDOABLE,
    "collab.rtc.checking": checking.ModuleDocFragment.DOCUMENTATION,
}


def documentation(path: Path) -> dict:
    """The DOCUMENTATION of a module, with the options and action groups of its fragments."""
    values = {
        node.targets[0].id: node.value.value
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    found = yaml.safe_load(values["DOCUMENTATION"])
    options, groups = set(found.get("options") or {}), set()
    for name in set(found.get("extends_documentation_fragment", [])) & set(FRAGMENTS):
        fragment = yaml.safe_load(FRAGMENTS[name])
        options |= set(fragment["options"])
        groups |= set(fragment["attributes"]["action_group"]["membership"])
    return {"options": options, "groups": groups}


MODULES = {path.stem: documentation(path) for path in sorted((ROOT / "plugins/modules").glob("*.py"))}


def members(group: str) -> set[str]:
    """The modules of a group, those of groups that it extends included."""
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["action_groups"]
    found = {item for item in groups[group] if isinstance(item, str)}
    extended = [name for item in groups[group] if isinstance(item, dict) for name in item["metadata"]["extend_group"]]
    return found.union(*map(members, extended))


@pytest.mark.parametrize(
    ("group", "options"),
    [
        ("writing", {"backup", "undo_dir", "undo_keep", "undo_days"}),
        ("undoable", {"undo_dir", "undo_keep", "undo_days"}),
        ("checking", {"url", "connect_to", "ca", "system_trust", "timeout", "fail"}),
    ],
)
def test_a_group_holds_the_modules_with_its_options(group, options):
    assert members(group) == {name for name, module in MODULES.items() if options <= module["options"]}
    assert members(group) == {name for name, module in MODULES.items() if f"collab.rtc.{group}" in module["groups"]}
