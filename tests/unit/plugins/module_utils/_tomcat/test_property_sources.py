# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where ``${...}`` comes from. The orders are those of Tomcat 9 and 10.1, as their code has them."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import property_sources
from ansible_collections.collab.rtc.tests.unit import growth

SOURCE = "org.apache.tomcat.util.digester."
ENVIRONMENT = SOURCE + "PROPERTY_SOURCE=" + SOURCE + "EnvironmentPropertySource"
SYSTEM = SOURCE + "Digester$SystemPropertySource"
CASES = {
    "-D": ({"p": "1"}, {}, {}, "1"),
    "catalina.properties wins over -D": ({"p": "1"}, {"conf/catalina.properties": "p=2"}, {}, "2"),
    "the environment does not count by itself": ({}, {}, {"p": "3"}, None),
    "it wins where Tomcat is told to use it": (
        {"p": "1"},
        {"conf/catalina.properties": f"p=2\n{ENVIRONMENT}"},
        {"p": "3"},
        "3",
    ),
    "told by -D": (dict([ENVIRONMENT.split("=")]), {}, {"p": "3"}, "3"),
    "system properties are named first": (
        {"p": "1"},
        {"conf/catalina.properties": ENVIRONMENT.replace("=", f"={SYSTEM}, ")},
        {"p": "3"},
        "1",
    ),
    "another source": ({"p": "1", SOURCE + "PROPERTY_SOURCE": "com.example.Vault"}, {}, {"p": "3"}, "1"),
    "catalina.config is a name": (
        {"catalina.config": "own.properties"},
        {"conf/own.properties": "p=4", "conf/catalina.properties": "p=2"},
        {},
        "4",
    ),
    "a name of nothing": ({"catalina.config": "own.properties"}, {"conf/catalina.properties": "p=2"}, {}, None),
    "catalina.config is an address": ({"catalina.config": "file:/etc/my%20app.properties"}, {"/etc/my app.properties": "p=5"}, {}, "5"),
    "with slashes": ({"catalina.config": "file:///etc/own.properties"}, {"/etc/own.properties": "p=5"}, {}, "5"),
    "an address of nothing": (
        {"catalina.config": "file:/etc/own.properties"},
        {"conf/catalina.properties": "p=2"},
        {},
        "2",
    ),
    "a path is no address": (
        {"catalina.config": "/etc/own.properties"},
        {"/etc/own.properties": "p=5", "conf/catalina.properties": "p=2"},
        {},
        "2",
    ),
    "CATALINA_BASE": ({}, {"conf/catalina.properties": "p=${catalina.base}/conf"}, {}, "/srv/base/conf"),
    "a name within a name": ({"q": "6"}, {"conf/catalina.properties": "p=${q:-7}"}, {}, "6"),
    "a default": ({}, {"conf/catalina.properties": "p=${q:-7}"}, {}, "7"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_order_is_tomcats(name):
    properties, files, environment, value = CASES[name]
    contents = {path if path[0] == "/" else f"/srv/base/{path}": text.encode() for path, text in files.items()}
    known = property_sources.read_known("/srv/base", properties, environment, contents.get)
    text, unknown = property_sources.resolve("${p}", known)
    assert (text, unknown) == (("${p}", ["p"]) if value is None else (value, []))


# As java.util.Properties of Java 17 reads them.
ENTRIES = [
    ("a=b", [(1, "a", "b")]),
    ("  a : b ", [(1, "a", "b ")]),
    ("a b=c", [(1, "a", "b=c")]),
    ("# a=b\n! c=d\n\ne", [(4, "e", "")]),
    ("a=\\\n   b\\\n\tc\nd=e", [(1, "a", "bc"), (4, "d", "e")]),
    ("a=b\\\\\nc=d", [(1, "a", "b\\"), (2, "c", "d")]),
    ("a\\:b\\=c\\ d=e", [(1, "a:b=c d", "e")]),
    ("a=\\u00fc\\t\\q", [(1, "a", "ü\tq")]),
    ("a=\\ud83d\\ude00", [(1, "a", "\U0001f600")]),
    ("a=\\ud83d/\\ude00", [(1, "a", "\ufffd/\ufffd")]),  # Java keeps halves, and writes them nowhere
    ("a=1\r\nb=2\rc=3", [(1, "a", "1"), (2, "b", "2"), (3, "c", "3")]),
    ("\\\n#a=b\nc=d", [(3, "c", "d")]),
    ("a=b\\\n\nc=d", [(1, "a", "b"), (3, "c", "d")]),
    ("x\\\n  \\\n#y", [(1, "x#y", "")]),
    ("a=1\\\\\\\n\\\\", [(1, "a", "1\\\\")]),
]


@pytest.mark.parametrize(("text", "entries"), ENTRIES)
def test_a_properties_file_is_read_as_java_reads_it(text, entries):
    assert list(property_sources.read_lines(text)) == entries


def test_an_entry_of_a_million_lines_is_joined_once():
    assert list(property_sources.read_lines("a=" + "b\\\n" * 1_000)) == [(1, "a", "b" * 1_000)]
    growth.require_linear(
        lambda text: list(property_sources.read_lines(text)), lambda size: "a=" + "b\\\n" * size, 1_000_000
    )


def test_tomcat_9_looks_once():
    known = {"p": "${q}", "q": "1", property_sources.ONCE: ""}
    assert property_sources.resolve("${p}", known) == ("${q}", ["q"])
    assert property_sources.resolve("${none:-${q}}", known) == ("${q}", ["q"])
    assert property_sources.resolve("${q}", known) == ("1", [])
    del known[property_sources.ONCE]
    assert property_sources.resolve("${p}", known) == ("1", [])


@pytest.mark.parametrize("version", ["8.5.100", "9.0.98", "10.0.27", "10.1.34", "11.0.2", ""])
def test_which_tomcats_look_once(version):
    assert property_sources.resolves_once(version) == (version in ("8.5.100", "9.0.98", "10.0.27"))
