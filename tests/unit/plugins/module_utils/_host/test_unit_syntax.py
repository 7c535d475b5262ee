# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units and environment files as systemd 252 reads them; its own functions said what is expected here."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import unit_syntax
from ansible_collections.collab.rtc.tests.unit import growth

FILES = {
    '# comment\n; too\nA=1\nB="two words"\nC=\'x\'\nD = spaced \n\nnonsense\nE="a\\\n b"\n': {
        "A": "1",
        "B": "two words",
        "C": "x",
        "D": "spaced",
        "E": "a b",
    },
    'A="-Da=1\n  -Db=/x"\nB=1': {"A": "-Da=1\n  -Db=/x", "B": "1"},
    "A='1\n2'": {"A": "1\n2"},
    'A="a" b': {"A": "ab"},
    'A=a"b c"d': {"A": 'a"b c"d'},
    "A=it's\nB=2": {"A": "it's", "B": "2"},
    "A=a\\ b": {"A": "a b"},
    "A=a\\\nb": {"A": "ab"},
    "A=a\\nb": {"A": "anb"},
    'A="a\\nb"': {"A": "a\\nb"},
    "A='a\\nb'": {"A": "a\\nb"},
    'A="a\\"\\$b"': {"A": 'a"$b'},
    'A="unclosed\nB=2': {"A": "unclosed\nB=2"},
    "A=a \\ ": {"A": "a  "},
    "A=1 # c": {"A": "1 # c"},
    "A=a\r\nB=2\r\n": {"A": "a", "B": "2"},
    "A=a\x0bb\u2028c": {"A": "a\x0bb\u2028c"},
    "A=C:\\x": {"A": "C:x"},
    "export A=1\nA-B=2\n1A=3\n=4\nC=5": {"C": "5"},
    "A=1\nA=2": {"A": "2"},
    "A=\\": {"A": ""},
}
LINES = {
    '"A=1 2" B=3 C="4 5"': {"A": "1 2", "B": "3", "C": "4 5"},
    "'A=1 2'": {"A": "1 2"},
    "A=a\\x20b": {"A": "a b"},
    "'A=a\\nb'": {"A": "a\nb"},
    '"A=a\\"b"': {"A": 'a"b'},
    '"A=it\'s"': {"A": "it's"},
    "A=it's B=2": {},
    '"A=a" "B=b': {"A": "a"},
    "B=1 A=\\$x C=2": {"B": "1"},
    "A=-Da=1 -Db=2": {"A": "-Da=1"},
    "A=a#b": {"A": "a#b"},
    "": {},
}
WORDS = {
    "/bin/sh -c 'a \"b\"; c'": ["/bin/sh", "-c", 'a "b"; c'],
    '/a b\\qc "d\\te"': ["/a", "b\\qc", "d\te"],
    "/a \\x41\\u00e9\\101": ["/a", "A\u00e9A"],
    "/a \\": ["/a", "\\"],
    "/a \\000": ["/a", "\\000"],
}
UNITS = {
    "[Unit]\nUser=not-this\n[Service]\n# comment\nUser = jira\nExecStart=/a \\\n  b\n; other\n[Install]\nUser=nor-this": [
        ("User", "jira"),
        ("ExecStart", "/a    b"),
    ],
    "[Service]\nExecStart=/a \\\n# a comment\n ; and another\n  b\nUser=jira": [
        ("ExecStart", "/a    b"),
        ("User", "jira"),
    ],
    "[Service]\n# it does not go on \\\nUser=jira": [("User", "jira")],
    "[Service]\nA=b\\\\\nUser=jira": [("A", "b\\\\"), ("User", "jira")],
    "\ufeff[Service]\r\nUser=jira\r\n": [("User", "jira")],
    "[Service]\nA=b\x0cUser=jira": [("A", "b\x0cUser=jira")],
    "[Service]\nA=b \\\n\nUser=jira": [("A", "b"), ("User", "jira")],
}


@pytest.mark.parametrize("text", FILES)
def test_environment_file(text):
    assert unit_syntax.parse_environment_file(text) == FILES[text]


@pytest.mark.parametrize("text", LINES)
def test_environment_line(text):
    assert unit_syntax.parse_environment_line(text) == LINES[text]


@pytest.mark.parametrize("text", WORDS)
def test_words_of_a_command(text):
    assert unit_syntax.split_words(text, lenient=True) == (WORDS[text], True)


def test_a_quotation_that_does_not_end_is_told():
    assert unit_syntax.split_words("/a 'b", lenient=True) == (["/a"], False)


@pytest.mark.parametrize("text", UNITS)
def test_settings(text):
    assert unit_syntax.settings(text) == UNITS[text]


@pytest.mark.parametrize("piece", ['"', "'", "\\", "A=a ", "A= ", "\\\n", "A=\\ ", "=", "#", "[", " "])
def test_odd_files_take_no_square_of_time(piece):
    growth.require_linear(unit_syntax.parse_environment_file, lambda size: piece * size, 60_000)
    growth.require_linear(unit_syntax.parse_environment_file, lambda size: f"A=a{piece * size}b", 60_000)
    growth.require_linear(unit_syntax.split_words, lambda size: piece * size, 60_000)
