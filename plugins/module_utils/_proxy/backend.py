# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the three proxy servers have in common: the interface of a kind, and what a change of one leaves behind.

A kind is one subclass of :class:`Backend`: it reads the server's configuration, renders virtual hosts for it, and knows
how the server's own program checks a configuration and when it last loaded one.
"""

from __future__ import annotations

import abc
import contextlib
import glob
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._commands import run, search_path
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._ownership import UnsafeProgramError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

MARK = "Managed by collab.rtc"
# What the distributions call the file with all certificate authorities they trust.
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

# What is kept about the running servers, beside the pid files: gone after a reboot, when they have loaded everything.
RUN = "/run/collab-rtc"


@dataclass
class DesiredFile:
    """A file as it shall be."""

    path: str
    data: bytes
    mode: int = 0o644
    secret: bool = False  # never shown in a diff


@dataclass
class DesiredLink:
    """A symbolic link as it shall be."""

    path: str
    target: str


@dataclass
class DesiredLayout:
    """Everything that one change of a proxy server leaves behind; applied in this order."""

    directories: list[str] = field(default_factory=list)  # made with mode 0700 where missing
    files: list[DesiredFile] = field(default_factory=list)
    links: list[DesiredLink] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  # managed files and links to remove
    emptied: list[str] = field(default_factory=list)  # directories of ours that go when nothing is left in them
    modules: list[str] = field(default_factory=list)  # of Apache: those that are switched on by this change
    listens: list[tuple[str, int]] = field(default_factory=list)  # addresses and ports that must be had afterwards
    dual: set[tuple[str, int]] = field(default_factory=set)  # of these: sockets of both families
    origins: dict[tuple[str, int], str] = field(default_factory=dict)  # of those that are not managed: "file:line"
    configuration: list[str] = field(default_factory=list)  # paths of the configuration files that hold the hosts


class Backend(abc.ABC):
    """A kind of proxy server on a host, or below another root directory for tests."""

    kind = ""
    programs: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    joins = False  # one socket for all addresses of a family stands for those of single ones
    rebinds = False  # a reload can bind one address where the running server has all, or the other way round

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root or "/")
        self._version = ""
        self.sources: list[str] = []  # what was read of its configuration: files, and directories they are taken from

    def path(self, path: str) -> str:
        """A path of the host below the root, unless it is there already."""
        if self.root in ("/", path) or path.startswith(self.root + "/"):
            return path
        return self.root + "/" + path.lstrip("/")

    def by_use(self, names: tuple[str, ...]) -> list[str]:
        """Names of programs, which are those of their services, the running ones first: two may be installed."""
        running = daemon.running(names) if self.root == "/" and len(names) > 1 else set()
        return sorted(names, key=lambda name: name not in running)

    def program(self) -> str:
        """The server's program, or an empty string; one that root must not run only where there is no other."""
        for safe in (True, False):
            for name in self.by_use(self.programs):
                found = shutil.which(name, path=search_path(safe))
                if found:
                    return found
        return ""

    def installed(self) -> bool:
        """Whether this kind is there; files that a removed package left behind are not enough on a real host."""
        return bool(self.program()) if self.root == "/" else os.path.exists(self.main())

    def version(self) -> str:
        """The version of the installed program ("2.4.62"), by running it; empty where it cannot or must not be run."""
        if not self._version and self.program():
            with contextlib.suppress(UnsafeProgramError):
                words = run([self.program(), "-v"]).output
                match = re.search(r"(?:nginx/|Apache/|version )(\d+(?:\.\d+)+)", words)
                self._version = match.group(1) if match else ""
        return self._version

    def service(self) -> str:
        """The name of the systemd unit."""
        for name in self.by_use(self.services):
            for directory in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"):
                if os.path.exists(self.path(f"{directory}/{name}.service")):
                    return name
        return self.services[0]

    def read_unit(self, name: str) -> list[str]:
        """All values of a setting of the unit and its drop-ins; the last one of a command counts."""
        directories = ("/lib/systemd/system", "/usr/lib/systemd/system", "/etc/systemd/system")
        units = [self.path(f"{directory}/{self.service()}.service") for directory in directories]
        units += [item for unit in units for item in sorted(glob.glob(f"{unit}.d/*.conf"))]
        return [line for path in units for line in re.findall(rf"^{name}=(.+)$", read_text(path), re.MULTILINE)]

    def running_arguments(self) -> list[str]:
        """The arguments of the server that runs on this host, as root or the user that we are; none without one.

        Of several the first: its configuration is the one that has the usual pid file, or none.
        """
        masters = daemon.find_masters(self.programs, "" if self.root == "/" else self.root)
        return daemon.arguments(masters[0]) if len(masters) == 1 else []

    def read_start(self, default: str) -> list[str]:
        """The words of the command with which the unit starts it, the last one's of all drop-ins."""
        return [default, *self.read_unit("ExecStart")][-1].replace("'", " ").replace('"', " ").split()

    def find_master(self) -> int:
        """The process of the pid file, else the only one of its programs that could be it; 0 for none."""
        found = daemon.read_pid(self.pid_file(), self.programs)
        masters = [] if found else daemon.find_masters(self.programs, "" if self.root == "/" else self.root)
        return masters[0] if len(masters) == 1 else found

    def validate(self) -> str:
        """Let the server check its whole configuration: its error message, or an empty string when there is none.

        :raises UnsafeProgramError: others could exchange the server's program.
        """
        argv, environment = self.test_command()
        done = run(argv, environment)
        return "" if done.code == 0 else done.output or f"{' '.join(argv)} ended with code {done.code}"

    def serves(self) -> bool:
        """Whether anything is left to listen on; a server that has nothing at all does not run."""
        return True

    def blames_managed(self, words: str) -> bool:
        """Whether the server's words about its configuration name a managed file."""
        return any(is_managed(path) for path in paths_in(words))

    @abc.abstractmethod
    def main(self) -> str:
        """The path of the main configuration file."""

    @abc.abstractmethod
    def read(self) -> Proxy:
        """What the configuration files say; what could not be followed is in ``notes``. Never raises."""

    def build_layout(self, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> DesiredLayout:
        """The files that make these virtual hosts, and take away those of the names in ``absent``.

        :raises ProxyError: what is asked cannot be had from this server, or the file to write is someone else's.
        """
        return WRITERS[self.kind](self, vhosts, absent, current)

    @abc.abstractmethod
    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """The command with which the server checks its configuration, and its environment."""

    @abc.abstractmethod
    def pid_file(self) -> str:
        """Where the server writes the process id of its master."""

    @abc.abstractmethod
    def loaded(self, master: int) -> float:
        """When the running server last loaded its configuration, in seconds since the epoch; 0 for unknown."""

    def is_outdated(self, master: int, paths: list[str]) -> bool:
        """Whether a running server loaded its configuration before one of these files changed."""
        loaded = self.loaded(master) if master else 0.0
        return bool(loaded) and daemon.find_newest(paths) - loaded > daemon.CLOCK_SLACK

    @abc.abstractmethod
    def reload_signal(self) -> int:
        """The signal that makes a master load its configuration gracefully."""

    def takes_signals(self, master: int) -> bool:
        """Whether a signal makes the running master load its configuration; else a new process takes its place."""
        return True

    def successor_arguments(self, master: int) -> list[str]:
        """What a new process is told so that it takes the place of another."""
        return []

    def gave_up(self, log: str) -> bool:
        """Whether the error log, since a reload, says that the server goes on with what it had."""
        return False

    def failed_reloads(self, master: int) -> int:
        """How many reloads the running server counts as failed."""
        return 0

    @abc.abstractmethod
    def error_log(self) -> str:
        """The file that the server writes its errors to, or an empty string."""


# By kind; filled by ``writers.register``, so that a module that only reads does not ship what writes.
WRITERS: dict[str, Callable[[Any, list[VhostPlan], list[str], Proxy], DesiredLayout]] = {}


def version_tuple(version: str) -> tuple[int, ...]:
    """A version as numbers; an unknown one is taken for a current one."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3]) or (99,)


def find_option(words: list[str], name: str) -> str:
    """What follows an option in a command, the first one's, also without a blank; "" where it has none."""
    for at, word in enumerate(words):
        if word == name and at + 1 < len(words):
            return words[at + 1]
        if word.startswith(name) and word[len(name) :].startswith("/"):
            return word[len(name) :]
    return ""


def read_text(path: str) -> str:
    """A file of the host as text; empty where it cannot be read."""
    try:
        return _files.read_bytes(path, 8 * 1024 * 1024).decode("utf-8", "surrogateescape")
    except RtcError:
        return ""


def is_managed(path: str) -> bool:
    """Whether the file at a path was written by this collection (its first lines say so)."""
    try:
        return MARK.encode() in _files.read_bytes(path)[:400]
    except RtcError:
        return False


def paths_in(words: str) -> list[str]:
    """The files that a message names."""
    found = []
    for word in words.replace("[", " ").replace("]", " ").split():
        path = word.strip("'\"(),;").split(":")[0]
        if path.startswith("/") and os.path.isfile(path):
            found.append(path)
    return found


def ca_file(vhost: VhostPlan, backend: Backend) -> str:
    """The file of authorities that an upstream's certificate is checked against.

    :raises ProxyError: none is named and the system has none.
    """
    if vhost.upstream_ca:
        return vhost.upstream_ca
    for path in CA_BUNDLES:
        if os.path.exists(backend.path(path)):
            return path
    raise ProxyError(
        f"{vhost.name}: there is no file of certificate authorities to check the upstream against.",
        "Name one in upstream_ca, or install the package ca-certificates.",
    )
