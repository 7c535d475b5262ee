# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy: where its files are, what they say, and the managed block.

HAProxy has no include. Which files it reads is on its command line: where that names a directory (the RHEL family), the
managed part is a file of its own there. Elsewhere (Debian) it is a block in ``haproxy.cfg`` between two marks: a
further ``-f`` would need a restart, which cuts everybody's connections, while a block comes with a graceful reload.
"""

from __future__ import annotations

import glob
import os
import re
import signal

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend, read_text
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser, reader

BLOCK = re.compile(r"\n?# BEGIN collab\.rtc\.[^\n]*\n(.*?)# END collab\.rtc[^\n]*\n?", re.DOTALL)
MARKED = "# BEGIN collab.rtc"
_NO_LISTENER = "no error but will not start (no listener)"


class Haproxy(Backend):
    """HAProxy 2.2 and later."""

    kind = "haproxy"
    programs = ("haproxy",)
    services = ("haproxy",)
    rebinds = True  # with SO_REUSEPORT

    def settings(self) -> dict[str, str]:
        """The variables of the service: those of the distributions' files for it."""
        values = {"CONFIG": "/etc/haproxy/haproxy.cfg", "CFGDIR": "/etc/haproxy/conf.d", "EXTRAOPTS": "", "OPTIONS": ""}
        for line in self.read_unit("Environment"):
            values.update(re.findall(r"[\"']?(\w+)=([^\"'\s]*)", line))
        for path in ("/etc/default/haproxy", "/etc/sysconfig/haproxy"):
            for match in re.finditer(r"^\s*(\w+)=(.*)$", read_text(self.path(path)), re.MULTILINE):
                values[match.group(1)] = match.group(2).strip().strip("\"'")
        return values

    def environment(self) -> dict[str, str]:
        """The variables of the running process; where there is none those of its service's settings."""
        master = self.find_master()
        running = daemon.environment(master) if master else {}
        return parser.ProcessEnvironment(running) if running else self.settings()

    def parse_config(self) -> parser.HaproxyConfig:
        """All files, parsed."""
        return parser.parse(self.files(), self.environment())

    def main(self) -> str:
        """The first file that it reads."""
        return next(item for item in [*self.arguments(), self._default()] if not os.path.isdir(item))

    def _default(self) -> str:
        return self.path(self.settings()["CONFIG"])

    def arguments(self) -> list[str]:
        """The paths of all ``-f``: of the running process, else of the unit and its settings."""
        master = self.find_master()
        found = _find_named_files(daemon.command_line(master)) if master else []
        if found:
            return [self.path(os.path.join(daemon.directory(master), item)) for item in found]
        values = self.settings()
        command = ["haproxy -f $CONFIG $EXTRAOPTS", *self.read_unit("ExecStart")][-1]
        command = re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], ""), command)
        return [self.path(item) for item in _find_named_files(command.split())] or [self._default()]

    def files(self) -> list[str]:
        """All files that it reads; of a directory those that end in ``.cfg``, in order."""
        found: list[str] = []
        for path in self.arguments():
            found += sorted(glob.glob(f"{path}/*.cfg")) if os.path.isdir(path) else [path]
        return found

    def managed_file(self) -> tuple[str, str]:
        """The file that holds the managed block, and what it holds now ("" for a file that is not there yet)."""
        for path in self.files():
            text = read_text(path)
            if MARKED in text:
                return path, text
        for path in self.arguments():
            if os.path.isdir(path):
                return f"{path}/collab-rtc.cfg", read_text(f"{path}/collab-rtc.cfg")
        return self.main(), read_text(self.main())

    def read(self) -> Proxy:
        """All frontends."""
        config = self.parse_config()
        self.sources = [*config.sources, *filter(os.path.isdir, self.arguments())]
        hosts = reader.read_virtual_hosts(config)
        path, text = self.managed_file()
        first, last = locate_block(text)
        for host in hosts:
            host.managed = host.file == path and first <= host.line <= last
        return Proxy("haproxy", config=self.main(), hosts=hosts, notes=config.notes)

    def serves(self) -> bool:
        """HAProxy ends without any listener; a statistics socket is one."""
        return _NO_LISTENER not in super().validate()

    def validate(self) -> str:
        """As every server does; but a configuration that only lacks a listener, as Debian delivers it, is in order."""
        words = super().validate()
        return "" if _NO_LISTENER in words else words

    def blames_managed(self, words: str) -> bool:
        """Whether the server's words name a line of the managed block."""
        path, text = self.managed_file()
        first, last = locate_block(text)
        numbers = re.findall(re.escape(path) + r":(\d+)", words)
        return any(first <= int(number) <= last for number in numbers)

    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """``haproxy -c`` with the files and the variables of the service."""
        named = [word for path in self.arguments() for word in ("-f", path)]
        used = {name for path in self.files() for name in re.findall(r"\$\{?(\w+)", read_text(path))}
        # Those of its own (HAPROXY_MWORKER_REEXEC) would make it a worker.
        known = self.environment().items()
        values = {name: value for name, value in known if name in used and not name.startswith("HAPROXY_")}
        return [self.program() or "haproxy", "-c", *named], values

    def pid_file(self) -> str:
        """Where the units of the distributions let it write."""
        return self.path(self.settings().get("PIDFILE", "/run/haproxy.pid"))

    def loaded(self, master: int) -> float:
        """The start of the newest worker: each reload makes one, and the old ones stay while they have connections."""
        found = [start for _pid, start, _command in daemon.children(master)]
        if found:
            return max(found)
        return 0.0 if self.takes_signals(master) else daemon.started(master)

    def takes_signals(self, master: int) -> bool:
        """Only as master and worker; without, SIGUSR2 would end it."""
        words = daemon.command_line(master)
        sections = () if {"-W", "-Ws"} & set(words) else self.parse_config().sections
        return not sections or any(next(item.all("master-worker"), None) for item in sections if item.kind == "global")

    def failed_reloads(self, master: int) -> int:
        """It tells itself when it starts anew, since 2.5; a reload that succeeds sets it to 0."""
        found = re.search(r"\|type=m;[^|]*failedreloads=(\d+)", daemon.environment(master).get("HAPROXY_PROCESSES", ""))
        return int(found[1]) if found else 0

    def successor_arguments(self, master: int) -> list[str]:
        """The new process takes the sockets and lets the old one finish."""
        return ["-sf", str(master)]

    def reload_signal(self) -> int:
        """The master starts a new worker, the old one ends with its last connection."""
        return signal.SIGUSR2

    def error_log(self) -> str:
        """It has none of its own; the journal has its words."""
        return ""


def _find_named_files(arguments: list[str]) -> list[str]:
    return [value for word, value in zip(arguments, arguments[1:]) if word == "-f"]


def locate_block(text: str) -> tuple[int, int]:
    match = BLOCK.search(text)
    if not match:
        return 0, -1
    return text.count("\n", 0, match.start()) + 1, text.count("\n", 0, match.end() - 1) + 1
