# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many WebSockets real servers carry, with limits that are small: as many as is said, and then no more."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest
from proxies import figures
from proxies.bench import Client
from proxies.served import EXTERNAL, Served

from ansible_collections.collab.rtc.plugins.module_utils._proxy import discover, registry

SECONDS = 4.0  # in which a server that has room answers: httpd starts one more process a second
HEADING = ("server", "limits", "said", "opened")
MPM = {"event": "mpm_event", "worker": "mpm_worker", "prefork": "mpm_prefork"}

CASES = [
    ("nginx", "worker_connections 40;", ""),
    ("nginx", "worker_connections 100;", "worker_rlimit_nofile 70;"),
    ("nginx", "worker_connections 41;", ""),
    ("haproxy", "maxconn 20", ""),
    ("haproxy", "maxconn 50", "maxconn 12"),
    ("haproxy", "fd-hard-limit 260", ""),
    ("apache", "ServerLimit 2\nThreadsPerChild 5\nMaxRequestWorkers 10", "event"),
    ("apache", "ServerLimit 4\nThreadsPerChild 5\nMaxRequestWorkers 13", "event"),
    ("apache", "ThreadsPerChild 4\nMaxClients 8", "worker"),
    ("apache", "MaxRequestWorkers 6", "prefork"),
]


def place(server, text, more):
    """Put limits into a configuration."""
    if server.kind == "nginx":
        config = server.config.read_text().replace("events {}", f"worker_processes 1;\n{more}\nevents {{ {text} }}")
        server.config.write_text(config)
    elif server.kind == "haproxy":
        config = server.config.read_text().replace("maxconn 200", text)
        server.config.write_text(config.replace("defaults\n", f"defaults\n    {more}\n") if more else config)
    else:
        directory = server.root / "etc/apache2"
        for item in (directory / "mods-enabled").glob("mpm_*"):
            item.unlink()
        for suffix in ("load", "conf"):
            (directory / f"mods-enabled/{MPM[more]}.{suffix}").symlink_to(f"../mods-available/{MPM[more]}.{suffix}")
        (directory / f"mods-available/{MPM[more]}.conf").write_text(f"StartServers 1\n{text}\n")


def open_until_refused(served, most):
    """WebSockets through the server, all of them open at the same time."""
    with contextlib.ExitStack() as stack:
        for number in range(most):
            client = Client(EXTERNAL, served.rtc_port)
            client.socket = lambda: socket.create_connection((EXTERNAL, served.rtc_port), SECONDS)
            try:
                stack.enter_context(client.websocket())
            except (OSError, AssertionError):
                return number
        return most


@pytest.mark.parametrize(("kind", "text", "more"), CASES)
def test_measured(daemon, upstream, run_module, kind, text, more):
    served = Served(daemon(kind), upstream, run_module)
    place(served.daemon, text, more)
    served.daemon.start()
    assert served.run().get("changed") is True
    (proxy,) = discover.describe_servers([registry.make_backend(kind, str(served.daemon.root))], print)
    said = proxy.capacity.connections
    opened = open_until_refused(served, said + 15)
    limits = " ".join([re.sub(r"\s+", " ", text), more]).strip()
    figures.add("Capacity", HEADING, (kind, limits, said, opened))
    # Descriptors are counted from without: a server has some more or fewer of its own.
    assert abs(opened - said) <= (6 if "nofile" in limits else 1), proxy.capacity
    assert any(str(number) in line for line in proxy.capacity.limits for number in re.findall(r"\d+", text))
