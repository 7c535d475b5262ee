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
        {"kind": "nginx", "running": True, "config": "/etc/nginx/nginx.conf"},
        {"kind": "haproxy", "running": False, "config": "/usr/local/etc/haproxy.cfg"},
        {"kind": "apache", "running": True, "config": "/etc/apache2/apache2.conf"},
    ],
    "applications": [
        {
            "kind": "confluence",
            "install_dir": "/opt/atlassian/confluence",
            "aliases": ["/opt/confluence"],
            "home": "/var/confluence",
            "service": {"kind": "systemd", "name": "confluence"},
            "java": {
                "home": "/usr/lib/jvm/17",
                "truststore": {"path": "/usr/lib/jvm/17/lib/security/cacerts", "real_path": "/etc/ssl/cacerts"},
                "option": {"managed_store": "/var/stores/confluence.jks"},
            },
        },
        {
            "kind": "jira",
            "install_dir": "/opt/atlassian/jira",
            "aliases": [],
            "home": "",
            "service": {"kind": "sysv", "name": "jira"},
            "java": None,
        },
        {
            "kind": "confluence",
            "install_dir": "wiki:/opt/wiki",
            "aliases": ["/opt/wiki"],
            "home": "wiki:/var/wiki",
            "service": {"kind": "none", "name": ""},
            "java": {"home": "wiki:/opt/java", "truststore": {"path": "wiki:/etc/rtc-truststore/cacerts"}},
            "container": {"mounts": [{"source": "/etc/rtc-truststore/confluence", "target": "/etc/rtc-truststore"}]},
        },
        {"kind": "jira", "install_dir": "/srv/jira", "aliases": [], "home": "", "service": None, "java": None},
    ],
}
NOTHING = {
    "removed_rtc": [],
    "rtc": [],
    "sockets": [],
    "proxies": [],
    "stopped_proxies": [],
    "applications": [],
    "commands": [],
    "manual": [],
    "left": [],
    "unknown": [],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/etc/rtc-server/confluence.toml", {"rtc": ["rtc-server@confluence.service"]}),
        ("/etc/rtc-server/jira/secret", {"rtc": ["rtc-server@jira.service"]}),
        ("/etc/systemd/system/rtc-server@jira.service.d/tls.conf", {"rtc": ["rtc-server@jira.service"]}),
        ("/etc/systemd/system/rtc-server@jira.service.d/socket.conf", {"rtc": ["rtc-server@jira.service"]}),
        (
            "/etc/systemd/system/rtc-server@jira.socket",
            {"rtc": ["rtc-server@jira.service"], "sockets": ["rtc-server@jira.service"]},
        ),
        (
            "/etc/systemd/system/rtc-server@.service",
            {"rtc": ["rtc-server@confluence.service", "rtc-server@jira.service"]},
        ),
        ("/opt/rtc-server/current", {"rtc": ["rtc-server@confluence.service", "rtc-server@jira.service"]}),
        ("/etc/rtc-server/away.toml", {"rtc": ["rtc-server@away.service"]}),  # given back: it was taken away
        ("/var/lib/collab-rtc/managed.json", {}),
        ("/etc/nginx/sites-enabled/rtc", {"proxies": ["nginx"]}),
        ("/etc/apache2/sites-enabled/rtc.conf", {"proxies": ["apache2"]}),
        ("/usr/local/etc/rtc.cfg", {"stopped_proxies": ["haproxy"]}),
        ("/etc/rtc-proxy/wiki/privkey.pem", {"proxies": ["nginx", "apache2"], "stopped_proxies": ["haproxy"]}),
        ("/opt/atlassian/confluence/conf/server.xml", {"applications": ["confluence"]}),
        ("/opt/confluence/conf/server.xml", {"applications": ["confluence"]}),
        ("/usr/lib/jvm/17/lib/security/cacerts", {"applications": ["confluence"]}),
        ("/etc/ssl/cacerts", {"applications": ["confluence"]}),
        ("/var/stores/confluence.jks", {"applications": ["confluence"]}),
        ("/opt/atlassian/jira/bin/setenv.sh", {"applications": ["jira"]}),
        ("/opt/atlassian/jira-old/bin/setenv.sh", {"unknown": ["/opt/atlassian/jira-old/bin/setenv.sh"]}),
        ("/srv/jira/conf/server.xml", {"manual": ["/srv/jira"]}),
        ("/etc/rtc-truststore/confluence/cacerts", {"manual": ["wiki:/opt/wiki"]}),
        ("/opt/wiki/conf/server.xml", {"unknown": ["/opt/wiki/conf/server.xml"]}),  # of the host
        ("/var/other/file", {"unknown": ["/var/other/file"]}),
    ],
)
def test_only_those_who_read_the_file(path, found):
    assert find_services_after_undo({"paths": [path], "removed": []}, TOPOLOGY) == {**NOTHING, **found}


