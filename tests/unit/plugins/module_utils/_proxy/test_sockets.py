# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same socket written differently, read by all three kinds."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._facts import Listener, ProxyListen
from ansible_collections.collab.rtc.plugins.module_utils._proxy import sockets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import parser as apache_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import reader as apache_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser as haproxy_parser
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import reader as haproxy_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import reader as nginx_reader
from ansible_collections.collab.rtc.plugins.module_utils._proxy.parsed_config import Directive

NAMES = {"wiki.example.com": ["192.0.2.10", "2001:db8::10"], "127.1": ["127.0.0.1"]}


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """Names as this host resolves them."""

    def look_up(name, port, *args, **options):
        if name not in NAMES:
            raise socket.gaierror(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (item, 0)) for item in NAMES[name]]

    sockets.resolve.cache_clear()
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    sockets.resolve.cache_clear()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"), ("[FD00::1]", "fd00::1"), ("fd00:0:0:0:0:0:0:1", "fd00::1"),
        ("FD00::0001", "fd00::1"), ("::FFFF:192.0.2.1", "192.0.2.1"), ("[fe80::1%eth0]", "fe80::1"),
        ("*", "*"), ("", "*"), ("0.0.0.0", "*"), ("_default_", "*"), ("_DEFAULT_", "*"), ("::", "::"), ("[::]", "::"),
        ("[0:0:0:0:0:0:0:0]", "::"), ("::0", "::"), ("::ffff:0.0.0.0", "*"), ("Wiki.Example.com", "wiki.example.com"),
    ],
)  # fmt: skip
def test_one_spelling(text, address):
    assert sockets.normalize(text) == address


@pytest.mark.parametrize(
    ("one", "two", "covers", "meets"),
    [
        ("*", "*", True, True), ("*", "192.0.2.1", True, True), ("192.0.2.1", "192.0.2.1", True, True),
        ("192.0.2.1", "192.0.2.2", False, False), ("192.0.2.1", "*", False, True), ("*", "::", False, False),
        ("::", "2001:db8::1", True, True), ("2001:db8::1", "::", False, True), ("*", "2001:db8::1", False, False),
        ("::", "192.0.2.1", False, False), ("127.0.0.1", "192.0.2.1", False, False),
    ],
)  # fmt: skip
def test_which_sockets_meet(one, two, covers, meets):
    assert sockets.covers(ProxyListen(one, 1), two) is covers
    assert sockets.meets(ProxyListen(one, 1), two) is meets


@pytest.mark.parametrize("address", ["*", "::", "192.0.2.1", "2001:db8::1"])
def test_a_socket_for_both_families_takes_all(address):
    assert sockets.covers(ProxyListen("::", 1, dual=True), address)
    assert sockets.covers(ProxyListen("*", 1, dual=True), address)
    assert sockets.covers(sockets.from_listener(Listener("::", 1)), address)


def test_names():
    assert sockets.resolve("WIKI.example.com") == ("192.0.2.10", "2001:db8::10")
    assert sockets.resolve("127.1") == ("127.0.0.1",)
    assert sockets.resolve("gone.example.com") == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("80", ["* 80"]), ("*:80 default_server", ["* 80"]), ("0.0.0.0:80", ["* 80"]), ("192.0.2.1", ["192.0.2.1 80"]),
        ("wiki.example.com:443 ssl", ["192.0.2.10 443 tls", "2001:db8::10 443 tls"]),
        ("gone.example.com:443", ["gone.example.com 443"]),
        ("[::]:443 ssl http2 ipv6only=on", [":: 443 tls"]), ("[::]:443 ipv6only=off", [":: 443 dual"]),
        ("[2001:DB8::1]", ["2001:db8::1 80"]), ("127.1:9083", ["127.0.0.1 9083"]),
        ("192.0.2.1:9080-9090", ["192.0.2.1 9080-9090"]), ("9080-9090 ssl", ["* 9080-9090 tls"]),
        ("unix:/run/x.sock", []), ("9083 quic reuseport", []), ("[::]:9083 quic", []), ("9083 udp", []),
    ],
)  # fmt: skip
def test_nginx(text, found):
    assert show(nginx_reader.read_listen(Directive("listen", text.split(), "/x", 1))) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Listen 9083", ["* 9083 dual"]), ("Listen *:9083", ["* 9083 dual"]), ("Listen 0.0.0.0:9083", ["* 9083"]),
        ("Listen [::]:9083", [":: 9083 dual"]), ("Listen [FD00::1]:8443 https", ["fd00::1 8443"]),
        ("Listen wiki.example.com:9083", ["192.0.2.10 9083", "2001:db8::10 9083"]),
        ("Define ip 192.0.2.10\nListen ${ip}:9083", ["192.0.2.10 9083"]),
    ],
)  # fmt: skip
def test_apache(tmp_path, text, found):
    (tmp_path / "x").write_text(text + "\n")
    config = apache_parser.parse(str(tmp_path / "x"), apache_parser.ParserOptions())
    assert show(apache_reader.read_listens(config)) == found


def test_the_name_of_an_apache_virtual_host_stands_for_its_addresses(tmp_path):
    (tmp_path / "x").write_text("<VirtualHost wiki.example.com:80 _default_:81 [::1]:82>\n</VirtualHost>\n")
    config = apache_parser.parse(str(tmp_path / "x"), apache_parser.ParserOptions())
    (host,) = apache_reader.read_virtual_hosts(config)
    assert show(host.listens) == ["192.0.2.10 80", "2001:db8::10 80", "* 81", "::1 82"]


@pytest.mark.parametrize(
    ("bind", "found"),
    [
        (":9083", ["* 9083"]), ("*:9083", ["* 9083"]), ("ipv4@:9083", ["* 9083"]), ("0.0.0.0:9083", ["* 9083"]),
        (":::9083", [":: 9083 dual"]), ("[::]:9083 v4v6", [":: 9083 dual"]), (":::9083 v6only", [":: 9083"]),
        ("ipv6@:9083 v6only", [":: 9083"]), ("ipv6@*:9083", [":: 9083 dual"]), ("tcp6@FD00::1:9083", ["fd00::1 9083"]),
        ("FD00::1:9083 ssl", ["fd00::1 9083 tls"]), ("127.0.0.3:9080-9090", ["127.0.0.3 9080-9090"]),
        ("127.0.0.3:80,127.0.0.4:81-82", ["127.0.0.3 80", "127.0.0.4 81-82"]),
        ("wiki.example.com:9083", ["192.0.2.10 9083"]), ("stream+ipv4@127.0.0.1:80", ["127.0.0.1 80"]),
        ("quic4@:9083 ssl", []), ("udp@127.0.0.1:53", []), ("/run/x.sock", []), ("unix@/run/x", []), ("abns@x", []),
        ("fd@3", []),
    ],
)  # fmt: skip
def test_haproxy(tmp_path, bind, found):
    (tmp_path / "x").write_text(f"frontend f\n    bind {bind}\n")
    (host,) = haproxy_reader.read_virtual_hosts(haproxy_parser.parse([str(tmp_path / "x")]))
    assert show(host.listens) == found


def show(listens):
    """Sockets as text."""
    return [
        f"{item.address} {item.port}{f'-{item.last_port}' if item.last_port else ''}"
        f"{' tls' if item.tls else ''}{' dual' if item.dual else ''}"
        for item in listens
    ]
