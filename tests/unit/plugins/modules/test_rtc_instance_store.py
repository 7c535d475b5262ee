# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtc_instance: a store, or a panel for administrators."""

from __future__ import annotations

import stat

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._instance import service
from ansible_collections.collab.rtc.tests.unit.instances import (
    CONFIG,
    OWN,
    PASSWORD,
    STORE,
)


def test_a_node_that_was_started_is_waited_for_before_the_run_goes_on(machine, readiness):
    readiness.statuses = [503, 503, 200]
    result = machine.run(config=STORE, store_password=PASSWORD)
    assert result["restarted"] and readiness.asked == 3
    machine.run(config=STORE, store_password=PASSWORD)
    assert readiness.asked == 3, "nothing was started"


def test_a_node_that_does_not_get_ready_has_its_previous_files(machine, readiness, monkeypatch):
    monkeypatch.setattr(service, "_READY_SECONDS", 0.1)
    assert machine.run(config=STORE, store_password=PASSWORD)["changed"]
    before = machine.files()
    readiness.statuses = [503]
    result = machine.run(config={**STORE, "limits": {"changes_burst": 9}}, store_password=PASSWORD)
    assert result["failed"] and '503 {"reason": "journal"}' in result["msg"]
    assert "previous configuration was restored" in result["msg"]
    assert machine.files() == before


def test_a_store_has_its_password_by_credential_and_shows_it_nowhere(machine, readiness):
    result = machine.run(config=STORE, store_password=PASSWORD, store_ca="PEM\n")
    folder = machine.secret.parent
    assert (folder / "store-password").read_text() == PASSWORD + "\n"
    assert stat.S_IMODE((folder / "store-password").stat().st_mode) == 0o600
    assert (folder / "store-ca.pem").read_text() == "PEM\n"
    unit = machine.drop_in.with_name("store.conf").read_text()
    assert f"LoadCredential=store-password:{machine.root}/etc/%i/store-password\n" in unit
    assert f"LoadCredential=store-ca.pem:{machine.root}/etc/%i/store-ca.pem\n" in unit
    assert (machine.root / "seen").read_text() == PASSWORD + "\n"  # the server was asked with it
    assert PASSWORD not in str(result) and "a new password, not shown" in str(result["diff"])
    assert PASSWORD not in machine.config.read_text() + unit + "".join(result["calls"])
    result = machine.run(config=STORE, store_password=PASSWORD, store_ca="PEM\n")
    assert (result["changed"], result["calls"]) == (False, [])
    result = machine.run(config=STORE, store_password="another")
    assert result["restarted"] and not (folder / "store-ca.pem").exists()
    machine.run(state="absent")
    assert [*folder.iterdir(), *machine.drop_in.parent.iterdir()] == []


def test_a_store_without_a_password_is_refused(machine):
    result = machine.run(config=STORE)
    assert result["failed"] and "rtc_store_password" in result["msg"] and not machine.config.exists()


@pytest.mark.parametrize("check", [True, False])
def test_projects_of_a_store_are_not_left_behind(machine, readiness, check):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("projects", "p\t1\t1\t1\n")
    before = machine.files()
    result = machine.run(config=OWN, check=check)
    assert result["failed"] and "The store that" in result["msg"] and "projects (p)" in result["msg"]
    assert "docs/scaling.md" in result["msg"] and machine.files() == before and result["calls"] == []
    machine.write("projects", "")  # moved, and the old schema put away
    assert machine.run(config=OWN, check=check)["changed"]


def test_a_store_that_cannot_be_asked_is_not_left_behind(machine, readiness):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("silent", "")
    result = machine.run(config=OWN)
    assert result["failed"] and "would be left behind: no answer." in result["msg"]


def test_what_the_store_refuses_names_files_that_stay_and_variables(machine):
    config = {**CONFIG, "journal": {"store_url": "postgresql://rtc@no-entry/rtc"}}
    result = machine.run(config=config, store_password=PASSWORD)
    folder = machine.secret.parent
    assert f"journal.store_password ({folder}/store-password): no. Nothing was changed. rtc_store_url" in result["msg"]
    assert "rtc_store_password" in result["msg"] and not machine.config.exists()


