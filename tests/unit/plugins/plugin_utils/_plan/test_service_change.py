# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plan says that users notice of a change of their RTC server."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils._facts import ManagedEntry, RtcInstance
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import panel, unit
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import service_change
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.model import Supply
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import RtcPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from rtc_server import config as server_config
from rtc_server.reload import find_fixed

OLD, NEW = "0.1.0-cp311-x86_64-00ff00ff00ff", "0.2.0-cp311-x86_64-11ee11ee11ee"
KEY = "instance confluence"


@pytest.fixture
def serving(base):
    """A function: the input of a base after a run, with the release of the controller, and users."""

    def build(name="same_host", **changes):
        plan_input = base(name, **changes)
        for values in make_plan(plan_input).hosts["wiki1"].records:
            entry = ManagedEntry(state="as_written", **{key: value for key, value in values.items() if key != "adopt"})
            plan_input.facts["wiki1"].managed.entries.append(entry)
        instance = RtcInstance("deployed", 9083, instance="confluence", active=True, release=OLD)
        plan_input.facts["wiki1"].rtc = [instance]
        plan_input.facts["wiki1"].releases = [OLD]
        return plan_input

    return build


def find_work(plan):
    return next(item for item in plan.hosts["wiki1"].work if item.key == KEY)


def test_the_release_that_is_there_is_no_work(serving):
    assert find_work(make_plan(serving())).action == "nothing"


def test_another_release_is_work_and_a_restart(serving):
    plan_input = serving()
    plan_input.supply = Supply("", "0.2.0", "11ee11ee11ee")
    plan = make_plan(plan_input)
    assert find_work(plan).action == "change"
    assert KEY in [values["key"] for values in plan.hosts["wiki1"].records]
    text = " ".join(report_text.render_plan(plan).split())
    assert f"release {OLD} → {NEW}; it is restarted, and its users are disconnected for some seconds" in text


def test_a_kept_release_that_is_asked_for_is_work_too(serving):
    plan_input = serving()
    plan_input.facts["wiki1"].rtc[0].release = NEW
    plan_input.facts["wiki1"].releases = [OLD, NEW]
    plan_input.supply = Supply("", "0.2.0", "11ee11ee11ee")
    assert find_work(make_plan(plan_input)).action == "nothing"
    for settings in plan_input.settings["wiki1"].values():
        settings.server_version = "0.1.0"
    assert f"release {NEW} → {OLD}; {service_change.RESTART}" in find_work(make_plan(plan_input)).text


def test_origins_are_a_reload_and_a_port_is_a_restart(serving):
    plan_input = serving()
    for settings in plan_input.settings["wiki1"].values():
        settings.origins = ["https://other.example.com"]
    work = find_work(make_plan(plan_input))
    assert (work.action, work.text.partition("; ")[2]) == ("change", service_change.RELOAD)
    for settings in plan_input.settings["wiki1"].values():
        settings.port = 9085
    assert find_work(make_plan(plan_input)).text.endswith(service_change.RESTART)


def test_what_an_earlier_version_noted_may_be_either(serving):
    plan_input = serving()
    for entry in plan_input.facts["wiki1"].managed.entries:
        entry.what.pop("fixed", None)
    assert find_work(make_plan(plan_input)).action == "nothing"  # nothing is written for that alone
    for settings in plan_input.settings["wiki1"].values():
        settings.origins = ["https://other.example.com"]
    assert find_work(make_plan(plan_input)).text.endswith(service_change.EITHER)


def test_nobody_is_disconnected_where_it_does_not_run(serving):
    plan_input = serving()
    plan_input.facts["wiki1"].rtc[0].active = False
    plan_input.supply = Supply("", "0.2.0", "11ee11ee11ee")
    assert find_work(make_plan(plan_input)).text.endswith(f"{OLD} → {NEW}")


def make_item(**changes):
    values = {"address": "127.0.0.1", "port": 9083, "server_name": "wiki.example.com", "origins": ["https://a.example"],
              "trusted_proxies": ["10.0.0.1"], "tls": False, "limits": {"history_page": 500}, "label": ""}  # fmt: skip
    config = unit.server_config("confluence", **{**values, **changes})
    return RtcPlan("s", "confluence", "deployed", "127.0.0.1", 9083, "wiki.example.com", config=config)


@pytest.mark.parametrize(
    "changes",
    [
        *({"address": "127.0.0.2"}, {"port": 9084}, {"label": "84a0076d"}, {"tls": True}),
        *({"server_name": "b.example"}, {"origins": []}, {"trusted_proxies": []}, {"limits": {"history_page": 400}}),
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_plan_and_the_server_agree_on_what_needs_a_restart(changes, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/rtc-server/confluence")
    before, after = make_item(), make_item(**changes)
    configs = [server_config.parse(unit.render_toml(item.config)) for item in (before, after)]
    fixed = [service_change.list_fixed(item) for item in (before, after)]
    assert (fixed[0] != fixed[1]) == bool(find_fixed(*configs))


def test_a_limit_that_sizes_the_unit_is_a_restart():
    before, after = make_item(), make_item(limits={"connections": 20_000})
    assert service_change.list_fixed(before) != service_change.list_fixed(after)


def test_a_panel_that_comes_or_moves_is_a_restart_and_another_address_of_users_is_none():
    url = "https://wiki.example.com:9083"
    items = [make_item(), make_item(), make_item(), make_item()]
    for item, (port, address) in zip(items[1:], [(0, url), (9999, url), (0, "https://b.example:9083")], strict=True):
        item.config["admin"] = panel.make_admin(port, address, False)
    without, there, moved, readdressed = map(service_change.list_fixed, items)
    assert without != there != moved
    assert there == readdressed


def test_two_interpreters_on_a_host_have_no_one_release(serving):
    plan_input = serving()
    plan = make_plan(plan_input)
    plan.hosts["wiki1"].rtc.append(dataclasses.replace(plan.hosts["wiki1"].rtc[0], python_version="3.13"))
    assert service_change.find_releases(plan_input, plan) == {}
