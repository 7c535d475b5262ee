# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of a host: RTC services, names, proxies, what could not be read."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _facts, _ownership
from ansible_collections.collab.rtc.plugins.module_utils._detect.gather import gather
from ansible_collections.collab.rtc.plugins.module_utils._host import processes, system
from ansible_collections.collab.rtc.plugins.module_utils._host.system import Lookups
from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry

CONFLUENCE = "/opt/atlassian/confluence"
OURS = "/system.slice/system-rtc\\x2dserver.slice/rtc-server@confluence.service"


def facts_of(host, **options):
    return gather(root=host.root, lstat=host.lstat, lookup=lambda name: ["192.0.2.7"], **options)


def deployed(host, port=9083):
    """Our service, installed and running as process 900 of user 61184, on the loopback address."""
    host.write("/etc/rtc-server/confluence.toml", f'address = "127.0.0.1"\nport = {port}\n[limits]\nport = 1\n')
    host.write("/opt/rtc-server/releases/0.1.0-abc/x").link("/opt/rtc-server/current", "releases/0.1.0-abc")
    host.process(900, ["/usr/bin/python3", "-I", "rtc-server"], uid=61184, group=OURS, inodes=[77])
    return host.listen("0100007F", port, 77, uid=61184)


def rtc(facts):
    return [(item.kind, item.port, item.address, item.active, item.pid) for item in facts.rtc]


def test_our_service(host):
    facts = facts_of(deployed(host))
    assert rtc(facts) == [("deployed", 9083, "127.0.0.1", True, 900)]
    ours = facts.rtc[0]
    assert (ours.instance, ours.unit, ours.release) == (
        "confluence",
        "rtc-server@confluence.service",
        "0.1.0-abc",
    )


def test_our_service_on_another_port(host):
    assert rtc(facts_of(deployed(host, 9999))) == [("deployed", 9999, "127.0.0.1", True, 900)]


def test_our_service_stopped(host):
    host.write("/etc/rtc-server/confluence.toml", "port = 9083\n")
    facts = facts_of(host)
    assert rtc(facts) == [("deployed", 9083, "", False, 0)]
    assert facts.rtc[0].release == ""


@pytest.mark.parametrize(
    ("socket", "found"),
    [
        ("active", ("deployed", 9083, "127.0.0.1", False, 1)),
        ("failed", ("foreign", 9083, "127.0.0.1", True, 1)),  # another socket unit has it
    ],
)
def test_our_service_stopped_while_systemd_has_its_port(host, socket, found):
    host.write("/etc/rtc-server/confluence.toml", "port = 9083\n")
    host.process(1, ["/sbin/init"], uid=0, inodes=[77]).listen("0100007F", 9083, 77, uid=0)
    asked = "Id=rtc-server@confluence.service\nActiveState=failed\n\nId=rtc-server@confluence.socket\nActiveState="
    assert found in rtc(facts_of(host, runner=lambda *_: asked + socket))


def test_our_service_has_the_port_that_systemd_has_too(host):
    deployed(host).process(1, ["/sbin/init"], uid=0, inodes=[77])
    assert rtc(facts_of(host)) == [("deployed", 9083, "127.0.0.1", True, 900)]


def test_our_service_and_the_proxy_before_it(host):
    deployed(host).process(80, ["nginx: master"], uid=0, inodes=[5]).write("/proc/80/comm", "nginx\n")
    host.listen("070200C0", 9083, 5, uid=0)
    facts = facts_of(host)
    assert rtc(facts) == [("deployed", 9083, "127.0.0.1", True, 900)]
    assert len(facts.listeners) == 2


def test_the_service_of_the_add_on(host):
    host.installed_confluence().jvm(700, CONFLUENCE, unit="confluence.service", inodes=[5, 6])
    host.listen("00000000", 8090, 5).listen("00000000", 9083, 6)
    assert rtc(facts_of(host)) == [("builtin", 9083, "0.0.0.0", True, 700)]


def test_the_service_of_the_add_on_where_files_of_processes_are_hidden(host):
    host.installed_confluence().jvm(700, CONFLUENCE).process(701, ["java", "-jar", "synchrony.jar"])
    host.listen("00000000", 9083, 6)
    assert rtc(facts_of(host)) == [("builtin", 9083, "0.0.0.0", True, 700)]