def store_at(url):
    return {**STORE, "journal": {"store_url": url}}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    "url", ["postgresql://rtc@other/rtc", "postgresql://rtc@db/other", "postgresql://rtc@db:5433/rtc"]
)
def test_the_projects_of_a_store_are_not_left_behind_for_another_one(machine, readiness, url, check):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("projects", "p\t1\t1\t1\n")
    before = machine.files()
    result = machine.run(config=store_at(url), store_password=PASSWORD, check=check)
    assert result["failed"] and "The store that" in result["msg"] and "projects (p)" in result["msg"]
    assert machine.files() == before and result["calls"] == []
    machine.write("silent", "")
    result = machine.run(config=store_at(url), store_password=PASSWORD, check=check)
    assert result["failed"] and "would be left behind: no answer." in result["msg"]
    (machine.root / "silent").unlink()
    machine.write("projects", "")  # moved, and the old schema put away
    assert machine.run(config=store_at(url), store_password=PASSWORD, check=check)["changed"]


@pytest.mark.parametrize(
    "url",
    ["postgresql://rtc@DB:5432/rtc", "postgres://other@db/rtc?sslmode=verify-full", "postgresql://rtc@db2,db/rtc",
     "postgresql://rtc@db/%72tc"],
)  # fmt: skip
def test_the_same_store_in_other_words_is_no_other_one(machine, readiness, url):
    machine.run(config=STORE, store_password=PASSWORD)
    machine.write("projects", "p\t1\t1\t1\n")
    assert machine.run(config=store_at(url), store_password=PASSWORD)["restarted"]


PANEL = {**CONFIG, "admin": {"listen": "$RUNTIME_DIRECTORY/admin.sock", "token": "$CREDENTIALS_DIRECTORY/admin-token"}}


def test_a_panel_has_its_token_by_credential_and_shows_it_nowhere(machine):
    token = "t" * 40
    result = machine.run(config=PANEL, panel_token=token, panel_ca="PEM\n")
    folder = machine.secret.parent
    assert (folder / "admin-token").read_text() == token + "\n"
    assert stat.S_IMODE((folder / "admin-token").stat().st_mode) == 0o600
    assert (folder / "admin-ca.pem").read_text() == "PEM\n"
    unit = machine.drop_in.with_name("panel.conf").read_text()
    assert f"LoadCredential=admin-token:{machine.root}/etc/%i/admin-token\n" in unit
    assert f"LoadCredential=admin-ca.pem:{machine.root}/etc/%i/admin-ca.pem\n" in unit
    assert token not in str(result) and "a new token, not shown" in str(result["diff"])
    assert token not in machine.config.read_text() + unit + "".join(result["calls"])
    result = machine.run(config=PANEL, panel_token=token, panel_ca="PEM\n")
    assert (result["changed"], result["calls"]) == (False, [])
    assert machine.run(config=PANEL, panel_token="u" * 40)["restarted"]
    assert not (folder / "admin-ca.pem").exists()
    machine.run()
    assert not (folder / "admin-token").exists() and not machine.drop_in.with_name("panel.conf").exists()


def test_a_panel_without_a_token_makes_one_and_keeps_it(machine):
    machine.run(config=PANEL)
    made = (machine.secret.parent / "admin-token").read_text()
    assert len(made) > 60 and made != machine.secret.read_text()
    assert not machine.run(config=PANEL)["changed"]
    assert (machine.secret.parent / "admin-token").read_text() == made


@pytest.mark.parametrize("token", ["short", "é" * 40])
def test_a_token_of_a_panel_that_is_none(machine, token):
    result = machine.run(config=PANEL, panel_token=token)
    assert result["failed"] and "rtc_panel_token" in result["msg"] and not machine.config.exists()
