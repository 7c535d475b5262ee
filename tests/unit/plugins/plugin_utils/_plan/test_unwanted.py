# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes with a site, and what stays because something needs it that does not go."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.module_utils import _facts
from ansible_collections.collab.rtc.plugins.module_utils._facts import ManagedEntry
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from ansible_collections.collab.rtc.plugins.plugin_utils._run import course


def actions(plan, host):
    return {work.key: work.action for work in plan.hosts[host].work}


PROXY = {
    "groups.rtc_proxies": ["proxy1"],
    "vars.wiki1.rtc_proxy": "proxy1",
    "vars.wiki1.rtc_proxy_kind": "nginx",
    "vars.wiki1.rtc_tls_certificate": "/pki/wiki.pem",
    "vars.wiki1.rtc_tls_key": "/pki/wiki.key",
}
CERTIFICATE = "file /etc/rtc-proxy/wiki.example.com/fullchain.pem"


@pytest.fixture
def one_name(base, provisioned):
    """A function: two sites that have one server name, and so one certificate, at one proxy; changes -> after a run."""
    given = {"names": ["wiki.example.com"], "fingerprint": "leaf", "root_pem": "pem", "root_fingerprint": "root"}
    proxy = json.loads(json.dumps(_facts.to_dict(base("remote").facts["proxy1"])))
    both = {"tls.wiki1": {"confluence": given, "jira": given}, "facts.proxy1": {**proxy, "proxies": []}, **PROXY}

    def build(**changes):
        before = provisioned("both", set=both)
        after = base("both", set={**both, **changes})
        for host, facts in before.facts.items():
            after.facts[host].managed, after.facts[host].machine_id = copy.deepcopy(facts.managed), facts.machine_id
        return after

    return build


def removed(plan, host):
    return [item.key for item in plan.hosts[host].removals]


def test_a_certificate_that_a_site_outside_of_the_run_has_too_stays(one_name):
    plan_input = one_name(**{"vars.wiki1.rtc_state": {"confluence": "absent"}})
    plan_input.groups["jira"] = ["jira9"]
    for entry in plan_input.facts["proxy1"].managed.entries:  # Jira is on another host, which the limit leaves out
        entry.owners = ["jira9/jira"] if entry.owners == ["wiki1/jira"] else entry.owners
    plan = make_plan(plan_input)
    assert removed(plan, "proxy1") == ["vhost nginx rtc-confluence-wiki.example.com-9083"]
    assert actions(plan, "proxy1")[CERTIFICATE] == "stay"
    text = " ".join(report_text.render_plan(plan).split())
    assert "fullchain.pem stays: vhost nginx rtc-jira-wiki.example.com-9093 reads it" in text
    assert "to take away" in text and "nothing to do" not in text


def test_a_certificate_that_another_inventory_s_site_has_too_stays_at_an_uninstall(one_name):
    plan_input = one_name()
    for entry in plan_input.facts["proxy1"].managed.entries:
        entry.inventory = "other" if "jira" in entry.key else ""
    plan_input.absent = {"wiki1": ["confluence"], "proxy1": []}
    assert CERTIFICATE not in removed(make_plan(plan_input), "proxy1")


def test_a_certificate_that_somebody_s_own_virtual_host_reads_stays(one_name):
    plan_input = one_name(
        **{
            "vars.wiki1.rtc_state": "absent",
            "facts.proxy1.proxies": [
                {
                    "kind": "nginx",
                    "hosts": [{"file": "/etc/nginx/mine", "line": 3, "certificate": CERTIFICATE.split()[1]}],
                }
            ],
        }
    )
    plan = make_plan(plan_input)
    (work,) = [one for one in plan.hosts["proxy1"].work if one.action == "stay"]
    assert work.text.endswith("stays: /etc/nginx/mine:3 reads it")
    assert "file /etc/rtc-proxy/wiki.example.com/privkey.pem" in removed(plan, "proxy1")


