# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module against real servers: topology T6 above all, refusals, undo, and reloads that a kill left out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from proxies.bench import NAME, Client, echo, free_port, wait_for

from ansible_collections.collab.rtc.plugins.module_utils._proxy import preflight, registry, rendering


@pytest.fixture(params=["nginx", "apache", "haproxy"])
def site(request, daemon, upstream, certificates, port, run_module):
    """T6: RTC and Tomcat on 127.0.0.1, the proxy on the external address (127.0.2.1 here) with the same RTC port."""
    return Site(daemon(request.param), upstream, certificates, port, run_module)


class Site:
    external = "127.0.2.1"

    def __init__(self, daemon, upstream, certificates, port, run_module):
        self.daemon, self.port, self.certificates = daemon, port, certificates
        self.upstream = upstream
        self.rtc = upstream("127.0.0.1", port, name="rtc")
        self.tomcat = upstream("127.0.0.1", name="tomcat")
        self.synchrony = upstream("127.0.0.1", name="synchrony")
        self.certificate, self.key = (shutil.copy(path, daemon.root) for path in certificates.issue())
        self.run_module = run_module

    def vhosts(self, **changes):
        common = {
            "kind": self.daemon.kind,
            "server_name": NAME,
            "listen": [self.external],
            "certificate": self.certificate,
            "key": self.key,
        }
        return [
            {
                **common,
                "name": "rtc-confluence",
                "role": "rtc",
                "port": self.port,
                "upstreams": [self.rtc.entry()],
                **changes,
            },
            {
                **common,
                "name": "confluence",
                "role": "application",
                "port": self.tomcat.port,
                "upstreams": [self.tomcat.entry()],
                "context_path": "/confluence",
                "synchrony": f"127.0.0.1:{self.synchrony.port}",
            },
        ]

    def run(self, vhosts=None, **options):
        check, diff = options.pop("check", False), options.pop("diff", False)
        args = {"vhosts": self.vhosts() if vhosts is None else vhosts, "config_root": str(self.daemon.root), **options}
        return self.run_module("proxy_vhost", args, check=check, diff=diff)

    def foreign(self, texts):
        """Configuration of someone else, read after ours where there are several files; returns path and first line."""
        paths = {"nginx": "/etc/nginx/sites-enabled/zz.conf", "apache": "/etc/apache2/sites-enabled/zz.conf"}
        self.own = self.daemon.config.read_text()
        if self.daemon.kind == "haproxy":
            self.daemon.config.write_text(self.own + texts["haproxy"])
            return f"{self.daemon.config}:{self.own.count(chr(10)) + 1}"
        return self.daemon.write(paths[self.daemon.kind], texts[self.daemon.kind]) + ":1"

    def without_foreign(self, place):
        if self.daemon.kind == "haproxy":
            self.daemon.config.write_text(self.own)
        else:
            os.unlink(place.rpartition(":")[0])

    def client(self, port=None):
        return Client(self.external, port or self.port, self.certificates.context())


def test_t6(site):
    site.daemon.start()
    result = site.run()
    assert result.get("changed") is True, result
    assert result["reloaded"] is True
    rtc, app = site.client(), site.client(site.tomcat.port)
    told = rtc.json("/socket.io/?EIO=4&transport=polling")
    assert told["name"] == "rtc"
    assert told["path"] == "/socket.io/?EIO=4&transport=polling"
    assert told["headers"]["x-forwarded-proto"] == "https"
    assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert told["headers"]["host"] == f"{NAME}:{site.port}"
    assert "upgrade" not in told["headers"]
    with rtc.websocket() as sock:
        assert echo(sock)
    assert app.json("/confluence/pages?x=%2Fa")["path"] == "/confluence/pages?x=%2Fa"
    assert app.json("/synchrony/v1")["name"] == "synchrony"
    with app.websocket("/synchrony/v1/bayeux") as sock:
        assert echo(sock)
    moved, _ = app.request("/")
    assert moved.status in (301, 302)
    assert moved.headers["Location"] == f"https://{NAME}:{site.tomcat.port}/confluence/"
    assert app.request("/elsewhere")[0].status == 404
    assert app.json("/confluence/x", method="POST", body=b"x" * 5_000_000)["length"] == 5_000_000


