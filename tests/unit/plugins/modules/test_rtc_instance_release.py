# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtc_instance: another release, the way back, sockets that systemd hands over."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._instance import service
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import switching
from ansible_collections.collab.rtc.plugins.module_utils._undo import records
from ansible_collections.collab.rtc.tests.unit.instances import (
    ANEW,
    CONFIG,
    PASSWORD,
    PROBED,
    SMALL,
    STARTED,
    STOPPED,
    STORE,
    age,
    current,
    switch,
)
from ansible_collections.collab.rtc.tests.unit.killing import run_and_die


def test_a_process_older_than_its_files_is_restarted(machine):
    machine.run()
    age(machine)
    assert machine.run()["changed"] is False
    os.utime(machine.config)
    result = machine.run()
    assert (result["changed"], result["restarted"], result["diff"]) == (True, True, [])


def test_a_process_of_another_release_is_restarted_after_its_configuration_was_checked(machine, readiness):
    machine.run(config=PROBED)
    age(machine)
    switch(machine, "two", "two")
    assert machine.run(config=PROBED, check=True)["restarted"] and readiness.asked == 0
    result = machine.run(config=PROBED)
    assert (result["restarted"], result["diff"], readiness.asked) == (True, [], 1)
    assert switching.read_ready(str(machine.root / "opt")) == {"confluence": "two"}
    assert machine.run(config=PROBED)["changed"] is False


def test_a_release_that_refuses_the_configuration_is_taken_back_and_the_old_one_serves_on(machine):
    machine.run()
    age(machine)
    switch(machine, "two", "refuses")
    before = machine.files()
    result = machine.run(undo_dir=str(machine.root / "undo/20260101T000000Z-aaaa"))
    assert result["failed"] and result["calls"] == []
    assert "server.new: unknown" in result["msg"]
    assert "The release two was taken back: one is current again." in result["msg"]
    assert (current(machine), machine.files()) == ("releases/one", before)
    result = machine.run()
    assert (result["changed"], result["calls"]) == (False, []), "the process is of the release that is current"


@pytest.mark.parametrize("changed", [True, False])
def test_a_release_that_does_not_start_is_taken_back(machine, changed):
    machine.run()
    before = machine.files()
    switch(machine, "two", "broken")
    result = machine.run(config=SMALL if changed else CONFIG)
    assert result["failed"] and "Its log: cannot listen" in result["msg"]
    assert "The release two was taken back: one is current again." in result["msg"]
    assert ("The previous configuration was restored" in result["msg"]) == changed
    assert result["calls"] == [*STARTED, *STOPPED, *ANEW]
    assert (current(machine), machine.files()) == ("releases/one", before)
    assert machine.run()["changed"] is False


def test_a_release_that_does_not_get_ready_is_taken_back(machine, readiness, monkeypatch):
    monkeypatch.setattr(service, "_READY_SECONDS", 0.1)
    machine.run(config=PROBED)
    switch(machine, "two", "two")
    readiness.statuses = [503]
    result = machine.run(config=PROBED)
    assert result["failed"] and '503 {"reason": "journal"}' in result["msg"] and "two was taken back" in result["msg"]
    assert current(machine) == "releases/one"


@pytest.mark.parametrize(("program", "stays"), [("fickle", False), ("two", True)])
def test_a_release_that_ends_soon_after_its_start_is_taken_back(machine, readiness, monkeypatch, program, stays):
    monkeypatch.setattr(service, "_STEADY_SECONDS", 1)
    machine.run(config=PROBED)
    (machine.root / "restarted").unlink()
    switch(machine, "two", program)
    result = machine.run(config=PROBED)
    assert result.get("failed", False) != stays
    assert stays or ("ends soon after. Its log" in result["msg"] and "two was taken back" in result["msg"])
    assert current(machine) == f"releases/{'two' if stays else 'one'}"


def test_other_instances_go_back_with_it(machine):
    machine.run()
    switch(machine, "two", "broken")
    switching.note_ready(str(machine.root / "opt"), "jira", "two")  # it got ready with it before
    result = machine.run()
    assert "rtc-server@jira.service was restarted with it." in result["msg"]
    assert "restart rtc-server@jira.service" in result["calls"]
    assert switching.read_ready(str(machine.root / "opt")) == {"confluence": "one", "jira": "one"}


def test_where_the_old_release_does_not_start_either_both_are_said(machine):
    machine.run()
    machine.write("opt/releases/one/rtc-server", "broken")
    switch(machine, "two", "broken")
    result = machine.run()
    assert "one is current again. But rtc-server@confluence.service does not start" in result["msg"]


@pytest.mark.parametrize("removed", [True, False])
def test_without_a_way_back_the_service_is_left_stopped(machine, removed):
    machine.run()
    if removed:
        shutil.rmtree(machine.root / "opt/releases/one")
    else:
        (machine.root / "opt/ready/confluence").unlink()
    switch(machine, "two", "broken")
    result = machine.run()
    assert result["failed"] and "The service was left stopped." in result["msg"]
    assert current(machine) == "releases/two"


