# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The editing rule, for any file: parse(edit(x)) differs from parse(x) in the asked attributes only, so do the bytes.

The judge is independent of the code under test: ``xml.dom.minidom`` for the meaning, and the pieces that a file was
put together from for the bytes.
"""

from __future__ import annotations

import os
import re
from xml.dom import minidom

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.edit import edit_connector

hypothesis = pytest.importorskip("hypothesis")
st = pytest.importorskip("hypothesis.strategies")

EXAMPLES = 3000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 150
SETTINGS = hypothesis.settings(max_examples=EXAMPLES, deadline=None)

NAMES = [
    "port",
    "address",
    "protocol",
    "scheme",
    "secure",
    "proxyName",
    "proxyPort",
    "redirectPort",
    "server",
    "maxThreads",
    "relaxedQueryChars",
    "connectionTimeout",
    "socket.rxBufSize",
    "SSLEnabled",
    "executor",
]
SPACE = st.text(" \t\n", min_size=1, max_size=4)
MAYBE_SPACE = st.text(" \n", max_size=2)
# Characters that need escapes, that look like markup, and that some encodings lack.
VALUE = st.text("aZ09 .:/-\"'<>&;#${}[]|=\t\n\\é€😀", max_size=12)
FILLERS = [
    "\n",
    "  ",
    "\n\t",
    "<!-- <Connector port='1' proxyName=\"<x>\"/> -->",
    "<!---->",
    "<!--- dash \"' -->",
    "<?pi <Connector ?>",
    "<![CDATA[<Connector port='2'> ]] > ]]>",
    "&#x20;",
    "<Executor name='>\"' />",
    "<Listener className='x'>text</Listener>",
]
FILLER = st.lists(st.sampled_from(FILLERS), max_size=4).map("".join)
CODECS = {"utf-8": "UTF-8", "latin-1": "ISO-8859-1", "utf-16": "UTF-16", "utf-8-sig": "UTF-8"}


@st.composite
def attribute_text(draw, name):
    """An attribute as a person could have written it, any quotes, spaces and references."""
    quote = draw(st.sampled_from("\"'"))
    out = ""
    for char in draw(VALUE):
        plain = char not in "<&\t\n" and char != quote and ord(char) < 256
        references = st.sampled_from([f"&#{ord(char)};", f"&#x{ord(char):x};"])
        out += char if plain and draw(st.booleans()) else draw(references)
    equals = draw(MAYBE_SPACE) + "=" + draw(MAYBE_SPACE)
    return draw(SPACE) + name + equals + quote + out + quote


@st.composite
def files(draw):
    """A server.xml in three parts: before the connector's tag, the tag, after it; and its encoding."""
    names = draw(st.lists(st.sampled_from(NAMES[1:]), unique=True, max_size=8))
    names.insert(draw(st.integers(0, len(names))), "port")
    tag = "<Connector" + "".join(draw(attribute_text(name)) for name in names) + draw(MAYBE_SPACE)
    tag, end = draw(st.sampled_from([(tag + "/>", ""), (tag + ">", draw(FILLER) + "</Connector>")]))
    codec = draw(st.sampled_from(sorted(CODECS)))
    declaration = f'<?xml version="1.0" encoding="{CODECS[codec]}"?>' if codec != "utf-8" else ""
    before = f"{declaration}<Server port='8005'>{draw(FILLER)}<Service name='Catalina'>{draw(FILLER)}"
    after = f"{end}{draw(FILLER)}<Engine name='e'/>{draw(FILLER)}</Service></Server>"
    after += draw(st.sampled_from(["", "\n", "<!-- end -->"]))
    return before, tag, after, codec


ASKED = st.dictionaries(st.sampled_from(NAMES), st.one_of(st.none(), VALUE), max_size=6)


def meaning(data):
    """Every element in order with its attributes; and all other nodes as text."""
    found = []

    def walk(node):
        attributes = dict(node.attributes.items()) if node.attributes else {}
        found.append((node.nodeName, node.nodeValue, attributes))
        for child in node.childNodes:
            walk(child)

    walk(minidom.parseString(data))
    return found


def apply(parts, asked):
    before, tag, after, codec = parts
    data = (before + tag + after).encode(codec)
    model = server_xml.parse(data)
    (connector,) = model.connectors
    return data, edit_connector(model, connector, asked).data


@SETTINGS
@hypothesis.given(files(), ASKED)
def test_only_what_was_asked_changes(parts, asked):
    old, new = apply(parts, asked)
    before, tag, after, codec = parts

    text = new.decode(codec)
    assert text.startswith(before)
    assert text.endswith(after)
    assert text.encode(codec) == new

    expected = meaning(old)
    (index,) = [index for index, node in enumerate(expected) if node[0] == "Connector"]
    attributes = {**expected[index][2], **asked}
    attributes = {name: value for name, value in attributes.items() if value is not None}
    expected[index] = ("Connector", None, attributes)
    assert meaning(new) == expected

    # Each attribute that was not asked for is in the tag as it was written, and in the same order.
    tag_now = text[len(before) : len(text) - len(after)]
    kept = [piece for name, piece in written(tag) if name not in asked]
    assert [piece for name, piece in written(tag_now) if name not in asked] == kept


def written(tag):
    pattern = r"([A-Za-z.]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')"
    return [(match.group(1), match.group()) for match in re.finditer(pattern, tag)]


@SETTINGS
@hypothesis.given(files(), ASKED)
def test_asking_again_changes_no_byte(parts, asked):
    _old, new = apply(parts, asked)
    model = server_xml.parse(new)
    assert edit_connector(model, model.connectors[0], asked).data == new


@SETTINGS
@hypothesis.given(files())
def test_asking_for_what_is_there_changes_no_byte(parts):
    before, tag, after, codec = parts
    data = (before + tag + after).encode(codec)
    model = server_xml.parse(data)
    (connector,) = model.connectors
    assert edit_connector(model, connector, connector.attributes).data == data


@SETTINGS
@hypothesis.given(st.binary(max_size=60) | st.text("<>&;'\"=/! -[]?xmlCDATASrvern", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data):
    try:
        server_xml.parse(data)
    except connectors.ServerXmlError as exc:
        assert exc.message
