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
    ],
)
def test_words(line, words):
    assert parser.words(line, {"NAME": "loghost"}) == words


@pytest.mark.parametrize(("text", "seconds"), [("50000", 50), ("1h", 3600), ("30s", 30), ("2m", 120), ("x", 0)])
def test_times(text, seconds):
    assert parser.seconds(text) == seconds
