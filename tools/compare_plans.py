# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show that a change of the code changes no plan: make the plans of many inputs before and after, and compare them.

``compare_plans.py dump OUT.json [--tree DIR] [--seeds N]``
    runs the planner of a tree (by default, of this one) over every base and case of tests/unit/data/cases, and over N
    variations of them: facts changed as the property test of the plan changes them, the same for the same seed. Both
    dumps take their inputs from the tree that this file is in. ``tools/setup`` has to have run in DIR.

``compare_plans.py diff OLD.json NEW.json``
    prints what differs, with the renamed keys and texts below mapped, and exits with 1 when anything does. The files
    are two dumps, or what two runs wrote by ``-e rtc_plan_file=FILE``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COLLECTION = "ansible_collections.collab.rtc.plugins"
SEEDS = 3000
SHOWN = 40  # differences that are printed one by one

# What was renamed on purpose since a dump of the old tree was made; the changelog names it too.
RENAMED_KEYS = {"seed_from": "copy_from", "pending": "reasons"}
RENAMED_TEXTS = {
    "before Tomcat ends TLS": "in front of Tomcat ends TLS",
    "which one is before ": "which one is in front of ",
    "is not told to read": "is not configured to read",
    ": our instance ": ": the managed instance ",
}
# Remedies that were rewritten on purpose as a whole: id of the finding -> the text before the part that is new.
REWRITTEN_REMEDIES = {"RTC410": "Or configure it by hand; for "}  # the renderers write what follows

Planner = Callable[[dict[str, Any]], dict[str, Any]]


def load_planner(tree: Path) -> Planner:
    """A function from the data of an input to its plan with findings, by the code of ``tree``."""
    flat = not (tree / "plugins" / "plugin_utils").is_dir()
    return load_flat_planner() if flat else load_package_planner()


def load_package_planner() -> Planner:
    """The planner of this layout."""
    facts = importlib.import_module(f"{COLLECTION}.module_utils._facts")
    tls_files = importlib.import_module(f"{COLLECTION}.plugin_utils._inventory.tls_files")
    load_inventory = importlib.import_module(f"{COLLECTION}.plugin_utils._plan.load_inventory")
    model = importlib.import_module(f"{COLLECTION}.plugin_utils._plan.model")
    action = importlib.import_module(f"{COLLECTION}.action.plan")

    def plan(data: dict[str, Any]) -> dict[str, Any]:
        given = model.PlanInput(now=data["now"], groups=data["groups"], failed=data.get("failed", {}))
        fill(given, data, facts, tls_files.GivenTls, load_inventory.add_host)
        result: dict[str, Any] = facts.to_dict(action.make_plan(given))
        return result

    return plan


def load_flat_planner() -> Planner:
    """The planner of releases up to 0.1.0, whose helpers were all in ``plugins/module_utils``.

    With it the first dump of this layout was compared; it can go when nobody compares with such a tree any more.
    """
    facts = importlib.import_module(f"{COLLECTION}.module_utils._facts")
    tls_files = importlib.import_module(f"{COLLECTION}.module_utils._given_tls")
    load_inventory = importlib.import_module(f"{COLLECTION}.module_utils._landscape")
    topology = importlib.import_module(f"{COLLECTION}.module_utils._topology")
    build = importlib.import_module(f"{COLLECTION}.module_utils._planning")

    def plan(data: dict[str, Any]) -> dict[str, Any]:
        given = topology.Landscape(now=data["now"], groups=data["groups"], failed=data.get("failed", {}))
        fill(given, data, facts, tls_files.GivenTls, load_inventory.add)
        result: dict[str, Any] = facts.to_dict(build.make_plan(given))
        return result

    return plan


def fill(given: Any, data: dict[str, Any], facts: Any, given_tls: Any, add: Callable[..., Any]) -> None:
    """Read the data of an input as the action reads hosts and inventory."""
    for host, found in data["facts"].items():
        given.facts[host] = facts.from_dict(facts.HostFacts, found)
    for host in dict.fromkeys(host for members in data["groups"].values() for host in members):
        add(given, host, data.get("vars", {}).get(host, {}))
    for host, kinds in data.get("tls", {}).items():
        given.tls[host] = {kind: given_tls(**values) for kind, values in kinds.items()}


