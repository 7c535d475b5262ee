# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What root cannot write either; with real ``chattr`` where the file system knows it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, Proxy, ServerXml, VirtualHost
from ansible_collections.collab.rtc.plugins.module_utils._host import writable

APPLICATION = Application(kind="jira", install_dir="/opt/jira", server_xml=ServerXml(path="/opt/jira/conf/server.xml"))
NGINX = Proxy(
    kind="nginx", config="/etc/nginx/nginx.conf",
    hosts=[VirtualHost(file="/etc/nginx/conf.d/rtc.conf", managed=True), VirtualHost(file="/etc/nginx/other.conf")],
)  # fmt: skip


def find(rootfs, recorded=()):
    found = writable.find_unwritable(rootfs, [APPLICATION], [NGINX], recorded)
    return {item.path: (item.why, item.remedy) for item in found}


@pytest.fixture
def changed(host):
    """A function that gives a path an attribute by chattr; it is taken away again."""
    if os.geteuid() != 0 or not shutil.which("chattr"):
        pytest.skip("needs root and chattr")
    made = []

    def change(letter, path):
        done = subprocess.run(["chattr", f"+{letter}", host.root + path], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no attributes on this file system: {done.stderr}")
        made.append((letter, host.root + path))

    yield change
    for letter, path in made:
        subprocess.run(["chattr", f"-{letter}", path], check=True)


@pytest.fixture
def site(host):
    for path in ("/opt/jira/conf/server.xml", "/etc/nginx/conf.d/rtc.conf", "/etc/nginx/other.conf",
                 "/etc/systemd/system/x.service", "/usr/bin/x", "/var/lib/x"):  # fmt: skip
        host.write(path, "")
    return host


def test_what_can_be_written_is_not_named(site, rootfs):
    assert find(rootfs) == {}


def test_an_immutable_etc_keeps_out_what_is_not_there_yet(site, rootfs, changed):
    changed("i", "/etc")
    words = ("/etc is immutable (chattr +i)", "chattr -i /etc")
    assert find(rootfs) == dict.fromkeys(("/etc/rtc-server", "/etc/rtc-proxy", "/etc/rtc-truststore"), words)


def test_an_immutable_file(site, rootfs, changed):
    changed("i", "/opt/jira/conf/server.xml")
    changed("i", "/etc/nginx/other.conf")  # nobody writes it
    path = "/opt/jira/conf/server.xml"
    assert find(rootfs) == {path: (f"{path} is immutable (chattr +i)", f"chattr -i {path}")}


def test_a_directory_that_can_only_be_appended_to(site, rootfs, changed):
    changed("a", "/etc/nginx/conf.d")
    assert find(rootfs) == {
        "/etc/nginx/conf.d": (
            "/etc/nginx/conf.d can only be appended to (chattr +a)", "chattr -a /etc/nginx/conf.d",
        )
    }  # fmt: skip


def test_what_earlier_runs_wrote_counts(site, rootfs, changed):
    site.write("/srv/keys/rtc.pem", "")
    changed("i", "/srv/keys/rtc.pem")
    assert list(find(rootfs, ["/srv/keys/rtc.pem"])) == ["/srv/keys/rtc.pem"]


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 254:1 / /usr ro,relatime shared:2 - ext4 /dev/vdb ro
24 22 254:2 / /opt/jira rw,relatime - ext4 /dev/vdc rw
25 22 254:3 / /etc/ng\\040x ro - ext4 /dev/vdc rw
"""


def test_a_read_only_usr(site, rootfs):
    site.write("/proc/self/mountinfo", MOUNTS)
    assert find(rootfs) == {"/usr": ("/usr is mounted read-only", "mount -o remount,rw /usr")}


def test_a_file_system_that_is_read_only_itself(site, rootfs):
    site.write("/proc/self/mountinfo", MOUNTS.replace("/dev/vdc rw", "/dev/vdc ro").replace("vdb ro", "vdb rw"))
    assert find(rootfs)["/opt/jira/conf/server.xml"][1] == "mount -o remount,rw /opt/jira"


def test_mounts():
    text = MOUNTS + "26 22 0:5 / /usr rw - tmpfs tmpfs rw\n" + "odd\n"
    assert writable.parse_mounts(text) == {"/": False, "/usr": False, "/opt/jira": False, "/etc/ng x": True}
