# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what is managed: what was before, what was written, whose it is; and the lease."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._managed import lease, record, states
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit.recorded_host import NEXT, RUN, XML, Host


@pytest.fixture
def host(tmp_path, run_module):
    return Host(tmp_path, run_module)


def test_before_and_written(host):
    host.begin("proxyName", "scheme")
    begun = {entry.kind: (entry.intended, entry.written) for entry in host.read().entries}
    assert begun == {"connector": ("proxyName scheme", {}), "vhost": ("1", {})}
    assert host.judge() == {"connector": "begun", "vhost": "begun"}
    assert stat.S_IMODE(os.stat(host.path / "managed.json").st_mode) == 0o600

    host.make(' proxyName="wiki" scheme="https"')
    connector, vhost = host.read().entries
    assert connector.before == {"proxyName": None, "scheme": None}
    assert connector.written == {"proxyName": "wiki", "scheme": "https"}
    assert (vhost.what["files"], vhost.written) == ([str(host.vhost)], {str(host.vhost): "server {}\n"})
    assert host.judge() == {"connector": "as_written", "vhost": "as_written"}
    assert host.read().host == "wiki"


def test_before_is_what_was_there_before_the_first_run(host):
    host.xml.write_text(XML % ' scheme="http"')
    host.begin("scheme")
    host.make(' scheme="https"')
    host.begin("scheme", "secure", run=NEXT)
    host.make(' scheme="https" secure="true"', NEXT)
    assert host.read().entries[0].before == {"scheme": "http", "secure": None}


def test_what_is_not_wanted_any_more_is_known_until_it_is_given_back(host):
    host.begin("scheme", "secure")
    host.make(' scheme="https" secure="true"')
    host.begin("scheme", run=NEXT)
    assert set(host.read().entries[0].before) == {"scheme", "secure"}  # a kill now must not lose it
    host.make(' scheme="https"', NEXT)
    assert set(host.read().entries[0].before) == {"scheme"}


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (' proxyName="other" scheme="https"', "edited"),
        (' scheme="https"', "edited"),
        (' proxyName="wiki" scheme="https" maxThreads="7"', "as_written"),  # not ours
        ("", "replaced"),
    ],
)
def test_what_somebody_did_to_a_connector(host, text, state):
    host.begin("proxyName", "scheme")
    host.make(' proxyName="wiki" scheme="https"')
    host.xml.write_text(XML % text)
    assert host.judge()["connector"] == state


def test_after_an_upgrade_before_is_taken_anew(host):
    host.begin("scheme")
    host.make(' scheme="https"')
    host.xml.write_text(XML % ' maxThreads="9"')
    host.begin("scheme", run=NEXT)
    assert host.read().entries[0].before == {"scheme": None}


def test_an_edit_is_shown_without_secrets(host):
    host.begin("scheme")
    host.make(' scheme="https"')
    host.vhost.write_text("server {}\nauth_password hunter2;\n")
    (entry,) = [entry for entry in host.read().entries if entry.kind == "vhost"]
    diff = states.make_diff(entry, states.read_parts(entry))
    assert "+auth_password" in diff
    assert "hunter2" not in diff
    assert states.judge(entry, states.read_parts(entry)) == "edited"


def test_a_link_that_an_editor_replaced_by_a_file_is_an_edit(host, tmp_path):
    """sed -i does that; the file that the link led to is as it was."""
    link = tmp_path / "enabled" / "rtc.conf"
    link.parent.mkdir()
    host.begin("scheme")
    host.vhost.write_text("server {}\n")
    link.symlink_to(host.vhost)
    host.do("finished", files=[str(host.vhost), str(link)])
    assert host.judge()["vhost"] == "as_written"
    link.unlink()
    link.write_text("server {} # edited\n")
    assert host.judge()["vhost"] == "edited"


def test_adopted_from_an_earlier_version(host):
    """It kept no record: what was before is in the oldest undo record."""
    old = host.undo / "20250101T000000Z-0000"
    host.xml.write_text(XML % ' scheme="ftp"')
    records.record(str(old), str(host.xml), b"x")
    host.xml.write_text(XML % ' scheme="https"')
    entries = [{**entry, "adopt": True} for entry in host.entries("scheme")]
    host.do("begun", entries=entries, identity={"host": "wiki"})
    assert host.read().entries[0].before == {"scheme": "ftp"}


