# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan as a difference: what is created, changed, adopted, taken away, left alone."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._facts import ManagedEntry
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import difference
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from ansible_collections.collab.rtc.plugins.plugin_utils._run import course


def actions(plan, host):
    return {work.key: work.action for work in plan.hosts[host].work}


def test_everything_is_new_at_first(base):
    found = actions(make_plan(base("pristine")), "wiki1")
    assert set(found.values()) == {"create"}
    assert {key.split()[0] for key in found} == {"connector", "trust", "instance", "vhost", "file", "package"}


def test_a_converged_host_has_nothing_to_do(provisioned):
    plan = make_plan(provisioned())
    assert {action for host in plan.hosts for action in actions(plan, host).values()} == {"nothing"}
    assert not any(one.records or one.removals for one in plan.hosts.values())
    assert report_text.render_plan(plan).count("nothing to do") == 2


def test_what_an_earlier_version_made_is_adopted(base):
    found = actions(make_plan(base("same_host")), "wiki1")
    assert found["instance confluence"] == "adopt"


def test_another_port(provisioned, base):
    plan_input = provisioned()
    changed = base("remote", set={"vars.jira1.rtc_port": 9094})
    for host, facts in plan_input.facts.items():
        changed.facts[host].managed, changed.facts[host].machine_id = facts.managed, facts.machine_id
    plan = make_plan(changed)
    front = actions(plan, "proxy1")
    assert {key: action for key, action in front.items() if key.startswith("vhost") and "rtc" in key} == {
        "vhost apache rtc-jira-jira.example.com-9094": "create",
        "vhost apache rtc-jira-jira.example.com-9093": "remove",
    }
    (removal,) = plan.hosts["proxy1"].removals
    assert (removal.site, removal.early, removal.kind) == ("jira.example.com:9094", False, "vhost")


def test_another_kind_of_proxy_makes_room_first(provisioned):
    plan_input = provisioned()
    plan_input.settings["jira1"]["jira"].proxy_kind = "haproxy"
    plan_input.facts["proxy1"].proxies[0].kind = "haproxy"
    removals = make_plan(plan_input).hosts["proxy1"].removals
    assert [item.early for item in removals if item.kind == "vhost"] == [True] * len(removals)
    assert removals


def test_the_add_on_takes_over_and_gives_back(provisioned, base, record):
    """deployed -> builtin -> deployed, on the same port: the add-on opens it at a start of the application."""
    process = base("remote").facts["jira1"].applications[0].process
    ours = {
        "kind": "deployed",
        "port": 9093,
        "address": "::",
        "instance": "jira",
        "active": True,
        "pid": process.pid + 1,
    }
    theirs = {"kind": "builtin", "port": 9093, "address": "::", "active": True, "pid": process.pid}

    def change(before, service, rtc):
        held = {"address": "::", "port": 9093, "pid": rtc["pid"], "process": "java" if rtc is theirs else "python3"}
        changed = base(
            "remote",
            set={"vars.jira1.rtc_service": service, "facts.jira1.rtc": [rtc], "facts.jira1.listeners.+": held},
        )
        for host, facts in before.facts.items():
            changed.facts[host].managed, changed.facts[host].machine_id = facts.managed, facts.machine_id
        plan = make_plan(changed)
        return changed, plan, [item.id for item in plan.findings if item.severity == "error"]

    given, plan, errors = change(provisioned(), "builtin", ours)
    assert errors == []
    assert actions(plan, "jira1")["instance jira"] == "remove"
    (removal,) = plan.hosts["jira1"].removals
    assert (removal.kind, removal.early) == ("instance", True)
    assert actions(plan, "proxy1") == {"vhost apache rtc-jira-jira.example.com-9093": "change"}
    assert "which our RTC server had" in plan.hosts["jira1"].restarts[0].reasons[0]

    record(given, plan)
    for facts in given.facts.values():
        facts.managed.entries = [entry for entry in facts.managed.entries if entry.kind != "instance"]
    _given, plan, errors = change(given, "builtin", theirs)
    assert errors == []
    assert set(actions(plan, "jira1").values()) | set(actions(plan, "proxy1").values()) == {"nothing"}
    assert plan.hosts["jira1"].restarts[0].reasons == []

    _given, plan, errors = change(given, "deployed", theirs)
    assert errors == ["RTC504"]  # it listens still: switch it off first
    _given, plan, errors = change(given, "deployed", {**ours, "active": False, "pid": 0})
    assert actions(plan, "jira1")["instance jira"] == "create"
    assert actions(plan, "proxy1") == {"vhost apache rtc-jira-jira.example.com-9093": "change"}


