# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.filter.sites_to_verify import FilterModule, list_sites_to_verify

CACERTS = "/opt/atlassian/confluence/jre/lib/security/cacerts"


def site(name: str, base_url: str, rtc_url: str, application: str = "confluence") -> dict:
    server_name = name.partition(":")[0]
    return {
        "name": name, "application": application, "nodes": ["wiki1"], "server_name": server_name, "base_url": base_url,
        "rtc_url": rtc_url, "proxy_host": "proxy1",
    }  # fmt: skip


WIKI = site("wiki.example.com:9083", "https://wiki.example.com/wiki", "https://wiki.example.com:9083")
JIRA = site("jira.example.com:9093", "http://jira.example.com:8080", "http://jira.example.com:9093", "jira")


def rtc(of: dict, service: str = "deployed") -> dict:
    return {"site": of["name"], "instance": of["application"], "service": service, "python": "/usr/bin/python3.11"}


def trust(of: dict, path: str = "/var/lib/rtc/store.jks") -> dict:
    return {"site": of["name"], "path": path, "certificates": [{"alias": "root", "pem": "PEM 1"}, {"pem": "PEM 2"}]}


def plan(*sites: dict, trust: tuple = (), rtc: tuple = ()) -> dict:
    return {"sites": list(sites), "hosts": {"wiki1": {"rtc": list(rtc), "trust": list(trust)}}}


def topology(*stores: tuple[str, str], leftover: str = "") -> dict:
    return {
        "applications": [
            {"kind": kind, "leftover": leftover, "java": {"truststore": {"path": path}}} for kind, path in stores
        ]
    }


def verify(planned: dict, found: dict | None = None, host: str = "wiki1") -> list[dict]:
    return list_sites_to_verify(planned, host, found or topology(("confluence", CACERTS)), "changeit")


def test_a_site_with_tls_and_an_authority():
    (found,) = verify(plan(WIKI, trust=(trust(WIKI),), rtc=(rtc(WIKI),)))
    assert found == {
        **WIKI,
        "deployed": True,
        "instance": "confluence",
        "python": "/usr/bin/python3.11",
        "origin": "https://wiki.example.com",
        "ca": ["PEM 1", "PEM 2"],
        "truststore": {"path": "/var/lib/rtc/store.jks", "password": "changeit"},
        "system_trust": False,
        "expected_request": {
            "scheme": "https", "serverName": "wiki.example.com", "serverPort": 443, "secure": True,
        },
    }  # fmt: skip


def test_a_site_without_tls():
    (found,) = verify(plan(JIRA, rtc=(rtc(JIRA),)), topology(("jira", CACERTS)))
    assert found["truststore"] == {}
    assert found["ca"] == []
    assert found["origin"] == "http://jira.example.com:8080"
    assert found["expected_request"] == {
        "scheme": "http", "serverName": "jira.example.com", "serverPort": 8080, "secure": False,
    }  # fmt: skip


def test_plain_http_has_port_80():
    plain = site("wiki.example.com:9083", "http://wiki.example.com", "http://wiki.example.com:9083")
    assert verify(plan(plain, rtc=(rtc(plain),)))[0]["expected_request"]["serverPort"] == 80


def test_the_store_of_the_jvm_counts_where_the_plan_imports_nothing():
    found = verify(plan(WIKI, rtc=(rtc(WIKI),)), topology(("jira", "/other"), ("confluence", CACERTS)))
    assert found[0]["truststore"] == {"path": CACERTS, "password": "changeit"}


def test_the_store_of_a_container_is_no_file_of_the_host():
    (found,) = verify(plan(WIKI, rtc=(rtc(WIKI),)), topology(("confluence", f"wiki:{CACERTS}")))
    assert (found["truststore"], found["system_trust"]) == ({}, True)
    (made,) = verify(plan(WIKI, trust=(trust(WIKI),), rtc=(rtc(WIKI),)), topology(("confluence", f"wiki:{CACERTS}")))
    assert (made["truststore"]["path"], made["system_trust"]) == ("/var/lib/rtc/store.jks", False)


@pytest.mark.parametrize(
    "found",
    [
        {"applications": []},
        {"applications": [{"kind": "confluence", "leftover": "", "java": None}]},
        {"applications": [{"kind": "confluence", "leftover": "", "java": {"truststore": None}}]},
        topology(("jira", CACERTS)),
        topology(("confluence", CACERTS), leftover="an earlier version"),
    ],
)
def test_no_store_is_known(found):
    (described,) = verify(plan(WIKI, rtc=(rtc(WIKI),)), found)
    assert (described["truststore"], described["system_trust"]) == ({}, False)  # the check fails, and says why


def test_the_service_of_the_add_on():
    assert verify(plan(WIKI, rtc=(rtc(WIKI, "builtin"),)))[0]["deployed"] is False


def test_each_site_of_the_host_has_its_own():
    planned = plan(WIKI, JIRA, trust=(trust(WIKI),), rtc=(rtc(JIRA), rtc(WIKI)))
    found = verify(planned)
    assert [(one["name"], one["instance"], len(one["ca"])) for one in found] == [
        (WIKI["name"], "confluence", 2),
        (JIRA["name"], "jira", 0),
    ]


def test_sites_of_other_hosts_are_left_out():
    assert verify(plan(WIKI, rtc=(rtc(WIKI),)), host="wiki2") == []


def test_filter_name():
    assert set(FilterModule().filters()) == {"sites_to_verify"}
