# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts of httpd as administrators write them; about half were tried in httpd 2.4.71."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.plugins.plugin_utils._plan import reading

_RTC = "ProxyPass / http://127.0.0.1:9083/ upgrade=websocket timeout=3600"
_OTHER = "ProxyPass / http://127.0.0.1:8090/"
_BELOW = "ProxyPass http://127.0.0.1:9083/socket.io upgrade=websocket timeout=3600"
_ASTRAY, _NOWHERE, _STOPPED = "RTC402 RTC405", "RTC404 RTC405", "RTC430"


def _judge(tmp_path, lines, main="", names="ServerName wiki.example.com", **more):
    text = "\n".join(["Listen 9083", main, "<VirtualHost *:9083>", names, lines, "</VirtualHost>", ""])
    return reading.judge("apache", tmp_path / "httpd.conf", text, **more)


def _rules(*lines):
    return "\n".join(["RewriteEngine On", *lines])


def _within(place, *lines):
    return "\n".join([f"<{place}>", *lines, f"</{place.split()[0]}>"])


def _balance(words):
    members = [
        "BalancerMember http://127.0.0.1:9083 upgrade=websocket",
        f"BalancerMember http://127.0.0.1:9099 {words}",
    ]
    return "\n".join([_within("Proxy balancer://rtc", *members), "ProxyPass / balancer://rtc/ timeout=3600"])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([_RTC], "right"),
        (["proxypass / HTTP://127.0.0.1:9083/ upgrade=WebSocket"], "right"),
        # The first that fits, of sections the last; these come before those outside.
        (["ProxyPass /socket.io !", _RTC], _NOWHERE),
        ([_OTHER, _RTC], _ASTRAY),
        ([_within("Location /", _OTHER.replace(" / ", " ")), _within("Location /socket.io", _BELOW)], "right"),
        ([_within("Location /socket.io", _BELOW), _within("Location /", _OTHER.replace(" / ", " "))], _ASTRAY),
        ([_RTC, _within("Location /socket.io", "ProxyPass http://127.0.0.1:8090/socket.io")], _ASTRAY),
        ([_RTC, _within("Location /socket.io", "ProxyPass !")], _NOWHERE),
        ([_RTC, _within("Location /sock", "ProxyPass !")], "right"),
        (
            [_RTC, _within('LocationMatch "^/sock"', "ProxyPass http://127.0.0.1:8090")],
            "right",
        ),  # a path that never fits
        # Text is put in the place of text.
        (["ProxyPass / http://127.0.0.1:9083 upgrade=websocket"], _NOWHERE),
        (["ProxyPass /socket.io http://127.0.0.1:9083/socket.io upgrade=websocket"], "right"),
        (["ProxyPass /socket.io/ http://127.0.0.1:9083/ upgrade=websocket"], _NOWHERE),
        (["ProxyPassMatch ^/socket.io/ http://127.0.0.1:9083 upgrade=websocket"], "right"),
        (["ProxyPassMatch ^/ http://127.0.0.1:9083/ upgrade=websocket"], _NOWHERE),  # two slashes
        (["ProxyPassMatch ^/(.*)$ http://127.0.0.1:9083/$1 upgrade=websocket"], "right"),
        (["ProxyPassMatch ^/socket.io/(.*)$ http://127.0.0.1:9083/$1 upgrade=websocket"], _NOWHERE),
        (["ProxyPass / unix:/run/rtc.sock|http://localhost/", _RTC], "unknown"),
        (["JkMount /* worker", _RTC], "unknown"),
        (["JkMount /confluence/* worker", _RTC], "right"),
        # Rules.
        ([_rules(r"RewriteRule ^/socket\.io - [F]"), _RTC], f"{_NOWHERE} {_STOPPED}"),
        (
            [_rules(r"RewriteRule ^/socket\.io/ - [L]", "RewriteRule ^/(.*) http://127.0.0.1:8090/$1 [P]"), _RTC],
            "right",
        ),
        ([_rules("RewriteRule ^/SOCKET http://127.0.0.1:8090/x [P,NC]"), _RTC], _ASTRAY),
        ([_rules("RewriteRule ^/ - [S=1]", "RewriteRule ^/(.*) http://127.0.0.1:8090/$1 [P]"), _RTC], "right"),
        ([_rules("RewriteRule ^/x - [C]", "RewriteRule ^/(.*) http://127.0.0.1:8090/$1 [P]"), _RTC], "right"),
        ([_rules("RewriteRule ^ - [S=99999999999]"), _RTC], "right"),
        ([_rules("RewriteRule", "RewriteRule ^ -"), _RTC], "right"),
        (["RewriteRule ^/(.*)$ https://x.example.com/$1 [R]", _RTC], "right"),  # the engine is off
        ([_rules("RewriteRule ^/(.*)$ https://x.example.com/$1"), _RTC], f"{_NOWHERE} {_STOPPED}"),
        (
            [_rules("RewriteCond %{HTTPS} off", "RewriteRule ^ https://x.example.com/ [R]"), _RTC],
            f"{_NOWHERE} {_STOPPED}",
        ),
        ([_rules("RewriteCond %{HTTPS} !=off", "RewriteRule ^ https://x.example.com/ [R]"), _RTC], "right"),
        ([_rules("RewriteCond %{HTTP_HOST} !^wiki.example.com:9083$", "RewriteRule ^ - [F]"), _RTC], "right"),
        ([_rules("RewriteCond %{REQUEST_METHOD} !=GET", "RewriteRule ^ - [F]"), _RTC], "RTC404 RTC430"),
        ([_rules("RewriteCond %{HTTP_USER_AGENT} bot", "RewriteRule ^ - [F]"), _RTC], "unknown"),
        ([_rules("RewriteCond %{TIME} >2000", "RewriteRule ^ - [F]"), _RTC], "unknown"),
        ([_RTC, _within("Location /", _rules("RewriteRule . http://127.0.0.1:8090%{REQUEST_URI} [P]"))], "unknown"),
        # Firefox asks with "Connection: keep-alive, Upgrade".
        (
            [
                _rules(
                    "RewriteCond %{HTTP:Connection} ^Upgrade$ [NC]", "RewriteRule ^/(.*) ws://127.0.0.1:9083/$1 [P]"
                ),
                "ProxyPass / http://127.0.0.1:9083/ timeout=3600",
            ],
            "RTC405",
        ),
        # The engine of what is around a section.
        (["RewriteEngine On", _RTC, _within("Location /", "RewriteRule ^ - [F]")], "unknown"),
        # Members of a balancer that get no new sessions, or later.
        ([_balance("lbset=1")], "right"),
        ([_balance("status=+N")], "right"),
        ([_balance("status=+R")], "right"),
        ([_balance("lbset=0")], "RTC409"),
        # Who is let in.
        ([_RTC, _within("Location /", "<Limit GET>", "Require all denied", "</Limit>")], _STOPPED),
        ([_RTC, _within("Location /", "<LimitExcept POST>", "Require all denied", "</LimitExcept>")], _STOPPED),
        ([_RTC, _within("Location /", "<LimitExcept GET POST>", "Require all denied", "</LimitExcept>")], "right"),
        (
            [_RTC, _within("Location /", "Require all granted", "<Limit POST>", "Require all denied", "</Limit>")],
            "unknown",
        ),
        ([_RTC, _within("Location /", "Require all denied")], _STOPPED),
        ([_RTC, _within("Proxy *", "Require all denied")], _STOPPED),
        ([_RTC, _within("Proxy http://127.0.0.1:8090/*", "Require all denied")], "right"),
        ([_RTC, _within("Location /admin", "Require all denied")], "right"),
        ([_RTC, _within("Location /", "Require all denied"), _within("Location /s*", "Require all granted")], _STOPPED),
        ([_RTC, _within("Location /", "Require all denied"), _within("Location /s*/", "Require all granted")], "right"),
        (
            [_RTC, _within("Location /", "Require all denied"), _within("Location ~ ^/s", "Require all granted")],
            "right",
        ),
        ([_RTC, _within("Location /", "AuthType Basic", "Require valid-user")], _STOPPED),
        ([_RTC, _within("Location /", "Require expr true")], "unknown"),
        ([_RTC, _within("Location /", "<RequireAny>", "Require ip 192.0.2.0/24", "</RequireAny>")], "unknown"),
        ([_RTC, _within("Location /", "<LimitExcept GET>", "Require all denied", "</LimitExcept>")], _STOPPED),
        ([_RTC, _within("Location /", "<Limit PUT>", "Require all denied", "</Limit>")], "right"),
        ([_RTC, _within("Location /", "AllowMethods GET")], _STOPPED),
        ([_RTC, _within("Location /", "Order deny,allow", "Deny from all")], _STOPPED),
        ([_RTC, _within("Location /", "Order allow,deny", "Allow from all")], "right"),
        ([_RTC, _within("Location /", "Order allow,deny")], _STOPPED),
        ([_RTC, _within("Location /", "Order allow,deny", "Allow from all", "Deny from all")], _STOPPED),
        ([_RTC, _within("Location /", "Order deny,allow", "Allow from all", "Deny from all")], "right"),
        ([_RTC, _within("Location /", "Deny from all", "Allow from 192.0.2.0/24")], "unknown"),
        ([_RTC, _within("Location /", "SSLRequireSSL")], _STOPPED),
        ([_RTC, _within("Location /", "Redirect permanent https://x.example.com/")], _STOPPED),
        (["Redirect permanent / https://x.example.com/", _RTC], "right"),  # ProxyPass comes before
        ([_within("If \"%{HTTP:Upgrade} != 'websocket'\"", "Require all denied"), _RTC], "unknown"),
        (["RemoteIPProxyProtocol On", _RTC], "unknown"),
        ([_RTC, _within("Location /", "RequestHeader unset Upgrade")], "RTC405"),
        ([_RTC, "RequestHeader unset Upgrade env=plain"], "unknown"),
    ],
)
def test_a_virtual_host(tmp_path, lines, said):
    assert _judge(tmp_path, "\n".join(lines)) == said