def test_a_certificate_goes_with_the_last_site_that_has_it(one_name):
    assert CERTIFICATE in removed(make_plan(one_name(**{"vars.wiki1.rtc_state": "absent"})), "proxy1")


def test_a_site_that_is_stopped_keeps_what_it_shares_with_one_that_goes(one_name):
    """Of two that go, one is stopped: the certificate, an authority, what was opened and the releases stay."""
    plan_input = one_name()
    plan_input.absent = {"wiki1": ["confluence", "jira"], "proxy1": []}
    opened = {"kind": "setting", "owners": ["wiki1/confluence"], "site": "wiki.example.com:9083"}
    boolean = ManagedEntry(
        key="setting boolean", what={"name": "httpd_can_network_connect", "port": 0, "kind": "boolean"}, **opened
    )
    plan_input.facts["proxy1"].managed.entries.append(boolean)
    for entry in plan_input.facts["wiki1"].managed.entries:
        if entry.kind == "trust":
            entry.what.update(path="/common", wants=["root"], certificates=["root", entry.key], named=entry.key)
    plan = _facts.to_dict(make_plan(plan_input))
    whole = course.leave_out(plan, "proxy1", [])["removals"]
    assert {CERTIFICATE, "setting boolean"} <= {item["key"] for item in whole}

    left = {item["key"] for item in course.leave_out(plan, "proxy1", ["wiki.example.com:9093"])["removals"]}
    assert "vhost nginx rtc-confluence-wiki.example.com-9083" in left
    assert not {CERTIFICATE, "setting boolean"} & left
    work = course.leave_out(plan, "wiki1", ["wiki.example.com:9093"])
    (trust,) = work["removed_late"]["trust"]
    assert [item["sha256"] for item in trust["certificates"]] == [trust["named"]]
    (server,) = work["removed_early"]["instance"]
    assert server["instance"] == "confluence" and server["left_trees"] == []
    assert not any("@.service" in path for path in server["left_files"])


def test_what_a_site_makes_in_place_of_a_stopped_one_is_recorded_as_its_own(base, one_name):
    plan_input = one_name()
    for facts in plan_input.facts.values():
        facts.managed.entries = []
    plan = _facts.to_dict(make_plan(plan_input))
    work = course.leave_out(plan, "proxy1", ["wiki.example.com:9083"])
    found = {item["key"]: (item["site"], item["owners"]) for item in work["records"]}
    assert found[CERTIFICATE] == ("wiki.example.com:9093", ["wiki1/jira"])
    assert found["package nginx"] == ("wiki.example.com:9093", ["wiki1/jira"])
    assert "vhost nginx rtc-confluence-wiki.example.com-9083" not in found


@pytest.mark.parametrize("seen", [True, False], ids=["recorded for another inventory", "not in the record"])
def test_the_last_server_of_an_inventory_leaves_the_releases_to_that_of_another(provisioned, seen):
    plan_input = provisioned("both")
    known = plan_input.facts["wiki1"]
    for entry in known.managed.entries:
        entry.inventory = "other" if "jira" in entry.key else ""
    if not seen:
        known.managed.entries = [entry for entry in known.managed.entries if "jira" not in entry.key]
        known.rtc = [_facts.RtcInstance("deployed", 9093, instance="jira")]
    plan_input.absent = {"wiki1": ["confluence"]}
    (removal,) = [one for one in make_plan(plan_input).hosts["wiki1"].removals if one.kind == "instance"]
    assert removal.what["left_trees"] == []


