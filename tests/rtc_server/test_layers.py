# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom in the server: no circle, and the engine and the journal stand on their own."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

from rtc_support import SOURCE


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


FILES = {module_of(str(path.relative_to(SOURCE))): path for path in SOURCE.rglob("*.py")}


def imports_of(module: str) -> set[str]:
    """The server's modules that a module imports anywhere: at its head, in a function, for type checking only."""
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parents, *filter(None, [node.module])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= names if names <= FILES.keys() else {source} | names
    return found & FILES.keys()


GRAPH = {module: imports_of(module) for module in FILES}


def outside(package: str) -> set[str]:
    """What the modules of a package import from elsewhere in the server."""
    inside = {module for module in GRAPH if module == package or module.startswith(package + ".")}
    return set().union(*(GRAPH[module] for module in inside)) - inside


def test_no_circle() -> None:
    TopologicalSorter(GRAPH).prepare()  # raises CycleError, which names the circle
    assert GRAPH["rtc_server.projects"] >= {"rtc_server.engine", "rtc_server.project"}  # imports are seen at all


def test_the_engine_knows_nothing_of_projects() -> None:
    assert outside("rtc_server.engine") == {"rtc_server.histogram", "rtc_server.rarely"}


def test_the_journal_knows_nothing_of_the_engine() -> None:
    assert outside("rtc_server.journal") == {"rtc_server.strict_json", "rtc_server.rarely", "rtc_server.histogram"}


def test_the_store_knows_nothing_of_the_engine() -> None:
    others = {m for m in outside("rtc_server.store_postgres") if not m.startswith("rtc_server.journal")}
    assert others <= {"rtc_server.strict_json", "rtc_server.rarely", "rtc_server.histogram"}


def test_a_server_without_a_store_needs_no_driver() -> None:
    """What imports the driver is imported where a store is configured, and by nothing at its head."""
    code = "import sys, rtc_server.app, rtc_server.cli; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}, check=False).returncode == 0


def test_only_the_wiring_chooses_a_store() -> None:
    stores = {"rtc_server.journal.sqlite"}
    assert {m for m, used in GRAPH.items() if used & stores and not m.startswith("rtc_server.journal.")} == {
        "rtc_server.app"
    }


def test_the_admin_is_beside_the_service_and_only_the_wiring_knows_it() -> None:
    users = {module for module, used in GRAPH.items() if any(m.startswith("rtc_server.admin") for m in used)}
    assert {m for m in users if not m.startswith("rtc_server.admin")} == {"rtc_server.app"}
    assert outside("rtc_server.admin") & {"rtc_server.app", "rtc_server.cli", "rtc_server.doctor"} == set()
    assert "rtc_server.service" in outside("rtc_server.admin")
