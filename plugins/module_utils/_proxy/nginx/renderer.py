# Copyright (c) 2026, the collab.rtc authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual hosts as nginx writes them, 1.18 and later."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from ansible_collections.collab.rtc.plugins.module_utils._facts import Upstream
from ansible_collections.collab.rtc.plugins.module_utils._proxy import rendering
from ansible_collections.collab.rtc.plugins.module_utils._proxy.errors import ProxyError
from ansible_collections.collab.rtc.plugins.module_utils._proxy.rendering import ForwardedPath, list_forwarded_paths
from ansible_collections.collab.rtc.plugins.module_utils._proxy.vhost import VhostPlan

# Where the packages have it; the path that is compiled in where they have none is relative.
ACCESS_LOG = "/var/log/nginx/access.log"

# "combined", the format that is built in, without queries: that of the address, which is $request or $request_uri, and
# that of the page that led here.
_LOG_FORMAT = (
    '$remote_addr - $remote_user [$time_local] "$request_method $uri $server_protocol" $status $body_bytes_sent "-" '
    '"$http_user_agent"'
)


# Eight pages at least, and those of some ARM machines have 64 KiB.
_ZONE = "512k"
# Modules that every build has unless it was told not to (configure --without-http_..._module).
USUAL_MODULES = ("limit_conn", "limit_req", "mirror")


def render(
    vhost: VhostPlan,
    listens: list[str],
    authorities: str,
    logs: Sequence[Sequence[str]] = (),
    modules: Collection[str] = USUAL_MODULES,
) -> str:
    """The file of one virtual host, to be included in ``http``.

    :param listens: addresses, as joined with what else listens on this port.
    :param authorities: file of certificate authorities for https upstreams, "" for http.
    :param logs: arguments of each ``access_log`` that holds for servers with none of their own; none where nothing is
        logged.
    :param modules: which of ``USUAL_MODULES`` this nginx has.
    """
    me = rendering.make_identifier(vhost.name)
    parts = [rendering.render_header(vhost), _render_map(me, vhost.reuse)]
    if logs:
        parts.append(f"log_format {me} '{_LOG_FORMAT}';\n")
    found = list_forwarded_paths(vhost)
    limits = [name for name in ("limit_conn", "limit_req") if name in modules and vhost.role == "rtc"]
    parts += [_render_uncounted(me, limits)] if limits else []
    parts += [_render_upstream(me, target, vhost.reuse) for target in found]
    parts += [_render_session_routes(me, target, vhost.reuse) for target in found if target.labels]
    body = [_render_listen(vhost, listens), _render_logs(me, logs), _render_general(vhost)]
    if vhost.role == "rtc":
        body.append(_render_own_ways(me, limits, modules))
    if vhost.certificate:
        body.append(_render_tls(vhost))
    body += [_render_location(vhost, me, target, authorities) for target in found]
    body.append(_render_rest(vhost))
    return "\n".join(parts) + "\nserver {\n" + "\n".join(part for part in body if part) + "}\n"


def _render_map(me: str, reuse: bool) -> str:
    # A name of its own, so that it never meets a map of someone else. The empty value keeps upstream connections of
    # plain requests alive, which a constant "upgrade" would not.
    plain = "''" if reuse else "close"
    return f"map $http_upgrade ${_name_variable(me)} {{\n    default upgrade;\n    '' {plain};\n}}\n"


def _render_uncounted(me: str, limits: list[str]) -> str:
    """Zones that count nothing: nginx leaves requests out whose key is empty.

    What the http block limits for all its servers is meant for pages. Each user of RTC holds one or two connections,
    and a company has one address: they would be refused, or their connections would count against the application's
    users. The RTC server has limits of its own. nginx cannot switch a limit off; one in its place it knows.
    """
    key = f"${_name_variable(me, 'uncounted')}"
    rates = {"limit_req": " rate=1r/s"}
    lines = [f"map $host {key} {{", "    default '';", "}"]
    lines += [f"{name}_zone {key} zone={me}_{name}:{_ZONE}{rates.get(name, '')};" for name in limits]
    return "\n".join([*lines, ""])