@pytest.mark.parametrize(
    ("main", "said"),
    [
        (_OTHER, _ASTRAY),
        ("ProxyPass /socket.io !", _NOWHERE),
        (_within("Location /", "Require all denied"), _STOPPED),
    ],
)
def test_the_main_server_comes_first(tmp_path, main, said):
    assert _judge(tmp_path, _RTC, main) == said


@pytest.mark.parametrize(
    ("name", "said"), [("wiki.intern.example.com", "right"), ("wiki.example.org", "right"), ("jira.example.org", "")]
)
def test_aliases(tmp_path, name, said):
    names = "ServerName x.example.com\nServerAlias *.example.com wiki.*"
    assert _judge(tmp_path, _RTC, names=names, name=name) == said


def test_the_first_of_two_answers(tmp_path):
    first = "\n".join(["<VirtualHost *:9083>", "ServerAlias *.example.com", _OTHER, "</VirtualHost>"])
    assert _judge(tmp_path, _RTC, first) == "RTC402"


def test_one_for_whatever_comes_answers_where_it_is_first(tmp_path):
    first = "\n".join(["<VirtualHost *:9083>", "ServerName x", "ServerAlias *", _OTHER, "</VirtualHost>"])
    assert _judge(tmp_path, _RTC, first) == "RTC402"
    assert _judge(tmp_path, _RTC, first.replace("ServerAlias *", "ServerAlias y")) == "right"


