# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of Apache with includes and conditions."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy import registry
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import reader
from ansible_collections.collab.rtc.tests.unit import paths

DATA = paths.DATA / "proxies"


def test_an_installation(read, hosts):
    proxy = read("apache")
    assert hosts(proxy) == [
        {
            "at": "wiki.conf:1",
            "names": ["wiki.example.com", "www.wiki.example.com", "wiki"],
            "listens": ["* 80"],
            "routes": [
                "/synchrony, http://127.0.0.1 8091, 300s, upgrade, http11",
                "/synchrony, ws://127.0.0.1 8091, 300s, upgrade, http11",
                "/confluence/, http://127.0.0.1 8090, 600s, http11",
            ],
        },
        {
            "at": "wiki.conf:20",
            "names": ["wiki.example.com"],
            "listens": ["192.0.2.10 9083 tls", "2001:db8::10 9083 tls"],
            "routes": ["/, http://127.0.0.1 9083, 3600s, upgrade, http11, proto=https"],
        },
        {
            "at": "wiki.conf:30",
            "names": ["jira.example.com"],
            "listens": ["* 443 tls"],
            "routes": [
                "/jira, http://192.0.2.7 8080 http://192.0.2.8 8080 backup, 120s, http11, sticky=cookie ROUTE",
            ],
        },
    ]
    assert any("wiki.conf:36" in note for note in proxy.notes)


def test_listen_depends_on_modules(tmp_path):
    shutil.copytree(DATA / "apache", tmp_path / "apache")
    (tmp_path / "apache/etc/apache2/mods-enabled/ssl.load").unlink()
    server = registry.BACKENDS["apache"](str(tmp_path / "apache"))
    ports = [item.port for item in reader.read_listens(server.parse_config())]
    with_ssl = [item.port for item in reader.read_listens(server.parse_config({"ssl_module", "mod_ssl.c"}))]
    assert (ports, with_ssl) == ([80], [80, 443])
    assert server.pid_file() == f"{tmp_path}/apache/var/run/apache2/apache2.pid"
    assert server.error_log() == f"{tmp_path}/apache/var/log/apache2/error.log"


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("9083", ("*", 9083)),
        ("*:443", ("*", 443)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("_default_:443", ("_default_", 443)),
        ("*:*", ("*", 80)),
    ],
)
def test_listen(text, listen):
    assert reader.split_listen(text) == listen


TEXT = """Listen 8443
SSLEngine on
<IfDefine RTC>
<Proxy balancer://Rtc>
BalancerMember http://192.0.2.1:9083 status=+D
BalancerMember http://192.0.2.2:9083 status=-D
BalancerMember http://192.0.2.3:9083 status=+H
</Proxy>
ProxyPass / balancer://rTC/
</IfDefine>
JkMount /wiki/* worker1
"""


def test_what_was_not_seen(tmp_path):
    (tmp_path / "etc/apache2").mkdir(parents=True)
    (tmp_path / "etc/apache2/apache2.conf").write_text(TEXT)
    (tmp_path / "etc/apache2/envvars").write_text("export APACHE_ARGUMENTS='-k start -D RTC'\n")
    proxy = registry.make_backend("apache", str(tmp_path)).read()
    (host,) = proxy.hosts
    assert [(item.port, item.tls) for item in host.listens] == [(8443, True)]
    assert [(item.host, item.backup) for item in host.routes[0].upstreams] == [
        ("192.0.2.2", False),
        ("192.0.2.3", True),
    ]
    assert any("JkMount /wiki/* worker1 is not followed" in note for note in proxy.notes)


PORTLESS = """Listen 8080
Listen 192.0.2.5:8081
Listen 9083
<VirtualHost *>
ServerName any.example.com
</VirtualHost>
<VirtualHost *:9083>
ServerName rtc.example.com
</VirtualHost>
<VirtualHost 192.0.2.5>
ServerName own.example.com
</VirtualHost>
<VirtualHost 192.0.2.5:9083 _default_:*>
ServerName both.example.com
</VirtualHost>
"""


def test_a_virtual_host_without_a_port_has_those_that_no_other_has(tmp_path):
    """As httpd 2.4 answers: ``httpd -S`` shows ``*`` as the port, and one that names the port is asked before."""
    (tmp_path / "etc/apache2").mkdir(parents=True)
    (tmp_path / "etc/apache2/apache2.conf").write_text(PORTLESS)
    found = registry.make_backend("apache", str(tmp_path)).read().hosts
    assert {host.names[0]: [(item.address, item.port) for item in host.listens] for host in found} == {
        "any.example.com": [("*", 8080), ("*", 8081)],
        "rtc.example.com": [("*", 9083)],
        "own.example.com": [("192.0.2.5", 8080), ("192.0.2.5", 8081)],
        "both.example.com": [("192.0.2.5", 9083), ("*", 8080), ("*", 8081)],
    }
