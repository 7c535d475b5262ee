# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apache httpd: where its files are, what they say, and the managed ones."""

from __future__ import annotations

import os
import re
import signal

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser, reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend, find_option


class Apache(Backend):
    """Apache httpd 2.4 of Debian (``apache2``) or of the RHEL family (``httpd``)."""

    kind = "apache"
    programs = ("apache2", "httpd")
    services = ("apache2", "httpd")
    _main = ""

    def debian(self) -> bool:
        """Whether the layout is Debian's; it is what an installation that is still to come will have."""
        if os.path.exists(self.path("/etc/httpd/conf/httpd.conf")):
            return self.root == "/" and os.path.basename(self.program()) == "apache2"
        return True

    def directory(self) -> str:
        """The directory that relative paths of the configuration start from."""
        return self.path("/etc/apache2" if self.debian() else "/etc/httpd")

    def main(self) -> str:
        """The main file: that of the running server (``-f``), else as the distribution has it."""
        if not self._main:
            named = find_option(self.running_arguments(), "-f")
            self._main = self.path(os.path.join(self.directory(), named)) if named else self._default()
        return self._main

    def _default(self) -> str:
        if not self.debian():
            return f"{self.directory()}/conf/httpd.conf"
        usual, other = f"{self.directory()}/apache2.conf", f"{self.directory()}/httpd.conf"  # Alpine, SUSE
        return other if os.path.exists(other) and not os.path.exists(usual) else usual

    def parser_options(self, modules: set[str] | None = None) -> parser.ParserOptions:
        """What reading starts with, with further modules taken as loaded."""
        directory = self.directory()
        environment = parser.environment(f"{directory}/envvars", directory)
        settings = parser.environment(self.path("/etc/sysconfig/httpd"), directory)
        arguments = f"{environment.get('APACHE_ARGUMENTS', '')} {settings.get('OPTIONS', '')}"
        return parser.ParserOptions(
            directory,
            environment,
            self.version(),
            modules or set(),
            locate=self.path,
            defines=re.findall(r"-D\s*(\w+)", arguments),
        )

    def parse_config(self, modules: set[str] | None = None) -> parser.ApacheConfig:
        """The whole configuration, parsed."""
        return parser.parse(self.main(), self.parser_options(modules))

    def read(self) -> Proxy:
        """All virtual hosts."""
        config = self.parse_config()
        self.sources = config.sources
        hosts, opened = reader.read_virtual_hosts(config), reader.read_listens(config)
        return Proxy("apache", config=self.main(), hosts=hosts, sockets=opened, notes=config.notes)

    def serves(self) -> bool:
        """httpd ends without a ``Listen``."""
        return bool(reader.read_listens(self.parse_config()))

    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """``apache2ctl -t`` reads all files and opens certificates."""
        if self.main() == f"{self.directory()}/apache2.conf":
            control = f"{os.path.dirname(self.program())}/apache2ctl" if self.program() else "apache2ctl"
            return [control, "-t"], {} if self.root == "/" else {"APACHE_CONFDIR": self.directory()}
        argv = [self.program() or "httpd", "-t"]
        usual = self.root == "/" and self.main() == self._default()
        return (argv if usual else [*argv, "-d", self.directory(), "-f", self.main()]), {}

    def pid_file(self) -> str:
        """As the main file says, with the variables of ``envvars``."""
        found = [item.args[0] for item in self.parse_config().directives if item.name == "pidfile" and item.args]
        default = "/run/apache2/apache2.pid" if self.debian() else "/run/httpd/httpd.pid"
        path = found[-1] if found and "${" not in found[-1] else default
        return self.path(path if path.startswith("/") else f"{self.directory()}/{path}")

    def loaded(self, master: int) -> float:
        """The time of the pid file: httpd writes it anew at each start and each graceful restart (``ap_log_pid``)."""
        try:
            return os.stat(self.pid_file()).st_mtime
        except OSError:
            return 0.0

    def reload_signal(self) -> int:
        """A graceful restart: children end when they have served what they serve."""
        return signal.SIGUSR1

    def error_log(self) -> str:
        """The main server's."""
        found = [item.args[0] for item in self.parse_config().directives if item.name == "errorlog" and item.args]
        path = found[-1] if found else ""
        return self.path(path) if path.startswith("/") and "${" not in path else ""
