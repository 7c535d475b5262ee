# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is written for nginx, Apache and HAProxy, read back by our own readers; tests/proxies asks the real servers."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import apply, registry, rendering
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import modules
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import MARK
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "proxies"
KINDS = ("nginx", "apache", "haproxy")
NAME = "rtc.example.com"  # the test data serves other names


def plan(kind, **changes):
    values = {
        "site": "x",
        "kind": kind,
        "role": "rtc",
        "name": "rtc-confluence-9083",
        "server_name": NAME,
        "listen": ["192.0.2.10"],
        "port": 9083 if kind != "haproxy" else 9085,
        "upstreams": [{"scheme": "http", "host": "127.0.0.1", "port": 9083, "backup": False}],
        "certificate": "/etc/ssl/rtc.pem",
        "key": "/etc/ssl/rtc.key",
    }
    return VhostPlan(**{**values, **changes})


APPLICATION = {
    "role": "application",
    "name": "confluence",
    "port": 8443,
    "context_path": "/confluence",
    "synchrony": "127.0.0.1:8091",
    "upstreams": [{"scheme": "http", "host": "127.0.0.1", "port": 8090, "backup": False}],
}


class Host:
    """An installation of the test data, changed without any server."""

    def __init__(self, kind, root, monkeypatch, version=""):
        shutil.copytree(DATA / kind, root)
        if kind == "nginx":
            (root / "etc/nginx/sites-available").mkdir()
        if kind == "apache":
            (root / "etc/apache2/sites-available").mkdir()
            (root / "etc/apache2/mods-available").mkdir()
            depends = {
                "proxy_http": "proxy",
                "proxy_wstunnel": "proxy",
                "proxy_balancer": "proxy alias slotmem_shm",
                "lbmethod_bybusyness": "proxy_balancer",
                "lbmethod_byrequests": "proxy_balancer",
                "ssl": "setenvif mime socache_shmcb",
            }
            for name in (
                "proxy",
                "headers",
                "rewrite",
                "alias",
                "slotmem_shm",
                "setenvif",
                "mime",
                "socache_shmcb",
                *depends,
            ):
                text = f"# Depends: {depends[name]}\n" if name in depends else ""
                text += f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
                (root / f"etc/apache2/mods-available/{name}.load").write_text(text)
        (root / "etc/ssl").mkdir()
        for name in ("rtc.pem", "rtc.key"):
            (root / "etc/ssl" / name).write_text(f"{name}\n")
        self.kind, self.root = kind, root
        self.server = registry.make_backend(kind, str(root))
        monkeypatch.setattr(type(self.server), "version", lambda self: version)

    def write(self, *vhosts, absent=()):
        """Make it so, and return what the reader finds of ours."""
        vhosts = [self.local(item) for item in vhosts]
        desired = self.server.build_layout(vhosts, list(absent), self.server.read())
        for directory in desired.directories:
            os.makedirs(directory, exist_ok=True)
        for step in apply.find_differences(desired):
            step.apply()
        self.desired = desired
        return [host for host in self.server.read().hosts if host.managed]

    def local(self, vhost):
        paths = {
            name: self.server.path(getattr(vhost, name)) for name in ("certificate", "key") if getattr(vhost, name)
        }
        return dataclasses.replace(vhost, **paths)

    def text(self):
        return "".join(Path(path).read_text() for path in self.desired.configuration)


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


ACTIVE = [
    {"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": False, "label": label}
    for end, label in ((20, "84a0076d"), (21, "65bcb7b8"))
]


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


def test_health_is_asked_of_rtc_by_those_that_can(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch, "2.4.62")
    path = host.root / "etc/apache2/mods-available/proxy_hcheck.load"
    path.write_text("LoadModule proxy_hcheck_module /usr/lib/apache2/modules/mod_proxy_hcheck.so\n")
    host.write(plan("apache", upstreams=ACTIVE, health="/readyz"))
    assert "hcuri=/readyz" in host.text()
    assert (host.root / "etc/apache2/mods-enabled/proxy_hcheck.load").is_symlink()
    secure = [{**item, "scheme": "https"} for item in ACTIVE]
    authority = "/etc/ssl/rtc.pem"
    host.write(plan("apache", upstreams=secure, health="/readyz", upstream_ca=host.server.path(authority)))
    assert "hcuri" not in host.text(), "it would take every node for down: the certificate is not for the address"


