# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Published ports as the rules of firewalls have them; what an environment may show; files of the container alone."""

from __future__ import annotations

import os

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._container_facts import PublishedPort
from ansible_collections.collab.rtc.plugins.module_utils._host import containers
from ansible_collections.collab.rtc.plugins.module_utils._host.container_files import ContainerFiles

DOCKER = """*nat
-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 18090 -j DNAT --to-destination 172.17.0.2:8090
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:8090
-A DOCKER ! -i docker0 -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 5432 -j DNAT --to-destination 172.17.0.9:5432
"""
NETAVARK = """table inet netavark {
  chain nv_2f259bab_10_88_0_0_nm16_dnat {
    ip saddr 10.88.0.0/16 tcp dport 8090 jump nv_2f259bab_10_88_0_0_nm16_setmark
    ip daddr 127.0.0.1 tcp dport 8090 dnat ip to 10.88.0.2:8090
    tcp dport 443 dnat ip to 10.88.0.2:8443
  }
}
"""
SIX = "-A DOCKER ! -i br-1 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::2]:8090\n"


@pytest.mark.parametrize(
    ("rules", "address", "ports"),
    [
        (DOCKER, "172.17.0.2", [("127.0.0.1", 18090, 8090), ("0.0.0.0", 80, 8090)]),
        (DOCKER + DOCKER, "172.17.0.9", [("0.0.0.0", 5432, 5432)]),
        (NETAVARK, "10.88.0.2", [("127.0.0.1", 8090, 8090), ("0.0.0.0", 443, 8443)]),
        (SIX, "fd00::2", [("0.0.0.0", 80, 8090)]),
        (DOCKER, "172.17.0.22", []),
        ("", "172.17.0.2", []),
    ],
)
def test_ports_that_rules_translate(rules, address, ports):
    assert containers.find_translated(rules, [address]) == [PublishedPort(*item) for item in ports]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ATL_JDBC_PASSWORD", "geheim", "********"),
        ("JVM_SUPPORT_RECOMMENDED_ARGS", "-Da=b -Dx.password=geheim -Xmx1g", "-Da=b -Dx.password=******** -Xmx1g"),
        ("CATALINA_OPTS", "-Dhttp.proxyToken='ge heim' -Dy=z", "-Dhttp.proxyToken=******** -Dy=z"),
        ("CATALINA_OPTS", '"-Dhttp.proxyPassword=geheim"', '"-Dhttp.proxyPassword=********"'),
        ("ATL_JDBC_URL", "jdbc:postgresql://u:geheim@db/wiki", "jdbc:postgresql://u:********@db/wiki"),
        ("ATL_X", "a\x1b[2Jb", None),
        ("ATL_X", "a" * 5000, None),
        ("LANG", "C", None),
        ("MY_TOKEN", "geheim", None),
    ],
)
def test_what_an_environment_may_show(name, value, shown):
    assert containers.choose_environment({name: value}) == ({} if shown is None else {name: shown})


def test_the_root_directory_stays_that_of_the_container(tmp_path):
    """It is held open: a directory that is exchanged later, or a link in its place, changes nothing."""
    (tmp_path / "one" / "etc").mkdir(parents=True)
    (tmp_path / "one" / "etc" / "name").write_text("one")
    (tmp_path / "two" / "etc").mkdir(parents=True)
    (tmp_path / "two" / "etc" / "name").write_text("two")
    os.symlink(tmp_path / "one", tmp_path / "root")
    files = ContainerFiles(str(tmp_path / "root"), [])
    (tmp_path / "root").unlink()
    os.symlink(tmp_path / "two", tmp_path / "root")
    assert files.text("/etc/name") == "one"
    assert files.text("/../../../../etc/name") == "one"
    os.symlink("/etc", tmp_path / "one" / "link")
    os.symlink("../../../../../../etc", tmp_path / "one" / "far")
    assert files.names("/link") == files.names("/far") == ["name"]
    assert files.real("/far/name") == "/etc/name"
    assert (files.lstat("/link").st_mode & 0o170000, files.link("/link")) == (0o120000, "/etc")
    assert files.stat("/nothing") is files.lstat("/nothing") is None
    files.close()
