# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of HAProxy with two files."""

from __future__ import annotations


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
