# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from ansible_collections.collab.rtc.plugins.filter import from_any_host


def test_the_first_host_that_has_the_variable():
    hostvars = {"one": {"other": 1}, "two": {"rtc_serial": "50%"}, "three": {"rtc_serial": 3}}
    assert from_any_host.take_from_any_host(hostvars, "rtc_serial", 1) == "50%"


def test_a_value_may_use_the_variables_of_other_hosts(tmp_path):
    (tmp_path / "hosts.ini").write_text("one limit=2\ntwo rtc_serial='{{ hostvars.one.limit }}%'\n")
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "hosts.ini")])
    hostvars = HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)
    assert from_any_host.take_from_any_host(hostvars, "rtc_serial", 1) == "2%"


def test_a_value_that_is_false_counts():
    assert from_any_host.take_from_any_host({"one": {"rtc_serial": 0}}, "rtc_serial", 1) == 0


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        *(("rtc_serial", wrong, "50%") for wrong in (None, "", "abc", True, [], {"confluence": 2}, "{{ nobody }}")),
        *(("rtc_confirm", wrong, "yes") for wrong in (None, "", "maybe", ["yes"], {"jira": True})),
        *(("rtc_report_file", wrong, "report.json") for wrong in (None, "", ["report.json"], True)),
    ],
)
def test_a_value_that_cannot_be_used_is_passed_over(tmp_path, name, wrong, right):
    """The plan names it. As a keyword of a play it would end the run with a traceback, before the report."""
    content = {"all": {"hosts": {"one": {name: wrong}, "two": {name: right}, "three": {}}}}
    (tmp_path / "hosts.json").write_text(json.dumps(content), encoding="utf-8")
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(tmp_path / "hosts.json")])
    hostvars = HostVars(inventory, VariableManager(loader=loader, inventory=inventory), loader)
    assert from_any_host.take_from_any_host(hostvars, name, "default") == right
    assert from_any_host.take_from_any_host({"one": {name: wrong}}, name, "default") == "default"


def test_the_default_where_no_host_has_it():
    assert from_any_host.take_from_any_host({"one": {}}, "rtc_serial", 1) == 1
    assert from_any_host.take_from_any_host({}, "rtc_serial", 1) == 1


def test_filter_name():
    assert set(from_any_host.FilterModule().filters()) == {"from_any_host"}