def test_a_second_run_changes_nothing(site):
    site.daemon.start()
    first = site.run()
    assert first.get("changed") is True, first
    again = site.run()
    assert (again.get("changed"), again.get("reloaded")) == (False, False), again


def test_check_mode_shows_all_and_changes_nothing(site):
    site.daemon.start()
    before = snapshot(site)
    result = site.run(check=True, diff=True)
    assert result["changed"] is True
    assert any(str(site.rtc.port) in part["after"] for part in result["diff"])
    assert snapshot(site) == before


def test_upstream_connections_are_kept(site):
    site.daemon.start()
    site.run()
    peers = {answer["peer"] for answer in site.client().several(5, "/socket.io/?transport=polling")}
    assert len(peers) < 5, "every request had a connection of its own"


def test_a_broken_configuration_of_others_is_left_alone(site):
    path = site.foreign(
        {
            "nginx": "server { listen 80 nonsense; }\n",
            "apache": "Nonsense on\n",
            "haproxy": "backend theirs\n    nonsense 1\n",
        }
    )
    before = snapshot(site)
    result = site.run()
    assert result["failed"] is True
    assert "nonsense" in result["msg"].lower(), result
    assert path.rpartition(":")[0] in result["msg"]
    assert snapshot(site) == before


def test_a_foreign_server_of_the_same_name_and_port(site):
    path = site.foreign(
        {
            "nginx": f"server {{ listen {site.port}; server_name {NAME.upper()}; }}\n",
            "apache": f"<VirtualHost *:{site.port}>\nServerName {NAME.upper()}\n</VirtualHost>\n",
            "haproxy": f"frontend theirs\n    bind *:{site.port}\n",
        }
    )
    before = snapshot(site)
    result = site.run()
    assert result["failed"] is True
    assert path in result["msg"], result
    assert snapshot(site) == before


def test_what_the_server_refuses_is_undone(site):
    """Something of others that only clashes with ours: no check beforehand can see it, the server does."""
    guard = rendering.make_identifier(f"listen {site.external}:{site.port}")
    path = site.foreign(
        {
            "nginx": "upstream collab_rtc_confluence { server 127.0.0.1:1; }\n",
            "apache": f"<IfDefine {guard}>\nNonsense on\n</IfDefine>\n",
            "haproxy": "backend collab_rtc_confluence\n    server x 127.0.0.1:1\n",
        }
    )
    site.daemon.start()
    before = snapshot(site)
    result = site.run()
    assert result["failed"] is True
    assert "which is undone" in result["msg"], result
    words = {"nginx": "duplicate upstream", "apache": "Invalid command 'Nonsense'", "haproxy": "same name"}
    assert words[site.daemon.kind] in result["msg"]
    assert snapshot(site) == before
    site.without_foreign(path)
    assert site.run()["changed"] is True


def test_a_port_held_by_another_process(site, upstream):
    upstream(site.external, site.port)
    before = snapshot(site)
    result = site.run()
    assert f"Port {site.port} on {site.external} is in use by" in result["msg"], result
    assert snapshot(site) == before


def test_an_address_of_another_host(site):
    result = site.run(site.vhosts(listen=["192.0.2.77"]))
    assert "192.0.2.77 is not an address of this host" in result["msg"], result


def test_a_reload_that_was_forgotten_is_made_up_for(site):
    site.daemon.start()
    assert site.run(reload=False)["reloaded"] is False  # as if the run had been killed after writing
    result = site.run()
    assert (result["changed"], result["reloaded"]) == (True, True), result
    assert site.client().json()["name"] == "rtc"
    assert site.run()["changed"] is False


def test_a_renewed_certificate_is_loaded(site, certificates):
    site.daemon.start()
    site.run()
    first = peer_certificate(site)
    for old, new in zip((site.certificate, site.key), certificates.issue(days=20)):
        os.rename(shutil.copy(new, f"{old}.new"), old)
    result = site.run()
    assert result["reloaded"] is True, result
    assert peer_certificate(site) != first
    assert site.run()["reloaded"] is False


