# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the three proxy servers have in common: words, limits and the interface of a kind.

A kind is one subclass of :class:`Backend`: it reads the server's configuration, renders virtual hosts for it, and knows
how the server's own program checks a configuration and when it last loaded one.
"""

from __future__ import annotations

import abc
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

from ansible_collections.collab.rtc.plugins.module_utils import _files
from ansible_collections.collab.rtc.plugins.module_utils._errors import RtcError
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

MARK = "Managed by collab.rtc"
# The add-on's service pings every 25 s and gives up 60 s later (netty-socketio's defaults). Whatever is idle for less than
# this long must never be cut by a proxy; an hour also outlives a suspended notebook's short naps.
TUNNEL_SECONDS = 3600
# One long poll lasts a ping interval and its timeout at most.
POLL_SECONDS = 120
# An export or a bulk change of Confluence or Jira may take minutes before its first byte.
APPLICATION_SECONDS = 300
CONNECT_SECONDS = 10
APPLICATION_BODY_MB = 100
RTC_BODY_MB = 16

# "Intermediate" of Mozilla's Server Side TLS guidelines 5.7, for TLS 1.2; TLS 1.3 has only good suites.
CIPHERS = ":".join(
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "DHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",
        "DHE-RSA-CHACHA20-POLY1305",
    ]
)
CIPHERSUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

# What the distributions call the file with all certificate authorities they trust.
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

COMMAND_SECONDS = 60


class ProxyError(RtcError):
    """The proxy server refuses something, or must not be changed as asked."""


@dataclass
class File:
    """A file as it shall be."""

    path: str
    data: bytes
    mode: int = 0o644
    secret: bool = False  # never shown in a diff


@dataclass
class Link:
    """A symbolic link as it shall be."""

    path: str
    target: str


@dataclass
class Desired:
    """Everything that one change of a proxy server leaves behind; applied in this order."""

    directories: list[str] = field(default_factory=list)  # made with mode 0700 where missing
    files: list[File] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  # our files and links
    modules: list[str] = field(default_factory=list)  # of Apache: those that are switched on by this change
    listens: list[tuple[str, int]] = field(default_factory=list)  # addresses and ports that must be had afterwards
    origins: dict[tuple[str, int], str] = field(default_factory=dict)  # of those that are not ours: "file:line"
    configuration: list[str] = field(default_factory=list)  # paths of the configuration files that hold the hosts


@dataclass
class Command:
    """What a command said."""

    code: int
    output: str  # standard output and error together


def run(argv: list[str], environment: dict[str, str] | None = None) -> Command:
    """Run a program of the host; a program that is missing or hangs is a result too, never an exception."""
    values = dict(os.environ, LC_ALL="C", **(environment or {}))
    try:
        done = subprocess.run(
            argv,
            env=values,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Command(124, f"{argv[0]} did not answer within {COMMAND_SECONDS} seconds")
    except OSError as exc:
        return Command(127, f"{argv[0]}: {exc.strerror}")
    return Command(done.returncode, done.stdout.decode("utf-8", "replace").strip())


class Backend(abc.ABC):
    """A kind of proxy server on a host, or below another root directory for tests."""

    kind = ""
    programs: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    rebinds = False  # a reload can bind one address where the running server has all, or the other way round

    def __init__(self, root: str = "/") -> None:
        self.root = os.path.abspath(root or "/")
        self._version = ""

    def path(self, path: str) -> str:
        """A path of the host below the root, unless it is there already."""
        if self.root in ("/", path) or path.startswith(self.root + "/"):
            return path
        return self.root + "/" + path.lstrip("/")

    def program(self) -> str:
        """The server's program, or an empty string."""
        search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin"])
        for name in self.programs:
            found = shutil.which(name, path=search)
            if found:
                return found
        return ""

    def installed(self) -> bool:
        """Whether this kind is there; files that a removed package left behind are not enough on a real host."""
        return bool(self.program()) if self.root == "/" else os.path.exists(self.main())

    def version(self) -> str:
        """The version of the installed program ("2.4.62"), by running it; empty where it cannot be run."""
        if not self._version and self.program():
            match = re.search(r"(?:nginx/|Apache/|version )(\d+(?:\.\d+)+)", run([self.program(), "-v"]).output)
            self._version = match.group(1) if match else ""
        return self._version

    def service(self) -> str:
        """The name of the systemd unit."""
        for name in self.services:
            for directory in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"):
                if os.path.exists(self.path(f"{directory}/{name}.service")):
                    return name
        return self.services[0]

    def validate(self) -> str:
        """Let the server check its whole configuration: its own words, or an empty string when it is content."""
        argv, environment = self.test_command()
        done = run(argv, environment)
        return "" if done.code == 0 else done.output or f"{' '.join(argv)} ended with code {done.code}"

    def serves(self) -> bool:
        """Whether anything is left to listen on; a server that has nothing at all does not run."""
        return True

    def blames_us(self, words: str) -> bool:
        """Whether the server's words about its configuration name a file of ours."""
        return any(our_text(path) for path in paths_in(words))

    @abc.abstractmethod
    def main(self) -> str:
        """The path of the main configuration file."""

    @abc.abstractmethod
    def read(self) -> Proxy:
        """What the configuration files say; what could not be followed is in ``notes``. Never raises."""

    @abc.abstractmethod
    def desired(self, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> Desired:
        """The files that make these virtual hosts, and take away those of the names in ``absent``.

        :raises ProxyError: what is asked cannot be had from this server, or a file of ours is someone else's.
        """

    @abc.abstractmethod
    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """The command with which the server checks its configuration, and its environment."""

    @abc.abstractmethod
    def pid_file(self) -> str:
        """Where the server writes the process id of its master."""

    @abc.abstractmethod
    def loaded(self, master: int) -> float:
        """When the running server last loaded its configuration, in seconds since the epoch; 0 for unknown."""

    @abc.abstractmethod
    def reload_signal(self) -> int:
        """The signal that makes a master load its configuration gracefully."""

    def gave_up(self, log: str) -> bool:
        """Whether the error log, since a reload, says that the server goes on with what it had."""
        return False

    @abc.abstractmethod
    def error_log(self) -> str:
        """The file that the server writes its errors to, or an empty string."""


def version_tuple(version: str) -> tuple[int, ...]:
    """A version as numbers; an unknown one is taken for a current one."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3]) or (99,)


def our_text(path: str) -> bool:
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


def header(vhost: VhostPlan) -> str:
    """The first lines of a file of ours."""
    what = "collaboration service (RTC)" if vhost.role == "rtc" else "application"
    return (
        f"# {MARK}: {what} of {vhost.server_name}, port {vhost.port}.\n"
        "# Changes made here are lost at the next run of the playbook.\n"
    )


def identifier(name: str) -> str:
    """A name that every configuration language takes for a variable or a section."""
    signs = {"-": "_", ".": "__", "_": "___"}  # "rtc-a", "rtc.a" and "rtc_a" stay three names
    return "collab_" + re.sub(r"[^A-Za-z0-9]", lambda found: signs.get(found[0], "_"), name)


def bracket(host: str) -> str:
    """A host as it stands before a port: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


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
