# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands around a managed virtual host must not hold for it, nor it for what stands around; real servers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from proxies.bench import NAME, Client, echo, free_port

from ansible_collections.collab.rtc.plugins.module_utils._proxy import discover, registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

EXTERNAL = "127.0.2.1"


@pytest.fixture
def run(run_module, upstream):
    """A function: a daemon, a port, changes -> the module's result for one virtual host without TLS."""
    service = upstream("127.0.0.1", name="rtc")

    def call(daemon, port, check=False, **changes):
        vhost = {
            "kind": daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME, "listen": [EXTERNAL],
            "port": port, "upstreams": [service.entry()], **changes,
        }  # fmt: skip
        return run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(daemon.root)}, check=check)

    return call


DEFAULTS = [
    "default-server ssl verify none", "default-server send-proxy", "default-server send-proxy-v2 check",
    "default-server disabled", "default-server proto h2", "default-server weight 0", "default-server source 192.0.2.77",
    "default-server port 1 check", "default-server backup", "default-server inter 2s ssl verify none", "disabled",
    "source 192.0.2.77", "monitor-uri /socket.io/", "stats uri /socket.io/", "default_backend theirs",
    "http-send-name-header Host", "option transparent", "option httpchk GET /nothing", "option httpclose",
    "rate-limit sessions 0",
]  # fmt: skip


@pytest.mark.parametrize("line", DEFAULTS)
def test_defaults_of_haproxy_do_not_hold_for_ours(daemon, run, port, line):
    server = daemon("haproxy")
    other = free_port()
    server.config.write_text(
        f"{server.config.read_text()}    {line}\nbackend theirs\n    mode http\n"
        f"defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n"
        f"frontend theirs\n    bind 127.0.0.1:{other}\n    http-request return status 410\n"
        f"defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n    {line}\n"
    )
    before = server.config.read_text()
    server.start()
    result = run(server, port)
    assert result.get("changed") is True, result
    assert Client(EXTERNAL, port).json("/socket.io/")["name"] == "rtc"
    with Client(EXTERNAL, port).websocket() as sock:
        assert echo(sock)
    assert Client("127.0.0.1", other).request()[0].status == 410
    assert server.process.poll() is None
    assert run(server, port)["changed"] is False
    assert run(server, port, state="absent")["changed"] is True
    assert server.config.read_text() == before


@pytest.mark.parametrize("role", ["rtc", "application"])
def test_nothing_of_ours_is_kept_by_nginx(daemon, run, port, tmp_path, role):
    """A cache for all virtual hosts would give the answers of one person to others; a store would make files of them."""
    (tmp_path / "cache").mkdir()
    server = daemon("nginx")
    server.write(
        "/etc/nginx/conf.d/00-cache.conf",
        f"proxy_cache_path {tmp_path}/cache keys_zone=c:1m;\nproxy_cache c;\nproxy_cache_key $uri;\n"
        "proxy_cache_valid any 1h;\nproxy_ignore_headers Cache-Control Expires Set-Cookie Vary;\n"
        "add_header X-Kept $upstream_cache_status;\n",
    )
    server.start()
    result = run(server, port, role=role)
    assert result.get("changed") is True, result
    for _number in range(2):
        response = Client(EXTERNAL, port).request("/socket.io/")[0]
        assert (response.status, response.getheader("X-Kept")) == (200, None)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


LIMITS = {
    "connections": "limit_conn_zone $binary_remote_addr zone=all:1m;\nlimit_conn all 1;\n",
    "requests": "limit_req_zone $binary_remote_addr zone=all:1m rate=1r/m;\nlimit_req zone=all;\n",
    "bytes": "limit_rate 10;\n",
    "copies": "mirror /socket.io/copy;\n",
    "times": "expires 1h;\n",
    "files": "client_body_in_file_only on;\n",
    "headers": "connection_pool_size 256;\nlarge_client_header_buffers 2 256;\nclient_header_buffer_size 128;\n",
    "pages": "proxy_intercept_errors on;\nerror_page 404 =200 /nothing;\n",
}


@pytest.mark.parametrize("name", LIMITS)
def test_what_nginx_limits_and_copies_for_all_does_not_hold_for_ours(daemon, run, port, tmp_path, name):
    """Neither do our connections count for others: theirs is the only one."""
    server = daemon("nginx")
    other = free_port()
    theirs = f"server {{ listen 127.0.0.1:{other}; root /nonexistent; }}\n"
    server.write("/etc/nginx/conf.d/00-limits.conf", LIMITS[name] + theirs)
    server.start()
    result = run(server, port)
    assert result.get("changed") is True, result
    client, held = Client(EXTERNAL, port), []
    for _number in range(6):
        held.append(client.websocket())
        assert echo(held[-1])
        answer, data = client.request("/socket.io/", "POST", b"x" * 100, {"Cookie": "a=" + "b" * 2000})
        assert (answer.status, json.loads(data)["length"]) == (200, 100)
        assert (answer.getheader("Expires"), answer.getheader("Cache-Control")) == (None, None)
    if name == "connections":
        assert Client("127.0.0.1", other).request()[0].status == 404
    assert not [path for path in (server.root / "tmp").rglob("*") if path.is_file()]
    assert run(server, port)["changed"] is False
    assert run(server, port, state="absent")["changed"] is True


