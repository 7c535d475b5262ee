# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""README.md of each role from its argument specification. ``tools/generate_docs.py`` writes and checks them.

The description of a role is paragraphs. One of each kind in ``LABELS`` begins with its label in bold, as
``B(Changes:)``; the others are the purpose.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
HEAD = "<!-- Written by tools/generate_docs.py from meta/argument_specs.yml. Do not edit. -->"
LABELS = {"Requirements": "Requirements", "Changes": "What it changes", "Undo": "How it is undone"}  # label -> heading
WIDTH = 120
UNTESTED = {"EL": " (tried in part: docs/platforms.md)"}  # platform -> what was not tried on a real host of it
# Action group -> the option that a play sets with it, its value in playbooks/site.yml, and what it is for.
DEFAULTS = {
    "undoable": (
        "undo_dir",
        "/var/lib/collab-rtc/undo/{{ rtc_plan.run }}",
        "records each file before its first change, for `collab.rtc.rollback`",
    ),
    "writing": (
        "backup",
        "{{ rtc_backup | default(false) }}",
        "keeps a copy of each changed file beside it",
    ),
}


def render_all() -> dict[Path, str]:
    """Path -> text of the README of each role."""
    return {path / "README.md": render(path) for path in sorted((ROOT / "roles").iterdir())}


def render(role: Path) -> str:
    """The README of a role.

    :raises ValueError: the argument specification lacks a part of the README.
    """
    (spec,) = _load(role / "meta/argument_specs.yml")["argument_specs"].values()
    meta = _load(role / "meta/main.yml")
    purpose, labelled = split_description(spec["description"])
    missing = [label for label in LABELS if label not in labelled] + ([] if spec.get("examples") else ["examples"])
    if missing:
        raise ValueError(f"roles/{role.name}/meta/argument_specs.yml has no {', '.join(missing)}.")
    defaults = _load(role / "defaults/main.yml") if (role / "defaults/main.yml").exists() else {}
    sections = {
        LABELS["Requirements"]: f"{labelled['Requirements']}\n\n{_requirements(meta)}",
        "Variables": _variables(spec["options"], defaults),
        "Module defaults": _module_defaults(role),
        "Example": f"```yaml\n{spec['examples'].strip()}\n```",
        LABELS["Changes"]: labelled["Changes"],
        LABELS["Undo"]: labelled["Undo"],
    }
    parts = [HEAD, f"# Role `collab.rtc.{role.name}`", spec["short_description"] + ".", "\n".join(purpose)]
    parts += [f"## {heading}\n\n{text}" for heading, text in sections.items() if text]
    return "\n\n".join(parts) + "\n"


def split_description(paragraphs: list[str]) -> tuple[list[str], dict[str, str]]:
    """The paragraphs of the purpose, and the text of each label, all as Markdown."""
    purpose, labelled = [], {}
    for paragraph in paragraphs:
        match = re.fullmatch(r"B\((\w+):\) (.*)", paragraph, re.DOTALL)
        if match:
            labelled[match.group(1)] = _wrap(to_markdown(match.group(2)))
        else:
            purpose.append(_wrap(f"- {to_markdown(paragraph)}", indent="  "))
    return purpose, labelled


def to_markdown(text: str) -> str:
    """Ansible's markup as Markdown: V(x), O(x), C(x) and M(x) are code."""
    text = re.sub(r"\bO\((\w+)=(\w+)\)", r"`\1: \2`", text)
    return re.sub(r"\b[VOCM]\(([^)]*)\)", r"`\1`", text)


def _wrap(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _requirements(meta: dict[str, Any]) -> str:
    info = meta["galaxy_info"]
    platforms = "; ".join(
        f"{item['name']} {', '.join(item['versions'])}{UNTESTED.get(item['name'], '')}" for item in info["platforms"]
    )
    lines = [f"- ansible-core {info['min_ansible_version']} or newer", f"- {platforms}"]
    names = [item["role"].rpartition(".")[2] for item in meta["dependencies"]]
    lines += [
        f"- role [`{name}`](../{name}/README.md), which runs first; its variables are needed too" for name in names
    ]
    return "\n".join(lines)


def _variables(options: dict[str, dict[str, Any]], defaults: dict[str, Any]) -> str:
    lines = ["| variable | type | required | default | description |", "|---|---|---|---|---|"]
    for name, option in options.items():
        default = _default(defaults[name]) if name in defaults else ""
        required = "yes" if option.get("required") else ""
        lines.append(f"| `{name}` | {_type(option)} | {required} | {default} | {_text(option['description'])} |")
    return "\n".join(lines)


def _type(option: dict[str, Any]) -> str:
    if "choices" in option:
        return ", ".join(f"`{item}`" for item in option["choices"])
    return f"list of {option['elements']}" if option["type"] == "list" else str(option["type"])


def _default(value: Any) -> str:
    """A default as it is in YAML; nothing where the variable is left out."""
    if isinstance(value, str):
        return "" if value == "{{ omit }}" else f"`{value or json.dumps(value)}`".replace("|", "\\|")
    return f"`{json.dumps(value)}`"


def _text(description: str | list[str]) -> str:
    paragraphs = [description] if isinstance(description, str) else description
    return to_markdown(" ".join(paragraphs)).replace("|", "\\|")


def _module_defaults(role: Path) -> str:
    modules = list_modules(role)
    groups = {name: [item for item in modules if item in members(name)] for name in DEFAULTS}
    used = {name: found for name, found in groups.items() if found}
    if not used:
        return ""
    lines = [
        "The playbook `collab.rtc.site` sets these. A play that uses the role alone sets them itself.\n",
        "```yaml",
    ]
    lines += ["module_defaults:"]
    for name in used:
        option, value, _purpose = DEFAULTS[name]
        lines += [f"  group/collab.rtc.{name}:", f'    {option}: "{value}"']
    lines += ["```\n"]
    for name, found in used.items():
        option, _value, purpose = DEFAULTS[name]
        lines.append(f"- `{option}` {purpose} ({', '.join(f'`{item}`' for item in found)}).")
    return "\n".join(lines)


def list_modules(role: Path) -> list[str]:
    """The modules of this collection that the tasks of a role call, in their order."""
    tasks = [path.read_text(encoding="utf-8") for path in sorted((role / "tasks").glob("*.yml"))]
    return list(dict.fromkeys(re.findall(r"^ +collab\.rtc\.(\w+):$", "\n".join(tasks), re.MULTILINE)))


def members(group: str) -> set[str]:
    """The modules of an action group, those of groups that it extends included."""
    entries = _load(ROOT / "meta/runtime.yml")["action_groups"][group]
    extended = [name for item in entries if isinstance(item, dict) for name in item["metadata"]["extend_group"]]
    return {item for item in entries if isinstance(item, str)}.union(*map(members, extended))


def _load(path: Path) -> dict[str, Any]:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict), path
    return data