def test_an_application_that_is_to_have_nothing(provisioned):
    plan_input = provisioned()
    plan_input.settings["jira1"]["jira"].state = "absent"
    plan = make_plan(plan_input)
    assert plan.sites == []
    assert set(actions(plan, "jira1").values()) == set(actions(plan, "proxy1").values()) == {"remove"}
    connector = next(item for item in plan.hosts["jira1"].removals if item.kind == "connector")
    assert set(connector.before.values()) == {None}
    (restart,) = plan.hosts["jira1"].restarts
    assert (restart.site, restart.service) == ("jira.example.com:9093", "jira.service") or restart.service


def test_a_host_that_the_run_does_not_look_at_keeps_everything(provisioned):
    plan_input = provisioned()
    del plan_input.facts["jira1"], plan_input.settings["jira1"]
    assert actions(make_plan(plan_input), "proxy1") == {}


def test_what_nobody_owns_is_an_orphan_until_it_may_go(provisioned):
    plan_input = provisioned()
    plan_input.groups["jira"] = []
    plan = make_plan(plan_input)
    assert set(actions(plan, "proxy1").values()) == {"orphan"}
    assert plan.hosts["proxy1"].removals == []
    plan_input.settings["proxy1"]["confluence"].remove_orphans = True
    plan = make_plan(plan_input)
    assert set(actions(plan, "proxy1").values()) == {"remove"}


def test_another_inventory_is_left_alone(provisioned):
    plan_input = provisioned()
    plan_input.groups["jira"], plan_input.inventory = [], "another/hosts.yml"
    assert actions(make_plan(plan_input), "proxy1") == {}


def test_a_clone_is_adopted_and_nothing_goes(provisioned):
    plan_input = provisioned()
    plan_input.settings["jira1"]["jira"].state = "absent"
    plan_input.facts["proxy1"].machine_id = "another"
    assert actions(make_plan(plan_input), "proxy1") == {}


@pytest.mark.parametrize(("hosts", "cloned"), [({"": "proxy1", "other": "px"}, False), ({"": "px"}, True)])
def test_only_another_name_in_the_same_inventory_is_that_of_a_clone(provisioned, hosts, cloned):
    plan_input = provisioned()
    plan_input.settings["jira1"]["jira"].state = "absent"
    plan_input.facts["proxy1"].managed.hosts, plan_input.facts["proxy1"].managed.host = hosts, "px"
    assert (actions(make_plan(plan_input), "proxy1") == {}) is cloned


def test_the_plan_says_what_it_saw_of_the_record(provisioned):
    plan_input = provisioned()
    entries = plan_input.facts["jira1"].managed.entries
    entries[0].state, entries[0].run, entries[1].inventory = "edited", "20260101T000000Z-aaaa", "other"
    seen = make_plan(plan_input).hosts["jira1"].recorded
    assert seen[entries[0].key] == {"run": "20260101T000000Z-aaaa", "edited": True}
    assert set(seen) == {entry.key for entry in entries} - {entries[1].key}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_edit_is_a_conflict_and_stops_its_site_on_all_hosts(provisioned, overwrite):
    plan_input = provisioned()
    entry = next(one for one in plan_input.facts["proxy1"].managed.entries if one.kind == "vhost")
    entry.state, entry.diff = "edited", "-a\n+b"
    if overwrite:
        plan_input.settings["jira1"]["jira"].conflicts = "overwrite"
    plan = make_plan(plan_input)
    assert actions(plan, "proxy1")[entry.key] == ("change" if overwrite else "conflict")
    assert bool(plan.stopped) is not overwrite


