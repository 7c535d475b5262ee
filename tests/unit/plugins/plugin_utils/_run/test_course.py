# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sites a run goes on with, and on which hosts."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.filter import failure_of, hosts_for, out_of_run, work_for
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.plugin_utils._finding import Finding
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.read_values import Mute
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.schema import Plan, Site
from ansible_collections.collab.rtc.plugins.plugin_utils._run import course, outcome, steps

GROUPS = {"confluence": ["node1", "node2", "alone"], "jira": ["tracker"], "rtc_proxies": ["front", "alone"]}
WIKI, ALONE, TRACKER = "wiki:9083", "alone:9083", "tracker:9093"
BROKEN = {"failed": True, "msg": "It broke."}
LOST = {"unreachable": True, "msg": "Connection timed out"}
CHANGED = {"changed": True}
NOBODY = ["all", "!all"]


def make_site(name, nodes, proxy=""):
    return Site(name, "confluence", nodes, name.split(":")[0], 9083, "HTTP", "remote", "T2", proxy_host=proxy)


def make_hosts(**facts):
    """Variables of all hosts, with the plan that each has registered; ``facts``: host -> what else it has."""
    plan = Plan(
        [make_site(ALONE, ["alone"]), make_site(TRACKER, ["tracker"]), make_site(WIKI, ["node1", "node2"], "front")]
    )
    data = {**_facts.to_dict(plan), **facts.pop("plan", {})}
    names = ["node1", "node2", "alone", "tracker", "front"]
    return {
        name: {"rtc_plan": data, "rtc_detected": {"topology": {"root": True}}, **facts.get(name, {})} for name in names
    }


STAGES = ("apply_services", "apply_proxies", "apply_shared_proxies", "apply_connectors", "apply_applications")


def write_vhosts(**sites):
    """A part of the plan: host -> the sites of the virtual hosts that are written there."""
    return {"hosts": {host: {"vhosts": [{"site": name} for name in names]} for host, names in sites.items()}}


def choose_all(hostvars):
    """The hosts of each stage that has any."""
    chosen = {stage: course.choose_hosts(stage, GROUPS, hostvars) for stage in STAGES}
    return {stage: hosts for stage, hosts in chosen.items() if hosts != NOBODY}


def plan_of(hostvars):
    return next(iter(hostvars.values()))["rtc_plan"]


def test_all_go_on_where_nothing_failed():
    hostvars = make_hosts()
    assert course.find_stopped(plan_of(hostvars), hostvars) == {}
    assert course.choose_hosts("apply_proxies", GROUPS, hostvars) == ["front"]
    assert course.choose_hosts("apply_applications", GROUPS, hostvars) == ["node1", "node2", "alone", "tracker"]


# The order: where a proxy on another host is written, RTC runs before that, and connectors announce it afterwards.


def test_rtc_first_then_the_proxy_then_the_connectors():
    hostvars = make_hosts(plan=write_vhosts(front=[WIKI]))
    assert choose_all(hostvars) == {
        "apply_services": ["node1", "node2"],
        "apply_proxies": ["front"],
        "apply_connectors": ["node1", "node2"],
        "apply_applications": ["alone", "tracker"],
    }


def test_a_proxy_on_a_host_of_its_own_that_is_not_written_changes_no_order():
    hostvars = make_hosts(plan=write_vhosts(front=[ALONE], alone=[ALONE]))
    assert choose_all(hostvars) == {
        "apply_proxies": ["front"],
        "apply_applications": ["node1", "node2", "alone", "tracker"],
    }


def test_a_proxy_beside_one_application_that_serves_another_is_written_between_too():
    """Each of them is an application and the other's proxy: neither may announce before the other's proxy is written."""
    sites = [make_site(ALONE, ["alone"], "tracker"), make_site(TRACKER, ["tracker"], "alone")]
    parts = {**_facts.to_dict(Plan(sites)), **write_vhosts(alone=[TRACKER], tracker=[ALONE])}
    hostvars = make_hosts(plan=parts)
    assert choose_all(hostvars) == {
        "apply_services": ["alone", "tracker"],
        "apply_shared_proxies": ["alone", "tracker"],
        "apply_connectors": ["alone", "tracker"],
    }


