# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of containers: what a run does on the host, and the text that it prints for the container."""

from __future__ import annotations

import shlex

import pytest
import yaml

from ansible_collections.collab.rtc.plugins.action.plan import make_plan
from ansible_collections.collab.rtc.plugins.plugin_utils._report import json_file, text

APPLICATION = "facts.wiki1.applications.0"
CONTAINER = f"{APPLICATION}.container"
CACERTS = {"path": "wiki:/opt/java/openjdk/lib/security/cacerts", "source": "cacerts", "fingerprints": ["aa"]}
BARE = {
    f"{CONTAINER}.environment": {},
    f"{CONTAINER}.mounts": [],
    f"{CONTAINER}.ports": [{"address": "0.0.0.0", "port": 8090, "container_port": 8090}],
    f"{APPLICATION}.java.truststore": CACERTS,
    f"{APPLICATION}.server_xml.connectors.0": {"line": 10, "port": 8090, "user": True, "attributes": {"proxyName": ""}},
}


class Compose(yaml.SafeLoader):
    """YAML with the tags of Compose."""


Compose.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def service_of(plan, name="confluence"):
    return yaml.load(plan.hosts["wiki1"].containers[0].compose, Compose)["services"][name]


def test_nothing_in_the_container_is_touched(base):
    host = make_plan(base("contained", set=BARE)).hosts["wiki1"]
    assert (host.connectors, host.trust_options) == ([], [])
    assert [item.path for item in host.trust] == ["/etc/rtc-truststore/confluence/cacerts"]
    trust = host.trust[0]
    assert (trust.copy_from, trust.copy_process) == (
        "/opt/java/openjdk/lib/security/cacerts",
        {"pid": 700, "started": 1700001000},
    )
    assert [item.policy for item in host.restarts] == ["never"]


def test_settings_for_compose(base):
    assert service_of(make_plan(base("contained", set=BARE))) == {
        "environment": {
            "ATL_PROXY_NAME": "wiki.example.com",
            "ATL_PROXY_PORT": "443",
            "ATL_TOMCAT_SCHEME": "https",
            "ATL_TOMCAT_SECURE": "true",
            "JVM_SUPPORT_RECOMMENDED_ARGS": "-Djavax.net.ssl.trustStore=/etc/rtc-truststore/cacerts",
        },
        "ports": ["127.0.0.1:8090:8090"],
        "volumes": ["/etc/rtc-truststore/confluence:/etc/rtc-truststore:ro"],
    }


def test_settings_as_options_are_the_same(base):
    plan = make_plan(base("contained", set=BARE))
    words = shlex.split(plan.hosts["wiki1"].containers[0].options.replace("\\\n", " "))
    service = service_of(plan)
    pairs = list(zip(words[::2], words[1::2]))
    assert [value for name, value in pairs if name == "--env"] == [
        f"{key}={value}" for key, value in service["environment"].items()
    ]
    assert [value for name, value in pairs if name == "--publish"] == service["ports"]
    assert [value for name, value in pairs if name == "--volume"] == service["volumes"]


def test_what_the_settings_make_is_in_force(base):
    """What a container has after its administrator took the settings over: the base "contained" is that."""
    wanted = service_of(make_plan(base("contained", set=BARE)))
    plan_input = base("contained")
    container = plan_input.facts["wiki1"].applications[0].container
    assert container.environment == wanted["environment"]
    plan = make_plan(plan_input)
    assert plan.hosts["wiki1"].containers[0].missing == []
    assert "are in force" in text.render_plan(plan)


def test_other_ports_and_options_of_the_container_stay(base):
    ports = [
        {"address": "0.0.0.0", "port": 80, "container_port": 8090},
        {"address": "::", "port": 80, "container_port": 8090},
        {"address": "0.0.0.0", "port": 8091, "container_port": 8091},
    ]
    environment = {"JVM_SUPPORT_RECOMMENDED_ARGS": "-Xmx2g -Djavax.net.ssl.trustStore=/old -Da=$b"}
    service = service_of(
        make_plan(base("contained", set={**BARE, f"{CONTAINER}.ports": ports, f"{CONTAINER}.environment": environment}))
    )
    assert service["ports"] == ["8091:8091", "127.0.0.1:80:8090"]
    options = service["environment"]["JVM_SUPPORT_RECOMMENDED_ARGS"]
    assert options == "-Xmx2g -Da=$$b -Djavax.net.ssl.trustStore=/etc/rtc-truststore/cacerts"


def test_a_value_with_a_secret_is_not_replaced(base):
    environment = {"JVM_SUPPORT_RECOMMENDED_ARGS": "-Dhttp.proxyPassword=********"}
    service = service_of(make_plan(base("contained", set={**BARE, f"{CONTAINER}.environment": environment})))
    assert "JVM_SUPPORT_RECOMMENDED_ARGS" not in service["environment"]
    assert service["environment"]["JAVA_TOOL_OPTIONS"].endswith("trustStore=/etc/rtc-truststore/cacerts")


