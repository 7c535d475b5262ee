# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frontends of HAProxy as administrators write them; about half were tried in HAProxy 2.6, few with a WebSocket."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.tests.unit.plugins.plugin_utils._plan import reading

_DEFAULTS = ["defaults", "mode http", "timeout client 1h", "timeout server 1h"]
_OTHER = ["backend other", "server b 127.0.0.1:8090"]
_SERVER, _DEFAULT = "server a 127.0.0.1:9083", "default_backend rtc"
_ASTRAY, _STOPPED = "RTC402 RTC405", "RTC430"


def _judge(tmp_path, frontend=(), backend=(_SERVER,), bind="bind :9083", defaults=()):
    lines = [*_DEFAULTS, *defaults, "frontend f", bind, *frontend, _DEFAULT, "backend rtc", *backend, *_OTHER, ""]
    return reading.judge("haproxy", tmp_path / "haproxy.cfg", "\n".join(lines))


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ("{ path_beg /socket.io }", True),
        ("{ path_beg /x }", False),
        ("!{ path_beg /socket.io }", False),
        ("{ path,url_dec -m beg /socket.io }", True),
        (r"{ path_reg ^/socket\.io/$ }", True),
        (r"{ path_reg ^/\d }", False),  # not as "d"
        (r"{ path_reg ^/\w }", True),
        (r"{ path_beg /socket\.io }", False),  # the backslash is part of the text
        (r"{ path_beg \x2fsocket }", True),
        (r"{ path_beg /a\' /socket }", True),
        ("{ path_reg ^/[[:alpha:]] }", None),
        ("{ query -m sub transport= }", True),
        ("{ url_beg /socket.io/?EIO=4 }", True),
        ("{ dst_port 9083 }", True),
        ("{ dst_port gt 9090 }", False),
        ("{ dst_port 80:443 9000:9100 }", True),
        ("{ always_false }", False),
        ("{ src 192.0.2.0/24 }", None),
        ("{ path_beg /a } { path_beg /socket.io } or { path_beg /socket.io }", True),
        ("METH_DELETE", False),
        ("{ hdr_end(host) -i example.com }", None),
        ("{ hdr_dom(host) -i example.com }", None),
        ("{ hdr_dom(host) -i wiki }", None),
        ("{ hdr_dom(host) -i jira.example.com }", False),
        ("{ method -i get }", False),  # seen with 2.6.12
    ],
)
def test_a_condition(tmp_path, condition, taken):
    said = _judge(tmp_path, [f"use_backend other if {condition}"])
    assert said == {True: _ASTRAY, False: "right", None: "unknown"}[taken]


@pytest.mark.parametrize(
    "condition",
    ["{ url_sub transport=websocket }", "{ urlp(transport) websocket }", "{ req.hdr(upgrade) -m found }",
     "{ hdr(connection) -i upgrade } { hdr(upgrade) -i WebSocket }"],
)  # fmt: skip
def test_a_websocket_goes_elsewhere(tmp_path, condition):
    assert _judge(tmp_path, [f"use_backend other if {condition}"]) == "RTC405"