def test_a_proxy_on_one_of_several_nodes_is_written_before_any_of_them_announces_it():
    sites = [make_site(WIKI, ["node1", "node2"], "node2")]
    hostvars = make_hosts(plan={**_facts.to_dict(Plan(sites)), **write_vhosts(node2=[WIKI])})
    assert choose_all(hostvars) == {
        "apply_services": ["node1", "node2"],
        "apply_shared_proxies": ["node2"],
        "apply_connectors": ["node1", "node2"],
    }


@pytest.mark.parametrize("result", [BROKEN, LOST])
def test_where_rtc_does_not_start_neither_proxy_nor_connectors_are_touched(result):
    hostvars = make_hosts(node1={"rtc_server_instances_run": result}, plan=write_vhosts(front=[WIKI]))
    assert choose_all(hostvars) == {"apply_applications": ["alone", "tracker"]}


def test_where_the_proxy_fails_no_connector_is_touched():
    hostvars = make_hosts(front={"reverse_proxy_vhosts": BROKEN}, plan=write_vhosts(front=[WIKI]))
    assert choose_all(hostvars) == {"apply_applications": ["alone", "tracker"]}


HELD, KEPT = {"changed": False}, {"changed": False, "skipped": True}


@pytest.mark.parametrize(
    ("registered", "held"),
    [
        ({}, False),
        ({"record_held": HELD}, True),
        ({"record_held": BROKEN}, True),
        ({"record_held": KEPT}, False),
        ({"record_held": HELD, "record_ended": HELD}, False),
        ({"record_held": HELD, "record_ended": KEPT}, True),
        ({"record_held": HELD, "record_ended": BROKEN}, True),
        ({"record_held": HELD, "record_ended": LOST}, True),
    ],
)
def test_who_was_begun_and_goes_no_further_gives_up_the_lease(registered, held):
    """Whatever stopped it: its own failure, the other node's, the proxy's."""
    hostvars = make_hosts(node1=registered, plan=write_vhosts(front=[WIKI]))
    assert course.choose_hosts("end_services", GROUPS, hostvars) == (["node1"] if held else NOBODY)
    for values in hostvars.values():
        del values["rtc_plan"]
    assert course.choose_hosts("end_services", GROUPS, hostvars) == (["node1"] if held else NOBODY)


def test_a_site_is_begun_with_its_connectors_and_not_with_its_rtc_server():
    """Of many sites behind one proxy, all have their RTC servers before the first is restarted: that counts."""
    limited = {"max_failures": 1, **write_vhosts(front=[WIKI])}
    begun = {"services_work": {"sites": [WIKI]}}
    hostvars = make_hosts(node1=begun, node2=begun, alone={"restart_done": BROKEN}, plan=limited)
    assert {WIKI, TRACKER} <= set(course.find_stopped(plan_of(hostvars), hostvars))


@pytest.mark.parametrize("result", [BROKEN, LOST, {"failed": True, "results": [{"item": {}, **BROKEN}]}])
def test_a_node_that_failed_stops_the_other_node_and_nothing_else(result):
    hostvars = make_hosts(node1={"rtc_server_instances_run": result})
    stopped = course.find_stopped(plan_of(hostvars), hostvars)
    assert stopped == {WIKI: "its host node1 failed: Run the RTC server"}
    assert course.choose_hosts("apply_applications", GROUPS, hostvars) == ["alone", "tracker"]
    assert course.choose_hosts("verify_applied", GROUPS, hostvars) == ["alone", "tracker"]
    assert course.choose_hosts("verify", GROUPS, hostvars) == ["node1", "node2", "alone", "tracker"]


def test_a_proxy_that_failed_stops_its_site():
    hostvars = make_hosts(front={"reverse_proxy_vhosts": BROKEN})
    assert course.find_stopped(plan_of(hostvars), hostvars) == {WIKI: "its proxy front failed: Write the virtual hosts"}


def test_a_site_that_the_proxy_does_not_take_is_stopped_and_no_other():
    """The proxy of two; failed_when has made a success of the module's failure."""
    sites = [
        {"site": WIKI, "state": "blocked", "reason": "Port 9083 is\nin use."},
        {"site": TRACKER, "state": "written"},
    ]
    hostvars = make_hosts(front={"reverse_proxy_vhosts": {"failed": False, "changed": True, "sites": sites}})
    plan = plan_of(hostvars)
    plan["sites"][1]["proxy_host"] = "front"
    stopped = course.find_stopped(plan, hostvars)
    assert stopped == {WIKI: "the proxy on front does not take it, and has what it had: Port 9083 is in use."}
    assert course.choose_hosts("apply_applications", GROUPS, hostvars) == ["alone", "tracker"]
    assert course.choose_hosts("verify_applied", GROUPS, hostvars) == ["alone", "tracker"]
    verdicts = outcome.judge(plan, outcome.collect(plan, hostvars, True), hostvars)
    assert set(verdicts) == {"node1", "node2"}
    assert "Port 9083 is in use." in verdicts["node1"][0]