def test_an_authority_that_an_application_outside_of_the_run_trusts_stays(provisioned):
    plan_input = provisioned("both", set={"vars.wiki1.rtc_tls_ca": "/pki/root.pem"})
    make = {"kind": "trust", "state": "as_written"}
    plan_input.facts["wiki1"].managed.entries = [
        ManagedEntry(key=f"trust /store {kind}", owners=[f"wiki1/{kind}"], inventory=inventory, what=what, **make)
        for kind, inventory, what in (
            ("confluence", "", {"path": "/store", "application": "confluence", "certificates": ["root", "mine"]}),
            ("jira", "other", {"path": "/store", "application": "jira", "wants": ["root"], "certificates": ["root"]}),
        )
    ]
    plan_input.absent = {"wiki1": ["confluence"]}
    (removal,) = make_plan(plan_input).hosts["wiki1"].removals
    assert removal.what["certificates"] == ["mine"]


def test_an_inventory_that_has_another_name_records_what_it_wants_as_its_own(provisioned):
    plan_input = provisioned("remote")
    plan_input.inventory = "new/hosts.yml"
    plan = make_plan(plan_input)
    assert {action for host in plan.hosts for action in actions(plan, host).values()} == {"nothing"}
    found = {item["key"]: item["inventory"] for host in plan.hosts.values() for item in host.records}
    assert found.keys() == {work.key for host in plan.hosts.values() for work in host.work}
    assert set(found.values()) == {"new/hosts.yml"}


def test_what_an_inventory_of_another_name_made_is_not_taken_away_without_a_word(provisioned):
    plan_input = provisioned("remote")
    plan_input.inventory, plan_input.absent = "new/hosts.yml", {"jira1": ["jira"], "proxy1": []}
    plan = make_plan(plan_input)
    assert not any(host.removals for host in plan.hosts.values())
    told = [(item.host, len(item.evidence)) for item in plan.findings if item.id == "RTC711"]
    assert told == [("jira1", 3), ("proxy1", 1)]


@pytest.mark.parametrize("owner", ["jira9/jira", "jira1/jira"])
def test_what_another_inventory_has_for_its_own_host_is_no_business_of_this_one(provisioned, owner):
    plan_input = provisioned("remote")
    plan_input.facts["proxy1"].managed.entries.append(
        ManagedEntry(key="vhost apache x", kind="vhost", owners=[owner], inventory="other", what={"kind": "apache"})
    )
    plan_input.facts["proxy1"].managed.entries[-1].inventory = "other"
    told = [item.id for item in make_plan(plan_input).findings if item.host == "proxy1" and item.id.startswith("RTC7")]
    assert told == (["RTC711"] if owner == "jira1/jira" else [])


def test_of_a_renamed_host_what_is_not_wanted_is_named(provisioned):
    plan_input = provisioned("remote")
    known = plan_input.facts["proxy1"].managed
    known.hosts = {"": "proxy0"}
    known.entries.append(
        ManagedEntry(key="vhost apache x", kind="vhost", owners=["jira1/jira"], what={"kind": "apache"})
    )
    (found,) = [item for item in make_plan(plan_input).findings if item.id == "RTC704"]
    assert found.evidence == ["not wanted, and not removed: vhost apache x"]
    assert "by hand" in found.remedy

    plan_input.absent = {"jira1": ["jira"], "proxy1": []}
    (found,) = [item for item in make_plan(plan_input).findings if item.id == "RTC704"]
    assert len(found.evidence) == len(known.entries)
    assert "under its new name first" in found.remedy


@pytest.mark.parametrize(
    ("base_name", "settings", "why"),
    [
        ("remote", {"proxy": "proxy1"}, "its proxy proxy1 was not seen"),
        ("remote", {}, "proxy1, which was not seen, may be its proxy; rtc_proxy says which is, or none"),
        ("remote", {"proxy": "none"}, ""),
        ("same_host", {}, ""),
    ],
)
def test_of_a_site_that_goes_nothing_goes_while_its_proxy_is_not_seen(provisioned, base_name, settings, why):
    plan_input = provisioned(base_name)
    (host, kind), name = next(
        ((host, kind), item.site)
        for host, facts in plan_input.facts.items()
        for item in facts.managed.entries
        for kind in ("confluence", "jira")
        if item.key == f"instance {kind}"
    )
    for option, value in {"state": "absent", **settings}.items():
        setattr(plan_input.settings[host][kind], option, value)
    plan_input.groups["rtc_proxies"] = ["proxy1", *plan_input.groups["rtc_proxies"]]
    plan_input.facts.pop("proxy1", None)
    plan_input.failed["proxy1"] = "timed out"
    plan = make_plan(plan_input)
    assert plan.stopped == ({name: why} if why else {})
    assert bool(course.leave_out(_facts.to_dict(plan), host, plan.stopped)["removals"]) is (not why)


