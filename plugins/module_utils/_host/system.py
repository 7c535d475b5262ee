# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is true of a host as a whole: system, addresses, names, interpreters, SELinux."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
import time
from typing import Callable, Iterable, Optional

from ansible_collections.collab.rtc.plugins.module_utils import _ownership
from ansible_collections.collab.rtc.plugins.module_utils._host.rootfs import RootFs
from ansible_collections.collab.rtc.plugins.module_utils._obstacle_facts import SELINUX_BOOLEANS, SELINUX_PORTS

Runner = Callable[["list[str]", float], Optional[str]]
Note = Callable[[str, str], None]

SECONDS = 60.0  # until a command of the host is given up: those that are programs in Python take 20 on a busy host
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

_FAMILIES = {"debian": "debian", "ubuntu": "debian", "rhel": "redhat", "fedora": "redhat", "centos": "redhat"}
_PYTHON = re.compile(r"python(3\.\d+)")
_PYTHON_DIRS = ("/usr/bin", "/usr/local/bin")
_OLDEST_PYTHON = (3, 10)  # of the RTC server
_TCP_PORTS = re.compile(r"^(\w+)\s+tcp\s+(.+)$", re.MULTILINE)
_MOST_NAMES = 64  # a bound on threads; a host that serves more names than that has them in one zone anyway


def run(command: list[str], timeout: float, note: Note | None = None) -> str | None:
    """What a command of the host prints; ``None`` when it is not there, fails, or takes longer (seconds).

    :param note: is given a program that root must not run, because others could exchange it, and the reason.
    """
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        return None
    try:
        _ownership.check_program(program)
    except _ownership.UnsafeProgramError as exc:
        if note:
            note(f"what {command[0]} says", exc.message)
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            env={"LC_ALL": "C", "PATH": _PATH},
            check=False,
        )
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace")
    return None


def make_runner(rootfs: RootFs) -> Runner:
    """What runs commands of a host; none are run where a directory stands for it."""
    if rootfs.root != "/":
        return lambda command, timeout: None
    return lambda command, timeout: run(command, timeout, rootfs.note)


def hostname(rootfs: RootFs) -> str:
    """The host's own name."""
    return (rootfs.text("/proc/sys/kernel/hostname") or rootfs.text("/etc/hostname") or "").strip()


def system(rootfs: RootFs) -> tuple[str, str, str]:
    """``ID``, ``VERSION_ID`` (os-release(5)) and the family: "debian", "redhat" or ""."""
    text = rootfs.text("/etc/os-release") or rootfs.text("/usr/lib/os-release") or ""
    values = {}
    for line in text.splitlines():
        name, _equals, value = line.partition("=")
        with contextlib.suppress(ValueError):
            values[name] = "".join(shlex.split(value))
    like = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    family = next((_FAMILIES[name] for name in like if name in _FAMILIES), "")
    return values.get("ID", ""), values.get("VERSION_ID", ""), family


def pythons(rootfs: RootFs) -> tuple[str, dict[str, str]]:
    """The version of /usr/bin/python3 ("" for none), and the interpreters that the RTC server could run on.

    Their versions are those of file names, as distributions lay them out (python3 -> python3.11): none is started. One
    that others than root may write is left out, and noted.
    """
    default = _read_python_version(rootfs, "/usr/bin/python3")
    found = {}
    for folder in _PYTHON_DIRS:
        for name in rootfs.names(folder):
            path = f"{folder}/{name}"
            if name != "python3" and not _PYTHON.fullmatch(name):
                continue
            version = _read_python_version(rootfs, path)
            if version and tuple(map(int, version.split("."))) >= _OLDEST_PYTHON:
                found[path] = version
    return default, found


def _read_python_version(rootfs: RootFs, path: str) -> str:
    info = rootfs.stat(path)
    match = _PYTHON.fullmatch(os.path.basename(rootfs.real(path)))
    if info is None or not info.st_mode & 0o111 or not match:
        return ""
    with contextlib.suppress(OSError):
        writers = rootfs.writers(path)
        if not writers:
            return match.group(1)
        rootfs.note(path, f"not used: {', '.join(map(str, writers))} can change it")
    return ""


def addresses(rootfs: RootFs, net: str = "/proc/net") -> list[str]:
    """The host's own addresses, without loopback and link-local ones.

    :param net: of another network than the host's: ``/proc/PID/net``.
    """
    found: list[str] = []
    last = ""
    for line in (rootfs.text(f"{net}/fib_trie") or "").splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            last = words[1]
        elif words[:1] == ["/32"] and words[1:3] == ["host", "LOCAL"] and last not in found:
            found.append(last)
    for line in (rootfs.text(f"{net}/if_inet6") or "").splitlines():
        words = line.split()
        if words and len(words[0]) == 32:
            found.append(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])))
    return [item for item in found if _is_outward(item)]


def _is_outward(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return not (address.is_loopback or address.is_link_local)


def main_address(rootfs: RootFs, own: list[str]) -> str:
    """The address that the default route uses; the first one of the host when there is no such route.

    :param own: what :func:`addresses` said.
    """
    if rootfs.root == "/":
        for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
            with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))  # chooses a route; a datagram socket sends nothing by it
                chosen = str(probe.getsockname()[0])
                if _is_outward(chosen):
                    return chosen
    return _choose_by_route(rootfs, own) or (own[0] if own else "")


