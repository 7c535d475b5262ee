# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom, that nothing goes in circles, and how much source a module sends to a host.

Every import counts, lazy ones and those for types too: Ansible ships whatever an import statement names, wherever it
stands. The RTC server has a test of its own (``tests/rtc_server``).
"""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.tools import shipped

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PREFIX = "ansible_collections.collab.rtc.plugins."

# From the bottom up. A package imports from packages below its own row; files of the bottom row from each other too.
HOST_LAYERS = [
    {
        "_errors",
        "_argspec",
        "_commands",
        "_container_facts",
        "_facts",
        "_files",
        "_files_tree",
        "_labels",
        "_mask",
        "_memory_file",
        "_obstacle_facts",
        "_place",
        "_process_files",
        "_quiet_module",
        "_ownership",
        "_secret_text",
    },
    {"_undo", "_shell", "_rtc_server"},
    {"_xml", "_x509", "_java", "_instance"},
    {"_host"},
    {"_tomcat", "_proxy", "_postgres"},
    {"_keystore"},
    {"_managed"},
    {"_detect", "_verify"},
]
CONTROLLER_LAYERS = [
    {"_finding"},
    {"_inventory", "_aws"},
    {"_plan"},
    {"_run"},
    {"_findings", "_report", "_release"},
]
# What each kind of plugin may import from.
KINDS = {
    "module_utils": {"module_utils"},
    "modules": {"module_utils"},
    "plugin_utils": {"module_utils", "plugin_utils"},
    "action": {"module_utils", "plugin_utils"},
    "filter": {"module_utils", "plugin_utils"},
    "doc_fragments": set(),
}
# Beside the standard library and Ansible's module_utils, and only where it is caught that they are missing.
OPTIONAL = {
    "module_utils._x509.chain": {"cryptography"},  # signatures on elliptic curves are left unchecked without it
    "module_utils._verify.session": {"aiohttp", "socketio"},  # runs on the controller
}
# Lines of source that Ansible sends with a module, at most, its own file included. A host compiles them at every run, so
# raise a bound only when the module really does more.
SHIPPED_LINES = {
    "application_check": 3260,
    "java_truststore": 5600,
    "jvm_truststore_option": 6040,
    "keystore_pem": 6640,
    "managed_absent": 2770,
    "managed_file": 2490,
    "managed_record": 7680,
    "plan": 170,  # documentation: the action does the work
    "proxy_vhost": 13530,  # the way to the panel in three renderers; what reading computes for RTC's requests
    "proxy_reload": 10480,
    "report": 80,  # documentation: the action does the work
    "rtc_bundle": 90,  # documentation: the action does the work
    "rtc_aws_listener": 220,  # documentation: the action does the work
    "rtc_instance": 3560,  # a move that goes on after whatever fails
    "rtc_probe": 5270,
    "rtc_release": 2870,
    "rtc_session": 4240,  # pages and snapshots of a long project
    "store_database": 4000,  # what is given back where PostgreSQL does not start
    "rtc_runs_info": 3780,
    "rtc_undo": 5060,  # asks the RTC server for its projects, as detection asks it; what a move has kept
    "tomcat_connector": 3520,  # with the rule for secrets, of which its diff is full
    "topology_info": 19350,
}


def read_imports(path: Path) -> set[str]:
    """Full names of all that a file imports: modules, and what comes ``from`` them (a module or a name in one)."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


FILES = {
    ".".join(path.relative_to(PLUGINS).with_suffix("").parts): path
    for path in sorted(PLUGINS.rglob("*.py"))
    if path.name != "__init__.py"
}
IMPORTS = {name: read_imports(path) for name, path in FILES.items()}


def find_own(names: set[str]) -> set[str]:
    """The files of this collection among imported names."""
    own = {name[len(PREFIX) :] for name in names if name.startswith(PREFIX)}
    return {name if name in FILES else name.rpartition(".")[0] for name in own}


OWN = {name: find_own(names) for name, names in IMPORTS.items()}


def package_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, or nothing."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_each_kind_of_plugin_imports_only_what_it_may():
    wrong = [
        f"{name} imports {other}"
        for name, others in OWN.items()
        for other in sorted(others)
        if other.split(".")[0] not in KINDS[name.split(".")[0]]
    ]
    assert wrong == []