def test_absent(site):
    site.daemon.start()
    before = snapshot(site)
    site.run()
    gone = [{"kind": site.daemon.kind, "name": item["name"], "state": "absent"} for item in site.vhosts()]
    result = site.run(gone)
    assert (result["changed"], result["reloaded"]) == (True, True), result
    left = {path: text for path, text in snapshot(site).items() if "/mods-enabled/" not in path or path in before}
    assert left == before  # modules stay on: others may count on them by now
    assert site.run(gone)["changed"] is False
    wait_for(lambda: refused(site), "nobody listens any more")


def test_a_file_that_is_not_ours_is_not_overwritten(site):
    if site.daemon.kind == "haproxy":
        pytest.skip("it has a block of ours in the one file")
    directory = {"nginx": "nginx", "apache": "apache2"}[site.daemon.kind]
    path = site.daemon.write(f"/etc/{directory}/sites-available/rtc-confluence.conf", "# mine\n")
    result = site.run()
    assert path in result["msg"], result
    assert "not written by this collection" in result["msg"]


def test_a_stopped_server_is_said(site):
    result = site.run()
    assert result["changed"] is True
    assert any("was stopped" in str(text) for text in result.get("warnings", [])), result


def test_connected_users_stay_connected_over_a_reload(site):
    site.daemon.start()
    site.run()
    with site.client().websocket() as sock:
        assert echo(sock)
        vhosts = site.vhosts()
        vhosts[1]["context_path"] = "/wiki"
        assert site.run(vhosts)["reloaded"] is True
        assert echo(sock, b"still here")


def test_reencryption_checks_the_upstream(site, upstream, certificates):
    site.daemon.start()
    tls = upstream("127.0.0.1", certificate=certificates.issue())
    other = upstream("127.0.0.1", certificate=certificates.issue("other.example.com"))
    ca = str(certificates.authority)
    assert site.run(site.vhosts(upstreams=[tls.entry()], upstream_ca=ca))["changed"] is True
    assert site.client().json()["headers"]["x-forwarded-proto"] == "https"
    with site.client().websocket() as sock:
        assert echo(sock)
    site.run(site.vhosts(upstreams=[other.entry()], upstream_ca=ca))
    assert site.client().request()[0].status in (500, 502, 503)


def test_clients_stay_with_one_of_several(site, upstream):
    several = [site.rtc.entry(), upstream("127.0.0.1", name="second").entry()]
    site.daemon.start()
    vhosts = site.vhosts(upstreams=several)
    vhosts[1]["upstreams"] = [site.tomcat.entry(), upstream("127.0.0.1", name="other").entry()]
    site.run(vhosts)
    for client, path in ((site.client(), "/socket.io/"), (site.client(site.tomcat.port), "/confluence/")):
        response, data = client.request(path)
        cookie = (response.headers.get("Set-Cookie") or "").split(";")[0]
        first = json.loads(data)["name"]
        assert {client.json(path, headers={"Cookie": cookie})["name"] for _ in range(6)} == {first}


def test_the_backup_answers_when_the_first_is_gone(site, upstream):
    backup = upstream("127.0.0.1", name="backup")
    site.daemon.start()
    site.run(site.vhosts(upstreams=[site.rtc.entry(), backup.entry(backup=True)]))
    assert site.client().json()["name"] == "rtc"
    site.rtc.close()
    wait_for(lambda: b"backup" in site.client().request()[1], "the backup takes over")
    with site.client().websocket() as sock:
        assert echo(sock)


@pytest.mark.parametrize("steps", [1, 2, 3, 99])
def test_a_run_that_is_killed_is_finished_by_the_next(site, steps):
    """SIGKILL after some of the writes (99: after all, before the reload): files are whole, a second run converges."""
    site.daemon.start()
    options = {"vhosts": site.vhosts(), "config_root": str(site.daemon.root)}
    killed = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "killed.py"), str(steps)],
        input=json.dumps(options),
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    server = registry.make_backend(site.daemon.kind, str(site.daemon.root))
    assert server.validate() == "", "what a kill leaves behind must start after a reboot"
    result = site.run()
    assert (result.get("changed"), result.get("reloaded")) == (True, True), result
    assert site.client().json()["name"] == "rtc"
    assert site.client(site.tomcat.port).json("/confluence/")["name"] == "tomcat"
    assert site.run()["changed"] is False


