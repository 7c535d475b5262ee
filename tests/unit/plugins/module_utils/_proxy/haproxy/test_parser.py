# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's words and times."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("server a 1:2 # x", ["server", "a", "1:2"]),
        (r"acl x path_beg /a\ b", ["acl", "x", "path_beg", "/a b"]),
        ('log "${NAME}:514" local0', ["log", "loghost:514", "local0"]),
        ("a '${NAME} #' b", ["a", "${NAME} #", "b"]),
        ('a "b\\"c" ""', ["a", 'b"c', ""]),
        ("one'word '\"${NAME}\"#", ["oneword loghost"]),
        ('a "not closed # ', ["a", "not closed # "]),
        ("a 'not closed ", ["a", "not closed "]),
        ("at the end\\", ["at", "the", "end\\"]),
        ('a "${NAME-x}" "${OTHER-x y}" "${OTHER-}"', ["a", "loghost", "x y", ""]),
        ('a "$OTHER" "${OTHER}" "\\$NAME"', ["a", "$OTHER", "${OTHER}", "$NAME"]),
    ],
)
def test_words(line, words):
    assert parser.words(line, {"NAME": "loghost"}) == words


@pytest.mark.parametrize(
    ("text", "seconds"), [("50000", 50), ("1h", 3600), ("30s", 30), ("2m", 120), ("15min", 900), ("x", 0)]
)
def test_times(text, seconds):
    assert parser.seconds(text) == seconds


SETTINGS = """global
    setenv A 1
    setenv B "${A}2"
    presetenv A 3
    presetenv C 4
    setenv D 5
    unsetenv D E
frontend f
    bind "127.0.0.1:9$A$B$C${D-6}"
    bind '127.0.0.1:${B}' name $A
    bind 127.0.0.1:$UNKNOWN
    mode $A
"""


def test_variables(tmp_path):
    (tmp_path / "x").write_text(SETTINGS)
    found = [line.words for line in parser.parse([str(tmp_path / "x")], {"E": "7"}).sections[1].lines]
    assert found[:2] == [["bind", "127.0.0.1:911246"], ["bind", "127.0.0.1:12", "name", "$A"]]
    assert found[2:] == [["bind", "127.0.0.1:$UNKNOWN"], ["mode", "$A"]]


def test_a_process_has_no_unknown_variables():
    known = parser.ProcessEnvironment(NAME="x")
    assert parser.words('a "${NAME}" "b${UNKNOWN}c" "${UNKNOWN-d}"', known) == ["a", "x", "bc", "d"]


def test_resetenv(tmp_path):
    (tmp_path / "x").write_text("global\n resetenv A\nfrontend f\n bind :${A-}1${B-}\n")
    config = parser.parse([str(tmp_path / "x")], {"A": "1", "B": "2"})
    assert config.sections[1].lines[0].words == ["bind", ":11"]