def _choose_by_route(rootfs: RootFs, own: list[str]) -> str:
    rows = [line.split() for line in (rootfs.text("/proc/net/route") or "").splitlines()[1:]]
    defaults = [row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"]
    for row in rows:
        if len(row) > 7 and row[0] in defaults and row[7] != "00000000":
            network, mask = int(row[1], 16), int(row[7], 16)
            for address in own:
                with contextlib.suppress(ipaddress.AddressValueError):
                    packed = ipaddress.IPv4Address(address).packed
                    if int.from_bytes(packed, "little") & mask == network:
                        return address
    return ""


_BOOLEANS = "/sys/fs/selinux/booleans"


def selinux(rootfs: RootFs) -> str:
    """ "enforcing", "permissive" or ""."""
    return {"1": "enforcing", "0": "permissive"}.get((rootfs.text("/sys/fs/selinux/enforce") or "").strip(), "")


def read_selinux_boolean(rootfs: RootFs, name: str) -> bool | None:
    """Whether a boolean of the policy is on now; ``None``: the policy does not have it, or, which is noted, none can be
    seen."""
    state = (rootfs.text(f"{_BOOLEANS}/{name}") or "").split()  # its value, and the one that is pending
    if not state and selinux(rootfs) and not rootfs.names(_BOOLEANS):
        rootfs.note(SELINUX_BOOLEANS, f"{_BOOLEANS} is empty: see getsebool -a")
    return state[0] == "1" if state else None


def selinux_ports(rootfs: RootFs, rtc_ports: Iterable[int], runner: Runner = run) -> tuple[list[int], dict[str, str]]:
    """The TCP ports of ``http_port_t``, and which type those of RTC have instead; empty, and noted, when not known.

    :param rtc_ports: the ports of RTC. Of the types of ranges nothing is said: a port of its own goes before them.
    """
    text = runner(["semanage", "port", "-l"], SECONDS)
    if text is None and any(rootfs.is_file(f"{folder}/semanage") for folder in _PATH.split(":")):
        rootfs.note(SELINUX_PORTS, f"semanage port -l fails, or takes longer than {SECONDS:.0f} seconds")
    elif text is None:
        rootfs.note(SELINUX_PORTS, "there is no semanage: install policycoreutils-python-utils")
    if text is None:
        return [], {}
    ports, others = parse_selinux_ports(text)
    return ports, {str(port): others[port] for port in rtc_ports if port in others and port not in ports}


def parse_selinux_ports(text: str) -> tuple[list[int], dict[int, str]]:
    """The ports of ``http_port_t`` in what ``semanage port -l`` prints, ranges opened out; single ones of others."""
    found: set[int] = set()
    others: dict[int, str] = {}
    for name, line in _TCP_PORTS.findall(text):
        for part in line.split(","):
            first, _dash, last = part.strip().partition("-")
            if first.isdigit() and name == "http_port_t":
                found.update(range(int(first), int(last or first) + 1))
            elif first.isdigit() and not last:
                others.setdefault(int(first), name)
    return sorted(found), others


_SHARED = re.compile(r"libsystemd-shared-(\d+)")  # "libsystemd-shared-252.so", "libsystemd-shared-239-13.el8.so"


def systemd_version(rootfs: RootFs) -> int:
    """The version of systemd, by the name of its own library; 0 for unknown."""
    multiarch = [name for name in rootfs.names("/usr/lib") if name.endswith("-linux-gnu")]
    for part in ("lib", "lib64", *(f"lib/{name}" for name in multiarch)):
        for name in rootfs.names(f"/usr/{part}/systemd"):
            match = _SHARED.match(name)
            if match:
                return int(match.group(1))
    return 0


class Lookups:
    """Names being resolved in the background, so that a slow name server costs the run its time limit at most."""

    def __init__(self, names: Iterable[str], lookup: Callable[[str], list[str]] | None = None) -> None:
        self.found: dict[str, list[str]] = {}
        self.lookup = lookup or look_up
        self.threads: dict[str, threading.Thread] = {}
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Begin with more names; known ones, patterns and empty ones are left out."""
        for name in names:
            if not name or name in self.threads or re.search(r"[^\w.:-]", name) or len(self.threads) >= _MOST_NAMES:
                continue
            # A daemon thread: one that hangs must not keep the module from ending.
            thread = threading.Thread(target=self._resolve, args=(name,), daemon=True)
            self.threads[name] = thread
            thread.start()

    def _resolve(self, name: str) -> None:
        self.found[name] = self.lookup(name)

    def results(self, timeout: float) -> tuple[dict[str, list[str]], list[str]]:
        """Name -> addresses (none: it does not resolve), and the names that took longer than ``timeout`` seconds."""
        end = time.monotonic() + timeout
        for thread in self.threads.values():
            thread.join(max(0.0, end - time.monotonic()))
        late = [name for name in self.threads if name not in self.found]
        return {name: self.found[name] for name in self.threads if name not in late}, late


def look_up(name: str) -> list[str]:
    """The addresses of a name as this host resolves it (nsswitch.conf: hosts file, DNS, ...)."""
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(row[4][0]) for row in rows))
