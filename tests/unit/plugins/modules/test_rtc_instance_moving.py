# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtc_instance: the projects of a journal of its own go into a store, whatever fails or is killed on the way."""

from __future__ import annotations

import re

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _files_tree
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._instance import moving, service
from ansible_collections.collab.rtc.tests.unit.instances import (
    ANEW,
    CONFIG,
    OWN,
    PASSWORD,
    STOPPED,
    STORE,
    current,
    switch,
)


@pytest.fixture
def with_journal(machine, readiness):
    """A machine whose instance has a journal of its own, with projects."""
    machine.run(config=OWN)
    for name in ("journal.db", "journal.db-log0", "journal.db.lock", "kept.db"):
        machine.write(f"state/confluence/{name}", name)
    machine.write("projects", "rtc-verify\t9\t9\t9\np\t1\t1\t1\n")
    return machine


def list_state(machine):
    return sorted(path.name for path in (machine.root / "state/confluence").iterdir())


def test_projects_of_a_journal_are_moved_into_the_store(with_journal):
    machine = with_journal
    result = machine.run(config=STORE, store_password=PASSWORD, check=True)
    assert (result["changed"], result["moved"], result["calls"]) == (True, ["p"], [])
    assert "journal.db" in list_state(machine) and not (machine.root / "moved").exists()

    result = machine.run(config=STORE, store_password=PASSWORD)
    assert (result["changed"], result["moved"], result["calls"]) == (True, ["p"], [*STOPPED, *STOPPED, *ANEW])
    assert (machine.root / "moved").read_text() == PASSWORD + "\n"
    kept, *moved = list_state(machine)
    assert kept == "kept.db"
    assert [(machine.root / "state/confluence" / name).read_text() for name in moved] == [
        "journal.db", "journal.db-log0", "journal.db.lock"
    ]  # fmt: skip
    assert all(re.fullmatch(r"moved-[0-9TZ]+\.db(-log0|\.lock)?", name) for name in moved)

    result = machine.run(config=STORE, store_password=PASSWORD)
    assert (result["changed"], result["moved"], result["calls"]) == (False, [], [])


def test_what_verifications_left_is_not_moved(with_journal):
    with_journal.write("projects", "rtc-verify\t9\t9\t9\n")
    result = with_journal.run(config=STORE, store_password=PASSWORD)
    assert (result["moved"], "journal.db" in list_state(with_journal)) == ([], False)
    assert not (with_journal.root / "moves").exists()
    assert with_journal.run(config=OWN)["changed"], "the store has nothing that anybody misses"


def test_a_move_that_fails_leaves_the_service_as_it_was(with_journal):
    machine = with_journal
    machine.write("stuck", "")
    before, state = machine.files(), list_state(machine)
    result = machine.run(config=STORE, store_password=PASSWORD)
    assert result["failed"] and "cannot be moved into the store: project 'p': the store has another" in result["msg"]
    assert "The service runs as before." in result["msg"]
    assert (machine.files(), list_state(machine)) == (before, state)
    assert (
        result["calls"][:2] == STOPPED and result["calls"][-1] == "restart UNIT" and (machine.root / "started").exists()
    )


def test_a_node_that_was_stopped_stays_so_when_its_journal_cannot_be_moved(with_journal):
    for name in ("started", "listening"):
        (with_journal.root / name).unlink()
    with_journal.write("stuck", "")
    result = with_journal.run(config=STORE, store_password=PASSWORD)
    assert result["failed"] and "The service was left stopped." in result["msg"]
    assert not (with_journal.root / "started").exists() and "journal.db" in list_state(with_journal)


def test_nobody_is_cut_off_for_a_store_that_cannot_be_used(with_journal):
    config = {**CONFIG, "journal": {"store_url": "postgresql://rtc@no-entry/rtc"}}
    result = with_journal.run(config=config, store_password=PASSWORD)
    assert result["failed"] and result["calls"] == []


def test_a_release_that_cannot_move_is_said_before_the_service_is_stopped(with_journal):
    with_journal.write("old-release", "")
    result = with_journal.run(config=STORE, store_password=PASSWORD)
    assert result["failed"] and "rtc_server_version" in result["msg"] and result["calls"] == []


def test_a_server_that_does_not_get_ready_with_the_store_has_its_journal_again(with_journal, readiness, monkeypatch):
    monkeypatch.setattr(service, "_READY_SECONDS", 0.1)
    before, state = with_journal.files(), list_state(with_journal)
    readiness.statuses = [503]
    result = with_journal.run(config=STORE, store_password=PASSWORD)
    assert result["failed"] and "previous configuration was restored" in result["msg"]
    assert (with_journal.files(), list_state(with_journal)) == (before, state)


def test_a_journal_that_cannot_be_read_is_not_left_behind(with_journal):
    with_journal.write("silent", "")
    result = with_journal.run(config=STORE, store_password=PASSWORD)
    assert result["failed"] and "The journal that" in result["msg"] and "no answer" in result["msg"]


