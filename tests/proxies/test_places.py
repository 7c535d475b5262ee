# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where files have to be so that a server reads them; real servers."""

from __future__ import annotations

import os

import pytest
from proxies.bench import NAME, Client, Daemon

EXTERNAL = "127.0.2.1"


@pytest.fixture
def run(run_module, upstream):
    """A function: a daemon, a port, changes -> the module's result for one virtual host without TLS."""
    service = upstream("127.0.0.1", name="rtc")

    def call(daemon, port, **changes):
        vhost = {
            "kind": daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME, "listen": [EXTERNAL],
            "port": port, "upstreams": [service.entry()], **changes,
        }  # fmt: skip
        return run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(daemon.root)})

    return call


def include(server, *lines, main=""):
    """Let nginx include these in http, and no others; and ``main`` at the top level."""
    kept = [line for line in server.config.read_text().splitlines() if not line.startswith("    include")]
    server.config.write_text("\n".join([main, *kept[:-1], *lines, "}", ""]))


@pytest.mark.parametrize(
    ("line", "directory"),
    [
        ("include conf.d/*;", "conf.d"), ("include conf.d/*.conf;", "conf.d"), ("include http.d/*.conf;", "http.d"),
        ("include ROOT/etc/nginx/vhosts/*;", "vhosts"), ("include sites-enabled/*; include conf.d/*.conf;", "sites-available"),
        ("include nested.conf;", "http.d"),
    ],
)  # fmt: skip
def test_nginx(daemon, run, port, line, directory):
    server = daemon("nginx")
    for name in ("http.d", "vhosts"):
        (server.root / "etc/nginx" / name).mkdir()
    server.write("/etc/nginx/nested.conf", "include http.d/*.conf;\n")
    include(server, line.replace("ROOT", str(server.root)), main="include conf.d/*.module;")
    server.start()
    result = run(server, port)
    assert result.get("changed") is True, result
    assert (server.root / "etc/nginx" / directory / "rtc-confluence.conf").exists()
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert run(server, port)["changed"] is False
    assert run(server, port, state="absent")["changed"] is True


@pytest.mark.parametrize("line", ["", "include mime.types;", "include stream.conf.d/*.conf;", "include conf.d/*.cfg;"])
def test_nginx_that_would_not_read_it(daemon, run, port, line):
    server = daemon("nginx")
    server.write("/etc/nginx/mime.types", "types { }\n")
    http, main = ("", line) if "stream" in line else (line, "include conf.d/*.conf;")
    include(server, http, main=main)
    assert "includes neither" in run(server, port)["msg"]
    assert not list((server.root / "etc/nginx/conf.d").iterdir())


def test_nginx_with_one_directory_by_two_names(daemon, run, port):
    server = daemon("nginx")
    os.rmdir(server.root / "etc/nginx/sites-enabled")
    os.symlink("sites-available", server.root / "etc/nginx/sites-enabled")
    server.start()
    assert run(server, port).get("changed") is True
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert run(server, port)["changed"] is False
    assert run(server, port, state="absent")["changed"] is True
    assert not list((server.root / "etc/nginx/sites-available").iterdir())


@pytest.mark.parametrize("started", [True, False])
def test_haproxy_with_a_file_elsewhere(daemon, run, port, started, monkeypatch):
    server = daemon("haproxy")
    usual, text = server.config, server.config.read_text()
    elsewhere = server.root / "srv/lb/haproxy.cfg"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(text)
    server.write(
        "/etc/systemd/system/haproxy.service.d/override.conf",
        '[Service]\nEnvironment="CONFIG=/srv/lb/haproxy.cfg" "PIDFILE=/run/haproxy.pid"\nExecStart=\n'
        "ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -p $PIDFILE\n",
    )
    if started:
        monkeypatch.setattr(Daemon, "config", elsewhere)
        server.start()
    result = run(server, port)
    assert result.get("changed") is True, result
    assert usual.read_text() == text
    assert "BEGIN collab.rtc" in elsewhere.read_text()
    if started:
        assert Client(EXTERNAL, port).json()["name"] == "rtc"


def test_nginx_that_was_started_with_another_file(daemon, run, port, monkeypatch):
    server = daemon("nginx")
    usual, text = server.config, server.config.read_text()
    elsewhere = server.root / "srv/lb/nginx.conf"
    (server.root / "srv/lb/vhosts").mkdir(parents=True)
    elsewhere.write_text(text.replace("access_log off;", "access_log off; include vhosts/*.conf;"))
    monkeypatch.setattr(Daemon, "config", elsewhere)
    server.start()
    for path in (server.root / "etc/nginx").rglob("conf.d"):
        path.rmdir()
    result = run(server, port)
    assert result.get("changed") is True, result
    assert (server.root / "srv/lb/vhosts/rtc-confluence.conf").exists() or "sites-enabled" in str(result["files"])
    assert usual.read_text() == text
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert run(server, port)["changed"] is False


LAYOUTS = {  # main file, what it includes, the directory that is written to
    "RHEL": ("etc/httpd/conf/httpd.conf", "IncludeOptional conf.d/*.conf", "etc/httpd/conf.d"),
    "Alpine": ("etc/apache2/httpd.conf", "IncludeOptional ROOT/etc/apache2/conf.d/*.conf", "etc/apache2/conf.d"),
    "SUSE": ("etc/apache2/httpd.conf", "IncludeOptional ROOT/etc/apache2/vhosts.d/*.conf", "etc/apache2/vhosts.d"),
    "by hand": ("srv/web/httpd.conf", "IncludeOptional ROOT/srv/web/sites/*.conf", "srv/web/sites"),
    "nothing": ("etc/apache2/httpd.conf", "", ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_apache(daemon, run, port, layout, monkeypatch):
    main, line, directory = LAYOUTS[layout]
    server = daemon("apache")
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in (
            "mpm_event",
            "authz_core",
            "proxy",
            "proxy_http",
            "headers",
            "unixd",
            "alias",
            "dir",
            "proxy_wstunnel",
        )
        if os.path.exists(f"/usr/lib/apache2/modules/mod_{name}.so")
    )
    listens = (server.config.parent / "ports.conf").read_text()
    os.rename(server.root / "etc/apache2", server.root / "etc/of-debian")
    server.write(
        main,
        f"{modules}PidFile {server.root}/run/apache2.pid\nServerName localhost\nErrorLog {server.root}/log/error.log\n"
        f"{listens}{line.replace('ROOT', str(server.root))}\n",
    )
    if directory:
        (server.root / directory).mkdir(parents=True)
    base = server.root / ("etc/httpd" if layout == "RHEL" else os.path.dirname(main))
    monkeypatch.setattr(Daemon, "config", server.root / main)
    monkeypatch.setattr(
        Daemon, "argv", lambda self: ["-DFOREGROUND", "-d", str(base), "-f", str(self.config)], raising=False
    )
    server.start()
    result = run(server, port)
    if not directory:
        assert "includes neither sites-enabled/*.conf nor" in result["msg"], result
        return
    assert result.get("changed") is True, result
    assert (server.root / directory / "rtc-confluence.conf").exists()
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert run(server, port)["changed"] is False
    assert run(server, port, state="absent")["changed"] is True


def test_haproxy_without_a_pid_file(daemon, run, port):
    server = daemon("haproxy")
    server.start(with_pid_file=False)
    assert run(server, port).get("changed") is True
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert run(server, port)["changed"] is False
