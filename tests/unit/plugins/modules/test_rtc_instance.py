# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtc_instance: files, check mode, limits, undo, removal."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._instance.service import Instance
from ansible_collections.collab.rtc.plugins.module_utils._undo import records, restore
from ansible_collections.collab.rtc.tests.unit.instances import (
    ANEW,
    CONFIG,
    SECRET,
    SMALL,
    STARTED,
    STOPPED,
    TLS,
)


def test_a_new_instance_is_written_and_started_and_then_left_alone(machine):
    result = machine.run()
    assert (result["changed"], result["restarted"], result["reloaded"]) == (True, True, False)
    assert result["calls"] == ANEW
    assert "port = 9083" in machine.config.read_text()
    assert f"{machine.root}/opt/current/rtc-server serve" in machine.unit.read_text()
    assert len(machine.secret.read_text().strip()) >= 32
    assert [stat.S_IMODE(path.stat().st_mode) for path in (machine.config, machine.secret, machine.secret.parent)] == [
        0o644,
        0o600,
        0o700,
    ]
    before = machine.files()
    result = machine.run()
    assert (result["changed"], result["calls"], machine.files()) == (False, [], before)


def test_a_secret_that_is_given_takes_the_place_of_the_old_one_and_is_never_shown(machine):
    machine.run()
    old = machine.secret.read_text().strip()
    result = machine.run(secret=SECRET)
    assert machine.secret.read_text() == SECRET + "\n"
    assert result["restarted"]
    assert SECRET not in str(result) and old not in str(result)
    assert "a new secret, not shown" in str(result["diff"])


def test_a_short_secret_is_refused(machine):
    result = machine.run(secret="too short")
    assert result["failed"] and "fewer than 32 characters" in result["msg"]
    assert machine.files() == {}


def test_check_mode_writes_and_starts_nothing(machine):
    result = machine.run(check=True)
    assert (result["changed"], result["restarted"], result["calls"]) == (True, True, [])
    assert machine.files() == {}
    assert {item["after_header"] for item in result["diff"]} == {
        str(path) for path in (machine.unit, machine.socket, machine.with_socket, machine.config, machine.secret)
    }


def test_what_the_server_refuses_takes_no_place(machine):
    machine.run()
    before = machine.files()
    result = machine.run(config={"server": {"address": "refused"}})
    assert result["failed"] and result["calls"] == []
    assert f"{machine.config}: server.port: no port" in result["msg"]
    assert machine.files() == before


def test_a_service_that_does_not_come_up_gets_its_previous_files_and_runs_with_them(machine):
    machine.run()
    before = machine.files()
    result = machine.run(config={"server": {"address": "broken"}})
    assert result["failed"]
    assert "does not start: Job failed. Its log: cannot listen" in result["msg"]
    assert "The previous configuration was restored, and the service runs with it." in result["msg"]
    assert machine.files() == before
    assert result["calls"] == [*ANEW, *STOPPED, *ANEW]
    assert machine.run()["changed"] is False


def test_a_run_that_is_given_up_while_its_server_starts_gives_nothing_back(machine, monkeypatch, tmp_path):
    """By then the files are those of whoever came next, and the old ones are older than these."""
    machine.run()
    directory, start = str(tmp_path / "undo/20260101T000000Z-aaaa"), Instance.start

    def be_overtaken(instance):
        records.end_run(directory, for_good=True)
        machine.config.write_text(f"# of the next run\n{machine.config.read_text()}")
        start(instance)

    monkeypatch.setattr(Instance, "start", be_overtaken)
    result = machine.run(config={"server": {"address": "broken"}}, undo_dir=directory)
    assert "does not start" in result["msg"] and "was given up on this host" in result["msg"]
    assert machine.config.read_text().startswith("# of the next run")
    assert STOPPED[0] not in result["calls"]


def test_one_that_was_given_up_stops_no_server(machine, tmp_path):
    machine.run()
    directory = str(tmp_path / "undo/20260101T000000Z-aaaa")
    records.end_run(directory, for_good=True)
    result = machine.run(state="absent", undo_dir=directory)
    assert ("was given up on this host" in result["msg"], result["calls"]) == (True, [])


def test_a_first_start_that_fails_leaves_nothing(machine):
    result = machine.run(config={"server": {"address": "broken"}})
    assert result["failed"] and "The service was left stopped." in result["msg"]
    assert result["calls"] == [*ANEW, *STOPPED]
    assert machine.files() == {}


