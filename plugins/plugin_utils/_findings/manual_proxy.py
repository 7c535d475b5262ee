# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to set by hand at a proxy that this collection cannot reach. Pure. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.collab.rtc.plugins.plugin_utils._plan import desired
from ansible_collections.collab.rtc.plugins.plugin_utils._plan.topology import SiteState


def advice(state: SiteState) -> str:
    """The remedy for a proxy that the inventory does not list: what to do, and the text for nginx."""
    return (
        "Add the proxy's host to the group rtc_proxies and set rtc_proxy. Or configure it by hand; for nginx, in its http"
        " block:\n" + nginx(state)
    )


def nginx(state: SiteState) -> str:
    """A virtual host for nginx: complete, for the server name and RTC port of the site."""
    site = state.site
    scheme = "https" if site.protocol == "HTTPS" else "http"
    servers = []
    for number, node in enumerate(state.nodes):
        backup = " backup" if number and not state.wishes.store_url else ""
        host = desired.upstream_host(state, node)
        servers.append(f"    server {'[' + host + ']' if ':' in host else host}:{site.rtc_port}{backup};")
    tls = " ssl" if state.tls else ""
    certificate = ["    ssl_certificate     /path/to/fullchain.pem;", "    ssl_certificate_key /path/to/privkey.pem;"]
    name = f"rtc_{site.application}_{site.rtc_port}"
    lines = [
        "map $http_upgrade $rtc_connection { default upgrade; '' ''; }",
        f"upstream {name} {{",
        *(["    ip_hash;"] if len(state.nodes) > 1 and state.wishes.store_url else []),
        *servers,
        "}",
        "server {",
        f"    listen {site.rtc_port}{tls};",
        f"    server_name {site.server_name};",
        *(certificate if state.tls else []),
        "    location / {",
        f"        proxy_pass {scheme}://{name};",
        "        proxy_http_version 1.1;",
        "        proxy_set_header Host $host:$server_port;",
        "        proxy_set_header Upgrade $http_upgrade;",
        "        proxy_set_header Connection $rtc_connection;",
        "        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "        proxy_read_timeout 1h;",
        "        proxy_buffering off;",
        "    }",
        "}",
    ]
    return "\n".join(lines)
