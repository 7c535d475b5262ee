# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets that are somebody's already, in another spelling or in a way that the kernel lets pass.

In each of these 60 of 60 connections reach RTC, and somebody who uses the application all the time notices nothing; or
the run refuses, and no file has changed.
"""

from __future__ import annotations

import collections
import json

import pytest
from proxies import figures
from proxies.bench import Client, Daemon, free_port
from proxies.conftest import PROGRAMS
from proxies.served import EXTERNAL, Served, User, hold

CONNECTIONS = 60
REFUSED, APPLIED = "refused", "applied"
HEADING = ("server", "trap", "outcome", "reached RTC", "application answered", "failed")


def listen(kind, place, extra=""):
    """Somebody else's virtual host on a place."""
    return {
        "nginx": f"server {{ listen {place} {extra}; server_name other.example.com; return 410; }}\n",
        "apache": f"Listen {place}\n<VirtualHost *:{place.rpartition(':')[2]}>\nServerName other.example.com\n"
        "Redirect 410 /\n</VirtualHost>\n",
        "haproxy": f"frontend theirs\n    bind {place} {extra}\n    http-request return status 410\n",
    }[kind]


def settings(line):
    """A line of HAProxy's ``global``, and a bind that means the port by it."""

    def make(served, bind):
        text = served.daemon.config.read_text()
        served.daemon.config.write_text(
            text.replace("global\n", f"global\n    {line.format(port=served.rtc_port)}\n", 1)
        )
        served.add(listen("haproxy", bind))

    return make


# Trap: what stands there before the server starts; PORT is RTC's.
CONFIGURED = {
    "the same address": ("apache nginx", APPLIED, "127.0.2.1:PORT", {}),
    "a spelling that only getaddrinfo knows": ("apache", APPLIED, "127.0.513:PORT", {}),
    "the same, nginx": ("nginx", APPLIED, "127.0.513:PORT", {}),
    "the same, HAProxy": ("haproxy", REFUSED, "127.0.513:PORT", {}),
    "a name": ("apache nginx", APPLIED, "localhost:PORT", {"listen": ["127.0.0.1"]}),
    "a name, HAProxy": ("haproxy", REFUSED, "localhost:PORT", {"listen": ["127.0.0.1"]}),
    "a name on both sides": ("apache nginx", APPLIED, "localhost:PORT", {"listen": ["localhost"]}),
    "IPv6 in another spelling": ("apache nginx", APPLIED, "[0:0:0:0:0:0:0:1]:PORT", {"listen": ["::1"]}),
    "IPv6 in upper case, another port": ("apache", APPLIED, "[::1]:OTHER", {}),
    "all of IPv4": ("apache nginx", APPLIED, "0.0.0.0:PORT", {}),
    "all of IPv4, HAProxy": ("haproxy", REFUSED, "0.0.0.0:PORT", {}),
    "all of both": ("apache", APPLIED, "PORT", {}),
    "all of IPv6 only": ("nginx haproxy", APPLIED, "[::]:PORT", {}),
    "an address where ours is all": ("nginx apache haproxy", REFUSED, "127.0.2.1:PORT", {"listen": ["*"]}),
    "another address": ("nginx apache haproxy", APPLIED, "127.0.2.9:PORT", {}),
    "a range of ports": ("nginx", APPLIED, "127.0.2.1:BEFORE-PORT", {}),
    "a range of ports, HAProxy": ("haproxy", REFUSED, "127.0.2.1:BEFORE-PORT", {}),
}
# Of HAProxy: a line of global, and a bind.
VARIABLES = {
    "setenv": ("setenv OLD_PORT {port}", '"127.0.2.1:${{OLD_PORT}}"'),
    "presetenv": ("presetenv OLD_PORT {port}", '"127.0.2.1:$OLD_PORT"'),
    "a default": ("", '"127.0.2.1:${{NO_SUCH-{port}}}"'),
    "an unset one": ("", '"127.0.2.1:${{NO_SUCH}}{port}"'),
    "an address in one": ("setenv ADDRESS 127.0.2.1", '"${{ADDRESS}}:{port}"'),
    "several places": ("", "ipv4@127.0.2.8:{port},127.0.2.1:{port}"),
    "IPv4 within IPv6": ("", "::ffff:127.0.2.1:{port}"),
    "both families": ("", ":::{port} v4v6"),
}


def judge(served, trap, expected, changes):
    """Run with somebody at the application, connect, and count."""
    before = served.read_files()
    with User(served) as user:
        result = served.run(**changes)
        outcome = REFUSED if result.get("failed") else APPLIED
        reached = "-"
        if outcome == APPLIED:
            address = next((item for item in changes.get("listen", []) if item not in ("*", "::")), EXTERNAL)
            address = {"localhost": "127.0.0.1"}.get(address, address)
            found = collections.Counter(connect(address, served.rtc_port) for _ in range(CONNECTIONS))
            reached = f"{found['rtc']} of {CONNECTIONS}"
    figures.add("Socket traps", HEADING, (served.daemon.kind, trap, outcome, reached, user.answers, len(user.failures)))
    assert not user.failures
    assert user.answers
    assert outcome == expected, result
    if outcome == REFUSED:
        assert served.read_files() == before
    else:
        assert found == {"rtc": CONNECTIONS}
        assert served.run(**changes)["changed"] is False
    assert served.ask() == "tomcat"