def test_work_without_sites_that_the_proxy_did_not_take():
    removals = [
        {"site": site, "key": f"{site} {early}", "kind": "file", "what": {"path": "/x"}, "before": {}, "early": early}
        for site in (WIKI, TRACKER)
        for early in (False, True)
    ]
    parts = {part: [{"site": WIKI}, {"site": TRACKER}] for part in course.PARTS}
    plan = {"sites": [], "hosts": {"front": {**parts, "removals": removals}}}
    work = course.drop_sites({**course.leave_out(plan, "front", []), "sites": [WIKI, TRACKER]}, [WIKI])
    assert {item["site"] for part in course.PARTS for item in work[part]} == {TRACKER}
    assert work["sites"] == [TRACKER]
    assert work["removed_late"]["keys"] == [f"{TRACKER} False"]
    assert work["removed_early"]["keys"] == [f"{WIKI} True", f"{TRACKER} True"]  # they are gone
    assert sorted(work["removed_all"]["keys"]) == sorted([f"{TRACKER} False", f"{WIKI} True", f"{TRACKER} True"])


def test_what_rescue_noted_is_a_failure_too():
    hostvars = make_hosts(alone={"rtc_failed": {"step": "s", "cause": "c", "remedy": "r"}})
    assert list(course.find_stopped(plan_of(hostvars), hostvars)) == [ALONE]


@pytest.mark.parametrize(("limit", "stopped"), [(0, {WIKI}), (1, {WIKI, TRACKER}), (2, {WIKI})])
def test_after_so_many_failures_no_further_site_is_begun(limit, stopped):
    begun = {"rtc_work": {"sites": [ALONE]}}
    hostvars = make_hosts(node1={"connector_set": BROKEN}, alone=begun, plan={"max_failures": limit})
    assert set(course.find_stopped(plan_of(hostvars), hostvars)) == stopped


def test_a_host_that_was_not_seen_counts_and_a_muted_one_does_not():
    finding = {"id": "RTC001", "host": "gone", "severity": "error", "muted": ""}
    for muted, stopped in (("", 3), ("in repair", 0)):
        hostvars = make_hosts(plan={"max_failures": 1, "findings": [{**finding, "muted": muted}]})
        hostvars["gone"] = {"rtc_detected": LOST}
        assert len(course.find_stopped(plan_of(hostvars), hostvars)) == stopped


def list_parts(work):
    """The names of all parts that have something."""
    removed = [name for name in work if name.startswith("removed_") and work[name]["keys"]]
    return [*(name for name in work if not name.startswith(("removed_", "stopped")) and work[name]), *removed]


def test_work_without_the_parts_of_stopped_sites():
    vhosts = [{"site": WIKI, "name": "a"}, {"site": ALONE, "name": "b"}]
    files = [{"dest": "/etc/rtc-proxy/wiki/key.pem"}, {"dest": "/etc/rtc-proxy/alone/key.pem"}]
    front = {"vhosts": vhosts, "certificates": files, "packages": ["nginx"]}
    hostvars = make_hosts(plan={"hosts": {"front": front}})
    plan = plan_of(hostvars)
    whole = work_for.find_work(plan, "front", hostvars)
    assert (whole["vhosts"], whole["certificates"], whole["packages"]) == (vhosts, files, ["nginx"])
    assert whole["sites"] == [WIKI]
    rest = course.leave_out(plan, "front", [WIKI])
    assert (rest["vhosts"], rest["certificates"], rest["packages"]) == (vhosts[1:], files[1:], ["nginx"])
    assert (whole["stopped"], rest["stopped"]) == ([], [WIKI])
    none = course.leave_out(plan, "front", [WIKI, ALONE])
    assert not list_parts(none)


def test_a_host_without_a_plan_has_nothing_to_do():
    hostvars = make_hosts()
    assert not list_parts(work_for.find_work(plan_of(hostvars), "gone", hostvars))


