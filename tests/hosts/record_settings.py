# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what the real tools of SELinux and firewalld say, for tests/unit/data/selinux_firewalld.

Run as root on a host of the lab with RHEL's ground (``lab_family: redhat``) on which nothing was opened yet; what it
opens it closes again. It prints JSON: phase -> command -> exit status and output::

    ssh … admin@10.147.85.41 sudo python3 - <tests/hosts/record_settings.py >tests/unit/data/selinux_firewalld/rhel9.json
"""

from __future__ import annotations

import json
import os
import subprocess

ZONE = "firewall-cmd --zone=internal"
PORTS = (443, 9083)
LOOK = [
    "firewall-cmd --state",
    "firewall-cmd --get-active-zones",
    "ip -o address",
    "semanage port -l",
    "getsebool httpd_can_network_connect",
    "getsebool haproxy_connect_any",
    *(f"{ZONE}{when} --query-port={port}/tcp" for port in PORTS for when in ("", " --permanent")),
    *(f"{ZONE}{when} --query-service=https" for when in ("", " --permanent")),
]
OPEN = [
    "semanage port -a -t http_port_t -p tcp 9083",
    "setsebool -P httpd_can_network_connect on",
    *(f"{ZONE}{when} --add-port={port}/tcp" for port in PORTS for when in ("", " --permanent")),
]
CLOSE = [
    "semanage port -d -t http_port_t -p tcp 9083",
    "setsebool -P httpd_can_network_connect off",
    *(f"{ZONE}{when} --remove-port={port}/tcp" for port in PORTS for when in ("", " --permanent")),
]
PHASES = [
    ("before", LOOK),
    ("open", OPEN),
    ("after", LOOK),
    ("open again", OPEN),
    ("close", CLOSE),
    ("closed", LOOK),
    ("close again", CLOSE),
    ("stop", ["systemctl stop firewalld"]),
    ("stopped", [*LOOK, *OPEN[2:]]),
    ("start", ["systemctl start firewalld"]),
]


def run(command: str) -> tuple[int, str]:
    """Exit status and output, as the modules see them."""
    done = subprocess.run(
        command.split(),
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


print(json.dumps({phase: {command: run(command) for command in commands} for phase, commands in PHASES}, indent=1))