def on(monkeypatch, name, do, owner=service.Instance):
    """Let something happen just after a step."""
    whole = getattr(owner, name)

    def step(*arguments, **options):
        done = whole(*arguments, **options)
        do()
        return done

    monkeypatch.setattr(owner, name, step)


def move(machine, **options):
    return machine.run(config=STORE, store_password=PASSWORD, **options)


def count_moves(machine):
    return len((machine.root / "moves").read_text().split())


def test_the_first_project_of_all_may_come_until_the_service_stops(with_journal, monkeypatch):
    with_journal.write("projects", "")
    on(monkeypatch, "stop", lambda: with_journal.write("projects", "p\t1\t1\t1\n"))
    assert move(with_journal)["changed"]
    assert count_moves(with_journal) == 1 and "journal.db" not in list_state(with_journal)


def test_an_older_release_moves_no_project_that_has_come_meanwhile(with_journal, monkeypatch):
    with_journal.write("projects", "")
    with_journal.write("old-release", "")
    on(monkeypatch, "stop", lambda: with_journal.write("projects", "p\t1\t1\t1\n"))
    before = with_journal.files()
    result = move(with_journal)
    assert result["failed"] and "rtc_server_version" in result["msg"] and "runs as before" in result["msg"]
    assert with_journal.files() == before and "journal.db" in list_state(with_journal)


def test_an_older_release_has_nothing_to_move_of_an_empty_journal(with_journal):
    with_journal.write("projects", "")
    with_journal.write("old-release", "")
    assert move(with_journal)["restarted"] and not (with_journal.root / "moves").exists()


@pytest.mark.parametrize("linked", [False, True])
def test_what_a_service_kept_that_somebody_started_meanwhile_is_moved_too(with_journal, monkeypatch, linked):
    """Its unit tries again each second until the journal is free, which is before it has the new configuration."""
    if linked:
        (with_journal.root / "disk").mkdir()
        (with_journal.root / "state/confluence/journal.db").rename(with_journal.root / "disk/j")
        (with_journal.root / "state/confluence/journal.db").symlink_to(with_journal.root / "disk/j")
    on(monkeypatch, "apply", lambda: with_journal.write("disk/j" if linked else "state/confluence/journal.db", "more"))
    assert move(with_journal)["changed"]
    assert count_moves(with_journal) == 2 and "journal.db" not in list_state(with_journal)


@pytest.mark.parametrize("step", ["apply", "start", "await_ready"])
def test_what_was_moved_is_put_away_after_a_kill(with_journal, monkeypatch, step):
    def kill():
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        on(killed, step, kill)
        with pytest.raises(KeyboardInterrupt):
            move(with_journal)
    assert "journal.db" in list_state(with_journal)
    assert move(with_journal, check=True)["changed"]
    result = move(with_journal)
    assert result["changed"] and list_state(with_journal)[0] == "kept.db" and (with_journal.root / "started").exists()
    result = move(with_journal)
    assert (result["changed"], result["calls"], count_moves(with_journal)) == (False, [], 1)


def fail(_directory):
    raise RtcError("no.")