def test_an_attribute_that_somebody_set_to_what_is_wanted_is_no_conflict(provisioned):
    plan_input = provisioned()
    entry = next(one for one in plan_input.facts["jira1"].managed.entries if one.kind == "connector")
    (connector,) = make_plan(copy.deepcopy(plan_input)).hosts["jira1"].connectors
    entry.state, entry.current = "edited", dict(connector.attributes)
    assert actions(make_plan(plan_input), "jira1")[entry.key] == "change"
    entry.current["proxyPort"] = "1"
    assert actions(make_plan(plan_input), "jira1")[entry.key] == "conflict"


def test_an_attribute_that_is_not_wanted_any_more_gets_what_it_had(provisioned):
    plan_input = provisioned()
    entry = next(one for one in plan_input.facts["jira1"].managed.entries if one.kind == "connector")
    entry.before["address"] = "10.0.0.1"
    (connector,) = make_plan(plan_input).hosts["jira1"].connectors
    assert connector.attributes["address"] == "10.0.0.1"


def test_after_an_upgrade_of_the_application_everything_is_set_again(provisioned):
    plan_input = provisioned()
    entry = next(one for one in plan_input.facts["jira1"].managed.entries if one.kind == "connector")
    entry.state = "replaced"
    assert actions(make_plan(plan_input), "jira1")[entry.key] == "create"


def test_an_authority_that_another_application_wants_stays(provisioned):
    plan_input = provisioned("same_host")
    facts = plan_input.facts["wiki1"]
    trust = next(one for one in facts.managed.entries if one.kind == "trust")
    other = copy.deepcopy(trust)
    other.key, other.owners = f"trust {trust.what['path']} jira", ["wiki1/jira"]
    other.what = {**trust.what, "application": "jira", "certificates": list(trust.what["wants"])}
    facts.managed.entries.append(other)
    plan_input.groups["jira"] = ["wiki1"]
    plan_input.settings["wiki1"]["jira"] = copy.deepcopy(plan_input.settings["wiki1"]["confluence"])
    plan_input.settings["wiki1"]["jira"].state = "absent"
    plan = make_plan(plan_input)
    (removal,) = [item for item in plan.hosts["wiki1"].removals if item.kind == "trust"]
    assert removal.what["certificates"] == []


def test_uninstall_forgets_packages_and_leaves_them(provisioned):
    plan_input = provisioned("pristine")
    plan_input.absent = {"wiki1": ["confluence"]}
    plan = make_plan(plan_input)
    assert "package nginx" not in actions(plan, "wiki1")
    assert "package" in {item.kind for item in plan.hosts["wiki1"].removals}
    assert "to take away" in report_text.render_no_site(plan)
    plan_input.facts["wiki1"].managed.entries = []
    assert report_text.render_no_site(make_plan(plan_input)) == "There is nothing to take away."


@pytest.mark.parametrize("fault", ["edited", "lease"])
def test_of_a_site_that_goes_nothing_goes_where_one_host_has_an_error(provisioned, fault):
    plan_input = provisioned()
    plan_input.settings["jira1"]["jira"].state = "absent"
    if fault == "edited":
        next(one for one in plan_input.facts["proxy1"].managed.entries if one.kind == "vhost").state = "edited"
    else:
        plan_input.facts["proxy1"].managed.lease_run = "20260101T000000Z-aaaa"
    plan = make_plan(plan_input)
    assert list(plan.stopped) == ["jira.example.com:9093"]
    data = json.loads(json.dumps(_facts.to_dict(plan)))
    works = [course.leave_out(data, host, plan.stopped) for host in ("jira1", "proxy1")]
    assert [work["removals"] for work in works] == [[], []]


def test_what_fails_on_one_host_of_a_site_that_goes_leaves_its_proxy_alone(provisioned):
    plan_input = provisioned()
    plan_input.settings["jira1"]["jira"].state = "absent"
    data = json.loads(json.dumps(_facts.to_dict(make_plan(plan_input))))
    hostvars = {"jira1": {"removal_connectors": {"failed": True, "msg": "no."}}, "proxy1": {}}
    stopped = course.find_stopped(data, hostvars)
    assert list(stopped) == ["jira.example.com:9093"]
    assert course.leave_out(data, "proxy1", stopped)["removals"] == []


