# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx: where its files are, what they say, and the managed ones."""

from __future__ import annotations

import contextlib
import os
import signal

from ansible_collections.collab.rtc.plugins.module_utils._commands import run
from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._ownership import UnsafeProgramError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend, find_option
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser, reader

_MAIN = "/etc/nginx/nginx.conf"
_PID = "/run/nginx.pid"
_START = "/usr/sbin/nginx"


class Nginx(Backend):
    """nginx 1.18 and later, of Debian, of the RHEL family, or of nginx.org."""

    kind = "nginx"
    programs = ("nginx",)
    services = ("nginx",)
    joins = True
    _main = ""
    _build: str | None = None

    def main(self) -> str:
        """The main file: that of the running master or its unit (``-c``), else the one that the program was built with,
        else the one that distributions agree on."""
        if not self._main:
            words = [*self.running_arguments(), *self.read_start(_START)]
            named = find_option(words, "-c") or self._find_built("--conf-path=", "conf/nginx.conf", _MAIN)
            whole = os.path.join(self._find_prefix(words), named)
            self._main = self.path(whole if whole.startswith("/") else _MAIN)
        return self._main

    def read_build(self) -> str:
        """What ``nginx -V`` says: with which options the program was built. Empty where it cannot or must not be run,
        and for the nginx of another root."""
        if self._build is None:
            self._build = ""
            if self.root == "/" and self.program():
                with contextlib.suppress(UnsafeProgramError):
                    words = run([self.program(), "-V"]).output
                    self._build = words if "configure arguments:" in words else ""
        return self._build

    def _find_built(self, option: str, default: str, unknown: str) -> str:
        """The value of an option that the program was built with: where it was not given, what ``configure`` takes; and
        another one where that cannot be told."""
        words = self.read_build().split()
        found = next((word[len(option) :] for word in words if word.startswith(option)), default)
        return found if words else unknown

    def _find_prefix(self, arguments: list[str]) -> str:
        """What relative paths are below: as it was started (``-p``) or built; "" where that is unknown."""
        return find_option(arguments, "-p") or self._find_built("--prefix=", "/usr/local/nginx", "")

    def parse_config(self) -> parser.NginxConfig:
        """The whole configuration, parsed."""
        return parser.parse(self.main(), self.path)

    def read(self) -> Proxy:
        """All servers."""
        config = self.parse_config()
        self.sources = config.sources
        return Proxy("nginx", config=self.main(), hosts=reader.read_virtual_hosts(config), notes=config.notes)

    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """``nginx -t`` reads all files, opens certificates and resolves names."""
        argv = [self.program() or "nginx", "-t", "-q"]
        prefix = find_option(self.running_arguments(), "-p")
        argv += ["-p", prefix] if prefix else []
        return (argv if self.main() == _MAIN else [*argv, "-c", self.main()]), {}

    def pid_file(self) -> str:
        """As the main file says."""
        found = next((item for item in self.parse_config().directives if item.name == "pid" and item.args), None)
        named = found.args[0] if found else self._find_built("--pid-path=", "logs/nginx.pid", _PID)
        return self.path(os.path.join(self._find_prefix(self.running_arguments()), named))

    def loaded(self, master: int) -> float:
        """The start of the oldest worker that is not on its way out: a reload replaces them all."""
        found = [
            start
            for _pid, start, command in daemon.children(master)
            if "worker process" in command and "shutting down" not in command
        ]
        return min(found) if found else 0.0

    def reload_signal(self) -> int:
        """Start new workers with the new configuration, let the old ones finish."""
        return signal.SIGHUP

    def gave_up(self, log: str) -> bool:
        """It tries five times to bind an address; any other emergency is final at once."""
        return "still could not bind" in log or any(
            "[emerg]" in line and "bind()" not in line for line in log.splitlines()
        )

    def error_log(self) -> str:
        """The last ``error_log`` of the main level."""
        found = [item.args[0] for item in self.parse_config().directives if item.name == "error_log" and item.args]
        path = found[-1] if found else "/var/log/nginx/error.log"
        return self.path(path) if path.startswith("/") else ""