def test_apache_before_2_4_47(site, monkeypatch):
    """The form with RewriteRule and mod_proxy_wstunnel, which current versions still understand."""
    if site.daemon.kind != "apache":
        pytest.skip("of Apache only")
    monkeypatch.setattr(registry.BACKENDS["apache"], "version", lambda self: "2.4.46")
    site.daemon.start()
    assert {"proxy_wstunnel", "rewrite"} <= set(site.run()["enabled_modules"])
    assert site.client().json("/socket.io/?transport=polling")["name"] == "rtc"
    for client, path in ((site.client(), "/socket.io/?EIO=4"), (site.client(site.tomcat.port), "/synchrony/v1")):
        with client.websocket(path) as sock:
            assert echo(sock)


@pytest.mark.parametrize("addresses", [["127.0.2.1", "::1"], ["::1"], ["*"], ["*", "::"]])
def test_addresses(site, port, addresses):
    site.daemon.start()
    vhosts = [{**site.vhosts()[0], "listen": addresses, "upstreams": [site.tomcat.entry()]}]
    vhosts[0]["port"] = free_port()
    result = site.run(vhosts)
    assert "failed" not in result, result
    for address in addresses:
        client = Client({"*": "127.0.5.1", "::": "::1"}.get(address, address), vhosts[0]["port"], site.client().context)
        assert client.json()["name"] == "tomcat"
    assert site.run(vhosts)["changed"] is False


def test_from_all_addresses_to_one(site):
    """nginx and Apache cannot bind it beside their own old socket: that is said before anything is written."""
    site.daemon.start()
    vhosts = [{**site.vhosts()[0], "listen": ["*"], "port": free_port(), "upstreams": [site.tomcat.entry()]}]
    assert site.run(vhosts)["reloaded"] is True
    before = snapshot(site)
    result = site.run([{**vhosts[0], "listen": [site.external]}])
    if site.daemon.kind != "haproxy":
        assert "without a restart" in result["msg"], result
        assert snapshot(site) == before
    else:
        assert result.get("reloaded") is True, result["msg"]
    assert site.client(vhosts[0]["port"]).json()["name"] == "tomcat"


def test_a_server_that_does_not_take_it_gets_its_old_files_back(site, monkeypatch):
    """A port that was free when it was looked at, and is not when the server binds it."""
    if site.daemon.kind == "haproxy":
        pytest.skip("the same path as for the others, but it takes the longest wait")
    site.daemon.start()
    site.run(site.vhosts()[1:])
    before = snapshot(site)
    monkeypatch.setattr(preflight, "check_ports", lambda *args: None)
    site.upstream(site.external, site.port)
    result = site.run()
    assert "did not take the new configuration" in result["msg"], result
    assert "in use" in result["msg"]
    assert snapshot(site) == before
    if site.daemon.kind == "nginx":  # it goes on; httpd ends when it cannot bind, and only systemd starts it again
        assert site.client(site.tomcat.port).json("/confluence/")["name"] == "tomcat"


def test_beside_a_foreign_server_of_another_name(site):
    """It listens on every address; ours must not draw its requests away, nor the other way round."""
    if site.daemon.kind == "haproxy":
        pytest.skip("frontends of HAProxy cannot share a port: see the refusal")
    certificate, key = site.certificates.issue("other.example.com")
    site.foreign(
        {
            "nginx": f"server {{ listen {site.external}:{site.tomcat.port} ssl; server_name other.example.com; "
            f"ssl_certificate {certificate}; ssl_certificate_key {key}; location / {{ return 410; }} }}\n",
            "apache": "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n"
            f"Listen {site.external}:{site.tomcat.port}\n"
            f"<VirtualHost *:{site.tomcat.port}>\nServerName other.example.com\nSSLEngine on\n"
            f"SSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\nRedirect 410 /\n</VirtualHost>\n",
        }
    )
    site.daemon.start()
    result = site.run()
    assert "failed" not in result, result
    theirs = Client(site.external, site.tomcat.port, site.certificates.context(), "other.example.com")
    assert theirs.request()[0].status == 410
    assert site.client(site.tomcat.port).json("/confluence/")["name"] == "tomcat"