def test_what_was_moved_is_put_away_with_an_instance_that_goes(with_journal, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(moving, "put_away", fail)
        assert move(with_journal)["failed"]
    with_journal.run(state="absent")
    assert list_state(with_journal)[0] == "kept.db" and list(with_journal.secret.parent.iterdir()) == []


def test_a_journal_that_cannot_be_put_away_stops_nobody(with_journal, monkeypatch):
    def refuse(path, _name):
        raise _files_tree.FileError(f"{path} cannot be renamed.")

    with monkeypatch.context() as refusing:
        refusing.setattr(_files_tree, "rename", refuse)
        result = move(with_journal)
    assert result["failed"] and "cannot be renamed" in result["msg"]
    assert (with_journal.root / "started").exists() and "store_url" in with_journal.config.read_text()
    result = move(with_journal)
    assert (result["changed"], result["calls"], "journal.db" in list_state(with_journal)) == (True, [], False)


def test_a_store_that_users_have_gone_on_with_is_kept(with_journal, readiness, monkeypatch):
    """The port that is asked may be closed to this host alone."""
    monkeypatch.setattr(service, "_READY_SECONDS", 0.1)
    readiness.statuses = [503]
    on(monkeypatch, "start", lambda: with_journal.write("projects", "p\t2\t1\t1\n"))
    result = move(with_journal)
    assert result["failed"] and "Its projects are in the store, and it stays with that." in result["msg"]
    assert "store_url" in with_journal.config.read_text() and (with_journal.root / "started").exists()
    readiness.statuses = [200]
    assert move(with_journal)["changed"] and "journal.db" not in list_state(with_journal)


def test_what_was_moved_at_last_is_not_what_users_have_gone_on_with(with_journal, readiness, monkeypatch):
    monkeypatch.setattr(service, "_READY_SECONDS", 0.1)
    readiness.statuses = [503]

    def go_on():
        with_journal.write("state/confluence/journal.db", "and more")
        with_journal.write("projects", "p\t2\t2\t2\n")

    on(monkeypatch, "apply", go_on)
    result = move(with_journal)
    assert result["failed"] and "previous configuration was restored" in result["msg"]
    assert "store_url" not in with_journal.config.read_text() and count_moves(with_journal) == 2


def test_a_failure_that_gives_the_journal_back_forgets_that_it_was_moved(with_journal, readiness, monkeypatch):
    monkeypatch.setattr(service, "_READY_SECONDS", 0.1)
    readiness.statuses = [503]
    before = sorted(with_journal.secret.parent.iterdir())
    assert move(with_journal)["failed"]
    assert sorted(with_journal.secret.parent.iterdir()) == before


def test_a_journal_that_users_have_again_is_not_put_away_later(with_journal):
    """An undo gives back the configuration alone."""
    marker = with_journal.secret.with_name(moving.MOVED)
    marker.write_text("")
    assert not with_journal.run(config=OWN)["changed"] and not marker.exists()
    assert "journal.db" in list_state(with_journal)


@pytest.mark.parametrize("check", [True, False])
def test_the_journal_of_an_instance_that_was_removed_is_moved_when_it_comes_again(with_journal, check):
    with_journal.run(state="absent")
    assert "journal.db" in list_state(with_journal)
    result = move(with_journal, check=check)
    assert (result["changed"], result["moved"], "journal.db" in list_state(with_journal)) == (True, ["p"], check)


def test_no_release_is_asked_in_check_mode_that_is_not_here_yet(with_journal):
    with_journal.run(state="absent")
    (with_journal.root / "opt/current").unlink()
    result = move(with_journal, check=True, release="two")
    assert (result["changed"], result["moved"]) == (True, [])


def test_a_release_that_cannot_move_is_said_in_check_mode(with_journal):
    with_journal.write("old-release", "")
    result = move(with_journal, check=True)
    assert result["failed"] and "rtc_server_version" in result["msg"]


def test_a_release_that_refuses_the_store_is_taken_back(with_journal):
    switch(with_journal, "two", "refuses")
    result = move(with_journal)
    assert result["failed"] and "The release two was taken back" in result["msg"]
    assert current(with_journal) == "releases/one" and (with_journal.root / "started").exists()
    assert not (with_journal.root / "moves").exists()


def test_names_that_clients_do_not_give(with_journal):
    (with_journal.root / "projects").write_bytes(b"rtc-verify\tx\t1\t1\t1\n\xff\t1\t1\t1\n")
    assert move(with_journal)["moved"] == ["rtc-verify\tx", "\ufffd"]
    assert moving.name_some(["a\x1b[31m\tb"]) == "a?[31m?b"


def test_a_journal_of_which_a_kill_left_some_files_gets_one_name(with_journal, monkeypatch):
    whole = _files_tree.rename

    def rename(path, name):
        if path.endswith("/journal.db"):
            raise _files_tree.FileError("no.")
        whole(path, name)

    state = with_journal.root / "state/confluence"
    with_journal.write("state/confluence/moved-20250101T000000Z.db", "of an earlier move")
    with_journal.write("state/confluence/moved-20250101T000000Z.db-log0", "of an earlier move")
    with monkeypatch.context() as cut:
        cut.setattr(_files_tree, "rename", rename)
        cut.setattr(moving.time, "strftime", lambda *_: "moved-20260101T000000Z.db")
        assert move(with_journal)["failed"]
    assert (state / "moved-20260101T000000Z.db-log0").exists() and (state / "journal.db").exists()
    assert move(with_journal)["changed"]
    assert (state / "moved-20260101T000000Z.db").read_text() == "journal.db"
    assert (state / "moved-20250101T000000Z.db").read_text() == "of an earlier move"


@pytest.mark.parametrize("check", [True, False])
def test_where_the_journal_of_before_is_kept_is_said(with_journal, check):
    move(with_journal)
    with_journal.write("projects", "")  # the schema was put away, or the database is a new one
    name = list_state(with_journal)[1]
    result = with_journal.run(config=OWN, check=check)
    assert result["changed"] and f"as {name}: stop the service" in str(result["warnings"])
    with_journal.write("state/confluence/journal.db", "")
    assert not move(with_journal).get("warnings")


@pytest.mark.parametrize("check", [True, False])
def test_a_store_with_other_projects_may_be_another_sites(with_journal, check):
    with_journal.write("others", "p\t1\t1\t1\nrtc-verify\t1\t1\t1\n")
    assert not move(with_journal, check=True).get("warnings")
    with_journal.write("others", "theirs\t1\t1\t1\n")
    assert "this site does not have (theirs)" in str(move(with_journal, check=check)["warnings"])


def test_other_projects_are_those_of_the_other_nodes(with_journal):
    with_journal.write("others", "theirs\t1\t1\t1\n")
    config = {**STORE, "server": {**STORE["server"], "label": "abcdefgh"}}
    assert not with_journal.run(config=config, store_password=PASSWORD, check=True).get("warnings")
