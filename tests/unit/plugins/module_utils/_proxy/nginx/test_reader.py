# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An installation of nginx with includes."""

from __future__ import annotations

import pytest

from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import parser, reader


def test_an_installation(read, hosts):
    proxy = read("nginx")
    assert hosts(proxy) == [
        {
            "at": "confluence:2",
            "names": ["wiki.example.com", "www.wiki.example.com"],
            "listens": ["* 80", ":: 80"],
            "routes": [
                "/confluence, http://127.0.0.1 8090, 90s, buffered, proto=$scheme, as=/confluence",
                # Own proxy_set_header: nothing is inherited, X-Forwarded-Proto is gone.
                "/synchrony, http://127.0.0.1 8091, 90s, upgrade, http11, buffered, as=/synchrony",
                "/, http://127.0.0.1 8099, 90s, proto=$scheme",
                "/computed, , 90s, buffered, proto=$scheme",
            ],
        },
        {
            "at": "confluence:19",
            "names": ["wiki.example.com"],
            "listens": ["192.0.2.10 9083 tls"],
            "routes": ["/, http://127.0.0.1 9083 http://2001:db8::7 9083, 5400s, upgrade, http11, sticky=ip_hash"],
        },
        {
            "at": "nginx.conf:14",
            "names": [],
            "listens": ["* 9093"],
            "routes": ["/, tcp://192.0.2.5 9093 tcp://192.0.2.6 9093 backup, 7200s, upgrade, http11"],
        },
    ]
    assert (proxy.hosts[1].certificate, proxy.hosts[1].key) == ("/etc/ssl/wiki.pem", "/etc/ssl/wiki.key")
    assert any("gone.conf" in note for note in proxy.notes)
    assert any("confluence:17" in note and "$arg_host" in note for note in proxy.notes)


@pytest.mark.parametrize(
    ("text", "ends", "notes"),
    [
        ("stream { server { listen 9083; proxy_pass $name; } }", [], 1),
        ("stream { server { listen 9083; proxy_pass unix:/run/x; } }", [], 0),
        (
            "stream { upstream Rtc { server 192.0.2.5:9083; } server { listen 1; proxy_pass rTC; } }",
            [("192.0.2.5", 9083)],
            0,
        ),
        ("http { server { listen 80; location / { proxy_pass http://unix:/run/x.sock:/; } } }", [], 0),
        (
            "http { upstream RTC { server 192.0.2.5:9083; } server { location / { proxy_pass http://rtc; } } }",
            [("192.0.2.5", 9083)],
            0,
        ),
    ],
)
def test_where_it_goes(tmp_path, text, ends, notes):
    (tmp_path / "x").write_text("events { }\n" + text)
    config = parser.parse(str(tmp_path / "x"))
    found = [item for host in reader.read_virtual_hosts(config) for route in host.routes for item in route.upstreams]
    assert [(item.host, item.port) for item in found] == ends
    assert len(config.notes) == notes, config.notes