def test_a_kill_at_any_call_while_a_release_is_taken_back(machine):
    """The next run ends with the release that works, running."""
    machine.run()
    for number in range(1, 100):
        switch(machine, "two", "broken")
        died = run_and_die(number, machine.run)
        assert current(machine) in ("releases/one", "releases/two")
        result = machine.run()
        assert result.get("failed") is None or "one is current again" in result["msg"], result
        assert current(machine) == "releases/one"
        assert machine.run()["changed"] is False and (machine.root / "started").exists()
        if not died:
            break
    assert number > 10


def test_a_kill_at_any_call_while_a_release_is_started(machine, readiness):
    """The next run ends with the new release."""
    for number in range(1, 100):
        switch(machine, "one", "one")
        machine.run(config=PROBED)
        switch(machine, "two", "two")
        died = run_and_die(number, lambda: machine.run(config=PROBED))
        assert machine.run(config=PROBED).get("failed") is None
        assert switching.read_ready(str(machine.root / "opt")) == {"confluence": "two"}
        assert machine.run(config=PROBED)["changed"] is False and (machine.root / "started").exists()
        if not died:
            break
    assert number > 5


def read_socket(machine):
    lines = machine.socket.read_text().splitlines()
    return [line for line in lines if line.startswith("ListenStream=")]


def test_a_restart_leaves_the_socket_alone_and_another_port_does_not(machine):
    machine.run()
    assert read_socket(machine) == ["ListenStream=127.0.0.1:9083"]
    since = (machine.root / "listening").read_text()
    assert machine.run(config=SMALL)["calls"] == STARTED
    assert (machine.root / "listening").read_text() == since
    assert machine.run(config={"server": {"address": "::", "port": 9083}})["calls"] == ANEW
    assert read_socket(machine) == ["ListenStream=0.0.0.0:9083", "ListenStream=[::]:9083"]
    assert (machine.root / "listening").read_text() != since


def test_a_store_needs_the_network_and_no_other_instance_has_it(machine, readiness):
    machine.run()
    assert "PrivateNetwork=yes\n" in machine.with_socket.read_text()
    machine.run(config=STORE, store_password=PASSWORD)
    assert "PrivateNetwork" not in machine.with_socket.read_text() and "Wants=" in machine.with_socket.read_text()


@pytest.mark.parametrize("died_before_the_restart", [True, False])
def test_a_socket_that_is_not_as_it_was_written_is_made_anew(machine, died_before_the_restart):
    machine.run()
    if died_before_the_restart:
        os.utime(machine.socket, (time.time() + 5,) * 2)
    else:
        (machine.root / "listening").unlink()  # somebody stopped it
        machine.age_process(-1)
        os.utime(machine.config, (time.time() + 5,) * 2)
    result = machine.run()
    assert (result["restarted"], result["calls"]) == (True, ANEW)


def test_a_host_from_before_sockets_and_back(machine, readiness):
    """The release says whether it takes sockets: one that does not finds its port free."""
    switch(machine, "one", "opens sockets")
    assert machine.run(config=PROBED)["calls"] == STARTED
    assert not machine.socket.exists() and not machine.with_socket.exists()
    before = machine.files()
    assert machine.run(config=PROBED)["changed"] is False
    switch(machine, "two", "two")
    result = machine.run(config=PROBED)
    assert (result["calls"], machine.socket.exists(), machine.with_socket.exists()) == (ANEW, True, True)
    switching.switch(str(machine.root / "opt"), "one")
    result = machine.run(config=PROBED)
    assert (result["calls"], machine.files()) == (ANEW, before)
    assert machine.run(config=PROBED)["changed"] is False


def test_a_release_that_opens_sockets_is_taken_back_for_all(machine):
    switch(machine, "one", "opens sockets")
    machine.run()
    before = machine.files()
    switch(machine, "two", "broken")
    switching.note_ready(str(machine.root / "opt"), "jira", "two")  # it got ready with it, and has a socket
    for name in ("jira.socket", "jira.d/socket.conf"):
        machine.write(f"systemd/{name}", "x")
    undo = machine.root / "undo"
    result = machine.run(undo_dir=str(undo))
    assert result["failed"] and "two was taken back: one is current again." in result["msg"]
    assert (machine.files(), machine.run()["changed"]) == (before, False)
    assert not (machine.root / "systemd/jira.socket").exists()
    assert not (machine.root / "systemd/jira.d/socket.conf").exists()
    stop = "stop rtc-server@jira.service rtc-server@jira.socket"
    calls = [call for call in result["calls"] if "jira" in call or call == "daemon-reload"]
    assert calls[calls.index(stop) :][:3] == [stop, "daemon-reload", "restart rtc-server@jira.service"]
    assert {str(machine.root / "systemd/jira.socket")} <= {item["path"] for item in records.entries(str(undo))}


def test_check_mode_asks_the_release_that_is_to_come(machine):
    switch(machine, "one", "opens sockets")
    machine.run()
    age(machine)
    machine.write("opt/releases/kept/rtc-server", "opens sockets")
    sockets = {str(machine.socket), str(machine.with_socket)}
    for release, told in (("new", sockets), ("kept", set()), ("one", set())):
        result = machine.run(check=True, release=release)
        assert {item["after_header"] for item in result["diff"]} == told, release
        assert result["restarted"] is (release != "one")
    assert machine.run(release="new")["changed"] is False, "without check mode the current one counts"