@pytest.mark.parametrize("role", ["rtc", "application"])
@pytest.mark.parametrize("line", ["proxy_temp_file_write_size 16k;", "proxy_busy_buffers_size 8k; proxy_buffers 8 4k;"])
def test_sizes_that_nginx_has_for_all_do_not_forbid_ours(daemon, run, port, line, role):
    """nginx compares sizes of buffers with each other, whichever block they are of."""
    server = daemon("nginx")
    server.write("/etc/nginx/conf.d/00-sizes.conf", f"{line}\n")
    server.start()
    result = run(server, port, role=role)
    assert result.get("changed") is True, result
    assert Client(EXTERNAL, port).json("/socket.io/")["name"] == "rtc"


def test_an_nginx_that_was_built_without_a_module_gets_no_directive_of_it():
    plan = VhostPlan(
        site="s", kind="nginx", name="rtc", role="rtc", server_name=NAME, listen=["*"], port=9083,
        upstreams=[{"scheme": "http", "host": "127.0.0.1", "port": 9083}],
    )  # fmt: skip
    whole = renderer.render(plan, ["*"], "")
    less = renderer.render(plan, ["*"], "", modules=["limit_req"])
    assert all(f"{name}" in whole for name in renderer.USUAL_MODULES)
    assert [name in less for name in renderer.USUAL_MODULES] == [False, True, False]


@pytest.mark.parametrize(
    ("module", "lines"),
    [
        ("expires", "ExpiresActive On\nExpiresDefault A3600"),
        ("proxy", "ProxyAddHeaders Off"),
        ("proxy", "LimitRequestFields 3\nLimitRequestFieldSize 100\nLimitRequestLine 30"),
    ],
)
def test_what_apache_has_for_all_does_not_hold_for_ours(daemon, run, port, module, lines):
    server = daemon("apache")
    link = server.root / f"etc/apache2/mods-enabled/{module}.load"
    if not link.exists():
        os.symlink(f"../mods-available/{module}.load", link)
    server.write("/etc/apache2/conf-enabled/all.conf", f"{lines}\n")
    server.start()
    result = run(server, port)
    assert result.get("changed") is True, result
    client = Client(EXTERNAL, port)
    given = {"X-Forwarded-For": "192.0.2.66", "Cookie": "a=" + "b" * 4000, "X-A": "1", "X-B": "2"}
    answer, data = client.request("/socket.io/?EIO=4&transport=polling&t=abcdefgh", headers=given)
    assert (answer.status, answer.getheader("Expires"), answer.getheader("Cache-Control")) == (200, None, None)
    seen = json.loads(data)["headers"]["x-forwarded-for"].split(", ")
    assert (seen[0], len(seen)) == ("192.0.2.66", 2)  # the proxy says who that came from
    with client.websocket() as sock:
        assert echo(sock)
    assert run(server, port)["changed"] is False


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_nothing_of_ours_is_kept_by_apache(daemon, run, port, tmp_path, quick):
    (tmp_path / "cache").mkdir()
    server = daemon("apache")
    for module in ("cache", "cache_disk"):
        link = server.root / f"etc/apache2/mods-enabled/{module}.load"
        if not link.exists():
            os.symlink(f"../mods-available/{module}.load", link)
    server.write(
        "/etc/apache2/conf-enabled/cache.conf",
        f"CacheRoot {tmp_path}/cache\nCacheEnable disk /\nCacheQuickHandler {quick}\nCacheDefaultExpire 3600\n"
        "CacheIgnoreCacheControl On\nCacheIgnoreNoLastMod On\nCacheStorePrivate On\nCacheStoreNoStore On\nCacheHeader On\n",
    )
    server.start()
    result = run(server, port)
    assert result.get("changed") is True, result
    for _number in range(2):
        response = Client(EXTERNAL, port).request("/socket.io/")[0]
        assert (response.status, response.getheader("X-Cache")) == (200, None)  # it says so of a miss, too