def test_hosts_are_read_again_where_something_changed_and_they_answer():
    assert course.choose_hosts("detect_again", GROUPS, make_hosts()) == NOBODY
    hostvars = make_hosts(
        tracker={"connector_set": CHANGED}, node2={"connector_set": LOST}, front={"rtc_detected": LOST}
    )
    assert course.choose_hosts("detect_again", GROUPS, hostvars) == ["node1", "alone", "tracker"]


@pytest.mark.parametrize("stage", ["detect", "report"])
def test_all_hosts_of_our_groups_each_once(stage):
    assert hosts_for.choose(GROUPS, stage, {}) == ["node1", "node2", "alone", "tracker", "front"]


def test_nobody():
    assert hosts_for.choose({}, "detect", {}) == NOBODY
    assert hosts_for.choose(GROUPS, "none", make_hosts()) == NOBODY
    assert hosts_for.choose(GROUPS, "nobody", make_hosts()) == NOBODY
    unseen = {host: {"rtc_detected": LOST} for host in ("node1", "front")}
    assert hosts_for.choose(GROUPS, "nobody", unseen) == NOBODY
    assert hosts_for.choose(GROUPS, "nobody", {"printer": {}, "node1": {}}) == ["all", "localhost"]
    assert hosts_for.choose(GROUPS, "nobody", {}) == ["all", "localhost"]


def test_stages_are_checked():
    with pytest.raises(ValueError, match="one of: none, detect"):
        hosts_for.choose(GROUPS, "every", {})


# What stops a site from the start.


def find_stops(plan_input, *findings):
    plan = make_plan(plan_input)
    plan.findings += findings
    return course.stop_sites(plan, plan_input)


def test_an_error_stops_the_sites_of_its_host_or_the_one_that_it_names(base):
    site = make_plan(base("remote")).sites[0]
    assert find_stops(base("remote")) == {}
    assert find_stops(base("remote"), Finding("RTC411", "error", site.proxy_host, "x")) == {
        site.name: f"RTC411 {site.proxy_host}"
    }
    assert find_stops(base("remote"), Finding("RTC411", "error", "another", "x")) == {}
    assert list(find_stops(base("remote"), Finding("RTC307", "error", "another", "x", site=site.name))) == [site.name]
    assert find_stops(base("remote"), Finding("RTC411", "error", site.proxy_host, "x", muted="known")) == {}
    assert find_stops(base("remote"), Finding("RTC411", "warning", site.proxy_host, "x")) == {}


def test_a_mistake_in_the_inventory_stops_everything(base):
    assert len(find_stops(base("remote"), Finding("RTC101", "error", "another", "x"))) == 1


@pytest.mark.parametrize(("muted", "stopped"), [("", True), ("in repair", False)])
def test_a_node_that_was_not_seen_stops_its_site_unless_that_is_accepted(base, muted, stopped):
    plan_input = base("direct")
    site = make_plan(plan_input).sites[0]
    host = site.nodes[0]
    settings = plan_input.settings[host][site.application]
    settings.server_name = site.server_name
    plan_input.groups[site.application].append("second")
    plan_input.settings["second"] = {site.application: settings}
    plan_input.failed["second"] = "Connection timed out"
    if muted:
        settings.ignore_findings = [Mute("RTC001", muted)]
    plan = make_plan(plan_input)
    assert (site.name in plan.stopped) is stopped


def test_nodes_that_only_the_proxys_record_tells_of_stop_a_new_one_where_they_were_not_seen(base):
    """It would be the only one that the proxy passes RTC on to."""
    plan_input = base("remote")
    site = make_plan(plan_input).sites[0]
    (vhost,) = make_plan(plan_input).hosts[site.proxy_host].vhosts
    plan_input.groups[site.application].append("second")
    plan_input.failed["second"] = "Connection timed out"
    facts = plan_input.facts[site.proxy_host]
    made = _facts.ManagedEntry(f"vhost {vhost.kind} {vhost.name}", "vhost", owners=[f"second/{site.application}"])
    made.what, made.state = {"kind": vhost.kind, "name": vhost.name}, "as_written"
    made.inventory = plan_input.inventory
    facts.managed = _facts.Managed(machine=facts.machine_id, host=site.proxy_host, entries=[made])
    assert make_plan(plan_input).stopped == {site.name: "its node second was not seen"}


