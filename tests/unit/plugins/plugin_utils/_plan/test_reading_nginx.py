# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers of nginx as administrators write them; about half were tried in nginx 1.22, those of ``stream`` were not."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.plugins.plugin_utils._plan import reading

_UPGRADE = (
    'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; '
    "proxy_read_timeout 1h;"
)
_RTC, _OTHER = "proxy_pass http://127.0.0.1:9083;", "proxy_pass http://127.0.0.1:8090;"
_ALL = f"location / {{ {_RTC} }}"
_ASTRAY, _NOWHERE, _STOPPED = "RTC402 RTC405", "RTC404 RTC405", "RTC430"


def _judge(tmp_path, server, http="", **more):
    text = f"events {{ }}\nhttp {{ {http}\nserver {{ listen 9083; server_name wiki.example.com; {_UPGRADE}\n{server} }} }}\n"
    return reading.judge("nginx", tmp_path / "nginx.conf", text, **more)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (_ALL, "right"),
        # Another location takes the path.
        (f"location /socket.io/ {{ root /srv; }} {_ALL}", _NOWHERE),
        (f"location /socket.io/ {{ return 404; }} {_ALL}", _NOWHERE),
        (f"location ^~/socket.io/ {{ {_OTHER} }} {_ALL}", _ASTRAY),
        (f"location =/socket.io/ {{ {_OTHER} }} {_ALL}", _ASTRAY),
        (f"location ~*^/SOCKET {{ {_OTHER} }} {_ALL}", _ASTRAY),
        (f"location ~ ^/(?<name>socket\\.io)/ {{ {_OTHER} }} {_ALL}", _ASTRAY),
        (f"location ~ ^/SOCK(?i)et {{ return 404; }} {_ALL}", "unknown"),
        (f"location ~ ^/[[:alpha:]] {{ return 404; }} {_ALL}", "unknown"),
        (f"location = / {{ {_RTC} }}", _NOWHERE),
        # "^~" counts on its own level.
        (f"location ^~ /socket.io {{ location /socket.io/ {{ {_RTC} }} }} location ~ socket {{ {_OTHER} }}", "right"),
        (f"location / {{ location ^~ /socket.io/ {{ {_RTC} }} }} location ~ socket {{ {_OTHER} }}", _ASTRAY),
        (f"location / {{ location ~ io {{ {_RTC} }} {_OTHER} }}", "right"),
        # Locations by name.
        (f"location / {{ try_files $uri @rtc; }} location @rtc {{ {_RTC} }}", "right"),
        (f"try_files $uri @rtc; location @rtc {{ {_RTC} }}", "right"),
        (f"location / {{ try_files $uri =404; {_RTC} }}", _NOWHERE),
        (f"location / {{ try_files $uri /index.html; {_RTC} }}", "unknown"),
        (f"error_page 418 = @rtc; location / {{ return 418; }} location @rtc {{ {_RTC} }}", "right"),
        (f"error_page 404 = @down; {_ALL} location @down {{ return 200; }}", "right"),
        (f"try_files $uri @a; location @a {{ try_files $uri @b; }} location @b {{ {_RTC} }}", "right"),
        (
            f"try_files $uri @a; location @a {{ try_files $uri @b; {_RTC} }} location @b {{ try_files /x @a; }}",
            _NOWHERE,
        ),
        # Targets with variables.
        ("set $up http://127.0.0.1:9083; location / { proxy_pass $up; }", "right"),
        ("set $up http://127.0.0.1:9083; location / { proxy_pass $up/; }", _NOWHERE),
        ("location / { proxy_pass http://127.0.0.1:9083$request_uri; }", "right"),
        ("location / { proxy_pass http://127.0.0.1:9083$uri$is_args$args; }", "right"),
        ("location / { proxy_pass http://127.0.0.1:9083$uri; }", _NOWHERE),  # without the query
        ("location ~ ^/socket.io/(.*)$ { proxy_pass http://127.0.0.1:9083/socket.io/$1$is_args$args; }", "right"),
        ("location ~ ^/socket.io/(.*)$ { proxy_pass http://127.0.0.1:9083/socket.io/$1; }", _NOWHERE),
        (
            "location / { set $b 127.0.0.1:9083; proxy_pass http://$b; } "
            "location /a { set $b 127.0.0.1:8090; proxy_pass http://$b; }",
            "right",
        ),
        ("location / { set $b 127.0.0.1:9083; location /socket.io/ { proxy_pass http://$b; } }", "unknown"),
        # Conditions.
        (f'if ($http_upgrade = "") {{ return 403; }} {_ALL}', _STOPPED),
        (f"if ($scheme = http) {{ return 301 https://$host$request_uri; }} {_ALL}", _STOPPED),
        (f"if ($request_method = POST) {{ return 405; }} {_ALL}", _STOPPED),
        (f'if ($host != "wiki.example.com") {{ return 444; }} {_ALL}', "right"),
        (f"if ( $http_host !~ ^wiki\\.example\\.com:\\d+$ ) {{ return 444; }} {_ALL}", "right"),
        (f"if ($http_user_agent ~* bot) {{ return 403; }} {_ALL}", "unknown"),
        (f"location / {{ if ($http_upgrade = websocket) {{ {_OTHER} }} {_RTC} }}", "RTC405"),
        # Paths that are changed.
        (f"rewrite ^/old$ /new permanent; {_ALL}", "right"),
        (f"rewrite ^ https://wiki.example.com$request_uri? permanent; {_ALL}", _STOPPED),
        (f"location / {{ rewrite ^/socket.io/(.*)$ /x/$1 break; {_RTC} }}", "unknown"),
        (
            "location /socket.io/ { rewrite ^/socket.io/(.*)$ /rtc/$1 last; } "
            f"location /rtc/ {{ rewrite ^/rtc/(.*)$ /socket.io/$1 break; {_RTC} }}",
            "unknown",
        ),
        (f"location / {{ rewrite ^/old$ /new last; {_RTC} }}", "right"),
        # A status with a page of its own leads on.
        (f"error_page 418 = @x; {_ALL} if ($http_upgrade) {{ return 418; }} location @x {{ {_RTC} }}", "unknown"),
        (f"error_page 404 = @x; {_ALL} if ($http_upgrade) {{ return 418; }} location @x {{ {_RTC} }}", _STOPPED),
        # Who is let in.
        (f"deny all; {_ALL}", _STOPPED),
        (f"deny all; location / {{ allow all; {_RTC} }}", "right"),
        (f"allow 192.0.2.0/24; deny all; {_ALL}", "unknown"),
        (f"auth_basic x; {_ALL}", _STOPPED),
        (f"auth_basic x; location / {{ auth_basic off; {_RTC} }}", "right"),
        (f"auth_request /auth; {_ALL}", "unknown"),
        (f"access_by_lua_block {{ ngx.exit(403) }} {_ALL}", "unknown"),
        (f"location / {{ internal; {_RTC} }}", _STOPPED),
        (f"location / {{ limit_except GET {{ deny all; }} {_RTC} }}", _STOPPED),
        (f"location / {{ limit_except GET POST {{ deny all; }} {_RTC} }}", "right"),
        (f"location / {{ limit_except GET {{ deny all; }} location /socket.io/ {{ {_RTC} }} }}", "right"),
        # A header twice: nginx leaves an empty one out.
        (f'{_ALL} proxy_set_header Upgrade "";', "right"),
        (f'location / {{ proxy_set_header Connection upgrade; proxy_set_header Upgrade ""; {_RTC} }}', "RTC405"),
        # What does not arrive.
        (f"proxy_pass_request_headers off; {_ALL}", "RTC405"),
        (f"location / {{ proxy_method POST; {_RTC} }}", "unknown"),
        (f"proxy_hide_header Access-Control-Allow-Origin; {_ALL}", _STOPPED),
        (f"proxy_hide_header Access-Control-Allow-Origin; add_header Access-Control-Allow-Origin *; {_ALL}", "right"),
    ],
)
def test_a_server(tmp_path, server, said):
    assert _judge(tmp_path, server) == said


