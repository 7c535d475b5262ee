# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx: where its files are, what they say, and the managed ones."""

from __future__ import annotations

import os
import signal

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
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

    def main(self) -> str:
        """The main file: that of the running master or its unit (``-c``), else the one that distributions agree on."""
        if not self._main:
            words = [*self.running_arguments(), *self.read_start(_START)]
            named = os.path.join(find_option(words, "-p"), find_option(words, "-c"))
            self._main = self.path(named if find_option(words, "-c") and named.startswith("/") else _MAIN)
        return self._main

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
        # Below the directory that it was started with (-p), where the main file does not say it from the root.
        return self.path(os.path.join(find_option(self.running_arguments(), "-p"), found.args[0] if found else _PID))

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
