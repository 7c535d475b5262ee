# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host as a whole: system, addresses, names, SELinux."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import threading

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._host import system

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


@pytest.mark.parametrize(
    ("text", "expected"), [(None, ""), ("1", "enforcing"), ("1\n", "enforcing"), ("0", "permissive")]
)
def test_selinux(host, rootfs, text, expected):
    if text is not None:
        host.write("/sys/fs/selinux/enforce", text)
    assert system.selinux(rootfs) == expected


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("0 0", False), ("0 1", False), ("1 1", True)])
def test_selinux_boolean(host, rootfs, text, expected):
    host.write("/sys/fs/selinux/booleans/another", "1 1")
    if text is not None:
        host.write("/sys/fs/selinux/booleans/haproxy_connect_any", text)
    assert system.read_selinux_boolean(rootfs, "haproxy_connect_any") is expected


def test_selinux_ports(rootfs):
    text = (
        "SELinux Port Type              Proto    Port Number\n\n"
        "http_cache_port_t              tcp      8080, 8118, 8123, 10001-10010\n"
        "http_port_t                    tcp      9083, 80, 81, 9093-9095\n"
        "http_port_t                    udp      1\n"
        "pegasus_http_port_t            tcp      5988\n"
    )
    found, others = system.selinux_ports(rootfs, [9083, 9094, 8080, 10005, 5988, 9999], lambda command, timeout: text)
    assert found == [80, 81, 9083, 9093, 9094, 9095]
    assert others == {"8080": "http_cache_port_t", "5988": "pegasus_http_port_t"}  # a port of a range can be added
    assert not rootfs.unreadable


def test_selinux_ports_without_semanage(rootfs):
    assert system.selinux_ports(rootfs, [9083], lambda command, timeout: None) == ([], {})
    assert "install policycoreutils-python-utils" in rootfs.unreadable["SELinux ports"]


def test_selinux_ports_when_semanage_does_not_answer(host, rootfs):
    """Who has it is not told to install it."""
    host.write("/usr/sbin/semanage", "")
    assert system.selinux_ports(rootfs, [9083], lambda command, timeout: None) == ([], {})
    assert rootfs.unreadable["SELinux ports"] == "semanage port -l fails, or takes longer than 60 seconds"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 252),
        ("/usr/lib/systemd/libsystemd-shared-239.so", 239),
        ("/usr/lib64/systemd/libsystemd-shared-252-32.el9_4.so", 252),
        ("/usr/lib/systemd/systemd", 0),
    ],
)
def test_systemd_version(host, rootfs, path, expected):
    host.write(path, "")
    assert system.systemd_version(rootfs) == expected


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


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root, and only root is refused anything")
def test_run_refuses_what_others_may_exchange(monkeypatch):
    folder = pathlib.Path(tempfile.mkdtemp(dir="/var/lib"))
    try:
        folder.chmod(0o755)
        (folder / "semanage").write_text(f"#!/bin/sh\n: >{folder}/ran\n")
        (folder / "semanage").chmod(0o755)
        monkeypatch.setattr(system, "_PATH", str(folder))
        notes = {}
        assert system.run(["semanage"], 20.0, notes.__setitem__) == ""
        assert (folder / "ran").exists() and notes == {}
        (folder / "ran").unlink()
        (folder / "semanage").chmod(0o757)
        assert system.run(["semanage"], 20.0, notes.__setitem__) is None
        assert not (folder / "ran").exists()
        assert notes["what semanage says"].endswith(f"everybody ({folder}/semanage) can change it.")
    finally:
        shutil.rmtree(folder)