def test_ours_do_not_hold_for_sections_of_haproxy_that_are_added(daemon, run, port):
    server = daemon("haproxy")
    server.config.write_text(server.config.read_text() + "    default-server ssl verify none\n")
    server.start()
    assert run(server, port).get("changed") is True
    with open(server.config, "a") as file:
        file.write("backend theirs\n    server x 127.0.0.1:1\n")
    read = registry.make_backend("haproxy", str(server.root)).parse_config()
    theirs = read.named("theirs")
    assert [line.words for line in theirs.all("default-server")] == [["default-server", "ssl", "verify", "none"]]
    ours = read.named("collab_rtc_confluence")
    assert ours.inherited.name == "collab_rtc"
    assert not list(ours.all("default-server"))


def test_a_block_of_haproxy_moves_when_defaults_begin_to_matter(daemon, run, port):
    server = daemon("haproxy").start()
    plain = server.config.read_text()
    assert run(server, port).get("changed") is True
    assert server.config.read_text().startswith(plain)
    server.config.write_text(
        server.config.read_text().replace("defaults\n", "defaults\n    default-server send-proxy\n")
    )
    assert run(server, port)["reloaded"] is True
    assert Client(EXTERNAL, port).json("/socket.io/")["name"] == "rtc"
    assert run(server, port)["changed"] is False
    assert server.config.read_text().count("BEGIN collab.rtc") == 1


def test_a_directory_of_haproxy(daemon, run, port):
    """A file of our own there, as long as no defaults would hold for it; else before these, wherever they stand."""
    server = daemon("haproxy")
    own = server.root / "etc/haproxy/conf.d/collab-rtc.cfg"
    own.parent.mkdir()
    server.write(
        "/usr/lib/systemd/system/haproxy.service",
        "[Service]\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS\n",
    )
    given = server.config.read_text().replace("global\n", "global\n    log /dev/log local0\n")
    server.config.write_text(given)
    assert run(server, port).get("changed") is True
    assert own.exists()
    assert server.config.read_text() == given
    given += "    default-server send-proxy\n    log global\n"
    server.config.write_text(given)
    assert run(server, port).get("changed") is True
    assert not own.exists()
    before, _mark, after = server.config.read_text().partition("# END collab.rtc\n")
    assert after.startswith("defaults\n")
    assert "\ndefaults collab_rtc\n    mode http\n    log global\n" in before
    assert run(server, port)["changed"] is False
    with_block = server.config.read_text()
    server.config.write_text(with_block.replace("    default-server send-proxy\n", ""))
    assert run(server, port)["changed"] is False, "it stays where it is"
    server.config.write_text(with_block)
    assert run(server, port, state="absent")["changed"] is True
    assert server.config.read_text() == given


def test_haproxy_whose_defaults_are_all_conditional(daemon, run, port):
    server = daemon("haproxy")
    text = server.config.read_text().replace("defaults\n", ".if defined(X)\ndefaults\n    disabled\n.endif\ndefaults\n")
    server.config.write_text(text)
    assert run(server, port).get("changed") is True
    assert server.config.read_text().index(".endif") < server.config.read_text().index("BEGIN collab.rtc")
    server.config.write_text(text.rpartition("defaults\n")[0])
    assert "all of them are conditional" in run(server, port)["msg"]


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_the_path_of_a_certificate_as_the_server_means_it(daemon, run, port, certificates, kind):
    """The certificate of a virtual host of others, found and then presented by ours."""
    server = daemon(kind)
    certificate, key = (Path(path).read_text() for path in certificates.issue())
    other = free_port()
    if kind == "nginx":
        server.write("/etc/nginx/ssl/site.pem", certificate)
        server.write("/etc/nginx/ssl/site.key", key)
        text = f"server {{ listen 127.0.0.1:{other} ssl; ssl_certificate ssl/site.pem; ssl_certificate_key ssl/site.key; }}\n"
        server.write("/etc/nginx/conf.d/other.conf", text)
    else:
        server.write("/certs/site.pem", certificate + key)
        text = server.config.read_text().replace("global\n", f"global\n    crt-base {server.root}/certs\n")
        text += f"frontend theirs\n    bind 127.0.0.1:{other} ssl crt site.pem\n    http-request return status 410\n"
        server.config.write_text(text)
    server.start()
    (proxy,) = discover.describe_servers([registry.make_backend(kind, str(server.root))], print)
    (served,) = proxy.hosts[0].certificates
    result = run(server, port, certificate=served.certificate, key=served.key)
    assert result.get("changed") is True, result
    assert Client(EXTERNAL, port, certificates.context()).json("/socket.io/")["name"] == "rtc"


