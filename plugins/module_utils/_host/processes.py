# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes and listening sockets, from /proc."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import socket
import sys

from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs

_LISTEN = "0A"  # TCP_LISTEN, proc(5)
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_CONTAINER = re.compile(r"[0-9a-f]{64}")  # docker, podman, containerd and CRI-O name control groups by such an id


class Proc:
    """A process; its parts are read when they are asked for."""

    def __init__(self, rootfs: RootFs, pid: int) -> None:
        self.rootfs = rootfs
        self.pid = pid
        self.args = self._read_arguments()

    @property
    def name(self) -> str:
        """The kernel's name of it, at most 15 characters: "java", "nginx"."""
        return (self.rootfs.text(f"/proc/{self.pid}/comm") or "").strip()

    @property
    def uid(self) -> int:
        """The effective user id, -1 when the process has ended."""
        return self.uids[1] if self.uids else -1

    @functools.cached_property
    def uids(self) -> tuple[int, ...]:
        """Real, effective, saved and file system's user id (credentials(7)); empty when the process has ended.

        Who starts a program with the set-user-ID bit gives it its command line, so only four equal ones are a user.
        """
        return self._read_uids()

    @property
    def parent(self) -> int:
        """The process that it is a child of; 0 for none, or where it has ended."""
        found = re.search(r"^PPid:\s+(\d+)", self.rootfs.text(f"/proc/{self.pid}/status") or "", re.MULTILINE)
        return int(found.group(1)) if found else 0

    @property
    def user(self) -> str:
        """The name of the effective user."""
        return user_name(self.rootfs, self.uid)

    @functools.cached_property
    def exe(self) -> str:
        """The path of the executable; "" when that may not be seen."""
        return re.sub(r" \(deleted\)$", "", self.rootfs.link(f"/proc/{self.pid}/exe"))

    @functools.cached_property
    def cwd(self) -> str:
        """The working directory; "" when that may not be seen."""
        return self.rootfs.link(f"/proc/{self.pid}/cwd")

    @functools.cached_property
    def started(self) -> float:
        """When it was started, in seconds since the epoch, good to a second; 0 when unknown."""
        ticks = self._read_start()
        boot = re.search(r"^btime (\d+)", self.rootfs.text("/proc/stat") or "", re.MULTILINE)
        if ticks < 0 or boot is None:
            return 0.0
        return int(boot.group(1)) + ticks / os.sysconf("SC_CLK_TCK")

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """Its environment; empty when that may not be seen (only root and its user may)."""
        with contextlib.suppress(OSError):
            path = self.rootfs.disk(f"/proc/{self.pid}/environ")
            with open(path, "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
            return dict(word.split("=", 1) for word in words if "=" in word)
        return {}

    @functools.cached_property
    def unit(self) -> str:
        """The service of the system's manager that it belongs to, such as ``confluence.service``; "" for none.

        A service of a user's own manager may have any name: for it, this is ``user@1000.service``. The same holds for
        control groups that a service makes below its own (systemd.resource-control(5), ``Delegate=``).
        """
        above = Proc(self.rootfs, 1)._read_control_groups()
        for hierarchy, path in self._read_control_groups().items():
            own = re.sub(r"/init\.scope$", "", above.get(hierarchy, ""))  # in a container: what that belongs to
            inner = path[len(own) :] if path.startswith(own + "/") else path
            found = next((name for name in inner.split("/") if name.endswith(".service")), "")
            if found:
                return found
        return ""

    def _read_control_groups(self) -> dict[str, str]:
        """systemd's hierarchy of control groups, of version 1 or 2, and the path in it (cgroups(7))."""
        found = {}
        for line in (self.rootfs.text(f"/proc/{self.pid}/cgroup") or "").splitlines():
            number, _colon, rest = line.partition(":")
            controllers, _colon, path = rest.partition(":")
            if controllers == "name=systemd" or (number == "0" and not controllers):
                found[controllers] = path
        return found

    def settle(self) -> bool:
        """Read all that is asked of it later, and say whether it was one and the same program all the while.

        Between two looks a process may end and another get its number, or it may become another program.
        """
        before = self._identify()
        for name in ("exe", "cwd", "environment", "unit", "started", "uids"):
            self.__dict__.pop(name, None)
            getattr(self, name)  # is kept from here on
        after = self._identify()
        return before == after and after[1:] == (self.args, self.uids)

    def _identify(self) -> tuple[int, list[str], tuple[int, ...]]:
        return self._read_start(), self._read_arguments(), self._read_uids()

    def _read_start(self) -> int:
        """When it was started, in ticks since the host was; -1 when the process has ended."""
        fields = (self.rootfs.text(f"/proc/{self.pid}/stat") or "").rpartition(")")[2].split()
        return int(fields[19]) if len(fields) > 19 else -1

    def _read_arguments(self) -> list[str]:
        content = self.rootfs.data(f"/proc/{self.pid}/cmdline") or b""
        return content.decode("utf-8", "replace").rstrip("\0").split("\0") if content else []

    def _read_uids(self) -> tuple[int, ...]:
        status = self.rootfs.text(f"/proc/{self.pid}/status") or ""
        found = re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", status, re.MULTILINE)
        return tuple(map(int, found.groups())) if found else ()

    def has_ended(self) -> bool:
        """Whether it is gone, or its number is another's by now."""
        return self._read_start() < 0 or self._read_arguments() != self.args

    def is_apart(self) -> bool:
        """Whether it has a user or process namespace of its own (namespaces(7)): that of a container, or of a user.

        Where its namespaces may not be seen, the answer is no.
        """
        for name in ("user", "pid"):
            theirs, own = (self.rootfs.link(f"/proc/{which}/ns/{name}") for which in (self.pid, "self"))
            if theirs and own and theirs != own:
                return True
        return False

    def sees(self, path: str) -> bool:
        """Whether the process means the same file by a path as we do; it does not when it runs in a container.

        Not to be asked of one that :meth:`is_apart`: its user may have mounted there what never answers.
        """
        own = self.rootfs.stat(path)
        if own is None:
            return False
        try:
            theirs = os.stat(self.rootfs.disk(f"/proc/{self.pid}/root") + path)
        except PermissionError:
            return self._find_container() == Proc(self.rootfs, 1)._find_container()
        except OSError:
            return False
        return (theirs.st_dev, theirs.st_ino) == (own.st_dev, own.st_ino)

    def has_other_root(self) -> bool:
        """Whether its root directory is another one than ours: it is in a container.

        Where that may not be seen, its control group tells.
        """
        try:
            own, theirs = os.stat(self.rootfs.disk("/")), os.stat(self.rootfs.disk(f"/proc/{self.pid}/root/."))
        except PermissionError:
            found = self._find_container()
            return bool(found) and found != Proc(self.rootfs, 1)._find_container()
        except OSError:
            return False
        return (own.st_dev, own.st_ino) != (theirs.st_dev, theirs.st_ino)

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


def user_id(rootfs: RootFs, name: str) -> int:
    """The id of a user of the host, -1 when there is none; a number is one."""
    if name.isdigit():
        return int(name)
    if rootfs.root == "/":
        with contextlib.suppress(KeyError, ValueError):
            return pwd.getpwnam(name).pw_uid
        return -1
    for line in (rootfs.text("/etc/passwd") or "").splitlines():
        parts = line.split(":")
        if len(parts) > 2 and parts[0] == name and parts[2].isdigit():
            return int(parts[2])
    return -1


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


def list_ports(rootfs: RootFs, pid: int) -> list[int]:
    """The TCP ports that anybody listens on in the network of a process."""
    rows = [*_read_rows(rootfs, f"/proc/{pid}/net/tcp"), *_read_rows(rootfs, f"/proc/{pid}/net/tcp6")]
    return sorted({row[1] for row in rows})


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
