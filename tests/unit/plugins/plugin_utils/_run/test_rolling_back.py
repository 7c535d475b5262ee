# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sites are rolled back after their checks failed, on which hosts, and what is said of it."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.filter.hosts_for import choose as choose_hosts
from ansible_collections.collab.rtc.plugins.filter.sites_to_roll_back import choose
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Site
from ansible_collections.collab.rtc.plugins.plugin_utils._report.text import render_report
from ansible_collections.collab.rtc.plugins.plugin_utils._run import outcome, rolling_back

GROUPS = {"confluence": ["wiki"], "jira": ["tracker"], "rtc_proxies": ["front", "old"]}
WIKI, TRACKER = "wiki:9083", "tracker:9093"
RUN = "20260101T000000Z-aaaa"
NOBODY = ["all", "!all"]
CHANGED = {"changed": True}


def check(ok, **more):
    return {"name": "It answers", "where": "controller", "ok": ok, "cause": "" if ok else "503", **more}


def record(owner, run=RUN, undone=False):
    site = {"site": "x", "names": ["x"], "owners": [owner], "undone": undone}
    return {"run": run, "user": "anna", "paths": ["/a"], "sites": [site], "undone": False}


@pytest.fixture
def hostvars():
    """Two sites on one proxy; wiki, which came from another proxy, fails."""
    wiki = Site(WIKI, "confluence", ["wiki"], "wiki", 9083, "HTTP", "remote", "T2", proxy_host="front")
    tracker = Site(TRACKER, "jira", ["tracker"], "tracker", 9093, "HTTP", "remote", "T2", proxy_host="front")
    plan = {**_facts.to_dict(Plan([tracker, wiki])), "run": RUN}
    known = {
        "wiki": {
            "connector_set": CHANGED,
            "verify_checks": {WIKI: [check(True), check(False)]},
            "rtc_runs": {"runs": [record("wiki/confluence")]},
        },
        "tracker": {
            "connector_set": CHANGED,
            "verify_checks": {TRACKER: [check(True)]},
            "rtc_runs": {"runs": [record("tracker/jira")]},
        },
        "front": {"reverse_proxy_vhosts": CHANGED, "rtc_runs": {"runs": [record("wiki/confluence")]}},
        "old": {"removal_vhosts": CHANGED, "rtc_runs": {"runs": [record("wiki/confluence")]}},
    }
    return {host: {"rtc_plan": plan, **values} for host, values in known.items()}


def test_a_site_that_failed_is_undone_on_all_hosts_that_the_run_changed_for_it(hostvars):
    assert choose_hosts(GROUPS, "failed_sites", hostvars) == ["wiki", "tracker", "front", "old"]
    run = choose(hostvars)
    assert (run["id"], run["hosts"], run["owners"], run["nodes"]) == (
        RUN,
        ["wiki", "front", "old"],
        ["wiki/confluence"],
        ["wiki"],
    )
    assert list(run["failed"]) == [WIKI]
    hostvars["front"]["rollback_run"] = run
    assert choose_hosts(GROUPS, "undo", hostvars) == ["wiki", "front", "old"]
    assert choose_hosts(GROUPS, "verify_undone", hostvars) == ["wiki"]


def test_a_site_that_the_proxy_does_not_take_is_undone_where_the_run_came_before(hostvars):
    """Its RTC server has the new name by then, and what the proxy still forwards to it has the old one."""
    hostvars["wiki"]["verify_checks"] = {}
    sites = [{"site": WIKI, "state": "blocked", "reason": "A password."}, {"site": TRACKER, "state": "applied"}]
    hostvars["front"]["reverse_proxy_vhosts"] = {**CHANGED, "sites": sites}
    run = choose(hostvars)
    assert (run["hosts"], run["owners"]) == (["wiki", "front", "old"], ["wiki/confluence"])
    ((failed,),) = run["failed"].values()
    assert (failed["where"], failed["cause"], failed["ok"]) == ("front", "A password.", False)
    hostvars["front"]["rtc_plan"]["kept_on_failure"] = [WIKI]
    assert choose(hostvars)["hosts"] == []


def fail_both(hostvars):
    hostvars["tracker"]["verify_checks"] = {TRACKER: [check(False)]}


def test_two_sites_that_failed_are_undone_together(hostvars):
    fail_both(hostvars)
    run = choose(hostvars)
    assert sorted(run["failed"]) == [TRACKER, WIKI]
    assert sorted(run["owners"]) == ["tracker/jira", "wiki/confluence"]
    assert run["hosts"] == ["wiki", "tracker", "front", "old"]


def pass_all(hostvars):
    hostvars["wiki"]["verify_checks"] = {WIKI: [check(True), check(None)]}


def could_not_be_made(hostvars):
    hostvars["wiki"]["verify_checks"] = {WIKI: [check(True), check(False, made=False)]}


def not_verified(hostvars):
    del hostvars["wiki"]["verify_checks"]


def switched_off(hostvars):
    hostvars["wiki"]["rtc_plan"]["kept_on_failure"] = [WIKI]


def restart_left(hostvars):
    hostvars["wiki"]["restart_left"] = [{"service": "confluence"}]


def left_behind(hostvars):
    hostvars["wiki"]["rollback_tried"] = {"left_behind": True, "msg": "projects of the store"}


def nothing_changed(hostvars):
    for values in hostvars.values():
        for name in ("connector_set", "reverse_proxy_vhosts", "removal_vhosts"):
            values.pop(name, None)


