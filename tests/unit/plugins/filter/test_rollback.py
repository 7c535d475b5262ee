# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The filters of the playbooks runs and rollback: one run over all hosts, and what became of it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.collab.rtc.plugins.filter.application_addresses import find_addresses
from ansible_collections.collab.rtc.plugins.filter.rollback_outcome import collect
from ansible_collections.collab.rtc.plugins.filter.run_to_undo import choose_run
from ansible_collections.collab.rtc.plugins.plugin_utils._run import runner

OLD, NEW = "20260101T000000Z-aaaa", "20260102T101112Z-bbbb"


def record(run, *paths, undone=False, user="anna@controller"):
    return {"run": run, "user": user, "paths": list(paths), "undone": undone, "undone_at": 0, "undone_by": ""}


# The first run provisioned two hosts, the latest changed a port of one; a third host does not answer.
FLEET = {
    "wiki1": {"rtc_runs": {"runs": [record(OLD, "/a", "/b")]}},
    "wiki2": {"rtc_runs": {"runs": [record(NEW, "/a"), record(OLD, "/a", "/b")]}},
    "wiki3": {"rtc_runs": {"unreachable": True, "msg": "Failed to connect:\n timed out"}},
}


def test_the_latest_run_is_the_newest_over_all_hosts():
    run = choose_run(FLEET, list(FLEET))
    assert (run["id"], run["hosts"]) == (NEW, ["wiki2"])
    assert run["lines"] == [
        f"Run {NEW} of 2026-01-02 10:11:12 UTC, anna@controller",
        "    wiki1: nothing to do",
        "    wiki2: /a",
        "    wiki3: NOT UNDONE: Failed to connect: timed out",
    ]


def test_a_run_by_its_id_is_undone_wherever_it_is():
    assert choose_run(FLEET, list(FLEET), OLD)["hosts"] == ["wiki1", "wiki2"]
    assert choose_run(FLEET, ["wiki1"], OLD)["hosts"] == ["wiki1"]


def test_a_run_that_was_undone_everywhere_leaves_nothing_to_do():
    done = {"wiki2": {"rtc_runs": {"runs": [record(NEW, "/a", undone=True), record(OLD, "/a")]}}}
    run = choose_run(done, ["wiki2"])
    assert (run["id"], run["hosts"]) == (NEW, [])
    assert "    wiki2: undone already" in run["lines"]


@pytest.mark.parametrize("site", ["", "wiki.example.com:9083"])
def test_one_whose_services_were_not_told_is_completed(site):
    item = {"site": "wiki.example.com:9083", "names": ["wiki.example.com:9083"], "owners": ["w/c"], "undone": True}
    killed = {**record(NEW, "/a", undone=True), "unserved": True, "sites": [item]}
    done = {**record(NEW, "/a", undone=True), "sites": [item]}
    fleet = {"w": {"rtc_runs": {"runs": [killed]}}, "front": {"rtc_runs": {"runs": [done]}}}
    run = choose_run(fleet, list(fleet), site=site)
    assert (run["hosts"], run["nodes"]) == (["w"], ["w"])
    assert run["lines"][1:] == [
        "    w: undone already, but its services may not have that yet",
        "    front: undone already",
    ]
    assert run["controller"] == runner.identify()


def test_an_unknown_run_is_refused_and_says_who_was_not_asked():
    with pytest.raises(AnsibleFilterError, match=f"(?s){NEW}, {OLD}.*wiki3.*collab.rtc.runs"):
        choose_run(FLEET, list(FLEET), "20250101T000000Z-aaaa")


def test_hosts_without_any_run():
    run = choose_run({"a": {"rtc_runs": {"runs": []}}}, ["a"])
    assert (run["id"], run["hosts"]) == ("", [])
    assert run["runs"] == ["No run has changed anything on these hosts."]


def test_the_list_of_runs():
    assert choose_run(FLEET, list(FLEET))["runs"] == [
        f"{NEW}  2026-01-02 10:11:12 UTC  anna@controller",
        "    wiki2: /a",
        f"{OLD}  2026-01-01 00:00:00 UTC  anna@controller",
        "    wiki1: /a, /b",
        "    wiki2: /a, /b",
        "wiki3: not known: Failed to connect: timed out",
    ]


