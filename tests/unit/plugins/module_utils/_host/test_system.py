# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import threading

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import processes, system
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.tests.unit.data.installation.hosts import Host

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
Local:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
     |-- 10.1.2.3
        /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.9
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
        |-- 10.1.2.3
           /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe80000000000000021122fffe334455 02 40 20 80     eth0
20010db8000000000000000000000007 02 40 00 80     eth0
"""
# eth0: 192.0.2.0/24 with the default route by 192.0.2.1; eth1: 10.1.2.0/24. Words of the kernel, little-endian.
ROUTE = """\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth1\t0002010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


@pytest.fixture
def rootfs(host):
    return RootFs(host.root)


def test_addresses(host, rootfs):
    host.write("/proc/net/fib_trie", FIB_TRIE).write("/proc/net/if_inet6", IF_INET6)
    assert system.addresses(rootfs) == ["10.1.2.3", "192.0.2.9", "2001:db8::7"]


def test_main_address_is_that_of_the_default_route(host, rootfs):
    host.write("/proc/net/route", ROUTE)
    assert system.main_address(rootfs, ["10.1.2.3", "2001:db8::7", "192.0.2.9"]) == "192.0.2.9"


def test_main_address_without_a_default_route(host, rootfs):
    assert system.main_address(rootfs, ["10.1.2.3", "192.0.2.9"]) == "10.1.2.3"
    assert system.main_address(rootfs, []) == ""


SYSTEMS = [
    ('ID=debian\nVERSION_ID="12"\n', ("debian", "12", "debian")),
    ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID='24.04'\n", ("ubuntu", "24.04", "debian")),
    ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\n', ("rocky", "9.3", "redhat")),
    ("ID=arch\n", ("arch", "", "")),
    ("ID='open\nVERSION_ID=1", ("", "1", "")),
]


@pytest.mark.parametrize(("text", "expected"), SYSTEMS)
def test_system(host, rootfs, text, expected):
    host.write("/etc/os-release", text)
    assert system.system(rootfs) == expected


def test_pythons(host, rootfs):
    host.write("/usr/bin/python3.9", "#!", 0o755).link("/usr/bin/python3", "/etc/alternatives/python3")
    host.link("/etc/alternatives/python3", "/usr/bin/python3.9").write("/usr/bin/python3.12", "#!", 0o755)
    host.write("/usr/local/bin/python3.11", "#!", 0o644).write("/usr/local/bin/python3-config", "#!", 0o755)
    assert system.pythons(rootfs) == ("3.9", {"/usr/bin/python3.12": "3.12"})


SELINUX = [({}, ("", None)), ({"enforce": "1"}, ("enforcing", None)),
           ({"enforce": "0", "booleans/httpd_can_network_connect": "0 0"}, ("permissive", False)),
           ({"enforce": "1\n", "booleans/httpd_can_network_connect": "1 1"}, ("enforcing", True))]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), SELINUX)
def test_selinux(host, rootfs, files, expected):
    for name, text in files.items():
        host.write(f"/sys/fs/selinux/{name}", text)
    assert system.selinux(rootfs) == expected


def test_selinux_ports(rootfs):
    text = (
        "SELinux Port Type              Proto    Port Number\n\n"
        "http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010\n"
        "http_port_t                    tcp      9083, 80, 81, 9093-9095\n"
        "http_port_t                    udp      1\n"
        "pegasus_http_port_t            tcp      5988\n"
    )
    assert system.selinux_ports(rootfs, lambda command, timeout: text) == [80, 81, 9083, 9093, 9094, 9095]
    assert not rootfs.unreadable


def test_selinux_ports_without_semanage(rootfs):
    assert system.selinux_ports(rootfs, lambda command, timeout: None) == []
    assert "semanage" in rootfs.unreadable["SELinux ports"]


FIREWALLS = [
    (
        lambda host: host.process(50, ["/usr/bin/python3", "-s", "/usr/sbin/firewalld", "--nofork"], uid=0),
        "firewalld",
    ),
    (lambda host: host.write("/etc/ufw/ufw.conf", "# x\nENABLED=yes\n"), "ufw"),
    (lambda host: host.write("/etc/ufw/ufw.conf", "# ENABLED=yes\nENABLED=no\n"), ""),
    (
        lambda host: host.link("/etc/systemd/system/sysinit.target.wants/nftables.service", "/lib/x"),
        "nftables",
    ),
    (lambda host: host.process(50, ["vi", "/etc/firewall"]), ""),
]