@pytest.mark.parametrize("owner", ["jira1/jira", "gone/jira"])
def test_what_a_newer_version_made_is_left_alone_also_at_an_uninstall(provisioned, owner):
    plan_input = provisioned("remote")
    plan_input.facts["proxy1"].managed.entries.append(ManagedEntry(key="gateway x", kind="gateway", owners=[owner]))
    plan_input.absent = {"jira1": ["jira"], "proxy1": []}
    plan = make_plan(plan_input)
    assert "gateway x" not in removed(plan, "proxy1")
    assert list(plan.stopped) == ["jira.example.com:9093"]


# A node that is missing: the server name of both is that of server.xml, so that the record alone tells whose node it is.


@pytest.mark.parametrize("named", [True, False])
def test_a_site_is_left_alone_while_a_node_that_the_record_names_is_not_seen(provisioned, named):
    plan_input = provisioned("cluster")
    if named:
        for host in ("wiki1", "wiki2"):
            plan_input.settings[host]["confluence"].server_name = "wiki.example.com"
    del plan_input.facts["wiki2"]
    plan_input.failed["wiki2"] = "timed out"
    assert make_plan(plan_input).stopped == {"wiki.example.com:9083": "its node wiki2 was not seen"}


def test_a_site_is_left_alone_while_the_application_of_a_node_is_not_found(provisioned):
    plan_input = provisioned("cluster")
    plan_input.facts["wiki2"].applications = []
    assert make_plan(plan_input).stopped == {"wiki.example.com:9083": "RTC004 wiki2"}


def test_a_node_that_is_to_go_or_was_never_one_of_it_stops_nothing(provisioned):
    plan_input = provisioned("cluster")
    plan_input.facts["wiki2"].applications = []
    plan_input.settings["wiki2"]["confluence"].state = "absent"
    assert make_plan(plan_input).stopped == {}

    plan_input = provisioned("cluster")
    plan_input.groups["confluence"].append("wiki3")
    plan_input.failed["wiki3"] = "timed out"
    assert make_plan(plan_input).stopped == {}


def test_a_node_outside_of_the_run_is_known_although_the_inventory_has_another_name(provisioned):
    plan_input = provisioned("cluster")
    plan_input.inventory = "new/hosts.yml"
    del plan_input.facts["wiki2"]
    assert make_plan(plan_input).stopped == {"wiki.example.com:9083": "RTC465 proxy1"}


def test_a_site_is_left_alone_while_another_run_changes_its_former_proxy(provisioned):
    plan_input = provisioned("remote")
    plan_input.facts["proxy2"] = copy.deepcopy(plan_input.facts["proxy1"])
    plan_input.facts["proxy2"].hostname, plan_input.facts["proxy2"].managed = "proxy2", _facts.Managed()
    plan_input.groups["rtc_proxies"].append("proxy2")
    plan_input.settings["jira1"]["jira"].proxy = "proxy2"
    plan = make_plan(copy.deepcopy(plan_input))
    assert removed(plan, "proxy1") and not plan.stopped
    plan_input.facts["proxy1"].managed.lease_run = "20260101T000000Z-aaaa"
    assert make_plan(plan_input).stopped == {"jira.example.com:9093": "RTC705 proxy1"}