WIKI, TRACKER = "wiki.example.com:9083", "tracker.example.com:9093"


def part(site, *owners, undone=False, names=()):
    return {"site": site, "names": [site, *names], "owners": list(owners), "undone": undone}


def shared(*sites, run=NEW, undone=False):
    return {**record(run, "/a", undone=undone), "sites": list(sites)}


# One run for two sites on one proxy; a later one changed the tracker alone.
SITES = {
    "wiki1": {"rtc_runs": {"runs": [shared(part(WIKI, "wiki1/confluence"), run=OLD)]}},
    "jira1": {
        "rtc_runs": {"runs": [shared(part(TRACKER, "jira1/jira")), shared(part(TRACKER, "jira1/jira"), run=OLD)]}
    },
    "proxy": {
        "rtc_runs": {
            "runs": [
                shared(part(TRACKER, "jira1/jira")),
                shared(
                    part(TRACKER, "jira1/jira"), part(WIKI, "wiki1/confluence", names=["old.example.com:9083"]), run=OLD
                ),
            ]
        }
    },
}


@pytest.mark.parametrize(
    "name", [WIKI, "wiki.example.com", "wiki1/confluence", "old.example.com", "old.example.com:9083"]
)
def test_the_latest_run_of_a_site_is_the_newest_that_changed_it(name):
    run = choose_run(SITES, list(SITES), site=name)
    assert (run["id"], run["hosts"], run["nodes"]) == (OLD, ["wiki1", "proxy"], ["wiki1"])
    assert (run["owners"], run["site"]) == (["wiki1/confluence"], WIKI)
    assert f"    proxy: the part of {WIKI}" in run["lines"]
    assert "    jira1: nothing to do" in run["lines"]


def test_a_site_that_was_undone_is_not_undone_further_back():
    later = shared(part(WIKI, "wiki1/confluence", undone=True), run=NEW)
    first = shared(part(WIKI, "wiki1/confluence"), run=OLD)
    run = choose_run({"wiki1": {"rtc_runs": {"runs": [later, first]}}}, ["wiki1"], site=WIKI)
    assert (run["id"], run["hosts"], run["nodes"]) == (NEW, [], [])
    assert "    wiki1: undone already" in run["lines"]


def test_a_site_of_a_run_that_was_undone_whole():
    whole = shared(part(WIKI, "wiki1/confluence", undone=True), undone=True)
    run = choose_run({"wiki1": {"rtc_runs": {"runs": [whole]}}}, ["wiki1"], site=WIKI)
    assert (run["hosts"], run["lines"][1:]) == ([], ["    wiki1: undone already"])


@pytest.mark.parametrize("name", ["nobody", "nobody:9083", "wiki"])
def test_a_site_that_no_run_changed_is_refused_with_those_that_there_are(name):
    with pytest.raises(AnsibleFilterError, match=f"(?s){name}.*{TRACKER}.*{WIKI}"):
        choose_run(SITES, list(SITES), site=name)


def test_a_server_name_of_two_sites_is_refused_with_both():
    both = shared(part("x:9083", "a/confluence"), part("x:9093", "a/jira"))
    with pytest.raises(AnsibleFilterError, match=r"(?s)several sites.*x:9083, x:9093"):
        choose_run({"a": {"rtc_runs": {"runs": [both]}}}, ["a"], site="x")


def test_the_list_of_runs_has_their_sites():
    lines = choose_run(SITES, list(SITES))["runs"]
    assert [line for line in lines if "site" in line] == [f"    site {name}" for name in (TRACKER, WIKI, TRACKER)]


def test_all_sites_of_a_run_are_checked_after_it():
    assert choose_run(SITES, list(SITES), OLD)["nodes"] == ["wiki1", "jira1"]


def check(ok):
    return {"name": "It answers", "where": "here", "ok": ok, "cause": "503"}