SECRET = "a-token-in-the-query"


def switch_logs_on(site, tmp_path):
    """Log as the packages do; returns a function that reads what was logged."""
    daemon = site.daemon
    if daemon.kind == "haproxy":
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        receiver.bind(str(tmp_path / "log"))
        receiver.setblocking(False)
        lines = []

        def read():
            with contextlib.suppress(BlockingIOError):
                while True:
                    lines.append(receiver.recv(65536).decode())
            return "\n".join(lines)

        config = daemon.config.read_text().replace("global\n", f"global\n    log {tmp_path}/log local0\n")
        daemon.config.write_text(config.replace("defaults\n", "defaults\n    log global\n    option httplog\n"))
        return read
    path = daemon.root / "log/access.log"
    if daemon.kind == "nginx":
        daemon.config.write_text(daemon.config.read_text().replace("access_log off", f"access_log {path} combined"))
    else:
        daemon.write("/etc/apache2/conf-enabled/log.conf", "CustomLog ${APACHE_LOG_DIR}/access.log vhost_combined\n")
    return lambda: path.read_text() if path.exists() else ""


@pytest.mark.parametrize("version", ["", "2.4.46"], ids=["", "older-apache"])
def test_access_logs_have_no_query(site, tmp_path, monkeypatch, version):
    """Clients of Engine.IO 3 have their token there; pages of the application are named in the Referer of the next."""
    if version:
        if site.daemon.kind != "apache":
            pytest.skip("of Apache only")
        monkeypatch.setattr(registry.BACKENDS["apache"], "version", lambda self: version)
    read = switch_logs_on(site, tmp_path)
    site.daemon.start()
    assert site.run().get("changed") is True
    rtc, application = site.client(), site.client(site.tomcat.port)
    referer = {"Referer": f"https://{NAME}/confluence/x?{SECRET}"}
    rtc.json(f"/socket.io/?EIO=3&transport=polling&token={SECRET}", headers=referer)
    rtc.json(f"/socket.io/?EIO=3&transport=polling&token={SECRET}", method="POST", body=b"1:4")
    with rtc.websocket(f"/socket.io/?EIO=3&transport=websocket&token={SECRET}") as sock:
        assert echo(sock)
    application.json(f"/confluence/page?token={SECRET}", headers=referer)
    assert application.request(f"/?token={SECRET}")[0].status in (301, 302)
    assert application.request(f"/elsewhere?token={SECRET}", headers=referer)[0].status == 404
    site.rtc.close()
    assert rtc.request(f"/gone/?token={SECRET}", headers=referer)[0].status in (502, 503)
    words = ["GET /socket.io/ HTTP/1.1", "POST /socket.io/ HTTP/1.1", "GET /confluence/page HTTP/1.1"]
    words += ["GET / HTTP/1.1", "GET /elsewhere HTTP/1.1", "GET /gone/ HTTP/1.1"]
    wait_for(lambda: all(item in read() for item in words), "all requests are logged")
    wait_for(lambda: read().count("/socket.io/ ") == 3, "the WebSocket is logged when it ends")
    assert SECRET not in read()
    assert site.run()["changed"] is False


def refused(site):
    try:
        site.client().socket().close()
    except ConnectionError:
        return True
    return False


def peer_certificate(site):
    with site.client().socket() as sock:
        return sock.getpeercert(binary_form=True)


def snapshot(site):
    """Every file and link of the configuration."""
    found = {}
    for directory, _names, files in os.walk(site.daemon.root / "etc"):
        for name in files:
            path = os.path.join(directory, name)
            found[path] = os.readlink(path) if os.path.islink(path) else Path(path).read_bytes()
    return found