def test_a_proxy_that_was_not_seen_stops_its_site_whatever_is_muted(base):
    plan_input = base("remote")
    site = make_plan(plan_input).sites[0]
    plan_input.settings[site.nodes[0]][site.application].proxy = site.proxy_host
    del plan_input.facts[site.proxy_host]
    plan_input.failed[site.proxy_host] = "Connection timed out"
    for settings in plan_input.settings[site.proxy_host].values():
        settings.ignore_findings = [Mute("RTC001", "in repair")]
    plan = make_plan(plan_input)
    assert list(plan.stopped.values()) == [f"its proxy {site.proxy_host} was not seen"]


@pytest.mark.parametrize(("proxy", "stopped"), [("", True), ("none", False)])
def test_a_proxy_that_was_not_seen_may_be_the_one_of_a_site_that_names_none(base, proxy, stopped):
    plan_input = base("direct")
    site = make_plan(plan_input).sites[0]
    plan_input.settings[site.nodes[0]][site.application].proxy = proxy
    plan_input.groups["rtc_proxies"] = ["front"]
    plan_input.failed["front"] = "Connection timed out"
    plan_input.settings["front"] = {}
    assert bool(make_plan(plan_input).stopped) is stopped


# What a step says of itself.


@pytest.mark.parametrize(
    ("result", "cause", "remedy"),
    [
        ({"failed": True, "msg": "server.xml is gone."}, "server.xml is gone.", steps.RUN_AGAIN),
        ({"failed": True, "msg": "non-zero return code", "stderr": "a\nno space left\n"},
         "non-zero return code no space left", steps.RUN_AGAIN),
        ({"failed": True, "msg": "Task failed: Action failed: It is so."}, "It is so.", steps.RUN_AGAIN),
        ({"failed": True, "msg": "One or more items failed", "results": [{"msg": "fine"}, BROKEN]}, "It broke.",
         steps.RUN_AGAIN),
        ({"unreachable": True}, "it was not reached.", steps.RUN_AGAIN),
        ({}, "it failed without a message.", steps.RUN_AGAIN),
        ({"failed": True, "msg": "Missing sudo password"}, "Missing sudo password", "-K"),
        ({"failed": True, "msg": "MODULE FAILURE\nSee stdout", "module_stderr": "sudo: a password is required\n"},
         "MODULE FAILURE sudo: a password is required", "-K"),
        ({"failed": True, "rc": 127, "msg": "The module failed to execute correctly, you probably need to set the"
          " interpreter.\nSee stdout/stderr for the exact error", "module_stderr": "/bin/sh: 1: /usr/bin/python3: not found\n"},
         "The module failed to execute correctly, you probably need to set the interpreter."
         " /bin/sh: 1: /usr/bin/python3: not found", "Install Python 3.8"),
        ({"failed": True, "msg": "The module interpreter '/usr/bin/python3' was not found."},
         "The module interpreter '/usr/bin/python3' was not found.", "Install Python 3.8"),
        ({"unreachable": True, "msg": "Failed to connect to the host via ssh: Host key verification failed."},
         "Failed to connect to the host via ssh: Host key verification failed.", "known_hosts"),
        ({"unreachable": True, "msg": "admin@10.0.0.1: Permission denied (publickey)."},
         "admin@10.0.0.1: Permission denied (publickey).", "ansible_user"),
        ({"unreachable": True, "msg": "ssh: Could not resolve hostname wiki9: Name or service not known"},
         "ssh: Could not resolve hostname wiki9: Name or service not known", "ansible_host"),
        ({"unreachable": True, "msg": "ssh: connect to host 10.0.0.1 port 22: Connection refused"},
         "ssh: connect to host 10.0.0.1 port 22: Connection refused", "reachable by SSH"),
    ],
)  # fmt: skip
def test_cause_and_remedy(result, cause, remedy):
    failure = failure_of.describe(result, "collab.rtc.connector : Set it")
    assert (failure["step"], failure["cause"]) == ("Set it", cause)
    assert remedy in failure["remedy"]


def test_a_host_is_lost_only_where_a_step_did_not_reach_it():
    assert steps.is_lost({"connector_set": LOST})
    assert not steps.is_lost({"connector_set": BROKEN, "rtc_detected": LOST})


