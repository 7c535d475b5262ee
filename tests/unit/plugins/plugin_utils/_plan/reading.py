# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of a virtual host on RTC's port 9083 that was read only: nobody asked its daemon."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible_collections.collab.rtc.plugins.module_utils._facts import Proxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser as apache_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import reader as apache_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser as haproxy_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import reader as haproxy_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser as nginx_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import reader as nginx_reader
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import existing_vhosts, passing, routing

NAME, PORT = "wiki.example.com", 9083


def read(kind, path, text):
    path.write_text(text, encoding="utf-8")
    if kind == "nginx":
        return nginx_reader.read_virtual_hosts(nginx_parser.parse(str(path)))
    if kind == "haproxy":
        return haproxy_reader.read_virtual_hosts(haproxy_parser.parse([str(path)]))
    options = apache_parser.ParserOptions(str(path.parent), every_module=True, version="2.4.71")
    return apache_reader.read_virtual_hosts(apache_parser.parse(str(path), options))


def judge(kind, path, text, name=NAME, tls=False):
    """ "right", "unknown", or the ids of what is wrong, of each virtual host that serves the name; "" for none."""
    proxy = Proxy(kind, hosts=read(kind, path, text))
    facts: Any = SimpleNamespace(hostname="wiki1", addresses=["192.0.2.10"], resolves={}, proxies=[proxy])
    routes = routing.RouteIndex({"wiki1": facts}).find_routes("wiki1", facts, PORT)
    site = SimpleNamespace(server_name=name, rtc_port=PORT, protocol="HTTPS" if tls else "HTTP")
    classified: Any = SimpleNamespace(site=site, tls=tls)
    use: Any = SimpleNamespace(proxy=proxy, kind=kind, rtc=routes, local=True, host="wiki1")
    said = []
    for item in existing_vhosts._find_candidates(classified, use, PORT, routes):
        verdict = passing.judge(classified, use, item, [PORT])
        said.append("right" if verdict.right else " ".join(verdict.faults) or "unknown")
    return ", ".join(said)