@pytest.mark.parametrize(
    ("main", "lines", "said"),
    [
        # As seen with httpd 2.4.71: a virtual host without anything of mod_rewrite has no engine.
        ("RewriteEngine On", "RewriteRule ^/socket - [F]", f"{_NOWHERE} {_STOPPED}"),
        ("RewriteEngine On", "RewriteEngine Off\nRewriteRule ^/socket - [F]", "right"),
        ("RewriteEngine On\nRewriteRule ^ - [F]", "", "right"),
        ("RewriteEngine On\nRewriteRule ^ - [F]", "RewriteOptions Inherit", f"{_NOWHERE} {_STOPPED}"),
        ("RewriteRule ^ - [F]", "RewriteEngine On\nRewriteOptions InheritBefore", f"{_NOWHERE} {_STOPPED}"),
        ("RewriteRule ^ - [F]", "RewriteEngine On\nRewriteOptions Inherit\nRewriteRule ^ - [L]", "right"),
        (
            "RewriteRule ^ - [F]",
            "RewriteEngine On\nRewriteOptions InheritBefore\nRewriteRule ^ - [L]",
            f"{_NOWHERE} {_STOPPED}",
        ),
        ("RewriteOptions InheritDown\nRewriteRule ^ - [F]", "RewriteEngine On", f"{_NOWHERE} {_STOPPED}"),
        ("RewriteOptions InheritDown\nRewriteRule ^ - [F]", "", "right"),
        ("RewriteOptions InheritDown\nRewriteRule ^ - [F]", "RewriteEngine On\nRewriteOptions IgnoreInherit", "right"),
    ],
)
def test_rules_that_are_inherited(tmp_path, main, lines, said):
    assert _judge(tmp_path, f"{lines}\n{_RTC}", main) == said