def test_a_node_that_came_is_among_the_owners_of_what_stays_as_it_is(provisioned):
    plan_input = provisioned("pristine")
    entry = next(one for one in plan_input.facts["wiki1"].managed.entries if one.kind == "file")
    assert (entry.owners, entry.site) == (["wiki1/confluence"], "wiki.example.com:9083")
    entry.owners = ["gone/confluence"]
    plan = make_plan(plan_input)
    assert actions(plan, "wiki1")[entry.key] == "nothing"
    assert [one["owners"] for one in plan.hosts["wiki1"].records if one["key"] == entry.key] == [["wiki1/confluence"]]


@pytest.mark.parametrize(
    ("holds", "name"), [("private_key", "privkey.pem"), ("certificate", "fullchain.pem"), ("nothing", "")]
)
def test_a_renewed_key_or_chain_alone_is_a_change(base, record, holds, name):
    plan_input = base("pristine")
    given = plan_input.tls["wiki1"]["confluence"]
    given.digests = {"private_key": "1", "certificate": "1"}
    record(plan_input, make_plan(plan_input))
    given.digests[holds] = "2"
    plan = make_plan(plan_input)
    found = {key: action for host in plan.hosts for key, action in actions(plan, host).items()}
    changed = [
        key.rpartition("/")[2] for key, action in found.items() if key.startswith("file ") and action == "change"
    ]
    assert changed == ([name] if name else [])


def open_port(plan_input, port, owners=("jira1/jira",), **what):
    """Record what was opened for a virtual host of the proxy."""
    known = {"tool": "firewalld", "name": "public", "port": port, "permanent": True, "before": "", **what}
    key = f"setting {known['tool']} {known['name']} {port}"
    entry = ManagedEntry(key, "setting", "jira.example.com:9093", list(owners), what=known, state="as_written")
    plan_input.facts["proxy1"].managed.entries.append(entry)
    return key


BOOLEAN = {"tool": "selinux_boolean", "name": "httpd_can_network_connect"}


@pytest.mark.parametrize(("port", "what"), [(9093, {}), (0, BOOLEAN)])
def test_what_was_opened_stays_while_a_virtual_host_needs_it(provisioned, port, what):
    plan_input = provisioned()
    key = open_port(plan_input, port, **what)
    assert key not in actions(make_plan(plan_input), "proxy1")


@pytest.mark.parametrize(("port", "what"), [(9083, {}), (0, {**BOOLEAN, "name": "haproxy_connect_any"})])
def test_what_was_opened_and_no_virtual_host_needs_is_closed(provisioned, port, what):
    plan_input = provisioned()
    key = open_port(plan_input, port, **what)
    plan = make_plan(plan_input)
    assert actions(plan, "proxy1")[key] == "remove"
    ((removal),) = plan.hosts["proxy1"].removals
    work = course.leave_out(_facts.to_dict(plan), "proxy1", [])
    assert (removal.early, work["removed_late"]["setting"][0]["port"]) == (False, port)
    assert work["removed_all"]["keys"] == [key]


def test_what_was_opened_goes_with_the_virtual_host_that_it_was_for(provisioned):
    plan_input = provisioned()
    key = open_port(plan_input, 9093)
    plan_input.settings["jira1"]["jira"].state = "absent"
    assert actions(make_plan(plan_input), "proxy1")[key] == "remove"


def test_what_another_site_s_virtual_host_needs_stays_although_it_is_not_in_the_run(provisioned):
    plan_input = provisioned()
    other = ManagedEntry("vhost nginx other", "vhost", "x", ["wiki9/confluence"], what={"kind": "nginx", "port": 9083})
    plan_input.facts["proxy1"].managed.entries.append(other)
    plan_input.groups["confluence"] = ["wiki9"]
    key = open_port(plan_input, 9083)
    assert key not in actions(make_plan(plan_input), "proxy1")


def test_what_was_opened_for_another_inventory_stays(provisioned):
    plan_input = provisioned()
    key = open_port(plan_input, 9083)
    plan_input.facts["proxy1"].managed.entries[-1].inventory = "other"
    assert key not in actions(make_plan(plan_input), "proxy1")


def test_what_was_opened_for_nobody_any_more_is_an_orphan(provisioned):
    plan_input = provisioned()
    key = open_port(plan_input, 9083, owners=["gone/jira"])
    assert actions(make_plan(plan_input), "proxy1")[key] == "orphan"