def test_taken_away(host):
    host.begin("scheme")
    host.make(' scheme="https"')
    keys = [entry.key for entry in host.read().entries]
    host.do("begun", NEXT, identity={"host": "wiki"})
    assert host.do("finished", NEXT, removed=keys[:1])["entries"] == keys[1:]
    host.do("begun", NEXT, identity={"host": "wiki"})
    host.do("finished", NEXT, removed=keys)
    assert not (host.path / "managed.json").exists()


def test_the_record_of_another_host_is_not_ours(host):
    host.begin("scheme")
    host.make(' scheme="https"')
    host.do("begun", NEXT, identity={"host": "clone"})
    assert (host.read().host, host.read().entries) == ("clone", [])


def read_entries(host):
    return {entry.key: record.dump(record.Record(entries=[entry])) for entry in host.read().entries}


def test_of_a_blocked_site_the_entries_are_those_from_before(host, tmp_path):
    """Its proxy did not take it: what was made before stays noted, what was taken back is as it was."""
    key = tmp_path / "privkey.pem"
    more = [
        {"key": f"file {key}", "kind": "file", "what": {"path": str(key)}},
        {"key": "trust x", "kind": "trust", "what": {"path": "/x"}},
    ]
    mine = [{"site": "wiki:9083", "owners": ["wiki/confluence"], "spec": "2", **one} for one in more]
    other = {"kind": "vhost", "what": {"kind": "nginx", "name": "rtc"}, "spec": "3", "owners": ["tracker/jira"]}
    others = {**other, "key": "vhost nginx jira", "site": "tracker:9093"}
    host.begin("proxyName")
    host.make(' proxyName="wiki"')
    before = read_entries(host)
    host.do("begun", NEXT, entries=[*host.entries("proxyName", "scheme"), *mine, others], identity={"host": "wiki"})
    result = host.do("finished", NEXT, files=[str(host.vhost)], blocked=["wiki:9083"])
    now = read_entries(host)
    assert set(result["entries"]) == {*before, "trust x", "vhost nginx jira"}
    assert {name: now[name] for name in before if name in now} == before
    assert not any(entry.intended for entry in host.read().entries)


@pytest.mark.parametrize("known", [False, True])
def test_a_certificate_that_another_site_reads_was_written(host, tmp_path, known):
    path = tmp_path / "fullchain.pem"
    entry = {"key": "file x", "kind": "file", "what": {"path": str(path)}, "site": "wiki:9083", "spec": "1"}
    if known:
        path.write_text("old")
        host.do("begun", entries=[entry], identity={"host": "wiki"})
        host.do("finished")
    host.do("begun", NEXT, entries=[{**entry, "spec": "2"}], identity={"host": "wiki"})
    path.write_text("new")
    host.do("finished", NEXT, blocked=["wiki:9083"])
    (found,) = host.read().entries
    assert (found.spec, found.intended, found.run) == ("2", "", NEXT)
    assert states.judge(found, states.read_parts(found)) == "as_written"


def test_a_connector_that_was_set_before_its_site_was_blocked_is_noted(host):
    host.begin("proxyName")
    host.make(' proxyName="wiki"')
    host.begin("proxyName", "scheme", run=NEXT)
    host.xml.write_text(XML % ' proxyName="wiki" scheme="https"')
    host.do("finished", NEXT, blocked=["wiki:9083"])
    assert {entry.kind: entry.run for entry in host.read().entries} == {"connector": NEXT, "vhost": RUN}


def test_a_port_that_was_opened_for_a_blocked_site_is_not_noted(host):
    """The module has closed it; one that another site needs stays, as that one's."""
    setting = {"tool": "firewalld", "name": "", "permanent": False, "before": ""}
    host.begin("proxyName")
    known = host.read()
    for port, owners in ((9083, ["wiki/confluence"]), (9093, ["wiki/confluence", "tracker/jira"])):
        what = {**setting, "port": port}
        known.entries.append(record.Entry(f"s{port}", "setting", "wiki:9083", owners, run=RUN, what=what))
    what = {"kind": "nginx", "name": "jira", "port": 9093}
    vhost = record.Entry("v", "vhost", "tracker:9093", ["tracker/jira"], run=RUN, what=what, intended="1")
    known.entries.append(vhost)
    record.save(known, None, str(host.path / "managed.json"))
    host.do("finished", blocked=["wiki:9083"])
    found = {entry.key: (entry.site, entry.owners) for entry in host.read().entries}
    assert found == {"s9093": ("tracker:9093", ["tracker/jira"]), "v": ("tracker:9093", ["tracker/jira"])}


