# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of HAProxy with two files."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import parser, reader


def test_an_installation(read, hosts):
    proxy = read("haproxy")
    listens = ["* 80", "192.0.2.10 443 tls", "2001:db8::10 443 tls"]
    assert hosts(proxy) == [
        {
            "at": "haproxy.cfg:11",
            "names": ["wiki.example.com", "www.wiki.example.com"],
            "listens": listens,
            "routes": [
                "/synchrony, http://127.0.0.1 8091, 3600s, upgrade, http11, proto=https",
                "/, http://127.0.0.1 8090, 50s, upgrade, http11, proto=https",
            ],
        },
        {
            "at": "haproxy.cfg:11",
            "names": ["jira.example.com", "jira"],
            "listens": listens,
            "routes": [
                "/, https://192.0.2.7 8443 https://192.0.2.8 8443 backup, 50s, upgrade, http11, proto=https, "
                "sticky=cookie JSESSIONID",
            ],
        },
        {
            "at": "haproxy.cfg:11",
            "names": [],
            "listens": listens,
            "routes": ["/, http://127.0.0.1 8090, 50s, upgrade, http11, proto=https"],
        },
        {
            "at": "more.cfg:18",
            "names": [],
            "listens": ["* 9083"],
            # The second defaults hold from where they stand; a server without a port gets the one of the client.
            "routes": ["/, tcp://192.0.2.5 9083 tcp://2001:db8::5 9083, 7200s, upgrade, http11, sticky=source"],
        },
    ]
    assert any("haproxy.cfg:21" in note and "computed" in note for note in proxy.notes)


def test_a_bind_that_is_not_known_is_said(tmp_path):
    (tmp_path / "x").write_text('frontend f\n    bind "192.0.2.1:${NOT_KNOWN}"\n    bind :80\n')
    config = parser.parse([str(tmp_path / "x")])
    (host,) = reader.read_virtual_hosts(config)
    assert [item.port for item in host.listens] == [80]
    assert config.notes == [f"{tmp_path}/x:2: bind 192.0.2.1:${{NOT_KNOWN}} could not be resolved."]


def test_names_of_a_file(tmp_path):
    (tmp_path / "names").write_text("# ours\nwiki.example.com\n\njira.example.com\n")
    text = f"frontend f\n bind :80\n use_backend b if {{ hdr(host) -i -f {tmp_path}/names }}\n use_backend b if {{ hdr(host) -f /gone }}\nbackend b\n"
    (tmp_path / "x").write_text(text)
    config = parser.parse([str(tmp_path / "x")])
    assert [host.names for host in reader.read_virtual_hosts(config)] == [
        ["wiki.example.com", "jira.example.com"],
        ["/gone"],
    ]
    assert any("/gone" in note for note in config.notes)