def test_a_proxy_whose_process_is_hidden_is_not_foreign(host, monkeypatch):
    listen = _facts.ProxyListen("*", 9083)
    proxy = _facts.Proxy("nginx", running=True, hosts=[_facts.VirtualHost(listens=[listen])])
    monkeypatch.setattr(registry, "discover", lambda root, note: [proxy])
    host.listen("00000000", 9083, 5, uid=0)
    assert rtc(facts_of(host)) == []
    proxy.running = False
    assert rtc(facts_of(host)) == [("foreign", 9083, "0.0.0.0", True, 0)]


def test_something_foreign(host):
    host.process(40, ["/usr/bin/prometheus"], uid=1002, inodes=[6]).listen("00000000", 9093, 6, uid=1002)
    facts = facts_of(host)
    assert rtc(facts) == [("foreign", 9093, "0.0.0.0", True, 40)]
    assert facts.rtc[0].process == "prometheus"


def test_another_port_to_look_at(host):
    host.process(40, ["/usr/bin/other"], uid=1002, inodes=[6]).listen("00000000", 9500, 6, uid=1002)
    assert rtc(facts_of(host)) == []
    assert rtc(facts_of(host, rtc_ports=[9500])) == [("foreign", 9500, "0.0.0.0", True, 40)]


def test_names(host):
    host.installed_confluence()
    assert facts_of(host, names=["rtc.example.org"]).resolves == {
        "rtc.example.org": ["192.0.2.7"],
        "wiki.example.org": ["192.0.2.7"],
    }


def test_names_that_take_too_long_are_noted(host, monkeypatch):
    monkeypatch.setattr(Lookups, "results", lambda self, timeout: ({}, list(self.threads)))
    facts = facts_of(host, names=["slow.example"], timeout=2.5)
    assert [(item.what, item.reason) for item in facts.unreadable] == [
        ("name slow.example", "no answer within 2.5 seconds")
    ]


def test_proxies(host):
    host.write("/usr/sbin/nginx", "", 0o755).write(
        "/etc/nginx/nginx.conf",
        "events {}\nhttp {\n server {\n  listen 9083;\n  location / { proxy_pass http://app.example:9083; }\n }\n}\n",
    )
    facts = facts_of(host)
    assert [proxy.kind for proxy in facts.proxies] == ["nginx"]
    assert facts.resolves == {"app.example": ["192.0.2.7"]}  # the planner finds the application's host by it


def test_json_and_back(host):
    host.installed_confluence().jira().jvm(700, CONFLUENCE, unit="confluence.service")
    facts = facts_of(deployed(host))
    data = _facts.to_dict(facts)
    assert _facts.from_dict(_facts.HostFacts, data) == facts


def test_unreadable_files_are_reported(host, monkeypatch):
    host.installed_confluence()
    really = os.open

    def refuse(path, *rest, **more):
        if os.path.basename(path) == "server.xml":
            raise PermissionError(13, "Permission denied", path)
        return really(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    facts = facts_of(host)
    (found,) = facts.applications
    assert "become" in found.server_xml.error
    assert found.version == "8.5.3"
    assert CONFLUENCE + "/conf/server.xml" in [item.what for item in facts.unreadable]


def test_states_of_units_asked_of_systemd(host):
    host.installed_confluence().unit("confluence.service", f"ExecStart={CONFLUENCE}/bin/start-confluence.sh")
    asked = []

    def runner(command, timeout):
        asked.append(command)
        return "Id=confluence.service\nActiveState=active\n\nId=rtc-server@x.service\nActiveState=failed\n"

    host.write("/etc/rtc-server/x.toml", "port = 9083")
    facts = facts_of(host, runner=runner)
    assert facts.applications[0].service.active
    assert not facts.rtc[0].active
    units = ["confluence.service", "rtc-server@x.service", "rtc-server@x.socket"]
    assert len(asked) == 1 and asked[0][-3:] == units


@pytest.mark.parametrize(("user", "what"), [(0, "processes"), (4000, "processes of other users")])
def test_processes_that_are_not_shown(monkeypatch, user, what):
    """hidepid, or /proc is not mounted."""
    monkeypatch.setattr(processes, "processes", lambda rootfs: {})
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(registry, "discover", lambda root, note: [])
    facts = gather(lookup=lambda name: [], runner=lambda command, timeout: None)
    assert what in [item.what for item in facts.unreadable]


def test_units_are_asked_of_systemctl_only_where_it_is_root_s(monkeypatch):
    noted = []
    monkeypatch.setattr(_ownership, "check_program", _refuse)
    assert system.run(["sh", "-c", "echo x"], 5.0, lambda what, reason: noted.append(what)) is None
    assert noted == ["what sh says"]


def _refuse(path):
    raise _ownership.UnsafeProgramError(f"{path} is not run as root")