def test_a_run_that_failed_leaves_what_it_began(host):
    host.begin("scheme")
    records.record(str(host.undo / RUN), str(host.xml), b"new")
    host.do("failed")
    assert host.judge() == {"connector": "begun", "vhost": "begun"}
    assert lease.read(str(host.path / "lease")) is None


def test_what_was_begun_for_a_site_that_is_stopped_meanwhile_stays_begun(host):
    entries = host.entries("proxyName")
    entries[0]["site"] = "tracker:9093"
    host.do("begun", entries=entries, identity={"host": "wiki"})
    host.vhost.write_text("server {}\n")
    host.do("finished", files=[str(host.vhost)], stopped=["tracker:9093"])
    assert host.judge() == {"connector": "begun", "vhost": "as_written"}
    assert lease.read(str(host.path / "lease")) is None
    host.begin("proxyName", run=NEXT)
    host.make(' proxyName="wiki"', NEXT)
    assert host.judge() == {"connector": "as_written", "vhost": "as_written"}
    assert host.read().entries[0].before == {"proxyName": None}


def test_of_a_run_that_changed_nothing_nothing_is_left(host):
    host.begin("scheme")
    host.do("failed")
    assert not (host.path / "managed.json").exists()
    assert not (host.undo / RUN).exists()
    host.begin("scheme")
    host.make(' scheme="https"')
    before = (host.path / "managed.json").read_bytes()
    host.begin("scheme", "secure", run=NEXT)
    host.do("failed", NEXT)
    assert (host.path / "managed.json").read_bytes() == before
    assert not (host.undo / NEXT).exists()


@pytest.mark.parametrize("is_late", [False, True], ids=["before the run is given up", "in that moment"])
def test_a_call_that_goes_on_after_its_connection_was_lost_changes_nothing(host, monkeypatch, is_late):
    """Else the record would be that of before the run, and what the call wrote would look like somebody's edit."""
    host.begin("scheme")
    started = records._STARTED
    if is_late:  # the run is given up when it has just recorded what it is about to do
        append = records.append

        def be_overtaken(directory, lines):
            append(directory, lines)
            host.do("failed")
            monkeypatch.setattr(records, "_STARTED", started)

        monkeypatch.setattr(records, "append", be_overtaken)
    else:
        host.do("failed")
        monkeypatch.setattr(records, "_STARTED", started)
    with pytest.raises(RtcError, match="was given up on this host"):
        records.record(str(host.undo / RUN), str(host.xml), b"new")
    assert host.xml.read_text() == XML % ""
    assert (host.undo / RUN).exists() == is_late
    host.begin("scheme", run=NEXT)
    host.make(' scheme="https"', run=NEXT)
    assert set(host.judge().values()) == {states.AS_WRITTEN}


def test_a_run_is_given_up_on_a_full_disk_too(host, monkeypatch):
    host.begin("scheme")

    def fail(_directory, for_good=False):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(records, "end_run", fail)
    host.do("failed")
    assert not (host.undo / RUN).exists() and not (host.path / "lease").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"%s": "1"}', '{"%s": null}', "\0"])
def test_what_cannot_be_read_about_runs_that_were_given_up_stops_nobody(host, monkeypatch, text):
    host.begin("scheme")
    host.do("failed")
    directory = str(host.undo / RUN)
    pathlib.Path(records.ENDED).write_text(text.replace("%s", directory))
    monkeypatch.setattr(records, "_STARTED", 0.0)
    records.record(directory, str(host.xml), b"new")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"version": 99}', "newer version"),
        ('{"version": 1, "entries": [1]}', "damaged"),
        ('{"version": 1, "entries": null}', "damaged: it has no usable entries"),
        ('{"version": 1, "entries": [null]}', "damaged: entry 1 is no entry"),
        ('{"version": 1, "machine": 5}', "damaged: it has no usable machine"),
        ('{"version": 1e400}', "damaged: its version is inf"),
        ('{"version": true}', "damaged"),
        ('{"version": 0}', "damaged"),
        ("[" * 100_000, "damaged"),
        ("\0" * 512, "damaged"),
        *(
            (
                json.dumps({"version": 1, "entries": [{"key": "k", "kind": "file", "site": "s", **wrong}]}),
                "damaged: entry 1",
            )
            for wrong in (
                {"what": None},
                {"key": 1},
                {"kind": []},
                {"site": None},
                {"owners": None},
                {"owners": [1]},
                {"run": {}},
                {"written": None},
                {"before": {"/x": 1}},
            )
        ),
    ],
)
def test_a_record_that_cannot_be_used_stops_the_run(host, text, words):
    host.begin("scheme")
    host.make(' scheme="https"')
    (host.path / "managed.json").write_text(text)
    result = host.do("begun", NEXT, fails=True, entries=host.entries("scheme"))
    assert words in result["msg"]
    assert (host.path / "managed.json").read_text() == text


