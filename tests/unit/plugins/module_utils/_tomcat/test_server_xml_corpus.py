# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real server.xml files, where the environment variable RTC_CORPUS names a directory with ``server_xml/*.xml`` in it.

For each file that Python's own XML reader accepts, every HTTP connector is edited; nothing else may change. A refusal
is right only if that reader refuses too, or if the file is another server's.
"""

from __future__ import annotations

import os
import pathlib
import re
from xml.dom import minidom
from xml.parsers import expat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._tomcat import connectors, server_xml
from ansible_collections.collab.rtc.plugins.module_utils._tomcat.edit import edit_connector

CORPUS = os.environ.get("RTC_CORPUS", "")
pytestmark = pytest.mark.skipif(not CORPUS, reason="RTC_CORPUS is not set: no corpus of real files")
FILES = sorted(pathlib.Path(CORPUS, "server_xml").glob("*.xml")) if CORPUS else []

EDITS = [
    {"scheme": "https", "secure": "true", "proxyName": "wiki.example.com", "proxyPort": "443"},
    {"address": "127.0.0.1"},
    {"scheme": None, "secure": None, "proxyName": None, "proxyPort": None},
    {"port": "1234", "redirectPort": None, "server": "a \"b\" 'c' <d> & é"},
]


def meaning(data):
    """All nodes in order, with their attributes."""
    nodes = []

    def walk(node):
        nodes.append((node.nodeName, node.nodeValue, dict(node.attributes.items()) if node.attributes else {}))
        for child in node.childNodes:
            walk(child)

    walk(minidom.parseString(data))
    return nodes


def live_connectors(nodes, data):
    """Indexes of the connectors among all nodes, by the other reader."""
    document = minidom.parseString(data)
    wanted = [
        node
        for service in document.documentElement.childNodes
        if service.nodeName == "Service"
        for node in service.childNodes
        if node.nodeName == "Connector"
    ]
    count = len(wanted)
    found = [index for index, node in enumerate(nodes) if node[0] == "Connector"]
    assert len(found) == count, "a connector outside a Service: this test cannot tell them apart"
    return found


def check_file(path):
    """Returns how many edits of this file were checked, or why it is rightly refused."""
    data = path.read_bytes()
    try:
        nodes = meaning(data)
    except expat.ExpatError:
        with pytest.raises(connectors.IllFormed):
            server_xml.parse(data, path.name)
        return "ill-formed"
    try:
        model = server_xml.parse(data, path.name)
    except connectors.NotTomcat:
        assert b"<ErrorLogger" in data  # M/Monit's, the only other server in the corpus
        return "not Tomcat's"
    indexes = live_connectors(nodes, data)
    assert len(indexes) == len(model.connectors)
    checked = 0
    for connector, index in zip(model.connectors, indexes):
        assert connector.attributes == connectors.spell_all(nodes[index][2])
        for asked in [] if connector.is_ajp else EDITS:
            new = edit_connector(model, connector, asked).data
            check_edit(data, new, nodes, index, asked)
            checked += 1
    return checked


def check_edit(old, new, nodes, index, asked):
    there = {name.lower(): name for name in nodes[index][2] if name[1:] in [other[1:] for other in asked]}
    asked = {there.get(name.lower(), name): value for name, value in asked.items()}  # one has Server=" "
    attributes = {**nodes[index][2], **asked}
    expected = list(nodes)
    expected[index] = ("Connector", None, {name: value for name, value in attributes.items() if value is not None})
    assert meaning(new) == expected
    if old != new:
        # By bytes: what differs stands in one start tag (which cannot have a second "<") of a Connector.
        same_before = common(old, new)
        same_after = common(old[same_before:][::-1], new[same_before:][::-1])
        start = old.rindex(b"<Connector", 0, same_before)
        assert old.count(b"<", start, len(old) - same_after) == 1
        # And in that tag, each attribute that was not asked for is as it was written, in the same order.
        tags = (data[start : data.index(b">", max(same_before, len(data) - same_after - 1))] for data in (old, new))
        kept = [[piece for name, piece in written(tag) if name.decode() not in asked] for tag in tags]
        assert kept[0] == kept[1]


def written(tag):
    """The attributes of a start tag: name, and text from name to closing quote."""
    return [(match[1], match[0]) for match in re.finditer(rb"([\w.:-]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')", tag)]


def common(one, other):
    """How many bytes two texts have in common at their start."""
    pairs = enumerate(zip(one, other))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_corpus(path, record_property):
    record_property("outcome", check_file(path))


def test_the_corpus_as_a_whole(capsys):
    outcomes = {path.name: check_file(path) for path in FILES}
    refused = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, str)}
    edits = sum(outcome for outcome in outcomes.values() if isinstance(outcome, int))
    with capsys.disabled():
        print(f"\ncorpus: {len(FILES)} files, {edits} edits checked, rightly refused: {refused or 'none'}")
    assert edits > len(FILES)
