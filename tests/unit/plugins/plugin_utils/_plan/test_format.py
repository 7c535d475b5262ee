# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What renderers write and the number of its format belong together.

A host that an earlier version provisioned has the record of what that version wrote. With the same FORMAT the plan says
"nothing to do", the roles write the new text all the same, and the next run takes it for somebody's edit.
"""

from __future__ import annotations

import hashlib

from ansible_collections.collab.rtc.plugins.module_utils._java import setenv
from ansible_collections.collab.rtc.plugins.module_utils._proxy.apache import renderer as apache_renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.haproxy import renderer as haproxy_renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.nginx import renderer as nginx_renderer
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan
from ansible_collections.collab.rtc.plugins.module_utils._rtc_server import limits, panel, store, unit, unit_file
from ansible_collections.collab.rtc.plugins.plugin_utils._plan import difference

# Changed on purpose? Raise FORMAT in _plan/difference.py, and put the digest that the test shows here.
FORMAT, DIGEST = 12, "e2189c6e5a6171fe"


def make_vhosts(kind: str) -> list[VhostPlan]:
    """With and without TLS, to a node and to several, of both roles."""
    node = {"scheme": "http", "host": "10.0.0.11", "port": 9083, "backup": False}
    other = {**node, "host": "10.0.0.12", "backup": True}
    active = [{**node, "label": "84a0076d"}, {**node, "host": "10.0.0.12", "label": "65bcb7b8"}]
    again = {**node, "scheme": "https"}
    values = [
        {"name": "one", "port": 9083, "role": "rtc", "upstreams": [node]},
        {"name": "two", "port": 9084, "role": "rtc", "upstreams": [node, other], "certificate": "/c.pem", "key": "/k.pem"},
        {"name": "three", "port": 443, "role": "application", "upstreams": [again], "certificate": "/c.pem", "key": "/k.pem",
         "context_path": "/wiki", "synchrony": "127.0.0.1:8091"},
        {"name": "four", "port": 80, "role": "application", "upstreams": [node], "reuse": False},
        {"name": "five", "port": 9085, "role": "rtc", "upstreams": active, "health": "/readyz"},
        {"name": "seven", "port": 8081, "role": "application", "upstreams": [node]},
        {"name": "six", "port": 9086, "role": "rtc", "upstreams": [node, other], "health": "/readyz"},
    ]  # fmt: skip
    return [VhostPlan(site="s", kind=kind, server_name="wiki.example.com", listen=["*"], **item) for item in values]


def test_the_format_is_raised_with_what_is_written() -> None:
    pems = {"two": "/two.pem", "three": "/three.pem"}
    texts = [
        *(nginx_renderer.render(item, ["*"], "/ca.pem") for item in make_vhosts("nginx")),
        *(
            apache_renderer.render(item, ["*"], ["*"], "/ca.pem", version, asks_health=True)
            for version in ("2.4.37", "2.4.62")
            for item in make_vhosts("apache")
        ),
        haproxy_renderer.render(make_vhosts("haproxy"), pems, {"three": "/ca.pem"}, logs=True),
        haproxy_renderer.render_defaults([["option", "httplog"]]),
        unit_file.render_unit("/usr/bin/python3"),
        unit_file.render_tls("/usr/bin/python3"),
        unit_file.render_socket(unit_file.list_places("::", 9083)),
        *(unit_file.render_with_socket(needs_network) for needs_network in (False, True)),
        store.render_drop_in("/etc/rtc-server", True),
        unit.render_toml(
            unit.server_config("confluence", "127.0.0.1", 9083, "wiki.example.com", [], [], True, label="84a0076d")
        ),
        unit.render_toml({"journal": store.make_journal("postgresql://u@h/d", True)}),
        panel.render_drop_in("/etc/rtc-server", True),
        unit.render_toml({"admin": panel.make_admin(0, "https://wiki.example.com:9083", True)}),
        limits.render_drop_in({"connections": 20_000}) or "",
        setenv.with_store("JAVA_OPTS=-Xmx1g\n", "/opt/trust.jks", "setenv.sh"),
    ]
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    assert (difference.FORMAT, digest) == (FORMAT, DIGEST)
