# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the record of what is managed is believed: not where it is damaged, or not what the plan was made from."""

from __future__ import annotations

import json

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import record, states
from ansible_collections.collab.rtc.tests.unit.recorded_host import NEXT, RUN, Host


@pytest.fixture
def host(tmp_path, run_module):
    return Host(tmp_path, run_module)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("file", {}),
        ("file", {"path": "etc/passwd"}),
        ("file", {"path": "/etc/\0"}),
        ("file", {"path": "/etc/\ud800"}),
        ("file", {"path": 5}),
        ("connector", {"path": "/x"}),
        ("connector", {"path": "/x", "port": "8090"}),
        ("connector", {"path": "/x", "port": True}),
        ("connector", {"path": "/x", "port": 8090, "attributes": "scheme"}),
        ("connector", {"path": "/x", "port": 8090, "properties": []}),
        ("vhost", {"kind": "nginx"}),
        ("vhost", {"kind": "nginx", "name": "../../x"}),
        ("vhost", {"kind": "nginx", "name": "x", "files": ["x"]}),
        ("vhost", {"kind": "nginx", "name": "x", "files": [None]}),
        ("instance", {}),
        ("instance", {"instance": "../../home/anna"}),
        ("instance", {"instance": "confluence", "files": {}}),
        ("trust", {"application": "confluence"}),
        ("trust", {"path": "/x", "certificates": [1]}),
        ("trust_option", {"path": ""}),
    ],
)
def test_an_entry_that_cannot_be_used_stops_the_run(host, kind, what):
    """Not in the middle of it, and detection tells it as a finding."""
    host.begin("scheme")
    values = {"version": 1, "entries": [{"key": "k", "kind": kind, "site": "s", "what": what}]}
    (host.path / "managed.json").write_text(json.dumps(values))
    assert "damaged: entry 1" in host.do("begun", NEXT, fails=True, identity={"dead": [RUN]})["msg"]


def test_damage_that_leaves_a_record_is_seen(host):
    """A disk that lost or changed something in the middle: it would be taken for somebody's edit, or for ours."""
    host.begin("scheme")
    host.make(' scheme="https"')
    path = host.path / "managed.json"
    whole = path.read_bytes()
    known = record.parse(whole)
    for position in range(0, len(whole), 7):
        data = whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]
        try:
            assert record.parse(data) == known, data[position - 20 : position + 20]  # such as another kind of blank
        except RtcError as exc:
            assert "damaged" in str(exc) or "newer version" in str(exc)
    values = json.loads(whole)
    del values["digest"]  # as before there were digests, and after an edit on purpose
    assert record.parse(json.dumps(values).encode()) == known


def test_a_record_that_could_not_be_read_again_is_not_written(host):
    entry = {"key": "file x", "kind": "file", "what": {"path": "x"}}
    assert "damaged" in host.do("begun", entries=[entry], fails=True)["msg"]
    assert not (host.path / "managed.json").exists()


def test_two_inventories_may_name_a_proxy_differently(host):
    """Neither is taken for the name of a copy, whose record says nothing about this host."""
    vhost = {"kind": "vhost", "what": {"kind": "nginx", "name": "rtc"}, "spec": "1", "site": "w"}

    def run(name, inventory, run):
        entry = {**vhost, "key": f"vhost nginx {inventory}", "inventory": inventory}
        identity = {"host": name, "inventory": inventory}
        host.do("begun", run, entries=[entry], identity=identity)
        return host.do("finished", run)["entries"]

    run("px1", "one", RUN)
    assert run("proxy.example.com", "two", NEXT) == ["vhost nginx one", "vhost nginx two"]
    assert run("px1", "one", "20260103T000000Z-cccc") == ["vhost nginx one", "vhost nginx two"]
    assert host.read().hosts == {"one": "px1", "two": "proxy.example.com"}
    # Within one inventory another name is that of a copy; the other inventory is not concerned.
    host.do("begun", "20260104T000000Z-dddd", identity={"host": "px2", "inventory": "one"})
    assert [entry.key for entry in host.read().entries] == ["vhost nginx two"]


class TestPlanned:
    """What came between detection and the first change."""

    def see(self, host):
        """What detection has, and the plan hands on."""
        return {
            entry.key: {"run": entry.run, "edited": states.judge(entry, states.read_parts(entry)) == "edited"}
            for entry in host.read().entries
        }

    def begin(self, host, seen, **options):
        options = {"entries": host.entries("scheme"), **options}
        return host.do("begun", NEXT, identity={"host": "wiki", "recorded": seen}, **options)

    @pytest.fixture(autouse=True)
    def _made(self, host):
        host.begin("scheme")
        host.make(' scheme="https"')

    def test_nothing(self, host):
        self.begin(host, self.see(host))
        self.begin(host, {})  # the same run goes on, and has changed the record itself

    def test_another_run(self, host):
        seen = self.see(host)
        host.begin("scheme", run="20260101T120000Z-cccc")
        host.do("finished", "20260101T120000Z-cccc", files=[str(host.vhost)])
        before = (host.path / "managed.json").read_bytes()
        result = self.begin(host, seen, fails=True)
        assert "changed by run 20260101T120000Z-cccc after the plan was made" in result["msg"]
        assert (host.path / "managed.json").read_bytes() == before

    def test_a_first_run(self, host):
        assert "after the plan was made" in self.begin(host, {}, fails=True)["msg"]

    def test_a_rollback(self, host):
        host.begin("scheme", run="20260101T120000Z-cccc")
        host.do("finished", "20260101T120000Z-cccc", files=[str(host.vhost)])
        seen = self.see(host)
        host.run_module("rtc_undo", {"path": str(host.undo)})
        assert "after the plan was made" in self.begin(host, seen, fails=True)["msg"]

    def test_another_inventory(self, host):
        seen = self.see(host)
        other = {"key": "vhost nginx b", "kind": "vhost", "what": {"kind": "nginx", "name": "b"}, "inventory": "other"}
        identity = {"host": "px", "inventory": "other"}
        host.do("begun", "20260101T120000Z-cccc", entries=[other], identity=identity)
        host.do("finished", "20260101T120000Z-cccc")
        self.begin(host, seen)

    @pytest.mark.parametrize("key", ["begun", "removed"])
    def test_an_edit(self, host, key):
        seen = self.see(host)
        host.vhost.write_text("server { listen 1; }\n")
        options = {} if key == "begun" else {"entries": [], "removed": ["vhost nginx rtc"]}
        result = self.begin(host, seen, fails=True, **options)
        assert "Somebody changed vhost nginx rtc after the plan was made" in result["msg"]
        assert "+server { listen 1; }" in result["msg"]

    def test_an_edit_that_the_plan_knew_of(self, host):
        host.vhost.write_text("server { listen 1; }\n")
        self.begin(host, self.see(host))
