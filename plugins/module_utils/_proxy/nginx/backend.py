# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx: where its files are, what they say, and the managed ones."""

from __future__ import annotations

import os
import signal

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy, ProxyListen
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon, sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    Backend,
    DesiredFile,
    DesiredLayout,
    DesiredLink,
    ProxyError,
    ca_file,
    is_managed,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import (
    foreign_listens,
    join_listens,
    refuse_foreign,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser, reader, renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import has_tls_upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

_MAIN = "/etc/nginx/nginx.conf"


class Nginx(Backend):
    """nginx 1.18 and later, of Debian, of the RHEL family, or of nginx.org."""

    kind = "nginx"
    programs = ("nginx",)
    services = ("nginx",)

    def main(self) -> str:
        """The main file; distributions agree on its path."""
        return self.path(_MAIN)

    def parse_config(self) -> parser.NginxConfig:
        """The whole configuration, parsed."""
        return parser.parse(self.main(), self.path)

    def read(self) -> Proxy:
        """All servers."""
        config = self.parse_config()
        return Proxy("nginx", config=self.main(), hosts=reader.read_virtual_hosts(config), notes=config.notes)

    def build_layout(self, vhosts: list[VhostPlan], absent: list[str], current: Proxy) -> DesiredLayout:
        """One file for each virtual host, where this installation includes its sites from."""
        available, enabled = self._find_directories()
        result = DesiredLayout()
        managed = {f"{available}/{vhost.name}.conf" for vhost in vhosts}
        foreign = foreign_listens(current, managed)
        for vhost in vhosts:
            refuse_foreign(vhost, current)
            listens = join_listens(vhost, foreign)
            authorities = ca_file(vhost, self) if has_tls_upstream(vhost) else ""
            text = renderer.render(vhost, listens, authorities, self._find_access_logs())
            result.listens += [(_find_socket(address, vhost.port, foreign), vhost.port) for address in listens]
            path = f"{available}/{vhost.name}.conf"
            result.files.append(DesiredFile(path, text.encode()))
            result.configuration.append(path)
            if enabled:
                result.links.append(DesiredLink(f"{enabled}/{vhost.name}.conf", path))
        for name in absent:
            result.absent += [f"{enabled}/{name}.conf"] if enabled else []
            result.absent.append(f"{available}/{name}.conf")
        for path in [item.path for item in result.files] + result.absent:
            if os.path.exists(path) and not is_managed(path):
                raise ProxyError(f"{path} exists and was not written by this collection.", "Rename or remove it.")
        return result

    def _find_access_logs(self) -> list[list[str]]:
        """Arguments of each ``access_log`` of the http level; none where that is off."""
        http = next((item for item in self.parse_config().directives if item.name == "http"), None)
        found = [item.args for item in http.all("access_log") if item.args] if http else []
        if any(args[0] == "off" for args in found):
            return []
        return found or [[self.path(renderer.ACCESS_LOG)]]

    def _find_directories(self) -> tuple[str, str]:
        # Debian's pair of directories, where its nginx.conf still includes it; conf.d elsewhere (RHEL, nginx.org).
        included = [item.args[0] for item in parser.walk(self.parse_config().directives, "include") if item.args]
        available, enabled = self.path("/etc/nginx/sites-available"), self.path("/etc/nginx/sites-enabled")
        if any("sites-enabled/*" in item for item in included) and os.path.isdir(available):
            return available, enabled
        if included and not any("conf.d/*.conf" in item for item in included):
            raise ProxyError(
                f"{self.main()} includes neither sites-enabled/* nor conf.d/*.conf.",
                'Add "include /etc/nginx/conf.d/*.conf;" to its http block.',
            )
        if not included and not os.path.exists(self.main()):  # not installed yet: as Debian will have it
            return available, enabled
        return self.path("/etc/nginx/conf.d"), ""

    def test_command(self) -> tuple[list[str], dict[str, str]]:
        """``nginx -t`` reads all files, opens certificates and resolves names."""
        argv = [self.program() or "nginx", "-t", "-q"]
        return (argv if self.root == "/" else [*argv, "-c", self.main()]), {}

    def pid_file(self) -> str:
        """As the main file says."""
        found = next((item for item in self.parse_config().directives if item.name == "pid" and item.args), None)
        return self.path(found.args[0] if found else "/run/nginx.pid")

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


def _find_socket(address: str, port: int, foreign: list[ProxyListen]) -> str:
    """Where nginx listens for an address: it opens no socket for one where a ``listen`` for all has the port."""
    wide = (item.address for item in foreign if item.takes(port) and sockets.covers(item, address))
    return next((item for item in wide if sockets.is_wildcard(item)), address)