@pytest.mark.parametrize(
    ("http", "server", "said"),
    [
        ("ssl on;", _ALL, "RTC401"),  # before nginx 1.25.1, for all servers
        ("auth_basic x;", _ALL, _STOPPED),
        ("map $host $b { default 127.0.0.1:9083; }", "location / { proxy_pass http://$b; }", "unknown"),
        (
            'map $http_upgrade $connection { default upgrade; "" close; }',
            f"location / {{ proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection; {_RTC} }}",
            "right",
        ),
        (
            "map $http_upgrade $connection { default close; ~^Web upgrade; }",
            f"location / {{ proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection; {_RTC} }}",
            "RTC405",
        ),
    ],
)
def test_what_stands_around_it(tmp_path, http, server, said):
    assert _judge(tmp_path, server, http) == said


@pytest.mark.parametrize(("key", "said"), [("upgrade", "RTC405"), ("~*upgrade", "right")])
def test_browsers_say_more_than_upgrade(tmp_path, key, said):
    """Firefox asks with "Connection: keep-alive, Upgrade"."""
    headers = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $to;"
    server = f"location / {{ {headers} {_RTC} }}"
    assert _judge(tmp_path, server, f"map $http_connection $to {{ {key} upgrade; default close; }}") == said


@pytest.mark.parametrize(
    ("words", "tls", "said"),
    [
        ("ssl", False, "RTC401"),
        ("http2", False, "unknown"),  # alone before nginx 1.25.1, and beside HTTP/1.1 since
        ("proxy_protocol", False, "unknown"),
        ("reuseport", False, "right"),
        ("default_server", False, "right"),
    ],
)
def test_what_another_server_says_of_the_socket(tmp_path, words, tls, said):
    other = f"server {{ listen *:9083 {words}; server_name jira.example.com; return 404; }}"
    assert _judge(tmp_path, _ALL, other, tls=tls) == said
    elsewhere = other.replace("*:9083", "127.0.0.77:9083")
    assert _judge(tmp_path, _ALL, elsewhere, tls=tls) == "right"


