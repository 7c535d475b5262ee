# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets of others that are ours too, in another spelling, against real servers."""

from __future__ import annotations

import pytest
from proxies.bench import NAME, Client, free_port

EXTERNAL = "127.0.2.1"
SPELLINGS = ["127.0.513", "127.0.2.01", "[::ffff:127.0.2.1]"]  # getaddrinfo resolves them, as it does a name


@pytest.fixture
def run(run_module, upstream):
    """A function: a daemon, listen addresses, changes -> the module's result for one virtual host without TLS."""
    service = upstream("127.0.0.1", name="rtc")

    def call(daemon, port, *listen, check=False, **changes):
        vhost = {
            "kind": daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME, "listen": list(listen),
            "port": port, "upstreams": [service.entry()], **changes,
        }  # fmt: skip
        return run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(daemon.root)}, check=check)

    return call


def write_apache(daemon, text):
    with open(daemon.config.parent / "ports.conf", "a") as file:
        file.write(text + "\n")


@pytest.mark.parametrize("spelling", [EXTERNAL, *SPELLINGS[:2]])
def test_apache_that_listens_there_already(daemon, run, port, spelling):
    """A second Listen for the same address would end httpd, and the application with it."""
    server = daemon("apache")
    write_apache(
        server, f"Listen {spelling}:{port}\n<VirtualHost *:{port}>\nServerName other.example.com\n</VirtualHost>"
    )
    server.start()
    result = run(server, port, EXTERNAL)
    assert result.get("changed") is True, result
    assert server.process.poll() is None
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert run(server, port, EXTERNAL)["changed"] is False


@pytest.mark.parametrize("spelling", ["[0:0:0:0:0:0:0:1]", "[::1]", "[0::1]"])
def test_apache_with_ipv6_in_another_spelling(daemon, run, port, spelling):
    server = daemon("apache")
    write_apache(server, f"Listen {spelling}:{port}\nListen {spelling}:{free_port()}")
    server.start()
    result = run(server, port, "0:0:0:0:0:0:0:1")
    assert result.get("changed") is True, result
    assert Client("::1", port).json()["name"] == "rtc"


def test_apache_on_all_of_ipv4_leaves_ipv6_to_us(daemon, run, port):
    server = daemon("apache")
    write_apache(server, f"Listen 0.0.0.0:{port}")
    server.start()
    assert run(server, port, EXTERNAL, "::1").get("changed") is True
    assert Client("::1", port).json()["name"] == "rtc"
    assert Client(EXTERNAL, port).json()["name"] == "rtc"


def test_managed_virtual_hosts_that_would_end_apache(daemon, run, port):
    """``apache2 -t`` is content with both."""
    server = daemon("apache").start()
    assert run(server, port, EXTERNAL).get("changed") is True
    result = run(server, port, "*", name="rtc-jira", server_name="jira.example.com")
    assert "Apache cannot listen on * beside it" in result["msg"], result
    assert Client(EXTERNAL, port).json()["name"] == "rtc"


def test_nginx_for_both_families(daemon, run, port):
    server = daemon("nginx")
    server.write(
        "/etc/nginx/conf.d/other.conf",
        f"server {{ listen [::]:{port} ipv6only=off; server_name other.example.com; return 410; }}\n",
    )
    server.start()
    result = run(server, port, EXTERNAL)
    assert result.get("changed") is True, result
    assert Client(EXTERNAL, port).json()["name"] == "rtc"
    assert Client(EXTERNAL, port, name="other.example.com").request()[0].status == 410


def test_nginx_beside_others_on_all_addresses_and_on_ours(daemon, run, port):
    """nginx opens one socket for all of them: there is nothing that would need a restart."""
    server = daemon("nginx")
    server.write(
        "/etc/nginx/conf.d/other.conf",
        f"server {{ listen {port}; listen {EXTERNAL}:{port}; server_name other.example.com; return 410; }}\n",
    )
    server.start()
    result = run(server, port, EXTERNAL)
    assert result.get("changed") is True, result
    assert Client(EXTERNAL, port).json()["name"] == "rtc"


@pytest.mark.parametrize("spelling", [EXTERNAL, "127.0.513"])
def test_nginx_range_of_ports(daemon, run, port, spelling):
    server = daemon("nginx")
    server.write(
        "/etc/nginx/conf.d/other.conf",
        f"server {{ listen {spelling}:{port - 1}-{port + 1}; server_name {NAME}; return 410; }}\n",
    )
    result = run(server, port, EXTERNAL)
    assert "already serves" in result["msg"], result


@pytest.mark.parametrize(
    ("settings", "bind"),
    [
        ("setenv OLD_PORT {port}", '"127.0.2.1:${{OLD_PORT}}"'),
        ("presetenv OLD_PORT {port}", "127.0.2.1:${{OLD_PORT}}"),
        ("setenv ADDRESS 127.0.2.1", '"${{ADDRESS}}:{port}"'),
        ("", '"127.0.2.1:${{NO_SUCH-{port}}}"'),
        ("", '"127.0.2.1:${{NO_SUCH}}{port}"'),
        ("", "127.0.2.1:$OF_THE_PROCESS"),
        ("", "127.0.513:{port}"),
        ("", ":{port}-{next}"),
        ("", ":::{port} v4v6"),
        ("", "ipv4@127.0.0.5:80,127.0.2.1:{port}"),
    ],
)
def test_haproxy_has_the_port_already(daemon, run, port, settings, bind):
    """A second frontend there would get about half of all connections."""
    server = daemon("haproxy")
    server.environment["OF_THE_PROCESS"] = str(port)
    values = {"port": port, "next": port + 1}
    text = server.config.read_text().replace("global\n", f"global\n    {settings.format(**values)}\n")
    bind = bind.format(**values).replace("127.0.0.5:80", f"127.0.0.5:{free_port()}")
    server.config.write_text(f"{text}\nfrontend theirs\n    bind {bind}\n    http-request return status 410\n")
    server.start()
    result = run(server, port, EXTERNAL)
    assert "already serves every name on" in result["msg"], result
    assert f":{port}" in result["msg"]
    assert server.config.read_text().count("bind") == 1


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_a_socket_of_the_server_that_nothing_read_accounts_for(daemon, run, port, kind, check):
    server = daemon(kind)
    texts = {
        "nginx": f"http {{\n server {{ listen {EXTERNAL}:{port}; }}\n",
        "apache": f"Listen {EXTERNAL}:{port}\n",
        "haproxy": f"\nlog-forward theirs\n    bind {EXTERNAL}:{port}\n    log global\n",
    }
    before = server.config.read_text()
    server.config.write_text(before.replace("http {\n", texts[kind]) if kind == "nginx" else before + texts[kind])
    server.start()
    if kind != "haproxy":
        server.config.write_text(before)  # as if that could not be read
    result = run(server, port, EXTERNAL, check=check)
    assert f"listens on {EXTERNAL}:{port}, and nothing that could be read" in result["msg"], result
    assert str(server.process.pid) in result["msg"]