@pytest.mark.parametrize(
    ("frontend", "said"),
    [
        ([], "right"),
        # Rules, and the order in which they count.
        (["redirect scheme https if !{ ssl_fc }"], _STOPPED),
        (["redirect scheme https if { path_beg /old }"], "right"),
        (["redirect location https://x.example.com/ if { hdr(host) -i wiki.example.com:9083 }"], "unknown"),
        (["http-request deny unless { hdr_beg(host) -i wiki. }"], "unknown"),
        (["http-request allow if { path_beg /socket.io }", "http-request deny"], "right"),
        (["http-request allow if { src 192.0.2.1 }", "http-request deny"], "unknown"),
        (["http-request allow", "redirect scheme https"], _STOPPED),
        (["http-request deny unless METH_GET"], _STOPPED),
        (["http-request deny if { method DELETE }"], "right"),
        (["http-request deny deny_status 403 if { path_beg /socket.io } { hdr(upgrade) -m found }"], _STOPPED),
        (["tcp-request connection reject"], _STOPPED),
        (["tcp-request session reject"], _STOPPED),
        (["http-response set-status 404"], _STOPPED),
        (["http-response set-status 404 if { status 500 }"], "unknown"),
        (["tcp-request content accept if HTTP", "tcp-request content reject"], "right"),
        (["tcp-request connection reject if !{ src 192.0.2.0/24 }"], "unknown"),
        (["acl ours src 192.0.2.0/24", "http-request deny if !ours"], "unknown"),
        (["acl ours src 192.0.2.0/24", "http-request deny if { path_beg /admin } !ours"], "right"),
        (["http-request track-sc0 src", "stick-table type ip size 1m"], "right"),
        (["reqrep ^(.*) x"], "unknown"),
        (["http-request", "tcp-request", "redirect if", "acl", "use_backend", "stats", "monitor-uri"], _STOPPED),
        (["http-request", "acl x", "use_backend", "stats", "monitor-uri", "http-response"], "right"),
        (["stats uri /"], _STOPPED),
        (["stats uri /haproxy?stats"], "right"),
        # Headers.
        (["http-request del-header Upgrade"], "RTC405"),
        (["http-request del-header Upgrade if { path_beg /x }"], "right"),
        (["http-request set-header Connection close"], "RTC405"),  # the server is asked to close, seen with 2.6.12
        (["http-request set-header Upgrade websocket if { hdr(upgrade) -m found }"], "right"),
        (["http-after-response add-header Access-Control-Allow-Origin *"], _STOPPED),
        (["http-response set-header Access-Control-Allow-Origin *"], "right"),
        # What is switched off, or not decided.
        (["disabled"], ""),
        (["disabled", "enabled"], "right"),
        ([".if defined(X)", "use_backend other", ".endif"], "unknown"),
        (["# one line\u2028 use_backend other"], "right"),
        (["acl METH_GET method X", "http-request deny if METH_GET"], "right"),
    ],
)
def test_a_frontend(tmp_path, frontend, said):
    assert _judge(tmp_path, frontend) == said


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        (["http-request deny if { path_beg /socket.io }", _SERVER], _STOPPED),
        (["acl x path_beg /socket.io", "http-request deny if x", _SERVER], _STOPPED),
        (["redirect scheme https if !{ ssl_fc }", _SERVER], _STOPPED),
        (["disabled", _SERVER], _STOPPED),
        (["default-server disabled", _SERVER], "RTC402"),
        ([_SERVER, "default-server disabled"], "right"),
        (["default-server disabled", f"{_SERVER} enabled"], "right"),
        (["default-server send-proxy", _SERVER], _STOPPED),
        (["default-server send-proxy", f"{_SERVER} no-send-proxy"], "right"),
        ([f"{_SERVER} proto h2"], _STOPPED),
        ([f"{_SERVER} weight 0", "server b 127.0.0.1:8090"], "RTC402"),
        (["stick-table type ip size 1m", "stick on src", _SERVER], "right"),
        (["http-request", "server", "server a", "default-server", _SERVER], "right"),
        ([f"{_SERVER} backup", "server b 127.0.0.1:8090 disabled"], "right"),
        (["server a tcp@127.0.0.1:9083"], "right"),
        (["server-template a 1 127.0.0.1:9083"], "right"),
        (["server-template a 1-3 127.0.0.1:9083"], "unknown"),
        (["server-template a 1 127.0.0.1:8090"], "RTC402"),
        (["server-template a"], "RTC402"),
        (["default-server send-proxy", "server-template a 1 127.0.0.1:9083"], _STOPPED),
        (["server-template a 1 127.0.0.1:9083", "default-server send-proxy"], "right"),
        (["use-server b if { path_beg /socket }", _SERVER, "server b 127.0.0.1:8090 weight 0"], "unknown"),
        (["use-server b if { path_beg /x }", _SERVER, "server b 127.0.0.1:8090 weight 0"], "right"),
    ],
)
def test_a_backend(tmp_path, backend, said):
    assert _judge(tmp_path, ["acl x path_beg /nowhere"], backend) == said


@pytest.mark.parametrize(
    ("bind", "defaults", "said"),
    [
        ("bind :9083 name ssl", [], "right"),
        ("bind :9083 accept-proxy", [], "unknown"),
        ("bind :9083 proto h2", [], _STOPPED),
        ("bind :9083 proto h1", [], "right"),
        ("bind :9083", ["default-server ssl verify none"], _STOPPED),
        ("bind :9083", ["default-server disabled"], "RTC402"),
    ],
)
def test_around_it(tmp_path, bind, defaults, said):
    assert _judge(tmp_path, bind=bind, defaults=defaults) == said


def test_bytes_are_handed_on(tmp_path):
    text = "\n".join(["listen rtc", "mode tcp", "bind :9083", "timeout client 1h", "timeout server 1h", _SERVER, ""])
    for tls in (False, True):
        assert reading.judge("haproxy", tmp_path / "haproxy.cfg", text, tls=tls) == "right"


@pytest.mark.timeout(120)  # 400 took more than a minute: each line was looked for by each name again
def test_reading_many_names_ends(tmp_path):
    names = [f"wiki{number}.example.com" for number in range(400)]
    frontend = [f"acl {name} hdr(host) -i {name}:9083" for name in names]
    frontend += [f"use_backend b-{name} if {name}" for name in names]
    backends = [line for name in names for line in (f"backend b-{name}", _SERVER)]
    text = "\n".join([*_DEFAULTS, "frontend f", "bind :9083", *frontend, *backends, ""])
    assert len(reading.read("haproxy", tmp_path / "haproxy.cfg", text)) == 400