def list_inputs(seeds: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and data of every input."""
    cases = importlib.import_module("plan_cases")
    bases = cases.load_bases()
    for name in bases["bases"]:
        yield f"base {name}", cases.make_input(bases, {"base": name})
    loaded = cases.load_cases(bases)
    for case in loaded:
        yield f"case {case['name']}", case["data"]
    for seed in range(seeds):
        name, data = cases.vary(loaded, seed)
        yield f"seed {seed} {name}", data


def dump(out: Path, tree: Path, seeds: int) -> int:
    """Write the plan of every input, one line each, so that files can be compared by other tools too."""
    if os.environ.get("COMPARE_PLANS_TREE") != str(tree):
        # Start again, so that nothing of another tree is imported; sets have the same order in both runs.
        path = os.pathsep.join([str(tree / ".build" / "src"), str(ROOT / "tests" / "unit")])
        environment = {
            **os.environ,
            "COMPARE_PLANS_TREE": str(tree),
            "PYTHONPATH": path,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode
    planner = load_planner(tree)
    lines = []
    for name, data in list_inputs(seeds):
        try:
            result = planner(data)
        except Exception as error:
            result = {"raised": repr(error)}
        lines.append(f"{json.dumps(name)}: {json.dumps(result, sort_keys=True)}")
    out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{out}: {len(lines)} plans")
    return 0


def load(path: Path) -> dict[str, Any]:
    """Name of an input -> its plan; the file of a real run has one without a name."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {"run": data} if "sites" in data else data


def rename(value: Any) -> Any:
    """A value of the old plan with the names and texts of the new one."""
    if isinstance(value, dict):
        found: dict[str, Any] = {RENAMED_KEYS.get(str(key), str(key)): rename(item) for key, item in value.items()}
        return cut_remedy(found) if "remedy" in found else found
    if isinstance(value, list):
        return [rename(item) for item in value]
    if isinstance(value, str):
        for old, new in RENAMED_TEXTS.items():
            value = value.replace(old, new)
    return value


def cut_remedy(finding: dict[str, Any]) -> dict[str, Any]:
    """The finding without the part of its remedy that is new as a whole."""
    start = REWRITTEN_REMEDIES.get(finding["id"])
    if start is None or start not in finding["remedy"]:
        return finding
    return {**finding, "remedy": finding["remedy"].partition(start)[0] + start}


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """A line for each place where two plans differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            here = f"{path}.{key}" if path else key
            if key not in new:
                yield f"{here}: gone, was {shorten(old[key])}"
            elif key not in old:
                yield f"{here}: new, {shorten(new[key])}"
            else:
                yield from differences(old[key], new[key], here)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif old != new or type(old) is not type(new):
        yield f"{path}: {shorten(old)} -> {shorten(new)}"


def shorten(value: Any) -> str:
    """A value as JSON of one line."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + "..."


def diff(old: Path, new: Path) -> int:
    """Print what differs; exit status 1 when anything does."""
    before, after = load(old), load(new)
    found: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            found.append(f"{name}: only in {new if name in after else old}")
        else:
            # Findings that compare equal may have changed places with a text that sorts otherwise: sort both again.
            found += [f"{name}: {line}" for line in differences(sort(rename(before[name])), sort(cut(after[name])))]
    for line in found[:SHOWN]:
        print(line)
    more = f", {len(found) - SHOWN} not shown" if len(found) > SHOWN else ""
    print(f"{len(found)} differences in {len(before)} plans{more}")
    return 1 if found else 0


def cut(plan: dict[str, Any]) -> dict[str, Any]:
    """The new plan without the remedies that are not compared."""
    return {**plan, "findings": [cut_remedy(item) for item in plan.get("findings", [])]} if "findings" in plan else plan


def sort(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan with its findings in an order that hangs on what they say alone."""
    if "findings" not in plan:
        return plan
    return {**plan, "findings": sorted(plan["findings"], key=lambda item: json.dumps(item, sort_keys=True))}


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    dumping = commands.add_parser("dump", help="write the plans of all inputs")
    dumping.add_argument("out", type=Path)
    dumping.add_argument("--tree", type=Path, default=ROOT, help="the checkout whose code plans")
    dumping.add_argument("--seeds", type=int, default=SEEDS, help="how many variations")
    comparing = commands.add_parser("diff", help="compare two dumps, or two plan files")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    given = parser.parse_args()
    if given.command == "dump":
        return dump(given.out, given.tree.resolve(), given.seeds)
    return diff(given.old, given.new)


if __name__ == "__main__":
    sys.exit(main())