def test_modules_that_a_run_could_not_use_are_found(tmp_path, monkeypatch):
    """On Debian those that are in mods-available can be switched on; elsewhere they have to be loaded."""
    host = Host("apache", tmp_path / "root", monkeypatch)
    assert modules.find_lacking(host.server) == ["proxy_hcheck"]
    available = host.root / "etc/apache2/mods-available"
    (available / "proxy_hcheck.load").write_text("LoadModule proxy_hcheck_module modules/mod_proxy_hcheck.so\n")
    (available / "slotmem_shm.load").unlink()
    assert modules.find_lacking(host.server) == ["slotmem_shm"]
    with (host.root / "etc/apache2/apache2.conf").open("a") as file:
        file.write("LoadModule slotmem_shm_module modules/mod_slotmem_shm.so\n")
    assert modules.find_lacking(host.server) == []


def test_apache_keeps_connections_of_who_polls_for_longer_than_a_ping_interval(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    host.write(plan("apache"))
    (found,) = re.findall(r"<IfModule !mpm_prefork_module>\s+KeepAlive On\s+KeepAliveTimeout (\d+)\s", host.text())
    assert int(found) > 25 and int(found) % 25
    host.write(plan("apache", role="application"))
    assert "KeepAlive" not in host.text()


def test_failover_asks_rtc_and_ends_what_is_left_at_the_other_node(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": end > 20} for end in (20, 21)]
    host.write(plan("haproxy", upstreams=several, health="/readyz"))
    assert "http-check send meth GET uri /readyz" in host.text()
    assert "on-marked-up shutdown-backup-sessions" in host.text()
    host.write(plan("haproxy", upstreams=several))
    assert "tcp-check" in host.text(), "the add-on's own service has no /readyz"


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


def test_a_link_of_ours_that_points_elsewhere_is_mended(tmp_path, monkeypatch):
    host = Host("nginx", tmp_path / "root", monkeypatch)
    host.write(plan("nginx"))
    link = host.root / "etc/nginx/sites-enabled/rtc-confluence-9083.conf"
    link.unlink()
    link.symlink_to("/etc/hostname")
    host.write(plan("nginx"))
    assert os.readlink(link) == str(host.root / "etc/nginx/sites-available/rtc-confluence-9083.conf")
    assert sorted(os.listdir(link.parent)) == ["confluence", link.name]


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


def test_apache_switches_on_what_modules_depend_on(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    host.write(plan("apache"))
    enabled = sorted(path.name for path in (host.root / "etc/apache2/mods-enabled").iterdir())
    assert enabled == ["headers.load", "proxy.load", "proxy_http.load", "ssl.load"]
    assert os.readlink(host.root / "etc/apache2/mods-enabled/proxy.load") == "../mods-available/proxy.load"
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083} for end in (20, 21)]
    host.write(plan("apache", upstreams=several))
    assert {"slotmem_shm.load", "alias.load", "lbmethod_bybusyness.load", "lbmethod_byrequests.load"} <= set(
        os.listdir(host.root / "etc/apache2/mods-enabled")
    )


def test_apache_module_that_is_not_installed(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    (host.root / "etc/apache2/mods-available/proxy_http.load").unlink()
    with pytest.raises(ProxyError, match="no module proxy_http"):
        host.write(plan("apache"))


@pytest.mark.parametrize(
    ("version", "form"),
    [("2.4.47", "upgrade=websocket"), ("2.4.62", "upgrade=websocket"), ("2.4.46", "ws://"), ("2.4.6", "ws://")],
)
def test_apache_form_of_the_upgrade(tmp_path, monkeypatch, version, form):
    host = Host("apache", tmp_path / "root", monkeypatch, version)
    found = host.write(plan("apache"))
    assert form in host.text()
    assert ("upgrade=websocket" in host.text()) != ("ws://" in host.text())
    assert all(route.upgrade for route in found[0].routes)


def test_apache_cannot_check_another_name(tmp_path, monkeypatch):
    host = Host("apache", tmp_path / "root", monkeypatch)
    secure = [{"scheme": "https", "host": "192.0.2.20", "port": 9083}]
    with pytest.raises(ProxyError, match="only, not against tomcat"):
        host.write(plan("apache", upstreams=secure, upstream_ca="/ca.pem", upstream_name="tomcat.example.com"))


def test_nginx_cannot_mix_several_and_backup(tmp_path, monkeypatch):
    host = Host("nginx", tmp_path / "root", monkeypatch)
    several = [{"scheme": "http", "host": f"192.0.2.{end}", "port": 9083, "backup": end == 22} for end in (20, 21, 22)]
    with pytest.raises(ProxyError, match="backup"):
        host.write(plan("nginx", upstreams=several))


def test_nginx_of_other_packagers(tmp_path, monkeypatch):
    """RHEL and nginx.org include conf.d only."""
    host = Host("nginx", tmp_path / "root", monkeypatch)
    main = host.root / "etc/nginx/nginx.conf"
    main.write_text(main.read_text().replace("include sites-enabled/*;", ""))
    host.write(plan("nginx"))
    assert host.desired.configuration == [f"{host.root}/etc/nginx/conf.d/rtc-confluence-9083.conf"]
    assert host.desired.links == []


def test_nginx_that_includes_nothing(tmp_path, monkeypatch):
    host = Host("nginx", tmp_path / "root", monkeypatch)
    (host.root / "etc/nginx/nginx.conf").write_text("events {}\nhttp { include mime.types; }\n")
    with pytest.raises(ProxyError, match="includes neither"):
        host.write(plan("nginx"))


def test_apache_of_the_rhel_family(tmp_path, monkeypatch):
    root = tmp_path / "root"
    host = Host("apache", root, monkeypatch)
    shutil.rmtree(root / "etc/apache2")
    for name in ("conf", "conf.d", "conf.modules.d"):
        (root / "etc/httpd" / name).mkdir(parents=True)
    (root / "etc/httpd/conf/httpd.conf").write_text(
        'ServerRoot "/etc/httpd"\nListen 80\nInclude conf.modules.d/*.conf\nIncludeOptional conf.d/*.conf\n'
    )
    with pytest.raises(ProxyError, match="does not load the modules headers, proxy, proxy_http, ssl"):
        host.write(plan("apache"))
    modules = ("headers", "proxy", "proxy_http", "ssl")
    (root / "etc/httpd/conf.modules.d/00.conf").write_text(
        "".join(f"LoadModule {name}_module m.so\n" for name in modules)
    )
    assert len(host.write(plan("apache"))) == 1
    assert host.desired.configuration == [f"{root}/etc/httpd/conf.d/rtc-confluence-9083.conf"]
    assert host.server.test_command()[0][1:] == [
        "-t",
        "-d",
        f"{root}/etc/httpd",
        "-f",
        f"{root}/etc/httpd/conf/httpd.conf",
    ]


def test_haproxy_of_the_rhel_family(tmp_path, monkeypatch):
    """Its unit reads a directory: a file of our own there, and haproxy.cfg stays as it is."""
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    (host.root / "etc/default/haproxy").unlink()
    (host.root / "etc/haproxy/conf.d").mkdir()
    unit = host.root / "usr/lib/systemd/system/haproxy.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS\n")
    assert len(host.write(plan("haproxy"))) == 1
    own = host.root / "etc/haproxy/conf.d/collab-rtc.cfg"
    assert own.exists()
    assert Path(host.server.main()).read_bytes() == (DATA / "haproxy/etc/haproxy/haproxy.cfg").read_bytes()
    host.write(absent=["rtc-confluence-9083"])
    assert not own.exists()


def test_haproxy_key_file_is_private(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    host.write(plan("haproxy"))
    pem = host.root / "etc/haproxy/collab-rtc/rtc-confluence-9083.pem"
    assert pem.read_text() == "rtc.pem\nrtc.key\n"
    assert pem.stat().st_mode & 0o777 == 0o600
    pem.chmod(0o644)
    (step,) = apply.find_differences(host.server.build_layout([host.local(plan("haproxy"))], [], host.server.read()))
    assert "rtc.key" not in str(step.diff())
    step.apply()
    assert pem.stat().st_mode & 0o777 == 0o600


def test_haproxy_directory_of_keys_goes_with_the_last_key(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    wiki = host.local(plan("haproxy"))
    host.write(wiki)
    own = host.root / "etc/haproxy/collab-rtc"
    assert list(own.iterdir())
    options = apply.ChangeOptions(validate=False, reload=False, selinux=False, firewalld=False)
    apply.ProxyChange(host.server, [], [wiki.name], options).run()
    assert not own.exists()


def test_haproxy_diff_hides_passwords_of_others(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    with open(host.server.main(), "a") as file:
        file.write("listen stats\n    stats auth admin:hunter2\nuserlist u\n    user joe insecure-password hunter2\n")
    desired = host.server.build_layout([host.local(plan("haproxy"))], [], host.server.read())
    shown = str([step.diff() for step in apply.find_differences(desired)])
    assert "stats auth ****" in shown
    assert "hunter2" not in shown


def test_haproxy_block_that_someone_cut(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch)
    host.write(plan("haproxy"))
    main = Path(host.server.main())
    main.write_text(main.read_text().replace("# END collab.rtc", ""))
    with pytest.raises(ProxyError, match=r"END collab\.rtc"):
        host.write(plan("haproxy"))


def test_haproxy_that_is_too_old(tmp_path, monkeypatch):
    host = Host("haproxy", tmp_path / "root", monkeypatch, "1.8.27")
    with pytest.raises(ProxyError, match="too old"):
        host.write(plan("haproxy"))


LOGS = {  # the main file, and the line after which the settings of logs are read
    "nginx": ("/etc/nginx/nginx.conf", "http {\n"),
    "apache": ("/etc/apache2/apache2.conf", ""),
    "haproxy": ("/etc/haproxy/haproxy.cfg", "defaults\n"),
}


@pytest.mark.parametrize(
    ("kind", "given", "written"),
    [
        ("nginx", ["access_log off;"], []),
        ("nginx", [], ["access_log ROOT/var/log/nginx/access.log collab_rtc_confluence_9083;"]),
        (
            "nginx",
            ["access_log /var/log/a.log main buffer=32k if=$loggable;", "access_log syslog:server=unix:/dev/log;"],
            [
                'access_log /var/log/a.log collab_rtc_confluence_9083 buffer=32k "if=$loggable";',
                "access_log syslog:server=unix:/dev/log collab_rtc_confluence_9083;",
            ],
        ),
        ("apache", [], []),
        (
            "apache",
            ["CustomLog logs/a.log combined env=!quiet", r'TransferLog "|/usr/bin/rotate \"a b\""'],
            ['CustomLog "logs/a.log" "%h FORMAT" "env=!quiet"', r'CustomLog "|/usr/bin/rotate \"a b\"" "%h FORMAT"'],
        ),
        ("apache", ["CustomLog /var/log/o.log vhost_combined"], ['CustomLog "/var/log/o.log" "%v:%p %h FORMAT"']),
        ("haproxy", [], []),
        ("haproxy", ["log global", "option httplog"], [r"log-format FORMAT \"%HM\ %HP\ %HV\""]),
    ],
)
def test_requests_are_logged_where_the_server_logs_them(tmp_path, monkeypatch, kind, given, written):
    host = Host(kind, tmp_path / "root", monkeypatch)
    name, after = LOGS[kind]
    path = host.root / name.lstrip("/")
    text = path.read_text() + "".join(f"{line}\n" for line in given if not after)
    path.write_text(text.replace(after, after + "".join(f"    {line}\n" for line in given), 1) if after else text)
    host.write(plan(kind))
    ours = host.text()[host.text().index(MARK) :]
    found = [
        line.strip()
        for line in ours.splitlines()
        if line.split()[:1] in (["access_log"], ["CustomLog"], ["log-format"])
    ]
    assert [
        re.sub(r"%l .*\{User-Agent\}i\\?\"|%ci.*%hs\\", "FORMAT", line).replace(str(host.root), "ROOT")
        for line in found
    ] == written