def test_the_outcome_has_the_checks_and_fails_with_them():
    run = {"hosts": ["proxy"], "unread": {}, "nodes": ["wiki1", "jira1"]}
    hostvars = {
        "proxy": {"rollback_undone": {**UNDONE, "kept": [{"path": "/m", "sites": [TRACKER]}]}},
        "wiki1": {"verify_checks": {WIKI: [check(True), check(False)]}},
        "jira1": {"verify_checks": {}},
    }
    outcome = collect(hostvars, ["wiki1", "jira1", "proxy"], run)
    assert outcome["failed"] == ["wiki1"]
    assert f"    stays, as {TRACKER} needs it: /m" in outcome["lines"]
    assert outcome["lines"][-3:] == [
        f"{WIKI}: 1 checks passed, 1 FAILED",
        "    It answers (here): 503",
        "jira1: no RTC server of this collection is left there, so nothing was checked",
    ]


def test_a_check_that_could_not_be_made_is_no_failure_of_the_rollback():
    run = {"hosts": [], "unread": {}, "nodes": ["wiki1"]}
    hostvars = {"wiki1": {"verify_checks": {WIKI: [check(True), {**check(False), "made": False}]}}}
    outcome = collect(hostvars, ["wiki1"], run)
    assert (outcome["failed"], outcome["lines"][-1]) == ([], "    It answers (here): 503")


def test_a_site_that_failed_before_its_rollback_is_not_unfinished_for_that():
    run = {"hosts": ["wiki1"], "unread": {}, "nodes": ["wiki1"]}
    done = {"rollback_undone": UNDONE, "verify_checks": {WIKI: [check(False)]}}
    assert collect({"wiki1": done}, ["wiki1"], run)["unfinished"] == []
    late = {**done, "rollback_rtc": {"failed": True, "msg": "no such unit"}}
    assert collect({"wiki1": late}, ["wiki1"], run)["unfinished"] == ["wiki1"]


def test_a_host_that_could_not_be_read_is_unfinished():
    values = {"rollback_undone": UNDONE, "rollback_unread": {"step": "Detect", "cause": "killed"}}
    outcome = collect({"wiki1": values}, ["wiki1"], {"hosts": ["wiki1"], "unread": {}})
    assert (outcome["unfinished"], outcome["failed"]) == (["wiki1"], ["wiki1"])
    assert "    FAILED: what reads the files is not known: killed" in outcome["lines"]


def test_what_could_not_be_checked_is_a_failure():
    run = {"hosts": [], "unread": {}, "nodes": ["wiki1"]}
    hostvars = {"wiki1": {"verify_checks": {}, "rollback_not_verified": {"step": "Verify", "cause": "no disk"}}}
    assert "    FAILED: Verify: no disk" in collect(hostvars, ["wiki1"], run)["lines"]


RUN = {"hosts": ["wiki1", "wiki2"], "unread": {"wiki3": "timed out"}}
UNDONE = {"paths": ["/a"], "runs": [NEW, OLD], "edited": [{"path": "/a", "copy": "/var/x/edited-0000-a"}]}


def test_the_outcome_names_all_that_was_done_and_what_failed():
    hostvars = {
        "wiki1": {
            "rollback_undone": UNDONE,
            "rollback_services": {"rtc": ["rtc-server@jira.service"], "proxies": []},
            "rollback_rtc": {"results": [{"item": "rtc-server@jira.service", "failed": True, "msg": "no such unit"}]},
        },
        "wiki2": {"rollback_undone": {"unreachable": True, "msg": "timed out"}},
    }
    outcome = collect(hostvars, ["wiki3", "wiki1", "wiki2"], RUN)
    assert outcome["failed"] == ["wiki3", "wiki1", "wiki2"]
    assert outcome["lines"] == [
        "wiki3: nothing given back",
        "    FAILED: its runs are not known: timed out",
        "wiki1: 1 file given back",
        f"    undone, too, because it came later: {NEW}",
        "    somebody had changed /a: it is kept as /var/x/edited-0000-a",
        "    RTC servers to restart: rtc-server@jira.service",
        "    FAILED: rtc-server@jira.service does not restart: no such unit",
        "wiki2: nothing given back",
        "    FAILED: timed out",
    ]


