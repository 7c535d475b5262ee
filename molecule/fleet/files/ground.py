# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host with RHEL's ground has, a line for each thing; its standard input is this file.

python3 -           files, ports, booleans, zones, authorities: after an uninstall the same as before any run
python3 - labels    new files whose type is not the one that the policy has for their path: none
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

ROOTS = ("/etc", "/opt", "/usr/local", "/usr/lib/systemd")
OURS = ("/opt/rtc-server", "/etc/rtc-server", "/etc/rtc-proxy", "/var/lib/collab-rtc")
RECORD = "/var/lib/collab-rtc/managed.json"
# What the tools write anew with the same meaning, which is asked for; what programs write by themselves.
MEANT = (
    "/etc/firewalld/",
    "/etc/selinux/",
    "/etc/pki/ca-trust/extracted/",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/mime.types",  # Debian's, which the lab's httpd has, too
)
RUNNING = re.compile(r"/opt/atlassian/\w+/(logs|work|temp)/")
USERS = re.compile(r"/etc/(passwd|shadow|group|gshadow|subuid|subgid)-?$")  # those of packages stay
PACKAGES = ("httpd", "mod_ssl", "nginx", "haproxy")
ZONE = "firewall-cmd --zone=internal"
ASK = (
    f"{ZONE} --list-all",
    f"{ZONE} --permanent --list-all",
    "firewall-cmd --get-active-zones",
    "semanage export",
    "semanage boolean -l",
    "semanage port -l",
)
AUTHORITIES = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"


def ask(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout


def walk(root: str) -> list[str]:
    found = [root] if os.path.lexists(root) else []
    for folder, folders, files in os.walk(root):
        found += [os.path.join(folder, name) for name in [*folders, *files]]
    return found


def describe(path: str) -> str:
    info = os.lstat(path)
    content = ""
    if os.path.islink(path):
        content = os.readlink(path)
    elif os.path.isfile(path):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()[:16]
    return f"{info.st_mode:o} {info.st_uid}:{info.st_gid} {content}"


def list_files() -> list[str]:
    brought = set()
    for package in PACKAGES:
        changed = {line.split()[-1] for line in ask("rpm", "-V", "--nomtime", package).splitlines()}
        brought |= {path for path in ask("rpm", "-ql", package).splitlines() if path not in changed}
    paths = [path for root in ROOTS for path in walk(root) if path not in brought]
    held = [path for path in paths if not path.startswith(MEANT) and not RUNNING.match(path) and not USERS.match(path)]
    held = [path for path in held if os.path.islink(path) or not os.path.isdir(path) or not os.listdir(path)]
    return [f"{path} {describe(path)}" for path in held]


def list_settings() -> list[str]:
    lines = [f"{command}: {line.rstrip()}" for command in ASK for line in ask(*command.split()).splitlines()]
    lines = [line for line in lines if "boolean -m -0" not in line]  # off, as before: no tool forgets that one was set
    with open(AUTHORITIES, encoding="utf-8") as file:
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END", file.read(), re.DOTALL)
    return [*lines, *(f"authority {hashlib.sha256(block.encode()).hexdigest()[:16]}" for block in blocks)]


def list_wrong_labels() -> list[str]:
    with open(RECORD, encoding="utf-8") as file:
        recorded = re.findall(r'"(/[^"]+)"', file.read())
    # What an installation has in /opt is replaced, and keeps its label: in an image of a container none.
    new = {path for path in recorded if os.path.lexists(path) and path.startswith("/etc/")}
    paths = sorted({*new, *(path for root in OURS for path in walk(root))})
    found = []
    for path, wanted in zip(paths, ask("matchpathcon", "-n", *paths).splitlines()):
        try:
            label = os.getxattr(path, "security.selinux", follow_symlinks=False).rstrip(b"\0").decode()
        except OSError:
            label = "none"
        if label.split(":")[2:3] != wanted.split(":")[2:3]:
            found.append(f"{path}: {label}, not {wanted}")
    return found


print("\n".join(list_wrong_labels() if sys.argv[1:] == ["labels"] else sorted([*list_files(), *list_settings()])))
