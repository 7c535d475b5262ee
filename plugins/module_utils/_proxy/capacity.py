# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many connections of clients the three servers pass on at the same time, by their limits.

A WebSocket, or a long poll, takes as long as it lives: of nginx two of ``worker_connections`` and two descriptors, of
Apache httpd a thread or process (``mod_proxy`` waits in it), of HAProxy one of ``maxconn`` and two descriptors.
"""

from __future__ import annotations

import os
import re

from ansible_collections.collab.rtc.plugins.module_utils._facts import ProxyCapacity
from ansible_collections.collab.rtc.plugins.module_utils._proxy import daemon
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.backend import Apache
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache.parser import ApacheConfig
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import Backend
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.backend import Haproxy
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy.parser import HaproxyConfig, Line, Section
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.backend import Nginx
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx.parser import NginxConfig
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive

# Descriptors that a process has besides: logs, events, pipes, modules.
_OWN_DESCRIPTORS = 10
# What HAProxy sets aside of them for polling, logs and checks.
_HAPROXY_DESCRIPTORS = 30
_SIZES = {"worker": (16, 25), "event": (16, 25)}  # ServerLimit, ThreadsPerChild by default; prefork has 256 processes
_THREAD_LIMIT, _PREFORK = 64, 256


def measure(server: Backend) -> ProxyCapacity | None:
    """Of a server on this host, as its files and its processes have it."""
    descriptors = _find_descriptors(server, hard=isinstance(server, Haproxy))
    if isinstance(server, Nginx):
        config = server.parse_config()
        opened = {(item.address, item.port) for host in server.read().hosts for item in host.listens}
        return read_nginx(config, os.cpu_count() or 1, descriptors, len(opened))
    if isinstance(server, Apache):
        return read_apache(server.parse_config(), descriptors)
    return read_haproxy(server.parse_config(), descriptors) if isinstance(server, Haproxy) else None


def _find_descriptors(server: Backend, hard: bool) -> int:
    """How many files a process may have open, or may raise that to: the running one, else by its unit; 0: unknown."""
    master = server.find_master()
    if master:
        return daemon.descriptors(master, hard)
    named = [item.split(":")[-1 if hard else 0] for item in server.read_unit("LimitNOFILE")]
    return int(named[-1]) if named and named[-1].isdigit() else 0


class _Limits:
    """Directives as numbers, the last of a name, with their places for people."""

    def __init__(self, found: list[Directive]) -> None:
        self.found = {item.name: item for item in found if item.args}
        self.lines: list[str] = []
        self.settings: dict[str, int] = {}
        self.file = ""

    def read(self, name: str, default: int, shown: str = "") -> int:
        """The value of a directive; the default where there is none, or where it is no number."""
        item = self.found.get(name.lower())
        text = item.args[0] if item else ""
        value = int(text) if text.isdigit() else default
        place = f"{item.file}:{item.line}" if item and text.isdigit() else "default"
        self.file = self.file or (item.file if item and text.isdigit() else "")
        self.lines.append(f"{shown or name} {value} ({place})")
        self.settings[shown or name] = value
        return value


def read_nginx(config: NginxConfig, processors: int, descriptors: int, sockets: int) -> ProxyCapacity:
    """``worker_processes`` times half of ``worker_connections``, without those of listening sockets and of the master.

    :param processors: of the host, which ``auto`` stands for.
    :param descriptors: that a process may have open; 0: unknown.
    :param sockets: on which nginx listens.
    """
    events = next((item for item in config.directives if item.name == "events"), None)
    limits = _Limits([*config.directives, *((events.block or []) if events else [])])
    auto = any(item.name == "worker_processes" and item.args == ["auto"] for item in config.directives)
    workers = limits.read("worker_processes", processors if auto else 1)
    connections = limits.read("worker_connections", 512)
    descriptors = (
        limits.read("worker_rlimit_nofile", descriptors) if "worker_rlimit_nofile" in limits.found else descriptors
    )
    each = (connections - sockets - 1) // 2
    if descriptors:
        each = min(each, (descriptors - sockets - _OWN_DESCRIPTORS) // 2)
        limits.lines.append(f"{descriptors} descriptors for each process")
    file = config.files[0] if config.files else ""
    return ProxyCapacity(workers * max(each, 0), limits.lines, limits.settings, file, descriptors)


def read_apache(config: ApacheConfig, descriptors: int) -> ProxyCapacity | None:
    """``MaxRequestWorkers``, as the loaded MPM takes it; None for an MPM that is not known."""
    loaded = [
        match[1] for name in sorted(config.modules) for match in [re.fullmatch(r"mpm_(\w+)_module", name)] if match
    ]
    mpm = loaded[0] if len(loaded) == 1 else ""
    limits = _Limits(_list_directives(config.directives))
    old = "maxclients" if "maxclients" in limits.found and "maxrequestworkers" not in limits.found else ""
    name = old or "MaxRequestWorkers"
    if mpm == "prefork":
        processes = limits.read("ServerLimit", _PREFORK)
        connections = min(limits.read(name, _PREFORK, "MaxRequestWorkers"), processes)
        each = 1
    elif mpm in _SIZES:
        processes, threads = _SIZES[mpm]
        processes = limits.read("ServerLimit", processes)
        each = min(limits.read("ThreadsPerChild", threads), limits.read("ThreadLimit", _THREAD_LIMIT))
        wanted = limits.read(name, processes * each, "MaxRequestWorkers")
        # set_max_workers and event_check_config: whole processes only, one at least, ServerLimit of them at most.
        connections = min(max(wanted // each, 1), processes) * each
    else:
        return None
    if descriptors and each > 1:
        fits = max((descriptors - _OWN_DESCRIPTORS) // 2, 0)
        connections = connections // each * min(each, fits)
        limits.lines.append(f"{descriptors} descriptors for each process")
    limits.lines.append(f"MPM {mpm}")
    return ProxyCapacity(connections, limits.lines, limits.settings, limits.file or _find_mpm_file(config), descriptors)


def _find_mpm_file(config: ApacheConfig) -> str:
    found = [
        item.file
        for item in config.directives
        if item.name == "loadmodule" and item.args[:1] and "mpm_" in item.args[0]
    ]
    name = found[0].replace(".load", ".conf") if found else ""
    return name if name in config.files else (config.files[0] if config.files else "")


def _list_directives(directives: list[Directive]) -> list[Directive]:
    return [item for item in directives if item.block is None]


def read_haproxy(config: HaproxyConfig, descriptors: int) -> ProxyCapacity:
    """``maxconn`` of ``global``, else what the descriptors carry (``compute_ideal_maxconn``).

    :param descriptors: that a process may raise its limit to (the hard one); 0: unknown.
    """
    lines, settings = [], {}
    sections = [item for item in config.sections if item.kind == "global"]
    given = _find_number(sections, "maxconn")
    if given:
        connections = settings["maxconn"] = int(given.words[1])
        lines.append(f"global maxconn {connections} ({given.file}:{given.line})")
    else:
        hard = _find_number(sections, "fd-hard-limit")
        if hard:
            descriptors = min(descriptors or int(hard.words[1]), int(hard.words[1]))
            lines.append(f"fd-hard-limit {hard.words[1]} ({hard.file}:{hard.line})")
        connections = max((descriptors - _HAPROXY_DESCRIPTORS) // 2, 0)
        lines.append(f"global maxconn {connections} (default, from {descriptors} descriptors)")
    other = _find_number([item for item in config.sections if item.kind == "defaults"][-1:], "maxconn")
    if other:
        settings["defaults maxconn"] = int(other.words[1])
        lines.append(f"defaults maxconn {other.words[1]} ({other.file}:{other.line}), for frontends of others")
    return ProxyCapacity(connections, lines, settings, config.files[0] if config.files else "", descriptors)


def _find_number(sections: list[Section], keyword: str) -> Line | None:
    """The last line of a keyword that has a number."""
    found = [line for item in sections for line in item.all(keyword) if line.words[1:2] and line.words[1].isdigit()]
    return found[-1] if found else None
