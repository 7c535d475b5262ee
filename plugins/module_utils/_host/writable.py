# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What root cannot write either: files and directories with ``chattr +i`` or ``+a``, file systems mounted read-only.

A file is replaced by another one that is renamed to its name, so its directory counts as it does.
"""

from __future__ import annotations

import posixpath
import re
from typing import Iterable

from ansible_collections.collab.rtc.plugins.module_utils._facts import Application, Proxy
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import Unwritable
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import unit

_IMMUTABLE, _APPEND = 0x10, 0x20  # FS_IMMUTABLE_FL, FS_APPEND_FL of linux/fs.h
# Directories that the collection writes in, whatever a host has.
_DIRECTORIES = (
    posixpath.dirname(unit.UNIT), unit.CONFIG_DIR, unit.BASE, f"{unit.BASE}/releases", "/etc/rtc-proxy",
    "/etc/rtc-truststore", "/var/lib/collab-rtc", "/usr",
)  # fmt: skip
# Of a proxy's configuration, those in which there are files of virtual hosts.
_VHOSTS = ("conf.d", "sites-available", "sites-enabled", "vhosts.d")


def find_unwritable(
    rootfs: RootFs, applications: Iterable[Application], proxies: Iterable[Proxy], recorded: Iterable[str] = ()
) -> list[Unwritable]:
    """Of all that a run may have to write, what it cannot; each path once.

    :param recorded: files that earlier runs wrote.
    """
    mounts = parse_mounts(rootfs.text("/proc/self/mountinfo") or "")
    paths = list(recorded)
    for application in applications:
        if not application.container:
            java = application.java
            paths += [application.server_xml.path] if application.server_xml else []
            paths += [java.truststore.path] if java and java.truststore else []
            paths += [java.option.path] if java and java.option else []
    folders = list(_DIRECTORIES)
    for proxy in proxies:
        folder = posixpath.dirname(proxy.config)
        below = [f"{folder}/{name}" for name in _VHOSTS if rootfs.is_dir(f"{folder}/{name}")]
        folders += below or [folder]
        paths += [host.file for host in proxy.hosts if host.managed]
    folders += [posixpath.dirname(path) for path in paths]
    paths = [path for path in [*folders, *paths] if path.startswith("/")]
    found = (_look(rootfs, path, mounts) for path in dict.fromkeys(paths))
    return [item for item in found if item]


def parse_mounts(text: str) -> dict[str, bool]:
    """Mount points of mountinfo (proc(5)), and whether each is read-only; of several on one point the last one."""
    found = {}
    for line in text.splitlines():
        own, _dash, of_all = line.partition(" - ")
        words = own.split()
        if len(words) > 5 and of_all:
            point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), words[4])
            found[point] = "ro" in words[5].split(",") or "ro" in of_all.split()[-1].split(",")
    return found


def _look(rootfs: RootFs, path: str, mounts: dict[str, bool]) -> Unwritable | None:
    there = rootfs.real(path)
    while rootfs.lstat(there) is None and there != "/":
        there = posixpath.dirname(there)
    mounted = max((one for one in mounts if f"{there}/".startswith(one.rstrip("/") + "/")), key=len, default="")
    if mounts.get(mounted):
        return Unwritable(path, f"{mounted} is mounted read-only", f"mount -o remount,rw {mounted}")
    flags = rootfs.flags(there)
    for flag, letter, words in ((_IMMUTABLE, "i", "is immutable"), (_APPEND, "a", "can only be appended to")):
        if flags & flag:
            return Unwritable(path, f"{there} {words} (chattr +{letter})", f"chattr -{letter} {there}")
    return None
