# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs and their undoing, where each call of the operating system fails once, or is the last before a kill.

Nothing is changed that was not recorded before, and whoever comes next completes it: the next run, or undoing once more.
"""

from __future__ import annotations

import errno
import os
import threading

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease, record, states
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.plugins.modules import managed_record, rtc_undo
from ansible_collections.collab.rtc.tests.unit.system_faults import CHANGES, Fault, Kill

XML = """<Server><Service name="Catalina"><Connector port="8090" protocol="HTTP/1.1"%s/>
<Engine name="Standalone" defaultHost="localhost"><Host name="localhost"/></Engine></Service></Server>"""
OLD, NEW = XML % "", XML % ' scheme="https"'
UNDOING = {"undo": {}, "undo the site": {"owners": ["wiki/c"], "site": "w"}}
RUN, NEXT = "20260101T000000Z-aaaa", "20260102T000000Z-bbbb"


class Undoing:
    """What ``rtc_undo`` uses of its AnsibleModule."""

    check_mode, _diff = False, False

    def __init__(self, **params):
        self.params = {"owners": [], "site": "", "redo_dir": None, "undo_user": "", "run": "latest"}
        self.params.update({"state": "undone", "hold": True, "controller": "", "served": True, **params})

    def warn(self, text):
        pass


class Host:
    """A host with a server.xml."""

    def __init__(self, root):
        self.base, self.xml = root / "collab-rtc", root / "server.xml"
        self.xml.write_text(OLD)

    def do(self, state, run=RUN, **changes):
        params = {
            **{"path": str(self.base), "run": run, "undo_dir": str(self.base / "undo" / run), "undo_user": "anna@one"},
            **{"identity": {"host": "wiki"}, "entries": [], "removed": [], "stopped": [], "files": [], "blocked": []},
            **{"owners": [], "site": "", "trusted": [], **changes},
        }
        return managed_record._STATES[state](params)

    def begin(self, run=RUN, dead=()):
        what = {"path": str(self.xml), "port": 8090, "attributes": ["scheme"]}
        entry = {"key": "connector", "kind": "connector", "what": what, "spec": "1", "site": "w", "owners": ["wiki/c"]}
        self.do("begun", run, entries=[entry], identity={"host": "wiki", "dead": list(dead)})

    def write(self, run=RUN):
        assert self.read(), "nothing is changed that is not recorded before"
        records.record(str(self.base / "undo" / run), str(self.xml), NEW.encode())
        self.xml.write_text(NEW)

    def undo(self, **params):
        result = rtc_undo.run_module(Undoing(path=str(self.base / "undo"), **params))
        if "msg" in result:
            raise RtcError(result["msg"])
        return result

    def act(self, name):
        """One step of a run; those before it were done."""
        if name == "begin":
            self.begin()
        elif name == "finish":
            self.do("finished")
        elif name == "fail":
            self.do("failed")
        else:
            self.undo(**UNDOING[name])

    def prepare(self, name):
        if name != "begin":
            self.begin()
        if name == "finish" or name in UNDOING:
            self.write()
        if name in UNDOING:
            self.do("finished")

    def read(self):
        return record.load(str(self.base / "managed.json")).entries

    def complete(self, dead):
        """What the next run does."""
        self.begin(NEXT, dead)
        self.write(NEXT)
        self.do("finished", NEXT)
        (entry,) = self.read()
        assert states.judge(entry, states.read_parts(entry)) == "as_written"
        assert entry.before == {"scheme": None}
        assert self.xml.read_text() == NEW
        assert lease.read(str(self.base / "lease")) is None


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Do one step with one fault, on a host of its own, and then what comes next; returns how many calls it took."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # it is called, and costs nothing
    number_of_hosts = iter(range(10_000))

    def once(name, number=-1, error=0, kill=False):
        root = tmp_path / str(next(number_of_hosts))
        root.mkdir()
        monkeypatch.setattr(records, "ENDED", str(root / "run/ended.json"))
        host = Host(root)
        host.prepare(name)
        failed = False
        with monkeypatch.context() as patch:
            fault = Fault(patch, number, error, kill, CHANGES)
            try:
                host.act(name)
            except (RtcError, Kill):
                failed = True
        assert host.xml.read_text() in (OLD, NEW)
        if name in UNDOING:
            more = UNDOING[name]
            if failed:
                assert str(host.xml) in host.undo(**more)["paths"], "the services that read it have not been told"
            assert str(host.xml) in host.undo(**more)["paths"], "nor have they now"
            with pytest.raises(RtcError, match="is being changed by run rollback-"):
                host.begin(NEXT)
            host.undo(run=RUN, state="ended")
            assert host.undo(**more, hold=False)["paths"] == []  # there is nothing to do, and nothing goes forward
            assert (host.xml.read_text(), host.read()) == (OLD, [])
            host.complete([])
        else:
            if not kill and (failed or name == "begin"):
                host.do("failed")  # as the playbook does
            host.complete([RUN] if kill else [])
        return len(fault.seen)

    return once


STEPS = ("begin", "finish", "fail", *UNDOING)


@pytest.mark.parametrize("name", STEPS)
def test_each_call_fails_once(run, name):
    for number in range(run(name)):
        run(name, number, (errno.ENOSPC, errno.EIO, errno.EROFS)[number % 3])


@pytest.mark.parametrize("name", STEPS)
def test_a_kill_before_each_call(run, name):
    for number in range(run(name)):
        run(name, number, kill=True)


def test_of_two_runs_that_begin_at_once_one_is_refused(tmp_path, monkeypatch):
    """The second one comes when the first one has looked, and has not taken the lease yet."""
    path, refused = str(tmp_path / "lease"), []
    monkeypatch.setattr(lease, "_PATIENCE", 0.2)
    look = lease.require_free

    def take_second():
        try:
            lease.take(lease.Lease(NEXT), path=path)
        except RtcError as exc:
            refused.append(str(exc))

    def look_and_be_overtaken(*args):
        look(*args)
        monkeypatch.setattr(lease, "require_free", look)
        second = threading.Thread(target=take_second)
        second.start()
        second.join()

    monkeypatch.setattr(lease, "require_free", look_and_be_overtaken)
    lease.take(lease.Lease(RUN), path=path)
    assert lease.read(path).run == RUN
    assert len(refused) == 1 and "in this moment" in refused[0]


def test_no_run_begins_while_another_one_is_undone(tmp_path, monkeypatch):
    host = Host(tmp_path)
    host.act("begin")
    host.write()
    host.act("finish")
    monkeypatch.setattr(lease, "_PATIENCE", 0.2)
    undo, refused = rtc_undo.undo, []

    def undo_with_a_run_beside(*args):
        with pytest.raises(RtcError, match="in this moment"):
            host.begin(NEXT)
        refused.append(True)
        return undo(*args)

    monkeypatch.setattr(rtc_undo, "undo", undo_with_a_run_beside)
    host.undo()
    assert refused and host.xml.read_text() == OLD


def test_a_run_that_could_not_be_undone_whole_leaves_those_before_it_unmarked(tmp_path):
    """Else undoing it once more would give back what the older one had made, and call that undone."""
    host, other = Host(tmp_path), tmp_path / "other"
    other.write_text("1")
    root = host.base / "undo"
    for run, text in ((RUN, "2"), (NEXT, "3")):
        records.record(str(root / run), str(other), text.encode())
        other.write_text(text)
    records.record(str(root / NEXT), str(host.xml), NEW.encode())
    host.xml.unlink()
    host.xml.mkdir()
    (host.xml / "somebody's").write_text("")
    undoing = Undoing(path=str(root), run=RUN)
    assert "msg" in rtc_undo.run_module(undoing)
    assert not records.is_undone(str(root / NEXT)) and not records.is_undone(str(root / RUN))
    (host.xml / "somebody's").unlink()
    host.xml.rmdir()
    assert "msg" not in rtc_undo.run_module(undoing)
    assert (other.read_text(), host.xml.read_text()) == ("1", OLD)
