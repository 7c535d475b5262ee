# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of nginx, Apache or HAProxy of the test data, and virtual hosts to write there."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply, registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "proxies"
KINDS = ("nginx", "apache", "haproxy")
NAME = "rtc.example.com"  # the test data serves other names


def plan(kind, **changes):
    values = {
        "site": "x",
        "kind": kind,
        "role": "rtc",
        "name": "rtc-confluence-9083",
        "server_name": NAME,
        "listen": ["192.0.2.10"],
        "port": 9083 if kind != "haproxy" else 9085,
        "upstreams": [{"scheme": "http", "host": "127.0.0.1", "port": 9083, "backup": False}],
        "certificate": "/etc/ssl/rtc.pem",
        "key": "/etc/ssl/rtc.key",
    }
    return VhostPlan(**{**values, **changes})


APPLICATION = {
    "role": "application",
    "name": "confluence",
    "port": 8443,
    "context_path": "/confluence",
    "synchrony": "127.0.0.1:8091",
    "upstreams": [{"scheme": "http", "host": "127.0.0.1", "port": 8090, "backup": False}],
}


class Host:
    """An installation of the test data, changed without any server."""

    def __init__(self, kind, root, monkeypatch, version=""):
        shutil.copytree(DATA / kind, root)
        if kind == "nginx":
            (root / "etc/nginx/sites-available").mkdir()
        if kind == "apache":
            (root / "etc/apache2/sites-available").mkdir()
            (root / "etc/apache2/mods-available").mkdir()
            depends = {
                "proxy_http": "proxy",
                "proxy_wstunnel": "proxy",
                "proxy_balancer": "proxy alias slotmem_shm",
                "lbmethod_bybusyness": "proxy_balancer",
                "lbmethod_byrequests": "proxy_balancer",
                "ssl": "setenvif mime socache_shmcb",
            }
            for name in (
                "proxy",
                "headers",
                "rewrite",
                "alias",
                "slotmem_shm",
                "setenvif",
                "mime",
                "socache_shmcb",
                *depends,
            ):
                text = f"# Depends: {depends[name]}\n" if name in depends else ""
                text += f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
                (root / f"etc/apache2/mods-available/{name}.load").write_text(text)
        (root / "etc/ssl").mkdir()
        for name in ("rtc.pem", "rtc.key"):
            (root / "etc/ssl" / name).write_text(f"{name}\n")
        self.kind, self.root = kind, root
        self.server = registry.make_backend(kind, str(root))
        monkeypatch.setattr(type(self.server), "version", lambda self: version)

    def write(self, *vhosts, absent=()):
        """Make it so, and return what the reader finds of ours."""
        vhosts = [self.local(item) for item in vhosts]
        desired = self.server.build_layout(vhosts, list(absent), self.server.read())
        for directory in desired.directories:
            os.makedirs(directory, exist_ok=True)
        for step in apply.find_differences(desired):
            step.apply()
        self.desired = desired
        return [host for host in self.server.read().hosts if host.managed]

    def local(self, vhost):
        paths = {
            name: self.server.path(getattr(vhost, name)) for name in ("certificate", "key") if getattr(vhost, name)
        }
        return dataclasses.replace(vhost, **paths)

    def text(self):
        return "".join(Path(path).read_text() for path in self.desired.configuration)


ACTIVE = [
    {"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": False, "label": label}
    for end, label in ((20, "84a0076d"), (21, "65bcb7b8"))
]
