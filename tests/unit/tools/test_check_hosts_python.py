# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate for the hosts' Python catches what it is there for."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tools import check_hosts_python

pytest.importorskip("vermin")

FUTURE = "from __future__ import annotations\n"
MATCH = "def f(x):\n    match x:\n        case 1:\n            return 2\n"
WALRUS = "def f(x):\n    return y if (y := x) else None\n"
LATER_IN_A_FUNCTION = "def f(x):\n    return isinstance(x, int | str)\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        pytest.param("def f(name):\n    return name.removeprefix('x')\n", "removeprefix", id="removeprefix"),
        pytest.param("from functools import cache\n", "functools.cache", id="a name of the standard library"),
        pytest.param("def f(a, b):\n    return list(zip(a, b, strict=True))\n", "zip(strict)", id="zip strict"),
        pytest.param(MATCH, "pattern matching", id="match"),
        pytest.param(FUTURE + "Path = str | None\n", "str | None", id="union at run time"),
        pytest.param(FUTURE + LATER_IN_A_FUNCTION, "int | str", id="union in a function"),
        pytest.param(FUTURE + "Pairs = list[tuple]\n", "list[tuple]", id="list of at run time"),
        pytest.param("def f(x: int | None): ...\n", "int | None", id="annotation that is evaluated"),
    ],
)
def test_what_is_newer_is_found(tmp_path, source, words):
    path = tmp_path / "planted.py"
    path.write_text(source)
    faults = check_hosts_python.check_with_vermin([path]) + check_hosts_python.check_source(path)
    assert any(words in fault and "planted.py" in fault for fault in faults), faults


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(FUTURE + "def f(x: int | None, y: list[str]) -> dict[str, int]: ...\n", id="annotations"),
        pytest.param(FUTURE + "x: list[str] | None = None\nflags = 1 | 2\n", id="a variable, and numbers"),
        pytest.param(WALRUS, id="what 3.8 brought"),
        pytest.param("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    Pairs = list[str]\n", id="never run"),
    ],
)
def test_what_38_knows_passes(tmp_path, source):
    path = tmp_path / "good.py"
    path.write_text(source)
    assert check_hosts_python.check_with_vermin([path]) + check_hosts_python.check_source(path) == []


@pytest.mark.parametrize("source", [MATCH, FUTURE + "Path = str | None\n", "Pairs = list[str]\n"])
def test_a_real_interpreter_refuses_it_too(tmp_path, source):
    interpreters = check_hosts_python.find_interpreters()
    if not interpreters:
        pytest.skip("no Python 3.8 on this machine")
    (tmp_path / "planted.py").write_text(source)
    (tmp_path / "good.py").write_text(FUTURE + WALRUS)
    (fault,) = check_hosts_python.import_all(interpreters[0], ["good", "planted"], [tmp_path])
    assert "planted" in fault
    assert "good:" not in fault