@pytest.mark.parametrize("bad", [LOST, BROKEN])
def test_a_host_is_out_after_a_step_that_failed_or_did_not_reach_it(bad):
    assert out_of_run.is_out({"connector_set": bad})
    assert out_of_run.is_out({"rtc_failed": {"step": "s", "cause": "c", "remedy": "r"}})
    assert not out_of_run.is_out({"connector_set": CHANGED, "rtc_detected": bad})


def test_changes_name_what_they_are_about():
    results = [{"changed": True, "item": {"path": "/a", "site": "s"}}, {"changed": False, "item": {"path": "/b"}},
               {"changed": True, "item": {"instance": "jira", "service": "deployed"}}]  # fmt: skip
    variables = {"connector_set": {"changed": True, "results": results}, "reverse_proxy_vhosts": CHANGED}
    assert steps.find_changes(variables) == [
        "Write the virtual hosts",
        "Set the attributes of the user connector: /a, jira",
    ]


def test_messages_of_a_package_manager_are_no_items():
    """ansible.builtin.dnf gives its messages as ``results``."""
    installed = {"changed": True, "results": ["Installed: httpd-2.4.62-1.el9.x86_64"]}
    assert steps.find_changes({"reverse_proxy_installed": installed}) == ["Install the proxy where it is missing"]
    failed = {"failed": True, "msg": "Depsolve Error", "results": ["No package"]}
    failure = steps.find_failure({"reverse_proxy_installed": failed})
    assert failure is not None and failure["cause"] == "Depsolve Error"


# What came of the run.


def test_each_host_fails_for_what_failed_there():
    check = {"name": "n", "ok": False}
    hostvars = make_hosts(
        node1={"connector_set": {"failed": True, "msg": "It broke.\nIn two lines."}},
        alone={"verify_checks": {ALONE: [check, {**check, "ok": True}, {**check, "ok": None}]}},
        plan={
            "findings": [{"id": "RTC307", "severity": "error", "muted": "", "host": "tracker", "message": "Expired."}]
        },
    )
    plan = plan_of(hostvars)
    verdicts = outcome.judge(plan, outcome.collect(plan, hostvars, applies=True), hostvars)
    step = "Set the attributes of the user connector"
    assert verdicts == {
        "node1": [f"{step}: It broke.", f"{WIKI} was not applied: its host node1 failed: {step}"],
        "node2": [f"{WIKI} was not applied: its host node1 failed: {step}"],
        "alone": ["1 check failed"],
        "tracker": ["RTC307: Expired."],
    }


def test_a_run_that_only_looks_leaves_nothing_unapplied():
    hostvars = make_hosts(plan={"stopped": {WIKI: "RTC411 front"}})
    plan = plan_of(hostvars)
    assert outcome.collect(plan, hostvars, applies=False).stopped == {}
    assert outcome.judge(plan, outcome.collect(plan, hostvars, applies=False), hostvars) == {}


def test_what_is_left_of_a_site_that_is_no_more_fails_its_host():
    plan = {"sites": [], "findings": [], "stopped": {"old": "why"}, "hosts": {"front": {"removals": [{"site": "old"}]}}}
    found = outcome.judge(plan, outcome.collect(plan, {"front": {}}, applies=True), {"front": {}})
    assert found == {"front": ["old was not taken away: why"]}


def test_a_host_that_was_not_seen_failed_unless_that_is_accepted():
    finding = {"id": "RTC001", "host": "gone", "severity": "error", "message": "m"}
    for muted, failed in (("", ["gone"]), ("in repair", [])):
        hostvars = make_hosts(plan={"findings": [{**finding, "muted": muted}]})
        hostvars["gone"] = {"rtc_detected": LOST}
        plan = plan_of(hostvars)
        assert list(outcome.judge(plan, outcome.collect(plan, hostvars, applies=True), hostvars)) == failed


def test_after_a_plan_that_failed_nothing_follows_but_the_report():
    """Each task of each role was named and skipped, as if virtual hosts were about to be written."""
    failed = {"rtc_failed": {"step": "Plan what must change", "cause": "c", "remedy": "r"}}
    hostvars = {host: dict(failed) for host in make_hosts()}
    every = [*STAGES, "apply_listeners", "remove_proxies", "end_services", "detect_again", "verify", "verify_applied"]
    assert {stage: course.choose_hosts(stage, GROUPS, hostvars) for stage in every} == dict.fromkeys(every, NOBODY)
    assert course.choose_hosts("report", GROUPS, hostvars) == course.choose_hosts("detect", GROUPS, {})