def _render_own_ways(me: str, limits: list[str], modules: Collection[str]) -> str:
    """In place of what the http block may have for all servers: see :func:`_render_uncounted`, too.

    Answers that come in drops or are kept, requests that somebody gets a copy of: a mirror would do each one twice.
    """
    numbers = {"limit_conn": f" {me}_limit_conn 65535", "limit_req": f" zone={me}_limit_req"}
    lines = [f"{name}{numbers[name]};" for name in limits]
    lines += ["limit_rate 0;", "expires off;", "client_body_in_file_only off;"]
    lines += ["mirror off;"] if "mirror" in modules else []
    return "".join(f"    {line}\n" for line in lines)


def _name_variable(me: str, what: str = "upgrade") -> str:
    # Short whatever the site is called: nginx keeps names of variables in buckets of 64 bytes and does not start when
    # one does not fit (variables_hash_bucket_size).
    return f"rtc_{what}_" + hashlib.sha256(me.encode()).hexdigest()[:8]


def _render_upstream(me: str, target: ForwardedPath, reuse: bool) -> str:
    several = len(target.primaries) > 1
    if several and len(target.primaries) < len(target.upstreams):
        raise ProxyError(
            "nginx cannot keep each client at one of several upstreams and have a backup for them.",
            "Make all but one of the upstreams backups, or none.",
        )
    lines = [f"upstream {me}{target.suffix} {{"]
    if several and not target.labels:
        lines.append("    hash $remote_addr consistent;")
    passive = f" max_fails=1 fail_timeout={rendering.HEALTH_SECONDS * rendering.HEALTH_FALL}s" if target.labels else ""
    lines += [f"    server {_format_server(item)}{passive};" for item in _list_servers(target)]
    # What opens a session has a connection of its own: one that was kept leads nowhere when a node's machine is gone,
    # and only connecting has a time limit after which another node is asked.
    if reuse and not target.labels:
        lines.append("    keepalive 32;")
    return "\n".join([*lines, "}", ""])


def _list_servers(target: ForwardedPath) -> list[Upstream]:
    """The upstreams, with one backup at most for RTC: nginx gives requests to several in turn, without an order.

    Without labels one RTC server is active at a time. Several would each have a part of a session's requests, and
    write into a journal of its own.
    """
    if not target.tunnel:
        return target.upstreams
    return [*target.primaries, *[item for item in target.upstreams if item.backup][:1]]


def _render_session_routes(me: str, target: ForwardedPath, reuse: bool) -> str:
    """An upstream for each node, which what session ids end in leads to; without one all nodes have their turn."""
    names = [f"{me}{target.suffix}_{label}" for label in target.labels]
    rows = [f"    default {me}{target.suffix};"]
    rows += [f"    ~\\.{label}$ {name};" for label, name in zip(target.labels, names)]
    parts = ["\n".join([f"map $arg_sid ${_name_variable(me, 'node')} {{", *rows, "}", ""])]
    kept = ["    keepalive 32;"] if reuse else []
    for name, item in zip(names, target.upstreams):
        parts.append("\n".join([f"upstream {name} {{", f"    server {_format_server(item)};", *kept, "}", ""]))
    return "\n".join(parts)


def _format_server(item: Upstream) -> str:
    return f"{rendering.bracket(item.host)}:{item.port}" + (" backup" if item.backup else "")


def _render_listen(vhost: VhostPlan, listens: list[str]) -> str:
    tls = " ssl" if vhost.certificate else ""
    places = [f"{vhost.port}" if item == "*" else f"{rendering.bracket(item)}:{vhost.port}" for item in listens]
    lines = [f"    listen {place}{tls};" for place in places]
    return "\n".join([*lines, f"    server_name {vhost.server_name};", ""])


def _render_logs(me: str, logs: Sequence[Sequence[str]]) -> str:
    # The same file, with the same buffer: nginx refuses another one for a file that it has open.
    return "".join(f"    access_log {' '.join([_quote(log[0]), me, *map(_quote, log[2:])])};\n" for log in logs)


