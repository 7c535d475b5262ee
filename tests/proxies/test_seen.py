# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A virtual host counts as applied when RTC is seen to pass it; else the change is taken back, and it is said why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import rtc_support
from proxies.bench import NAME, Client

from ansible_collections.collab.rtc.plugins.module_utils._proxy import seen

EXTERNAL = "127.0.2.1"


@pytest.fixture
def rtc(tmp_path):
    """The real RTC server, which is not started yet."""
    directory = tmp_path / "rtc"
    directory.mkdir()
    server = rtc_support.Server(directory, server={"origins": [f"http://{NAME}", f"https://{NAME}"]})
    yield server
    if server.process:
        server.stop()


@pytest.fixture
def run(run_module, rtc, certificates, monkeypatch):
    """A function: a daemon and changes -> the module's result for one virtual host with TLS."""
    monkeypatch.setattr(seen, "_OLD_SECONDS", 1.0)  # what stands in the way here stays there

    def call(daemon, **changes):
        certificate, key = certificates.issue()
        vhost = {
            "kind": daemon.kind, "name": "rtc-confluence", "role": "rtc", "server_name": NAME, "listen": [EXTERNAL],
            "port": rtc.port, "upstreams": [{"host": "127.0.0.1", "port": rtc.port}], "certificate": certificate, "key": key,
            **changes,
        }  # fmt: skip
        return run_module("proxy_vhost", {"vhosts": [vhost], "config_root": str(daemon.root)})

    return call


def switch_on(daemon, *modules):
    for module in modules:
        for end in ("load", "conf"):
            link = daemon.root / f"etc/apache2/mods-enabled/{module}.{end}"
            if (daemon.root / f"etc/apache2/mods-available/{module}.{end}").exists() and not link.exists():
                os.symlink(f"../mods-available/{module}.{end}", link)


def snapshot(daemon):
    paths = sorted((daemon.root / "etc").rglob("*"))
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def surround(daemon, text):
    """What holds for all virtual hosts; the path of the file."""
    if daemon.kind == "apache":
        names = ("headers", "proxy", "proxy_http", "auth_basic", "authn_file", "authz_user", "setenvif")
        switch_on(daemon, *names, "socache_shmcb", "ssl")
        return daemon.write("/etc/apache2/conf-enabled/site.conf", text)
    return daemon.write("/etc/nginx/conf.d/00-site.conf", text)


SURROUNDINGS = {
    "nginx, a password": ("nginx", "auth_basic x;\nauth_basic_user_file /dev/null;\n", 1),
    "nginx, nobody": ("nginx", "# nobody\ndeny all;\n", 2),
    "nginx, a header twice": ("nginx", "add_header Access-Control-Allow-Origin *;\n", 1),
    "nginx, certificates of clients": ("nginx", "ssl_verify_client on;\nssl_client_certificate CA;\n", 1),
    "nginx, another body": ("nginx", "proxy_set_body x;\n", 1),
    "apache, HTTP/1.0": ("apache", "SetEnv force-proxy-request-1.0 1\n", 1),
    "apache, a header twice": ("apache", 'Header always set Access-Control-Allow-Origin "*"\n', 1),
    "apache, another proxy": ("apache", "ProxyRemote * http://127.0.0.1:9\n", 1),
    "apache, a password": (
        "apache", "<Location />\nAuthType Basic\nAuthName x\nAuthUserFile /dev/null\nRequire valid-user\n</Location>\n", 2,
    ),
    "apache, nobody": ("apache", "<LocationMatch socket>\nRequire ip 192.0.2.1\n</LocationMatch>\n", 2),
    "apache, a worker of all": ("apache", "ProxyPass /app http://127.0.0.1:RTC/\n", 1),
    "apache, a worker of a section": ("apache", "<Proxy http://127.0.0.1:RTC/>\nProxySet timeout=600\n</Proxy>\n", 2),
    "apache, no Upgrade": ("apache", "RequestHeader unset Upgrade early\n", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_what_stands_in_the_way_is_said_and_the_change_taken_back(daemon, run, rtc, certificates, name):
    kind, text, line = SURROUNDINGS[name]
    server = daemon(kind)
    path = surround(server, text.replace("CA", str(certificates.authority)).replace("RTC", str(rtc.port)))
    rtc.start()
    server.start()
    before = snapshot(server)
    result = run(server)
    assert "RTC does not pass it" in result["msg"], result
    assert f"{path}:{line} " in result["msg"], result
    assert snapshot(server) == before
    with pytest.raises(ConnectionRefusedError):
        Client(EXTERNAL, rtc.port).socket()
    assert server.process.poll() is None
    Path(path).unlink()
    assert run(server)["passed"] == ["rtc-confluence"]


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_before_the_service_runs_it_is_written_and_not_seen(daemon, run, rtc, kind):
    server = daemon(kind).start()
    result = run(server)
    assert (result.get("changed"), result.get("passed")) == (True, []), result
    assert result["unseen"]["rtc-confluence"].startswith("the RTC service does not answer yet"), result
    rtc.start()
    assert run(server)["changed"] is False
    result = run(server, listen=[EXTERNAL, "127.0.2.2"])
    assert (result.get("changed"), result.get("passed"), result.get("unseen")) == (True, ["rtc-confluence"], {}), result


def test_a_page_of_all_virtual_hosts_for_an_upstream_is_no_answer(daemon, run, rtc):
    """nginx's http block may lead away where an upstream does not answer, and RTC may not run yet."""
    server = daemon("nginx")
    surround(server, "error_page 502 503 504 https://status.example.com/;\n")
    server.start()
    result = run(server)
    assert (result.get("changed"), result.get("passed")) == (True, []), result
    assert "error_page 502 503 504" in result["unseen"]["rtc-confluence"], result
    rtc.start()
    result = run(server, listen=[EXTERNAL, "127.0.2.2"])
    assert (result.get("changed"), result.get("passed"), result.get("unseen")) == (True, ["rtc-confluence"], {}), result


@pytest.mark.parametrize("kind", ["nginx", "apache", "haproxy"])
def test_a_refused_certificate_of_the_upstream_is_said(daemon, run, upstream, certificates, tmp_path, kind):
    """The service answers, and the proxy does not reach it."""
    certificate, key = certificates.issue("other.example.com")
    directory = tmp_path / "tls"
    directory.mkdir()
    service = rtc_support.Server(
        directory, server={"origins": [f"https://{NAME}"]}, tls={"certificate": certificate, "key": key}
    )
    service.start()
    try:
        server = daemon(kind).start()
        before = snapshot(server)
        result = run(
            server,
            port=service.port,
            upstreams=[{"scheme": "https", "host": "127.0.0.1", "port": service.port}],
            upstream_ca=str(certificates.authority),
        )
        assert "RTC does not pass it" in result["msg"], result
        assert snapshot(server) == before
    finally:
        service.stop()