def test_a_process_that_does_not_run_is_started(machine):
    machine.run()
    (machine.root / "started").unlink()
    assert machine.run()["calls"] == STARTED


def test_without_tls_there_is_no_drop_in(machine):
    machine.run(config=TLS)
    result = machine.run()
    assert result["restarted"] and not machine.drop_in.exists()


def test_limits_of_an_instance_size_its_unit(machine):
    result = machine.run(check=True, config=SMALL)
    assert str(machine.limits) in {item["after_header"] for item in result["diff"]} and not machine.limits.exists()
    assert machine.run(config=SMALL)["calls"] == ANEW
    assert "LimitNOFILE=2512\n" in machine.limits.read_text()
    before = machine.files()
    assert machine.run(config=SMALL)["changed"] is False
    result = machine.run(config={**SMALL, "limits": {"connections": 1001}})
    assert result["restarted"]
    shown = {item["after_header"]: item for item in result["diff"]}[str(machine.limits)]
    assert "LimitNOFILE=2512\n" in shown["before"] and "LimitNOFILE=2514\n" in shown["after"]
    result = machine.run(config={**SMALL, "server": {"address": "broken"}, "limits": {"connections": 2}})
    assert result["failed"] and "LimitNOFILE=2514\n" in machine.limits.read_text()
    machine.run(config=SMALL)
    assert machine.files() == before
    assert machine.run()["changed"] and not machine.limits.exists()


def test_limits_are_undone_and_removed_with_the_instance(machine, tmp_path):
    machine.run()
    before = machine.files()
    record = tmp_path / "undo"
    machine.run(config=SMALL, undo_dir=str(record))
    assert machine.limits.exists()
    restore.restore(str(record))
    assert machine.files() == before
    machine.run(config=SMALL)
    machine.run(state="absent")
    assert set(machine.files()) == {machine.unit}


@pytest.mark.parametrize(
    "limits", [1, [], "x", {"connections": "many"}, {"connections": -1}, {"x": 1}, {"connections": True}]
)
def test_limits_that_the_server_will_refuse_do_not_get_in_the_way(machine, limits):
    assert machine.run(check=True, config={**CONFIG, "limits": limits}).get("failed") is not True


def test_an_absent_instance_is_stopped_and_its_configuration_removed(machine):
    machine.run(config=TLS)
    result = machine.run(state="absent")
    assert (result["changed"], result["restarted"], result["calls"]) == (True, False, STOPPED)
    assert set(machine.files()) == {machine.unit}  # other instances have the same one
    result = machine.run(state="absent")
    assert (result["changed"], result["calls"]) == (False, [])


def test_every_file_is_recorded_for_undo_and_backed_up_on_demand(machine):
    machine.run()
    before = machine.files()
    record = machine.root / "undo"
    other = {"server": {"address": "127.0.0.1", "port": 9084}}
    machine.run(config=other, secret=SECRET, undo_dir=str(record), backup=True)
    kinds = {item["path"]: item["kind"] for item in records.entries(str(record))}
    assert kinds == {str(path): "file" for path in (machine.config, machine.secret, machine.socket)}
    copies = [path for path in machine.config.parent.iterdir() if path.name.startswith("confluence.toml.")]
    assert [path.read_bytes() for path in copies] == [before[machine.config]]
    (copy,) = [path for path in machine.secret.parent.iterdir() if path.name.startswith("secret.")]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "../confluence", "a/b", "Wiki", "a b", "-a", "a\n", "a" * 28, "%i"])
def test_a_name_that_is_no_part_of_a_user(run_module, name):
    result = run_module("rtc_instance", {"instance": name})
    assert result["failed"]
    assert "name of an instance" in result["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize(
    ("name", "owner", "mode"), [("socket", 65534, 0o644), ("socket", 0, 0o666), ("secret", 0, 0o644)]
)
def test_files_that_others_may_write_or_read_are_taken_from_them(machine, name, owner, mode):
    machine.run()
    path = getattr(machine, name)
    right = stat.S_IMODE(path.stat().st_mode)
    os.chown(path, owner, owner)
    path.chmod(mode)
    assert machine.run(check=True)["changed"] and path.stat().st_uid == owner
    assert machine.run()["changed"]
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (0, right)
    assert machine.run()["changed"] is False
