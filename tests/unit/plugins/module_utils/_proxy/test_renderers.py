# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written for nginx, Apache and HAProxy, read back by our own readers; tests/proxies asks the real servers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply, rendering
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.tests.unit.rendered_host import ACTIVE, APPLICATION, DATA, KINDS, NAME, Host, plan


@pytest.fixture(params=KINDS)
def host(request, tmp_path, monkeypatch):
    return Host(request.param, tmp_path / "root", monkeypatch)


def listens(found):
    return sorted(f"{item.address} {item.port}{' tls' if item.tls else ''}" for host in found for item in host.listens)


def test_rtc(host):
    found = host.write(plan(host.kind))
    assert len(found) == 1
    port = 9085 if host.kind == "haproxy" else 9083
    assert listens(found) == [f"192.0.2.10 {port} tls"]
    assert found[0].names == ([] if host.kind == "haproxy" else [NAME])  # alone on its port it takes every name
    (route,) = found[0].routes
    assert (route.path, route.upgrade, route.http11, route.buffering) == ("/", True, True, False)
    assert route.forwarded_proto in ("https", "$scheme")
    assert route.read_timeout == rendering.TUNNEL_SECONDS
    assert [(item.scheme, item.host, item.port) for item in route.upstreams] == [("http", "127.0.0.1", 9083)]


def test_application(host):
    found = host.write(plan(host.kind, **APPLICATION))
    routes = {route.path.rstrip("/"): route for item in found for route in item.routes}
    assert {path: route.upstreams[0].port for path, route in routes.items()} == {
        "/synchrony": 8091,
        "/confluence": 8090,
    }
    assert all(route.upgrade and route.http11 for route in routes.values())
    assert routes["/synchrony"].read_timeout == rendering.TUNNEL_SECONDS
    assert "/confluence/" in host.text()


def test_application_at_the_root(host):
    found = host.write(plan(host.kind, **{**APPLICATION, "context_path": ""}))
    paths = sorted(route.path for item in found for route in item.routes)
    assert paths == ["/", "/synchrony"]
    assert "404" not in host.text()


def test_plain_http(host):
    found = host.write(plan(host.kind, port=9085, certificate="", key=""))
    assert listens(found) == ["192.0.2.10 9085"]
    assert found[0].routes[0].forwarded_proto in ("http", "$scheme")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"port": 443}, ("https", "$scheme")),
        ({"port": 8443}, ("", '""')),
        ({"port": 8081, "certificate": "", "key": ""}, ("", '""')),
    ],
)
def test_no_valve_is_told_the_protocol_of_another_port(host, changes, expected):
    """RemoteIpValve would put 443 or 80 in the place of proxyPort."""
    found = host.write(plan(host.kind, **{**APPLICATION, "listen": ["192.0.2.77"], **changes}))
    assert {route.forwarded_proto for item in found for route in item.routes} <= set(expected)
    assert "X-Forwarded-Proto" in host.text()  # a client's own is taken away


def test_protocol_of_a_ports_own():
    assert rendering.find_forwarded_proto(plan("nginx", **{**APPLICATION, "port": 80, "certificate": ""})) == "http"
    assert rendering.find_forwarded_proto(plan("nginx", port=9083)) == "https"


def test_connections_to_an_add_ons_own_service_are_not_used_again(host):
    """Seen with netty-socketio 1.7.18 and 2.0.9: the answer says "connection: keep-alive", the connection is closed."""
    host.write(plan(host.kind))
    again = host.text()
    (route,) = host.write(plan(host.kind, reuse=False))[0].routes
    once = host.text()
    words = {"nginx": "'' close;", "apache": "disablereuse=on", "haproxy": "option http-server-close"}[host.kind]
    assert (words in again, words in once) == (False, True)
    assert (route.upgrade, route.http11) == (True, True)
    if host.kind == "nginx":
        assert ("keepalive 32" in again, "keepalive 32" in once) == (True, False)


def test_https_upstream_is_verified(host):
    secure = [{"scheme": "https", "host": "192.0.2.20", "port": 9083, "backup": False}]
    found = host.write(plan(host.kind, upstreams=secure, upstream_ca="/etc/ssl/tomcat-ca.pem"))
    assert found[0].routes[0].upstreams[0].scheme == "https"
    words = {"nginx": "proxy_ssl_verify on", "apache": "SSLProxyVerify require", "haproxy": "verify required"}
    assert words[host.kind] in host.text()
    assert "/etc/ssl/tomcat-ca.pem" in host.text()


def test_https_upstream_without_any_authority(host, monkeypatch):
    secure = [{"scheme": "https", "host": "192.0.2.20", "port": 9083, "backup": False}]
    with pytest.raises(ProxyError, match="no file of certificate authorities"):
        host.write(plan(host.kind, upstreams=secure))


@pytest.mark.parametrize("role", ["rtc", "application"])
def test_several_upstreams_are_sticky(host, role):
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": False} for end in (20, 21)]
    changes = {**(APPLICATION if role == "application" else {}), "synchrony": "", "upstreams": several}
    (route,) = host.write(plan(host.kind, **changes))[0].routes
    assert [item.host for item in route.upstreams] == ["192.0.2.20", "192.0.2.21"]
    assert route.sticky


def test_rtc_is_routed_by_what_session_ids_end_in(host):
    (route,) = host.write(plan(host.kind, upstreams=ACTIVE, health="/readyz"))[0].routes
    assert [(item.host, item.backup) for item in route.upstreams] == [("192.0.2.20", False), ("192.0.2.21", False)]
    assert "sid" in route.sticky.split()[-1]
    assert route.upgrade
    text = host.text().lower()
    for other in ("cookie", "balance source", "remote_addr consistent", "ip_hash"):
        assert other not in text, "browsers send no cookie to RTC, and a whole company has one address"
    assert ("/readyz" in text) == (host.kind == "haproxy")  # mod_proxy_hcheck is not there