def _render_general(vhost: VhostPlan) -> str:
    # Cookies know no ports: what the application sets is sent to RTC, too.
    buffers = "    large_client_header_buffers 8 32k;\n"
    return f"    client_max_body_size {rendering.compute_body_limit(vhost)}m;\n{buffers}"


def _render_tls(vhost: VhostPlan) -> str:
    return (
        f"    ssl_certificate {_quote(vhost.certificate)};\n"
        f"    ssl_certificate_key {_quote(vhost.key)};\n"
        "    ssl_protocols TLSv1.2 TLSv1.3;\n"
        f"    ssl_ciphers {rendering.CIPHERS};\n"
        "    ssl_prefer_server_ciphers off;\n"
        "    ssl_session_cache shared:collab_rtc:2m;\n"
        "    ssl_session_timeout 1d;\n"
        "    ssl_session_tickets off;\n"
    )


def _render_location(vhost: VhostPlan, me: str, target: ForwardedPath, authorities: str) -> str:
    # A prefix that ends with a slash also answers the path without it, by a redirect to the one with it.
    path = target.path.rstrip("/") + "/"
    if target.suffix and not target.allowed:
        path = target.path
    scheme = target.upstreams[0].scheme
    proto = "$scheme" if rendering.find_forwarded_proto(vhost) else '""'  # which is not sent at all
    pool = f"${_name_variable(me, 'node')}" if target.labels else f"{me}{target.suffix}"
    guard = []
    if target.allowed:  # and a password of the whole server does not do in their place
        guard = [*(f"allow {network};" for network in target.allowed), "deny all;", "satisfy all;"]
    lines = [
        *guard,
        f"proxy_pass {scheme}://{pool};",
        "proxy_http_version 1.1;",
        "proxy_set_header Host $http_host;",
        "proxy_set_header Upgrade $http_upgrade;",
        f"proxy_set_header Connection ${_name_variable(me)};",
        "proxy_set_header X-Real-IP $remote_addr;",
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        f"proxy_set_header X-Forwarded-Proto {proto};",
        "proxy_set_header X-Forwarded-Host $http_host;",
        "proxy_set_header X-Forwarded-Port $server_port;",
        "proxy_redirect off;",
        # What the http block may have for all: answers of one person kept for others, or as files.
        "proxy_cache off;",
        "proxy_store off;",
        *_list_own_ways_on(vhost, target),
        f"proxy_connect_timeout {target.connect_seconds}s;",
        f"proxy_read_timeout {target.seconds}s;",
        f"proxy_send_timeout {target.seconds}s;",
    ]
    if target.tunnel:
        lines.append("proxy_buffering off;")
    else:
        lines += ["proxy_buffer_size 32k;", "proxy_buffers 16 32k;", "proxy_busy_buffers_size 64k;"]
        lines.append("proxy_temp_file_write_size 64k;")  # nginx refuses one of the http block that is below the buffers
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


def _list_own_ways_on(vhost: VhostPlan, target: ForwardedPath) -> list[str]:
    """What the http block may have for all, about the way on to RTC."""
    if vhost.role != "rtc":
        return []
    # With labels, of those that open a session: only they have another node to go to, and none of them is a POST. What
    # was sent to a node is never sent to another one ("non_idempotent"): it would be done twice.
    again = "error timeout http_503" if target.labels else "error timeout"
    return [
        "proxy_intercept_errors off;",  # RTC's own answers say why, and to which pages
        "proxy_ignore_client_abort off;",
        f"proxy_next_upstream {again};",
        "proxy_next_upstream_tries 0;",
        "proxy_next_upstream_timeout 0;",
    ]


def _render_rest(vhost: VhostPlan) -> str:
    path = rendering.find_context_redirect(vhost)
    if not path:
        return ""
    return (
        "    location = / {\n"
        f"        return 302 $scheme://$http_host{path};\n"
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
