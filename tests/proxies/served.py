# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real server with an application behind it, which somebody uses while RTC is added; sockets of strangers."""

from __future__ import annotations

import contextlib
import socket
import threading

from proxies.bench import NAME, Client, free_port

from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon, registry

EXTERNAL = "127.0.2.1"


class Served:
    def __init__(self, server, upstream, run_module):
        self.daemon, self.run_module = server, run_module
        self.application, self.rtc = upstream(name="tomcat"), upstream(name="rtc")
        self.port, self.rtc_port = free_port(), free_port()
        target = f"127.0.0.1:{self.application.port}"
        if server.kind == "nginx":
            server.write(
                "/etc/nginx/conf.d/app.conf",
                f"server {{ listen {EXTERNAL}:{self.port}; location / {{ proxy_pass http://{target}; }} }}\n",
            )
        elif server.kind == "apache":
            for name in ("proxy", "proxy_http"):
                link = server.root / f"etc/apache2/mods-enabled/{name}.load"
                if not link.exists():
                    link.symlink_to(f"../mods-available/{name}.load")
            server.write(
                "/etc/apache2/sites-enabled/app.conf",
                f"Listen {EXTERNAL}:{self.port}\n<VirtualHost *:{self.port}>\nProxyPass / http://{target}/\n"
                "</VirtualHost>\n",
            )
        else:
            with open(server.config, "a") as file:
                file.write(f"\nlisten app\n    bind {EXTERNAL}:{self.port}\n    server x {target}\n")

    def run(self, **changes):
        vhost = {
            "kind": self.daemon.kind,
            "name": "rtc-confluence",
            "role": "rtc",
            "server_name": NAME,
            "listen": [EXTERNAL],
            "port": self.rtc_port,
            "upstreams": [self.rtc.entry()],
            **changes,
        }
        return self.run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(self.daemon.root)})

    def add(self, text, http=""):
        """Lines of somebody else: at the top level, and for nginx in http."""
        if self.daemon.kind == "nginx":
            self.daemon.write("/etc/nginx/conf.d/other.conf", http or text)
        elif self.daemon.kind == "apache":
            self.daemon.write("/etc/apache2/sites-enabled/other.conf", text)
        else:
            with open(self.daemon.config, "a") as file:
                file.write("\n" + text)

    def ask(self):
        """Who answers for the application."""
        return Client(EXTERNAL, self.port).json("/confluence/")["name"]

    def read_files(self):
        return {path: path.read_bytes() for path in self.daemon.root.joinpath("etc").rglob("*") if path.is_file()}

    def master(self):
        return daemon.read_pid(str(self.daemon.pid_file()), registry.BACKENDS[self.daemon.kind].programs)


@contextlib.contextmanager
def hold(address, port, reuse=False, dual=False, udp=False):
    """Another process's socket, in this one."""
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
        sock.bind((address, port))
        if not udp:
            sock.listen()
        yield sock


class User(threading.Thread):
    """Somebody who uses the application through the server all the time."""

    def __init__(self, served):
        super().__init__(daemon=True)
        self.served, self.answers, self.failures, self.done = served, 0, [], threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.join()

    def run(self):
        while not self.done.wait(0.02):  # a pace that leaves the machine to the others
            try:
                assert self.served.ask() == "tomcat"
                self.answers += 1
            except Exception as exc:
                self.failures.append(repr(exc))