@pytest.mark.parametrize(("kind", "layers"), [("module_utils", HOST_LAYERS), ("plugin_utils", CONTROLLER_LAYERS)])
def test_imports_go_downwards(kind, layers):
    row = {package: number for number, packages in enumerate(layers) for package in packages}
    wrong = []
    for name in (name for name in FILES if name.startswith(f"{kind}.")):
        package = name.split(".")[1]
        assert package in row, f"{name}: give the package {package} a place in the layers of this test"
        for other in sorted(other for other in OWN[name] if other.startswith(f"{kind}.")):
            target = other.split(".")[1]
            assert target in row, f"{name} imports {other}"
            if target != package and (row[target] > row[package] or row[target] == row[package] > 0):
                wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_no_circle_between_files_or_packages():
    assert find_circle(OWN) == []
    packages: dict[str, set[str]] = {}
    for name, others in OWN.items():
        packages.setdefault(package_of(name), set()).update(package_of(other) for other in others)
    for package, others in packages.items():
        others.discard(package)
    assert find_circle(packages) == []


def test_hosts_need_nothing_but_python():
    wrong = []
    for name in (name for name in FILES if name.split(".")[0] in ("modules", "module_utils")):
        for imported in sorted(IMPORTS[name]):
            top = imported.split(".")[0]
            if top in sys.stdlib_module_names or imported.startswith((PREFIX, "ansible.module_utils.")):
                continue
            if top not in OPTIONAL.get(name, ()):
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


# What touches a host's files by path, and where it may be used all the same. Looking (``os.path.exists``) is no harm.
BY_PATH = {
    "os": {"rename", "replace", "link", "symlink", "unlink", "remove", "rmdir", "removedirs", "mkdir", "makedirs", "chmod",
           "chown", "lchown", "truncate", "open", "setxattr", "removexattr", "mkfifo", "mknod", "utime"},
    "shutil": {"copy", "copy2", "copyfile", "copyfileobj", "copytree", "copymode", "copystat", "move", "rmtree", "chown"},
    "tempfile": {"mkstemp", "mkdtemp", "mktemp", "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory",
                 "SpooledTemporaryFile"},
}  # fmt: skip
MAY_USE_PATHS = {
    "module_utils._process_files",  # /proc
    "module_utils._place", "module_utils._files", "module_utils._files_tree",  # this is what they are for
    "module_utils._labels",  # of a link in a directory that nobody else can enter
    "module_utils._host.rootfs",  # reads by the same rules
    "module_utils._host.container_files",  # the root directory of a container, once
    "module_utils._host.processes", "module_utils._proxy.daemon", "module_utils._proxy.binding",  # /proc
    "module_utils._proxy.selinux_firewalld",  # /sys
    "module_utils._managed.lease",  # locks a directory, by its descriptor
}  # fmt: skip


def list_calls_by_path(path: Path) -> set[str]:
    """Calls that reach a host's files by their paths, with lines."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            found.add(f"{node.lineno}: open")
        elif isinstance(function, ast.Attribute):
            owner = function.value.id if isinstance(function.value, ast.Name) else ""
            if function.attr in BY_PATH.get(owner, ()):
                found.add(f"{node.lineno}: {owner}.{function.attr}")
    return found


def test_files_of_a_host_are_touched_by_descriptors_only():
    names = [name for name in FILES if name.split(".")[0] in ("modules", "module_utils")]
    wrong = {name: found for name in names if (found := list_calls_by_path(FILES[name]))}
    assert {name: found for name, found in wrong.items() if name not in MAY_USE_PATHS} == {}


def test_every_module_has_a_bound():
    assert {name.split(".")[1] for name in FILES if name.startswith("modules.")} == set(SHIPPED_LINES)


@pytest.mark.parametrize(("module", "most"), SHIPPED_LINES.items())
def test_a_module_ships_no_more_than_it_needs(module, most):
    files = shipped.shipped(module)
    assert sum(files.values()) <= most, "\n".join(f"{lines:5} {path}" for path, lines in sorted(files.items()))
