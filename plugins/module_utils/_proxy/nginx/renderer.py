# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts as nginx writes them, 1.18 and later."""

from __future__ import annotations

import hashlib

from ansible_collections.collab.rtc.plugins.module_utils._facts import Upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy.backend import (
    APPLICATION_BODY_MB,
    APPLICATION_SECONDS,
    CIPHERS,
    CONNECT_SECONDS,
    RTC_BODY_MB,
    TUNNEL_SECONDS,
    ProxyError,
    bracket,
    header,
    identifier,
)
from ansible_collections.collab.rtc.plugins.module_utils._proxy.listens import Target, targets
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan


def render(vhost: VhostPlan, listens: list[str], authorities: str) -> str:
    """The file of one virtual host, to be included in ``http``.

    :param listens: addresses, as joined with what else listens on this port.
    :param authorities: file of certificate authorities for https upstreams, "" for http.
    """
    me = identifier(vhost.name)
    parts = [header(vhost), _map(me, vhost.reuse)]
    found = targets(vhost)
    parts += [_upstream(me, target, vhost.reuse) for target in found]
    body = [_listen(vhost, listens), _general(vhost)]
    if vhost.certificate:
        body.append(_tls(vhost))
    body += [_location(vhost, me, target, authorities) for target in found]
    body.append(_rest(vhost))
    return "\n".join(parts) + "\nserver {\n" + "\n".join(part for part in body if part) + "}\n"


def _map(me: str, reuse: bool) -> str:
    # A name of our own, so that it never meets a map of someone else. The empty value keeps upstream connections of
    # plain requests alive, which a constant "upgrade" would not.
    plain = "''" if reuse else "close"
    return f"map $http_upgrade ${_variable(me)} {{\n    default upgrade;\n    '' {plain};\n}}\n"


def _variable(me: str) -> str:
    # Short whatever the site is called: nginx keeps names of variables in buckets of 64 bytes and does not start when
    # one does not fit (variables_hash_bucket_size).
    return "rtc_upgrade_" + hashlib.sha256(me.encode()).hexdigest()[:8]


def _upstream(me: str, target: Target, reuse: bool) -> str:
    primary = [item for item in target.upstreams if not item.backup]
    several = len(primary) > 1
    if several and len(primary) < len(target.upstreams):
        raise ProxyError(
            "nginx cannot keep each client at one of several upstreams and have a backup for them.",
            "Make all but one of the upstreams backups, or none.",
        )
    lines = [f"upstream {me}{target.suffix} {{"]
    if several:
        lines.append("    hash $remote_addr consistent;")
    lines += [f"    server {_server(item)};" for item in target.upstreams]
    if reuse:
        lines.append("    keepalive 32;")
    return "\n".join([*lines, "}", ""])


def _server(item: Upstream) -> str:
    return f"{bracket(item.host)}:{item.port}" + (" backup" if item.backup else "")


def _listen(vhost: VhostPlan, listens: list[str]) -> str:
    tls = " ssl" if vhost.certificate else ""
    places = [f"{vhost.port}" if item == "*" else f"{bracket(item)}:{vhost.port}" for item in listens]
    lines = [f"    listen {place}{tls};" for place in places]
    return "\n".join([*lines, f"    server_name {vhost.server_name};", ""])


def _general(vhost: VhostPlan) -> str:
    if vhost.role == "rtc":
        return f"    client_max_body_size {RTC_BODY_MB}m;\n"
    return f"    client_max_body_size {APPLICATION_BODY_MB}m;\n    large_client_header_buffers 8 32k;\n"


def _tls(vhost: VhostPlan) -> str:
    return (
        f"    ssl_certificate {_quote(vhost.certificate)};\n"
        f"    ssl_certificate_key {_quote(vhost.key)};\n"
        "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        f"    ssl_ciphers {CIPHERS};\n"
        "    ssl_prefer_server_ciphers off;\n"
        "    ssl_session_cache shared:collab_rtc:2m;\n"
        "    ssl_session_timeout 1d;\n"
        "    ssl_session_tickets off;\n"
    )


def _location(vhost: VhostPlan, me: str, target: Target, authorities: str) -> str:
    # A prefix that ends with a slash also answers the path without it, by a redirect to the one with it.
    path = target.path.rstrip("/") + "/"
    if target.suffix:
        path = target.path
    scheme = target.upstreams[0].scheme
    long = target.tunnel
    lines = [
        f"proxy_pass {scheme}://{me}{target.suffix};",
        "proxy_http_version 1.1;",
        "proxy_set_header Host $http_host;",
        "proxy_set_header Upgrade $http_upgrade;",
        f"proxy_set_header Connection ${_variable(me)};",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
        "proxy_set_header X-Forwarded-Host $http_host;",
        "proxy_set_header X-Forwarded-Port $server_port;",
        "proxy_redirect off;",
        f"proxy_connect_timeout {CONNECT_SECONDS}s;",
        f"proxy_read_timeout {TUNNEL_SECONDS if long else APPLICATION_SECONDS}s;",
        f"proxy_send_timeout {TUNNEL_SECONDS if long else APPLICATION_SECONDS}s;",
    ]
    if long:
        lines.append("proxy_buffering off;")
    else:
        lines += ["proxy_buffer_size 32k;", "proxy_buffers 16 32k;", "proxy_busy_buffers_size 64k;"]
    if scheme == "https":
        lines += [
            "proxy_ssl_verify on;",
            "proxy_ssl_verify_depth 5;",
            f"proxy_ssl_trusted_certificate {_quote(authorities)};",
            "proxy_ssl_server_name on;",
            f"proxy_ssl_name {vhost.upstream_name or vhost.server_name};",
            "proxy_ssl_protocols TLSv1.2 TLSv1.3;",
        ]
    return f"    location {path} {{\n" + "".join(f"        {line}\n" for line in lines) + "    }\n"


def _rest(vhost: VhostPlan) -> str:
    if vhost.role == "rtc" or not vhost.context_path.strip("/"):
        return ""
    return (
        "    location = / {\n"
        f"        return 302 $scheme://$http_host/{vhost.context_path.strip('/')}/;\n"
        "    }\n\n"
        "    location / {\n"
        "        return 404;\n"
        "    }\n"
    )


def _quote(text: str) -> str:
    return (
        text
        if text and not set(text) & set(" ;{}\"'$\\#")
        else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )
