# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed for proxies that are set by hand: whole texts, kept in ``data/instructions``, and what they must say.

``RTC_WRITE_GOLDEN=1`` writes the texts anew: read the difference before it is committed.
"""

from __future__ import annotations

import dataclasses
import os
import re

import pytest
import yaml

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.plugin_utils._findings import catalog, instructions
from ansible_collections.collab.rtc.plugins.plugin_utils._findings.instructions import Backend, Values
from ansible_collections.collab.rtc.plugins.plugin_utils._inventory.variables import UNMANAGED_PROXIES
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import decide, topology
from ansible_collections.collab.rtc.plugins.plugin_utils._report import text as report_text
from ansible_collections.collab.rtc.tests.unit import paths

GOLDEN = paths.DATA / "instructions"
STORE = {
    "rtc_server_name": "wiki.example.com",
    "rtc_store_url": "postgresql://rtc@db.example.com/rtc",
    "rtc_secret": "x",
    "rtc_store_password": "y",
}


def values_of(plan_input):
    (wanted,) = decide.decide(topology.classify(plan_input)).sites
    return instructions.collect_values(wanted)


@pytest.fixture
def cluster(base):
    """A function: kind of the proxy -> two nodes behind it, with a store or without."""

    def build(kind, **more):
        variables = {"rtc_server_name": "wiki.example.com", "rtc_proxy_kind": kind, **more}
        return base(
            "cluster",
            set={
                "groups": {"confluence": ["wiki1", "wiki2"], "rtc_proxies": []},
                "vars.wiki1": variables,
                "vars.wiki2": variables,
            },
            unset=["facts.proxy1"],
        )

    return build


def check_golden(name, text):
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RTC_WRITE_GOLDEN"):
        path.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == path.read_text(encoding="utf-8")


KINDS = [kind for kind in UNMANAGED_PROXIES if kind != "other"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_for_one_node_behind_tls(base, kind):
    plan_input = base("unlisted", set={"vars.wiki1.rtc_proxy_kind": kind})
    text = instructions.render(kind, values_of(plan_input))
    check_golden(f"{kind}-one", text)
    (finding,) = [item for item in make_plan(plan_input).findings if item.id in ("RTC412", "RTC487")]
    assert finding.remedy == text


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_for_several_nodes_with_a_store(cluster, kind):
    check_golden(f"{kind}-store", instructions.render(kind, values_of(cluster(kind, **STORE))))


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_for_several_nodes_of_which_one_serves(cluster, kind):
    check_golden(f"{kind}-standby", instructions.render(kind, values_of(cluster(kind))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tls_behind", [False, True])
def test_each_text_has_the_values_of_the_site(kind, tls_behind):
    nodes = [Backend("a", "10.1.1.1", "aaaa"), Backend("b", "2001:db8::2", "bbbb")]
    values = Values("rtc-jira-9444", "jira.example.com", 9444, True, tls_behind, nodes, [], "/readyz", "200", 60)
    text = instructions.render(kind, values)
    labels = () if kind in instructions.BY_ONE_NODE else (".aaaa", ".bbbb")
    for part in ("jira.example.com", "9444", "10.1.1.1", "2001:db8::2", "/readyz", *labels):
        assert part in text
    assert ("https://10.1.1.1:9444" if tls_behind else "http://10.1.1.1:9444") in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tls", [False, True])
def test_the_report_breaks_no_line_that_is_to_be_copied(kind, tls, cluster):
    values = values_of(cluster(kind, **STORE))
    text = instructions.render(kind, dataclasses.replace(values, tls=tls, tls_behind=tls))
    prose = re.compile(r"^(- )?[A-Z][a-z].*[.:]$|^- |^  the ")
    lines = [line for line in text.partition("\n\n")[2].splitlines() if not prose.match(line)]
    shown = "\n".join(report_text.render_finding(catalog.make("RTC487", "wiki1", "Text.", remedy=text)))
    for line in lines:
        assert f"{line}\n" in f"{shown}\n", line


def test_two_sites_have_names_of_their_own(cluster):
    """What has the name of the one would be overwritten by the other, or refused."""
    long = f"wiki.{'a' * 60}.example.com"
    names = {"wiki.example.com", "wiki.example.org", long, long + ".au"}
    found = {name: values_of(cluster("f5", **{**STORE, "rtc_server_name": name})).name for name in names}
    assert found["wiki.example.com"].startswith("rtc-confluence-9083-")
    assert len(set(found.values())) == len(names)
    for name in found.values():
        assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name)
        assert len(f"{name}-{'0' * 8}") <= 63, "Kubernetes takes no longer one for a Service"


def test_f5_looks_at_each_request(cluster):
    """By connection, as it does by itself, the first request would choose the node for all sessions that follow."""
    several = instructions.render("f5", values_of(cluster("f5", **STORE)))
    assert re.search(r"profiles add \{[^}]* oneconnect\b[^}]*\}", several)
    assert "oneconnect" not in instructions.render("f5", values_of(cluster("f5")))


@pytest.mark.parametrize("store", [True, False])
def test_who_ends_tls_at_the_nodes_checks_their_certificate_against_the_server_name(cluster, store):
    values = dataclasses.replace(values_of(cluster("f5", **(STORE if store else {}))), tls=True, tls_behind=True)
    f5 = instructions.render("f5", values)
    (profile,) = re.findall(
        r"profile server-ssl (\S+) .*\n.*ca-file.*require.*\n.*authenticate-name wiki.example.com", f5
    )
    assert re.search(rf"profiles add \{{[^}}]* {profile} [^}}]*\}}", f5)
    found = list_objects(values)
    policies = [item["spec"] for item in found if item["kind"] == "BackendTLSPolicy"]
    assert {item["validation"]["hostname"] for item in policies} == {"wiki.example.com"}
    services = {item["metadata"]["name"] for item in found if item["kind"] == "Service"}
    assert {target["name"] for item in policies for target in item["targetRefs"]} == services
    http = yaml.safe_load(instructions.render_traefik_dynamic(values))["http"]
    used = {one["loadBalancer"]["serversTransport"] for one in http["services"].values() if "loadBalancer" in one}
    assert {name: one["serverName"] for name, one in http["serversTransports"].items()} == dict.fromkeys(
        used, "wiki.example.com"
    )


def test_nodes_that_stand_by_do_so_one_after_the_other(cluster):
    values = values_of(cluster("f5"))
    nodes = [Backend(f"wiki{number}", f"10.0.0.{number}") for number in (2, 3, 4)]
    values = dataclasses.replace(values, standing_by=nodes)
    priorities = re.findall(r"10\.0\.0\.\d+:9083 \{ priority-group (\d+) \}", instructions.render("f5", values))
    assert len(priorities) == 4
    assert [int(one) for one in priorities] == sorted({int(one) for one in priorities}, reverse=True)
    services = yaml.safe_load(instructions.render_traefik_dynamic(values))["http"]["services"]
    order, name = [], values.name
    while "failover" in services[name]:
        step = services[name]["failover"]
        order.append(services[step["service"]])
        name = step["fallback"]
    urls = [[server["url"] for server in one["loadBalancer"]["servers"]] for one in [*order, services[name]]]
    assert urls == [[f"http://{item.address}:9083"] for item in [*values.serving, *nodes]]


def list_objects(values):
    return list(yaml.safe_load_all(instructions.render_manifest(values)))


def test_the_manifest_is_yaml_whose_parts_refer_to_one_another(cluster):
    values = values_of(cluster("kubernetes", **STORE))
    found = list_objects(values)
    assert all(item["apiVersion"] and item["kind"] and item["metadata"]["name"] for item in found)
    services = {item["metadata"]["name"]: item for item in found if item["kind"] == "Service"}
    slices = [item for item in found if item["kind"] == "EndpointSlice"]
    addresses = {
        item["metadata"]["labels"]["kubernetes.io/service-name"]: [
            one for end in item["endpoints"] for one in end["addresses"]
        ]
        for item in slices
    }
    assert set(addresses) == set(services)
    assert len({item["metadata"]["name"] for item in slices}) == len(slices) == 3
    (gateway,) = [item for item in found if item["kind"] == "Gateway"]
    (route,) = [item for item in found if item["kind"] == "HTTPRoute"]
    assert gateway["spec"]["listeners"] == [
        {"name": "rtc", "hostname": "wiki.example.com", "port": 9083, "protocol": "HTTP"}
    ]
    assert route["spec"]["parentRefs"] == [{"name": gateway["metadata"]["name"]}]
    matched = {}
    for rule in route["spec"]["rules"]:
        (backend,) = rule["backendRefs"]
        assert (backend["port"], rule["timeouts"]["request"]) == (9083, "0s")
        (match,) = rule["matches"]
        matched[match["queryParams"][0]["value"] if "queryParams" in match else "/"] = addresses[backend["name"]]
    assert matched.pop("/") == [item.address for item in values.serving]
    for item in values.serving:
        (pattern,) = [text for text in matched if re.fullmatch(text, f"some-id.{item.label}")]
        assert matched.pop(pattern) == [item.address]
    assert matched == {}


def test_the_manifest_of_one_node_behind_tls(base):
    found = list_objects(values_of(base("unlisted", set={"vars.wiki1.rtc_proxy_kind": "kubernetes"})))
    assert [item["kind"] for item in found] == ["Service", "EndpointSlice", "Gateway", "HTTPRoute"]
    (listener,) = found[2]["spec"]["listeners"]
    assert listener["protocol"] == "HTTPS"
    assert listener["tls"] == {"certificateRefs": [{"name": "SECRET"}]}


@pytest.mark.parametrize("store", [True, False])
def test_the_files_of_traefik_are_yaml_whose_parts_refer_to_one_another(cluster, store):
    values = values_of(cluster("traefik", **(STORE if store else {})))
    (entry,) = yaml.safe_load(instructions.render_traefik_static(values))["entryPoints"].items()
    assert entry[1]["address"] == ":9083"
    http = yaml.safe_load(instructions.render_traefik_dynamic(values))["http"]
    for router in http["routers"].values():
        assert router["entryPoints"] == [entry[0]]
        assert router["service"] in http["services"]
        assert "tls" not in router
    servers = {
        name: [one["url"] for one in item["loadBalancer"]["servers"]]
        for name, item in http["services"].items()
        if "loadBalancer" in item
    }
    urls = ["http://10.0.0.11:9083", "http://10.0.0.12:9083"]
    if store:
        assert sorted(servers.values()) == sorted([urls, urls[:1], urls[1:]])
    else:
        (failover,) = [item["failover"] for item in http["services"].values() if "failover" in item]
        assert (servers[failover["service"]], servers[failover["fallback"]]) == (urls[:1], urls[1:])


def test_a_slice_of_kubernetes_has_addresses_of_one_family(cluster):
    values = values_of(cluster("kubernetes", **STORE))
    first = dataclasses.replace(values.serving[0], address="2001:db8::11")
    values = dataclasses.replace(values, serving=[first, *values.serving[1:]])
    found = list(yaml.safe_load_all(instructions.render_manifest(values)))
    slices = [item for item in found if item["kind"] == "EndpointSlice"]
    services = {item["metadata"]["name"]: item["spec"] for item in found if item["kind"] == "Service"}
    assert len({item["metadata"]["name"] for item in slices}) == len(slices) == 4
    for item in slices:
        (address,) = [one for point in item["endpoints"] for one in point["addresses"]]
        assert item["addressType"] == ("IPv6" if ":" in address else "IPv4")
        service = services[item["metadata"]["labels"]["kubernetes.io/service-name"]]
        assert ":" not in address or service["ipFamilyPolicy"] == "PreferDualStack"


def test_a_session_behind_traefik_stays_with_a_node_that_takes_no_new_ones(cluster):
    values = values_of(cluster("traefik", **STORE))
    services = yaml.safe_load(instructions.render_traefik_dynamic(values))["http"]["services"]
    assert {name: "healthCheck" in item["loadBalancer"] for name, item in services.items()} == {
        values.name: True,
        **{f"{values.name}-{item.label}": False for item in values.serving},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_who_brings_another_node_in_is_said(cluster, kind):
    text = instructions.render(kind, values_of(cluster(kind)))
    assert ("only when its health check fails" in text) == (kind in ("f5", "traefik"))
    assert ("somebody puts one in the place of wiki1" in text) == (kind not in ("f5", "traefik"))
