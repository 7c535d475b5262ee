# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rtc_instance: what is reloaded, and what needs a restart."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.tests.unit.instances import (
    ANEW,
    SECRET,
    STARTED,
    TLS,
)


@pytest.fixture
def telling(machine):
    """A host whose release says what its process runs with."""
    machine.write("telling", "")
    for name in ("tls.crt", "tls.key"):
        machine.write(f"etc/confluence/{name}", "old")
    assert machine.run(config=TLS)["restarted"]
    assert machine.run(config=TLS)["changed"] is False
    return machine


OTHER_LIMIT = {**TLS, "server": {**TLS["server"], "origins": ["https://wiki.example.org"]}}


@pytest.mark.parametrize("what", ["certificate", "secret", "config"])
def test_what_the_release_can_reload_cuts_nobody_off(telling, what):
    options = {"config": OTHER_LIMIT if what == "config" else TLS}
    if what == "secret":
        options["secret"] = SECRET
    if what == "certificate":
        telling.write("etc/confluence/tls.crt", "new")
    result = telling.run(check=True, **options)
    assert (result["changed"], result["restarted"], result["reloaded"], result["calls"]) == (True, False, True, [])
    result = telling.run(**options)
    assert (result["changed"], result["restarted"], result["reloaded"]) == (True, False, True)
    assert result["calls"] == ["reload UNIT"]
    assert SECRET not in str(result)
    assert telling.run(**options)["changed"] is False


def test_what_the_release_cannot_reload_is_restarted(telling):
    result = telling.run(config={**TLS, "server": {"address": "127.0.0.1", "port": 1}})
    assert (result["restarted"], result["reloaded"], result["calls"]) == (True, False, ANEW)
    telling.run(config=TLS)
    telling.write("old-release", "")  # it does not know the question
    result = telling.run(config=OTHER_LIMIT)
    assert (result["restarted"], result["calls"]) == (True, STARTED)


def test_a_file_that_sizes_the_unit_is_no_matter_of_a_reload(telling):
    result = telling.run(config={**TLS, "limits": {"connections": 99}})
    assert (result["restarted"], result["calls"]) == (True, STARTED)


def test_a_process_that_says_nothing_is_restarted(telling):
    (telling.root / "run/confluence/reload.json").unlink()
    telling.write("etc/confluence/tls.crt", "new")
    assert telling.run(config=TLS)["calls"] == STARTED


def test_a_process_whose_configuration_is_another_one_is_restarted(telling):
    """Somebody has edited the file: nobody knows what the process has, so nobody can compare."""
    telling.config.write_text("edited")
    assert telling.run(config=OTHER_LIMIT)["calls"] == STARTED


def test_an_edit_that_the_process_never_saw_is_taken_back_without_a_word_to_it(telling):
    telling.config.write_text("edited")
    result = telling.run(config=TLS)
    assert (result["changed"], result["calls"]) == (True, [])


@pytest.mark.parametrize("name", ["secret", "tls.key"])
def test_what_was_handed_over_and_not_read_is_reloaded(telling, name):
    """As after a reload that was refused, or a kill between the two."""
    os.utime(telling.root / "run/confluence" / name, ns=(1, 1))
    assert telling.run(config=TLS)["calls"] == ["reload UNIT"]
    assert telling.run(config=TLS)["changed"] is False


def test_a_server_that_refuses_to_reload_runs_on_with_its_previous_files(telling):
    before = telling.files()
    result = telling.run(config={**TLS, "server": {**TLS["server"], "origins": ["unwilling"]}}, secret=SECRET)
    assert result["failed"] and "does not reload: it will not" in result["msg"]
    assert "The service runs as before." in result["msg"]
    assert telling.files() == before
    assert result["calls"] == ["reload UNIT", "reload UNIT"]
    assert telling.run(config=TLS)["changed"] is False
