# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's configuration language."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b;", ["a", "b", ";"]),
        ("a 'b;c' \"d e\";", ["a", "b;c", "d e", ";"]),
        (r"a b\;c \"d;", ["a", "b;c", '"d', ";"]),
        ("a b#c; # d\ne;", ["a", "b#c", ";", "e", ";"]),
        ("a ${b}c {d;}", ["a", "${b}c", "{", "d", ";", "}"]),
        ('location ~ "^/x{2}$" {}', ["location", "~", "^/x{2}$", "{", "}"]),
        (r"rewrite ^/(\w+)\.html$ /$1;", ["rewrite", r"^/(\w+)\.html$", "/$1", ";"]),
        ("content_by_lua_block { if x then { ; } } y;", ["content_by_lua_block", ";", "y", ";"]),
        ("content_by_lua_block { ngx.say('}') } y;", ["content_by_lua_block", ";", "y", ";"]),
        ('access_by_lua_block { x = "}\\"}" } y;', ["access_by_lua_block", ";", "y", ";"]),
        ("log_by_lua_block {\n-- it's } one\n} y;", ["log_by_lua_block", ";", "y", ";"]),
        ("log_by_lua_block { --[==[ } ]] ' ]==] } y;", ["log_by_lua_block", ";", "y", ";"]),
        ("init_by_lua_block { x = [[ }}' ]] .. [=[ ]] } ]=] } y;", ["init_by_lua_block", ";", "y", ";"]),
        ("set_by_lua_block $x { return '{' } y;", ["set_by_lua_block", "$x", ";", "y", ";"]),
        ("a 'unfinished", ["a", "'unfinished"]),
    ],
)
def test_tokens(text, words):
    assert [token.text for token in parser.tokens(text)] == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("86400s", 86400), ("500ms", 0.5), ("1h30m", 5400), ("1d", 86400), ("1M", 2592000), ("off", 7)],
)
def test_times(text, seconds):
    assert parser.seconds(text, 7) == seconds
