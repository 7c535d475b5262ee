# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Undoing a run has the running server load its files from before, or leaves it as it is."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from proxies.bench import Client, free_port
from proxies.served import EXTERNAL, Served, hold

from ansible_collections.collab.rtc.plugins.module_utils._managed import record, states
from ansible_collections.collab.rtc.plugins.module_utils._proxy import preflight
from ansible_collections.collab.rtc.plugins.modules import proxy_reload

FIRST, SECOND = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb"
SERVICES = {"nginx": "nginx", "apache": "apache2", "haproxy": "haproxy"}


class Runs(Served):
    """A server with an application of its own, to which runs add RTC, as the playbooks do it."""

    def __init__(self, server, upstream, run_module, path):
        super().__init__(server, upstream, run_module)
        self.state, self.redo = path / "collab-rtc", path / "run/redo"
        self.old_port, self.new_port = free_port(), free_port()

    def do(self, module, **arguments):
        result = self.run_module(module, arguments)
        assert not result.get("failed"), result
        return result

    def apply(self, run, port):
        undo = str(self.state / "undo" / run)
        vhost = {
            **{"kind": self.daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": "wiki.example.com"},
            **{"site": "wiki", "listen": [EXTERNAL], "port": port, "upstreams": [self.rtc.entry()]},
        }
        what = {"kind": self.daemon.kind, "name": "rtc-confluence", "port": port}
        entry = {"key": "vhost", "kind": "vhost", "site": "wiki", "owners": ["wiki1/confluence"], "what": what}
        common = {"path": str(self.state), "run": run, "undo_dir": undo}
        entries = [{**entry, "spec": str(port)}]
        self.do("managed_record", state="begun", entries=entries, identity={"host": "wiki1"}, **common)
        done = self.do("proxy_vhost", vhosts=[vhost], config_root=str(self.daemon.root), undo_dir=undo)
        self.do("managed_record", state="finished", files=done["files"], **common)

    def undo(self, run=SECOND, owners=()):
        path = str(self.state / "undo")
        options = {"redo_dir": str(self.redo), "owners": list(owners), "site": "wiki", "hold": True}
        return self.do("rtc_undo", path=path, run=run, **options)

    def reload(self, **options):
        arguments = {"services": [SERVICES[self.daemon.kind]], "redo_dir": str(self.redo), **options}
        return self.run_module("proxy_reload", {"config_root": str(self.daemon.root), **arguments})

    def serves(self, port):
        with contextlib.suppress(OSError, AssertionError):
            return Client(EXTERNAL, port, name="wiki.example.com").json("/socket.io/")["name"] == "rtc"
        return False

    def judge(self):
        """Port and state of what is managed."""
        known = record.load(str(self.state / "managed.json")).entries
        return [(item.what["port"], states.judge(item, states.read_parts(item))) for item in known]

    def list_undone(self):
        runs = self.do("rtc_runs_info", path=str(self.state / "undo"))["runs"]
        return [item["run"] for item in runs if item["undone"] or any(one["undone"] for one in item["sites"])]


@pytest.fixture(params=["nginx", "apache", "haproxy"])
def runs(request, daemon, upstream, run_module, tmp_path):
    """Two runs: RTC on a port, and on another one."""
    found = Runs(daemon(request.param), upstream, run_module, tmp_path)
    found.daemon.start()
    found.apply(FIRST, found.old_port)
    found.apply(SECOND, found.new_port)
    assert found.serves(found.new_port)
    return found


@pytest.mark.parametrize("owners", [[], ["wiki1/confluence"]])
def test_the_server_loads_what_was_before(runs, owners):
    runs.undo(owners=owners)
    assert runs.serves(runs.new_port)
    assert runs.reload()["reloaded"] == [SERVICES[runs.daemon.kind]]
    assert runs.serves(runs.old_port) and not runs.serves(runs.new_port)
    assert runs.ask() == "tomcat"
    assert runs.judge() == [(runs.old_port, "as_written")]
    assert runs.list_undone() == [SECOND]
    assert not runs.redo.exists()


@pytest.mark.parametrize("owners", [[], ["wiki1/confluence"]])
@pytest.mark.parametrize("seen", [True, False])
def test_one_that_cannot_have_its_old_port_runs_as_after_the_run(runs, monkeypatch, seen, owners):
    """Somebody took the port meanwhile: before it is tried, or between that and the reload."""
    before = runs.read_files()
    if not seen:
        monkeypatch.setattr(preflight, "check_ports", lambda *args: None)
    with hold(EXTERNAL, runs.old_port):
        runs.undo(owners=owners)
        runs.undo(owners=owners)  # the first rollback was killed before the reload
        assert runs.read_files() != before
        result = runs.reload()
        assert result["failed"] and result["reloaded"] == [], result
        assert not seen or str(runs.old_port) in result["msg"], result["msg"]
        assert "as before" in result["msg"], result["msg"]
        assert runs.read_files() == before
        assert runs.serves(runs.new_port)
        assert runs.ask() == "tomcat"
        assert runs.judge() == [(runs.new_port, "as_written")]
        assert runs.list_undone() == []
    again = runs.undo(owners=owners)
    assert again["edited"] == []
    assert runs.reload()["reloaded"]
    assert runs.serves(runs.old_port)
    assert runs.judge() == [(runs.old_port, "as_written")]


def test_files_that_the_server_refuses_are_not_loaded(runs):
    """Somebody broke them meanwhile, in a file that is none of ours."""
    master = runs.master()
    runs.undo()
    runs.add("nonsense here;\n")
    result = runs.reload()
    assert "refuses the files that were given back" in result["msg"], result
    assert "nonsense" in result["msg"]
    assert runs.master() == master
    assert runs.serves(runs.new_port) and runs.ask() == "tomcat"


def test_one_that_somebody_stopped_is_left_so(runs):
    runs.undo()
    runs.daemon.stop()
    result = runs.reload()
    assert (result["changed"], result["reloaded"]) == (False, [])
    assert not runs.master()


def test_a_service_that_is_no_proxy_is_refused(run_module, tmp_path):
    result = run_module("proxy_reload", {"services": ["sshd"], "redo_dir": str(tmp_path / "none")})
    assert "sshd is no service of a proxy server" in result["msg"]


class Holder:
    """A server that holds a port, and whose files want another."""

    taken: set[int]

    def __init__(self, taken, holds, wants):
        self.taken, self.holds, self.wants = taken, holds, wants
        taken.add(holds)

    def find_obstacle(self):
        return f"{self.wants} is taken" if self.wants in self.taken - {self.holds} else ""

    def run(self):
        self.taken.discard(self.holds)
        self.taken.add(self.wants)

    def refuse(self, why):
        return RuntimeError(why)


@pytest.mark.parametrize(("wants", "done"), [((2, 3, 4), ["c", "b", "a"]), ((2, 3, 1), [])])
def test_one_that_makes_room_for_another_goes_first(wants, done):
    taken: set[int] = set()
    due = {name: Holder(taken, holds, want) for name, holds, want in zip("abc", (1, 2, 3), wants)}
    failed: dict[str, str] = {}
    assert proxy_reload.reload_all(due, failed) == done
    assert sorted([*failed, *done]) == ["a", "b", "c"]


def test_without_what_undoing_replaced_nothing_is_claimed(runs):
    """A host that was started anew in between has an empty /run."""
    with hold(EXTERNAL, runs.old_port):
        runs.undo()
        after = runs.read_files()
        shutil.rmtree(runs.redo)
        result = runs.reload()
    assert result["failed"] and "as before" not in result["msg"], result
    assert f"{runs.redo} is missing" in result["msg"]
    assert runs.read_files() == after
    assert runs.ask() == "tomcat"
