# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts to JSON and back."""

from __future__ import annotations

import ast
import dataclasses
import json
import pathlib

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._proxy import vhost

FACTS = _facts.HostFacts(
    hostname="wiki",
    resolves={"wiki.example.com": ["192.0.2.1"]},
    applications=[
        _facts.Application(
            kind="confluence",
            install_dir="/opt/confluence",
            server_xml=_facts.ServerXml(
                "/opt/confluence/conf/server.xml",
                connectors=[_facts.Connector(3, 8090, tls=[_facts.TlsHost(4, "attributes")])],
                remote_ip_valve={"className": "x"},
            ),
            java=_facts.Java("/opt/jre", truststore=_facts.TrustStore("/opt/jre/lib/security/cacerts")),
        )
    ],
    proxies=[_facts.Proxy("nginx", hosts=[_facts.VirtualHost(listens=[_facts.ProxyListen("*", 80)])])],
)
VHOST = vhost.VhostPlan(
    site="wiki:9083",
    kind="nginx",
    role="rtc",
    name="rtc-confluence-9083",
    server_name="wiki.example.com",
    listen=["*"],
    port=9083,
    upstreams=[{"scheme": "http", "host": "127.0.0.1", "port": 9083, "backup": False}],
)


@pytest.mark.parametrize("value", [FACTS, VHOST], ids=["facts", "vhost"])
def test_round_trip(value):
    data = json.loads(json.dumps(_facts.to_dict(value)))
    assert _facts.from_dict(type(value), data) == value


def test_what_a_newer_host_adds_is_ignored():
    data = {"hostname": "wiki", "moon": "full", "listeners": [{"address": "::", "port": 80, "moon": "full"}]}
    assert _facts.from_dict(_facts.HostFacts, data) == _facts.HostFacts("wiki", listeners=[_facts.Listener("::", 80)])


def test_a_missing_field():
    with pytest.raises(TypeError, match="port"):
        _facts.from_dict(_facts.Listener, {"address": "::"})


@dataclasses.dataclass
class Group:
    """A dataclass of the controller, in its syntax."""

    first: _facts.Listener | None = None
    named: dict[str, list[_facts.Listener]] = dataclasses.field(default_factory=dict)


def test_the_syntax_of_the_controller():
    listener = _facts.Listener("::", 80)
    group = Group(listener, {"all": [listener]})
    assert _facts.from_dict(Group, _facts.to_dict(group)) == group
    assert _facts.from_dict(Group, {}) == Group()


@pytest.mark.parametrize("module", [_facts, vhost], ids=["facts", "vhost"])
def test_python_38_can_evaluate_the_annotations(module):
    """``list[str]`` and ``str | None`` are errors there once they are evaluated."""
    tree = ast.parse(pathlib.Path(module.__file__).read_text(encoding="utf-8"))
    fields = [item for node in tree.body if isinstance(node, ast.ClassDef) for item in node.body]
    annotations = [item.annotation for item in fields if isinstance(item, ast.AnnAssign)]
    nodes = [node for annotation in annotations for node in ast.walk(annotation)]
    assert annotations
    assert not [node.value.id for node in nodes if isinstance(node, ast.Subscript) and node.value.id.islower()]
    assert not [ast.unparse(node) for node in nodes if isinstance(node, ast.BinOp)]
