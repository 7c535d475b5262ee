# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change never takes a server down: real servers that somebody started by hand, and reloads that fail."""

from __future__ import annotations

import time

import pytest
from proxies.bench import Client
from proxies.served import EXTERNAL, Served, hold

from ansible_collections.collab.rtc.plugins.module_utils._proxy import discover, preflight
from ansible_collections.collab.rtc.plugins.module_utils._proxy.kinds import make_backend


@pytest.fixture(params=["nginx", "apache", "haproxy"])
def served(request, daemon, upstream, run_module):
    """A server that has an application on a port of its own, and a function that asks for RTC beside it."""
    return Served(daemon(request.param), upstream, run_module)


@pytest.mark.parametrize("background", [False, True])
def test_a_reload_that_cannot_bind_is_undone_and_the_application_answers(served, monkeypatch, background):
    """The port was free when it was looked at, and is not when the server binds it."""
    server = served.daemon.start(background=background)
    before = served.read_files()
    monkeypatch.setattr(preflight, "check_ports", lambda *args: None)
    begun = time.monotonic()
    with hold(EXTERNAL, served.rtc_port):
        result = served.run()
    assert "did not take the new configuration" in result["msg"], result["msg"]
    assert "It runs as before, and answers on all of" in result["msg"], result["msg"]
    assert time.monotonic() - begun < 18
    assert served.read_files() == before
    assert served.ask() == "tomcat"
    assert server.kind == "apache" or served.master() == server.master
    assert served.run().get("changed") is True
    assert Client(EXTERNAL, served.rtc_port).json("/socket.io/")["name"] == "rtc"
    assert served.ask() == "tomcat"


def test_haproxy_without_a_master(daemon, upstream, run_module):
    """SIGUSR2 would end it: a new process takes its sockets over."""
    served = Served(daemon("haproxy"), upstream, run_module)
    served.daemon.start(background=True, master=False)
    old = served.master()
    assert served.run().get("changed") is True
    assert served.ask() == "tomcat"
    assert Client(EXTERNAL, served.rtc_port).json("/socket.io/")["name"] == "rtc"
    assert served.master() != old
    assert served.run()["changed"] is False


def test_haproxy_without_a_master_that_cannot_bind(daemon, upstream, run_module, monkeypatch):
    served = Served(daemon("haproxy"), upstream, run_module)
    served.daemon.start(background=True, master=False)
    before = served.read_files()
    monkeypatch.setattr(preflight, "check_ports", lambda *args: None)
    with hold(EXTERNAL, served.rtc_port):
        result = served.run()
    assert "It runs as before" in result["msg"], result["msg"]
    assert served.read_files() == before
    assert served.ask() == "tomcat"


def test_after_a_refused_change_nothing_has_to_be_loaded(served, monkeypatch):
    """The files that it gets back are newer than what it has loaded, and say the same."""
    served.daemon.start(background=True)
    assert served.run()["changed"] is True
    backend = type(make_backend(served.daemon.kind, str(served.daemon.root)))
    before, validate, words = served.read_files(), backend.validate, iter(["", "it says no"])
    with monkeypatch.context() as refusing:
        refusing.setattr(backend, "validate", lambda self: next(words, "") or validate(self))
        assert "it says no" in served.run(server_name="other.example.com")["msg"]
    assert served.read_files() == before
    server = make_backend(served.daemon.kind, str(served.daemon.root))
    (seen,) = discover.describe_servers([server], lambda *words: None)
    assert seen.running and not seen.unloaded
    assert served.run()["changed"] is False
    if served.daemon.kind == "haproxy":  # an edit outside of our block has to be loaded
        served.add("backend by-hand\n    server x 127.0.0.1:1\n")
        assert served.run()["reloaded"] is True
        assert served.run()["changed"] is False
