# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with a server.xml and a virtual host, and runs on it that keep the record of what is managed."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._managed import record, states
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

XML = """<Server><Service name="Catalina"><Connector port="8090" protocol="HTTP/1.1"%s/>
<Engine name="Standalone" defaultHost="localhost"><Host name="localhost"/></Engine></Service></Server>"""
RUN, NEXT = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb"


class Host:
    """A host with a server.xml and a virtual host, and runs on it."""

    def __init__(self, path, run_module):
        self.path, self.run_module = path / "collab-rtc", run_module
        self.xml, self.vhost, self.undo = path / "server.xml", path / "rtc.conf", self.path / "undo"
        self.xml.write_text(XML % "")

    def entries(self, *names):
        what = {"path": str(self.xml), "port": 8090, "attributes": list(names)}
        connector = {"key": f"connector {self.xml} 8090", "kind": "connector", "what": what, "spec": " ".join(names)}
        vhost = {"key": "vhost nginx rtc", "kind": "vhost", "what": {"kind": "nginx", "name": "rtc"}, "spec": "1"}
        return [{**one, "site": "wiki:9083", "owners": ["wiki/confluence"]} for one in (connector, vhost)]

    def do(self, state, run=RUN, fails=False, check=False, **options):
        arguments = {"path": str(self.path), "state": state, "run": run, "undo_dir": str(self.undo / run), **options}
        result = self.run_module("managed_record", arguments, check)
        assert bool(result.get("failed")) == fails, result
        return result

    def begin(self, *names, run=RUN, **options):
        return self.do("begun", run, entries=self.entries(*names), identity={"host": "wiki"}, **options)

    def make(self, text, run=RUN):
        """What the steps of a run do."""
        records.record(str(self.undo / run), str(self.xml), (XML % text).encode())
        self.xml.write_text(XML % text)
        self.vhost.write_text("server {}\n")
        return self.do("finished", run, files=[str(self.vhost)])

    def read(self):
        return record.load(str(self.path / "managed.json"))

    def judge(self):
        return {entry.kind: states.judge(entry, states.read_parts(entry)) for entry in self.read().entries}