@pytest.mark.parametrize(
    ("file", "alias", "hidden"),
    [
        ("000-default.conf", "*", True),
        ("000-default.conf", "*.example.com", True),
        ("000-default.conf", "w?ki.Example.*", True),
        ("000-default.conf", "*.other.example", False),
        ("zz.conf", "*", False),
    ],
)
@pytest.mark.parametrize("address", ["*", EXTERNAL])
def test_apache_answers_by_the_first_that_fits(daemon, run, port, file, alias, hidden, address):
    server = daemon("apache")
    server.write(
        f"/etc/apache2/sites-enabled/{file}",
        f"Listen {EXTERNAL}:{port}\n<VirtualHost {address}:{port}>\nServerName other.example\nServerAlias {alias}\n"
        "Redirect 410 /\n</VirtualHost>\n",
    )
    server.start()
    result = run(server, port)
    if hidden:
        assert f"sites-enabled/{file}:2 is read first and answers for {alias}" in result["msg"], result
        return
    assert result.get("changed") is True, result
    assert Client(EXTERNAL, port).json("/socket.io/")["name"] == "rtc"
    assert run(server, port)["changed"] is False
    server.write("/etc/apache2/sites-enabled/000-new.conf", f"<VirtualHost *:{port}>\nServerAlias *\n</VirtualHost>\n")
    if address == "*":
        assert "000-new.conf:1 is read first" in run(server, port)["msg"]


def test_the_chain_of_a_certificate_of_apache(daemon, run, port, certificates, tmp_path):
    """Apache may have the certificates of the authorities between in a file of its own (``SSLCertificateChainFile``)."""
    certificate, key, between = certificates.issue_below("chained.example.com")
    server = daemon("apache")
    server.write("/etc/apache2/ssl/between.pem", Path(between).read_text())
    other = free_port()
    server.write(
        "/etc/apache2/sites-enabled/other.conf",
        f"LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\nListen {EXTERNAL}:{other}\n"
        f"<VirtualHost {EXTERNAL}:{other}>\nServerName chained.example.com\nSSLEngine on\nSSLCertificateFile {certificate}\n"
        f"SSLCertificateKeyFile {key}\nSSLCertificateChainFile ssl/between.pem\nRedirect 410 /\n</VirtualHost>\n",
    )
    server.start()
    result = run(server, port, certificate=certificate, key=key, server_name="chained.example.com")
    assert result.get("changed") is True, result
    client = Client(EXTERNAL, port, certificates.context(), "chained.example.com")
    assert client.json("/socket.io/")["name"] == "rtc"
    load = "LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n"
    server.write("/etc/apache2/sites-enabled/other.conf", f"{load}Listen {EXTERNAL}:{other}\n")
    again = run(server, port, certificate=certificate, key=key, server_name="chained.example.com")
    assert again.get("changed") is False, again


def is_unloaded(server):
    (proxy,) = discover.describe_servers([registry.make_backend(server.kind, str(server.root))], print)
    return proxy.unloaded


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_a_file_that_the_server_has_not_loaded_is_told(daemon, run, port, kind):
    """What answers then is what was there before, so a probe through the server says nothing about the files."""
    server = daemon(kind).start()
    assert run(server, port).get("changed") is True
    assert not is_unloaded(server)
    later = time.time() + 5
    with open(server.config, "a", encoding="utf-8") as file:
        file.write("# edited\n")
    os.utime(server.config, (later, later))
    assert is_unloaded(server)


@pytest.mark.parametrize("change", ["a file is edited", "a file is taken out"])
@pytest.mark.parametrize("kind", ["nginx", "apache"])
def test_files_without_a_virtual_host_count_too(daemon, run, port, kind, change):
    """What passes the Upgrade on may stand in a file of its own, that others include."""
    directory = {"nginx": "/etc/nginx/conf.d", "apache": "/etc/apache2/conf-enabled"}[kind]
    server = daemon(kind)
    others = [Path(server.write(f"{directory}/{name}.conf", "# nothing\n")) for name in ("one", "two")]
    server.start()
    assert run(server, port).get("changed") is True
    assert not is_unloaded(server)
    if change == "a file is edited":
        later = time.time() + 5
        others[0].write_text("# something else\n", encoding="utf-8")
        os.utime(others[0], (later, later))
    else:
        others[0].unlink()
    assert is_unloaded(server)


def test_a_file_that_is_taken_out_of_a_directory_of_haproxy_counts(daemon):
    server = daemon("haproxy")
    server.write("/etc/haproxy/conf.d/one.cfg", "# nothing\n")
    server.write(
        "/usr/lib/systemd/system/haproxy.service",
        "[Service]\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $CFGDIR -p $PIDFILE $OPTIONS\n",
    )
    backend = registry.make_backend("haproxy", str(server.root))
    backend.read()
    assert str(server.root / "etc/haproxy/conf.d") in backend.sources
