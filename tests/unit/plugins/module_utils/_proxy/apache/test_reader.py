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