@pytest.mark.parametrize(
    ("values", "failed"),
    [
        ({}, []),
        ({"rollback_undone": {**UNDONE, "failed": True, "msg": "a link"}}, ["wiki1"]),
        ({"rollback_answers": {"results": [{"item": {"service": "confluence"}, "failed": True}]}}, ["wiki1"]),
        ({"rollback_answers": {"skipped": True}}, []),
        ({"rollback_proxies": {"results": []}}, []),
        ({"rollback_proxies": {"failed": True, "msg": "template"}}, ["wiki1"]),
    ],
)
def test_what_counts_as_failed(values, failed):
    run = {"hosts": ["wiki1"], "unread": {}}
    assert collect({"wiki1": {"rollback_undone": UNDONE, **values}}, ["wiki1"], run)["failed"] == failed


def test_nothing_was_undone():
    assert collect({}, [], {"hosts": [], "unread": {}}) == {
        "lines": ["Nothing was undone."],
        "unfinished": [],
        "failed": [],
    }


def connector(**changes):
    return {"user": True, "port": 8090, "ssl": False, "address": "", **changes}


def application(*connectors, service="confluence", context=""):
    return {
        "service": service and {"name": service},
        "server_xml": {"connectors": list(connectors), "context_path": context},
    }


@pytest.mark.parametrize(
    ("found", "urls"),
    [
        (application(connector()), ["http://127.0.0.1:8090/"]),
        (application(connector(address="192.0.2.1"), context="/wiki"), ["http://192.0.2.1:8090/wiki/"]),
        (application(connector(address="::1")), ["http://[::1]:8090/"]),
        (application(connector(address="::")), ["http://127.0.0.1:8090/"]),
        (application(connector(user=False), connector(port=8443, ssl=True)), ["https://127.0.0.1:8443/"]),
        (application(connector(port=0)), []),
        (application(connector(), service="jira"), []),
        (application(connector(), service=None), []),
        ({"service": {"name": "confluence"}, "server_xml": None}, []),
    ],
)
def test_where_applications_answer(found, urls):
    assert [item["url"] for item in find_addresses({"applications": [found]}, ["confluence"])] == urls


def test_a_host_that_could_not_be_read_has_no_addresses():
    assert find_addresses({}, ["confluence"]) == []


# Another inventory has the proxy, too, and its run came later.
THEIRS = "20260103T000000Z-cccc"
SHARED = {
    "wiki1": {"rtc_runs": {"runs": [shared(part(WIKI, "wiki1/confluence"))]}},
    "proxy": {
        "rtc_runs": {
            "runs": [shared(part(TRACKER, "jira9/jira"), run=THEIRS), shared(part(WIKI, "wiki1/confluence"))],
        }
    },
}


@pytest.mark.parametrize("run", ["latest", NEW])
def test_a_run_of_another_inventory_is_neither_the_latest_nor_undone_on_the_way(run):
    with pytest.raises(AnsibleFilterError, match=f"(?s)On proxy, run {THEIRS}.*{TRACKER}.*{NEW} -e rtc_undo_site"):
        choose_run(SHARED, list(SHARED), run)
    one = choose_run(SHARED, list(SHARED), run, WIKI)
    assert (one["id"], one["hosts"]) == (NEW, ["wiki1", "proxy"])


def test_a_run_of_another_inventory_that_was_undone_is_in_nobody_s_way():
    done = shared(part(TRACKER, "jira9/jira", undone=True), run=THEIRS, undone=True)
    fleet = {**SHARED, "proxy": {"rtc_runs": {"runs": [done, SHARED["proxy"]["rtc_runs"]["runs"][1]]}}}
    assert choose_run(fleet, list(fleet))["hosts"] == ["wiki1", "proxy"]


def test_a_run_of_another_inventory_can_be_named():
    run = choose_run(SHARED, list(SHARED), THEIRS)
    assert (run["id"], run["hosts"]) == (THEIRS, ["proxy"])


def test_what_is_undone_before_is_said_before():
    run = choose_run(FLEET, list(FLEET), OLD)
    at = run["lines"].index("    wiki2: /a, /b")
    assert run["lines"][at + 1] == f"        before that {NEW} of anna@controller, which came later"