def connect(address, port):
    """Who answers on a new connection."""
    response, data = Client(address, port).request("/socket.io/?EIO=4&transport=polling")
    return json.loads(data)["name"] if response.status == 200 else response.status


@pytest.mark.parametrize(
    ("kind", "trap"), [(kind, trap) for trap, row in CONFIGURED.items() for kind in row[0].split()]
)
def test_configured(daemon, upstream, run_module, kind, trap):
    _kinds, expected, place, changes = CONFIGURED[trap]
    served = Served(daemon(kind), upstream, run_module)
    values = {"PORT": served.rtc_port, "OTHER": free_port(), "BEFORE": served.rtc_port - 1}
    for word, value in values.items():
        place = place.replace(word, str(value))
    served.add(listen(kind, place, "v6only" if kind == "haproxy" and place.startswith("[::]") else ""))
    served.daemon.start()
    judge(served, trap, expected, changes)


@pytest.mark.parametrize("trap", VARIABLES)
def test_variables_of_haproxy(daemon, upstream, run_module, trap):
    line, bind = VARIABLES[trap]
    served = Served(daemon("haproxy"), upstream, run_module)
    settings(line)(served, bind.format(port=served.rtc_port))
    served.daemon.start()
    judge(served, trap, REFUSED, {})


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize(
    ("trap", "address", "options", "changes", "expected"),
    [
        ("a stranger on the address", EXTERNAL, {}, {}, REFUSED),
        ("a stranger on it with SO_REUSEPORT", EXTERNAL, {"reuse": True}, {}, REFUSED),
        ("a stranger on all with SO_REUSEPORT", "0.0.0.0", {"reuse": True}, {}, REFUSED),
        ("a stranger on all of both families", "::", {"dual": True}, {}, REFUSED),
        ("a stranger on all of IPv6", "::", {}, {}, APPLIED),
        ("a stranger on loopback", "127.0.0.1", {}, {}, APPLIED),
        ("a stranger on loopback, ours on all", "127.0.0.1", {}, {"listen": ["*"]}, REFUSED),
        ("a stranger with UDP (QUIC)", EXTERNAL, {"udp": True}, {}, APPLIED),
    ],
)
def test_strangers(daemon, upstream, run_module, kind, trap, address, options, changes, expected):
    served = Served(daemon(kind), upstream, run_module)
    served.daemon.start()
    with hold(address, served.rtc_port, **options):
        judge(served, trap, expected, changes)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_all_of_ipv6_beside_a_stranger_on_loopback(daemon, upstream, run_module, kind):
    """Apache's socket for "::" has IPv4 too, and would not go with it; nginx's and HAProxy's have IPv6 only."""
    served = Served(daemon(kind), upstream, run_module)
    served.daemon.start()
    with hold("127.0.0.1", served.rtc_port):
        changes = {"listen": ["::", "::1"]} if kind != "apache" else {"listen": ["::"]}
        expected = REFUSED if kind == "apache" else APPLIED
        judge(served, "ours on all of IPv6, a stranger on loopback", expected, changes)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_another_instance_of_the_same_server(daemon, upstream, run_module, tmp_path, kind):
    """Its process has the same name. HAProxy's would even share the port, and get half of the connections."""
    served = Served(daemon(kind), upstream, run_module)
    served.daemon.start()
    other = Daemon(kind, served.daemon.program, tmp_path / "other")
    there = Served(other, upstream, run_module)
    there.add(listen(kind, f"{EXTERNAL}:{served.rtc_port}"))
    try:
        other.start()
        judge(served, "another instance of the server", REFUSED, {})
    finally:
        other.stop()


def test_sockets_of_apache_that_would_meet_at_the_reload(daemon, upstream, run_module):
    """Somebody has written two lines that do not go together, and not reloaded: our reload would end httpd."""
    served = Served(daemon("apache"), upstream, run_module)
    served.daemon.start()
    port = free_port()
    served.add(f"Listen {EXTERNAL}:{port}\nListen 0.0.0.0:{port}\n")
    judge(served, "lines that meet, not loaded yet", REFUSED, {})


@pytest.mark.parametrize("kind", PROGRAMS)
def test_sockets_of_others_that_are_not_open_yet(daemon, upstream, run_module, kind):
    """They would be opened with ours; another process has the port."""
    served = Served(daemon(kind), upstream, run_module)
    served.daemon.start()
    port = free_port()
    with hold(EXTERNAL, port):
        served.add(listen(kind, f"{EXTERNAL}:{port}"))
        judge(served, "a line of others, not loaded yet", REFUSED, {})
