# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of ``tests/unit/data/cases/*.yml`` as data, and variations of them.

The unit tests and ``tools/compare_plans.py`` share this file. It imports nothing of the collection, because the tool
may run the code of another tree than the one that this file is in.
"""

from __future__ import annotations

import copy
import pathlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import yaml

DIRECTORY = pathlib.Path(__file__).parent / "data" / "cases"

Data = dict[str, Any]  # one input of the plan: facts, groups, vars, tls, failed, now
Choose = Callable[[Sequence[Any]], Any]  # draws one of several: random.choice, or Hypothesis

# Values that nobody expects, by type.
ODD_VALUES: Mapping[type, Sequence[Any]] = {
    str: ["", "*", "::", "127.0.0.1", "localhost", "unknown", "ä"],
    int: [0, 1, 80, 9083, 8090],
    float: [0.0, 4e9],
    bool: [True, False],
}
# What facts have, or ``null``: empty it would lack what it must have.
OPTIONAL = (
    "server_xml", "store", "java", "process", "service", "truststore", "remote_ip_valve", "option", "container",
    "capacity",
)  # fmt: skip
_GONE = object()


def load_bases() -> Data:
    """The inputs that cases start from, with the moment that they are looked at."""
    bases: Data = yaml.safe_load((DIRECTORY / "bases.yml").read_text(encoding="utf-8"))
    return bases


def load_cases(bases: Data) -> list[Data]:
    """Every case in the order of its files; ``data`` of each is the input, ``topic`` what the file's name begins
    with (``proxy_store.yml``: ``proxy``)."""
    cases: list[Data] = []
    for path in sorted(DIRECTORY.glob("*.yml")):
        if path.name != "bases.yml":
            for case in yaml.safe_load(path.read_text(encoding="utf-8")):
                cases.append({**case, "topic": path.stem.split("_")[0], "data": make_input(bases, case)})
    return cases


def make_input(bases: Data, case: Data) -> Data:
    """The input of a case: its base with the changes of ``unset`` and ``set``."""
    data: Data = _unshare(copy.deepcopy(bases["bases"][case["base"]]))
    data["now"] = bases["now"]
    for path in case.get("unset", ()):
        _set_path(data, path)
    for path, value in case.get("set", {}).items():
        _set_path(data, path, copy.deepcopy(value))
    return data


def _unshare(value: Any) -> Any:
    """YAML anchors make one object of several places; a change of one place must not change the others."""
    if isinstance(value, dict):
        return {key: _unshare(item) for key, item in value.items()}
    return [_unshare(item) for item in value] if isinstance(value, list) else value


def _set_path(data: Any, path: str, value: Any = _GONE) -> None:
    """Set or remove what a dotted path names. Numbers are indexes of lists; "+" appends. No file name may be in it."""
    *parents, last = path.split(".")
    for name in parents:
        data = data[int(name)] if isinstance(data, list) else data.setdefault(name, {})
    if isinstance(data, list) and last == "+":
        data.append(value)
    elif value is _GONE:
        del data[int(last) if isinstance(data, list) else last]
    else:
        data[int(last) if isinstance(data, list) else last] = value


def list_places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that can be changed in facts."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from list_places(item, (*path, key))


def change_place(data: Any, path: tuple[Any, ...], choose: Choose) -> None:
    """Empty or replace what the path names, if it is still there, with a value of the same type."""
    *parents, last = path
    try:
        for key in parents:
            data = data[key]
        value = data[last]
    except (KeyError, IndexError, TypeError):
        return
    if isinstance(value, (dict, list)):
        optional = last in OPTIONAL
        data[last] = None if optional else type(value)() if not isinstance(data, list) else value
    else:
        data[last] = choose(ODD_VALUES.get(type(value), [value]))


def vary(cases: Sequence[Data], seed: int) -> tuple[str, Data]:
    """The input of some case with one to six changed facts: the same for the same seed. With the name of the case."""
    draw = random.Random(seed)
    case = draw.choice(cases)
    facts = copy.deepcopy(case["data"]["facts"])
    where = [path for path in list_places(facts) if len(path) > 1]
    for path in [draw.choice(where) for _number in range(draw.randint(1, 6))]:
        change_place(facts, path, draw.choice)
    return str(case["name"]), {**case["data"], "facts": facts}
