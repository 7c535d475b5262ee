# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proxy that several sites share, and runs on it as the playbooks make them."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._managed import record
from ansible_collections.collab.rtc.plugins.module_utils._undo import records

FIRST, SECOND, THIRD = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb", "20260103T000000Z-cccc"
WIKI, TRACKER = ["wiki1/confluence"], ["jira1/jira"]
NAMES = {"wiki": WIKI, "tracker": TRACKER}


class Proxy:
    """A host with the files of two sites, and runs on it as the playbooks make them."""

    def __init__(self, path, run_module):
        self.path, self.run_module = path, run_module
        self.base, self.undo = path / "collab-rtc", path / "collab-rtc/undo"
        self.cfg, self.store, self.module = path / "haproxy.cfg", path / "cacerts", path / "ssl.load"

    def vhost(self, site):
        return self.path / f"rtc-{site}.conf"

    def entry(self, site, kind, spec, more=None, **what):
        """``more``: of what is managed, besides ``what``."""
        what |= more or {}
        key = f"{kind} {what.get('name') or what.get('path') or what.get('instance')} {site}"
        name = f"{site}.example.com:{what.pop('port', 9083)}"
        return {"key": key, "kind": kind, "site": name, "owners": NAMES[site], "what": what, "spec": spec}

    def nginx(self, site, text):
        entry = self.entry(site, "vhost", text, {"kind": "nginx"}, name=f"rtc-{site}", files=[str(self.vhost(site))])
        return entry, {self.vhost(site): text}

    def run(self, run, parts, removed=(), more=None, finish=True):
        """``parts``: entries, each with the files that come of it; ``more``: files of nobody."""
        common = {"path": str(self.base), "run": run, "undo_dir": str(self.undo / run), "undo_user": "anna@one"}
        self.do({**common, "state": "begun", "entries": [entry for entry, _files in parts], "identity": {"host": "px"}})
        for files in [*(files for _entry, files in parts), more or {}]:
            for path, text in files.items():
                records.record(str(self.undo / run), str(path), None if text is None else text.encode())
                if text is None:
                    path.unlink()
                else:
                    path.write_text(text)
        if finish:
            self.do({**common, "state": "finished", "removed": list(removed)})

    def do(self, arguments, module="managed_record"):
        result = self.run_module(module, arguments)
        assert not result.get("failed"), result
        return result

    def roll_back(self, owners, run=FIRST, check=False, **options):
        arguments = {"path": str(self.undo), "run": run, "owners": owners, "site": "the site", **options}
        return self.run_module("rtc_undo", arguments, check)

    def end(self, result, owners, run=FIRST):
        own = result["parts"]["own"]
        return self.do(
            {"path": str(self.base), "state": "undone", "run": run, "owners": owners, "site": "the site", "files": own}
        )

    def list_sites(self, run=FIRST):
        runs = self.do({"path": str(self.undo)}, "rtc_runs_info")["runs"]
        return {
            owner: item["undone"]
            for one in runs
            if one["run"] == run
            for item in one["sites"]
            for owner in item["owners"]
        }

    def snapshot(self):
        return {
            path.relative_to(self.path): path.read_bytes()
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and "undo" not in path.relative_to(self.path).parts
        }

    def list_keys(self):
        return [entry.key for entry in record.load(str(self.base / "managed.json")).entries]