def test_a_node_that_comes_changes_nothing_of_the_others(host):
    third = {**ACTIVE[0], "host": "192.0.2.22", "label": "1f0a6b2c"}
    host.write(plan(host.kind, upstreams=ACTIVE))
    before = set(host.text().splitlines())
    host.write(plan(host.kind, upstreams=[third, *ACTIVE]))
    gone = [line for line in before - set(host.text().splitlines()) if not line.startswith("#")]
    assert gone == [], "sessions of the nodes that stay would be elsewhere"


def test_nginx_connects_anew_for_each_session(tmp_path, monkeypatch):
    """A connection that was kept to a machine that is gone has no time limit of its own."""
    host = Host("nginx", tmp_path / "nginx", monkeypatch)
    host.write(plan("nginx", upstreams=ACTIVE))
    pools = {text.split("{")[0].strip(): "keepalive" in text for text in host.text().split("\nupstream ")[1:]}
    assert list(pools.values()) == [False, *[True] * len(ACTIVE)], pools


@pytest.mark.parametrize(
    "upstreams",
    [
        [ACTIVE[0], {**ACTIVE[1], "label": ""}],
        [ACTIVE[0], {**ACTIVE[1], "label": "84a0076d"}],
        [*ACTIVE, {**ACTIVE[0], "host": "192.0.2.22", "label": "", "backup": True}],
    ],
    ids=["one without", "the same twice", "a backup"],
)
def test_labels_that_lead_nowhere(host, upstreams):
    with pytest.raises(ProxyError, match="label"):
        host.write(plan(host.kind, upstreams=upstreams))


def test_failover(host):
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": end > 20} for end in (20, 21)]
    (route,) = host.write(plan(host.kind, upstreams=several))[0].routes
    assert [(item.host, item.backup) for item in route.upstreams] == [("192.0.2.20", False), ("192.0.2.21", True)]


def test_ipv6(host):
    changes = {"listen": ["2001:db8::10", "::"], "upstreams": [{"scheme": "http", "host": "::1", "port": 9083}]}
    found = host.write(plan(host.kind, **changes))
    (route,) = found[0].routes
    assert route.upstreams[0].host == "::1"
    addresses = {item.split()[0] for item in listens(found)}
    assert addresses == ({"::"} if host.kind == "haproxy" else {"2001:db8::10", "*" if host.kind == "apache" else "::"})


def test_two_of_one_port(host):
    port = 8443
    found = host.write(
        plan(host.kind, **APPLICATION),
        plan(
            host.kind,
            role="application",
            name="jira",
            server_name="jira.two.example.com",
            port=port,
            context_path="/jira",
        ),
    )
    assert {tuple(item.names) for item in found} == {(NAME,), ("jira.two.example.com",)}
    if host.kind == "haproxy":
        assert host.text().count(f":{port} ssl") == 1, "two frontends on one address"
    if host.kind == "apache":
        assert host.text().count("<IfDefine !") == 2, "each file listens, and asks whether the other does"


def test_one_goes_the_other_stays(host):
    other = plan(host.kind, name="rtc-jira-9093", server_name="jira.two.example.com", port=9093)
    if host.kind == "nginx":
        other = dataclasses.replace(other, port=9094)  # the data has a stream there
    host.write(plan(host.kind))
    host.write(other)
    assert len(host.server.read().hosts) >= 2
    found = host.write(absent=["rtc-confluence-9083"])
    assert [item.listens[0].port for item in found] == [other.port]
    before = Path(host.server.main()).read_text()
    assert host.write(absent=["rtc-jira-9093"]) == []
    if host.kind == "haproxy":
        assert "collab" in before
        assert Path(host.server.main()).read_bytes() == (DATA / "haproxy/etc/haproxy/haproxy.cfg").read_bytes()


def test_writing_again_differs_in_nothing(host):
    vhosts = [plan(host.kind), plan(host.kind, **APPLICATION)]
    host.write(*vhosts)
    desired = host.server.build_layout([host.local(item) for item in vhosts], [], host.server.read())
    assert apply.find_differences(desired) == []


def test_absent_of_nothing(host):
    desired = host.server.build_layout([], ["rtc-confluence-9083"], host.server.read())
    assert apply.find_differences(desired) == []


def test_foreign_of_the_same_name(host):
    taken = {"nginx": 80, "apache": 80, "haproxy": 443}[host.kind]
    vhost = plan(host.kind, server_name="WIKI.example.com", port=taken, listen=["192.0.2.10"], certificate="", key="")
    with pytest.raises(ProxyError) as caught:
        host.write(vhost)
    line = {"nginx": "sites-enabled/confluence:2", "apache": "wiki.conf:1", "haproxy": "haproxy.cfg:11"}[host.kind]
    assert line in str(caught.value)


def test_foreign_speaks_another_protocol(host):
    vhost = plan(host.kind, server_name="new.example.com", port=80)
    with pytest.raises(ProxyError, match=r"without TLS|every name|wiki\.example\.com"):
        host.write(vhost)


def test_beside_foreign_wildcards(host):
    if host.kind == "haproxy":
        pytest.skip("frontends cannot share a port")
    found = host.write(plan(host.kind, server_name="new.example.com", port=80, certificate="", key=""))
    assert listens(found) == ["* 80"], "on the exact address it would hide the other's names"
    if host.kind == "apache":
        assert "Listen" not in host.text(), "ports.conf listens already, a second one stops the server"