def test_a_record_that_others_could_change_is_refused(host):
    host.begin("scheme")
    os.chmod(host.path, 0o777)
    with pytest.raises(RtcError, match="can change it"):
        host.read()


def test_in_check_mode_nothing_is_written(host):
    host.begin("scheme", check=True)
    assert not host.path.exists()


class TestLease:
    """One run at a time."""

    def test_a_second_run_is_refused_with_who_and_how_long(self, host):
        host.begin("scheme", undo_user="anna@one")
        text = json.loads((host.path / "lease/lease.json").read_text())
        (host.path / "lease/lease.json").write_text(json.dumps({**text, "since": text["since"] - 130}))
        result = host.do("begun", NEXT, fails=True)
        assert f"run {RUN} of anna@one, which began 2 minutes ago" in result["msg"]
        host.do("begun")  # the same run, once more

    def test_one_whose_process_is_gone_does_not_count(self, host):
        host.begin("scheme")
        host.do("begun", NEXT, identity={"dead": [RUN], "host": "wiki"})
        assert lease.read(str(host.path / "lease")).run == NEXT

    def test_who_was_taken_for_dead_changes_nothing_more(self, host, monkeypatch):
        host.begin("scheme")
        host.do("begun", NEXT, entries=host.entries("scheme"), identity={"dead": [RUN], "host": "wiki"})
        monkeypatch.setattr(records, "_STARTED", time.monotonic() + 1)
        before = (host.path / "managed.json").read_bytes()
        with pytest.raises(RtcError, match="another one has taken its place"):
            records.record(str(host.undo / RUN), str(host.xml), b"new")
        assert "another one has taken its place" in host.do("finished", fails=True)["msg"]
        for _attempt in range(2):
            host.do("failed")
        assert (host.path / "managed.json").read_bytes() == before
        assert lease.read(str(host.path / "lease")).run == NEXT
        host.make(' scheme="https"', NEXT)
        assert set(host.judge().values()) == {states.AS_WRITTEN}

    def test_one_of_another_run_is_not_given_up(self, host):
        host.begin("scheme")
        host.do("failed", NEXT)
        assert lease.read(str(host.path / "lease")).run == RUN

    def test_a_very_old_one_does_not_count(self, host):
        lease.take(lease.Lease(RUN), path=str(host.path / "lease"))
        (host.path / "lease/lease.json").write_text(json.dumps({"run": RUN, "since": 1}))
        host.do("begun", NEXT, identity={"host": "wiki"})

    @pytest.mark.parametrize(("ahead", "held"), [(600, True), (86_400 * 365, False)])
    def test_one_of_the_future_counts_unless_the_clock_was_set_back_far(self, host, ahead, held):
        lease.take(lease.Lease(RUN), path=str(host.path / "lease"))
        (host.path / "lease/lease.json").write_text(json.dumps({"run": RUN, "since": time.time() + ahead}))
        result = host.do("begun", NEXT, identity={"host": "wiki"}, fails=held)
        assert not held or "minutes in the future of this host's clock" in result["msg"]

    def test_one_that_a_kill_left_empty_is_none(self, host):
        (host.path / "lease").mkdir(parents=True)
        host.begin("scheme")
        assert lease.read(str(host.path / "lease")).run == RUN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        '{"run": 5}',
        '{"run": "x", "since": null}',
        '{"run": "x", "since": NaN}',
        '{"run": "x", "since": 1e400}',
    ],
)
def test_a_lease_that_cannot_be_read_is_held_all_the_same(tmp_path, text):
    (tmp_path / "lease").mkdir()
    (tmp_path / "lease/lease.json").write_text(text)
    with pytest.raises(RtcError, match="is being changed by run"):
        lease.require_free(["another"], str(tmp_path / "lease"))
