# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.filter.services_after_undo import FilterModule, find_services_after_undo

TOPOLOGY = {
    "os_family": "debian",
    "rtc": [
        {"kind": "deployed", "instance": "confluence"},
        {"kind": "deployed", "instance": "jira"},
        {"kind": "builtin", "instance": ""},
        {"kind": "foreign", "instance": ""},
    ],
    "proxies": [
        {"kind": "nginx", "running": True},
        {"kind": "haproxy", "running": False},
        {"kind": "apache", "running": True},
    ],
    "applications": [
        {"kind": "confluence", "service": {"kind": "systemd", "name": "confluence"}},
        {"kind": "jira", "service": {"kind": "sysv", "name": "jira"}},
        {"kind": "jira", "service": None},
        {"kind": "jira", "service": {"kind": "none", "name": ""}},
    ],
}


def test_services_that_were_there_start_again():
    assert find_services_after_undo({"removed": []}, TOPOLOGY) == {
        "removed_rtc": [],
        "rtc": ["rtc-server@confluence.service", "rtc-server@jira.service"],
        "proxies": ["nginx", "apache2"],
        "applications": ["confluence", "jira"],
    }


def test_an_rtc_server_without_configuration_stops():
    found = find_services_after_undo({"removed": ["/etc/nginx/x.conf", "/etc/rtc-server/jira.toml"]}, TOPOLOGY)
    assert found["removed_rtc"] == ["rtc-server@jira.service"]
    assert found["rtc"] == ["rtc-server@confluence.service"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/rtc-server/jira/secret",
        "/etc/rtc-server/jira.toml.new",
        "/srv/etc/rtc-server/jira.toml",
        "/etc/rtc-server/jira/a.toml",
        "/etc/rtc-server/jiraXtoml",
    ],
)
def test_other_removed_files_stop_nothing(path):
    assert find_services_after_undo({"removed": [path]}, TOPOLOGY)["removed_rtc"] == []


@pytest.mark.parametrize(("family", "service"), [("debian", "apache2"), ("redhat", "httpd"), ("", "httpd")])
def test_apache_has_the_name_of_the_distribution(family, service):
    assert find_services_after_undo({}, {**TOPOLOGY, "os_family": family})["proxies"] == ["nginx", service]


def test_a_host_that_could_not_be_read():
    found = find_services_after_undo({"removed": ["/etc/rtc-server/jira.toml"]}, {})
    assert found == {"removed_rtc": ["rtc-server@jira.service"], "rtc": [], "proxies": [], "applications": []}


def test_filter_name():
    assert set(FilterModule().filters()) == {"services_after_undo"}