def test_nothing_was_given_back():
    assert find_services_after_undo({"paths": [], "removed": []}, TOPOLOGY) == NOTHING
    assert find_services_after_undo({"msg": "it failed"}, TOPOLOGY) == NOTHING


def test_an_rtc_server_without_configuration_stops_and_does_not_restart():
    paths = ["/etc/rtc-server/jira.toml", "/etc/rtc-server/jira/secret", "/opt/rtc-server/current"]
    found = find_services_after_undo({"paths": paths, "removed": paths[:2]}, TOPOLOGY)
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
    assert find_services_after_undo({"paths": [path], "removed": [path]}, TOPOLOGY)["removed_rtc"] == []


@pytest.mark.parametrize(("family", "service"), [("debian", "apache2"), ("redhat", "httpd"), ("", "httpd")])
def test_apache_has_the_name_of_the_distribution(family, service):
    found = find_services_after_undo({"paths": ["/etc/rtc-proxy/x"]}, {**TOPOLOGY, "os_family": family})
    assert found["proxies"] == ["nginx", service]


def test_a_host_that_could_not_be_read():
    path = "/etc/rtc-server/jira.toml"
    found = find_services_after_undo({"paths": [path], "removed": [path]}, {})
    assert found == {**NOTHING, "removed_rtc": ["rtc-server@jira.service"]}


def test_filter_name():
    assert set(FilterModule().filters()) == {"services_after_undo"}


COMMAND = ["supervisorctl", "restart", "jira"]


@pytest.mark.parametrize("restart", [COMMAND, {"jira": COMMAND}])
def test_the_command_of_the_inventory_takes_the_place_of_a_service(restart):
    undone = {"paths": ["/opt/atlassian/jira/conf/server.xml", "/srv/jira/conf/server.xml"]}
    assert find_services_after_undo(undone, TOPOLOGY, restart) == {**NOTHING, "commands": [COMMAND]}


def test_a_command_of_another_application_restarts_nothing_here():
    undone = {"paths": ["/opt/atlassian/jira/conf/server.xml"]}
    found = find_services_after_undo(undone, TOPOLOGY, {"confluence": COMMAND})
    assert found == {**NOTHING, "applications": ["jira"]}


@pytest.mark.parametrize(
    ("policy", "restarted", "left"),
    [
        ("never", [], ["confluence", "jira"]),
        ("when_needed", ["confluence", "jira"], []),
        ("When-needed", ["confluence", "jira"], []),
        ({"confluence": "never"}, ["jira"], ["confluence"]),
        ({"confluence": "Never", "jira": "when_needed"}, ["jira"], ["confluence"]),
    ],
)
def test_who_may_be_restarted_may_have_a_value_for_each_application(policy, restarted, left):
    paths = ["/opt/atlassian/confluence/conf/server.xml", "/opt/atlassian/jira/conf/server.xml"]
    found = find_services_after_undo({"paths": paths}, TOPOLOGY, (), policy)
    assert (found["applications"], found["left"], found["unknown"]) == (restarted, left, [])