@pytest.mark.parametrize(
    "change", [pass_all, could_not_be_made, not_verified, switched_off, restart_left, left_behind, nothing_changed]
)
def test_who_is_not_rolled_back(hostvars, change):
    change(hostvars)
    assert choose_hosts(GROUPS, "failed_sites", hostvars) == NOBODY
    assert choose(hostvars)["hosts"] == []
    assert choose_hosts(GROUPS, "undo", hostvars) == NOBODY
    assert choose_hosts(GROUPS, "verify_undone", hostvars) == NOBODY


def test_a_site_whose_projects_would_be_left_behind_is_not_undone_on_its_proxy_either(hostvars):
    fail_both(hostvars)
    hostvars["front"]["rollback_run"] = choose(hostvars)
    left_behind(hostvars)
    hostvars["tracker"]["rollback_tried"] = {"changed": True}
    run = choose(hostvars)
    assert (run["hosts"], run["owners"]) == (["tracker"], ["tracker/jira"])
    assert rolling_back.find_left(hostvars["wiki"]["rtc_plan"], hostvars) == {WIKI: rolling_back.LEFT_BEHIND}


def other_run(hostvars):
    for values in hostvars.values():
        values["rtc_runs"] = {"runs": [record("wiki/confluence", "20250101T000000Z-0000")]}


def nothing_for_it(hostvars):
    for values in hostvars.values():
        values["rtc_runs"] = {"runs": [record("tracker/jira")]}


def undone_already(hostvars):
    for values in hostvars.values():
        values["rtc_runs"] = {"runs": [record("wiki/confluence", undone=True)]}


@pytest.mark.parametrize("change", [other_run, nothing_for_it, undone_already])
def test_nothing_is_undone_for_a_site_for_which_this_run_changed_nothing(hostvars, change):
    change(hostvars)
    run = choose(hostvars)
    assert (run["hosts"], run["failed"], run["nodes"]) == ([], {}, [])


def test_a_host_that_is_lost_is_said_and_the_others_go_on(hostvars):
    hostvars["front"]["rtc_runs"] = {"unreachable": True, "msg": "timed out"}
    run = choose(hostvars)
    assert (run["hosts"], run["unread"]) == (["wiki", "old"], {"front": "timed out"})


def roll_back(hostvars, **results):
    hostvars["wiki"]["rollback_run"] = choose(hostvars)
    for host in ("wiki", "front", "old"):
        hostvars[host]["rollback_undone"] = results.get(host, {"paths": ["/a"]})


def test_what_came_of_it(hostvars):
    roll_back(hostvars, old={"failed": True, "msg": "no space"})
    hostvars["wiki"]["verify_checks"] = {WIKI: [check(True)]}
    found = rolling_back.collect(hostvars)[WIKI]
    assert (found.hosts, found.errors, found.verified) == (["wiki", "front", "old"], {"old": "no space"}, True)
    assert [item["cause"] for item in found.failed] == ["503"]


def write_unseen(hostvars, **result):
    vhost = VhostPlan(WIKI, "nginx", "rtc", "rtc-wiki", "wiki", ["*"], 9083, [])
    hostvars["wiki"]["rtc_plan"]["hosts"] = {"front": {"host": "front", "vhosts": [_facts.to_dict(vhost)]}}
    hostvars["front"]["reverse_proxy_vhosts"] = {"changed": True, **result}


def render(hostvars):
    plan = hostvars["wiki"]["rtc_plan"]
    found = outcome.collect(plan, hostvars, applies=True)
    return " ".join(render_report(_facts.from_dict(Plan, plan), found).split())


def test_the_report_says_whether_rtc_was_seen_to_pass_what_was_written(hostvars):
    hostvars["wiki"]["verify_checks"] = {WIKI: [check(True)]}
    write_unseen(hostvars, passed=["rtc-wiki"])
    assert "applied: polling and WebSocket pass nginx on front, rtc-wiki" in render(hostvars)
    write_unseen(hostvars, passed=[], unseen={"rtc-wiki": "502"})
    assert "written, not yet seen to pass RTC: nginx on front, rtc-wiki: 502" in render(hostvars)
    write_unseen(hostvars)  # it was as it has to be already
    assert "rtc-wiki" not in render(hostvars)


def test_what_was_taken_back_is_not_called_written(hostvars):
    write_unseen(hostvars, passed=[], unseen={"rtc-wiki": "502"})
    roll_back(hostvars)
    assert "rtc-wiki" not in render(hostvars)


def test_a_site_that_stays_although_it_failed_is_said(hostvars):
    assert rolling_back.find_left(hostvars["wiki"]["rtc_plan"], hostvars) == {}
    switched_off(hostvars)
    plan = hostvars["wiki"]["rtc_plan"]
    assert rolling_back.find_left(plan, hostvars) == {WIKI: "rtc_rollback_on_failure is false"}


def test_where_nothing_was_before_there_is_nothing_to_check(hostvars):
    roll_back(hostvars)
    hostvars["wiki"]["verify_checks"] = {}
    assert rolling_back.collect(hostvars)[WIKI].verified is None


def test_the_report_says_it_and_counts_the_site_as_failed(hostvars):
    roll_back(hostvars)
    hostvars["wiki"]["verify_checks"] = {WIKI: [check(True)]}
    plan = hostvars["wiki"]["rtc_plan"]
    text = render_report(_facts.from_dict(Plan, plan), outcome.collect(plan, hostvars, applies=True))
    assert "rolled back, as it failed its checks; they show how it is now, on wiki, front, old" in text
    assert "2 sites, 1 failed" in text
    wiki, tracker = plan["sites"]
    assert f"{wiki['rtc_url']} (as planned)\n" in text, "it is not found there"
    assert f"{tracker['rtc_url']}\n" in text


def test_the_syntax_is_checked_without_hosts():
    for stage in rolling_back.STAGES:
        assert choose_hosts(GROUPS, stage, {}) == ["wiki", "tracker", "front", "old"]
