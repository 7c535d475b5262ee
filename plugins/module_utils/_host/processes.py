# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes and listening sockets, from /proc."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
import sys

from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs

_LISTEN = "0A"  # TCP_LISTEN, proc(5)
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_UNIT = re.compile(r"/([^/\s]+\.service)")
_CONTAINER = re.compile(r"[0-9a-f]{64}")  # docker, podman, containerd and CRI-O name control groups by such an id


class Proc:
    """A process; its parts are read when they are asked for."""

    def __init__(self, rootfs: RootFs, pid: int) -> None:
        self.rootfs = rootfs
        self.pid = pid
        content = rootfs.data(f"/proc/{pid}/cmdline") or b""
        self.args = content.decode("utf-8", "replace").rstrip("\0").split("\0") if content else []

    @property
    def name(self) -> str:
        """The kernel's name of it, at most 15 characters: "java", "nginx"."""
        return (self.rootfs.text(f"/proc/{self.pid}/comm") or "").strip()

    @property
    def uid(self) -> int:
        """The effective user id, -1 when the process has ended."""
        status = self.rootfs.text(f"/proc/{self.pid}/status") or ""
        found = re.search(r"^Uid:\s+\d+\s+(\d+)", status, re.MULTILINE)
        return int(found.group(1)) if found else -1

    @property
    def user(self) -> str:
        """The name of the effective user."""
        return user_name(self.rootfs, self.uid)

    @property
    def exe(self) -> str:
        """The path of the executable; "" when that may not be seen."""
        return re.sub(r" \(deleted\)$", "", self.rootfs.link(f"/proc/{self.pid}/exe"))

    @property
    def cwd(self) -> str:
        """The working directory; "" when that may not be seen."""
        return self.rootfs.link(f"/proc/{self.pid}/cwd")

    @property
    def started(self) -> float:
        """When it was started, in seconds since the epoch, good to a second; 0 when unknown."""
        stat = (self.rootfs.text(f"/proc/{self.pid}/stat") or "").rpartition(")")[2].split()
        boot = re.search(r"^btime (\d+)", self.rootfs.text("/proc/stat") or "", re.MULTILINE)
        if len(stat) < 20 or boot is None:
            return 0.0
        return int(boot.group(1)) + int(stat[19]) / os.sysconf("SC_CLK_TCK")

    @property
    def environment(self) -> dict[str, str]:
        """Its environment; empty when that may not be seen (only root and its user may)."""
        with contextlib.suppress(OSError):
            path = self.rootfs.disk(f"/proc/{self.pid}/environ")
            with open(path, "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
            return dict(word.split("=", 1) for word in words if "=" in word)
        return {}

    @property
    def unit(self) -> str:
        """The systemd service that it belongs to, such as ``confluence.service``; "" for none (a login session)."""
        groups = self.rootfs.text(f"/proc/{self.pid}/cgroup") or ""
        for line in groups.splitlines():
            number, _colon, rest = line.partition(":")
            controllers, _colon, path = rest.partition(":")
            if controllers == "name=systemd" or (number == "0" and not controllers):
                found = _UNIT.findall(path)
                if found:
                    return str(found[-1])
        return ""

    def sees(self, path: str) -> bool:
        """Whether the process means the same file by a path as we do; it does not when it runs in a container."""
        own = self.rootfs.stat(path)
        if own is None:
            return False
        try:
            theirs = os.stat(self.rootfs.disk(f"/proc/{self.pid}/root") + path)
        except OSError:
            return self._find_container() == Proc(self.rootfs, 1)._find_container()
        return (theirs.st_dev, theirs.st_ino) == (own.st_dev, own.st_ino)

    def _find_container(self) -> str:
        found = _CONTAINER.findall(self.rootfs.text(f"/proc/{self.pid}/cgroup") or "")
        return found[-1] if found else ""


def user_name(rootfs: RootFs, uid: int) -> str:
    """The name of a user of the host; the number as text when it has none, "" for -1."""
    if uid < 0:
        return ""
    if rootfs.root == "/":
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(uid).pw_name  # knows directory services too
        return str(uid)
    for line in (rootfs.text("/etc/passwd") or "").splitlines():
        parts = line.split(":")
        if len(parts) > 2 and parts[2] == str(uid):
            return parts[0]
    return str(uid)


def processes(rootfs: RootFs) -> dict[int, Proc]:
    """All processes that may be seen, by id."""
    return {int(name): Proc(rootfs, int(name)) for name in rootfs.names("/proc") if name.isdigit()}


def listeners(rootfs: RootFs, procs: dict[int, Proc]) -> list[Listener]:
    """The listening TCP sockets, by port and address; ``pid`` 0 where the process may not be seen (noted once).

    Where the files of a process may not be seen (not root, or root of a container without CAP_SYS_PTRACE), the only
    process of the socket's user is taken for it.
    """
    rows = [*_read_rows(rootfs, "/proc/net/tcp"), *_read_rows(rootfs, "/proc/net/tcp6")]
    holders = _find_holders(rootfs, sorted(procs), {row[3] for row in rows})
    alone = _find_only_processes(procs) if any(row[3] not in holders for row in rows) else {}
    found = {}
    for address, port, uid, inode in rows:
        pid = holders.get(inode, 0) or (alone.get(uid, 0) if uid else 0)
        name = procs[pid].name if pid else ""
        found[(port, address, pid)] = Listener(address, port, pid, name, user_name(rootfs, uid))
    hidden = [str(item.port) for item in found.values() if not item.pid]
    if hidden:
        rootfs.note(
            "processes of other users",
            f"which process listens on port {', '.join(sorted(set(hidden), key=int))} may not be seen: run with become"
            " (in a container: with CAP_SYS_PTRACE)",
        )
    return [found[key] for key in sorted(found)]


def _find_only_processes(procs: dict[int, Proc]) -> dict[int, int]:
    """User id -> process, for users that have one process only."""
    users: dict[int, list[int]] = {}
    for proc in procs.values():
        users.setdefault(proc.uid, []).append(proc.pid)
    return {uid: pids[0] for uid, pids in users.items() if len(pids) == 1}


def _read_rows(rootfs: RootFs, path: str) -> list[tuple[str, int, int, str]]:
    rows = []
    for line in (rootfs.text(path, 64 * 1024 * 1024) or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN:
            address, _colon, port = fields[1].rpartition(":")
            rows.append((_decode_address(address), int(port, 16), int(fields[7]), fields[9]))
    return rows


def _decode_address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the byte order of the machine."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    packed = b"".join(words)
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    if packed[:12] == b"\0" * 10 + b"\xff\xff":  # an IPv4 address on a socket of both families, as Java makes them
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


def _find_holders(rootfs: RootFs, pids: list[int], wanted: set[str]) -> dict[str, int]:
    """Socket inode -> the oldest process that has it open. systemd (1) counts only where no other has it."""
    found: dict[str, int] = {}
    for pid in [*(pid for pid in pids if pid != 1), 1]:
        missing = wanted - found.keys()
        if not missing:
            break
        folder = rootfs.disk(f"/proc/{pid}/fd")
        try:
            descriptors = os.listdir(folder)
        except OSError:  # of another user, or gone
            continue
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                match = _SOCKET.fullmatch(os.readlink(f"{folder}/{descriptor}"))
                if match and match.group(1) in missing:
                    found.setdefault(match.group(1), pid)
    return found
