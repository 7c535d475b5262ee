# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kinds have in common."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from types import SimpleNamespace

import pytest

from ansible_collections.collab.rtc.plugins.module_utils import _commands
from ansible_collections.collab.rtc.plugins.module_utils._ownership import UnsafeProgramError
from ansible_collections.collab.rtc.plugins.module_utils._proxy import backend, discover, registry


def test_a_command_that_is_not_there():
    assert _commands.run(["/no/such/program"]).code == 127


@pytest.fixture
def programs(monkeypatch):
    """A directory with programs that somebody else may exchange, first in PATH; and one of root's."""
    if os.geteuid() != 0:
        pytest.skip("giving files away needs root, and only root is refused anything")
    top = pathlib.Path(tempfile.mkdtemp(dir="/var/lib"))
    top.chmod(0o755)
    for name, uid in (("theirs", 12345), ("roots", 0)):
        (top / name).mkdir()
        for program in ("nginx", "systemctl", "python3.12"):
            path = top / name / program
            path.write_text(f"#!/bin/sh\necho nginx/1.2.3 {name} $(id -u) >>{top}/ran\necho nginx/1.2.3\n")
            path.chmod(0o755)
        os.chown(top / name, uid, uid)
    monkeypatch.setenv("PATH", f"{top}/theirs:/usr/bin:/bin")
    yield top
    shutil.rmtree(top)


def test_root_runs_no_program_that_others_may_exchange(programs):
    with pytest.raises(UnsafeProgramError, match=f"user 12345 .{programs}/theirs. can change it"):
        _commands.run([f"{programs}/theirs/nginx", "-v"])
    _commands.run(["nginx", "-v"])  # not that of PATH, in any case
    (programs / "theirs/link").symlink_to(programs / "roots/nginx")
    with pytest.raises(UnsafeProgramError):
        _commands.run([f"{programs}/theirs/link"])
    assert not (programs / "ran").exists()
    assert _commands.run([f"{programs}/roots/nginx", "-v"]).output == "nginx/1.2.3"
    assert str(programs) not in _commands.search_path(safe=True)


def test_a_server_that_root_must_not_run_is_seen_and_said(programs, tmp_path, monkeypatch):
    server = registry.make_backend("nginx")
    found = {False: f"{programs}/theirs", True: "/nowhere"}
    monkeypatch.setattr(backend, "search_path", lambda safe: found[safe])
    monkeypatch.setattr(type(server), "main", lambda self: str(tmp_path / "nginx.conf"))
    (tmp_path / "nginx.conf").write_text("events {}\n")
    notes = []
    (proxy,) = discover.describe_servers([server], lambda what, reason: notes.append((what, reason)))
    assert (proxy.kind, proxy.version, proxy.error) == ("nginx", "", "")
    assert len(notes) == 1 and "is not run as root" in notes[0][1]
    found[True] = f"{programs}/roots"
    assert registry.make_backend("nginx").program() == f"{programs}/roots/nginx"
    assert not (programs / "ran").exists()


@pytest.mark.parametrize(
    ("running", "name"), [({"httpd"}, "httpd"), ({"apache2"}, "apache2"), (set(), "apache2"), ({"nginx"}, "apache2")]
)
def test_of_two_servers_of_a_kind_the_running_one(monkeypatch, running, name):
    monkeypatch.setattr(backend.daemon, "running", lambda names: running & set(names))
    monkeypatch.setattr(backend.os.path, "exists", lambda path: True)
    monkeypatch.setattr(backend.shutil, "which", lambda program, path: f"/usr/sbin/{program}")
    server = registry.make_backend("apache")
    assert server.service() == name
    assert os.path.basename(server.program()) == name
    assert server.debian() is (name == "apache2")


@pytest.mark.parametrize(
    ("arguments", "main"),
    [
        ([], "/etc/nginx/nginx.conf"),
        (["nginx", "-c", "/srv/a.conf"], "/srv/a.conf"),
        (["nginx", "-p", "/srv/edge/", "-c", "conf/a.conf"], "/srv/edge/conf/a.conf"),
        (["nginx", "-p", "/srv/edge", "-c", "/srv/a.conf"], "/srv/a.conf"),
        (["nginx", "-p", "/srv/edge"], "/etc/nginx/nginx.conf"),  # as Debian's and RHEL's are built
        (["nginx", "-c", "conf/a.conf"], "/etc/nginx/nginx.conf"),  # below what it was built with
    ],
)
def test_nginx_of_another_directory(tmp_path, monkeypatch, arguments, main):
    server = registry.make_backend("nginx", str(tmp_path))
    monkeypatch.setattr(server, "running_arguments", lambda: arguments)
    assert server.main() == f"{tmp_path}{main}"
    (tmp_path / main.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / main.lstrip("/")).write_text("pid logs/nginx.pid;\n")
    if "-p" in arguments:
        assert server.pid_file() == f"{tmp_path}/srv/edge/logs/nginx.pid"


@pytest.mark.parametrize(
    ("build", "arguments", "main", "pid"),
    [
        ("--prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --pid-path=/run/nginx.pid", [],
         "/etc/nginx/nginx.conf", "/run/nginx.pid"),
        ("", [], "/usr/local/nginx/conf/nginx.conf", "/usr/local/nginx/logs/nginx.pid"),  # configure without options
        ("--prefix=/opt/edge", [], "/opt/edge/conf/nginx.conf", "/opt/edge/logs/nginx.pid"),
        ("--prefix=/opt/edge", ["nginx", "-c", "conf/a.conf"], "/opt/edge/conf/a.conf", "/opt/edge/logs/nginx.pid"),
        ("--prefix=/opt/edge --conf-path=nginx.conf", ["nginx", "-p", "/srv/e"], "/srv/e/nginx.conf",
         "/srv/e/logs/nginx.pid"),
    ],
)  # fmt: skip
def test_nginx_built_for_another_directory(tmp_path, monkeypatch, build, arguments, main, pid):
    (tmp_path / "nginx").write_text(
        f"#!/bin/sh\necho 'nginx version: nginx/1.26.2\nconfigure arguments: {build}' >&2\n"
    )
    (tmp_path / "nginx").chmod(0o755)
    server = registry.make_backend("nginx")
    monkeypatch.setattr(server, "program", lambda: str(tmp_path / "nginx"))
    monkeypatch.setattr(server, "running_arguments", lambda: arguments)
    monkeypatch.setattr(server, "read_unit", lambda name: [])
    monkeypatch.setattr(type(server), "parse_config", lambda self: SimpleNamespace(directives=[]))
    assert (server.main(), server.pid_file()) == (main, pid)
