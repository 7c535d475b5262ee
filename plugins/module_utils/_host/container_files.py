# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a container, as its processes see them, and the mounts that they are made of.

Whoever is root in a container makes what is read here. So its root directory is held open, and every path is walked
from there by descriptors: a link leads to what it means in the container, never to a file of the host.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._ownership import Writer
from ansible_collections.collab.rtc.plugins.module_utils._place import FileError, LinkError, Place

_ROOT = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC
# File systems that are made of the kernel's data, the host's too: /proc/kcore is a regular file.
_OF_KERNEL = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs", "securityfs", "bpf"}
_OF_KERNEL |= {"pstore", "configfs", "efivarfs", "binfmt_misc", "fusectl", "selinuxfs"}
_MOST_MOUNTS = 4 * 1024 * 1024  # bytes
_MOST_LISTED = 200


@dataclass(frozen=True)
class MountPoint:
    """A line of mountinfo (proc(5))."""

    device: str  # "8:1"
    root: str  # the directory of the file system that is mounted
    target: str
    read_only: bool
    kind: str  # of the file system


class ContainerFiles(RootFs):
    """The files of a container. To be closed.

    :param root: what leads to its root directory: ``/proc/PID/root``.
    :param mounts: of its processes.
    :raises OSError: the root directory may not be opened.
    """

    def __init__(self, root: str, mounts: list[MountPoint]) -> None:
        self._handle = os.open(os.path.join(root, "."), _ROOT)
        super().__init__(f"/proc/self/fd/{self._handle}")
        self._of_kernel = {_number(item.device) for item in mounts if item.kind in _OF_KERNEL}

    def close(self) -> None:
        """Give the root directory back."""
        os.close(self._handle)

    def stat(self, path: str) -> os.stat_result | None:
        """As for a host; the walk has what a look by path would have to find again."""
        return self._look(path, True)

    def lstat(self, path: str) -> os.stat_result | None:
        """As for a host."""
        return self._look(path, False)

    def link(self, path: str) -> str:
        """As for a host."""
        try:
            with Place(path, follow=False, root=self.root) as place:
                return place.target
        except FileError:
            return ""

    def writers(self, path: str, entries: bool = False) -> list[Writer]:
        """Nobody: who may change a container's files is the business of whoever started it; none of them is run."""
        return []

    def _look(self, path: str, follow: bool) -> os.stat_result | None:
        try:
            with Place(path, follow=follow, root=self.root) as place:
                return None if place.missing else place.info
        except LinkError as exc:
            self.note(path, str(exc))
        except FileError:
            pass
        return None

    def _check(self, place: Place) -> None:
        if place.info is not None and place.info.st_dev in self._of_kernel:
            raise FileError(f"{place.path} is in a file system of the kernel, and is not read.")


def read_mounts(rootfs: RootFs, pid: str) -> list[MountPoint]:
    """All mounts that a process sees, in their order; later ones lie over earlier ones.

    :param pid: or "self".
    """
    found = []
    for line in (rootfs.text(f"/proc/{pid}/mountinfo", _MOST_MOUNTS) or "").splitlines():
        before, _dash, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 5 and after:
            root, target = map(_unescape, fields[3:5])
            found.append(MountPoint(fields[2], root, target, "ro" in fields[5].split(","), after.split(" ")[0]))
    return found


def find_sources(inside: list[MountPoint], host: list[MountPoint]) -> list[tuple[str, str, bool]]:
    """The directories and files of the host that a container has mounted: source, target, whether read-only.

    The same file system is mounted on the host, too; so a path in it is one there.
    """
    found: dict[str, tuple[str, str, bool]] = {}
    for item in inside[: _MOST_LISTED * 5]:
        if item.target == "/" or item.kind in _OF_KERNEL:
            continue
        source = next(filter(None, (_find_on_host(item, other) for other in host)), "")
        if source or item.kind != "tmpfs":
            found[item.target] = (source, item.target, item.read_only)
    return list(found.values())[:_MOST_LISTED]


def _find_on_host(item: MountPoint, other: MountPoint) -> str:
    place = other.root.rstrip("/")
    if other.device != item.device or not (item.root + "/").startswith(place + "/"):
        return ""
    return (other.target.rstrip("/") + item.root[len(place) :]) or "/"


def _number(device: str) -> int:
    major, _colon, minor = device.partition(":")
    return os.makedev(int(major), int(minor)) if major.isdigit() and minor.isdigit() else -1


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)