@pytest.mark.parametrize(("prepare", "expected"), FIREWALLS)
def test_firewall(host, rootfs, prepare, expected):
    prepare(host)
    assert system.firewall(rootfs, processes.processes(rootfs).values()) == expected


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
    ("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service", "x.service"),
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
    host.process(70, ["java"]).write("/opt/x").write("/proc/70/root/opt/x")
    assert not processes.Proc(rootfs, 70).sees("/opt/x")


def test_process_of_a_container_by_its_control_group(host, rootfs):
    host.process(70, ["java"], group="/machine.slice/libpod-" + "ab" * 32 + ".scope").write("/opt/x")
    assert not processes.Proc(rootfs, 70).sees("/opt/x")
    host.process(1, ["init"], group="/machine.slice/libpod-" + "ab" * 32 + ".scope/init.scope")  # we are in it, too
    assert processes.Proc(rootfs, 70).sees("/opt/x")


def test_names_are_resolved_once_and_odd_ones_left_out():
    asked = []

    def lookup(name):
        asked.append(name)
        return ["192.0.2.1"] if name == "a.example" else []

    lookups = system.Lookups(["a.example", "", "*.example", "${name}"], lookup)
    lookups.add(["a.example", "b.example"])
    assert lookups.results(10.0) == ({"a.example": ["192.0.2.1"], "b.example": []}, [])
    assert sorted(asked) == ["a.example", "b.example"]


def test_name_that_takes_too_long():
    release = threading.Event()

    def lookup(name):
        if name == "slow.example":
            release.wait(30)
        return ["::1"]

    lookups = system.Lookups(["slow.example", "fast.example"], lookup)
    lookups.threads["fast.example"].join()
    found, late = lookups.results(0.0)
    release.set()
    assert (found, late) == ({"fast.example": ["::1"]}, ["slow.example"])


def test_look_up_of_addresses():
    assert system.look_up("127.0.0.1") == ["127.0.0.1"]
    assert system.look_up("does-not-exist.invalid") == []
    assert system.look_up("a" * 300) == []


COMMANDS = [
    (["sh", "-c", "echo $LC_ALL"], "C\n"),
    (["sh", "-c", "exit 3"], None),
    (["no-such-command-here"], None),
    (["sleep", "30"], None),
]


@pytest.mark.parametrize(("command", "expected"), COMMANDS)
def test_run(command, expected):
    assert system.run(command, 0.2 if command[0] == "sleep" else 20.0) == expected


def test_tree_keeps_links_beneath_the_root(host, rootfs):
    host.write("/opt/a/file", "yes").link("/opt/absolute", "/opt/a").link("/opt/a/up", "../../../../opt/a/file")
    assert rootfs.real("/opt/absolute/file") == "/opt/a/file"
    assert rootfs.text("/opt/absolute/up") == "yes"
    assert rootfs.real("/opt/missing/../a") == "/opt/a"


def test_tree_survives_a_loop_of_links(host, rootfs):
    host.link("/opt/one", "/opt/two").link("/opt/two", "/opt/one")
    assert rootfs.data("/opt/one") is None and not rootfs.is_dir("/opt/one")


def test_tree_does_not_wait_for_a_pipe(host, rootfs):
    os.mkfifo(host.root + "/pipe")
    assert rootfs.data("/pipe") is None


def test_tree_notes_what_is_too_large(host, rootfs):
    host.write("/large", "x" * 11)
    assert rootfs.data("/large", 10) is None
    assert "larger than 10 bytes" in rootfs.unreadable["/large"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_tree_notes_what_is_not_permitted(host, rootfs):
    host.write("/secret", "x", mode=0)
    assert rootfs.text("/secret") is None
    assert "become" in rootfs.unreadable["/secret"]


def test_tree_notes_a_refusal(host, rootfs, monkeypatch):
    def refuse(path, *rest):
        raise PermissionError(13, "Permission denied", path)

    host.write("/secret", "x")
    monkeypatch.setattr(os, "open", refuse)
    assert rootfs.text("/secret") is None
    assert rootfs.unreadable["/secret"] == "Permission denied: run with become to see it"