STORE = {
    f"vars.{host}.rtc_{name}": value
    for host in ("wiki1", "wiki2")
    for name, value in {"store_url": "postgresql://rtc@s/rtc", "store_password": "x", "secret": "x"}.items()
}


def test_a_panel_is_a_change_of_the_instance_and_its_files_are_known(provisioned):
    plan_input = provisioned()
    host = next(host for host, kinds in plan_input.settings.items() if "jira" in kinds)
    assert actions(make_plan(plan_input), host)["instance jira"] == "nothing"
    plan_input.settings[host]["jira"].panel = True
    assert actions(make_plan(plan_input), host)["instance jira"] == "change"
    files = difference.list_instance_files("jira", False, True)
    assert "/etc/systemd/system/rtc-server@jira.service.d/panel.conf" in files
    assert not [path for path in files if "token" in path]


def test_a_node_that_is_to_go_leaves_the_proxy_before_its_rtc_server_is_stopped(provisioned):
    plan_input = provisioned("cluster", set=STORE)
    plan_input.settings["wiki2"]["confluence"].state = "absent"
    plan = make_plan(plan_input)
    (vhost,) = plan.hosts["proxy1"].vhosts
    assert [item["host"] for item in vhost.upstreams] == ["10.0.0.11"]
    assert actions(plan, "proxy1")[f"vhost haproxy {vhost.name}"] == "change"
    assert actions(plan, "wiki1")["instance confluence"] == "nothing", "its label is what it was: nobody is sent away"
    assert actions(plan, "wiki2")["instance confluence"] == "remove"
    groups = {"confluence": ["wiki1", "wiki2"], "jira": [], "rtc_proxies": ["proxy1"]}
    data = _facts.to_dict(plan)
    hostvars = {host: {"rtc_plan": data, "rtc_detected": {}} for host in ("wiki1", "wiki2", "proxy1")}
    stages = ("apply_services", "apply_proxies", "apply_applications", "remove_proxies")
    course_of = {stage: course.choose_hosts(stage, groups, hostvars) for stage in stages}
    assert "proxy1" in course_of["apply_proxies"]
    assert "wiki2" not in course_of["apply_services"], "that is before the proxy"
    assert "wiki2" in course_of["apply_applications"], "that is after it"


def test_a_node_that_is_added_changes_nothing_of_the_others(provisioned, base):
    plan_input = provisioned("cluster", set=STORE)
    before = plan_input.facts["proxy1"], plan_input.facts["wiki1"]
    three = base("cluster", set=STORE)
    three.groups["confluence"].append("wiki3")
    third = copy.deepcopy(three.facts["wiki2"])
    third.hostname, third.addresses, third.main_address = "wiki3", ["10.0.0.13"], "10.0.0.13"
    three.facts.update(wiki3=third, proxy1=before[0], wiki1=before[1], wiki2=plan_input.facts["wiki2"])
    three.settings["wiki3"] = three.settings["wiki2"]
    plan = make_plan(three)
    assert actions(plan, "wiki3")["instance confluence"] == "create"
    assert actions(plan, "wiki1")["instance confluence"] == actions(plan, "wiki2")["instance confluence"] == "nothing"
    (vhost,) = plan.hosts["proxy1"].vhosts
    assert [item["host"] for item in vhost.upstreams] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


def test_a_node_that_this_run_does_not_look_at_stays_at_the_proxy(provisioned):
    plan_input = provisioned("cluster", set=STORE)
    del plan_input.facts["wiki2"], plan_input.settings["wiki2"]
    plan = make_plan(plan_input)
    (finding,) = [item for item in plan.findings if item.id == "RTC465"]
    assert "wiki2" in finding.message and "--limit wiki1,wiki2,proxy1" in finding.remedy
    assert plan.stopped == {"wiki.example.com:9083": "RTC465 proxy1"}
    plan_input.groups["confluence"] = ["wiki1"]  # it is no more in the inventory
    plan = make_plan(plan_input)
    assert plan.stopped == {}
    assert [item["host"] for item in plan.hosts["proxy1"].vhosts[0].upstreams] == ["10.0.0.11"]
