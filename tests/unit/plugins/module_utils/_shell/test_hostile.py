# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripts that somebody wrote to keep root busy: reading them ends, and what is not read to its end is not known."""

from __future__ import annotations

import fnmatch
import itertools

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import start_commands
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._shell import evaluate, patterns

pytestmark = pytest.mark.timeout(120)  # each took longer than anybody waits, and takes some seconds at most

LOOP = "for i in {{1..100}}; do for j in {{1..50}}; do {}; done; done"
# Those of which True is said leave what is not known.
SCRIPTS = {
    "arithmetic that does not end, in itself": ("X=" + "$(( " * 40, False),
    "braces that do not end": ("X=$(echo " + "{" * 100_000 + ",)", False),
    "braces in braces": ("X=$(echo " + "{a," * 3000 + ")", False),
    "braces of many words": ("for i in " + "{1..100}" * 10 + "; do X=$i; done", True),
    "a regular expression": ("[[ " + "a" * 40 + " =~ " + "(a|a)?" * 40 + "b ]] && X=1", True),
    "another": ("[[ " + "a" * 40 + " =~ " + "a?" * 40 + "a" * 40 + "b ]] && X=1", True),
    "a long word in a loop": (LOOP.format("X=" + "a" * 100_000), True),
    "a long sum": ("Y=$((" + "a[" * 60_000 + "))\nX=1", True),
    "sums in a loop": (LOOP.format("X=$((" + "1+" * 400 + "1))"), True),
    "a pattern at each character": ("Y=" + "a" * 1000 + "\nX=" + "${Y%%*a*a*b}" * 10_000, True),
    "a value that is named often": ("Y=" + "a" * 10_000 + "\n: " + "$Y" * 100_000 + "\nX=1", True),
    "commands with a large environment": (
        "export " + " ".join(f"v{number}=1" for number in range(5000)) + "\n" + LOOP.format("cmd $i $j") + "\nX=1",
        True,
    ),
}


@pytest.mark.parametrize("about", SCRIPTS)
def test_reading_a_script_ends(about):
    script, doubtful = SCRIPTS[about]
    ways = evaluate.evaluate(script, {}, {}.get, lambda path: False, names=lambda path: [])
    known = {way.variables.get("X") for way in ways}
    assert (bool(ways[0].anything) or len(known) > 1 or any(evaluate.UNKNOWN in (one or "") for one in known)) or (
        not doubtful
    )


def test_conditions_that_are_too_many_leave_nothing_known():
    text = "".join(f"if foo{number}; then A=1; fi\n" for number in range(300)) + "if bar; then X=1; else X=2; fi\n"
    ways = evaluate.evaluate(text, {})
    assert len(ways) < 300
    assert ways[0].anything


def test_a_script_that_runs_itself_ends(tmp_path):
    script = tmp_path / "home" / "jira" / "run.sh"
    script.parent.mkdir(parents=True)
    loops = "".join(f"for {name} in 1 2 3 4 5 6 7 8 9; do " for name in "abcd")
    script.write_text(f"#!/bin/bash\n{loops}/home/jira/run.sh $1$a $b $c $d; done; done; done; done\n")
    follower = start_commands.Follower(RootFs(str(tmp_path)))
    follower.follow(["/home/jira/run.sh"], "/", {})
    assert follower.is_exhausted
    assert follower.found == []


def test_of_a_launcher_with_many_words_the_first_are_looked_at(tmp_path, monkeypatch):
    follower = start_commands.Follower(RootFs(str(tmp_path)))
    asked = []
    monkeypatch.setattr(follower, "_is_script", lambda word, _place: asked.append(word))
    follower.follow(["flock", *["a"] * 100_000], "/", {})
    assert 0 < len(asked) <= 100


@pytest.mark.parametrize(
    "pattern", ["", "*", "a", "a*", "*a", "a*b", "*a*", "a?*b", "[ab]*", "*[!a]", "[*]*", "[", "*[", "[]]*", "**a**b"]
)
def test_patterns_are_those_of_fnmatch(pattern):
    for size in range(5):
        for text in map("".join, itertools.product("ab*[", repeat=size)):
            assert patterns.matches(text, pattern) == fnmatch.fnmatchcase(text, pattern), text


def test_a_pattern_of_many_stars_ends():
    assert not patterns.matches("a" * 5000, "*a" * 100 + "*b")
    assert patterns.matches("a" * 5000, "*a" * 100 + "*")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^(run|start|stop)$", "start", True),
        ("^-?[0-9]+$", "17", True),
        (r"^([0-9]+)\.([0-9]+)", "17.0", True),
        ("^(x)*$", "xx", None),
        ("a?" * 9, "a", None),
        ("(", "a", None),
    ],
)
def test_regular_expressions(pattern, text, found):
    assert patterns.search(pattern, text) is found