@pytest.mark.parametrize(
    ("files", "command", "place"),
    [
        (["/srv/site/compose.yml"], "cd /srv/site && docker compose up -d", "beside /srv/site/compose.yml"),
        (
            ["/srv/site/compose.yml", "/srv/site/compose.override.yml"],
            "cd /srv/site && docker compose up -d",
            "into /srv/site/compose.override.yml",
        ),
        (
            ["/srv/site/prod.yml"],
            "cd /srv/site && docker compose -f /srv/site/prod.yml -f compose.override.yml up -d",
            "beside /srv/site/prod.yml",
        ),
    ],
)
def test_the_command_and_the_place_of_the_file(base, files, command, place):
    plan = make_plan(base("contained", set={**BARE, f"{CONTAINER}.compose_files": files}))
    item = plan.hosts["wiki1"].containers[0]
    assert item.command == command
    assert place in item.compose


def test_context_path_and_port_are_kept(base):
    changes = {
        f"{APPLICATION}.server_xml.context_path": "/wiki",
        f"{APPLICATION}.server_xml.connectors.0.port": 8888,
        f"{CONTAINER}.ports.0.container_port": 8888,
    }
    plan = make_plan(base("contained", set=changes))
    environment = service_of(plan)["environment"]
    assert (environment["ATL_TOMCAT_CONTEXTPATH"], environment["ATL_TOMCAT_PORT"]) == ("/wiki", "8888")
    (finding,) = [item for item in plan.findings if item.id == "RTC232"]
    assert len(finding.evidence) == 2


def test_selinux_needs_another_label(base):
    plan = make_plan(base("contained", set={**BARE, "facts.wiki1.selinux": "enforcing"}))
    assert service_of(plan)["volumes"] == ["/etc/rtc-truststore/confluence:/etc/rtc-truststore:ro,z"]


def test_users_of_a_container_without_proxy_come_by_the_published_port(base):
    ports = [{"address": "0.0.0.0", "port": 80, "container_port": 8090}]
    changes = {
        f"{CONTAINER}.ports": ports,
        "facts.wiki1.proxies": [],
        "vars.wiki1.rtc_proxy": "none",
        f"{APPLICATION}.server_xml.connectors.0": {"line": 10, "port": 8090, "user": True, "attributes": {}},
    }
    (site,) = make_plan(base("contained", set=changes)).sites
    assert (site.topology, site.base_url) == ("T1", "http://wiki.example.com")


def test_the_address_of_a_container_means_another_one_on_other_hosts(base):
    """172.18.0.3 of a proxy's own bridge is not our container."""
    changes = {f"{CONTAINER}.ports": [], "facts.wiki1.proxies.0.hosts.0.routes.0.upstreams.0.host": "172.18.0.3"}
    plan_input = base("contained", set=changes)
    assert [item.topology for item in make_plan(plan_input).sites] == ["T6"]
    facts = plan_input.facts["wiki1"]
    other = base("contained", set=changes).facts["wiki1"]
    other.applications, other.hostname, other.addresses = [], "proxy1", ["10.0.0.9"]
    facts.proxies = []
    plan_input.facts["proxy1"] = other
    assert "proxy1: /etc/nginx/conf.d/wiki.conf:8" not in " ".join(make_plan(plan_input).sites[0].evidence)


def test_settings_are_written_beside_the_report(base, tmp_path):
    path = str(tmp_path / "report.json")
    plan = make_plan(base("contained", set=BARE))
    written = json_file.write_settings(path, plan, "report", "rtc_report_file")
    item = plan.hosts["wiki1"].containers[0]
    files = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert files == {
        "wiki1-confluence.compose.override.yml": item.compose,
        "wiki1-confluence.run-options.txt": item.options,
    }
    assert sorted(written) == sorted(str(tmp_path / name) for name in files)
    json_file.write_settings(path, make_plan(base("contained")), "report", "rtc_report_file")
    assert list(tmp_path.iterdir()) == []  # in force: what is left would only mislead
    shown = text.render_plan(plan)
    assert all(line in shown for line in item.compose.splitlines())


def test_a_container_is_restarted_by_the_command_of_the_inventory(base):
    plan = make_plan(base("contained", set={"vars.wiki1.rtc_application_restart": ["docker", "restart", "wiki"]}))
    assert [(item.policy, item.command) for item in plan.hosts["wiki1"].restarts] == [
        ("when_needed", ["docker", "restart", "wiki"])
    ]


def test_a_directory_in_a_container_can_be_named(base):
    plan_input = base("contained", set={"vars.wiki1.rtc_install_dir": "wiki:/opt/atlassian/confluence"})
    assert not plan_input.problems.get("wiki1")
    assert [item.topology for item in make_plan(plan_input).sites] == ["T6"]
