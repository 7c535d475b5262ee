# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real proxy servers of Debian's packages, run below a directory of the test, on loopback addresses.

Each test has its own 127.x.y.z addresses, so that tests never meet; a service that "holds the port on loopback" stands
on 127.0.0.1 as it does on real hosts.
"""

from __future__ import annotations

import os
import shutil

import pytest
from proxies import figures
from proxies.bench import Certificates, Daemon, Upstream, free_port

from ansible_collections.collab.rtc.tests.unit import module_runner

PROGRAMS = {"nginx": "nginx", "apache": "apache2", "haproxy": "haproxy"}
_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def find_program(kind):
    """The program of a kind; without it the test is left out."""
    program = shutil.which(PROGRAMS[kind], path=_SEARCH)
    if not program:
        pytest.skip(f"{PROGRAMS[kind]} is not installed here (Debian packages nginx, apache2, haproxy)")
    return program


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A private authority, and certificates it issues."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def port():
    """A port that is free on every loopback address."""
    return free_port()


@pytest.fixture
def upstream():
    """Start services that tell what they were asked, and that take WebSockets."""
    started = []

    def start(address="127.0.0.1", port=0, **options):
        started.append(Upstream(address, port, **options))
        return started[-1]

    yield start
    for item in started:
        item.close()


@pytest.fixture
def daemon(request, tmp_path):
    """A proxy server of a kind: ``daemon("nginx")`` lays its files out; ``.start()`` runs it."""
    made = []

    def make(kind):
        made.append(Daemon(kind, find_program(kind), tmp_path / "root"))
        return made[-1]

    yield make
    for item in made:
        item.stop()


@pytest.fixture
def run_module(capsys, monkeypatch):
    """Run a module in this process as Ansible would; see ``module_runner``."""
    return module_runner.make_run_module(capsys, monkeypatch)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """A worker of pytest-xdist hands its tables over."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["proxy_figures"] = figures.TABLES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """The controlling process puts them together."""
    figures.merge(getattr(node, "workeroutput", {}).get("proxy_figures", {}))


def pytest_terminal_summary(terminalreporter):
    for line in figures.render():
        terminalreporter.write_line(line)
