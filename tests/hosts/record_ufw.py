# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what the real ufw says and writes, for tests/unit/data/selinux_firewalld/ufw.json.

It changes the host's firewall: run it as root in namespaces of its own, with ufw in the place where it belongs::

    apt-get download ufw && dpkg-deb -x ufw_*.deb ufw && unshare -m -n python3 record_ufw.py ufw >ufw.json
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Phase -> what is done before its status is asked for.
PHASES = {
    "installed": [],
    "on, nothing allowed": ["--force enable", "allow 22/tcp"],
    "allowed": ["allow 9083/tcp"],
    "limited": ["delete allow 9083/tcp", "limit 9083/tcp"],
    "denied first": ["delete limit 9083/tcp", "deny 9083", "allow 9083/tcp"],
    "rejected": ["--force reset", "--force enable", "reject 9083/tcp comment not_yet"],
    "for one host": ["--force reset", "--force enable", "allow from 10.0.0.5 to any port 9083 proto tcp"],
    "for a network but one": ["insert 1 deny from 10.0.0.5", "allow from 10.0.0.0/24 to any port 9083"],
    "range and list": ["--force reset", "--force enable", "allow 9000:9100/tcp", "allow 80,443/tcp"],
    "profile": ["--force reset", "--force enable", "allow RTC", "allow out 9999/tcp", "route allow 9998/tcp"],
    "interface": ["--force reset", "--force enable", "allow in on lo log to any port 9083 proto tcp"],
    "allowed by default": ["--force reset", "--force enable", "default allow incoming", "deny 9084/udp"],
    "rejected by default": ["default reject incoming"],
    "off": ["--force disable"],
}
FILES = ["/etc/ufw/user.rules", "/etc/ufw/ufw.conf", "/etc/default/ufw"]


def run(*command: str) -> str:
    """The output of a command that has to succeed."""
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout


def install(package: Path) -> None:
    """Lay the unpacked package over /etc and /usr of this namespace, as its scripts would install it."""
    layers = Path(tempfile.mkdtemp())
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "tmpfs", str(layers))
    shutil.copytree(package, layers / "new", symlinks=True)
    for name in ("lib", "sbin"):  # merged into /usr
        if (layers / "new" / name).is_dir():
            shutil.copytree(layers / "new" / name, layers / "new/usr" / name, symlinks=True, dirs_exist_ok=True)
    for name in ("etc", "usr"):
        for folder in ("changed", "work"):
            (layers / f"{folder}-{name}").mkdir()
        options = f"lowerdir={layers}/new/{name}:/{name},upperdir={layers}/changed-{name},workdir={layers}/work-{name}"
        run("mount", "-t", "overlay", "overlay", "-o", options, f"/{name}")
    for file in [*Path("/usr/share/ufw/iptables").glob("*.rules"), Path("/usr/share/ufw/ufw.conf")]:
        shutil.copy(file, "/etc/ufw")
    Path("/etc/ufw/applications.d/rtc").write_text("[RTC]\ntitle=RTC\ndescription=RTC\nports=9083,9093/tcp\n")
    run("ip", "link", "set", "lo", "up")


install(Path(sys.argv[1]))
os.environ["LC_ALL"] = "C"
recorded = {}
for phase, commands in PHASES.items():
    for words in commands:
        run("ufw", *words.split())
    recorded[phase] = {
        "status": run("ufw", "status", "verbose"),
        **{file: "\n".join(line for line in Path(file).read_text().splitlines() if "tuple" in line or "=" in line)
           for file in FILES},
    }  # fmt: skip
print(json.dumps(recorded, indent=1))
