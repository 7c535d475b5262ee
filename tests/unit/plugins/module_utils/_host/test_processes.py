# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes and listening sockets."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import processes


def test_listeners(host, rootfs):
    host.process(70, ["/usr/lib/jvm/bin/java"], inodes=[900, 902]).process(80, ["nginx: master"], uid=0, inodes=[901])
    host.process(81, ["nginx: worker"], uid=33, inodes=[901])
    host.listen("0100007F", 8090, 900).listen("00000000", 9083, 901, uid=0)
    rows = [
        "  0: 00000000000000000000000000000000:1F9A 0:0 0A 0:0 00:0 0 1001 0 902 1 0",
        "  1: 0000000000000000FFFF00000100007F:1F40 0:0 0A 0:0 00:0 0 1001 0 902 1 0",
        "  2: B80D0120000000000000000007000000:1F41 0:0 01 0:0 00:0 0 1001 0 902 1 0",  # established, not listening
    ]
    host.write("/proc/net/tcp6", "\n".join(["head", *rows]))
    found = processes.listeners(rootfs, processes.processes(rootfs))
    assert [(item.address, item.port, item.pid, item.user) for item in found] == [
        ("127.0.0.1", 8000, 70, "confluence"),
        ("127.0.0.1", 8090, 70, "confluence"),
        ("::", 8090, 70, "confluence"),
        ("0.0.0.0", 9083, 80, "root"),
    ]
    assert found[0].process == "java"
    assert not rootfs.unreadable


def test_listener_of_a_process_whose_files_are_hidden(host, rootfs):
    host.process(70, ["java"], uid=1001).process(71, ["java"], uid=1002).process(72, ["java"], uid=1002)
    host.listen("00000000", 8090, 900, uid=1001).listen("00000000", 8080, 901, uid=1002)
    host.listen("00000000", 22, 902, uid=0)
    found = processes.listeners(rootfs, processes.processes(rootfs))
    assert [(item.port, item.pid, item.user) for item in found] == [
        (22, 0, "root"),
        (8080, 0, "jira"),
        (8090, 70, "confluence"),
    ]
    assert "port 22, 8080" in rootfs.unreadable["processes of other users"]


def test_listener_that_systemd_holds_for_a_service(host, rootfs):
    host.process(1, ["/sbin/init"], uid=0, inodes=[900]).process(60, ["sshd"], uid=0, inodes=[900])
    host.listen("00000000", 22, 900, uid=0)
    assert [item.pid for item in processes.listeners(rootfs, processes.processes(rootfs))] == [60]


UNITS = [
    ("0::/system.slice/confluence.service", "confluence.service"),
    ("12:cpu:/a.service\n1:name=systemd:/libpod/abc/system.slice/jira.service\n0::/", "jira.service"),
    ("0::/system.slice/system-rtc.slice/rtc-server@jira.service", "rtc-server@jira.service"),
    ("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service", "user@0.service"),  # a user's own
    ("0::/user.slice/user-0.slice/session-3.scope", ""),
    ("", ""),
]


@pytest.mark.parametrize(("groups", "expected"), UNITS)
def test_unit_of_a_process(host, rootfs, groups, expected):
    host.write("/proc/70/cgroup", groups)
    assert processes.Proc(rootfs, 70).unit == expected


def test_process_that_has_ended(rootfs):
    proc = processes.Proc(rootfs, 4711)
    assert (proc.args, proc.name, proc.uid, proc.user, proc.exe, proc.started, proc.unit) == (
        [],
        "",
        -1,
        "",
        "",
        0.0,
        "",
    )
    assert proc.environment == {}


def test_process_in_a_container_means_other_files(host, rootfs):
    host.process(70, ["java"]).write("/opt/x")
    assert processes.Proc(rootfs, 70).sees("/opt/x")
    host.contain(70)
    assert not processes.Proc(rootfs, 70).sees("/opt/x")
    host.write("/proc/70/root/opt/x")
    assert not processes.Proc(rootfs, 70).sees("/opt/x")


def test_process_of_a_container_by_its_control_group_where_its_root_may_not_be_seen(host, rootfs, monkeypatch):
    really = os.stat

    def refuse(path, **more):
        if "/proc/70/root" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return really(path, **more)

    host.process(70, ["java"], group="/machine.slice/libpod-" + "ab" * 32 + ".scope").write("/opt/x")
    monkeypatch.setattr(os, "stat", refuse)
    assert not processes.Proc(rootfs, 70).sees("/opt/x")
    host.process(1, ["init"], group="/machine.slice/libpod-" + "ab" * 32 + ".scope/init.scope")  # we are in it, too
    assert processes.Proc(rootfs, 70).sees("/opt/x")