@pytest.mark.parametrize(
    ("listens", "said"),
    [
        ("listen 9083;", "unknown"),
        ("listen 9083; listen 192.0.2.10:9083;", "right"),
        ("listen 192.0.2.10:9083;", "right"),
    ],
)
def test_an_address_that_another_server_has_for_itself(tmp_path, listens, said):
    other = "server { listen 192.0.2.10:9083; server_name jira.example.com; return 404; }"
    text = f"http {{ {other} server {{ {listens} server_name wiki.example.com; {_UPGRADE} {_ALL} }} }}"
    assert reading.judge("nginx", tmp_path / "nginx.conf", text).partition(",")[0] == said
    there = text.replace("192.0.2.10:9083; server_name jira", "127.0.0.1:9083; server_name jira")
    assert reading.judge("nginx", tmp_path / "nginx.conf", there).partition(",")[0] == "right"


def test_one_socket_for_both_families(tmp_path):
    text = (
        "http { server { listen [::]:9083 ipv6only=off; server_name a.example.com; } "
        "server { listen [::]:9083; server_name b.example.com; } server { listen [::1]:9083; } }"
    )
    hosts = reading.read("nginx", tmp_path / "nginx.conf", text)
    assert [item.dual for host in hosts for item in host.listens] == [True, True, False]


def test_behind_another_proxy(tmp_path):
    text = f"http {{ server {{ listen 9083 proxy_protocol; server_name wiki.example.com; {_UPGRADE} {_ALL} }} }}"
    assert reading.judge("nginx", tmp_path / "nginx.conf", text) == "unknown"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("*.example.com", "right"),
        ("wiki.*", "right"),
        (r"~^wiki\.", "right"),
        ("jira.example.com", ""),
        # One with a wildcard does not count where another has the whole name.
        (f"*.example.com; {_ALL} }} server {{ listen 9083; server_name wiki.example.com", "RTC405"),
    ],
)
def test_names_that_fit(tmp_path, names, said):
    end = _ALL if "{" not in names else f"location / {{ {_RTC} }}"
    text = f"http {{ server {{ listen 9083; {_UPGRADE if '{' not in names else ''} server_name {names}; {end} }} }}"
    assert reading.judge("nginx", tmp_path / "nginx.conf", text) == said.replace("RTC405", "RTC405 RTC406")


@pytest.mark.parametrize(
    ("server", "tls", "said"),
    [
        ("listen 9083; proxy_pass 127.0.0.1:9083;", False, "right"),
        ("listen 9083; proxy_pass 127.0.0.1:9083;", True, "right"),  # the service's own TLS
        ("listen 9083 ssl; proxy_pass 127.0.0.1:9083;", False, "RTC401"),
        ("listen 9083; proxy_pass 127.0.0.1:8090;", False, "RTC402"),
        ("listen 9083; proxy_pass 127.0.0.1:9083; proxy_protocol on;", False, "RTC430"),
        ("listen 9083; proxy_pass 127.0.0.1:9083; proxy_ssl on;", False, "RTC430"),
        ("listen 9083 ssl; proxy_pass 127.0.0.1:9083; proxy_ssl on;", True, "unknown"),
        ("listen 9083; proxy_pass 127.0.0.1:9083; deny all;", False, "RTC430"),
        ("listen 9083; proxy_pass 127.0.0.1:9083; allow 192.0.2.0/24; deny all;", False, "unknown"),
        ("listen 8443; proxy_pass 127.0.0.1:9083;", False, ""),
    ],
)
def test_a_stream(tmp_path, server, tls, said):
    text = f"events {{ }}\nstream {{ server {{ {server} }} }}"
    assert reading.judge("nginx", tmp_path / "nginx.conf", text, tls=tls) == said
